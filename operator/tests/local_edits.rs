//! `local` follows its manifest (operator spec 5.6 to 5.9, 5.12, 7.3, 8.5).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests drive the real program with real files, sockets and clocks, and wait with a bound"
)]

mod local;

use local::{Local, PATIENCE, is_upstream, manifest, with_document};
use nsq_testkit::{Conn, eventually};
use serde_json::{Value, json};

/// Messages of one channel on one node.
fn depth(local: &Local, node: &str, topic: &str) -> i64 {
    let stats = local.json(node, &format!("/stats?format=json&topic={topic}"));
    let of = |value: &Value| {
        value["channels"][0]["depth"].as_i64().unwrap_or(0) + value["depth"].as_i64().unwrap_or(0)
    };
    stats["topics"]
        .as_array()
        .map_or(0, |topics| topics.iter().map(of).sum())
}

fn states(status: &Value) -> Vec<String> {
    let nodes = status["drain"]["nodes"].as_array().cloned().unwrap_or_default();
    nodes
        .iter()
        .filter_map(|node| node["state"].as_str().map(str::to_owned))
        .collect()
}

/// What scaling needs no evacuation for: 1 -> 3 -> 1 with messages on the nodes that go. They stay until consumers have all of them,
/// publishers are kept away meanwhile, and the states follow each other. op_201 is the same with Go's daemons: the reference layer
/// runs this file with them.
#[test]
fn op_201_scale_up_and_drain_with_consumers() {
    let mut local = Local::running(&manifest(1, 1, ""));
    local.edit(&manifest(3, 1, ""));
    local.await_status("3/3", |status| {
        status["nsqd"]["readyText"] == "3/3" && status["phase"] == "Running"
    });
    let nodes = || {
        local.json("nsqlookupd-0", "/nodes")["producers"]
            .as_array()
            .map_or(0, Vec::len)
    };
    eventually(PATIENCE, || nodes() == 3);
    for number in 0..20 {
        let body = format!("message {number}");
        assert_eq!(
            local
                .http("nsqd-2", "POST", "/pub?topic=orders", &body)
                .unwrap()
                .0,
            200
        );
    }
    local
        .http(
            "nsqd-2",
            "POST",
            "/channel/create?topic=orders&channel=billing",
            "",
        )
        .unwrap();
    local.edit(&manifest(1, 1, ""));
    local.await_status("blocked by the channel without consumers", |status| {
        let nodes = status["drain"]["nodes"].as_array().cloned().unwrap_or_default();
        nodes.iter().any(|node| {
            let blocker = &node["blockers"][0];
            node["pod"] == "nsqd-2"
                && blocker["reason"] == "NoConsumers"
                && blocker["messages"] == 20
                && node["state"] == "Draining"
        })
    });
    assert_eq!(local.status()["phase"], "Draining");
    if !is_upstream() {
        let refused = local.http("nsqd-2", "POST", "/pub?topic=orders", "late").unwrap();
        assert_eq!(refused.0, 503, "{refused:?}");
    }
    // nsqd-1 is empty and has to wait for the node above it
    local.await_status("the lower node waits sealed", |status| {
        states(status).contains(&"Sealed".to_owned())
    });
    assert_eq!(depth(&local, "nsqd-2", "orders"), 20);
    let mut consumer = Conn::connect(local.tcp("nsqd-2"));
    consumer.send(b"  V2");
    consumer.subscribe("orders", "billing");
    consumer.command("RDY 5");
    let mut bodies = Vec::new();
    for _ in 0..20 {
        let message = consumer.message();
        bodies.push(String::from_utf8(message.body).unwrap());
        consumer.command(&format!("FIN {}", message.id));
    }
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 20);
    local.await_status("1/1", |status| {
        status["phase"] == "Running" && status["nsqd"]["replicas"] == 1
    });
    let names: Vec<String> = local.pids().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["nsqadmin", "nsqd-0", "nsqlookupd-0"]);
    // the folders of removed nodes stay
    assert!(local.data().join("nsqd-2/nsqd.dat").exists());
    // every state was shown, in its order
    let stdout = local.stdout();
    let seen: Vec<Value> = stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let mut order: Vec<String> = Vec::new();
    for status in &seen {
        let nodes = status["drain"]["nodes"].as_array().cloned().unwrap_or_default();
        for node in nodes.iter().filter(|node| node["pod"] == "nsqd-2") {
            let state = node["state"].as_str().unwrap_or_default().to_owned();
            if order.last() != Some(&state) {
                order.push(state);
            }
        }
    }
    assert_eq!(order, ["Fenced", "Draining", "Sealed", "Removing"]);
    local.stop();
}

