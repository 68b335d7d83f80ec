//! Rules that hold for the child objects of every cluster.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap fails the test")]
#![allow(clippy::disallowed_methods, reason = "reads the golden manifests")]

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1 as apps, core::v1 as core, networking::v1 as networking, policy::v1 as policy,
};
use nsq_operator::api::{NsqCluster, parse_manifest};
use nsq_operator::build::{Apis, Desired, Live, LiveClaim, NodeCount, ObjectKind, Resolved, objects};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn cluster(name: &str, spec: &Value) -> NsqCluster {
    serde_json::from_value(json!({
        "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster", "metadata": {"name": name, "namespace": "ns"}, "spec": spec,
    }))
    .unwrap()
}

fn resolved(name: &str, spec: &Value) -> Resolved {
    let mut resolved = Resolved::first(&cluster(name, spec), "ns", "x/nsq:1");
    resolved.apis = Apis {
        pod_monitor: true,
        http_route: true,
    };
    resolved.operator_namespace = Some("nsq-system".to_owned());
    resolved
}

fn build(spec: &Value) -> Vec<Desired> {
    objects(&resolved("c", spec))
}

fn find<'a>(objects: &'a [Desired], kind: ObjectKind, name: &str) -> &'a Desired {
    objects
        .iter()
        .find(|object| object.kind == kind && object.name == name)
        .unwrap()
}

fn stateful_set(objects: &[Desired]) -> &Value {
    &objects
        .iter()
        .find(|object| object.kind == ObjectKind::StatefulSet)
        .unwrap()
        .object
}

/// The clusters of all golden manifests.
fn golden() -> Vec<(String, Resolved)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut clusters = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".in.yaml") {
            let manifest = parse_manifest(&name, &std::fs::read_to_string(&path).unwrap()).unwrap();
            let mut resolved = Resolved::first(&manifest.clusters[0], "ns", "x/nsq:1");
            resolved.apis = Apis {
                pod_monitor: true,
                http_route: true,
            };
            clusters.push((name, resolved));
        }
    }
    assert!(clusters.len() > 7);
    clusters
}

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

proptest! {
    /// op_022: whatever the spec, a StatefulSet has replicas, a partition and the live claim templates.
    #[test]
    fn op_022_a_stateful_set_never_lacks_what_an_apply_would_reset(
        replicas in 0..=64_i32,
        desired in 0..=64_i32,
        partition in -1..=65_i32,
        on_delete in any::<bool>(),
        mode in prop::sample::select(vec!["Managed", "Paused", "Stopped"]),
        ephemeral in any::<bool>(),
        size in 1..=100_u32,
        live in any::<bool>(),
        flavor in prop::sample::select(vec!["Native", "Upstream"]),
    ) {
        let spec = json!({"mode": mode, "flavor": flavor, "nsqd": {
            "replicas": replicas,
            "update": {"type": if on_delete { "OnDelete" } else { "Rolling" }},
            "storage": {"type": if ephemeral { "Ephemeral" } else { "Persistent" }, "size": format!("{size}Gi")},
        }});
        let mut cluster = resolved("c", &spec);
        cluster.nodes = NodeCount::rolling(desired, partition);
        let templates = vec![json!({"metadata": {"name": "data"}, "spec": {"an": "old one"}})];
        cluster.live.claim_templates = live.then(|| templates.clone());
        let objects = objects(&cluster);
        let set = &stateful_set(&objects)["spec"];
        let running = if mode == "Stopped" { 0 } else { desired };
        prop_assert_eq!(&set["replicas"], &json!(running));
        let written = &set["updateStrategy"]["rollingUpdate"]["partition"];
        if on_delete {
            prop_assert!(written.is_null());
        } else {
            let written = written.as_i64().unwrap();
            prop_assert!((0..=i64::from(running)).contains(&written));
        }
        if live {
            prop_assert_eq!(&set["volumeClaimTemplates"], &json!(templates));
        } else {
            prop_assert_eq!(set["volumeClaimTemplates"].is_array(), !ephemeral);
        }
    }
}

fn template_hashes(objects: &[Desired]) -> BTreeMap<String, String> {
    objects
        .iter()
        .filter_map(|object| {
            Some((
                object.name.clone(),
                object.annotation("nsq.rs/template-hash")?.to_owned(),
            ))
        })
        .collect()
}

/// op_023
#[test]
fn op_023_counts_and_log_level_leave_the_nsqd_template_alone() {
    let hash = |spec| template_hashes(&build(&spec))["c-nsqd"].clone();
    let before = hash(json!({}));
    assert_eq!(hash(json!({"nsqd": {"replicas": 7}})), before);
    assert_eq!(hash(json!({"lookupd": {"replicas": 5}})), before);
    assert_eq!(hash(json!({"nsqd": {"options": {"logLevel": "debug"}}})), before);
}

