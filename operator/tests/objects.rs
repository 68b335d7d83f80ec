//! Rules that hold for the child objects of every cluster.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap fails the test")]
#![allow(clippy::disallowed_methods, reason = "reads the golden manifests")]

mod clusters;

use std::collections::BTreeMap;

use clusters::{build, find, golden, resolved};
use k8s_openapi::api::{
    apps::v1 as apps, core::v1 as core, networking::v1 as networking, policy::v1 as policy,
};
use nsq_operator::build::{Desired, Live, LiveClaim, ObjectKind, objects};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Reads an object as its type and writes it again: what the type does not know would be lost.
fn round_trip<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(object.clone()).unwrap()).unwrap()
}

#[test]
fn every_object_has_only_fields_its_kind_has() {
    for (name, cluster) in golden() {
        for Desired { kind, object, .. } in objects(&cluster) {
            let again = match kind {
                ObjectKind::ServiceAccount => round_trip::<core::ServiceAccount>(&object),
                ObjectKind::Service => round_trip::<core::Service>(&object),
                ObjectKind::ConfigMap => round_trip::<core::ConfigMap>(&object),
                ObjectKind::PersistentVolumeClaim => round_trip::<core::PersistentVolumeClaim>(&object),
                ObjectKind::NetworkPolicy => round_trip::<networking::NetworkPolicy>(&object),
                ObjectKind::PodDisruptionBudget => round_trip::<policy::PodDisruptionBudget>(&object),
                ObjectKind::Deployment => round_trip::<apps::Deployment>(&object),
                ObjectKind::StatefulSet => round_trip::<apps::StatefulSet>(&object),
                ObjectKind::Ingress => round_trip::<networking::Ingress>(&object),
                // Kinds of other projects; their golden files are read by people.
                ObjectKind::HTTPRoute | ObjectKind::PodMonitor => continue,
            };
            assert_eq!(again, object, "{name} {}", kind.as_str());
        }
    }
}

#[test]
fn objects_come_in_apply_order_with_unique_names_and_their_labels() {
    for (name, mut cluster) in golden() {
        cluster.uid = Some("u-1".to_owned());
        let objects = objects(&cluster);
        // nsqadmin's Deployment comes after the StatefulSet: Go nsqadmin exits when a name is missing.
        let rank = |object: &Desired| match object.kind {
            ObjectKind::Deployment if object.name == "c-nsqadmin" => (ObjectKind::StatefulSet, 1),
            kind => (kind, 0),
        };
        assert!(objects.is_sorted_by_key(rank), "{name}");
        let mut seen = BTreeMap::new();
        for object in &objects {
            let metadata = &object.object["metadata"];
            assert!(
                seen.insert((object.kind, &object.name), ()).is_none(),
                "{name} {}",
                object.name
            );
            assert_eq!(metadata["labels"]["app.kubernetes.io/managed-by"], "nsq-operator");
            assert_eq!(metadata["labels"]["nsq.rs/cluster"], "c");
            assert_eq!(object.annotation("nsq.rs/spec-hash").unwrap().len(), 16);
            let owner = &metadata["ownerReferences"][0];
            if object.kind == ObjectKind::PersistentVolumeClaim {
                assert!(owner.is_null(), "claims outlive the cluster");
            } else {
                assert_eq!(
                    (&owner["uid"], &owner["controller"]),
                    (&json!("u-1"), &json!(true))
                );
            }
        }
    }
}

/// op_021: the longest cluster name and the most nodes.
#[test]
fn op_021_names_and_label_values_stay_within_their_limits() {
    let name = "a".repeat(40);
    let spec = json!({"nsqd": {
        "replicas": 1024,
        "expose": {"type": "StaticNames", "hostTemplate": "n{ordinal}", "serviceType": "ClusterIP"},
    }, "lookupd": {"replicas": 9}});
    let objects = objects(&resolved(&name, &spec));
    assert_eq!(
        objects
            .iter()
            .filter(|object| object.kind == ObjectKind::PersistentVolumeClaim)
            .count(),
        1024
    );
    let is_label = |text: &str| {
        text.len() <= 63
            && text
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
            && text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
            && text.ends_with(|letter: char| letter.is_ascii_alphanumeric())
    };
    for object in &objects {
        // Claims are DNS subdomains; everything else here becomes a label or a host name somewhere.
        assert!(is_label(&object.name), "{}", object.name);
        let mut labels = Vec::new();
        label_maps(&object.object, &mut labels);
        for value in labels {
            assert!(is_label(&value), "{} {value}", object.name);
        }
    }
}

/// Values of all label maps and selectors in an object.
fn label_maps(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                if ["labels", "matchLabels", "selector"].contains(&key.as_str()) {
                    let values = inner
                        .as_object()
                        .into_iter()
                        .flatten()
                        .filter_map(|(_, value)| value.as_str());
                    found.extend(values.map(str::to_owned));
                }
                label_maps(inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| label_maps(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_live_claim_keeps_its_immutable_parts_and_never_shrinks() {
    let mut cluster = resolved(
        "c",
        &json!({"nsqd": {"replicas": 2, "storage": {"size": "10Gi", "className": "fast"}}}),
    );
    let claim = |size: &str| LiveClaim {
        access_modes: vec!["ReadWriteMany".to_owned()],
        class_name: None,
        size: nsq_operator::api::Quantity(size.to_owned()),
    };
    cluster.live = Live {
        claims: BTreeMap::from([
            ("data-c-nsqd-0".to_owned(), claim("20Gi")),
            ("data-c-nsqd-1".to_owned(), claim("5Gi")),
        ]),
        ..Live::default()
    };
    let objects = objects(&cluster);
    let spec = |name| find(&objects, ObjectKind::PersistentVolumeClaim, name).object["spec"].clone();
    assert_eq!(spec("data-c-nsqd-0")["resources"]["requests"]["storage"], "20Gi");
    assert_eq!(spec("data-c-nsqd-1")["resources"]["requests"]["storage"], "10Gi");
    assert_eq!(spec("data-c-nsqd-0")["accessModes"], json!(["ReadWriteMany"]));
    assert!(spec("data-c-nsqd-0")["storageClassName"].is_null());
}

/// An empty list of clients lets nobody in: a rule with an empty `from` would let in everybody.
#[test]
fn no_clients_is_nobody() {
    let objects = build(&json!({"networkPolicy": {"clients": []}}));
    for name in ["c-nsqd", "c-nsqlookupd"] {
        let policy = &find(&objects, ObjectKind::NetworkPolicy, name).object["spec"]["ingress"];
        for rule in policy.as_array().unwrap() {
            assert!(!rule["from"].as_array().unwrap().is_empty(), "{name}");
        }
    }
}
