//! What is said about thirty worlds: phase, message, conditions, and what a client makes of them that knows only generation, Ready,
//! Reconciling and Stalled. Operator spec 3.2, 3.4, 12.1.

use std::fmt::Write as _;

use super::*;
use crate::api::{ConditionStatus, ConditionType, Kind, NsqChannel, NsqTopic, Quantity, Reason, Violation};
use crate::crd;
use serde_json::{Value, json};

/// A world, what it looks like, and the verdict.
struct World {
    name: &'static str,
    verdict: &'static str,
    observed: Observed,
}

fn named(name: &'static str, verdict: &'static str, observed: Observed) -> World {
    World {
        name,
        verdict,
        observed,
    }
}

/// A running cluster of three with a change.
fn but(change: impl FnOnce(&mut Observed)) -> Observed {
    let mut observed = world(json!({}), 3);
    change(&mut observed);
    observed
}

/// One of `nodes` nodes that is going to `replicas`, after a pass that fenced it.
fn shrinking(drain: &Value, nodes: i32, replicas: i32, change: impl Fn(&mut Observed)) -> Observed {
    let mut observed = world(json!({"nsqd": {"replicas": replicas, "drain": drain}}), nodes);
    change(&mut observed);
    obey(&mut observed);
    change(&mut observed);
    observed
}

fn silent(observed: &mut Observed, ordinal: i32) {
    let node = observed.nodes.iter_mut().find(|node| node.ordinal == ordinal);
    let node = node.unwrap();
    node.facts = Err("timeout".to_owned());
}

fn claim(actual: &str, growth: Option<bool>) -> Claim {
    Claim {
        name: "data-c-nsqd-0".to_owned(),
        ordinal: 0,
        pod: "c-nsqd-0".to_owned(),
        actual: Quantity(actual.to_owned()),
        growth: growth.map(|needs_restart| Growth {
            needs_restart,
            since: Some(at(-10_000)),
            message: "in the words of the server".to_owned(),
        }),
    }
}

fn worlds() -> Vec<World> {
    let mut all = whole();
    all.extend(unready());
    all.extend(shrinking_worlds());
    all.extend(changing());
    all
}

fn whole() -> Vec<World> {
    vec![
        named("running", "current", but(|_| {})),
        named(
            "no nodes wanted",
            "current",
            world(json!({"nsqd": {"replicas": 0}}), 0),
        ),
        named(
            "stopped",
            "current",
            world(json!({"mode": "Stopped", "nsqd": {"replicas": 2}}), 0),
        ),
        named(
            "stopping",
            "not yet",
            world(json!({"mode": "Stopped", "nsqd": {"replicas": 2}}), 2),
        ),
        named(
            "paused with a change",
            "not yet",
            world(json!({"mode": "Paused", "nsqd": {"replicas": 5}}), 3),
        ),
        named(
            "ephemeral",
            "current",
            world(json!({"nsqd": {"storage": {"type": "Ephemeral"}}}), 3),
        ),
    ]
}

fn unready() -> Vec<World> {
    let waiting = |why: &str| Life::Waiting(why.to_owned());
    vec![
        named(
            "creating",
            "in progress",
            but(|observed| {
                observed.memory.was_ready = false;
                for node in &mut observed.nodes {
                    node.life = waiting("ContainerCreating");
                    node.facts = Err("not running".to_owned());
                }
            }),
        ),
        named("growing", "in progress", {
            let mut observed = world(json!({"nsqd": {"replicas": 4}}), 4);
            let text = "NOT READY - joining: 2 channels without consumers, 61s left";
            observed.nodes[3].life = Life::NotReady(text.to_owned());
            observed
        }),
        named(
            "crash loop",
            "not yet",
            but(|observed| observed.nodes[1].life = waiting("CrashLoopBackOff (exit 1)")),
        ),
        named(
            "disk full",
            "not yet",
            but(|observed| observed.nodes[1].life = Life::NotReady("NOK - no space left".to_owned())),
        ),
        named(
            "no node ready",
            "not yet",
            but(|observed| {
                for node in &mut observed.nodes {
                    node.life = Life::NotReady("NOK - no space left".to_owned());
                }
            }),
        ),
        named(
            "nsqlookupd away",
            "not yet",
            but(|observed| {
                observed.lookupds[1].life = waiting("no pod yet");
                observed.lookupds[1].registered = Err("not running".to_owned());
            }),
        ),
        named(
            "all nsqlookupd away",
            "not yet",
            but(|observed| {
                for lookupd in &mut observed.lookupds {
                    lookupd.life = waiting("no pod yet");
                    lookupd.registered = Err("not running".to_owned());
                }
            }),
        ),
        named(
            "registry incomplete",
            "not yet",
            but(|observed| {
                observed.lookupds[1].registered = Ok(Vec::new());
                observed.memory.incomplete_since = Some(at(-30));
            }),
        ),
        named(
            "wrong address",
            "not yet",
            but(|observed| {
                facts(observed, 0).info.broadcast_address = "elsewhere".to_owned();
                for lookupd in &mut observed.lookupds {
                    lookupd.registered.as_mut().unwrap()[0].host = "elsewhere".to_owned();
                }
                observed.memory.incomplete_since = Some(at(-30));
            }),
        ),
        named(
            "silent node",
            "current",
            but(|observed| {
                silent(observed, 1);
                observed.memory.silent.insert(1, 3);
            }),
        ),
        named(
            "image without /ready",
            "failed",
            but(|observed| observed.nodes[0].life = Life::NotReady(NO_READY.to_owned())),
        ),
    ]
}

