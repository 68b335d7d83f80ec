//! Rolling restart, registries, hot options, members: operator spec 5.6 to 5.9, 5.12, 7.3.

use super::*;
use crate::api::{ConditionType, NsqTopic, Reason, RolloutReason};
use crate::plan::tests::model::tick;
use serde_json::json;

fn changed() -> Revision {
    Revision {
        config: "new".to_owned(),
        ..Revision::default()
    }
}

fn rolling(nodes: i32) -> Observed {
    let mut observed = world(
        json!({"nsqd": {"replicas": nodes, "update": {"minReadySeconds": 3}}}),
        nodes,
    );
    observed.wanted.nsqd = changed();
    observed
}

fn partition(plan: &Plan) -> i32 {
    plan.shape.as_ref().unwrap().partition
}

#[test]
fn nodes_are_replaced_from_the_top_one_at_a_time() {
    let mut observed = rolling(3);
    let mut seen = Vec::new();
    let mut told = Vec::new();
    for _ in 0..40 {
        let plan = obey(&mut observed);
        told.extend(reasons(&plan));
        if seen.last() != Some(&partition(&plan)) {
            seen.push(partition(&plan));
        }
        tick(&mut observed, 1);
    }
    assert_eq!(seen, [2, 1, 0, 3]);
    assert_eq!(told, [EventReason::RolloutStarted, EventReason::RolloutFinished]);
    assert!(observed.cluster.status.unwrap().rollout.is_none());
}

#[test]
fn the_gate_names_what_it_waits_for() {
    let mut observed = rolling(3);
    let plan = obey(&mut observed);
    assert_eq!(
        plan.status.rollout.as_ref().unwrap().reasons,
        [RolloutReason::ConfigChanged]
    );
    // ready, but one registry does not know it
    observed.lookupds[1].registered = Ok(vec![
        observed.nodes[0].broadcast.clone(),
        observed.nodes[1].broadcast.clone(),
    ]);
    tick(&mut observed, 10);
    let plan = pass(&mut observed);
    assert_eq!(partition(&plan), 2);
    assert_eq!(
        plan.status.message,
        "rolling nsqd 1/3 (ConfigChanged): waiting for nsqd-2 to register in nsqlookupd-1"
    );
    register(&mut observed);
    assert_eq!(partition(&pass(&mut observed)), 1);
    // the next one does not come back: nothing more happens, and it is reported
    observed.nodes[1].revision = changed();
    observed.nodes[1].life = Life::Waiting("CrashLoopBackOff (exit 1)".to_owned());
    observed.nodes[1].facts = Err("refused".to_owned());
    for _ in 0..12 {
        tick(&mut observed, 60);
        assert_eq!(partition(&pass(&mut observed)), 1);
    }
    let status = observed.cluster.status.clone().unwrap();
    assert_eq!(
        status
            .condition(crate::api::ConditionType::Stalled)
            .unwrap()
            .reason,
        Reason::RolloutStuck
    );
    // a repaired spec starts from the top again; the broken node does not hold it up
    observed.wanted.nsqd.config = "repaired".to_owned();
    assert_eq!(partition(&pass(&mut observed)), 2);
}

#[test]
fn a_new_spec_waits_for_the_node_that_is_just_starting() {
    let mut observed = rolling(3);
    obey(&mut observed);
    tick(&mut observed, 5);
    assert_eq!(partition(&obey(&mut observed)), 1);
    observed.nodes[1].life = Life::NotReady("starting".to_owned());
    observed.wanted.nsqd.config = "newer".to_owned();
    let plan = pass(&mut observed);
    assert_eq!(partition(&plan), 3, "{}", plan.status.message);
    observed.nodes[1].life = Life::Ready(observed.now);
    assert_eq!(partition(&pass(&mut observed)), 2);
}

#[test]
fn a_broken_cluster_can_be_repaired() {
    let mut observed = rolling(2);
    for node in &mut observed.nodes {
        node.life = Life::Waiting("CrashLoopBackOff (exit 1)".to_owned());
        node.facts = Err("refused".to_owned());
    }
    assert_eq!(partition(&pass(&mut observed)), 1);
}

#[test]
fn a_drain_comes_before_a_rollout_and_growth_after_it() {
    let mut observed = rolling(3);
    observed.cluster.spec.nsqd.replicas = 2;
    facts(&mut observed, 2).stats = stuck();
    let plan = obey(&mut observed);
    assert_eq!((partition(&plan), plan.status.rollout.is_none()), (3, true));
    let mut observed = rolling(3);
    observed.cluster.spec.nsqd.replicas = 5;
    let plan = obey(&mut observed);
    assert_eq!((partition(&plan), plan.shape.unwrap().replicas.count()), (2, 3));
}

