//! Declared topics and channels: what is missing on a node is created there, what is declared paused is kept so.
//! Source: operator spec 7.3.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;

use super::action::{CLEANUP, NodeRequest};
use super::draft::Draft;
use super::endings;
use super::observed::{Facts, Node, Observed};
use super::status::condition;
use crate::api::{
    ConditionStatus, ConditionType, DeletionPolicy, MemberStatus, Mode, NsqChannel, NsqTopic, Reason,
};

/// Requests to one node in one pass; the rest follows in the next.
const MAX_REQUESTS: usize = 50;

/// Statuses of the declared objects, by object name.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) topics: Vec<(String, MemberStatus)>,
    pub(super) channels: Vec<(String, MemberStatus)>,
    /// Something was asked of a node.
    pub(super) busy: bool,
    /// Something that is being deleted waits for what nobody tells.
    pub(super) waiting: bool,
}

/// A declared topic or channel; `channel` is none for a topic.
pub(super) struct Member<'a> {
    pub(super) topic: &'a str,
    pub(super) channel: Option<&'a str>,
    paused: Option<bool>,
    has_policy: bool,
    pub(super) name: &'a str,
    age: Option<&'a crate::api::Time>,
    generation: Option<i64>,
    pub(super) before: Option<&'a MemberStatus>,
    pub(super) policy: DeletionPolicy,
    /// When its deletion was asked for.
    pub(super) deleted_at: Option<Timestamp>,
    /// Its deletion waits for us.
    pub(super) held: bool,
}

impl Member<'_> {
    /// What it declares, for people.
    pub(super) fn title(&self) -> String {
        match self.channel {
            None => format!("topic {}", self.topic),
            Some(channel) => format!("channel {}/{channel}", self.topic),
        }
    }
}

fn is_held(meta: &ObjectMeta) -> bool {
    meta.finalizers.iter().flatten().any(|name| name == CLEANUP)
}

impl<'a> From<&'a NsqTopic> for Member<'a> {
    fn from(object: &'a NsqTopic) -> Self {
        Self {
            topic: object.topic_name(),
            channel: None,
            paused: object.spec.paused,
            has_policy: object.spec.policy.is_some(),
            name: object.metadata.name.as_deref().unwrap_or_default(),
            age: object.metadata.creation_timestamp.as_ref(),
            generation: object.metadata.generation,
            before: object.status.as_ref(),
            policy: object.spec.deletion_policy,
            deleted_at: object.metadata.deletion_timestamp.as_ref().map(|at| at.0),
            held: is_held(&object.metadata),
        }
    }
}

impl<'a> From<&'a NsqChannel> for Member<'a> {
    fn from(object: &'a NsqChannel) -> Self {
        Self {
            topic: &object.spec.topic,
            channel: Some(object.channel_name()),
            paused: object.spec.paused,
            has_policy: object.spec.policy.is_some(),
            name: object.metadata.name.as_deref().unwrap_or_default(),
            age: object.metadata.creation_timestamp.as_ref(),
            generation: object.metadata.generation,
            before: object.status.as_ref(),
            policy: object.spec.deletion_policy,
            deleted_at: object.metadata.deletion_timestamp.as_ref().map(|at| at.0),
            held: is_held(&object.metadata),
        }
    }
}

