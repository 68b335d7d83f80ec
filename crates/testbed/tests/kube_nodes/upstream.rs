//! Clusters of Go's daemons, and the way from them to ours.

use super::*;

fn upstream(nodes: u32) -> Value {
    let mut spec = quick(nodes);
    spec["image"] = REFERENCE_IMAGE.into();
    spec["nsqd"]["storage"]["whenScaled"] = "DeleteIfDrained".into();
    spec
}

#[test]
fn op_078_op_093_op_094_op_128_a_cluster_of_go_daemons_grows_shrinks_and_becomes_ours() {
    let demo = running("op-078", &upstream(1));
    let namespace = &demo.namespace;
    assert_eq!(namespace.status("demo")["flavor"], "Upstream");
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
    // op_078: nothing joins here, so the operator makes the names as soon as the node answers.
    demo.scale(2);
    let pod = "demo-nsqd-1";
    eventually(BOUND, || {
        let found = namespace.get(&["pod", pod]);
        found["status"]["podIP"].is_string()
            && !found["status"]["containerStatuses"][0]["state"]["running"].is_null()
    });
    eventually(Duration::from_secs(10), || {
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let stats = namespace
                .ask(pod, "GET", "/stats?format=json&topic=orders")
                .json();
            stats["topics"][0]["channels"][0]["channel_name"] == "billing"
        }));
        answer.unwrap_or(false)
    });
    demo.await_nodes(2);

    // op_093: what comes after the seal keeps the node.
    demo.scale(1);
    demo.await_state(pod, "Sealed");
    namespace.connect(pod).publish("orders", b"late");
    demo.await_state(pod, "Draining");
    let taken = demo.take(pod, "orders", "billing", 1);
    assert_eq!(taken[0].body, b"late");
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    // op_094: a node that could not refuse publishes keeps its claim.
    demo.pass(1);
    assert_eq!(namespace.names("pvc"), ["data-demo-nsqd-0", "data-demo-nsqd-1"]);

    // op_128
    let mut publisher = namespace.connect("demo-nsqd-0");
    for number in 0..20 {
        publisher.publish("orders", format!("{number}").as_bytes());
    }
    drop(publisher);
    let before = demo.uids();
    demo.patch(&json!({"image": nsq_testbed::IMAGE}));
    namespace.await_status("demo", "ours", |status| {
        status["flavor"] == "Native" && status["phase"] == "Running" && status["nsqd"]["updated"] == 1
    });
    assert_ne!(demo.uids(), before);
    assert_eq!(
        namespace.ask("demo-nsqd-0", "GET", "/lifecycle").json()["phase"],
        "active"
    );
    assert_eq!(demo.take("demo-nsqd-0", "orders", "billing", 20).len(), 20);
}

/// With OnDelete a pod becomes ours when somebody deletes it, so that one is Go's and one is ours.
#[test]
fn op_104_a_node_without_extensions_is_drained_beside_one_that_has_them() {
    let mut spec = upstream(2);
    spec["nsqd"]["update"]["type"] = "OnDelete".into();
    spec["nsqd"]["drain"] = json!({"settle": "1s", "evacuate": "Always"});
    let demo = running("op-104", &spec);
    let namespace = &demo.namespace;
    let pod = "demo-nsqd-1";
    demo.patch(&json!({"image": nsq_testbed::IMAGE}));
    namespace.await_status("demo", "pending", |status| {
        Namespace::condition(status, "ConfigInSync")["reason"] == "RestartPending"
    });
    namespace.kubectl(&["delete", "pod", "demo-nsqd-0"]);
    namespace.await_status("demo", "mixed", |status| {
        status["release"]
            .as_str()
            .is_some_and(|release| release.contains('\u{2013}'))
            && status["nsqd"]["ready"] == 2
    });
    assert_eq!(
        namespace.status("demo")["extensions"],
        Value::Null,
        "not on every node"
    );
    demo.fill(pod, "t", "c", 5);
    demo.scale(1);
    eventually(BOUND, || demo.endpoints("demo-nsqd-publish") == ["demo-nsqd-0"]);
    demo.await_reason("NoConsumers");
    demo.pass(2);
    assert_eq!(demo.depth(pod, "t", "c"), 5, "nothing is evacuated");
    demo.take(pod, "t", "c", 5);
    demo.await_state(pod, "Sealed");
    namespace
        .ask(pod, "GET", "/config/nsqlookupd_tcp_addresses")
        .expect(200, "[]");
    namespace.await_status("demo", "1/1", |status| status["nsqd"]["replicas"] == 1);
}

/// The StatefulSet of an earlier chart, whose claims have the names that a cluster of that name gives its own.
#[test]
fn a_stateful_set_that_somebody_else_made_hands_its_claims_over() {
    let namespace = Cluster::nodes().namespace("from-chart");
    let labels = json!({"app": "demo"});
    let earlier = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "demo-nsqd"},
        "spec": {
            "replicas": 2, "serviceName": "demo-nsqd", "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "securityContext": {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532},
                    "containers": [{
                        "name": "nsqd", "image": REFERENCE_IMAGE, "command": ["nsqd"],
                        "args": ["--data-path=/data", "--mem-queue-size=10"],
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    }],
                },
            },
            "volumeClaimTemplates": [{
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }],
        },
    });
    namespace.apply(&earlier.to_string());
    let ready =
        |namespace: &Namespace| namespace.get(&["statefulset", "demo-nsqd"])["status"]["readyReplicas"] == 2;
    eventually(BOUND, || ready(&namespace));
    for pod in ["demo-nsqd-0", "demo-nsqd-1"] {
        let answers = || {
            let asked = std::panic::AssertUnwindSafe(|| namespace.ask(pod, "GET", "/ping").text() == "OK");
            std::panic::catch_unwind(asked).unwrap_or(false)
        };
        eventually(BOUND, answers);
        for target in ["/topic/create?topic=t", "/channel/create?topic=t&channel=c"] {
            namespace.ask(pod, "POST", target).expect(200, "");
        }
        let mut publisher = namespace.connect(pod);
        for number in 0..50 {
            publisher.publish("t", format!("{pod} {number}").as_bytes());
        }
    }
    namespace.kubectl(&["delete", "statefulset", "demo-nsqd"]);
    eventually(BOUND, || namespace.names("pod").is_empty());

    let operator = Operator::start(&namespace);
    namespace.apply_cluster("demo", &quick(2));
    namespace.await_running("demo");
    let demo = Running { namespace, operator };
    for pod in ["demo-nsqd-0", "demo-nsqd-1"] {
        let bodies: BTreeSet<Vec<u8>> = demo
            .take(pod, "t", "c", 50)
            .into_iter()
            .map(|message| message.body)
            .collect();
        assert_eq!(bodies.len(), 50, "{pod}");
    }
    demo.namespace.await_event("demo", "VolumeReused");
}