/// OP-196: 3 -> 4 -> 2 with messages and nobody who consumes them: the new node joins, the two that leave hand everything to those
/// that stay, deferred and paused messages too.
#[test]
fn op_196_what_nobody_consumes_moves_to_the_nodes_that_stay() {
    if is_upstream() {
        // evacuation is ours
        return;
    }
    let evacuating = |nsqd| {
        let manifest = manifest(nsqd, 1, "");
        manifest.replace("evacuate: Never", "evacuate: WhenStuck, evacuateAfter: 1s")
    };
    let mut local = Local::running(&evacuating(3));
    for target in [
        "/topic/create?topic=orders",
        "/channel/create?topic=orders&channel=billing",
        "/channel/create?topic=orders&channel=paused",
    ] {
        assert_eq!(local.http("nsqd-0", "POST", target, "").unwrap().0, 200);
    }
    let known = || {
        let channels = local.json("nsqlookupd-0", "/channels?topic=orders")["channels"].clone();
        channels == json!(["billing", "paused"])
    };
    eventually(PATIENCE, known);
    local.edit(&evacuating(4));
    local.await_status("4/4", |status| {
        status["nsqd"]["readyText"] == "4/4" && status["phase"] == "Running"
    });
    for node in 0..4 {
        for number in 0..50 {
            let body = format!("{node}-{number}");
            let target = "/pub?topic=orders";
            let published = local
                .http(&format!("nsqd-{node}"), "POST", target, &body)
                .unwrap();
            assert_eq!(published.0, 200);
        }
    }
    let later = local.http("nsqd-3", "POST", "/pub?topic=orders&defer=600000", "later");
    assert_eq!(later.unwrap().0, 200);
    let paused = local.http("nsqd-3", "POST", "/channel/pause?topic=orders&channel=paused", "");
    assert_eq!(paused.unwrap().0, 200);
    local.edit(&evacuating(2));
    local.await_status("2/2", |status| {
        status["phase"] == "Running" && status["nsqd"]["readyText"] == "2/2"
    });
    let names: Vec<String> = local.pids().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["nsqadmin", "nsqd-0", "nsqd-1", "nsqlookupd-0"]);
    let stats = ["nsqd-0", "nsqd-1"].map(|node| local.json(node, "/stats?format=json&topic=orders"));
    let sum = |channel: &str, key: &str| -> i64 {
        let channels = stats
            .iter()
            .flat_map(|stats| stats["topics"][0]["channels"].as_array().unwrap());
        let of = channels.filter(|found| found["channel_name"] == channel);
        of.map(|found| found[key].as_i64().unwrap()).sum()
    };
    for channel in ["billing", "paused"] {
        assert_eq!(
            (sum(channel, "depth"), sum(channel, "deferred_count")),
            (200, 1),
            "{channel}"
        );
    }
    let stdout = local.stdout();
    assert!(
        stdout.contains("\"evacuated\":"),
        "the table shows what was moved: {stdout}"
    );
    let mut bodies = Vec::new();
    for (node, stats) in ["nsqd-0", "nsqd-1"].iter().zip(&stats) {
        let depth = stats["topics"][0]["channels"][0]["depth"].as_i64().unwrap();
        let mut consumer = Conn::connect(local.tcp(node));
        consumer.send(b"  V2");
        consumer.subscribe("orders", "billing");
        consumer.command("RDY 5");
        for _ in 0..depth {
            let message = consumer.message();
            bodies.push(String::from_utf8(message.body).unwrap());
            consumer.command(&format!("FIN {}", message.id));
        }
    }
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 200, "each of them once");
    local.stop();
}