/// Plans all of them.
pub(super) fn plan(draft: &mut Draft<'_>) -> Members {
    let observed = draft.observed;
    let topics: Vec<Member<'_>> = observed.topics.iter().map(Member::from).collect();
    let channels: Vec<Member<'_>> = observed.channels.iter().map(Member::from).collect();
    let staying = |member: &&Member<'_>| member.deleted_at.is_none();
    let owners = owners(topics.iter().chain(&channels).filter(staying));
    let before = draft.actions.len();
    if observed.cluster.spec.mode == Mode::Managed {
        for node in &observed.nodes {
            sync(draft, node, &topics, &channels, &owners);
        }
    }
    let ended = |draft: &mut Draft<'_>, members: &[Member<'_>]| -> Vec<Option<String>> {
        members
            .iter()
            .map(|member| endings::plan(draft, member, &owners))
            .collect()
    };
    let (kept_topics, kept_channels) = (ended(draft, &topics), ended(draft, &channels));
    let busy = draft.actions.len() > before || !draft.holds.is_empty() || !draft.registry_actions.is_empty();
    let statuses = |members: &[Member<'_>], kept: &[Option<String>]| -> Vec<(String, MemberStatus)> {
        let both = members.iter().zip(kept);
        both.map(|(member, kept)| {
            (
                member.name.to_owned(),
                status(draft, member, &owners, kept.as_deref()),
            )
        })
        .collect()
    };
    Members {
        topics: statuses(&topics, &kept_topics),
        channels: statuses(&channels, &kept_channels),
        busy,
        waiting: kept_topics.iter().chain(&kept_channels).any(Option::is_some),
    }
}

pub(super) type Owners<'a> = BTreeMap<(&'a str, Option<&'a str>), &'a str>;

/// Of several objects that declare one name the oldest counts, then the first by name.
fn owners<'a, 'b: 'a>(members: impl Iterator<Item = &'a Member<'b>>) -> Owners<'b> {
    let mut members: Vec<&Member<'b>> = members.collect();
    members.sort_by_key(|member| (member.age.map(|age| age.0), member.name));
    let mut owners = Owners::new();
    for member in members {
        owners
            .entry((member.topic, member.channel))
            .or_insert(member.name);
    }
    owners
}

fn owns(owners: &Owners<'_>, member: &Member<'_>) -> bool {
    owners.get(&(member.topic, member.channel)) == Some(&member.name)
}

