//! Fewer nodes: what keeps them, and what does not get lost.

use super::*;

/// Position of a state in the life of a doomed node.
fn rank(state: &str) -> usize {
    let order = ["Fenced", "Draining", "Sealed", "Removing"];
    order.iter().position(|known| *known == state).unwrap()
}

#[test]
fn op_080_op_081_op_082_op_206_a_node_goes_when_its_consumers_have_everything() {
    const MESSAGES: usize = 1000;
    let demo = running("op-080", &quick(3));
    let namespace = &demo.namespace;
    demo.fill("demo-nsqd-2", "t", "c", MESSAGES);
    let mut consumer = demo.consumer("demo-nsqd-2", "t", "c");
    demo.scale(2);
    let kept = ["demo-nsqd-0", "demo-nsqd-1"];
    // op_081
    eventually(BOUND, || {
        namespace.get(&["pod", "demo-nsqd-2"])["metadata"]["labels"]["nsq.rs/publish"] == "disabled"
    });
    eventually(Duration::from_secs(2), || {
        demo.endpoints("demo-nsqd-publish") == kept
    });
    assert_eq!(demo.endpoints("demo-nsqd").len(), 3);
    // op_082
    eventually(BOUND, || {
        namespace.ask("demo-nsqd-2", "GET", "/lifecycle").json()["phase"] == "draining"
    });
    let mut publisher = namespace.connect("demo-nsqd-2");
    publisher.command_with("PUB t", b"late");
    publisher.expect_fatal("E_PUB_FAILED PUB failed draining");
    let refused = request(
        namespace.pod("demo-nsqd-2", 4151),
        "POST",
        "/pub?topic=t",
        b"late",
    );
    refused.expect(503, r#"{"message":"DRAINING"}"#);
    for pod in demo.endpoints("demo-nsqd-publish") {
        namespace.connect(&pod).publish("elsewhere", b"m");
    }

    let mut got = BTreeSet::new();
    let mut states: Vec<String> = Vec::new();
    let mut remaining: Vec<f64> = Vec::new();
    let series = format!(
        "nsq_operator_drain_remaining_messages{{namespace=\"{}\",nsq_cluster=\"demo\"}}",
        namespace.name()
    );
    let mut look = |demo: &Running| {
        let status = demo.namespace.status("demo");
        if let Some(state) = status["drain"]["nodes"][0]["state"].as_str() {
            states.push(state.to_owned());
        }
        remaining.extend(demo.operator.metrics().get(&series));
        status
    };
    for taken in 0..MESSAGES {
        if taken % 100 == 0 {
            let status = look(&demo);
            assert_eq!(status["nsqd"]["desired"], 3, "it stays while it has messages");
        }
        let message = consumer.message();
        got.insert(message.body.clone());
        consumer.finish(&message);
    }
    assert_eq!(got.len(), MESSAGES);
    eventually(BOUND, || look(&demo)["nsqd"]["replicas"] == 2);
    demo.await_nodes(2);
    drop(consumer);
    let ranks: Vec<usize> = states.iter().map(|state| rank(state)).collect();
    assert!(ranks.is_sorted(), "{states:?}");
    for state in ["Draining", "Sealed"] {
        assert!(states.iter().any(|seen| seen == state), "{state}: {states:?}");
    }
    assert_eq!(remaining.last(), Some(&0.0), "{remaining:?}");
    assert!(remaining.iter().rev().is_sorted(), "{remaining:?}");
    assert!(
        remaining.first().is_some_and(|first| *first > 0.0),
        "{remaining:?}"
    );
    assert!(namespace.names("pvc").contains(&"data-demo-nsqd-2".to_owned()));

    namespace.kubectl(&["delete", "nsqcluster", "demo"]);
    eventually(BOUND, || {
        let metrics = demo.operator.metrics();
        !metrics.containing("nsq_cluster=\"demo\"").any(|_| true)
    });
}

/// The next message, whatever is asked of the client before.
fn receive(conn: &mut Conn) -> Delivery {
    loop {
        match conn.next(BOUND) {
            Next::Frame(frame) if frame.kind == 2 => return frame.delivery(),
            Next::Frame(frame) if frame.is_heartbeat() => conn.command("NOP"),
            other => panic!("a message was due, there is {other:?}"),
        }
    }
}

/// A connection that is seldom asked for heartbeats and has ten seconds for each message.
fn patient(demo: &Running, pod: &str) -> Conn {
    let mut conn = demo.namespace.connect(pod);
    conn.identify(r#"{"msg_timeout":10000,"heartbeat_interval":60000}"#);
    conn.expect_ok();
    conn
}

/// What keeps a node, from the worst to the least, each mended in turn. (That a blocker becomes Stalled after ten minutes is a
/// test of the plan, where time is a value.)
#[test]
fn op_083_op_086_op_088_op_089_op_090_op_102_what_keeps_a_node_is_named_until_it_is_gone() {
    let demo = running("op-083", &quick(2));
    let namespace = &demo.namespace;
    let pod = "demo-nsqd-1";
    let mut publisher = namespace.connect(pod);
    // It would go with its last consumer; one that stays and takes nothing keeps it.
    let mut guard = patient(&demo, pod);
    guard.subscribe("gone", "c#ephemeral");
    publisher.publish_many("gone", &[b"1", b"2", b"3"]);
    publisher.publish("alone", b"1");
    publisher.publish("alone", b"2");
    demo.fill(pod, "idle", "c", 5);
    demo.fill(pod, "held", "c", 1);
    let mut holder = patient(&demo, pod);
    holder.subscribe("held", "c");
    demo.create(pod, "later", "c");
    let mut waiting = patient(&demo, pod);
    waiting.subscribe("later", "c");
    waiting.command("RDY 1");
    publisher.command_with("DPUB later 20000", b"due");
    publisher.expect_ok();

    demo.scale(1);
    assert_eq!(demo.await_reason("TopicWithoutChannel")["phase"], "Draining");
    // A consumer makes the channel.
    demo.take(pod, "alone", "c", 2);
    let status = demo.await_reason("NoConsumers");
    assert!(!status["drain"].to_string().contains("ephemeral"), "{status}");
    demo.take(pod, "idle", "c", 5);
    demo.await_reason("WaitingForDeferred");
    let message = receive(&mut waiting);
    waiting.finish(&message);
    holder.command("RDY 1");
    assert_eq!(receive(&mut holder).attempts, 1);
    holder.command("RDY 0");
    let mut other = demo.consumer(pod, "held", "c");
    demo.await_reason("WaitingForInFlight");
    let message = receive(&mut other);
    assert_eq!(message.attempts, 2, "it came back when its time was over");
    other.finish(&message);
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });

    // op_102: with messages and no node left to take them nothing goes.
    demo.fill("demo-nsqd-0", "last", "c", 4);
    demo.scale(0);
    let status = namespace.await_status("demo", "blocked", |status| {
        let message = status["message"].as_str().unwrap_or_default();
        message.contains("to stop the nodes and keep their data set mode: Stopped")
    });
    assert_eq!(status["nsqd"]["desired"], 1, "{status}");
    demo.scale(1);
    demo.await_nodes(1);
    assert_eq!(demo.depth("demo-nsqd-0", "last", "c"), 4);
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
fn op_091_op_101_a_drain_that_is_called_off_leaves_the_node_as_it_was() {
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
    demo.await_nodes(2);
    let active = || {
        assert_eq!(
            demo.endpoints("demo-nsqd-publish"),
            ["demo-nsqd-0", "demo-nsqd-1"]
        );
        let lifecycle = namespace.ask("demo-nsqd-1", "GET", "/lifecycle").json();
        assert_eq!(lifecycle["phase"], "active");
        assert_eq!(demo.registered(0), ["demo-nsqd-0", "demo-nsqd-1"]);
    };
    active();
    assert_eq!(demo.depth("demo-nsqd-1", "t", "c"), 5);
    namespace.await_event("demo", "DrainCancelled");

    // Sealed, and called off all the same.
    demo.take("demo-nsqd-1", "t", "c", 5);
    demo.scale(1);
    demo.await_state("demo-nsqd-1", "Sealed");
    assert_eq!(demo.registered(0), ["demo-nsqd-0"]);
    demo.scale(2);
    demo.await_nodes(2);
    active();
}

/// op_094 is here for our daemons, and with `op_078_op_093_op_094_op_128_…` for Go's.
#[test]
fn op_076_op_092_op_094_at_a_deadline_a_node_stays_comes_back_or_goes_with_what_it_has() {
    let mut spec = quick(2);
    spec["nsqd"]["drain"] = json!({"settle": "1s", "evacuate": "Never", "timeout": "2s"});
    spec["nsqd"]["storage"]["whenScaled"] = "DeleteIfDrained".into();
    let demo = running("op-092", &spec);
    let namespace = &demo.namespace;
    demo.fill("demo-nsqd-1", "t", "c", 7);
    demo.scale(1);
    let status = namespace.await_status("demo", "timed out", |status| status["phase"] == "Stalled");
    let stalled = Namespace::condition(&status, "Stalled");
    assert_eq!(stalled["reason"], "DrainTimedOut");
    assert_eq!(stalled["message"], "demo-nsqd-1 still has 7 messages after 2s");
    assert_eq!(status["drain"]["nodes"][0]["state"], "Draining", "and goes on");

    demo.patch(&json!({"nsqd": {"drain": {"onTimeout": "Abort"}}}));
    let status = namespace.await_status("demo", "given up", |status| {
        Namespace::condition(status, "Stalled")["reason"] == "DrainAborted"
    });
    assert!(status["drain"]["abortedGeneration"].is_i64(), "{status}");
    eventually(BOUND, || demo.endpoints("demo-nsqd-publish").len() == 2);
    demo.pass(2);
    let lifecycle = namespace.ask("demo-nsqd-1", "GET", "/lifecycle").json();
    assert_eq!(lifecycle["phase"], "active", "not tried again");

    demo.patch(&json!({"nsqd": {"drain": {"onTimeout": "Force"}}}));
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    let claim = namespace.get(&["pvc", "data-demo-nsqd-1"]);
    assert_eq!(
        claim["metadata"]["annotations"]["nsq.rs/left-messages"], "7",
        "{claim}"
    );
    namespace.await_event("demo", "DrainForced");
    let forced = namespace.notes("demo", "DrainForced");
    assert_eq!(forced, ["demo-nsqd-1 removed with 7 messages, its data are kept"]);

    // The messages come back with the node. Then it is drained, and the claim goes.
    demo.scale(2);
    demo.await_nodes(2);
    namespace.await_event("demo", "VolumeReused");
    assert_eq!(
        namespace.notes("demo", "VolumeReused"),
        ["data-demo-nsqd-1 is attached again, with what is on it"]
    );
    demo.take("demo-nsqd-1", "t", "c", 7);
    demo.patch(&json!({"nsqd": {"replicas": 1, "drain": {"timeout": "10m"}}}));
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    eventually(BOUND, || namespace.names("pvc") == ["data-demo-nsqd-0"]);
    namespace.await_event("demo", "VolumeDeleted");
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

#[test]
fn op_095_op_100_op_103_each_node_has_its_own_fate_and_a_rollout_waits() {
    let demo = running("op-095", &quick(3));
    let namespace = &demo.namespace;
    demo.fill("demo-nsqd-2", "t", "c", 3);
    demo.scale(2);
    demo.await_state("demo-nsqd-2", "Draining");
    demo.scale(1);
    demo.await_state("demo-nsqd-1", "Draining");
    demo.scale(2);
    // op_100: the lower one is given back, the upper one goes on.
    let phase = |pod: &str| namespace.ask(pod, "GET", "/lifecycle").json()["phase"].clone();
    eventually(BOUND, || phase("demo-nsqd-1") == "active");
    eventually(BOUND, || {
        demo.endpoints("demo-nsqd-publish") == ["demo-nsqd-0", "demo-nsqd-1"]
    });
    assert_eq!(phase("demo-nsqd-2"), "draining");

    // op_095: only the top may go, so an empty one below it waits.
    demo.scale(1);
    demo.await_state("demo-nsqd-1", "Sealed");
    let uids = demo.uids();
    // op_103
    demo.patch(&json!({"nsqd": {"options": {"maxRdyCount": 3000}}}));
    demo.pass(4);
    let status = namespace.status("demo");
    assert!(status["rollout"].is_null(), "{status}");
    assert_eq!(status["nsqd"]["desired"], 3);
    assert_eq!(demo.uids(), uids);
    demo.take("demo-nsqd-2", "t", "c", 3);
    namespace.await_status("demo", "drained and rolled", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running" && status["nsqd"]["updated"] == 1
    });
    namespace
        .ask("demo-nsqd-0", "GET", "/config/max_rdy_count")
        .expect(200, "3000");
    namespace.await_event("demo", "RolloutStarted");
    let events = namespace.events("demo");
    let place = |reason: &str| events.iter().position(|event| event == reason);
    assert!(place("NodeRemoved") < place("RolloutStarted"), "{events:?}");
}

#[test]
fn op_097_a_node_that_does_not_answer_is_never_removed() {
    let demo = running("op-097", &quick(2));
    let namespace = &demo.namespace;
    demo.fill("demo-nsqd-1", "t", "c", 3);
    let process = demo.process("demo-nsqd-1.demo-nsqd");
    demo.scale(1);
    demo.await_state("demo-nsqd-1", "Draining");
    demo.take("demo-nsqd-1", "t", "c", 3);
    kill_process(process, Signal::STOP).unwrap();
    let status = demo.await_reason("Unreachable");
    let blockers = &status["drain"]["nodes"][0]["blockers"];
    assert_eq!(blockers[0]["reason"], "Unreachable", "{status}");
    demo.pass(4);
    assert_eq!(namespace.status("demo")["nsqd"]["desired"], 2);
    kill_process(process, Signal::CONT).unwrap();
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
}

/// Nothing provides its volume any more, so the node never ran.
#[test]
fn op_098_a_node_that_never_ran_goes_at_once() {
    let cluster = Cluster::nodes();
    let class = format!("vanishing-{}", std::process::id());
    let manifest = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": class},
        "provisioner": "testbed.local/directory", "volumeBindingMode": "WaitForFirstConsumer",
    });
    assert!(
        cluster
            .try_kubectl(&["apply", "-f", "-"], &manifest.to_string())
            .status
            .success()
    );
    let mut spec = quick(1);
    spec["nsqd"]["storage"]["className"] = class.as_str().into();
    let demo = running("op-098", &spec);
    let namespace = &demo.namespace;
    cluster.kubectl(&["delete", "storageclass", &class]);
    demo.scale(2);
    namespace.await_status("demo", "waiting", |status| status["nsqd"]["replicas"] == 2);
    eventually(BOUND, || demo.uids().len() == 2);
    assert_eq!(
        namespace.get(&["pvc", "data-demo-nsqd-1"])["status"]["phase"],
        "Pending"
    );
    demo.scale(1);
    demo.await_nodes(1);
    let events = namespace.events("demo");
    assert!(!events.contains(&"NodeSealed".to_owned()), "{events:?}");
}