#[test]
fn on_delete_restarts_nobody() {
    let mut observed = rolling(2);
    observed.cluster.spec.nsqd.update.kind = crate::api::UpdateType::OnDelete;
    let plan = pass(&mut observed);
    let condition = plan
        .status
        .condition(crate::api::ConditionType::ConfigInSync)
        .unwrap()
        .clone();
    assert_eq!(
        (condition.reason, condition.message.as_str()),
        (Reason::RestartPending, "c-nsqd-0, c-nsqd-1")
    );
    assert!(plan.status.rollout.is_none());
}

#[test]
fn registries_are_restarted_one_at_a_time_and_before_nodes() {
    let mut observed = rolling(2);
    observed.wanted.lookupd = changed();
    let updates = |plan: &Plan| -> Vec<bool> {
        plan.shape
            .as_ref()
            .unwrap()
            .lookupds
            .iter()
            .map(|lookupd| lookupd.update)
            .collect()
    };
    let plan = pass(&mut observed);
    assert_eq!((updates(&plan), partition(&plan)), (vec![true, false], 2));
    observed.lookupds[0].revision = changed();
    observed.lookupds[0].registered = Ok(Vec::new());
    assert_eq!(
        updates(&pass(&mut observed)),
        [false, false],
        "the first one does not know the nodes yet"
    );
    register(&mut observed);
    assert_eq!(updates(&pass(&mut observed)), [false, true]);
    observed.lookupds[1].revision = changed();
    observed.lookupds[1].life = Life::Waiting("ErrImagePull".to_owned());
    let stalled = |plan: &Plan| plan.status.condition(ConditionType::Stalled).unwrap().clone();
    assert_eq!(stalled(&pass(&mut observed)).reason, Reason::NotStalled);
    tick(&mut observed, 600);
    let stuck = stalled(&pass(&mut observed));
    assert_eq!(
        (stuck.reason, stuck.message.as_str()),
        (
            Reason::RolloutStuck,
            "waiting for nsqlookupd-1 to be ready for more than 600s"
        )
    );
    assert_eq!(partition(&pass(&mut observed)), 2, "nodes wait for it");
    observed.lookupds[1].life = Life::Ready(observed.now);
    assert_eq!(partition(&pass(&mut observed)), 1);
}

#[test]
fn a_new_registry_is_listed_when_ready_and_a_removed_one_answers_for_a_while() {
    let mut observed = world(
        json!({"nsqd": {"replicas": 1}, "lookupd": {"replicas": 3, "removalDelay": "60s"}}),
        1,
    );
    observed.lookupds.push(Lookupd {
        life: Life::NotReady("starting".to_owned()),
        ..lookupd(2)
    });
    assert_eq!(pass(&mut observed).shape.unwrap().register_with, [0, 1]);
    observed.lookupds[2].life = Life::Ready(observed.now);
    let plan = obey(&mut observed);
    let list = ["l0:4160", "l1:4160", "l2:4160"].map(str::to_owned).to_vec();
    assert_eq!(requests(&plan, 0), [&NodeRequest::Lookupds(list)]);
    observed.cluster.spec.lookupd.replicas = 2;
    let plan = obey(&mut observed);
    assert_eq!(facts(&mut observed, 0).lookupds.len(), 2);
    assert!(plan.shape.unwrap().lookupds[2].removing);
    observed.lookupds[2].removing_since = Some(observed.now);
    tick(&mut observed, 60);
    assert_eq!(pass(&mut observed).shape.unwrap().lookupds.len(), 2);
}

#[test]
fn log_level_is_applied_hot() {
    let mut observed = world(
        json!({"nsqd": {"replicas": 1, "options": {"logLevel": "debug"}}}),
        1,
    );
    let plan = obey(&mut observed);
    assert_eq!(
        requests(&plan, 0),
        [&NodeRequest::LogLevel(crate::api::LogLevel::Debug)]
    );
    assert!(pass(&mut observed).node_actions.is_empty());
    observed.refused = vec!["c-nsqd-0: 400".to_owned()];
    let plan = pass(&mut observed);
    let condition = plan
        .status
        .condition(crate::api::ConditionType::ConfigInSync)
        .unwrap();
    assert_eq!(condition.reason, Reason::HotApplyFailed);
    assert_eq!(plan.wake_after, std::time::Duration::from_secs(15));
}

