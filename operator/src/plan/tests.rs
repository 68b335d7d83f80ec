//! The plan as tables: what was seen, what follows.

mod drains;
mod endings;
mod model;
mod properties;
mod rollouts;
mod statuses;
mod worlds;

use super::*;
use crate::api::NsqCluster;
use k8s_openapi::jiff::Timestamp;
use nsq_http_api::lifecycle::{Lifecycle, Phase};
use nsq_http_api::nsqd::{ChannelStats, Info, Stats, TopicStats};
use serde_json::json;

/// Seconds after the start of the test's time.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A cluster of that spec.
fn cluster(spec: serde_json::Value) -> NsqCluster {
    let mut object = json!({
        "apiVersion": "nsq.rs/v1alpha1",
        "kind": "NsqCluster",
        "metadata": {"name": "c", "generation": 1},
    });
    object["spec"] = spec;
    serde_json::from_value(object).unwrap()
}

/// A world of `nodes` ready, registered nodes and two registries.
fn world(spec: serde_json::Value, nodes: i32) -> Observed {
    let lookupds = (0..2).map(lookupd).collect();
    let mut observed = Observed {
        now: at(0),
        cluster: cluster(spec),
        invalid: Vec::new(),
        default_image: "nsq-rs/nsq:1".to_owned(),
        told: Some(nodes),
        nodes: (0..nodes).map(node).collect(),
        lookupds,
        claims: Vec::new(),
        admin: None,
        endpoints: crate::api::Endpoints::default(),
        wanted: Wanted::default(),
        refused: Vec::new(),
        stuck: None,
        settled: true,
        partition: None,
        may_roll: true,
        topics: Vec::new(),
        channels: Vec::new(),
        memory: Memory {
            was_ready: true,
            ..Memory::default()
        },
    };
    register(&mut observed);
    observed
}

/// Lets each registry know the nodes that are told of it.
fn register(observed: &mut Observed) {
    for lookupd in &mut observed.lookupds {
        let listed = |node: &&Node| {
            let facts = node.facts.as_ref();
            facts.is_ok_and(|facts| facts.lookupds.contains(&lookupd.tcp_address))
        };
        let known = observed.nodes.iter().filter(listed);
        lookupd.registered = Ok(known.map(|node| node.broadcast.clone()).collect());
    }
}

fn lookupd(index: i32) -> Lookupd {
    Lookupd {
        index,
        name: format!("nsqlookupd-{index}"),
        life: Life::Ready(at(-100)),
        revision: Revision::default(),
        tcp_address: format!("l{index}:4160"),
        http_address: format!("l{index}:4161"),
        removing_since: None,
        registered: Ok(Vec::new()),
    }
}

fn node(ordinal: i32) -> Node {
    Node {
        ordinal,
        name: format!("c-nsqd-{ordinal}"),
        life: Life::Ready(at(-100)),
        ran: true,
        made: Some(at(-100)),
        revision: Revision::default(),
        outdated: false,
        fenced: false,
        broadcast: Address {
            host: format!("n{ordinal}"),
            http_port: 4151,
        },
        peer: format!("n{ordinal}:4151"),
        facts: Ok(Facts {
            info: Info {
                version: "1.3.0".to_owned(),
                broadcast_address: format!("n{ordinal}"),
                extensions: vec!["lifecycle".to_owned(), "ready".to_owned()],
                ..Info::default()
            },
            stats: Stats::default(),
            lifecycle: Some(Lifecycle::default()),
            lookupds: vec!["l0:4160".to_owned(), "l1:4160".to_owned()],
            log_level: 2,
        }),
    }
}

/// A node without any extension.
fn make_go(node: &mut Node) {
    if let Ok(facts) = &mut node.facts {
        (facts.lifecycle, facts.info.extensions) = (None, Vec::new());
    }
}

fn facts(observed: &mut Observed, ordinal: i32) -> &mut Facts {
    let node = observed
        .nodes
        .iter_mut()
        .find(|node| node.ordinal == ordinal)
        .unwrap();
    node.facts.as_mut().unwrap()
}

/// One channel on one topic.
fn stats(topic: &str, channel: ChannelStats) -> Stats {
    Stats {
        topics: Some(vec![TopicStats {
            topic_name: topic.to_owned(),
            channels: vec![channel],
            ..TopicStats::default()
        }]),
        ..Stats::default()
    }
}

/// 812 messages nobody takes.
fn stuck() -> Stats {
    stats(
        "orders",
        ChannelStats {
            channel_name: "billing".to_owned(),
            depth: 812,
            ..ChannelStats::default()
        },
    )
}

/// One pass: the plan's status and memory become what the next observation has.
fn pass(observed: &mut Observed) -> Plan {
    let plan = plan(observed);
    observed.cluster.status = Some(plan.status.clone());
    observed.memory = plan.memory.clone();
    plan
}

/// A pass in which everything that was asked is done at once, as a world without failures does it.
fn obey(observed: &mut Observed) -> Plan {
    let plan = pass(observed);
    model::apply(observed, &plan);
    plan
}

fn requests(plan: &Plan, ordinal: i32) -> Vec<&NodeRequest> {
    plan.node_actions
        .iter()
        .filter(|action| action.ordinal == ordinal)
        .map(|action| &action.request)
        .collect()
}

fn reasons(plan: &Plan) -> Vec<EventReason> {
    plan.events.iter().map(|event| event.reason).collect()
}