/// A node that joins says what it waits for, and is not sent to before that: nobody consumes the channel, so the wait ends by
/// its timeout.
#[test]
fn a_joining_node_shows_what_it_waits_for() {
    if is_upstream() {
        // the join barrier is ours
        return;
    }
    let mut local = Local::running(&manifest(1, 1, ""));
    assert_eq!(
        local
            .http("nsqd-0", "POST", "/topic/create?topic=orders", "")
            .unwrap()
            .0,
        200
    );
    local
        .http(
            "nsqd-0",
            "POST",
            "/channel/create?topic=orders&channel=billing",
            "",
        )
        .unwrap();
    let known = || local.json("nsqlookupd-0", "/channels?topic=orders")["channels"] == json!(["billing"]);
    eventually(PATIENCE, known);
    local.edit(&manifest(2, 1, ""));
    local.await_status("2/2", |status| {
        status["nsqd"]["readyText"] == "2/2" && status["phase"] == "Running"
    });
    let seen = local.stdout();
    let joining = seen
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|status| {
            status["message"]
                .as_str()
                .is_some_and(|text| text.starts_with("nsqd-1 joining: 1 channel"))
        });
    let joining = joining.unwrap_or_else(|| panic!("never seen joining: {seen}"));
    assert_eq!(joining["phase"], "ScalingUp");
    // it has the channel although nobody created it there
    let stats = local.json("nsqd-1", "/stats?format=json&topic=orders");
    assert_eq!(stats["topics"][0]["channels"][0]["channel_name"], "billing");
    local.stop();
}

/// A drain is called off by raising the count again: the node is active, registered and takes publishes.
#[test]
fn a_drain_is_cancelled() {
    let mut local = Local::running(&manifest(2, 1, ""));
    assert_eq!(local.http("nsqd-1", "POST", "/pub?topic=t", "m").unwrap().0, 200);
    local.edit(&manifest(1, 1, ""));
    local.await_phase("Draining");
    local.edit(&manifest(2, 1, ""));
    local.await_phase("Running");
    eventually(PATIENCE, || {
        local
            .http("nsqd-1", "POST", "/pub?topic=t", "again")
            .is_some_and(|answer| answer.0 == 200)
    });
    assert!(local.status()["drain"].is_null());
    local.await_said("DrainCancelled: nsqd-1 active again");
    assert_eq!(depth(&local, "nsqd-1", "t"), 2);
    local.stop();
}

/// OP-197: a broken edit is told with its line and changes nothing; the fixed one is applied.
#[test]
fn op_197_broken_edit() {
    let good = manifest(1, 1, "");
    let mut local = Local::running(&good);
    let before = local.pids();
    local.edit(&good.replace("replicas: 1\n", "replicas: many\n"));
    local.await_said("error: m.yaml:8: NsqCluster/demo: spec.nsqd.replicas: ");
    local.await_said("the cluster stays as it is");
    assert_eq!(local.pids(), before);
    assert_eq!(local.status()["phase"], "Running");
    // what is not YAML at all, then an empty file as an editor leaves it for a moment
    local.edit("kind: [\n");
    local.await_said("error: m.yaml:");
    local.edit("");
    local.edit(&manifest(2, 1, ""));
    local.await_status("2/2", |status| {
        status["nsqd"]["readyText"] == "2/2" && status["phase"] == "Running"
    });
    let kept: Vec<_> = local
        .pids()
        .into_iter()
        .filter(|found| before.contains(found))
        .collect();
    assert_eq!(kept, before);
    local.stop();
}

/// Log level and list of registries reach running nodes; a removed nsqlookupd answers for a while and then goes.
#[test]
fn hot_options_restart_nobody() {
    let mut local = Local::running(&manifest(2, 1, ""));
    let nodes = |local: &Local| -> Vec<_> {
        local
            .pids()
            .into_iter()
            .filter(|(name, _)| name.starts_with("nsqd-"))
            .collect()
    };
    let before = nodes(&local);
    local.edit(&manifest(2, 2, "    options: {logLevel: debug}\n"));
    eventually(PATIENCE, || {
        ["nsqd-0", "nsqd-1"].iter().all(|node| {
            local.json(node, "/config/log_level") == json!(1)
                && local
                    .json(node, "/config/nsqlookupd_tcp_addresses")
                    .as_array()
                    .map_or(0, Vec::len)
                    == 2
        })
    });
    eventually(PATIENCE, || {
        local.json("nsqlookupd-1", "/nodes")["producers"]
            .as_array()
            .map_or(0, Vec::len)
            == 2
    });
    local.await_phase("Running");
    local.edit(&manifest(2, 1, ""));
    eventually(PATIENCE, || {
        local.pids().iter().all(|(name, _)| name != "nsqlookupd-1")
    });
    for node in ["nsqd-0", "nsqd-1"] {
        assert_eq!(local.json(node, "/config/log_level"), json!(2));
        let list = local.json(node, "/config/nsqlookupd_tcp_addresses");
        assert_eq!(list, json!([local.tcp("nsqlookupd-0").to_string()]));
    }
    assert_eq!(nodes(&local), before);
    local.stop();
}

