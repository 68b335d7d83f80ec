//! `nsq topic` and `nsq channel`: list, create, pause, unpause, empty, delete.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use futures_util::future::join_all;
use nsq_client::ChannelName;
use nsq_http_api::client::Error;
use nsq_http_api::nsqd::TopicStats;
use nsq_service::http::encode_component;
use serde::Serialize;

use crate::cluster::{Cluster, Measured, Node, warn};
use crate::codes;
use crate::listing::{Format, Row, text};
use crate::problem::Problem;
use crate::publish::topic;

/// Longest answer to the question before a deletion.
const MAX_ANSWER: u64 = 256;

/// What is meant: a topic, or a channel in it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The topic.
    pub topic: String,
    /// The channel; none for the topic itself.
    pub channel: Option<String>,
}

/// What is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// On every node.
    Create,
    /// No messages flow.
    Pause,
    /// They flow again.
    Unpause,
    /// Its messages are lost.
    Empty,
    /// It is lost with its messages.
    Delete,
}

impl Act {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Create => ("create", "created"),
            Self::Pause => ("pause", "paused"),
            Self::Unpause => ("unpause", "unpaused"),
            Self::Empty => ("empty", "emptied"),
            Self::Delete => ("delete", "deleted"),
        }
    }

    /// Messages are lost.
    const fn loses(self) -> bool {
        matches!(self, Self::Empty | Self::Delete)
    }
}

impl Target {
    fn kind(&self) -> &'static str {
        if self.channel.is_some() {
            "channel"
        } else {
            "topic"
        }
    }

    /// The name that is typed.
    fn name(&self) -> &str {
        self.channel.as_deref().unwrap_or(&self.topic)
    }

    fn path(&self, act: Act) -> String {
        let mut path = format!(
            "/{}/{}?topic={}",
            self.kind(),
            act.words().0,
            encode_component(&self.topic)
        );
        if let Some(channel) = &self.channel {
            path.push_str(&format!("&channel={}", encode_component(channel)));
        }
        path
    }

    /// Whether a node has it.
    fn is_on(&self, topics: &[TopicStats]) -> bool {
        let found = topics.iter().find(|stats| stats.topic_name == self.topic);
        found.is_some_and(|stats| match &self.channel {
            None => true,
            Some(channel) => stats.channels.iter().any(|stats| stats.channel_name == *channel),
        })
    }

    fn missing(&self) -> Problem {
        match &self.channel {
            None => Problem::new(
                codes::TOPIC_NOT_FOUND,
                format!("no node has a topic {}", self.topic),
                "see `nsq topic list` for those there are",
            ),
            Some(channel) => Problem::new(
                codes::CHANNEL_NOT_FOUND,
                format!("no node has a channel {channel} in topic {}", self.topic),
                format!("see `nsq channel list {}` for those there are", self.topic),
            ),
        }
    }
}

/// A checked name of a channel.
///
/// # Errors
/// It is none.
pub fn channel(name: &str) -> Result<ChannelName, Problem> {
    name.parse().map_err(|_| {
        let what = format!("{name:?} is no name of a channel");
        let todo = "use 1 to 64 characters of a-z A-Z 0-9 . _ -";
        Problem::new(codes::INVALID_NAME, what, todo)
    })
}

