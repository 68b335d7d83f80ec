//! Defaults of the custom resources.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap fails the test")]

use nsq_operator::api::{NsqCluster, NsqClusterSpec, Requests};
use serde_json::{Value, json};

fn decode(spec: &Value) -> NsqCluster {
    serde_json::from_value(json!({
        "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster", "metadata": {"name": "c"}, "spec": spec,
    }))
    .unwrap()
}

#[test]
fn an_empty_spec_is_three_nsqd_two_nsqlookupd_one_nsqadmin() {
    let spec = decode(&json!({})).spec;
    assert_eq!(
        (spec.nsqd.replicas, spec.lookupd.replicas, spec.admin.replicas),
        (3, 2, 1)
    );
    assert_eq!(spec, NsqClusterSpec::default());
    let leaves = serde_json::to_value(&spec).unwrap();
    assert_eq!(
        leaves["nsqd"]["pod"]["resources"]["requests"],
        json!({"cpu": "100m", "memory": "256Mi"})
    );
    assert_eq!(
        leaves["lookupd"]["pod"]["resources"]["requests"],
        json!({"cpu": "20m", "memory": "32Mi"})
    );
    assert_eq!(
        leaves["admin"]["pod"]["resources"]["requests"],
        json!({"cpu": "20m", "memory": "64Mi"})
    );
    assert_eq!(leaves["nsqd"]["drain"]["timeout"], "0s");
    assert_eq!(nsq_operator::api::NsqdRequests::CPU, "100m");
}

/// Calls `visit` with the path of every value below `value`, inner ones too.
fn paths(value: &Value, at: &mut Vec<String>, visit: &mut dyn FnMut(&[String])) {
    if let Value::Object(fields) = value {
        for (key, inner) in fields {
            at.push(key.clone());
            visit(at);
            paths(inner, at, visit);
            at.pop();
        }
    }
}

/// op_016: whichever field an older release did not store, the object decodes with its default.
#[test]
fn op_016_an_object_without_a_field_decodes_with_its_default() {
    let full = serde_json::to_value(NsqClusterSpec::default()).unwrap();
    let mut checked = 0;
    paths(&full, &mut Vec::new(), &mut |path| {
        // A map of requests is one value: what is in it is the user's, not a field of ours.
        if path.iter().any(|key| key == "requests") && path.last().unwrap() != "requests" {
            return;
        }
        let mut older = full.clone();
        let (last, parents) = path.split_last().unwrap();
        let parent = parents.iter().fold(&mut older, |value, key| &mut value[key]);
        parent.as_object_mut().unwrap().remove(last);
        assert_eq!(
            decode(&older).spec,
            NsqClusterSpec::default(),
            "{}",
            path.join(".")
        );
        checked += 1;
    });
    assert!(checked > 80, "{checked}");
}
