//! What is wrong with topics, channels and their consumers. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nsq_http_api::nsqd::{ChannelStats, TopicStats};

use super::Options;
use super::facts::{Facts, Node};
use super::report::{Category, Finding};

/// Topics of checks, which come and go.
const OWN: &str = "nsq-check-";

/// A channel at the two looks.
#[derive(Clone, Copy)]
struct Seen<'a> {
    node: &'a Node,
    first: Option<&'a ChannelStats>,
    now: &'a ChannelStats,
}

type Channels<'a> = BTreeMap<(&'a str, &'a str), Vec<Seen<'a>>>;

/// Everything that is wrong there.
pub(super) fn judge(facts: &Facts, options: &Options) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut channels: Channels<'_> = BTreeMap::new();
    let mut holders: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in &facts.nodes {
        for topic in topics(node) {
            found.extend(topic_alone(topic, node));
            found.extend(unregistered(topic, node, facts));
            holders.entry(&topic.topic_name).or_default().push(node);
            for now in &topic.channels {
                let first = first_look(node, &topic.topic_name, &now.channel_name);
                let key = (topic.topic_name.as_str(), now.channel_name.as_str());
                channels.entry(key).or_default().push(Seen { node, first, now });
            }
        }
        found.extend(hidden(node));
    }
    found.extend(stale(facts, &holders));
    for ((topic, channel), seen) in &channels {
        let name = format!("channel {topic}/{channel}");
        let holders = holders.get(topic).map_or(0, Vec::len);
        found.extend(channel_of_all(&name, seen, holders, options));
        for seen in seen {
            found.extend(channel_of_one(&name, seen));
        }
    }
    found
}

fn topics(node: &Node) -> impl Iterator<Item = &TopicStats> {
    let stats = node.stats.as_ref().and_then(|stats| stats.as_ref().ok());
    let topics = stats.into_iter().flat_map(|stats| stats.topics.iter().flatten());
    topics.filter(|topic| !topic.topic_name.starts_with(OWN))
}

fn first_look<'a>(node: &'a Node, topic: &str, channel: &str) -> Option<&'a ChannelStats> {
    let topics = node.first.as_ref()?.topics.as_ref()?;
    let topic = topics.iter().find(|stats| stats.topic_name == topic)?;
    topic.channels.iter().find(|stats| stats.channel_name == channel)
}

fn topic_alone(topic: &TopicStats, node: &Node) -> Vec<Finding> {
    let mut found = Vec::new();
    let name = format!("topic {}", topic.topic_name);
    let mut add = |code, what: String, todo: String| {
        found.push(Finding::wrong(Category::Topics, code, &name, what, todo));
    };
    if topic.paused {
        let todo = format!("let it flow: nsq topic unpause {}", topic.topic_name);
        add(
            "TOPIC_PAUSED",
            format!("paused on {}, {} wait", node.tcp, topic.depth),
            todo,
        );
    }
    if topic.channels.is_empty() && topic.depth > 0 {
        let what = format!(
            "has no channel on {}: {} messages wait for the first one",
            node.tcp, topic.depth
        );
        let todo = format!(
            "start a consumer, or make one: nsq channel create {} NAME",
            topic.topic_name
        );
        add("TOPIC_NO_CHANNEL", what, todo);
    }
    let mut found: Vec<Finding> = found.into_iter().map(Finding::note).collect();
    if topic.read_only {
        found.push(Finding::wrong(
            Category::Topics,
            "TOPIC_READ_ONLY",
            name,
            format!("refuses publishes on {} since a sync failed", node.tcp),
            "see the log and the disk of that node, then restart it",
        ));
    }
    found
}

