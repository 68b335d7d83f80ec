//! The custom resource definitions on a real API server. Cases of the operator specification, 13.2.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use nsq_testbed::{BOUND, Cluster, Namespace, Operator};
use nsq_testkit::eventually;
use serde_json::{Value, json};

/// One row of the table that the offline rules are held against too.
#[derive(serde::Deserialize)]
struct Case {
    rule: String,
    kind: String,
    old: Option<Value>,
    accepted: Value,
    refused: Value,
    path: String,
    message: String,
}

/// A case's object; without metadata it gets a name of its own.
fn object(case: &Case, given: &Value, name: &str) -> Value {
    let whole = given.get("metadata").is_some();
    let metadata = if whole {
        given["metadata"].clone()
    } else {
        json!({"name": name})
    };
    let spec = if whole {
        given["spec"].clone()
    } else {
        given.clone()
    };
    json!({"apiVersion": "nsq.rs/v1alpha1", "kind": case.kind, "metadata": metadata, "spec": spec})
}

/// Deletes all of a kind.
fn clear(namespace: &Namespace, kind: &str) {
    namespace.kubectl(&["delete", kind, "--all", "--wait=true"]);
}

#[test]
fn op_003_the_definitions_apply_twice_without_a_word() {
    let cluster = Cluster::control_plane();
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds");
    for _ in 0..2 {
        let output = cluster.try_kubectl(&["apply", "--server-side", "-f", crds], "");
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
    let generation = |name: &str| cluster.get(&["crd", name])["metadata"]["generation"].clone();
    let before = generation("nsqclusters.nsq.rs");
    cluster.kubectl(&["apply", "--server-side", "-f", crds]);
    assert_eq!(generation("nsqclusters.nsq.rs"), before);
}

#[test]
fn op_004_op_008_op_010_defaults_are_stored_counts_have_bounds_and_scale_changes_the_count_alone() {
    let namespace = Cluster::control_plane().namespace("op-004");
    let manifest = |spec: Value| {
        json!({"apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster", "metadata": {"name": "demo"}, "spec": spec}).to_string()
    };
    namespace.apply(&manifest(json!({})));
    let spec = || namespace.get(&["nsqcluster", "demo"])["spec"].clone();
    let stored = spec();
    assert_eq!(
        (
            &stored["nsqd"]["replicas"],
            &stored["lookupd"]["replicas"],
            &stored["admin"]["replicas"]
        ),
        (&json!(3), &json!(2), &json!(1))
    );
    assert_eq!(stored["nsqd"]["drain"]["settle"], "15s");
    assert_eq!(stored["nsqd"]["storage"]["size"], "10Gi");
    assert_eq!(stored["networkPolicy"]["enabled"], true);

    namespace.kubectl(&["scale", "nsqcluster", "demo", "--replicas=5"]);
    let mut expected = stored;
    expected["nsqd"]["replicas"] = 5.into();
    assert_eq!(spec(), expected);
    assert_eq!(
        namespace.get(&["nsqcluster", "demo"])["metadata"]["generation"],
        2
    );

    namespace.apply(&manifest(json!({"nsqd": {"replicas": 1024}})));
    for count in [1025, -1] {
        let refused = namespace.try_apply(&manifest(json!({"nsqd": {"replicas": count}})));
        assert!(refused.unwrap_err().contains("spec.nsqd.replicas"), "{count}");
    }
}

#[test]
fn op_005_op_007_op_015_every_rule_refuses_with_its_text_on_the_server() {
    let namespace = Cluster::control_plane().namespace("op-005");
    let cases: Vec<Case> =
        serde_yaml::from_str(include_str!("../../../operator/tests/cases/rules.yaml")).unwrap();
    for (number, case) in cases.iter().enumerate() {
        let name = format!("case-{number}");
        if let Some(old) = &case.old {
            namespace.apply(&object(case, old, &name).to_string());
        }
        let refused = namespace.try_apply(&object(case, &case.refused, &name).to_string());
        let text = refused.err().unwrap_or_default();
        assert!(
            text.contains(&case.message),
            "{}: {text:?} has no {:?}",
            case.rule,
            case.message
        );
        // The server names no field of metadata; of a map or a list it names the whole.
        let path = case.path.split('[').next().unwrap_or_default();
        let told = text.contains(path) || path.starts_with("metadata");
        assert!(told, "{}: {text:?} has no {path:?}", case.rule);
        let accepted = namespace.try_apply(&object(case, &case.accepted, &name).to_string());
        assert_eq!(accepted, Ok(()), "{}", case.rule);
    }
    for kind in ["nsqcluster", "nsqtopic", "nsqchannel"] {
        clear(&namespace, kind);
    }
}

#[test]
fn op_011_op_012_short_names_columns_and_selectable_fields() {
    let namespace = Cluster::control_plane().namespace("op-011");
    for cluster in ["a", "b"] {
        namespace.apply(&format!(
            "{{apiVersion: nsq.rs/v1alpha1, kind: NsqTopic, metadata: {{name: t-{cluster}}}, spec: {{clusterName: {cluster}}}}}"
        ));
    }
    namespace.apply("{apiVersion: nsq.rs/v1alpha1, kind: NsqCluster, metadata: {name: a}, spec: {}}");
    let head = |args: &[&str]| {
        let table = namespace.kubectl(&[&["get"], args].concat());
        table
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        head(&["nsqc"]),
        "NAME PHASE READY AVAILABLE NSQD LOOKUPD RELEASE AGE"
    );
    assert_eq!(
        head(&["nsqc", "-o", "wide"]),
        "NAME PHASE READY AVAILABLE NSQD LOOKUPD RELEASE AGE MESSAGE STORAGE IMAGE VERSION"
    );
    assert_eq!(head(&["nsqt"]), "NAME CLUSTER TOPIC READY NODES AGE");
    assert_eq!(
        namespace.kubectl(&["get", "nsq", "-o", "name"]).lines().count(),
        3
    );
    assert!(!namespace.kubectl(&["get", "all", "-o", "name"]).contains("nsq"));
    let some = namespace.kubectl(&[
        "get",
        "nsqt",
        "--field-selector",
        "spec.clusterName=a",
        "-o",
        "name",
    ]);
    assert_eq!(some.trim(), "nsqtopic.nsq.rs/t-a");
}

#[test]
fn op_145_a_topic_without_its_cluster_says_so() {
    let namespace = Cluster::control_plane().namespace("op-145");
    let _operator = Operator::start(&namespace);
    namespace.apply(
        "{apiVersion: nsq.rs/v1alpha1, kind: NsqTopic, metadata: {name: t}, spec: {clusterName: gone}}",
    );
    eventually(BOUND, || {
        let status = namespace.get(&["nsqtopic", "t"])["status"].clone();
        Namespace::condition(&status, "Ready")["reason"] == "ClusterNotFound"
    });
    namespace.kubectl(&["delete", "nsqtopic", "t", "--timeout=10s"]);
}
