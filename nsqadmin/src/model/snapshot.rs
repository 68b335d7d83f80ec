//! One picture of the cluster: what every node said, and who did not answer.

use std::collections::{BTreeMap, BTreeSet};

use nsq_http_api::client::Error;
use nsq_http_api::lookupd;
use nsq_http_api::nsqd::{Info, Stats, TopicStats};

use super::merge::{Node, union};
use crate::upstream::{Answer, plain_reason};

/// The cluster at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// The nsqlookupds; empty when nsqds are known by address.
    pub(crate) lookupds: Vec<Source>,
    /// Every node that is known, answering or not.
    pub(crate) nodes: Vec<NodeState>,
    /// Every topic that is known, deepest first.
    pub(crate) topics: Vec<Topic>,
}

/// An upstream and whether it answered.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) address: String,
    pub(crate) trouble: Option<Trouble>,
}

/// Why something is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// A few words.
    pub(crate) reason: String,
    /// Everything.
    pub(crate) raw: String,
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        Self {
            reason: plain_reason(error),
            raw: error.to_string(),
        }
    }
}

/// A node and what it said.
#[derive(Debug)]
pub(crate) struct NodeState {
    pub(crate) key: String,
    pub(crate) hostname: String,
    pub(crate) version: String,
    pub(crate) out_of_date: bool,
    pub(crate) numbers: Result<NodeNumbers, Trouble>,
}

/// Numbers of a node that answered.
#[derive(Debug)]
pub(crate) struct NodeNumbers {
    pub(crate) health: String,
    pub(crate) topics: usize,
    pub(crate) depth: i64,
    pub(crate) in_flight: i64,
    pub(crate) clients: i64,
}

/// A number that is the sum over nodes, some of which may not have answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) value: i64,
    /// Nodes that should be in the sum.
    pub(crate) nodes: usize,
    /// Nodes that are.
    pub(crate) answered: usize,
}

/// A topic over all nodes.
#[derive(Debug, Default)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// In the topics' own queues: not handed to channels yet.
    pub(crate) depth: Sum,
    /// In the queues of all channels.
    pub(crate) channel_depth: Sum,
    pub(crate) in_flight: Sum,
    pub(crate) deferred: Sum,
    pub(crate) clients: Sum,
    pub(crate) message_count: Sum,
    pub(crate) paused: bool,
    pub(crate) channels: Vec<Channel>,
}

/// A channel over all nodes of its topic.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) depth: Sum,
    pub(crate) in_flight: Sum,
    pub(crate) deferred: Sum,
    pub(crate) clients: Sum,
    pub(crate) message_count: Sum,
    pub(crate) paused: bool,
}

impl Topic {
    /// Everything that waits, for the order of topics: own queue and channels.
    fn waiting(&self) -> i64 {
        self.depth.value.saturating_add(self.channel_depth.value)
    }

    /// What consumers have to do: the channels' queues. The own queue of a topic with channels holds copies that are
    /// not handed out yet, so it counts only while there is no channel.
    pub(crate) fn work(&self) -> i64 {
        if self.channels.is_empty() {
            self.depth.value
        } else {
            self.channel_depth.value
        }
    }
}

impl Snapshot {
    /// No source answered: nothing can be said about the cluster.
    pub(crate) fn is_blind(&self) -> bool {
        if self.lookupds.is_empty() {
            self.nodes.iter().all(|node| node.numbers.is_err())
        } else {
            self.lookupds.iter().all(|source| source.trouble.is_some())
        }
    }
}

/// The picture that nsqlookupds and the nsqds they name give.
pub(crate) fn from_lookupds(
    topics: &[Answer<lookupd::Topics>],
    nodes: &[Answer<lookupd::Nodes>],
    merged: Vec<Node>,
    stats: Vec<Answer<Stats>>,
) -> Snapshot {
    let lookupds = topics.iter().zip(nodes).map(|(topics, nodes)| {
        let error = topics.result.as_ref().err().or(nodes.result.as_ref().err());
        Source {
            address: topics.address.clone(),
            trouble: error.map(Trouble::from),
        }
    });
    let lookupds = lookupds.collect();
    let names = union(
        topics
            .iter()
            .filter_map(|answer| Some(answer.result.as_ref().ok()?.topics.clone())),
    );
    build(lookupds, names, merged, stats)
}

/// The picture that nsqds with configured addresses give.
pub(crate) fn from_nsqds(infos: &[Answer<Info>], stats: Vec<Answer<Stats>>) -> Snapshot {
    let nodes = infos.iter().map(|info| {
        let said = info.result.as_ref().ok();
        Node {
            hostname: said.map(|info| info.hostname.clone()).unwrap_or_default(),
            version: said.map(|info| info.version.clone()).unwrap_or_default(),
            ..Node::default()
        }
    });
    let nodes = nodes.collect();
    build(Vec::new(), Vec::new(), nodes, stats)
}