/// Brings one node in line, with a bounded number of requests.
fn sync(
    draft: &mut Draft<'_>,
    node: &Node,
    topics: &[Member<'_>],
    channels: &[Member<'_>],
    owners: &Owners<'_>,
) {
    let Ok(facts) = &node.facts else { return };
    let stays = node.ordinal < draft.target;
    let mut requests = Vec::new();
    let mut made = BTreeSet::new();
    // topics first: a channel of a topic that is missing needs it
    for member in topics
        .iter()
        .chain(channels)
        .filter(|member| owns(owners, member))
    {
        let has = Has::on(facts, member);
        if !has.topic && stays && made.insert(member.topic) {
            requests.push(NodeRequest::CreateTopic(member.topic.to_owned()));
        }
        if let (Some(channel), false, true) = (member.channel, has.itself, stays) {
            requests.push(NodeRequest::CreateChannel(
                member.topic.to_owned(),
                channel.to_owned(),
            ));
        }
        let differs = member.paused.filter(|paused| *paused != has.paused);
        // what is created in this pass is paused with the next one, when the node shows it
        if let (Some(paused), true) = (differs, has.itself) {
            requests.push(match member.channel {
                None => NodeRequest::PauseTopic(member.topic.to_owned(), paused),
                Some(channel) => {
                    NodeRequest::PauseChannel(member.topic.to_owned(), channel.to_owned(), paused)
                }
            });
        }
    }
    for request in requests.into_iter().take(MAX_REQUESTS) {
        draft.ask(node.ordinal, request);
    }
}

/// What a node has of a member.
pub(super) struct Has {
    topic: bool,
    pub(super) itself: bool,
    paused: bool,
}

impl Has {
    pub(super) fn on(facts: &Facts, member: &Member<'_>) -> Self {
        let mut topics = facts.stats.topics.iter().flatten();
        let topic = topics.find(|topic| topic.topic_name == member.topic);
        let channel = member.channel.and_then(|name| {
            let mut channels = topic.iter().flat_map(|topic| &topic.channels);
            channels.find(|channel| channel.channel_name == name)
        });
        let (itself, paused) = match member.channel {
            None => (topic.is_some(), topic.is_some_and(|topic| topic.paused)),
            Some(_) => (channel.is_some(), channel.is_some_and(|channel| channel.paused)),
        };
        Self {
            topic: topic.is_some(),
            itself,
            paused,
        }
    }
}

/// The status of a declared topic or channel whose cluster does not exist.
#[must_use]
pub fn without_cluster(
    before: Option<&MemberStatus>,
    generation: Option<i64>,
    cluster: &str,
    now: Timestamp,
) -> MemberStatus {
    let known = before
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let text = format!("there is no NsqCluster {cluster} in this namespace");
    let of = |kind, reason, text: &str| {
        condition(
            now,
            known,
            generation,
            (kind, ConditionStatus::False, reason, text),
        )
    };
    MemberStatus {
        observed_generation: generation,
        nodes: None,
        conditions: vec![
            of(ConditionType::Ready, Reason::ClusterNotFound, &text),
            of(ConditionType::Stalled, Reason::NotStalled, ""),
        ],
    }
}

/// `kept` is why a member that is being deleted is still there.
fn status(draft: &Draft<'_>, member: &Member<'_>, owners: &Owners<'_>, kept: Option<&str>) -> MemberStatus {
    let observed = draft.observed;
    let nodes: Vec<&Node> = draft.active().collect();
    let lacking: Vec<&str> = nodes
        .iter()
        .filter(|node| !has_it(node, member))
        .map(|node| node.name.as_str())
        .collect();
    let (reason, message) = verdict(observed, member, owners, &nodes, &lacking);
    let synced = reason == Reason::Synced;
    let before = member
        .before
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let of = |kind, truth: bool, reason, message: &str| {
        let status = if truth {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        };
        condition(
            observed.now,
            before,
            member.generation,
            (kind, status, reason, message),
        )
    };
    let taken = reason == Reason::NameTaken;
    let stalled = match (kept, taken) {
        (Some(_), _) => Reason::DeleteBlocked,
        (None, true) => Reason::NameTaken,
        (None, false) => Reason::NotStalled,
    };
    let why = kept.unwrap_or(if taken { &message } else { "" });
    MemberStatus {
        observed_generation: member.generation,
        nodes: Some(format!("{}/{}", nodes.len() - lacking.len(), nodes.len())),
        conditions: vec![
            of(ConditionType::Ready, synced, reason, &message),
            of(ConditionType::Stalled, kept.is_some() || taken, stalled, why),
        ],
    }
}

fn has_it(node: &Node, member: &Member<'_>) -> bool {
    node.facts.as_ref().is_ok_and(|facts| {
        let has = Has::on(facts, member);
        has.itself && member.paused.is_none_or(|paused| paused == has.paused)
    })
}

fn verdict(
    observed: &Observed,
    member: &Member<'_>,
    owners: &Owners<'_>,
    nodes: &[&Node],
    lacking: &[&str],
) -> (Reason, String) {
    if member.deleted_at.is_none() && !owns(owners, member) {
        let owner = owners.get(&(member.topic, member.channel)).unwrap_or(&"");
        return (
            Reason::NameTaken,
            format!("{owner} declares the same name and is older"),
        );
    }
    if observed.cluster.spec.mode != Mode::Managed {
        return (
            Reason::ClusterNotReady,
            "the cluster is paused or stopped".to_owned(),
        );
    }
    if !lacking.is_empty() {
        return (
            Reason::PartiallySynced,
            format!("not yet on {}", lacking.join(", ")),
        );
    }
    if member.has_policy && !nodes.is_empty() {
        // no release of nsqd offers the extension yet, so there is nothing to send
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        return (
            Reason::PolicyUnsupported,
            format!("{} cannot apply policies", names.join(", ")),
        );
    }
    (Reason::Synced, String::new())
}
