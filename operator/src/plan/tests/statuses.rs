//! Phases, messages, conditions: operator spec 3 and 12.1.

use super::*;
use crate::api::{ConditionStatus, ConditionType, Phase as ClusterPhase, Reason};
use crate::plan::tests::model::tick;
use serde_json::json;

/// What a client that knows only generation, Ready, Reconciling and Stalled makes of a status.
fn verdict(plan: &Plan) -> &'static str {
    let is = |kind| plan.status.is_true(kind);
    assert!(!(is(ConditionType::Ready) && is(ConditionType::Stalled)));
    match (
        is(ConditionType::Stalled),
        is(ConditionType::Reconciling),
        is(ConditionType::Ready),
    ) {
        (true, _, _) => "failed",
        (_, true, _) => "in progress",
        (_, _, true) => "current",
        _ => "unknown",
    }
}

fn check(plan: &Plan, phase: ClusterPhase, message: &str, seen: &str) {
    assert_eq!(plan.status.phase, Some(phase));
    assert_eq!(plan.status.message, message);
    assert_eq!(verdict(plan), seen);
    for condition in &plan.status.conditions {
        assert!(
            condition.reason.is_listed(condition.kind, condition.status),
            "{condition:?}"
        );
    }
    let kinds: Vec<ConditionType> = plan
        .status
        .conditions
        .iter()
        .map(|condition| condition.kind)
        .collect();
    assert_eq!(kinds, ConditionType::ALL);
}

#[test]
fn running() {
    let plan = pass(&mut world(json!({}), 3));
    check(&plan, ClusterPhase::Running, "", "current");
    assert_eq!(plan.status.nsqd.as_ref().unwrap().ready_text, "3/3");
    assert_eq!(plan.status.extensions, ["lifecycle", "ready"]);
    assert_eq!(plan.status.version.as_deref(), Some("1.3.0"));
    assert!(plan.node_actions.is_empty() && plan.events.is_empty());
    assert_eq!(plan.wake_after, std::time::Duration::from_secs(300));
}

#[test]
fn creating_scaling_up_and_degraded() {
    let mut observed = world(json!({}), 3);
    observed.memory.was_ready = false;
    for ordinal in [1, 2] {
        observed.nodes[ordinal].life = Life::Waiting("ContainerCreating".to_owned());
        observed.nodes[ordinal].facts = Err("not running".to_owned());
    }
    let plan = pass(&mut observed);
    check(
        &plan,
        ClusterPhase::Creating,
        "waiting for nsqd-1, nsqd-2: ContainerCreating",
        "in progress",
    );

    let mut observed = world(json!({"nsqd": {"replicas": 4}}), 4);
    let text = "NOT READY - joining: 2 channels without consumers, 61s left";
    observed.nodes[3].life = Life::NotReady(text.to_owned());
    let plan = pass(&mut observed);
    let message = "nsqd-3 joining: 2 channels without consumers, 61s left";
    check(&plan, ClusterPhase::ScalingUp, message, "in progress");
    observed.nodes[3].life = Life::Ready(at(0));
    assert_eq!(reasons(&pass(&mut observed)), [EventReason::ScaledUp]);
    assert!(pass(&mut observed).events.is_empty(), "told once");

    let mut observed = world(json!({}), 3);
    observed.nodes[1].life = Life::Waiting("CrashLoopBackOff (exit 1)".to_owned());
    let plan = pass(&mut observed);
    check(
        &plan,
        ClusterPhase::Degraded,
        "nsqd-1 not ready: CrashLoopBackOff (exit 1)",
        "unknown",
    );
    assert_eq!(reasons(&plan), [EventReason::NsqdCrashLooping]);
    assert!(pass(&mut observed).events.is_empty(), "told once");
}

#[test]
fn nothing_available() {
    let mut observed = world(json!({}), 3);
    for node in &mut observed.nodes {
        node.life = Life::NotReady("NOK - disk full".to_owned());
    }
    let available = |plan: &Plan| plan.status.condition(ConditionType::Available).unwrap().reason;
    assert_eq!(available(&pass(&mut observed)), Reason::NoNsqd);
    let mut observed = world(json!({}), 3);
    for lookupd in &mut observed.lookupds {
        lookupd.registered = Err("refused".to_owned());
    }
    assert_eq!(available(&pass(&mut observed)), Reason::NoLookupd);
}

#[test]
fn an_incomplete_registry_is_reported_after_half_a_minute() {
    let mut observed = world(json!({}), 3);
    observed.lookupds[1].registered = Ok(Vec::new());
    let consistent = |plan: &Plan| {
        plan.status
            .condition(ConditionType::RegistryConsistent)
            .unwrap()
            .reason
    };
    assert_eq!(consistent(&pass(&mut observed)), Reason::AllRegistered);
    tick(&mut observed, 30);
    let plan = pass(&mut observed);
    assert_eq!(consistent(&plan), Reason::MissingRegistrations);
    assert_eq!(
        plan.status.message,
        "nsqlookupd-1 does not know c-nsqd-0, c-nsqd-1, c-nsqd-2"
    );
}