/// Does it on every node that has it (create: on every node, with its topic), and says so.
///
/// # Errors
/// Names that are none, no node that has it, no confirmation, or a node that refuses.
pub async fn act(target: &Target, act: Act, yes: Option<&str>, cluster: &Cluster) -> Result<String, Problem> {
    topic(&target.topic)?;
    target.channel.as_deref().map(channel).transpose()?;
    let found = cluster.nodes().await?;
    let nodes = if act == Act::Create {
        found.nodes
    } else {
        let measured = cluster.measure(&found.nodes, false).await;
        let having = measured
            .into_iter()
            .filter_map(|measured| having(measured, target));
        having.collect()
    };
    // A registration that outlived its topic is deleted as well.
    let registered =
        act == Act::Delete && target.channel.is_none() && found.registered.contains(&target.topic);
    if nodes.is_empty() && !registered {
        return Err(target.missing());
    }
    if act.loses() {
        confirm(target, act, yes)?;
    }
    if act == Act::Delete {
        // Registrations first, so that no consumer finds it and makes it again.
        tell(cluster, found.lookupds.iter(), &target.path(act)).await?;
    }
    if act == Act::Create && target.channel.is_some() {
        let topic = Target {
            channel: None,
            ..target.clone()
        };
        tell(cluster, nodes.iter().map(|node| &node.http), &topic.path(act)).await?;
    }
    tell(cluster, nodes.iter().map(|node| &node.http), &target.path(act)).await?;
    let (kind, count) = (target.kind(), nodes.len());
    let noun = if count == 1 { "node" } else { "nodes" };
    Ok(format!(
        "{kind} {} {} on {count} {noun}",
        target.name(),
        act.words().1
    ))
}

/// A node that has it; one that does not answer is told.
fn having(measured: Measured, target: &Target) -> Option<Node> {
    match measured.stats {
        Ok(stats) => target
            .is_on(&stats.topics.unwrap_or_default())
            .then_some(measured.node),
        Err(error) => {
            warn(&format!("left out: {error}"));
            None
        }
    }
}

async fn tell(
    cluster: &Cluster,
    addresses: impl Iterator<Item = &String>,
    path: &str,
) -> Result<(), Problem> {
    let told = addresses.map(|address| cluster.client.post(address, path, Default::default()));
    let told: Vec<Result<(), Error>> = join_all(told).await;
    let count = told.len();
    let failed: Vec<&Error> = told
        .iter()
        .filter_map(|told| told.as_ref().err())
        .filter(|error| !error.is_not_found())
        .collect();
    match failed.first() {
        None => Ok(()),
        Some(first) => {
            let place = format!("{} of {count} daemons did it", count - failed.len());
            Err(Problem::http(first).at(place))
        }
    }
}

/// The name was typed, here or with `--yes`.
fn confirm(target: &Target, act: Act, yes: Option<&str>) -> Result<(), Problem> {
    let (kind, name, verb) = (target.kind(), target.name(), act.words().0);
    let todo = format!("repeat it with --yes {name}");
    let typed = match yes {
        Some(typed) => typed.to_owned(),
        None if std::io::stdin().is_terminal() => ask(kind, name, verb),
        None => {
            let what = format!("{verb} {kind} {name} loses messages and was not confirmed");
            return Err(Problem::new(codes::NOT_CONFIRMED, what, todo));
        }
    };
    if typed == name {
        return Ok(());
    }
    let what = format!("the {kind} is called {name:?}, and {typed:?} was typed: nothing was done");
    Err(Problem::new(codes::NOT_CONFIRMED, what, todo))
}

#[allow(clippy::print_stderr, reason = "a question to a person")]
fn ask(kind: &str, name: &str, verb: &str) -> String {
    eprint!("{verb} {kind} {name} and lose its messages? Type its name: ");
    // Without an answer nothing is done.
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer);
    answer.trim().to_owned()
}

/// A topic over all nodes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TopicRow {
    topic: String,
    nodes: usize,
    channels: usize,
    depth: i64,
    messages: u64,
    paused: bool,
}

impl Row for TopicRow {
    const HEADS: &'static [&'static str] = &["TOPIC", " NODES", " CHANNELS", " DEPTH", " MESSAGES", "STATE"];

    fn name(&self) -> String {
        self.topic.clone()
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.nodes.to_string(),
            self.channels.to_string(),
            self.depth.to_string(),
            self.messages.to_string(),
            state(self.paused, self.nodes),
        ]
    }
}

fn state(paused: bool, nodes: usize) -> String {
    match (paused, nodes) {
        (true, _) => "paused".to_owned(),
        (false, 0) => "registered only".to_owned(),
        _ => String::new(),
    }
}