fn shrinking_worlds() -> Vec<World> {
    let never = || json!({"evacuate": "Never"});
    let full = |observed: &mut Observed| facts(observed, 2).stats = stuck();
    let mut timed_out = shrinking(&json!({"timeout": "10s"}), 3, 2, full);
    timed_out.now = at(10);
    let mut aborted = shrinking(&json!({"timeout": "10s", "onTimeout": "Abort"}), 3, 2, full);
    aborted.now = at(10);
    pass(&mut aborted);
    let mut blocked = shrinking(&never(), 3, 2, full);
    pass(&mut blocked);
    blocked.now = at(600);
    let mut empty = shrinking(&never(), 3, 2, |_| {});
    obey(&mut empty);
    vec![
        named("no consumers", "in progress", shrinking(&never(), 3, 2, full)),
        named("blocked for ten minutes", "failed", blocked),
        named("deadline passed", "failed", timed_out),
        named("given up at the deadline", "failed", aborted),
        named("empty, settling", "in progress", empty),
        named(
            "unreachable while draining",
            "in progress",
            shrinking(&never(), 3, 2, |observed| silent(observed, 2)),
        ),
        named("to nothing", "in progress", shrinking(&never(), 3, 0, full)),
    ]
}

fn changing() -> Vec<World> {
    let changed = || Revision {
        image: "nsq-rs/nsq:2".to_owned(),
        ..Revision::default()
    };
    let mut stuck_rollout = but(|observed| observed.wanted.nsqd = changed());
    obey(&mut stuck_rollout);
    stuck_rollout.nodes[2].life = Life::Waiting("ErrImagePull".to_owned());
    pass(&mut stuck_rollout);
    stuck_rollout.now = at(600);
    let mut on_delete = world(json!({"nsqd": {"update": {"type": "OnDelete"}}}), 3);
    on_delete.wanted.nsqd = changed();
    let growing = |actual: &str, growth| {
        let actual = actual.to_owned();
        but(move |observed| {
            observed.cluster.spec.nsqd.storage.size = Quantity("20Gi".to_owned());
            observed.cluster.spec.nsqd.storage.resize_restart_after =
                serde_json::from_value(json!("0s")).unwrap();
            observed.claims = vec![claim(&actual, growth)];
        })
    };
    vec![
        named(
            "rolling",
            "in progress",
            but(|observed| observed.wanted.nsqd = changed()),
        ),
        named("rollout stuck", "failed", stuck_rollout),
        named("restart pending", "current", on_delete),
        named(
            "registries rolling",
            "in progress",
            but(|observed| observed.wanted.lookupd = changed()),
        ),
        named(
            "hot option refused",
            "in progress",
            but(|observed| {
                facts(observed, 1).log_level = 4;
                observed.refused = vec!["nsqd-1: HTTP 500".to_owned()];
            }),
        ),
        named(
            "resizing",
            "in progress",
            growing("10Gi", Some(false)).tap(|world| world.now = at(-9_999)),
        ),
        named("file system waits", "in progress", growing("10Gi", Some(true))),
        named("resize failed", "in progress", growing("10Gi", Some(false))),
        named(
            "invalid",
            "failed",
            but(|observed| {
                observed.invalid = vec![Violation {
                    path: "spec.nsqd.drain.settle".to_owned(),
                    message: "drain.settle must be between 1s and 10m".to_owned(),
                }];
            }),
        ),
        named(
            "name conflict",
            "failed",
            but(|observed| {
                let text =
                    "Service c-nsqd exists and belongs to somebody else; rename the cluster or remove it";
                observed.stuck = Some((Reason::NameConflict, text.to_owned()));
            }),
        ),
    ]
}