#[test]
fn stopped_keeps_the_count_and_comes_back_with_it() {
    let mut observed = world(json!({"mode": "Stopped", "nsqd": {"replicas": 2}}), 3);
    let plan = obey(&mut observed);
    assert_eq!(plan.shape.as_ref().unwrap().replicas.count(), 3);
    assert!(requests(&plan, 2).contains(&&NodeRequest::Fence(true)));
    let plan = obey(&mut observed);
    assert_eq!(plan.shape.unwrap().replicas.count(), 0);
    assert_eq!(plan.status.nsqd.unwrap().stopped_from, Some(3));
    let plan = obey(&mut observed);
    assert_eq!(plan.status.phase, Some(crate::api::Phase::Stopped));
    assert!(plan.status.is_true(crate::api::ConditionType::Ready));
    observed.cluster.spec.mode = Mode::Managed;
    let plan = obey(&mut observed);
    assert_eq!(plan.shape.unwrap().replicas.count(), 3);
    for _ in 0..20 {
        tick(&mut observed, 15);
        obey(&mut observed);
    }
    assert_eq!(observed.told, Some(2), "then the third node is drained");
}

#[test]
fn paused_writes_nothing_and_says_what_it_would_do() {
    let mut observed = world(
        json!({"mode": "Paused", "nsqd": {"replicas": 5, "options": {"logLevel": "warn"}}}),
        3,
    );
    let plan = pass(&mut observed);
    assert!(plan.shape.is_none() && plan.node_actions.is_empty() && plan.events.is_empty());
    assert_eq!(plan.status.plan[0], "scale nsqd 3 -> 5");
    assert_eq!(plan.status.message, "paused: 4 changes pending");
}

#[test]
fn declared_members_are_created_once_and_the_older_object_wins() {
    let mut observed = world(json!({"nsqd": {"replicas": 1}}), 1);
    let topic = |name: &str, age: &str| -> NsqTopic {
        serde_json::from_value(json!({
            "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqTopic",
            "metadata": {"name": name, "creationTimestamp": age},
            "spec": {"clusterName": "c", "name": "orders"},
        }))
        .unwrap()
    };
    observed.topics = vec![
        topic("b", "2026-01-01T00:00:00Z"),
        topic("a", "2026-01-02T00:00:00Z"),
    ];
    let plan = pass(&mut observed);
    assert_eq!(
        requests(&plan, 0),
        [&NodeRequest::CreateTopic("orders".to_owned())]
    );
    let ready = |plan: &Plan, at: usize| plan.topic_statuses[at].1.conditions[0].reason;
    assert_eq!(
        (ready(&plan, 0), ready(&plan, 1)),
        (Reason::PartiallySynced, Reason::NameTaken)
    );
    facts(&mut observed, 0).stats = stats("orders", ChannelStats::default());
    let plan = pass(&mut observed);
    assert_eq!((ready(&plan, 0), plan.node_actions.len()), (Reason::Synced, 0));
}

#[test]
fn at_most_fifty_requests_go_to_a_node_in_a_pass() {
    let mut observed = world(json!({"nsqd": {"replicas": 1}}), 1);
    observed.topics = (0..120)
        .map(|number| {
            serde_json::from_value(json!({
                "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqTopic",
                "metadata": {"name": format!("t{number}")}, "spec": {"clusterName": "c"},
            }))
            .unwrap()
        })
        .collect();
    let plan = pass(&mut observed);
    assert_eq!((plan.node_actions.len(), plan.wake_after.as_secs()), (50, 1));
}

/// A claim whose volume has grown at `grown` and whose file system waits for the pod.
fn offline(ordinal: i32, grown: i64) -> Claim {
    Claim {
        name: format!("data-c-nsqd-{ordinal}"),
        ordinal,
        pod: format!("c-nsqd-{ordinal}"),
        actual: crate::api::Quantity("10Gi".to_owned()),
        growth: Some(Growth {
            needs_restart: true,
            since: Some(at(grown)),
            message: "waiting for a restart".to_owned(),
        }),
    }
}