/// `nodes` and `stats` belong together by position.
fn build(lookupds: Vec<Source>, names: Vec<String>, nodes: Vec<Node>, stats: Vec<Answer<Stats>>) -> Snapshot {
    let mut topics: BTreeMap<String, Vec<Option<TopicStats>>> =
        names.into_iter().map(|name| (name, Vec::new())).collect();
    let mut states = Vec::with_capacity(nodes.len());
    for (node, answer) in nodes.into_iter().zip(stats) {
        let numbers = match answer.result {
            Ok(stats) => {
                let of_node = stats.topics.unwrap_or_default();
                let numbers = node_numbers(stats.health, &of_node);
                for topic in of_node {
                    topics
                        .entry(topic.topic_name.clone())
                        .or_default()
                        .push(Some(topic));
                }
                Ok(numbers)
            }
            Err(error) => {
                // the nsqlookupds say it has these topics, but not what is in them
                for topic in node.topics {
                    topics.entry(topic.topic).or_default().push(None);
                }
                Err(Trouble::from(&error))
            }
        };
        states.push(NodeState {
            key: answer.address,
            hostname: node.hostname,
            version: node.version,
            out_of_date: node.out_of_date,
            numbers,
        });
    }
    let mut topics: Vec<Topic> = topics
        .into_iter()
        .map(|(name, parts)| topic(name, &parts))
        .collect();
    topics.sort_by(|a, b| b.waiting().cmp(&a.waiting()).then_with(|| a.name.cmp(&b.name)));
    Snapshot {
        lookupds,
        nodes: states,
        topics,
    }
}

fn node_numbers(health: String, topics: &[TopicStats]) -> NodeNumbers {
    let channels = || topics.iter().flat_map(|topic| &topic.channels);
    NodeNumbers {
        health,
        topics: topics.len(),
        depth: total(
            topics
                .iter()
                .map(|topic| topic.depth)
                .chain(channels().map(|channel| channel.depth)),
        ),
        in_flight: total(channels().map(|channel| channel.in_flight_count)),
        clients: total(channels().map(|channel| channel.client_count)),
    }
}

fn topic(name: String, parts: &[Option<TopicStats>]) -> Topic {
    let answered: Vec<&TopicStats> = parts.iter().flatten().collect();
    let sum = |value: fn(&TopicStats) -> i64| Sum {
        value: total(answered.iter().map(|part| value(part))),
        nodes: parts.len(),
        answered: answered.len(),
    };
    let names: BTreeSet<&str> = answered
        .iter()
        .flat_map(|part| &part.channels)
        .map(|channel| channel.channel_name.as_str())
        .collect();
    Topic {
        depth: sum(|part| part.depth),
        channel_depth: sum(|part| total(part.channels.iter().map(|channel| channel.depth))),
        in_flight: sum(|part| total(part.channels.iter().map(|channel| channel.in_flight_count))),
        deferred: sum(|part| total(part.channels.iter().map(|channel| channel.deferred_count))),
        clients: sum(|part| total(part.channels.iter().map(|channel| channel.client_count))),
        message_count: sum(|part| count(part.message_count)),
        paused: answered.iter().any(|part| part.paused),
        channels: names
            .iter()
            .map(|name| channel(name, &answered, parts.len() - answered.len()))
            .collect(),
        name,
    }
}

/// A channel over the topic's nodes; any of the `silent` ones may have it too.
fn channel(name: &str, parts: &[&TopicStats], silent: usize) -> Channel {
    let own: Vec<_> = parts
        .iter()
        .flat_map(|part| &part.channels)
        .filter(|channel| channel.channel_name == name)
        .collect();
    let sum = |value: fn(&nsq_http_api::nsqd::ChannelStats) -> i64| Sum {
        value: total(own.iter().map(|channel| value(channel))),
        nodes: own.len() + silent,
        answered: own.len(),
    };
    Channel {
        name: name.to_owned(),
        depth: sum(|channel| channel.depth),
        in_flight: sum(|channel| channel.in_flight_count),
        deferred: sum(|channel| channel.deferred_count),
        clients: sum(|channel| channel.client_count),
        message_count: sum(|channel| count(channel.message_count)),
        paused: own.iter().any(|channel| channel.paused),
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Numbers come from outside: a sum that does not fit stays at the end of the range.
fn total(numbers: impl IntoIterator<Item = i64>) -> i64 {
    numbers.into_iter().fold(0, i64::saturating_add)
}
