//! What tests with running pods share.

use std::collections::BTreeSet;

use nsq_testbed::{BOUND, Namespace};
use nsq_testkit::eventually;
use serde_json::{Value, json};

use crate::hashed_objects;

/// A cluster that does everything quickly.
pub(crate) fn quick(nodes: u32) -> Value {
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

/// Makes the wanted number of nodes another one.
#[track_caller]
pub(crate) fn scale(namespace: &Namespace, nodes: u32) {
    namespace.kubectl(&["scale", "nsqcluster", "demo", &format!("--replicas={nodes}")]);
}

/// Publishes `count` messages, each with a body of its own, to a topic with a channel.
pub(crate) fn fill(namespace: &Namespace, pod: &str, topic: &str, channel: &str, count: usize) {
    let ask = |target: String| namespace.ask(pod, "POST", &target).expect(200, "");
    ask(format!("/topic/create?topic={topic}"));
    ask(format!("/channel/create?topic={topic}&channel={channel}"));
    let mut conn = namespace.connect(pod);
    for number in 0..count {
        conn.publish(topic, format!("{pod} {number}").as_bytes());
    }
}

/// Waits until a cluster is Running and has exactly these objects, as they were rendered.
#[track_caller]
pub(crate) fn await_settled(namespace: &Namespace, name: &str, what: &str, wanted: &BTreeSet<String>) {
    let mut found = BTreeSet::new();
    let wait = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually(BOUND, || {
            found = hashed_objects(namespace, name);
            namespace.status(name)["phase"] == "Running" && found == *wanted
        });
    }));
    let missing: Vec<_> = wanted.difference(&found).collect();
    let more: Vec<_> = found.difference(wanted).collect();
    assert!(
        wait.is_ok(),
        "{what}: missing {missing:?}, too many {more:?}: {:#}",
        namespace.status(name)
    );
}