/// An option that needs a restart: one node at a time, from the top, the next only when the last one is back.
#[test]
fn options_are_rolled_out_one_node_at_a_time() {
    let mut local = Local::running(&manifest(3, 1, ""));
    let before = local.pids();
    local.edit(&manifest(3, 1, "    options: {maxRdyCount: 77}\n"));
    local.await_said("RolloutFinished: all nodes replaced (ConfigChanged)");
    local.await_phase("Running");
    for node in ["nsqd-0", "nsqd-1", "nsqd-2"] {
        assert_eq!(local.json(node, "/config/max_rdy_count"), json!(77));
    }
    let kept: Vec<_> = local
        .pids()
        .into_iter()
        .filter(|found| before.contains(found))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(kept, ["nsqadmin", "nsqlookupd-0"]);
    let mut partitions = Vec::new();
    for status in local
        .stdout()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        assert!(
            status["nsqd"]["ready"].as_i64().unwrap_or(3) >= 2 || partitions.is_empty(),
            "{status}"
        );
        if let Some(partition) = status["rollout"]["partition"].as_i64()
            && partitions.last() != Some(&partition)
        {
            partitions.push(partition);
        }
    }
    assert!(partitions.ends_with(&[2, 1, 0]), "{partitions:?}");
    local.stop();
}

/// Stopped keeps the folders and the count, Managed brings the nodes and their messages back; Paused freezes.
#[test]
fn stop_resume_and_pause() {
    let managed = manifest(2, 1, "");
    let with_mode = |mode: &str| managed.replace("spec:\n", &format!("spec:\n  mode: {mode}\n"));
    let mut local = Local::running(&managed);
    assert_eq!(
        local.http("nsqd-1", "POST", "/pub?topic=t", "kept").unwrap().0,
        200
    );
    local.edit(&with_mode("Stopped"));
    local.await_phase("Stopped");
    eventually(PATIENCE, || local.pids().is_empty());
    local.edit(&managed);
    local.await_phase("Running");
    eventually(PATIENCE, || depth(&local, "nsqd-1", "t") == 1);
    local.edit(&with_mode("Paused").replace("replicas: 2", "replicas: 3"));
    local.await_phase("Paused");
    assert_eq!(local.status()["plan"], json!(["scale nsqd 2 -> 3"]));
    assert_eq!(local.status()["message"], "paused: 1 change pending");
    assert_eq!(local.pids().len(), 4);
    local.edit(&managed);
    local.await_phase("Running");
    local.stop();
}

/// Declared topics and channels exist on every node, also on one that comes later, and are paused as declared.
#[test]
fn declared_topics_and_channels_exist() {
    let topic = "apiVersion: nsq.rs/v1alpha1\nkind: NsqTopic\nmetadata: {name: orders}\nspec: {clusterName: demo, paused: true}\n";
    let channel = "apiVersion: nsq.rs/v1alpha1\nkind: NsqChannel\nmetadata: {name: billing}\nspec: {clusterName: demo, topic: orders}\n";
    let declared = |nodes| with_document(&with_document(&manifest(nodes, 1, ""), topic), channel);
    let mut local = Local::running(&declared(1));
    let there = |local: &Local, node: &str| {
        let stats = local.json(node, "/stats?format=json&topic=orders");
        let topic = &stats["topics"][0];
        topic["paused"] == true && topic["channels"][0]["channel_name"] == "billing"
    };
    eventually(PATIENCE, || there(&local, "nsqd-0"));
    local.edit(&declared(2));
    local.await_status("2/2", |status| status["nsqd"]["readyText"] == "2/2");
    eventually(PATIENCE, || there(&local, "nsqd-1"));
    local.stop();
}

/// What an earlier `local` left with more nodes than the manifest says comes back and is drained.
#[test]
fn nodes_of_an_earlier_life_are_drained() {
    let mut local = Local::running(&manifest(2, 1, ""));
    assert_eq!(
        local.http("nsqd-1", "POST", "/pub?topic=t", "left").unwrap().0,
        200
    );
    local.stop();
    local.edit(&manifest(1, 1, ""));
    local.start_again(&["-f", "m.yaml", "--output", "json"]);
    local.await_status("the topic without a channel", |status| {
        status["drain"]["nodes"][0]["blockers"][0]["reason"] == "TopicWithoutChannel"
    });
    assert_eq!(depth(&local, "nsqd-1", "t"), 1);
    local.stop();
}
