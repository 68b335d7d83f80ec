//! Scale-down, operator spec 5.7.

use super::*;
use crate::api::{BlockerReason, ConditionType, DrainState, Reason};
use crate::plan::tests::model::tick;
use serde_json::json;

fn drain_state(plan: &Plan, ordinal: i32) -> Option<DrainState> {
    let drain = plan.status.drain.as_ref()?;
    let name = format!("c-nsqd-{ordinal}");
    drain
        .nodes
        .iter()
        .find(|node| node.pod == name)
        .map(|node| node.state)
}

fn draining(plan: &Plan) -> Reason {
    plan.status.condition(ConditionType::Draining).unwrap().reason
}

fn count(plan: &Plan) -> i32 {
    plan.shape.as_ref().unwrap().replicas.count()
}

fn spec(replicas: i32) -> serde_json::Value {
    json!({"nsqd": {"replicas": replicas, "drain": {"settle": "1s", "evacuate": "Never"}}})
}

#[test]
fn an_empty_node_is_fenced_settled_sealed_and_removed() {
    let mut observed = world(spec(1), 2);
    let plan = obey(&mut observed);
    assert_eq!(
        (drain_state(&plan, 1), count(&plan)),
        (Some(DrainState::Fenced), 2)
    );
    let asked = requests(&plan, 1);
    assert!(asked.contains(&&NodeRequest::Fence(true)), "{asked:?}");
    assert!(
        asked
            .iter()
            .any(|request| matches!(request, NodeRequest::Lifecycle(_))),
        "{asked:?}"
    );
    assert_eq!(reasons(&plan), [EventReason::DrainStarted]);

    let plan = obey(&mut observed);
    assert_eq!(
        (drain_state(&plan, 1), draining(&plan)),
        (Some(DrainState::Draining), Reason::Settling)
    );
    assert_eq!(requests(&plan, 1), [] as [&NodeRequest; 0]);

    tick(&mut observed, 1);
    let plan = obey(&mut observed);
    assert_eq!(
        (drain_state(&plan, 1), draining(&plan)),
        (Some(DrainState::Draining), Reason::Sealing)
    );
    assert_eq!(requests(&plan, 1), [&NodeRequest::Lookupds(Vec::new())]);

    let plan = obey(&mut observed);
    assert_eq!(
        (drain_state(&plan, 1), count(&plan)),
        (Some(DrainState::Sealed), 2)
    );
    assert_eq!(reasons(&plan), [EventReason::NodeSealed]);
    tick(&mut observed, 9);
    assert_eq!(count(&obey(&mut observed)), 2);
    tick(&mut observed, 1);
    let plan = obey(&mut observed);
    assert_eq!(
        (drain_state(&plan, 1), count(&plan)),
        (Some(DrainState::Removing), 1)
    );
    assert_eq!(reasons(&plan), [EventReason::NodeRemoved]);
    assert!(!plan.shape.unwrap().replicas.removals()[0].may_delete_data());

    let plan = obey(&mut observed);
    assert_eq!(
        (plan.status.drain.is_none(), draining(&plan)),
        (true, Reason::NotDraining)
    );
    assert_eq!(plan.status.message, "");
}

