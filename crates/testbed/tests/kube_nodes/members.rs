//! Declared topics and channels.

use super::*;

#[test]
fn op_140_op_141_op_142_declared_topics_and_channels_exist_everywhere_and_others_are_left_alone() {
    let mut spec = quick(3);
    spec["lookupd"]["replicas"] = 2.into();
    let demo = running("op-140", &spec);
    let namespace = &demo.namespace;
    let all = ["demo-nsqd-0", "demo-nsqd-1", "demo-nsqd-2"];
    demo.fill("demo-nsqd-1", "own", "c", 2);
    namespace
        .ask("demo-nsqd-1", "POST", "/channel/pause?topic=own&channel=c")
        .expect(200, "");
    namespace.apply(
        r#"
apiVersion: nsq.rs/v1alpha1
kind: NsqTopic
metadata: {name: orders}
spec: {clusterName: demo}
---
apiVersion: nsq.rs/v1alpha1
kind: NsqChannel
metadata: {name: billing}
spec: {clusterName: demo, topic: orders, paused: true}
"#,
    );
    namespace.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=60s",
        "nsqtopic/orders",
        "nsqchannel/billing",
    ]);
    for (kind, name) in [("nsqtopic", "orders"), ("nsqchannel", "billing")] {
        assert_eq!(namespace.get(&[kind, name])["status"]["nodes"], "3/3");
    }
    for index in 0..2 {
        let at = namespace.pod(&demo.registry(index), 4161);
        let found = request(at, "GET", "/lookup?topic=orders", b"").json();
        assert_eq!(found["producers"].as_array().unwrap().len(), 3, "{found}");
        assert_eq!(found["channels"], json!(["billing"]));
    }
    let channel = |pod: &str, topic: &str| {
        let stats = namespace
            .ask(pod, "GET", &format!("/stats?format=json&topic={topic}"))
            .json();
        stats["topics"][0]["channels"][0].clone()
    };
    let paused = |pod: &str| channel(pod, "orders")["paused"].clone();
    let wish = |paused: &Value| {
        let patch = json!({"spec": {"paused": paused}}).to_string();
        namespace.kubectl(&["patch", "nsqchannel", "billing", "--type=merge", "-p", &patch]);
    };
    for pod in all {
        eventually(BOUND, || paused(pod) == true);
    }
    wish(&json!(false));
    for pod in all {
        eventually(BOUND, || paused(pod) == false);
    }
    // With no wish, what somebody does by hand stays.
    wish(&Value::Null);
    let pause = namespace.ask(
        "demo-nsqd-0",
        "POST",
        "/channel/pause?topic=orders&channel=billing",
    );
    pause.expect(200, "");
    demo.pass(1);
    assert_eq!(paused("demo-nsqd-0"), true);
    // op_142
    let own = channel("demo-nsqd-1", "own");
    assert_eq!((&own["paused"], &own["depth"]), (&json!(true), &json!(2)));
    assert!(channel("demo-nsqd-0", "own").is_null(), "not spread to others");
}

#[test]
fn op_149_names_are_back_on_a_node_that_lost_everything() {
    let mut spec = quick(1);
    spec["nsqd"]["storage"] = json!({"type": "Ephemeral", "size": "1Gi"});
    // Nobody but the operator knows the names then.
    spec["nsqd"]["joinTimeout"] = "0s".into();
    let demo = running("op-149", &spec);
    let namespace = &demo.namespace;
    namespace.apply(
        "{apiVersion: nsq.rs/v1alpha1, kind: NsqChannel, metadata: {name: billing}, \
         spec: {clusterName: demo, topic: orders}}",
    );
    namespace.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=60s",
        "nsqchannel/billing",
    ]);
    let uid = demo.uids()[0].clone();
    namespace.kubectl(&["delete", "pod", "demo-nsqd-0"]);
    eventually(BOUND, || demo.uids().first().is_some_and(|now| *now != uid));
    eventually(BOUND, || {
        let at = namespace.get(&["pod", "demo-nsqd-0"])["status"]["podIP"].clone();
        at.is_string()
    });
    eventually(BOUND, || demo.endpoints("demo-nsqd-publish") == ["demo-nsqd-0"]);
    eventually(Duration::from_secs(10), || {
        let stats = namespace
            .ask("demo-nsqd-0", "GET", "/stats?format=json&topic=orders")
            .json();
        stats["topics"][0]["channels"][0]["channel_name"] == "billing"
    });
}