/// The node has it, and an nsqlookupd where the node is registered does not say so.
fn unregistered(topic: &TopicStats, node: &Node, facts: &Facts) -> Option<Finding> {
    let of = |place: usize| {
        let here = node.registered.iter().filter(move |(of, _)| *of == place);
        here.flat_map(|(_, of)| &of.topics)
    };
    let places: BTreeSet<usize> = node.registered.iter().map(|(place, _)| *place).collect();
    let missing = places
        .into_iter()
        .find(|place| !of(*place).any(|name| *name == topic.topic_name))?;
    // One that was made since the first look is not missing.
    let before = node.first.as_ref()?.topics.as_ref()?;
    before.iter().find(|stats| stats.topic_name == topic.topic_name)?;
    let lookupd = &facts.lookupds.get(missing)?.address;
    Some(Finding::wrong(
        Category::Topics,
        "TOPIC_UNREGISTERED",
        format!("topic {}", topic.topic_name),
        format!(
            "is on {} and not registered at nsqlookupd {lookupd}: consumers do not find it",
            node.tcp
        ),
        "see the log of that node; a restart of it registers everything",
    ))
}

/// Tombstones: consumers are not told of the topic on this node.
fn hidden(node: &Node) -> Vec<Finding> {
    let mut names = BTreeSet::new();
    for (_, registered) in &node.registered {
        let hidden = registered.topics.iter().zip(&registered.tombstones);
        names.extend(hidden.filter(|(_, hidden)| **hidden).map(|(name, _)| name));
    }
    let finding = |name: &String| {
        Finding::wrong(
            Category::Topics,
            "TOPIC_HIDDEN",
            format!("topic {name}"),
            format!("{} is hidden from its consumers by a tombstone", node.tcp),
            "wait: a tombstone ends by itself (45s by default); or let the node publish again",
        )
        .note()
    };
    names.into_iter().map(finding).collect()
}

/// Registered, and on no node.
fn stale(facts: &Facts, holders: &BTreeMap<&str, Vec<&Node>>) -> Vec<Finding> {
    let all_told = facts.nodes.iter().all(|node| matches!(node.stats, Some(Ok(_))));
    if !all_told {
        // Who does not answer may have it.
        return Vec::new();
    }
    let names: BTreeSet<&String> = facts
        .lookupds
        .iter()
        .flat_map(|lookupd| &lookupd.topics)
        .collect();
    let of_nobody = names
        .into_iter()
        .filter(|name| !holders.contains_key(name.as_str()));
    of_nobody
        .filter(|name| !name.starts_with(OWN))
        .map(|name| {
            Finding::wrong(
                Category::Topics,
                "TOPIC_STALE",
                format!("topic {name}"),
                "is registered, and no node has it",
                format!("remove the registration: nsq topic delete {name} --yes {name}"),
            )
            .note()
        })
        .collect()
}

