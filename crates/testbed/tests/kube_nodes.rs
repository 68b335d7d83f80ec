//! The operator with real nodes: kubelets run the pods, real clients publish and consume. Cases of the operator specification,
//! 13.3 to 13.10.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a failed unwrap fails the test; a kubeconfig is read and written whole"
)]

use nsq_testbed::{BOUND, Cluster, Namespace, Operator, printed};
use nsq_testkit::{Conn, eventually};
use serde_json::{Value, json};

/// A cluster that does everything quickly.
fn quick(nodes: u32) -> Value {
    json!({
        "nsqd": {
            "replicas": nodes,
            "joinTimeout": "5s",
            "preStopSeconds": 0,
            "terminationGracePeriodSeconds": 30,
            "storage": {"size": "1Gi"},
            "drain": {"settle": "1s", "evacuate": "Never"},
            "update": {"minReadySeconds": 0},
        },
        "lookupd": {"replicas": 1, "removalDelay": "1s"},
        "admin": {"replicas": 1},
    })
}

struct Running {
    namespace: Namespace,
    operator: Operator,
}

/// A namespace with an operator and a running cluster `demo`.
fn running(name: &str, spec: &Value) -> Running {
    let namespace = Cluster::nodes().namespace(name);
    let operator = Operator::start(&namespace);
    namespace.apply_cluster("demo", spec);
    namespace.await_running("demo");
    Running { namespace, operator }
}

impl Running {
    /// Changes the spec with a merge patch.
    #[track_caller]
    fn patch(&self, spec: &Value) {
        let patch = json!({"spec": spec}).to_string();
        self.namespace
            .kubectl(&["patch", "nsqcluster", "demo", "--type=merge", "-p", &patch]);
    }

    #[track_caller]
    fn scale(&self, nodes: u32) {
        let replicas = format!("--replicas={nodes}");
        self.namespace
            .kubectl(&["scale", "nsqcluster", "demo", &replicas]);
    }

