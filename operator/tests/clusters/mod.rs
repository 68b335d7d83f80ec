//! Clusters to build from, shared by the tests of child objects.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::BTreeMap;

use nsq_operator::api::{NsqCluster, parse_manifest};
use nsq_operator::build::{Apis, Desired, ObjectKind, Resolved, objects};
use serde_json::{Value, json};

pub fn cluster(name: &str, spec: &Value) -> NsqCluster {
    serde_json::from_value(json!({
        "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster", "metadata": {"name": name, "namespace": "ns"}, "spec": spec,
    }))
    .unwrap()
}

pub fn resolved(name: &str, spec: &Value) -> Resolved {
    let mut resolved = Resolved::first(&cluster(name, spec), "ns", "x/nsq:1");
    resolved.apis = Apis {
        pod_monitor: true,
        http_route: true,
    };
    resolved.operator_namespace = Some("nsq-system".to_owned());
    resolved
}

pub fn build(spec: &Value) -> Vec<Desired> {
    objects(&resolved("c", spec))
}

pub fn find<'a>(objects: &'a [Desired], kind: ObjectKind, name: &str) -> &'a Desired {
    objects
        .iter()
        .find(|object| object.kind == kind && object.name == name)
        .unwrap()
}

pub fn stateful_set(objects: &[Desired]) -> &Value {
    &objects
        .iter()
        .find(|object| object.kind == ObjectKind::StatefulSet)
        .unwrap()
        .object
}

/// The clusters of all golden manifests.
pub fn golden() -> Vec<(String, Resolved)> {
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

pub fn template_hashes(objects: &[Desired]) -> BTreeMap<String, String> {
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