#[test]
fn a_wrong_address_is_told_with_both_names() {
    let mut observed = world(json!({}), 1);
    observed.cluster.spec.nsqd.replicas = 1;
    facts(&mut observed, 0).info.broadcast_address = "elsewhere".to_owned();
    let plan = pass(&mut observed);
    let condition = plan.status.condition(ConditionType::RegistryConsistent).unwrap();
    assert_eq!(condition.reason, Reason::WrongBroadcastAddress);
    assert_eq!(condition.message, "c-nsqd-0 announces elsewhere instead of n0");
}

#[test]
fn a_silent_node_flips_a_condition_after_three_passes() {
    let mut observed = world(json!({}), 3);
    observed.nodes[1].facts = Err("timeout".to_owned());
    let status = |plan: &Plan| {
        plan.status
            .condition(ConditionType::RegistryConsistent)
            .unwrap()
            .status
    };
    assert_eq!(status(&pass(&mut observed)), ConditionStatus::True);
    pass(&mut observed);
    assert_eq!(status(&pass(&mut observed)), ConditionStatus::Unknown);
}

#[test]
fn transition_times_change_with_the_status_only() {
    let mut observed = world(json!({}), 3);
    pass(&mut observed);
    tick(&mut observed, 100);
    let plan = pass(&mut observed);
    assert!(
        plan.status
            .conditions
            .iter()
            .all(|condition| condition.last_transition_time.0 == at(0))
    );
    observed.nodes[0].life = Life::NotReady("NOK".to_owned());
    let plan = pass(&mut observed);
    let ready = plan.status.condition(ConditionType::Ready).unwrap();
    assert_eq!(
        (ready.status, ready.last_transition_time.0),
        (ConditionStatus::False, at(100))
    );
}

#[test]
fn no_nodes_wanted_is_ready_and_not_available() {
    let plan = pass(&mut world(json!({"nsqd": {"replicas": 0}}), 0));
    assert!(plan.status.is_true(ConditionType::Ready));
    assert!(!plan.status.is_true(ConditionType::Available));
}

#[test]
fn an_invalid_spec_changes_the_status_only() {
    let mut observed = world(json!({"nsqd": {"replicas": 9}}), 3);
    observed.invalid = vec![crate::api::Violation {
        path: "spec.nsqd.drain.settle".to_owned(),
        message: "drain.settle must be between 1s and 10m".to_owned(),
    }];
    let plan = pass(&mut observed);
    let message = "InvalidSpec: spec.nsqd.drain.settle: drain.settle must be between 1s and 10m";
    check(&plan, ClusterPhase::Stalled, message, "failed");
    assert!(plan.shape.is_none() && plan.node_actions.is_empty());
    assert_eq!(reasons(&plan), [EventReason::InvalidSpec]);
    assert!(pass(&mut observed).events.is_empty(), "told once");
}

#[test]
fn a_native_image_without_ready_is_called_by_its_name() {
    let mut observed = world(json!({}), 3);
    observed.nodes[0].life = Life::NotReady(NO_READY.to_owned());
    let message = "CapabilityMissing: image does not answer /ready; set flavor: Upstream";
    check(&pass(&mut observed), ClusterPhase::Stalled, message, "failed");
}

#[test]
fn a_restarted_operator_writes_the_same_status() {
    let mut observed = world(json!({}), 3);
    observed.nodes[1].facts = Err("no answer".to_owned());
    let passes: Vec<Plan> = (0..4).map(|_| pass(&mut observed)).collect();
    let before = passes[3].status.clone();
    let registry = before.condition(ConditionType::RegistryConsistent);
    assert_eq!(
        registry.map(|condition| condition.reason),
        Some(Reason::Unreachable)
    );
    observed.memory = Memory::recalled(Some(&before));
    assert_eq!(pass(&mut observed).status, before);
}