    /// UIDs of the nsqd pods, by ordinal.
    fn uids(&self) -> Vec<String> {
        let list = self
            .namespace
            .get(&["pod", "-l", "app.kubernetes.io/component=nsqd"]);
        let items = list["items"].as_array().unwrap();
        items
            .iter()
            .map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Makes a topic and its channel on a node.
    fn create(&self, pod: &str, topic: &str, channel: &str) {
        let ask = |target: String| self.namespace.ask(pod, "POST", &target).expect(200, "");
        ask(format!("/topic/create?topic={topic}"));
        ask(format!("/channel/create?topic={topic}&channel={channel}"));
    }

    /// Publishes `count` messages to a node, which has the channel.
    fn fill(&self, pod: &str, topic: &str, channel: &str, count: usize) {
        self.create(pod, topic, channel);
        let mut conn = self.namespace.connect(pod);
        for number in 0..count {
            conn.publish(topic, format!("{pod} {number}").as_bytes());
        }
    }

    /// A consumer on a node.
    fn consumer(&self, pod: &str, topic: &str, channel: &str) -> Conn {
        let mut conn = self.namespace.connect(pod);
        conn.subscribe(topic, channel);
        conn.command("RDY 100");
        conn
    }

    /// Messages a node has for a channel.
    fn depth(&self, pod: &str, topic: &str, channel: &str) -> u64 {
        let stats = self
            .namespace
            .ask(pod, "GET", &format!("/stats?format=json&topic={topic}"))
            .json();
        let channels = stats["topics"][0]["channels"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = channels.iter().find(|found| found["channel_name"] == channel);
        found.map_or(0, |found| found["depth"].as_u64().unwrap())
    }

    /// Addresses behind a Service that get traffic.
    fn endpoints(&self, service: &str) -> Vec<String> {
        let selector = format!("kubernetes.io/service-name={service}");
        let list = self.namespace.get(&["endpointslice", "-l", &selector]);
        let mut found = Vec::new();
        for slice in list["items"].as_array().unwrap() {
            for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
                if endpoint["conditions"]["ready"] == true {
                    found.push(
                        endpoint["targetRef"]["name"]
                            .as_str()
                            .unwrap_or_default()
                            .to_owned(),
                    );
                }
            }
        }
        found.sort();
        found
    }
}

#[test]
fn op_028_op_040_op_064_pods_get_ready_and_then_nothing_is_written() {
    let demo = running("op-033", &quick(2));
    let namespace = &demo.namespace;
    namespace.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=60s",
        "nsqcluster",
        "demo",
    ]);
    let status = namespace.status("demo");
    assert_eq!(
        (&status["nsqd"]["registered"], &status["nsqd"]["ready"]),
        (&json!(2), &json!(2)),
        "{status}"
    );
    for ordinal in 0..2 {
        let pod = format!("demo-nsqd-{ordinal}");
        namespace
            .ask(&pod, "GET", "/config/id")
            .expect(200, &ordinal.to_string());
        let info = namespace.ask(&pod, "GET", "/info").json();
        let host = format!("{pod}.demo-nsqd.{}.svc.cluster.local", namespace.name());
        assert_eq!(info["broadcast_address"], host);
        let found = namespace.get(&["pod", &pod]);
        assert_eq!(found["spec"]["securityContext"]["runAsUser"], 65532);
        assert_eq!(
            found["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"],
            true
        );
    }
    assert_eq!(demo.endpoints("demo-nsqd"), ["demo-nsqd-0", "demo-nsqd-1"]);
    assert_eq!(
        demo.endpoints("demo-nsqd-publish"),
        ["demo-nsqd-0", "demo-nsqd-1"]
    );
    assert_eq!(demo.endpoints("demo-nsqlookupd-0").len(), 1);

    // Passes are forced by a change that means nothing.
    let (writes, passes) = (demo.operator.writes(), demo.operator.passes());
    let mut number = 0;
    eventually(BOUND, || {
        number += 1;
        namespace.kubectl(&[
            "annotate",
            "--overwrite",
            "nsqcluster",
            "demo",
            &format!("touched={number}"),
        ]);
        demo.operator.passes() >= passes + 10.0
    });
    assert!(
        (demo.operator.writes() - writes).abs() < 0.5,
        "{}",
        demo.operator.log()
    );
}

#[test]
fn op_070_op_071_more_nodes_leave_the_others_alone_and_find_their_claims_again() {
    let demo = running("op-070", &quick(1));
    let namespace = &demo.namespace;
    let first = demo.uids();
    demo.scale(2);
    namespace.await_status("demo", "2/2", |status| {
        status["nsqd"]["readyText"] == "2/2" && status["phase"] == "Running"
    });
    assert_eq!(demo.uids()[..1], first);
    demo.create("demo-nsqd-1", "t", "c");
    namespace
        .ask("demo-nsqd-1", "POST", "/topic/delete?topic=t")
        .expect(200, "");
    let claim = namespace.get(&["pvc", "data-demo-nsqd-1"])["metadata"]["uid"].clone();
    demo.scale(1);
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    assert_eq!(namespace.names("pvc").len(), 2, "a claim stays by default");
    demo.scale(2);
    namespace.await_status("demo", "2/2", |status| {
        status["nsqd"]["readyText"] == "2/2" && status["phase"] == "Running"
    });
    assert_eq!(
        namespace.get(&["pvc", "data-demo-nsqd-1"])["metadata"]["uid"],
        claim
    );
    assert_eq!(demo.uids()[..1], first);
}

