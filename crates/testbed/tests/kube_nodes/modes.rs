//! Stopped and Paused, and the end of a cluster.

use super::*;

#[test]
fn op_055_stopped_keeps_everything_but_the_pods() {
    let demo = running("op-055", &quick(2));
    let namespace = &demo.namespace;
    demo.fill("demo-nsqd-1", "t", "c", 9);
    demo.patch(&json!({"mode": "Stopped"}));
    namespace.await_status("demo", "Stopped", |status| status["phase"] == "Stopped");
    eventually(BOUND, || namespace.names("pod").is_empty());
    assert_eq!(namespace.names("pvc").len(), 2);
    demo.patch(&json!({"mode": "Managed"}));
    demo.await_nodes(2);
    eventually(BOUND, || demo.depth("demo-nsqd-1", "t", "c") == 9);
}

#[test]
fn op_056_paused_writes_nothing_and_says_what_it_would_do() {
    let demo = running("op-056", &quick(2));
    let namespace = &demo.namespace;
    demo.patch(&json!({"mode": "Paused"}));
    namespace.await_status("demo", "Paused", |status| status["phase"] == "Paused");
    let writes = || {
        let metrics = demo.operator.metrics();
        let all = metrics.containing("nsq_operator_api_writes_total{");
        all.filter(|(series, _)| !series.contains("action=\"status\""))
            .map(|(_, value)| value)
            .sum::<f64>()
    };
    let before = writes();
    demo.patch(&json!({
        "nsqd": {"replicas": 3, "options": {"maxRdyCount": 3000, "logLevel": "debug"}},
        "lookupd": {"replicas": 2},
    }));
    let status = namespace.await_status("demo", "planned", |status| {
        status["plan"].as_array().is_some_and(|plan| plan.len() > 3)
    });
    let plan = status["plan"].to_string();
    for line in [
        "scale nsqd 2 -> 3",
        "restart nsqd one node at a time",
        "scale nsqlookupd 1 -> 2",
        "nsqd-0: LogLevel",
    ] {
        assert!(plan.contains(line), "{line}: {plan}");
    }
    demo.pass(2);
    assert!((writes() - before).abs() < 0.5, "{}", demo.operator.log());
    demo.patch(&json!({"mode": "Managed"}));
    demo.await_nodes(3);
    namespace.await_running("demo");
    assert_eq!(
        namespace.ask("demo-nsqd-0", "GET", "/config/log_level").text(),
        "1"
    );
    assert!(namespace.status("demo")["plan"].is_null());
}

/// Two clusters, one keeps its claims and one does not; the second goes while no operator is there.
#[test]
fn op_054_what_goes_with_a_cluster_and_what_stays() {
    let mut demo = running("op-054", &quick(1));
    let mut spec = quick(1);
    spec["nsqd"]["storage"]["whenDeleted"] = "Delete".into();
    demo.namespace.apply_cluster("brief", &spec);
    demo.namespace.await_running("brief");
    demo.namespace.kubectl(&["delete", "nsqcluster", "demo"]);
    let of = |namespace: &Namespace, kind: &str, name: &str| {
        let selector = format!("nsq.rs/cluster={name}");
        let list = namespace.get(&[kind, "-l", &selector]);
        list["items"].as_array().unwrap().len()
    };
    let kinds = [
        "pod",
        "service",
        "configmap",
        "serviceaccount",
        "statefulset",
        "deployment",
        "poddisruptionbudget",
        "networkpolicy",
    ];
    for kind in kinds {
        eventually(BOUND, || of(&demo.namespace, kind, "demo") == 0);
    }
    eventually(BOUND, || {
        let metrics = demo.operator.metrics();
        !metrics.containing("nsq_cluster=\"demo\"").any(|_| true)
    });
    demo.operator.kill();
    demo.namespace.kubectl(&["delete", "nsqcluster", "brief"]);
    for kind in kinds {
        eventually(BOUND, || of(&demo.namespace, kind, "brief") == 0);
    }
    eventually(BOUND, || demo.namespace.names("pvc") == ["data-demo-nsqd-0"]);
}