#[test]
fn op_087_what_is_deferred_moves_with_its_due_time() {
    const DUE: Duration = Duration::from_secs(40);
    let mut spec = quick(2);
    spec["nsqd"]["drain"] = json!({"settle": "1s", "evacuate": "WhenStuck", "evacuateAfter": "1s"});
    let demo = running("op-087", &spec);
    let namespace = &demo.namespace;
    demo.create("demo-nsqd-1", "t", "c");
    let mut publisher = namespace.connect("demo-nsqd-1");
    let published = std::time::Instant::now();
    publisher.command_with(&format!("DPUB t {}", DUE.as_millis()), b"due");
    publisher.expect_ok();
    demo.scale(1);
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    assert!(published.elapsed() < DUE, "it did not wait for it");
    let mut consumer = demo.consumer("demo-nsqd-0", "t", "c");
    let message = receive(&mut consumer);
    assert_eq!(message.body, b"due");
    assert!(published.elapsed() >= DUE, "{:?}", published.elapsed());
}

#[test]
fn op_105_a_peer_that_dies_in_the_middle_costs_nothing() {
    const BATCHES: usize = 100;
    const EACH: usize = 1000;
    let mut spec = quick(3);
    spec["nsqd"]["drain"] = json!({"settle": "1s", "evacuate": "WhenStuck", "evacuateAfter": "1s"});
    let demo = running("op-105", &spec);
    let namespace = &demo.namespace;
    let source = "demo-nsqd-2";
    demo.create(source, "t", "c");
    let mut publisher = namespace.connect(source);
    for batch in 0..BATCHES {
        let bodies: Vec<String> = (0..EACH)
            .map(|number| format!("{:0100}", batch * EACH + number))
            .collect();
        let bodies: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
        publisher.publish_many("t", &bodies);
    }
    let peer = demo.process("demo-nsqd-0.demo-nsqd");
    let at = namespace.pod(source, 4151);
    demo.scale(2);
    let evacuated = || {
        let drain = request(at, "GET", "/lifecycle", b"").json()["drain"].clone();
        drain["evacuated"].as_u64().unwrap_or(0)
    };
    eventually(BOUND, || evacuated() > 0);
    kill_process(peer, Signal::KILL).unwrap();
    let moved = evacuated();
    assert!(moved < (BATCHES * EACH) as u64, "all of them had moved already");
    demo.await_nodes(2);
    let mut found = BTreeSet::new();
    for pod in ["demo-nsqd-0", "demo-nsqd-1"] {
        let depth = demo.depth(pod, "t", "c");
        let taken = demo.take(pod, "t", "c", usize::try_from(depth).unwrap());
        found.extend(taken.into_iter().map(|message| message.body));
    }
    assert_eq!(found.len(), BATCHES * EACH);
}