#[test]
fn op_080_op_081_a_node_goes_when_its_consumers_have_everything() {
    let demo = running("op-080", &quick(2));
    let namespace = &demo.namespace;
    demo.fill("demo-nsqd-1", "t", "c", 300);
    demo.scale(1);
    eventually(BOUND, || demo.endpoints("demo-nsqd-publish") == ["demo-nsqd-0"]);
    assert_eq!(demo.endpoints("demo-nsqd"), ["demo-nsqd-0", "demo-nsqd-1"]);
    let status = namespace.await_status("demo", "blocked", |status| {
        status["drain"]["nodes"][0]["blockers"][0]["reason"] == "NoConsumers"
    });
    assert_eq!(status["phase"], "Draining");
    let mut publisher = namespace.connect("demo-nsqd-1");
    publisher.command_with("PUB t", b"late");
    publisher.expect_fatal("E_PUB_FAILED PUB failed draining");
    let mut consumer = demo.consumer("demo-nsqd-1", "t", "c");
    let mut got = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let message = consumer.message();
        got.insert(message.body.clone());
        consumer.finish(&message);
    }
    assert_eq!(got.len(), 300);
    drop(consumer);
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    assert!(namespace.names("pvc").contains(&"data-demo-nsqd-1".to_owned()));
    let events = namespace.events("demo");
    for reason in [
        "Created",
        "DrainStarted",
        "DrainBlocked",
        "NodeSealed",
        "NodeRemoved",
    ] {
        assert_eq!(
            events.iter().filter(|event| *event == reason).count(),
            1,
            "{reason}: {events:?}"
        );
    }
}

#[test]
fn op_084_op_085_what_nobody_consumes_goes_to_the_same_channel_of_a_peer() {
    let mut spec = quick(2);
    spec["nsqd"]["drain"] = json!({"settle": "1s", "evacuate": "WhenStuck", "evacuateAfter": "1s"});
    let demo = running("op-084", &spec);
    let namespace = &demo.namespace;
    for pod in ["demo-nsqd-0", "demo-nsqd-1"] {
        demo.create(pod, "t", "other");
    }
    demo.fill("demo-nsqd-1", "t", "c", 50);
    let mut consumer = demo.consumer("demo-nsqd-1", "t", "other");
    for _ in 0..50 {
        let message = consumer.message();
        consumer.finish(&message);
    }
    namespace
        .ask("demo-nsqd-1", "POST", "/channel/pause?topic=t&channel=c")
        .expect(200, "");
    demo.scale(1);
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    assert_eq!(demo.depth("demo-nsqd-0", "t", "c"), 50);
    assert_eq!(demo.depth("demo-nsqd-0", "t", "other"), 0);
    let stats = namespace
        .ask("demo-nsqd-0", "GET", "/stats?format=json&topic=t&channel=c")
        .json();
    assert_eq!(stats["topics"][0]["channels"][0]["paused"], true, "{stats}");
}

#[test]
fn op_101_a_drain_that_is_called_off_leaves_the_node_as_it_was() {
    let demo = running("op-091", &quick(2));
    let namespace = &demo.namespace;
    demo.fill("demo-nsqd-1", "t", "c", 5);
    demo.scale(1);
    namespace.await_status("demo", "Draining", |status| {
        status["drain"]["nodes"][0]["state"] == "Draining"
    });
    namespace.kubectl(&[
        "patch",
        "nsqcluster",
        "demo",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"drain":null}}"#,
    ]);
    namespace.await_status("demo", "Draining again", |status| {
        status["drain"]["nodes"][0]["state"] == "Draining"
    });
    demo.scale(2);
    namespace.await_status("demo", "2/2", |status| {
        status["nsqd"]["readyText"] == "2/2" && status["phase"] == "Running"
    });
    assert_eq!(
        demo.endpoints("demo-nsqd-publish"),
        ["demo-nsqd-0", "demo-nsqd-1"]
    );
    let lifecycle = namespace.ask("demo-nsqd-1", "GET", "/lifecycle").json();
    assert_eq!(lifecycle["phase"], "active");
    assert_eq!(demo.depth("demo-nsqd-1", "t", "c"), 5);
    assert!(namespace.events("demo").contains(&"DrainCancelled".to_owned()));
}