#[test]
fn messages_keep_a_node_and_the_reason_says_which() {
    let channel = |name: &str| ChannelStats {
        channel_name: name.to_owned(),
        ..ChannelStats::default()
    };
    let with = |change: fn(&mut ChannelStats)| {
        let mut of = channel("billing");
        change(&mut of);
        stats("orders", of)
    };
    let topic = TopicStats {
        topic_name: "orders".to_owned(),
        depth: 5,
        ..TopicStats::default()
    };
    let without_channel = Stats {
        topics: Some(vec![topic]),
        ..Stats::default()
    };
    let table = [
        (
            stuck(),
            Reason::NoConsumers,
            "812 messages left (orders/billing: no consumers)",
        ),
        (
            with(|channel| (channel.depth, channel.paused, channel.client_count) = (3, true, 1)),
            Reason::ChannelPaused,
            "3 messages left (orders/billing: paused)",
        ),
        (
            without_channel,
            Reason::TopicWithoutChannel,
            "5 messages left (orders: no channel)",
        ),
        (
            with(|channel| (channel.deferred_count, channel.client_count) = (1, 1)),
            Reason::WaitingForDeferred,
            "1 message left (orders/billing: deferred)",
        ),
        (
            with(|channel| (channel.in_flight_count, channel.client_count) = (2, 1)),
            Reason::WaitingForInFlight,
            "2 messages left (orders/billing: in flight)",
        ),
        (
            with(|channel| (channel.depth, channel.client_count) = (9, 1)),
            Reason::WaitingForConsumers,
            "9 messages left",
        ),
    ];
    for (stats, reason, line) in table {
        let mut observed = world(spec(1), 2);
        facts(&mut observed, 1).stats = stats;
        obey(&mut observed);
        tick(&mut observed, 100);
        let plan = obey(&mut observed);
        assert_eq!(
            (draining(&plan), drain_state(&plan, 1)),
            (reason, Some(DrainState::Draining))
        );
        assert_eq!(plan.status.message, format!("draining 2 -> 1: nsqd-1 {line}"));
        assert_eq!(count(&plan), 2);
    }
}

#[test]
fn ephemeral_names_do_not_keep_a_node() {
    let mut observed = world(spec(1), 2);
    let channel = ChannelStats {
        channel_name: "c#ephemeral".to_owned(),
        depth: 10,
        ..ChannelStats::default()
    };
    facts(&mut observed, 1).stats = stats("t", channel);
    obey(&mut observed);
    tick(&mut observed, 1);
    assert_eq!(draining(&obey(&mut observed)), Reason::Sealing);
}

#[test]
fn a_node_that_does_not_answer_is_never_empty() {
    let mut observed = world(spec(1), 2);
    observed.nodes[1].facts = Err("timeout".to_owned());
    for _ in 0..50 {
        let plan = obey(&mut observed);
        assert_eq!((draining(&plan), count(&plan)), (Reason::Unreachable, 2));
        tick(&mut observed, 60);
    }
    let stalled = observed.cluster.status.unwrap();
    assert!(stalled.is_true(ConditionType::Stalled));
    assert_eq!(
        stalled.condition(ConditionType::Stalled).unwrap().reason,
        Reason::DrainBlocked
    );
    assert!(!stalled.is_true(ConditionType::Ready));
}

#[test]
fn a_node_that_never_ran_goes_at_once() {
    let mut observed = world(spec(1), 2);
    observed.nodes[1].facts = Err("not running".to_owned());
    observed.nodes[1].life = Life::Waiting("Pending".to_owned());
    observed.nodes[1].ran = false;
    assert_eq!(count(&obey(&mut observed)), 1);
}

#[test]
fn a_late_message_brings_a_sealed_node_back() {
    for go in [false, true] {
        let mut observed = world(spec(1), 2);
        if go {
            make_go(&mut observed.nodes[1]);
        }
        for _ in 0..3 {
            tick(&mut observed, 1);
            obey(&mut observed);
        }
        let plan = obey(&mut observed);
        assert_eq!(drain_state(&plan, 1), Some(DrainState::Sealed), "{go}");
        facts(&mut observed, 1).stats = stuck();
        tick(&mut observed, 20);
        let plan = obey(&mut observed);
        assert_eq!(
            (drain_state(&plan, 1), count(&plan)),
            (Some(DrainState::Draining), 2),
            "{go}"
        );
        let list = vec!["l0:4160".to_owned(), "l1:4160".to_owned()];
        assert_eq!(requests(&plan, 1), [&NodeRequest::Lookupds(list)]);
    }
}