#[test]
fn op_067_numbers_that_only_fall_are_written_every_half_minute() {
    const MESSAGES: usize = 40_000;
    const LOOKED: Duration = Duration::from_secs(40);
    let demo = running("op-067", &quick(2));
    let namespace = &demo.namespace;
    let pod = "demo-nsqd-1";
    demo.create(pod, "t", "c");
    let mut publisher = namespace.connect(pod);
    for _ in 0..MESSAGES / 1000 {
        publisher.publish_many("t", &[&b"m"[..]; 1000]);
    }
    let mut consumer = demo.consumer(pod, "t", "c");
    consumer.command("RDY 1");
    demo.scale(1);
    demo.await_state(pod, "Draining");
    // What follows the change of state is written at once.
    demo.pass(1);
    let writes = || {
        let metrics = demo.operator.metrics();
        let all = metrics.containing("nsq_operator_api_writes_total{");
        all.filter(|(series, _)| series.contains("NsqCluster") && series.contains("status"))
            .map(|(_, value)| value)
            .sum::<f64>()
    };
    let depth = || namespace.status("demo")["drain"]["nodes"][0]["depth"].clone();
    let (before, shown) = (writes(), depth());
    let started = std::time::Instant::now();
    while started.elapsed() < LOOKED {
        let message = receive(&mut consumer);
        consumer.finish(&message);
        assert!(demo.depth(pod, "t", "c") > 0, "too fast for this test");
    }
    let written = writes() - before;
    assert!((1.0..=2.0).contains(&written), "{written} writes in {LOOKED:?}");
    assert_ne!(depth(), shown, "and then they are those of now");
}