#[test]
fn op_147_a_thousand_names_are_made_in_steps_and_then_nothing_is_asked() {
    const TOPICS: usize = 500;
    let demo = running("op-147", &quick(1));
    let namespace = &demo.namespace;
    let object = |kind: &str, name: String, spec: Value| json!({"apiVersion": "nsq.rs/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let mut items = Vec::new();
    for number in 0..TOPICS {
        let topic = format!("t{number}");
        items.push(object("NsqTopic", topic.clone(), json!({"clusterName": "demo"})));
        for channel in ["a", "b"] {
            let spec = json!({"clusterName": "demo", "topic": topic, "name": channel});
            items.push(object("NsqChannel", format!("{topic}-{channel}"), spec));
        }
    }
    let calls = |demo: &Running| {
        let metrics = demo.operator.metrics();
        let all = metrics.containing("nsq_operator_daemon_requests_total{");
        all.filter(|(series, _)| series.contains("op=\"topic\"") || series.contains("op=\"channel\""))
            .map(|(_, value)| value)
            .sum::<f64>()
    };
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let cluster = namespace.cluster();
    let applied = cluster.try_kubectl(&["-n", namespace.name(), "create", "-f", "-"], &list.to_string());
    assert!(applied.status.success(), "{applied:?}");
    let watch = std::time::Instant::now();
    eventually(BOUND, || {
        let channels = namespace.get(&["nsqchannel"]);
        let channels = channels["items"].as_array().unwrap();
        channels
            .iter()
            .all(|channel| Namespace::condition(&channel["status"], "Ready")["status"] == "True")
    });
    assert!(
        watch.elapsed() <= Duration::from_secs(60),
        "{:?}",
        watch.elapsed()
    );
    // (At most fifty in a pass is a test of the plan.)
    demo.come_to_rest();
    let after = calls(&demo);
    assert!((after - 3.0 * TOPICS as f64).abs() < 0.5, "{after} calls");
    demo.pass(1);
    assert!((calls(&demo) - after).abs() < 0.5);
}

#[test]
fn op_144_a_namespace_with_everything_in_it_ends() {
    let demo = running("op-144", &quick(1));
    let namespace = &demo.namespace;
    namespace.apply(
        "{apiVersion: nsq.rs/v1alpha1, kind: NsqTopic, metadata: {name: orders}, \
         spec: {clusterName: demo, deletionPolicy: Delete}}",
    );
    namespace.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=60s",
        "nsqtopic/orders",
    ]);
    namespace
        .cluster()
        .kubectl(&["delete", "namespace", namespace.name(), "--timeout=60s"]);
}

#[test]
fn op_143_a_topic_goes_with_its_object_where_the_policy_says_so() {
    let demo = running("op-143", &quick(2));
    let namespace = &demo.namespace;
    let topic = |name: &str, policy: &str| {
        format!(
            "{{apiVersion: nsq.rs/v1alpha1, kind: NsqTopic, metadata: {{name: {name}}}, \
             spec: {{clusterName: demo, deletionPolicy: {policy}}}}}"
        )
    };
    let policies = [("kept", "Retain"), ("gone", "Delete"), ("full", "DeleteIfEmpty")];
    for (name, policy) in policies {
        namespace.apply(&topic(name, policy));
    }
    for (name, _) in policies {
        let object = format!("nsqtopic/{name}");
        namespace.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", &object]);
    }
    demo.fill("demo-nsqd-1", "full", "c", 3);
    let topics = |pod: &str| {
        let stats = namespace.ask(pod, "GET", "/stats?format=json").json();
        let list = stats["topics"].as_array().cloned().unwrap_or_default();
        let names = list
            .iter()
            .map(|topic| topic["topic_name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    for (name, _) in policies {
        namespace.kubectl(&["delete", "nsqtopic", name, "--wait=false"]);
    }
    eventually(BOUND, || namespace.names("nsqtopic") == ["full"]);
    for pod in ["demo-nsqd-0", "demo-nsqd-1"] {
        assert_eq!(topics(pod), ["full", "kept"]);
    }
    eventually(BOUND, || {
        let status = namespace.get(&["nsqtopic", "full"])["status"].clone();
        let stalled = Namespace::condition(&status, "Stalled");
        stalled["reason"] == "DeleteBlocked" && stalled["message"] == "3 messages left"
    });
    namespace
        .ask("demo-nsqd-1", "POST", "/channel/empty?topic=full&channel=c")
        .expect(200, "");
    eventually(BOUND, || namespace.names("nsqtopic").is_empty());
    assert_eq!(topics("demo-nsqd-1"), ["kept"]);

    // A namespace ends although the cluster ends with it.
    namespace.apply(&topic("last", "Delete"));
    namespace.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "nsqtopic/last"]);
    namespace.kubectl(&["delete", "nsqcluster", "demo", "--wait=false"]);
    namespace.kubectl(&["delete", "nsqtopic", "last", "--timeout=60s"]);
}