/// What only all nodes together tell.
fn channel_of_all(name: &str, seen: &[Seen<'_>], holders: usize, options: &Options) -> Vec<Finding> {
    let mut found = Vec::new();
    let sum = |of: fn(&ChannelStats) -> i64| seen.iter().map(|seen| of(seen.now)).sum::<i64>();
    let (depth, consumers) = (sum(|c| c.depth), sum(|c| c.client_count));
    let add = |code, what: String, todo: &str| Finding::wrong(Category::Channels, code, name, what, todo);
    if consumers == 0 && depth > 0 {
        let what = format!("{depth} messages wait, and nobody consumes");
        found.push(add(
            "NO_CONSUMERS",
            what,
            "start its consumers, or delete it with nsq channel delete",
        ));
    }
    let without = seen
        .iter()
        .find(|seen| seen.now.client_count == 0 && seen.now.depth > 0);
    if let (Some(without), true) = (without, consumers > 0) {
        let what = format!(
            "has consumers elsewhere and none on {}, where {} wait",
            without.node.tcp, without.now.depth
        );
        found.push(add(
            "CONSUMERS_MISS_NODE",
            what,
            "see that consumers ask every nsqlookupd and can reach that node",
        ));
    }
    if seen.len() < holders {
        let what = format!("is on {} of the {holders} nodes that have the topic", seen.len());
        let todo = "a consumer that finds all nodes makes it; or nsq channel create";
        found.push(add("CHANNEL_MISSING", what, todo).note());
    }
    if u64::try_from(depth).unwrap_or(0) > options.max_depth {
        let what = format!("{depth} messages wait, more than {}", options.max_depth);
        found.push(
            add(
                "DEPTH_HIGH",
                what,
                "start more consumers, or see why they are slow: nsq top",
            )
            .note(),
        );
    }
    let oldest = seen.iter().map(|seen| seen.now.oldest_age_ms).max().unwrap_or(0);
    if Duration::from_millis(oldest) > options.max_age {
        let what = format!("its oldest message is {} s old", oldest / 1000);
        found.push(
            add(
                "MESSAGES_OLD",
                what,
                "see why its consumers do not finish it: nsq top --by age",
            )
            .note(),
        );
    }
    found
}

/// What one node tells of it.
fn channel_of_one(name: &str, seen: &Seen<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let (now, node) = (seen.now, &seen.node.tcp);
    let mut add = |code, what: String, todo: &str| {
        found.push(Finding::wrong(Category::Channels, code, name, what, todo).note());
    };
    if now.paused {
        let what = format!("paused on {node}, {} wait", now.depth);
        add(
            "CHANNEL_PAUSED",
            what,
            "let it flow: nsq channel unpause TOPIC CHANNEL",
        );
    }
    let clients = now.clients.as_deref().unwrap_or_default();
    let ready: i64 = clients.iter().map(|client| client.ready_count).sum();
    if !now.paused && !clients.is_empty() && ready == 0 && now.depth > 0 {
        let what = format!(
            "{} consumers on {node}, none ready, {} wait",
            clients.len(),
            now.depth
        );
        add(
            "CONSUMERS_NOT_READY",
            what,
            "see their logs: they back off after failures, or RDY is 0",
        );
    }
    let answered = |stats: &ChannelStats| {
        let clients = stats.clients.as_deref().unwrap_or_default();
        let finished: u64 = clients.iter().map(|client| client.finish_count).sum();
        finished + stats.finish_count + stats.requeue_count
    };
    let stands = seen
        .first
        .is_some_and(|first| answered(first) == answered(now) && first.in_flight_count > 0);
    if stands && ready > 0 && now.in_flight_count >= ready && now.depth > 0 {
        let what = format!(
            "consumers on {node} hold {} messages and answer none",
            now.in_flight_count
        );
        add(
            "CONSUMERS_STUCK",
            what,
            "see what they wait for; until they answer nothing more comes",
        );
    }
    let share = |part: u64, of: u64, least: u64| part >= least && part.saturating_mul(10) >= of;
    if share(now.timeout_count, now.message_count, 1) {
        let what = format!(
            "{} deliveries on {node} timed out, of {} messages",
            now.timeout_count, now.message_count
        );
        add(
            "TIMEOUTS",
            what,
            "raise --msg-timeout, TOUCH long work, or mend what makes it slow",
        );
    }
    if share(now.requeue_count, now.message_count.saturating_mul(5), 10) {
        let what = format!(
            "{} requeues on {node}, for {} messages",
            now.requeue_count, now.message_count
        );
        add(
            "REQUEUES",
            what,
            "see in the logs of its consumers why they give messages back",
        );
    }
    if now.drop_count > 0 {
        let what = format!(
            "{} messages were dropped on {node}: no room in an ephemeral queue",
            now.drop_count
        );
        add(
            "DROPS",
            what,
            "consume faster, raise --mem-queue-size, or use a channel that is not ephemeral",
        );
    }
    if now.dead_letter_count > 0 {
        let what = format!(
            "{} messages were given up on {node} and are kept",
            now.dead_letter_count
        );
        add("DEAD_LETTERS", what, "look at them, then run or cancel them");
    }
    found
}
