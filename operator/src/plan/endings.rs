//! How declared topics and channels end: what their deletion policy asks for, derived anew in each pass. Source: operator spec 7.4.

use std::time::Duration;

use super::action::{Event, EventReason, Hold, MemberEvent, NodeRequest, RegistryAction, RegistryRequest};
use super::counts::Counts;
use super::draft::Draft;
use super::members::{Has, Member, Owners};
use super::observed::{Facts, Node, since};
use crate::api::{DeletionPolicy, Mode};

/// A node that does not answer for this long after the deletion is not waited for.
const GIVE_UP: Duration = Duration::from_secs(600);

/// Decides about one member; gives why it is still there, if a person should know.
pub(super) fn plan(draft: &mut Draft<'_>, member: &Member<'_>, owners: &Owners<'_>) -> Option<String> {
    let wants_hold = member.policy != DeletionPolicy::Retain;
    let Some(deleted_at) = member.deleted_at else {
        if wants_hold != member.held {
            hold(draft, member, wants_hold);
        }
        return None;
    };
    let mode = draft.observed.cluster.spec.mode;
    if !member.held || mode == Mode::Paused {
        return None;
    }
    let declared_again = owners.contains_key(&(member.topic, member.channel));
    if !wants_hold || declared_again || mode == Mode::Stopped || member.before.is_none() {
        hold(draft, member, false);
        return None;
    }
    let observed = draft.observed;
    let answers = |node: &&Node| node.facts.is_ok();
    let silent: Vec<&str> = observed
        .nodes
        .iter()
        .filter(|node| !answers(node))
        .map(|node| node.name.as_str())
        .collect();
    let give_up = since(observed.now, deleted_at) >= GIVE_UP;
    if member.policy == DeletionPolicy::DeleteIfEmpty {
        let left: i64 = facts(draft).map(|(_, facts)| messages(facts, member)).sum();
        if left > 0 {
            return Some(format!("{left} messages left"));
        }
        if !silent.is_empty() && !give_up {
            return Some(waits_for(&silent));
        }
    }
    let having: Vec<&Node> = facts(draft)
        .filter(|(_, facts)| Has::on(facts, member).itself)
        .map(|(node, _)| node)
        .collect();
    if !having.is_empty() {
        take_from(draft, member, &having);
        return None;
    }
    if !silent.is_empty() && !give_up {
        return Some(waits_for(&silent));
    }
    let deleted = if member.channel.is_some() {
        EventReason::ChannelDeleted
    } else {
        EventReason::TopicDeleted
    };
    let (warning, reason, note) = if silent.is_empty() {
        (
            false,
            deleted,
            format!("{} was deleted everywhere", member.title()),
        )
    } else {
        let note = format!(
            "{} was not deleted on {}, which does not answer; the name may return with it",
            member.title(),
            silent.join(", ")
        );
        (true, EventReason::DeleteBlocked, note)
    };
    draft.tell_of(MemberEvent {
        is_channel: member.channel.is_some(),
        name: member.name.to_owned(),
        event: Event {
            warning,
            reason,
            note,
        },
    });
    let request = member.channel.map_or_else(
        || RegistryRequest::DeleteTopic(member.topic.to_owned()),
        |channel| RegistryRequest::DeleteChannel(member.topic.to_owned(), channel.to_owned()),
    );
    for lookupd in &observed.lookupds {
        draft.registry_actions.push(RegistryAction {
            index: lookupd.index,
            request: request.clone(),
        });
    }
    hold(draft, member, false);
    None
}

fn waits_for(silent: &[&str]) -> String {
    format!("waiting for {} to answer", silent.join(", "))
}

fn facts<'a>(draft: &Draft<'a>) -> impl Iterator<Item = (&'a Node, &'a Facts)> {
    let nodes = draft.observed.nodes.iter();
    nodes.filter_map(|node| Some((node, node.facts.as_ref().ok()?)))
}

/// Publishers and consumers are sent elsewhere before the topic goes, so that nobody makes it anew.
fn take_from(draft: &mut Draft<'_>, member: &Member<'_>, having: &[&Node]) {
    for node in having {
        let topic = member.topic.to_owned();
        if let Some(channel) = member.channel {
            draft.ask(
                node.ordinal,
                NodeRequest::DeleteChannel(topic, channel.to_owned()),
            );
            continue;
        }
        for lookupd in &draft.observed.lookupds {
            draft.registry_actions.push(RegistryAction {
                index: lookupd.index,
                request: RegistryRequest::Tombstone {
                    topic: topic.clone(),
                    node: node.broadcast.clone(),
                },
            });
        }
        draft.ask(node.ordinal, NodeRequest::DeleteTopic(topic));
    }
}

fn hold(draft: &mut Draft<'_>, member: &Member<'_>, held: bool) {
    draft.holds.push(Hold {
        is_channel: member.channel.is_some(),
        name: member.name.to_owned(),
        held,
    });
}

fn messages(facts: &Facts, member: &Member<'_>) -> i64 {
    let mut stats = facts.stats.clone();
    for topic in stats.topics.iter_mut().flatten() {
        if let Some(channel) = member.channel {
            topic.depth = 0;
            topic.channels.retain(|found| found.channel_name == channel);
        }
    }
    if let Some(topics) = &mut stats.topics {
        topics.retain(|topic| topic.topic_name == member.topic);
    }
    Counts::of(&stats).total()
}
