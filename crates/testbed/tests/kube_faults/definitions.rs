//! Definitions that come, go and differ. They belong to the whole cluster, so these cases have a control plane of their own and
//! happen one after another.

use std::time::Duration;

use nsq_testbed::{BOUND, Cluster, Fault, Namespace, Operator, OwnCluster, Proxy};
use nsq_testkit::eventually;
use serde_json::{Value, json};

use crate::{Behind, objects, rendered, small};

const CLUSTERS: &str = "nsqclusters.nsq.rs";
/// Where the schema of nsqd is in the definition of clusters.
const NSQD: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/nsqd";
/// In every namespace: only then definitions may be looked at.
const EVERYWHERE: [&str; 2] = ["--watch-namespaces", ""];

#[test]
fn op_009_op_017_op_207_op_208_op_209_definitions_that_come_go_and_differ() {
    let own = OwnCluster::start();
    readiness_says_what_is_missing(&own);
    a_rule_that_came_later_is_told(&own);
    what_cannot_be_read_stops_nobody_else(&own);
    older_definitions_are_told_and_worked_with(&own);
    newer_objects_are_not_cut_down(&own);
}

/// Changes the definition of clusters and gives what it was.
#[track_caller]
fn redefine(cluster: &Cluster, change: impl FnOnce(&mut Value)) -> Value {
    let before = cluster.get(&["crd", CLUSTERS]);
    let mut after = before.clone();
    change(&mut after);
    replace(cluster, after);
    before
}

#[track_caller]
fn replace(cluster: &Cluster, mut definition: Value) {
    definition["metadata"]["resourceVersion"].take();
    let output = cluster.try_kubectl(&["replace", "-f", "-"], &definition.to_string());
    assert!(output.status.success(), "{output:?}");
}

/// OP-207.
fn readiness_says_what_is_missing(own: &OwnCluster) {
    let namespace = own.cluster().namespace("op-207");
    let all = [CLUSTERS, "nsqtopics.nsq.rs", "nsqchannels.nsq.rs"];
    own.cluster().kubectl(&[&["delete", "crd"][..], &all].concat());
    let proxy = Proxy::start(own.cluster());
    proxy.fault(|call| {
        call.is("list", "pods")
            .then_some(Fault::Delay(Duration::from_secs(2)))
    });
    let operator = Operator::start_as(&namespace, proxy.kubeconfig(), &[]);
    let ready = |operator: &Operator| {
        let reply = operator.ask("/readyz");
        (reply.status, reply.text())
    };
    let missing = "no definition of NsqCluster, NsqTopic, NsqChannel; install the files of crds/";
    eventually(BOUND, || ready(&operator) == (503, missing.to_owned()));
    own.cluster().install();
    // The kinds take turns, so others may wait behind the pods.
    let waits = |text: &str| text.starts_with("waiting for the first list of ") && text.contains("Pod");
    eventually(BOUND, || {
        let (status, text) = ready(&operator);
        status == 503 && waits(&text)
    });
    eventually(BOUND, || ready(&operator) == (200, "OK".to_owned()));
    let standby = Operator::start(&namespace);
    eventually(BOUND, || ready(&standby) == (200, "OK".to_owned()));
    assert_eq!(standby.metrics().get("nsq_operator_leader"), Some(0.0));
}

/// OP-009.
fn a_rule_that_came_later_is_told(own: &OwnCluster) {
    let mut demo = Behind::start(own.cluster().namespace("op-009"), &[]);
    demo.namespace.apply_cluster("demo", &small());
    demo.await_applied("demo", &small());
    demo.await_still("demo");
    demo.operator.stop();
    let before = redefine(own.cluster(), |definition| {
        let nsqd = definition.pointer_mut(NSQD).unwrap();
        let rules = nsqd["x-kubernetes-validations"].as_array_mut().unwrap();
        rules.retain(|rule| !rule["rule"].as_str().unwrap().contains("preStopSeconds"));
    });
    let patch = json!({"spec": {"nsqd": {"preStopSeconds": 60, "terminationGracePeriodSeconds": 30}}});
    let patch = patch.to_string();
    let args = [
        "-n",
        demo.namespace.name(),
        "patch",
        "nsqcluster",
        "demo",
        "--type=merge",
        "-p",
        &patch,
    ];
    eventually(BOUND, || own.cluster().try_kubectl(&args, "").status.success());
    replace(own.cluster(), before);
    let written = |namespace: &Namespace| -> Vec<String> {
        let kinds = "serviceaccount,service,configmap,pvc,networkpolicy,pdb";
        let list = namespace.get(&[kinds, "-l", "nsq.rs/cluster=demo"]);
        let versions = list["items"].as_array().unwrap();
        let versions = versions
            .iter()
            .map(|item| item["metadata"]["resourceVersion"].to_string());
        // A controller writes their status.
        let list = namespace.get(&["deployment,statefulset", "-l", "nsq.rs/cluster=demo"]);
        let generations = list["items"].as_array().unwrap();
        let generations = generations
            .iter()
            .map(|item| item["metadata"]["generation"].to_string());
        versions.chain(generations).collect()
    };
    let children = written(&demo.namespace);
    let demo = Behind::start(demo.namespace, &[]);
    let status = demo
        .namespace
        .await_status("demo", "Stalled", |status| status["observedGeneration"] == 2);
    let stalled = Namespace::condition(&status, "Stalled");
    assert_eq!(
        (&stalled["status"], &stalled["reason"]),
        (&json!("True"), &json!("InvalidSpec"))
    );
    let message = stalled["message"].as_str().unwrap();
    let rule = "preStopSeconds must be less than terminationGracePeriodSeconds";
    assert!(message.contains(rule), "{message}");
    demo.await_still("demo");
    assert_eq!(written(&demo.namespace), children);
}

