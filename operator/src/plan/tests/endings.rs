//! What a deletion policy asks for: operator spec 7.4.

use super::*;
use crate::api::{ConditionType, MemberStatus, Reason};
use crate::plan::{CLEANUP, Hold, RegistryRequest};
use serde_json::json;

/// Three nodes that have `orders` with 812 messages, and a topic of that name with a deletion policy.
fn declared(policy: &str) -> Observed {
    let mut observed = world(json!({}), 3);
    for ordinal in 0..3 {
        facts(&mut observed, ordinal).stats = stuck();
    }
    let topic = json!({
        "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqTopic",
        "metadata": {"name": "orders", "generation": 1, "finalizers": [CLEANUP]},
        "spec": {"clusterName": "demo", "deletionPolicy": policy},
    });
    observed.topics = vec![serde_json::from_value(topic).unwrap()];
    observed.topics[0].status = Some(MemberStatus::default());
    observed
}

fn delete(observed: &mut Observed) {
    observed.topics[0].metadata.deletion_timestamp = Some(crate::api::Time::from(at(0)));
}

fn holds(plan: &Plan) -> Vec<(&str, bool)> {
    plan.holds
        .iter()
        .map(|hold| (hold.name.as_str(), hold.held))
        .collect()
}

#[test]
fn the_finalizer_follows_the_policy() {
    for (policy, held, expected) in [
        ("Delete", false, Some(true)),
        ("Delete", true, None),
        ("Retain", true, Some(false)),
        ("Retain", false, None),
    ] {
        let mut observed = declared(policy);
        if !held {
            observed.topics[0].metadata.finalizers = None;
        }
        let plan = pass(&mut observed);
        let wanted = expected.map(|held| Hold {
            is_channel: false,
            name: "orders".to_owned(),
            held,
        });
        assert_eq!(plan.holds, Vec::from_iter(wanted), "{policy} {held}");
    }
}

/// What is told about declared topics and channels.
fn told(plan: &Plan) -> Vec<(&str, EventReason)> {
    let told = plan.member_events.iter();
    told.map(|told| (told.name.as_str(), told.event.reason)).collect()
}

#[test]
fn op_143_nodes_first_then_registries_then_the_object() {
    let mut observed = declared("Delete");
    delete(&mut observed);
    let plan = pass(&mut observed);
    for ordinal in 0..3 {
        assert_eq!(
            requests(&plan, ordinal),
            [&NodeRequest::DeleteTopic("orders".to_owned())]
        );
    }
    let tombstones = plan
        .registry_actions
        .iter()
        .filter(|action| matches!(action.request, RegistryRequest::Tombstone { .. }));
    assert_eq!(tombstones.count(), 6, "three nodes in two registries");
    assert!(plan.holds.is_empty());

    for ordinal in 0..3 {
        facts(&mut observed, ordinal).stats = Stats::default();
    }
    let plan = pass(&mut observed);
    assert_eq!(told(&plan), [("orders", EventReason::TopicDeleted)]);
    let expected = RegistryRequest::DeleteTopic("orders".to_owned());
    assert!(
        plan.registry_actions
            .iter()
            .all(|action| action.request == expected)
    );
    assert_eq!(
        (plan.registry_actions.len(), holds(&plan)),
        (2, vec![("orders", false)])
    );
    assert!(plan.node_actions.is_empty(), "it is not made anew");
}

#[test]
fn op_143_what_is_not_empty_stays_and_says_so() {
    let mut observed = declared("DeleteIfEmpty");
    delete(&mut observed);
    let plan = pass(&mut observed);
    assert!(plan.holds.is_empty() && plan.registry_actions.is_empty() && plan.node_actions.is_empty());
    let conditions = &plan.topic_statuses[0].1.conditions;
    let stalled = conditions
        .iter()
        .find(|found| found.kind == ConditionType::Stalled);
    let stalled = stalled.unwrap();
    assert_eq!(
        plan.wake_after,
        std::time::Duration::from_secs(5),
        "nobody tells when it is empty"
    );
    assert_eq!(
        (stalled.reason, stalled.message.as_str()),
        (Reason::DeleteBlocked, "2436 messages left")
    );
}

#[test]
fn op_148_a_node_that_does_not_answer_is_waited_for_ten_minutes() {
    let mut observed = declared("Delete");
    delete(&mut observed);
    for ordinal in 0..2 {
        facts(&mut observed, ordinal).stats = Stats::default();
    }
    observed.nodes[2].facts = Err("no answer".to_owned());
    observed.now = at(599);
    let plan = pass(&mut observed);
    assert!(plan.holds.is_empty() && plan.registry_actions.is_empty());
    observed.now = at(600);
    let plan = pass(&mut observed);
    assert_eq!(holds(&plan), [("orders", false)]);
    assert_eq!(told(&plan), [("orders", EventReason::DeleteBlocked)]);
}

#[test]
fn what_is_declared_again_or_never_was_synced_is_let_go_without_a_request() {
    let mut again = declared("Delete");
    delete(&mut again);
    let mut second = again.topics[0].clone();
    second.metadata.name = Some("orders-2".to_owned());
    second.spec.name = Some("orders".to_owned());
    second.metadata.deletion_timestamp = None;
    again.topics.push(second);
    let mut never = declared("Delete");
    delete(&mut never);
    never.topics[0].status = None;
    let mut stopped = declared("Delete");
    delete(&mut stopped);
    stopped.cluster.spec.mode = crate::api::Mode::Stopped;
    for mut observed in [again, never, stopped] {
        let plan = pass(&mut observed);
        assert!(holds(&plan).contains(&("orders", false)), "{:?}", plan.holds);
        assert!(plan.registry_actions.is_empty());
        let deletes = |action: &NodeAction| matches!(action.request, NodeRequest::DeleteTopic(_));
        assert!(!plan.node_actions.iter().any(deletes));
    }
}