#[test]
fn the_upper_node_goes_first_and_the_lower_one_waits_sealed() {
    let mut observed = world(spec(1), 3);
    facts(&mut observed, 2).stats = stuck();
    obey(&mut observed);
    for _ in 0..5 {
        tick(&mut observed, 6);
        let plan = obey(&mut observed);
        assert_eq!(count(&plan), 3);
    }
    let plan = obey(&mut observed);
    assert_eq!(drain_state(&plan, 1), Some(DrainState::Sealed));
    facts(&mut observed, 2).stats = Stats::default();
    for _ in 0..5 {
        tick(&mut observed, 6);
        obey(&mut observed);
    }
    assert_eq!(observed.told, Some(1));
}

#[test]
fn raising_the_count_cancels_in_every_state() {
    for passes in 0..4 {
        let mut observed = world(spec(1), 2);
        for _ in 0..=passes {
            obey(&mut observed);
            tick(&mut observed, 2);
        }
        observed.cluster.spec.nsqd.replicas = 2;
        let plan = obey(&mut observed);
        assert_eq!(count(&plan), 2);
        assert!(
            reasons(&plan).contains(&EventReason::DrainCancelled),
            "{:?}",
            reasons(&plan)
        );
        let plan = obey(&mut observed);
        assert!(
            plan.status.drain.is_none() && plan.node_actions.is_empty(),
            "{:?}",
            plan.node_actions
        );
        let node = &observed.nodes[1];
        let facts = node.facts.as_ref().unwrap();
        assert!(!node.fenced && facts.lookupds.len() == 2);
        assert_eq!(facts.lifecycle.as_ref().unwrap().phase, Phase::Active);
    }
}

#[test]
fn deadlines_block_abort_and_force() {
    let spec = |on_timeout: &str| json!({"nsqd": {"replicas": 1, "drain": {"timeout": "60s", "onTimeout": on_timeout}}});
    let expired = |on_timeout: &str| {
        let mut observed = world(spec(on_timeout), 2);
        facts(&mut observed, 1).stats = stuck();
        obey(&mut observed);
        tick(&mut observed, 60);
        let plan = obey(&mut observed);
        (observed, plan)
    };
    let stalled = |plan: &Plan| plan.status.condition(ConditionType::Stalled).unwrap().reason;

    let (_, plan) = expired("Block");
    assert_eq!((count(&plan), stalled(&plan)), (2, Reason::DrainTimedOut));
    assert_eq!(
        plan.status.message,
        "DrainTimedOut: c-nsqd-1 still has 812 messages after 60s"
    );

    let (mut observed, plan) = expired("Abort");
    assert_eq!((count(&plan), stalled(&plan)), (2, Reason::DrainAborted));
    assert!(requests(&plan, 1).contains(&&NodeRequest::Fence(false)));
    tick(&mut observed, 600);
    let plan = obey(&mut observed);
    assert_eq!(
        (count(&plan), plan.node_actions.len(), stalled(&plan)),
        (2, 0, Reason::DrainAborted)
    );
    observed.cluster.metadata.generation = Some(2);
    let plan = obey(&mut observed);
    assert!(
        requests(&plan, 1).contains(&&NodeRequest::Fence(true)),
        "a new spec tries again"
    );

    let (_, plan) = expired("Force");
    assert_eq!(count(&plan), 1);
    let removals = plan.shape.as_ref().unwrap().replicas.removals();
    assert_eq!(
        (removals[0].basis(), removals[0].may_delete_data()),
        (Basis::Forced { left: 812 }, false)
    );
    assert!(reasons(&plan).contains(&EventReason::DrainForced));
}