/// op_024
#[test]
fn op_024_an_nsqd_option_renames_its_config_map_and_rolls_nsqd_only() {
    let (before, after) = (
        build(&json!({})),
        build(&json!({"nsqd": {"options": {"syncEvery": 9}}})),
    );
    let name = |objects: &[Desired]| {
        let maps = objects
            .iter()
            .filter(|object| object.kind == ObjectKind::ConfigMap);
        maps.map(|map| map.name.clone())
            .find(|name| name.starts_with("c-nsqd-"))
            .unwrap()
    };
    assert_ne!(name(&before), name(&after));
    let (before, after) = (template_hashes(&before), template_hashes(&after));
    let changed: Vec<&String> = before
        .keys()
        .filter(|name| before[*name] != after[*name])
        .collect();
    assert_eq!(changed, ["c-nsqd"]);
}

/// op_025: the rules of the restricted Pod Security Standard, for every pod of the golden set.
#[test]
fn op_025_pods_meet_the_restricted_profile() {
    for (name, cluster) in golden() {
        for object in objects(&cluster) {
            let pod = &object.object["spec"]["template"]["spec"];
            if pod.is_null() {
                continue;
            }
            let context = &pod["securityContext"];
            for field in [
                "hostNetwork",
                "hostPID",
                "hostIPC",
                "shareProcessNamespace",
                "initContainers",
            ] {
                assert!(pod.get(field).is_none(), "{name} {field}");
            }
            assert_eq!(context["runAsNonRoot"], true);
            assert!(context["runAsUser"].as_i64().unwrap() > 0);
            assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
            for volume in pod["volumes"].as_array().unwrap() {
                let kinds: Vec<&String> = volume
                    .as_object()
                    .unwrap()
                    .keys()
                    .filter(|key| *key != "name")
                    .collect();
                assert!(
                    ["configMap", "emptyDir", "secret"].contains(&kinds[0].as_str()),
                    "{name} {kinds:?}"
                );
            }
            for container in pod["containers"].as_array().unwrap() {
                let context = &container["securityContext"];
                assert_eq!(context["allowPrivilegeEscalation"], false);
                assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
                assert_eq!(context["readOnlyRootFilesystem"], true);
                assert!(context.get("privileged").is_none() && context.get("procMount").is_none());
                assert!(
                    container["ports"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|port| port.get("hostPort").is_none())
                );
            }
        }
    }
}

/// The files read as TOML, with the values that were asked for.
#[test]
fn every_option_stands_in_the_file_with_its_value() {
    let (_, cluster) = golden()
        .into_iter()
        .find(|(name, _)| name == "full.in.yaml")
        .unwrap();
    let objects = objects(&cluster);
    let file = |prefix: &str, key: &str| -> toml::Table {
        let mut maps = objects
            .iter()
            .filter(|object| object.kind == ObjectKind::ConfigMap);
        let map = maps.find(|map| map.name.starts_with(prefix)).unwrap();
        map.object["data"][key].as_str().unwrap().parse().unwrap()
    };
    let expected: toml::Table = include_str!("cases/full_nsqd.toml").parse().unwrap();
    assert_eq!(file("c-nsqd-", "nsqd.cfg"), expected);
    assert_eq!(
        file("c-nsqlookupd", "nsqlookupd.cfg")["tombstone_lifetime"].as_str(),
        Some("1m")
    );
    let admin = file("c-nsqadmin", "nsqadmin.cfg");
    assert_eq!(admin["admin_users"].as_array().unwrap().len(), 2);
    assert_eq!(admin["kubernetes_cluster"].as_str(), Some("ns/c"));
    // A user's choice wins over the operator's default.
    assert_eq!(
        (admin["log_format"].as_str(), admin["log_output"].as_str()),
        (Some("text"), Some("stdout"))
    );
}

#[test]
fn any_text_survives_the_file() {
    let text = "a\"b\\c\u{7f}\u{1}\n\té=#";
    let objects = build(&json!({"nsqd": {"extraOptions": {"log_prefix": text}}}));
    let map = objects
        .iter()
        .find(|object| object.name.starts_with("c-nsqd-") && object.kind == ObjectKind::ConfigMap);
    let file: toml::Table = map.unwrap().object["data"]["nsqd.cfg"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(file["log_prefix"].as_str(), Some(text));
}

/// op_036
#[test]
fn op_036_common_labels_change_objects_and_no_template() {
    let (before, after) = (build(&json!({})), build(&json!({"commonLabels": {"team": "a"}})));
    assert_eq!(template_hashes(&before), template_hashes(&after));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(after.object["metadata"]["labels"]["team"], "a", "{}", after.name);
        assert_ne!(
            before.annotation("nsq.rs/spec-hash"),
            after.annotation("nsq.rs/spec-hash"),
            "{}",
            after.name
        );
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