/// A channel over all nodes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ChannelRow {
    topic: String,
    channel: String,
    nodes: usize,
    depth: i64,
    in_flight: i64,
    deferred: i64,
    consumers: i64,
    paused: bool,
}

impl Row for ChannelRow {
    const HEADS: &'static [&'static str] = &[
        "CHANNEL",
        " NODES",
        " DEPTH",
        " IN FLIGHT",
        " DEFERRED",
        " CONSUMERS",
        "STATE",
    ];

    fn name(&self) -> String {
        self.channel.clone()
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.channel.clone(),
            self.nodes.to_string(),
            self.depth.to_string(),
            self.in_flight.to_string(),
            self.deferred.to_string(),
            self.consumers.to_string(),
            state(self.paused, self.nodes),
        ]
    }
}

/// The topics, those that only nsqlookupds know included.
///
/// # Errors
/// Nobody answers.
pub async fn list(format: Format, cluster: &Cluster) -> Result<String, Problem> {
    let found = cluster.nodes().await?;
    let mut rows: BTreeMap<String, TopicRow> = BTreeMap::new();
    for name in found.registered {
        rows.entry(name).or_default();
    }
    for stats in topics_of(cluster.measure(&found.nodes, false).await) {
        let row = rows.entry(stats.topic_name).or_default();
        row.nodes += 1;
        row.channels = row.channels.max(stats.channels.len());
        row.depth += stats.depth;
        row.messages += stats.message_count;
        row.paused |= stats.paused;
    }
    let rows: Vec<TopicRow> = rows
        .into_iter()
        .map(|(topic, row)| TopicRow { topic, ..row })
        .collect();
    text(&rows, format)
}

/// The channels of a topic.
///
/// # Errors
/// Nobody answers, or no node has the topic.
pub async fn list_channels(name: &str, format: Format, cluster: &Cluster) -> Result<String, Problem> {
    topic(name)?;
    let found = cluster.nodes().await?;
    let mut rows: BTreeMap<String, ChannelRow> = BTreeMap::new();
    let mut there = found.registered.iter().any(|topic| topic == name);
    for stats in topics_of(cluster.measure(&found.nodes, false).await) {
        if stats.topic_name != name {
            continue;
        }
        there = true;
        for stats in stats.channels {
            let row = rows.entry(stats.channel_name).or_default();
            row.nodes += 1;
            row.depth += stats.depth;
            row.in_flight += stats.in_flight_count;
            row.deferred += stats.deferred_count;
            row.consumers += stats.client_count;
            row.paused |= stats.paused;
        }
    }
    if !there {
        let topic = name.to_owned();
        return Err(Target { topic, channel: None }.missing());
    }
    let rows: Vec<ChannelRow> = rows
        .into_iter()
        .map(|(channel, row)| ChannelRow {
            topic: name.to_owned(),
            channel,
            ..row
        })
        .collect();
    text(&rows, format)
}

/// What the nodes have; those that do not answer are told.
fn topics_of(measured: Vec<Measured>) -> Vec<TopicStats> {
    let mut topics = Vec::new();
    for Measured { stats, .. } in measured {
        match stats {
            Ok(stats) => topics.extend(stats.topics.unwrap_or_default()),
            Err(error) => warn(&format!("shown without one that does not answer: {error}")),
        }
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_in_requests() {
        let target = Target {
            topic: "t#ephemeral".to_owned(),
            channel: Some("c".to_owned()),
        };
        assert_eq!(
            target.path(Act::Pause),
            "/channel/pause?topic=t%23ephemeral&channel=c"
        );
    }

    #[test]
    fn another_name_does_nothing() {
        let target = Target {
            topic: "orders".to_owned(),
            channel: None,
        };
        assert!(confirm(&target, Act::Delete, Some("orders")).is_ok());
        let problem = confirm(&target, Act::Delete, Some("order")).unwrap_err();
        assert_eq!(problem.code, codes::NOT_CONFIRMED);
    }
}
