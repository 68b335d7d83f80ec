//! More nodes: joining, claims of an earlier life.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Seconds from the start of a pod's container until the pod was ready.
fn seconds_to_ready(pod: &Value) -> i64 {
    let started = &pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"];
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    let second = |at: &Value| {
        let text = at.as_str().unwrap();
        let clock = &text[11..19];
        let parts: Vec<i64> = clock.split(':').map(|part| part.parse().unwrap()).collect();
        parts[0] * 3600 + parts[1] * 60 + parts[2]
    };
    (second(&ready.unwrap()["lastTransitionTime"]) - second(started)).rem_euclid(86_400)
}

#[test]
fn op_070_op_071_op_073_more_nodes_leave_the_others_alone_and_wait_for_consumers() {
    let demo = running("op-070", &quick(3));
    let namespace = &demo.namespace;
    let first = demo.uids();
    demo.create("demo-nsqd-0", "t", "c");
    // Through the scale subresource, as an autoscaler does.
    demo.scale(5);
    namespace.await_status("demo", "joining", |status| {
        let message = status["message"].as_str().unwrap_or_default();
        message.contains("joining: 1 channels without consumers")
    });
    demo.await_nodes(5);
    assert_eq!(demo.uids()[..3], first);
    let list = namespace.get(&["pvc", "--show-managed-fields"]);
    let claims = list["items"].as_array().unwrap();
    for ordinal in [3, 4] {
        let pod = namespace.get(&["pod", &format!("demo-nsqd-{ordinal}")]);
        let waited = seconds_to_ready(&pod);
        assert!(waited >= 5, "ready after {waited}s");
        let name = format!("data-demo-nsqd-{ordinal}");
        let claim = claims
            .iter()
            .find(|claim| claim["metadata"]["name"] == name.as_str());
        let claim = claim.unwrap();
        let made = |object: &Value| {
            object["metadata"]["creationTimestamp"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert!(made(claim) <= made(&pod), "the claim is there first");
        let managers = claim["metadata"]["managedFields"].to_string();
        assert!(
            managers.contains("nsq-operator"),
            "and the operator made it: {managers}"
        );
    }
}

/// What a consumer got that looks for nodes every five seconds, as the client libraries do: by body, and how much each node had accepted when the consumer came.
#[derive(Default)]
struct Got {
    bodies: BTreeSet<String>,
    before: BTreeMap<String, u64>,
}

#[test]
fn op_072_op_074_op_075_nothing_is_published_to_a_node_before_its_consumer_is_there() {
    let mut spec = quick(1);
    spec["nsqd"]["joinTimeout"] = "90s".into();
    let demo = running("op-072", &spec);
    let namespace = &demo.namespace;
    // op_074: nobody knows a topic, so there is nothing to wait for.
    let age = |pod: &str| {
        let lifecycle = namespace.ask(pod, "GET", "/lifecycle").json();
        let started = namespace.ask(pod, "GET", "/info").json()["start_time"].clone();
        assert_eq!(lifecycle["phase"], "active");
        lifecycle["since_ms"].as_i64().unwrap() - 1000 * started.as_i64().unwrap()
    };
    assert!(age("demo-nsqd-0") < 5000);

    // op_075: a node with data does not join again, whether it has consumers or not.
    demo.create("demo-nsqd-0", "t", "c");
    let before = demo.uids();
    namespace.kubectl(&["delete", "pod", "demo-nsqd-0"]);
    eventually(BOUND, || demo.uids().first().is_some_and(|uid| *uid != before[0]));
    demo.await_nodes(1);
    assert!(age("demo-nsqd-0") < 5000);

    // op_072
    let lookupd = namespace.pod(&demo.registry(0), 4161);
    let addresses = || -> Vec<String> {
        let found = request(lookupd, "GET", "/lookup?topic=t", b"").json();
        let producers = found["producers"].as_array().into_iter().flatten();
        let hosts = producers.filter_map(|node| node["broadcast_address"].as_str());
        hosts
            .map(|host| host.split('.').next().unwrap().to_owned())
            .collect()
    };
    let stop = Arc::new(AtomicBool::new(false));
    let (mut got, mut published) = (Got::default(), BTreeSet::new());
    std::thread::scope(|scope| {
        let ends = Arc::clone(&stop);
        let consumer = scope.spawn(|| {
            let ends = ends;
            let mut got = Got::default();
            let mut connections: BTreeMap<String, Conn> = BTreeMap::new();
            let mut polled: Option<std::time::Instant> = None;
            let mut idle = 0;
            while !ends.load(Ordering::Relaxed) || idle < 3 {
                if polled.is_none_or(|at| at.elapsed() >= Duration::from_secs(5)) {
                    polled = Some(std::time::Instant::now());
                    for pod in addresses() {
                        if connections.contains_key(&pod) {
                            continue;
                        }
                        let stats = namespace.ask(&pod, "GET", "/stats?format=json&topic=t").json();
                        let accepted = stats["topics"][0]["message_count"].as_u64().unwrap_or(0);
                        got.before.insert(pod.clone(), accepted);
                        let conn = demo.consumer(&pod, "t", "c");
                        connections.insert(pod, conn);
                    }
                }
                idle += 1;
                for conn in connections.values_mut() {
                    if let Next::Frame(frame) = conn.next(Duration::from_millis(100))
                        && frame.kind == 2
                    {
                        let message = frame.delivery();
                        conn.finish(&message);
                        got.bodies.insert(String::from_utf8(message.body).unwrap());
                        idle = 0;
                    }
                }
            }
            got
        });
        let ends = Arc::clone(&stop);
        // Whoever publishes through the Service gets one of its endpoints.
        let demo = &demo;
        let publisher = scope.spawn(move || {
            let mut published = BTreeSet::new();
            while !ends.load(Ordering::Relaxed) {
                for pod in demo.endpoints("demo-nsqd-publish") {
                    let body = format!("{pod} {}", published.len());
                    let at = namespace.pod(&pod, 4151);
                    let reply = request(at, "POST", "/pub?topic=t", body.as_bytes());
                    assert_eq!(reply.status, 200);
                    published.insert(body);
                }
            }
            published
        });
        demo.scale(2);
        demo.await_nodes(2);
        eventually(BOUND, || {
            let stats = namespace
                .ask("demo-nsqd-1", "GET", "/stats?format=json&topic=t")
                .json();
            stats["topics"][0]["message_count"].as_u64().unwrap_or(0) > 3
        });
        stop.store(true, Ordering::Relaxed);
        published = publisher.join().unwrap();
        got = consumer.join().unwrap();
    });
    assert_eq!(got.before.get("demo-nsqd-1"), Some(&0), "{:?}", got.before);
    let lost: Vec<&String> = published.difference(&got.bodies).collect();
    assert!(
        lost.is_empty(),
        "{} of {} lost: {lost:?}",
        lost.len(),
        published.len()
    );
}