#[test]
fn a_volume_that_waits_for_its_pod_restarts_each_pod_once_behind_the_gate() {
    let spec = json!({"nsqd": {
        "replicas": 2,
        "storage": {"size": "20Gi", "resizeRestartAfter": "1m"},
        "update": {"minReadySeconds": 0},
    }});
    let mut observed = world(spec, 2);
    observed.claims = vec![offline(0, 0), offline(1, 0)];
    observed.now = at(59);
    let plan = pass(&mut observed);
    assert!(plan.status.rollout.is_none(), "not yet");
    assert_eq!(plan.wake_after, std::time::Duration::from_secs(1));
    observed.now = at(60);
    let plan = pass(&mut observed);
    assert_eq!(requests(&plan, 1), [&NodeRequest::Restart]);
    assert_eq!(requests(&plan, 0), Vec::<&NodeRequest>::new());
    assert_eq!(
        partition(&plan),
        2,
        "the template stays, and so does the partition"
    );
    let rollout = plan.status.rollout.as_ref().unwrap();
    assert_eq!(rollout.reasons, [RolloutReason::ResizeNeedsRestart]);
    assert_eq!(rollout.pod.as_deref(), Some("c-nsqd-1"));
    assert_eq!(
        reasons(&plan),
        [EventReason::RolloutStarted],
        "nothing was known about claims before"
    );
    let in_sync = plan.status.condition(ConditionType::ConfigInSync).unwrap();
    assert_eq!(in_sync.reason, Reason::InSync, "no option waits for a restart");

    // The new pod has mounted the volume, its condition is still there. The next one waits until the first is ready.
    observed.nodes[1].life = Life::NotReady("not ready".to_owned());
    observed.nodes[1].made = Some(at(61));
    observed.now = at(62);
    assert!(pass(&mut observed).node_actions.is_empty());
    observed.nodes[1].life = Life::Ready(at(63));
    observed.now = at(63);
    let plan = pass(&mut observed);
    assert_eq!(requests(&plan, 0), [&NodeRequest::Restart]);
    observed.nodes[0].made = Some(at(64));
    let plan = pass(&mut observed);
    assert!(plan.node_actions.is_empty() && plan.status.rollout.is_none());
    assert_eq!(reasons(&plan), [EventReason::RolloutFinished]);
}

#[test]
fn with_zero_no_pod_is_restarted_for_its_volume() {
    let spec = json!({"nsqd": {"replicas": 2, "storage": {"size": "20Gi", "resizeRestartAfter": "0s"}}});
    let mut observed = world(spec, 2);
    observed.claims = vec![offline(0, 0), offline(1, 0)];
    observed.now = at(100_000);
    let plan = pass(&mut observed);
    assert!(plan.node_actions.is_empty() && plan.status.rollout.is_none());
}

#[test]
fn another_process_goes_on_with_a_rollout_where_it_was() {
    let mut observed = rolling(3);
    assert_eq!(partition(&pass(&mut observed)), 2);
    observed.memory = Memory::default();
    observed.partition = Some(2);
    observed.nodes[2].life = Life::Stopping;
    let plan = pass(&mut observed);
    assert_eq!(
        partition(&plan),
        2,
        "the node that is on its way gets the new template"
    );
    assert!(plan.events.is_empty(), "it was told before");
    // One that did not come to say so in the status.
    (observed.memory, observed.cluster.status) = (Memory::default(), None);
    let plan = pass(&mut observed);
    assert_eq!(partition(&plan), 2);
    assert!(reasons(&plan).contains(&EventReason::RolloutStarted));
    // Another revision meanwhile: the walk begins again at the top, when the node is back.
    observed.memory = Memory::default();
    observed.partition = None;
    observed.wanted.nsqd.config = "newer".to_owned();
    assert_eq!(partition(&pass(&mut observed)), 3);
    observed.nodes[2].life = Life::Ready(at(-100));
    assert_eq!(partition(&pass(&mut observed)), 2);
}

#[test]
fn nodes_are_added_when_the_world_has_counted_the_replaced_ones() {
    let mut observed = rolling(2);
    for _ in 0..2 {
        obey(&mut observed);
        tick(&mut observed, 3);
    }
    observed.cluster.spec.nsqd.replicas = 3;
    observed.settled = false;
    observed.nodes[0].life = Life::NotReady("not ready".to_owned());
    let plan = pass(&mut observed);
    assert_eq!((partition(&plan), plan.shape.unwrap().replicas.count()), (0, 2));
    assert_eq!(
        plan.status.message,
        "rolling nsqd 2/2 (ConfigChanged): waiting for nsqd-0 to be ready"
    );
    observed.nodes[0].life = Life::Ready(observed.now);
    assert_eq!(pass(&mut observed).shape.unwrap().replicas.count(), 2);
    observed.settled = true;
    let plan = pass(&mut observed);
    assert_eq!(
        reasons(&plan),
        [EventReason::RolloutFinished, EventReason::ScalingUp]
    );
    assert_eq!(plan.shape.unwrap().replicas.count(), 3);
}