#[test]
fn a_claim_that_grows_is_waited_for_and_told_when_it_needs_a_person() {
    use crate::api::Quantity;
    let mut observed = world(json!({"nsqd": {"storage": {"size": "20Gi"}}}), 3);
    let claim = |pod: &str, actual: &str, growth: Option<Growth>| Claim {
        name: format!("data-{pod}"),
        ordinal: pod.rsplit_once('-').unwrap().1.parse().unwrap(),
        pod: pod.to_owned(),
        actual: Quantity(actual.to_owned()),
        growth,
    };
    let growth = |needs_restart| Growth {
        needs_restart,
        since: Some(at(0)),
        message: "in the words of the server".to_owned(),
    };
    let all = [
        (
            at(1),
            None,
            Reason::Resizing,
            "growing volumes 10Gi -> 20Gi: nsqd-1 pending",
        ),
        (
            at(1),
            Some(growth(true)),
            Reason::FileSystemResizePending,
            "demo-nsqd-1: in the words of the server",
        ),
        (
            at(1799),
            Some(growth(false)),
            Reason::Resizing,
            "growing volumes 10Gi -> 20Gi: nsqd-1 pending",
        ),
        (
            at(1800),
            Some(growth(false)),
            Reason::ResizeFailed,
            "demo-nsqd-1: in the words of the server; mode: Stopped lets a volume grow offline",
        ),
    ];
    for (now, growth, reason, message) in all {
        observed.now = now;
        observed.claims = vec![
            claim("demo-nsqd-0", "20Gi", None),
            claim("demo-nsqd-1", "10Gi", growth),
            claim("demo-nsqd-2", "", None),
        ];
        let plan = pass(&mut observed);
        let condition = plan.status.condition(ConditionType::StorageInSync).unwrap();
        assert_eq!((condition.reason, condition.message.as_str()), (reason, message));
        assert_eq!(plan.status.phase, Some(ClusterPhase::Resizing));
        let storage = plan.status.storage.as_ref().unwrap();
        assert_eq!(
            (storage.smallest.as_deref(), &storage.pending),
            (Some("10Gi"), &vec!["demo-nsqd-1".to_owned()])
        );
        assert_eq!(plan.wake_after, std::time::Duration::from_secs(30));
    }
}

#[test]
fn growing_volumes_are_told_when_they_begin_and_when_they_end() {
    use crate::api::Quantity;
    let mut observed = world(json!({"nsqd": {"replicas": 1, "storage": {"size": "10Gi"}}}), 1);
    observed.claims = vec![Claim {
        name: "data-c-nsqd-0".to_owned(),
        ordinal: 0,
        pod: "c-nsqd-0".to_owned(),
        actual: Quantity("10Gi".to_owned()),
        growth: None,
    }];
    pass(&mut observed);
    observed.cluster.spec.nsqd.storage.size = Quantity("20Gi".to_owned());
    assert_eq!(reasons(&pass(&mut observed)), [EventReason::VolumeResizing]);
    assert!(pass(&mut observed).events.is_empty(), "told once");
    let text = "PersistentVolumeClaim data-c-nsqd-0: not allowed";
    observed.stuck = Some((Reason::ResizeUnsupported, text.to_owned()));
    let plan = pass(&mut observed);
    assert_eq!(reasons(&plan), [EventReason::ResizeUnsupported]);
    for kind in [ConditionType::StorageInSync, ConditionType::Stalled] {
        let condition = plan.status.condition(kind).unwrap();
        assert_eq!(
            (condition.reason, condition.message.as_str()),
            (Reason::ResizeUnsupported, text)
        );
    }
    observed.stuck = None;
    observed.claims[0].actual = Quantity("20Gi".to_owned());
    assert_eq!(reasons(&pass(&mut observed)), [EventReason::VolumeResized]);
}

#[test]
fn refusals_and_unhealthy_nodes_are_told_once() {
    let mut observed = world(json!({}), 3);
    pass(&mut observed);
    observed.refused = vec!["nsqd-1: HTTP 500".to_owned()];
    observed.nodes[2].life = Life::NotReady("NOK - no space left on device".to_owned());
    let plan = pass(&mut observed);
    assert_eq!(
        reasons(&plan),
        [EventReason::HotApplyFailed, EventReason::NsqdUnhealthy]
    );
    let config = plan.status.condition(ConditionType::ConfigInSync).unwrap();
    assert_eq!(
        (config.reason, config.message.as_str()),
        (Reason::HotApplyFailed, "nsqd-1: HTTP 500")
    );
    assert_eq!(plan.wake_after, std::time::Duration::from_secs(5));
    assert!(pass(&mut observed).events.is_empty(), "told once");
}

#[test]
fn a_claim_of_an_earlier_life_is_told() {
    use crate::api::Quantity;
    let mut observed = world(json!({"nsqd": {"replicas": 2}}), 1);
    observed.claims = vec![Claim {
        name: "data-c-nsqd-1".to_owned(),
        ordinal: 1,
        pod: "c-nsqd-1".to_owned(),
        actual: Quantity("10Gi".to_owned()),
        growth: None,
    }];
    let plan = pass(&mut observed);
    assert_eq!(
        reasons(&plan),
        [EventReason::VolumeReused, EventReason::ScalingUp]
    );
    assert_eq!(
        plan.events[0].note,
        "data-c-nsqd-1 is attached again, with what is on it"
    );
}