#[test]
fn at_a_deadline_a_node_goes_with_what_it_has_and_its_claim_stays() {
    let mut spec = quick(2);
    spec["nsqd"]["drain"] =
        json!({"settle": "1s", "evacuate": "Never", "timeout": "2s", "onTimeout": "Force"});
    spec["nsqd"]["storage"]["whenScaled"] = "DeleteIfDrained".into();
    let demo = running("op-092", &spec);
    let namespace = &demo.namespace;
    demo.fill("demo-nsqd-1", "t", "c", 7);
    demo.scale(1);
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    let claim = namespace.get(&["pvc", "data-demo-nsqd-1"]);
    assert_eq!(
        claim["metadata"]["annotations"]["nsq.rs/left-messages"], "7",
        "{claim}"
    );
    assert!(namespace.events("demo").contains(&"DrainForced".to_owned()));

    // The messages come back with the node. Then it is drained, and the claim goes.
    demo.scale(2);
    namespace.await_status("demo", "2/2", |status| {
        status["nsqd"]["readyText"] == "2/2" && status["phase"] == "Running"
    });
    let mut consumer = demo.consumer("demo-nsqd-1", "t", "c");
    for _ in 0..7 {
        let message = consumer.message();
        consumer.finish(&message);
    }
    drop(consumer);
    demo.patch(&json!({"nsqd": {"replicas": 1, "drain": {"timeout": "10m"}}}));
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    eventually(BOUND, || namespace.names("pvc") == ["data-demo-nsqd-0"]);
    assert!(namespace.events("demo").contains(&"VolumeDeleted".to_owned()));
}

#[test]
fn op_125_an_option_that_needs_a_restart_is_rolled_from_the_top_one_by_one() {
    let demo = running("op-110", &quick(2));
    let namespace = &demo.namespace;
    let before = demo.uids();
    let maps = || {
        let names = namespace.names("configmap");
        names
            .into_iter()
            .filter(|name| name.starts_with("demo-nsqd-"))
            .collect::<Vec<_>>()
    };
    let old = maps();
    demo.patch(&json!({"nsqd": {"options": {"maxRdyCount": 3000}}}));
    let status = namespace.await_status("demo", "RollingOut", |status| !status["rollout"].is_null());
    assert_eq!(status["rollout"]["reasons"], json!(["ConfigChanged"]), "{status}");
    let uids = namespace.await_status("demo", "the top pod replaced", |_| {
        let uids = demo.uids();
        uids.len() == 2 && uids[1] != before[1]
    });
    drop(uids);
    namespace.await_status("demo", "Running", |status| {
        status["phase"] == "Running" && status["rollout"].is_null() && status["nsqd"]["updated"] == 2
    });
    let after = demo.uids();
    assert!(
        after[0] != before[0] && after[1] != before[1],
        "{before:?} {after:?}"
    );
    namespace
        .ask("demo-nsqd-0", "GET", "/config/max_rdy_count")
        .expect(200, "3000");
    eventually(BOUND, || maps().len() == 1);
    assert_ne!(maps(), old);
    let set = namespace.get(&["statefulset", "demo-nsqd"]);
    assert_eq!(
        set["spec"]["updateStrategy"]["rollingUpdate"]["partition"], 2,
        "parked again"
    );
    let events = namespace.events("demo");
    assert!(events.contains(&"RolloutStarted".to_owned()) && events.contains(&"RolloutFinished".to_owned()));
}

#[test]
fn op_119_op_121_hot_options_reach_the_nodes_without_a_restart() {
    let demo = running("op-119", &quick(1));
    let namespace = &demo.namespace;
    let before = demo.uids();
    demo.patch(&json!({"nsqd": {"options": {"logLevel": "debug"}}}));
    eventually(BOUND, || {
        namespace.ask("demo-nsqd-0", "GET", "/config/log_level").text() == "1"
    });
    demo.patch(&json!({"lookupd": {"replicas": 2}}));
    let known = || {
        namespace
            .ask("demo-nsqd-0", "GET", "/config/nsqlookupd_tcp_addresses")
            .text()
    };
    eventually(BOUND, || known().contains("nsqlookupd-1"));
    namespace.await_status("demo", "2/2", |status| {
        status["lookupd"]["readyText"] == "2/2" && status["phase"] == "Running"
    });
    eventually(BOUND, || {
        namespace
            .get(&["deployment", "demo-nsqadmin"])
            .to_string()
            .contains("demo-nsqlookupd-1")
    });
    demo.patch(&json!({"lookupd": {"replicas": 1}}));
    eventually(BOUND, || !known().contains("nsqlookupd-1"));
    eventually(BOUND, || {
        !namespace
            .names("deployment")
            .contains(&"demo-nsqlookupd-1".to_owned())
    });
    eventually(BOUND, || {
        !namespace
            .names("service")
            .contains(&"demo-nsqlookupd-1".to_owned())
    });
    assert_eq!(demo.uids(), before);
}