trait Tap: Sized {
    /// The value after a change.
    fn tap(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Tap for Observed {}

/// What a client that knows only generation, Ready, Reconciling and Stalled makes of a status.
fn verdict(status: &NsqClusterStatus) -> &'static str {
    let is = |kind| status.is_true(kind);
    assert!(!(is(ConditionType::Ready) && is(ConditionType::Stalled)));
    match (
        is(ConditionType::Stalled),
        is(ConditionType::Reconciling),
        is(ConditionType::Ready),
    ) {
        (true, _, _) => "failed",
        (_, true, _) => "in progress",
        (_, _, true) => "current",
        // and what is not ready is waited for
        _ => "not yet",
    }
}

/// op_060, op_061: `worlds.txt` has what is said about each world. `UPDATE_GOLDEN=1` writes it anew; then read the difference.
#[test]
#[allow(clippy::disallowed_methods, reason = "writes the golden file")]
fn op_060_op_061_thirty_worlds_are_described_as_checked_in() {
    let all = worlds();
    assert!(all.len() >= 30, "{}", all.len());
    let mut text = String::new();
    for world in &all {
        let plan = plan(&world.observed);
        let status = &plan.status;
        assert_eq!(verdict(status), world.verdict, "{}: {status:#?}", world.name);
        let phase = status.phase.unwrap();
        let _ = writeln!(text, "{}: {phase}, {}", world.name, world.verdict);
        if !status.message.is_empty() {
            let _ = writeln!(text, "    {}", status.message);
        }
        for condition in &status.conditions {
            let listed = condition.reason.is_listed(condition.kind, condition.status);
            assert!(listed, "{}: {condition:?}", world.name);
            // What is so when nothing is the matter says nothing.
            let usual = matches!(
                condition.reason,
                Reason::Idle | Reason::NotStalled | Reason::InSync | Reason::NotDraining
            );
            if usual {
                continue;
            }
            let (kind, status, reason) = (condition.kind, condition.status, condition.reason);
            let status = match status {
                ConditionStatus::True => "True",
                ConditionStatus::False => "False",
                ConditionStatus::Unknown => "Unknown",
            };
            let message = &condition.message;
            let _ = writeln!(text, "    {kind}={status} {reason} {message}");
        }
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let text = lines.join("\n") + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plan/tests/worlds.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let known = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, known, "run with UPDATE_GOLDEN=1 and read the difference");
}

/// What a path of a printer column finds; the paths have two forms.
fn column<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let condition = path
        .strip_prefix(".status.conditions[?(@.type==\"")
        .and_then(|rest| rest.split_once("\")]."));
    if let Some((kind, field)) = condition {
        let conditions = object["status"]["conditions"].as_array()?;
        let mut conditions = conditions.iter();
        return conditions.find(|condition| condition["type"] == kind)?.get(field);
    }
    object.pointer(&path.replace('.', "/"))
}

#[test]
fn op_068_every_printer_column_finds_its_value() {
    let mut observed = world(json!({}), 3);
    let topic: NsqTopic = serde_json::from_value(json!({
        "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqTopic",
        "metadata": {"name": "orders", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"clusterName": "c", "name": "orders"},
    }))
    .unwrap();
    let channel: NsqChannel = serde_json::from_value(json!({
        "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqChannel",
        "metadata": {"name": "billing", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"clusterName": "c", "topic": "orders", "name": "billing"},
    }))
    .unwrap();
    (observed.topics, observed.channels) = (vec![topic], vec![channel]);
    observed.nodes[1].life = Life::Waiting("ContainerCreating".to_owned());
    let plan = pass(&mut observed);
    let mut cluster = serde_json::to_value(&observed.cluster).unwrap();
    cluster["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut topic = serde_json::to_value(&observed.topics[0]).unwrap();
    topic["status"] = serde_json::to_value(&plan.topic_statuses[0].1).unwrap();
    let mut channel = serde_json::to_value(&observed.channels[0]).unwrap();
    channel["status"] = serde_json::to_value(&plan.channel_statuses[0].1).unwrap();
    for (kind, object) in [
        (Kind::NsqCluster, cluster),
        (Kind::NsqTopic, topic),
        (Kind::NsqChannel, channel),
    ] {
        let definition = crd::definition(kind);
        let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"].clone();
        for known in columns.as_array().unwrap() {
            let path = known["jsonPath"].as_str().unwrap();
            let found = column(&object, path).and_then(Value::as_str);
            assert!(found.is_some(), "{}: {path} in {object:#}", kind.as_str());
        }
    }
}

/// op_066: 1024 nodes with the longest names, each with more blockers than are listed.
#[test]
fn op_066_the_status_of_the_largest_drain_stays_small() {
    let name = "a".repeat(40);
    let mut observed = world(
        json!({"nsqd": {"replicas": 0, "drain": {"evacuate": "Never"}}}),
        1024,
    );
    observed.cluster.metadata.name = Some(name.clone());
    let long = |number: i32, kind: &str| format!("{kind}{number}{}", "x".repeat(64 - kind.len() - 1));
    let topics = (0..9).map(|number| TopicStats {
        topic_name: long(number, "t"),
        channels: vec![ChannelStats {
            channel_name: long(number, "c"),
            depth: i64::MAX / 100_000,
            ..ChannelStats::default()
        }],
        ..TopicStats::default()
    });
    let full = Stats {
        topics: Some(topics.collect()),
        ..Stats::default()
    };
    for ordinal in 0..1024 {
        observed.nodes[ordinal as usize].name = format!("{name}-nsqd-{ordinal}");
        facts(&mut observed, ordinal).stats = full.clone();
    }
    obey(&mut observed);
    let plan = pass(&mut observed);
    let drain = plan.status.drain.as_ref().unwrap();
    assert_eq!(drain.nodes.len(), 64);
    assert!(drain.nodes.iter().all(|node| node.blockers.len() == 2));
    let size = serde_json::to_vec(&plan.status).unwrap().len();
    assert!(size <= 64 << 10, "{size} bytes");
    assert!(
        plan.events.iter().all(|event| event.note.len() <= 1024),
        "{:?}",
        plan.events
    );
}