/// OP-017.
fn what_cannot_be_read_stops_nobody_else(own: &OwnCluster) {
    let namespace = own.cluster().namespace("op-017");
    let before = redefine(own.cluster(), |definition| {
        let spec = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
        let spec = spec.unwrap();
        spec["properties"]["lookupd"] = json!({"x-kubernetes-preserve-unknown-fields": true});
        spec.as_object_mut().unwrap().remove("x-kubernetes-validations");
    });
    let odd = json!({
        "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster",
        "metadata": {"name": "odd"}, "spec": {"lookupd": "two"},
    });
    eventually(BOUND, || namespace.try_apply(&odd.to_string()).is_ok());
    let demo = Behind::start(namespace, &[]);
    demo.namespace.apply_cluster("demo", &small());
    demo.await_applied("demo", &small());
    demo.await_still("demo");
    let log = demo.operator.log();
    let told = log.lines().filter(|line| line.contains("/odd")).count();
    assert_eq!(told, 1, "{log}");
    let metrics = demo.operator.metrics();
    let unreadable = r#"nsq_operator_unreadable_objects_total{kind="NsqCluster"}"#;
    assert_eq!(metrics.get(unreadable), Some(1.0));
    assert!(objects(&demo.namespace, "odd").is_empty());
    demo.namespace.kubectl(&["delete", "nsqcluster", "odd"]);
    replace(own.cluster(), before);
}

fn outdated(operator: &Operator, definition: &str) -> Option<f64> {
    let sample = format!("nsq_operator_crd_outdated{{crd=\"{definition}\"}}");
    operator.metrics().get(&sample)
}

/// Takes a field out, wherever it is named.
fn forget(value: &mut Value, field: &str) {
    if let Some(map) = value.as_object_mut() {
        map.remove(field);
        map.values_mut().for_each(|value| forget(value, field));
    }
    if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(|value| forget(value, field));
    }
}

/// OP-208: the definition of a release in which a field was not there yet.
fn older_definitions_are_told_and_worked_with(own: &OwnCluster) {
    let before = redefine(own.cluster(), |definition| {
        definition["metadata"]["annotations"]["nsq.rs/schema-hash"] = "0123456789abcdef".into();
        forget(definition, "joinTimeout");
    });
    let namespace = own.cluster().namespace("op-208");
    let demo = Behind::start(namespace, &EVERYWHERE);
    eventually(BOUND, || outdated(&demo.operator, CLUSTERS) == Some(1.0));
    eventually(BOUND, || {
        outdated(&demo.operator, "nsqtopics.nsq.rs") == Some(0.0)
    });
    let warning = || {
        let log = demo.operator.log();
        let mut lines = log.lines();
        let line = lines.find(|line| line.contains("is the definition of another release"));
        line.map(str::to_owned)
    };
    eventually(BOUND, || warning().is_some());
    let warning: Value = serde_json::from_str(&warning().unwrap()).unwrap();
    assert_eq!(warning["level"], "warn", "{warning}");
    eventually(BOUND, || {
        demo.namespace.apply_cluster("demo", &small());
        demo.namespace.get(&["nsqcluster", "demo"])["spec"]["nsqd"]["joinTimeout"].is_null()
    });
    // What is rendered has the field with its default.
    demo.await_applied("demo", &small());
    replace(own.cluster(), before);
    eventually(BOUND, || outdated(&demo.operator, CLUSTERS) == Some(0.0));
}

/// OP-209: objects of a release that has one field more, and an operator that does not know it.
fn newer_objects_are_not_cut_down(own: &OwnCluster) {
    let before = redefine(own.cluster(), |definition| {
        definition["metadata"]["annotations"]["nsq.rs/schema-hash"] = "fedcba9876543210".into();
        let nsqd = definition.pointer_mut(NSQD).unwrap();
        nsqd["properties"]["colour"] = json!({"type": "string", "default": "blue"});
    });
    let demo = Behind::start(own.cluster().namespace("op-209"), &EVERYWHERE);
    let mut spec = small();
    spec["nsqd"]["colour"] = "red".into();
    let stored = || demo.namespace.get(&["nsqcluster", "demo"]);
    eventually(BOUND, || {
        demo.namespace.apply_cluster("demo", &spec);
        stored()["spec"]["nsqd"]["colour"] == "red"
    });
    let applied = stored();
    let wanted = rendered("demo", &small());
    eventually(BOUND, || objects(&demo.namespace, "demo") == wanted);
    demo.namespace.await_status("demo", "seen", |status| {
        status["observedGeneration"] == applied["metadata"]["generation"]
    });
    demo.await_still("demo");
    let found = stored();
    assert_eq!(found["spec"], applied["spec"]);
    assert_eq!(found["metadata"]["generation"], applied["metadata"]["generation"]);
    let writes = demo.proxy.writes();
    let mut writes = writes
        .iter()
        .filter(|call| call.resource.starts_with("nsqclusters"));
    assert!(writes.all(|call| call.resource == "nsqclusters/status"));
    replace(own.cluster(), before);
}