#[test]
fn op_055_stopped_and_paused() {
    let demo = running("op-055", &quick(2));
    let namespace = &demo.namespace;
    demo.fill("demo-nsqd-1", "t", "c", 9);
    demo.patch(&json!({"mode": "Paused", "nsqd": {"replicas": 3}}));
    let status = namespace.await_status("demo", "Paused", |status| status["phase"] == "Paused");
    assert_eq!(status["plan"], json!(["scale nsqd 2 -> 3"]));
    assert_eq!(demo.uids().len(), 2);
    demo.patch(&json!({"mode": "Stopped", "nsqd": {"replicas": 2}}));
    namespace.await_status("demo", "Stopped", |status| status["phase"] == "Stopped");
    eventually(BOUND, || namespace.names("pod").is_empty());
    assert_eq!(namespace.names("pvc").len(), 2);
    demo.patch(&json!({"mode": "Managed"}));
    namespace.await_status("demo", "Running", |status| status["phase"] == "Running");
    eventually(BOUND, || demo.depth("demo-nsqd-1", "t", "c") == 9);
}

#[test]
fn what_goes_with_a_cluster_and_what_stays() {
    let demo = running("op-054", &quick(1));
    let namespace = &demo.namespace;
    namespace.kubectl(&["delete", "nsqcluster", "demo"]);
    for kind in [
        "pod",
        "service",
        "statefulset",
        "deployment",
        "poddisruptionbudget",
        "networkpolicy",
    ] {
        eventually(BOUND, || namespace.names(kind).is_empty());
    }
    assert_eq!(namespace.names("pvc"), ["data-demo-nsqd-0"]);
    eventually(BOUND, || {
        !demo
            .operator
            .metrics()
            .containing("nsq_cluster=\"demo\"")
            .any(|_| true)
    });
}

#[test]
fn declared_topics_and_channels_exist_on_every_node() {
    let demo = running("op-140", &quick(2));
    let namespace = &demo.namespace;
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
    assert_eq!(
        namespace.get(&["nsqchannel", "billing"])["status"]["nodes"],
        "2/2"
    );
    let paused = |pod: &str| {
        let stats = namespace
            .ask(pod, "GET", "/stats?format=json&topic=orders&channel=billing")
            .json();
        stats["topics"][0]["channels"][0]["paused"].clone()
    };
    for pod in ["demo-nsqd-0", "demo-nsqd-1"] {
        eventually(BOUND, || paused(pod) == true);
    }
    namespace.kubectl(&[
        "patch",
        "nsqchannel",
        "billing",
        "--type=merge",
        "-p",
        r#"{"spec":{"paused":false}}"#,
    ]);
    eventually(BOUND, || paused("demo-nsqd-1") == false);
    namespace
        .ask("demo-nsqd-1", "POST", "/topic/delete?topic=orders")
        .expect(200, "");
    // The next pass sees it; a change of anything is one.
    namespace.kubectl(&["annotate", "nsqtopic", "orders", "touched=1"]);
    eventually(BOUND, || paused("demo-nsqd-1") == false);
}