#[test]
fn data_are_deleted_only_after_a_native_drain() {
    let spec = json!({"nsqd": {"replicas": 1, "drain": {"settle": "1s"}, "storage": {"whenScaled": "DeleteIfDrained"}}});
    for native in [true, false] {
        let mut observed = world(spec.clone(), 2);
        if !native {
            make_go(&mut observed.nodes[1]);
        }
        let mut deleted = None;
        for _ in 0..30 {
            tick(&mut observed, 2);
            let plan = obey(&mut observed);
            if let Some(removal) = plan.shape.unwrap().replicas.removals().first() {
                deleted = Some(removal.may_delete_data());
            }
        }
        assert_eq!(deleted, Some(native));
    }
}

#[test]
fn publishers_of_a_go_node_are_seen_by_rising_counts() {
    let mut observed = world(spec(1), 2);
    make_go(&mut observed.nodes[1]);
    let mut published = stuck();
    published.topics.as_mut().unwrap()[0].message_count = 812;
    facts(&mut observed, 1).stats = published.clone();
    obey(&mut observed);
    published.topics.as_mut().unwrap()[0].message_count = 813;
    facts(&mut observed, 1).stats = published;
    let plan = obey(&mut observed);
    assert_eq!(draining(&plan), Reason::PublishersActive);
    let blockers = &plan.status.drain.as_ref().unwrap().nodes[0].blockers;
    assert_eq!(blockers[0].reason, BlockerReason::PublishersActive);
}

#[test]
fn parameters_of_evacuation_are_sent_and_peers_are_those_that_offer_it() {
    let mut observed = world(
        json!({"nsqd": {"replicas": 2, "drain": {"evacuate": "Always", "evacuateAfter": "7s"}}}),
        3,
    );
    facts(&mut observed, 0)
        .info
        .extensions
        .push("evacuate".to_owned());
    let plan = pass(&mut observed);
    let sent = requests(&plan, 2).into_iter().find_map(|request| match request {
        NodeRequest::Lifecycle(wanted) => Some(wanted.clone()),
        _ => None,
    });
    let sent = sent.unwrap();
    assert_eq!(
        (sent.after_ms, sent.peers),
        (Some(7000), Some(vec!["n0:4151".to_owned()]))
    );
    assert_eq!(sent.evacuate, Some(nsq_http_api::lifecycle::Evacuate::Always));
}

#[test]
fn scaling_to_zero_with_messages_points_to_mode_stopped() {
    let mut observed = world(spec(0), 1);
    facts(&mut observed, 0).stats = stuck();
    let plan = obey(&mut observed);
    assert!(
        plan.status
            .message
            .ends_with("; to stop the nodes and keep their data set mode: Stopped"),
        "{}",
        plan.status.message
    );
}

#[test]
fn a_wiped_memory_costs_time_only() {
    let mut observed = world(spec(1), 2);
    obey(&mut observed);
    tick(&mut observed, 2);
    obey(&mut observed);
    obey(&mut observed);
    observed.cluster.status = None;
    observed.memory = Memory::default();
    for _ in 0..6 {
        tick(&mut observed, 5);
        obey(&mut observed);
    }
    assert_eq!(observed.told, Some(1));
}

#[test]
fn the_progress_of_a_long_drain_is_told_every_five_minutes() {
    let mut observed = world(
        json!({"nsqd": {"replicas": 2, "drain": {"evacuate": "Never"}}}),
        3,
    );
    facts(&mut observed, 2).stats = stuck();
    let told = |plan: &Plan| {
        let of = |event: &&Event| event.reason == EventReason::DrainProgress;
        plan.events
            .iter()
            .filter(of)
            .map(|event| event.note.clone())
            .collect::<Vec<_>>()
    };
    obey(&mut observed);
    for (second, expected) in [(299, 0), (300, 1), (301, 0), (599, 0), (600, 1)] {
        observed.now = at(second);
        let told = told(&obey(&mut observed));
        assert_eq!(told.len(), expected, "{second}: {told:?}");
        assert!(
            told.iter()
                .all(|note| note == "draining 3 -> 2, 812 messages left"),
            "{told:?}"
        );
    }
}