#[test]
fn op_096_a_doomed_pod_that_is_deleted_comes_back_and_is_drained() {
    let demo = running("op-096", &quick(2));
    let namespace = &demo.namespace;
    demo.fill("demo-nsqd-1", "t", "c", 5);
    demo.scale(1);
    namespace.await_status("demo", "Draining", |status| {
        status["drain"]["nodes"][0]["state"] == "Draining"
    });
    let before = demo.uids();
    namespace.kubectl(&["delete", "pod", "demo-nsqd-1", "--wait=false"]);
    eventually(BOUND, || {
        let uids = demo.uids();
        uids.len() == 2 && uids[1] != before[1]
    });
    eventually(BOUND, || {
        let pod = namespace.get(&["pod", "demo-nsqd-1"]);
        pod["metadata"]["labels"]["nsq.rs/publish"] == "disabled" && pod["status"]["phase"] == "Running"
    });
    eventually(BOUND, || demo.depth("demo-nsqd-1", "t", "c") == 5);
    let mut consumer = demo.consumer("demo-nsqd-1", "t", "c");
    for _ in 0..5 {
        let message = consumer.message();
        consumer.finish(&message);
    }
    drop(consumer);
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
}

/// The namespace enforces restricted pod security, the server has the admission plugin that asks for `finalizers`.
#[test]
fn op_178_op_179_the_roles_of_the_install_are_enough_and_nothing_else_is_asked_for() {
    let namespace = Cluster::nodes().namespace("op-178");
    let name = namespace.name();
    namespace.apply(&printed(&[
        "install",
        "--namespace",
        name,
        "--watch-namespaces",
        name,
    ]));
    // The process of this test takes the place of the pod.
    namespace.kubectl(&["delete", "deployment", "nsq-operator"]);
    let token = namespace.kubectl(&["create", "token", "nsq-operator"]);
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let admin = std::fs::read_to_string(namespace.cluster().kubeconfig()).unwrap();
    let mut lines: Vec<String> = admin.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if line.trim_start().starts_with("user: {token:") {
            *line = format!("  user: {{token: {}}}", token.trim());
        }
    }
    std::fs::write(&kubeconfig, lines.join("\n")).unwrap();
    let operator = Operator::start_as(&namespace, kubeconfig.path(), &[]);
    namespace.apply_cluster("demo", &quick(2));
    namespace.await_running("demo");
    namespace.kubectl(&["scale", "nsqcluster", "demo", "--replicas=1"]);
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    let patch = r#"{"spec":{"nsqd":{"pdb":{"enabled":false}}}}"#;
    namespace.kubectl(&["patch", "nsqcluster", "demo", "--type=merge", "-p", patch]);
    eventually(BOUND, || {
        !namespace
            .names("poddisruptionbudget")
            .contains(&"demo-nsqd".to_owned())
    });
    let metrics = operator.metrics();
    let refused: Vec<_> = metrics.containing("code=\"403\"").collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(metrics.containing("resource=\"secrets\"").count(), 0);
    assert!(!operator.log().contains("not told"), "{}", operator.log());
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

#[test]
fn op_130_op_077_claims_grow_while_everything_runs_and_new_ones_have_the_new_size() {
    let demo = running("op-130", &quick(1));
    let namespace = &demo.namespace;
    let set = || {
        let set = namespace.get(&["statefulset", "demo-nsqd"]);
        (
            set["metadata"]["uid"].clone(),
            set["metadata"]["generation"].clone(),
        )
    };
    let (before, uids) = (set(), demo.uids());
    demo.patch(&json!({"nsqd": {"storage": {"size": "2Gi"}}}));
    let claim = |name: &str| namespace.get(&["pvc", name]);
    eventually(BOUND, || {
        claim("data-demo-nsqd-0")["spec"]["resources"]["requests"]["storage"] == "2Gi"
    });
    eventually(BOUND, || {
        claim("data-demo-nsqd-0")["status"]["capacity"]["storage"] == "2Gi"
    });
    let status = namespace.await_status("demo", "grown", |status| status["storage"]["smallest"] == "2Gi");
    let storage = Namespace::condition(&status, "StorageInSync");
    assert_eq!(storage["reason"], "InSync", "{storage}");
    assert_eq!((set(), demo.uids()), (before, uids));
    demo.scale(2);
    namespace.await_status("demo", "2/2", |status| {
        status["nsqd"]["readyText"] == "2/2" && status["phase"] == "Running"
    });
    assert_eq!(
        claim("data-demo-nsqd-1")["spec"]["resources"]["requests"]["storage"],
        "2Gi"
    );
}
