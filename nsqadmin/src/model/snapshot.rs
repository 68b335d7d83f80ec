//! One picture of the cluster: what every node said last, and who does not answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nsq_http_api::client::Error;
use nsq_http_api::lifecycle::{Lifecycle, Phase};

use super::merge::Node;
use super::records::LatencyRecord;
use super::said::{ChannelOn, Numbers, Said, TopicOn};
use crate::upstream::plain_reason;

/// The cluster at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Counts pictures; 0 before the first.
    pub(crate) generation: u64,
    /// Unix seconds.
    pub(crate) at: i64,
    /// Every upstream that is known has answered, or failed to, at least once.
    pub(crate) is_complete: bool,
    /// From the first question of the round to its last answer.
    pub(crate) round: Duration,
    /// Rounds in a row that took longer than the interval.
    pub(crate) slow_rounds: u32,
    /// The nsqlookupds; empty when nsqds are known by address.
    pub(crate) lookupds: Vec<Source>,
    /// Every node that is known, answering or not; sorted by host name.
    pub(crate) nodes: Vec<NodeState>,
    /// Those that answered within the last hour and are in no list now.
    pub(crate) gone: Vec<Gone>,
    /// Every topic that is known, sorted by name.
    pub(crate) topics: Vec<Topic>,
}

/// A nsqlookupd and whether it answered.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) address: String,
    pub(crate) trouble: Option<Trouble>,
    /// How long its last answer took.
    pub(crate) took: Duration,
    pub(crate) topics: usize,
    /// Keys of the nodes it lists; those of its last answer if it is silent now.
    pub(crate) nodes: Vec<String>,
}

/// Why something is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// A few words.
    pub(crate) reason: String,
    /// Everything.
    pub(crate) raw: String,
    /// Unix seconds of the first failure in a row.
    pub(crate) since: i64,
    /// Failures in a row.
    pub(crate) failures: u32,
}

impl Trouble {
    /// One more failure, at `now` in Unix seconds.
    pub(crate) fn again(before: Option<&Self>, error: &Error, now: i64) -> Self {
        Self {
            reason: plain_reason(error),
            raw: error.to_string(),
            since: before.map_or(now, |trouble| trouble.since),
            failures: before.map_or(0, |trouble| trouble.failures).saturating_add(1),
        }
    }
}

/// A node and what it said last.
#[derive(Debug)]
pub(crate) struct NodeState {
    /// How it is called everywhere.
    pub(crate) key: String,
    /// Where it is asked.
    pub(crate) address: String,
    /// As the nsqlookupds, or it, list it.
    pub(crate) listed: Node,
    /// Its last answer, which is old while there is trouble.
    pub(crate) said: Option<Arc<Said>>,
    pub(crate) trouble: Option<Trouble>,
    /// How long its last answer took.
    pub(crate) took: Duration,
    /// Seconds since its last answer.
    pub(crate) age: i64,
    pub(crate) phase: Phase,
    /// What it says of itself while it comes or goes.
    pub(crate) lifecycle: Option<Arc<Lifecycle>>,
    /// What it can do beyond the reference.
    pub(crate) extensions: Vec<String>,
}

/// A node that is in no list any more.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) key: String,
    /// Unix seconds of its last answer.
    pub(crate) seen: i64,
    pub(crate) depth: i64,
}

/// What a number is the sum of: nodes, some of which may not have answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Nodes that should be in the sum.
    pub(crate) nodes: usize,
    /// Nodes that are.
    pub(crate) answered: usize,
}

/// On how many nodes something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Nodes that have it, as far as is known.
    pub(crate) nodes: usize,
    /// Of these, those that answer.
    pub(crate) answered: usize,
    /// Of these, those where it is paused.
    pub(crate) paused: usize,
}

impl Spread {
    pub(crate) fn sum(self) -> Sum {
        Sum {
            nodes: self.nodes,
            answered: self.answered,
        }
    }
}

/// A topic over all nodes that answer.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) spread: Spread,
    pub(crate) read_only: usize,
    /// What a publish outlives, on each node that says so: without doubles.
    pub(crate) durability: BTreeSet<Arc<str>>,
    /// From publish to FIN, of all nodes that measure it.
    pub(crate) latency: Option<Box<LatencyRecord>>,
    /// The topic's own queues: not handed to channels yet.
    pub(crate) own: Numbers,
    /// All channels in one.
    pub(crate) sum: Numbers,
    /// Sorted by name.
    pub(crate) channels: Vec<Channel>,
}

/// A channel over the nodes of its topic that answer.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) name: Arc<str>,
    pub(crate) spread: Spread,
    pub(crate) numbers: Numbers,
    /// From publish to FIN, of all nodes that measure it.
    pub(crate) latency: Option<Box<LatencyRecord>>,
}

impl Topic {
    /// What consumers have to do: the channels' queues. The own queue of a topic with channels holds copies that are
    /// not handed out yet, so it counts only while there is no channel.
    pub(crate) fn work(&self) -> i64 {
        if self.channels.is_empty() {
            self.own.depth
        } else {
            self.sum.depth
        }
    }

    /// Everything that waits: own queue and channels.
    pub(crate) fn waiting(&self) -> i64 {
        self.own.depth.saturating_add(self.sum.depth)
    }

    pub(crate) fn deepest(&self) -> Option<&Channel> {
        self.channels.iter().max_by_key(|channel| channel.numbers.depth)
    }

    pub(crate) fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| &*channel.name == name)
    }

    pub(crate) fn is_ephemeral(&self) -> bool {
        is_ephemeral(&self.name)
    }
}

/// Goes with its last client.
pub(crate) fn is_ephemeral(name: &str) -> bool {
    name.ends_with("#ephemeral")
}

impl NodeState {
    pub(crate) fn is_answering(&self) -> bool {
        self.trouble.is_none() && self.said.is_some()
    }

    /// What it says now; nothing while it is silent.
    pub(crate) fn now(&self) -> Option<&Said> {
        self.said.as_deref().filter(|_| self.trouble.is_none())
    }

    /// Healthy, or what is wrong by its own account.
    pub(crate) fn ill(&self) -> Option<&str> {
        let health = self.now()?.health.as_str();
        (health != "OK" && !health.is_empty()).then_some(health)
    }
}

impl Snapshot {
    /// Seconds since anybody said something: a node, or a nsqlookupd while no node is known.
    pub(crate) fn age(&self) -> i64 {
        let heard = self.nodes.iter().filter(|node| node.said.is_some());
        if let Some(age) = heard.map(|node| node.age).min() {
            return age;
        }
        let troubles = self.nodes.iter().map(|node| &node.trouble);
        let troubles = troubles.chain(self.lookupds.iter().map(|source| &source.trouble));
        let silent = |trouble: &Option<Trouble>| {
            let since = trouble.as_ref().map_or(self.at, |trouble| trouble.since);
            self.at.saturating_sub(since)
        };
        troubles.map(silent).min().unwrap_or(0)
    }

    /// No source answers, and none has said anything before.
    pub(crate) fn is_unknown(&self) -> bool {
        self.is_blind() && self.nodes.iter().all(|node| node.said.is_none())
    }

    /// No source answered: nothing can be said about the cluster.
    pub(crate) fn is_blind(&self) -> bool {
        let is_silent = |trouble: &Option<Trouble>| trouble.is_some();
        if self.lookupds.is_empty() {
            !self.nodes.is_empty() && self.nodes.iter().all(|node| is_silent(&node.trouble))
        } else {
            self.lookupds.iter().all(|source| is_silent(&source.trouble))
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Option<&Topic> {
        let at = self
            .topics
            .binary_search_by(|topic| (*topic.name).cmp(name))
            .ok()?;
        self.topics.get(at)
    }

    pub(crate) fn node(&self, key: &str) -> Option<&NodeState> {
        self.nodes.iter().find(|node| node.key == key)
    }

    /// All topics' own queues in one, and all channels in one.
    pub(crate) fn totals(&self) -> (Numbers, Numbers) {
        let (mut own, mut channels) = (Numbers::default(), Numbers::default());
        for topic in &self.topics {
            own.add(&topic.own);
            channels.add(&topic.sum);
        }
        (own, channels)
    }

    /// What consumers have to do, in the whole cluster.
    pub(crate) fn work(&self) -> i64 {
        self.topics.iter().map(Topic::work).fold(0, i64::saturating_add)
    }

    /// All nodes: listed, answering.
    pub(crate) fn spread(&self) -> Spread {
        Spread {
            nodes: self.nodes.len(),
            answered: self.nodes.iter().filter(|node| node.is_answering()).count(),
            paused: 0,
        }
    }

    /// The nodes that have a topic, or had it in their last answer.
    pub(crate) fn on_nodes<'a>(
        &'a self,
        topic: &'a str,
    ) -> impl Iterator<Item = (&'a NodeState, &'a TopicOn)> {
        let nodes = self.nodes.iter();
        nodes.filter_map(move |node| Some((node, node.said.as_deref()?.topic(topic)?)))
    }

    /// The nodes that have a channel, or had it in their last answer.
    pub(crate) fn channel_on_nodes<'a>(
        &'a self,
        topic: &'a str,
        channel: &'a str,
    ) -> impl Iterator<Item = (&'a NodeState, &'a ChannelOn)> {
        let nodes = self.on_nodes(topic);
        nodes.filter_map(move |(node, own)| Some((node, own.channel(channel)?)))
    }

    /// Nodes and nsqlookupds that do not answer.
    pub(crate) fn missing(&self) -> Vec<&str> {
        let nodes = self
            .nodes
            .iter()
            .filter(|node| node.trouble.is_some())
            .map(|node| node.key.as_str());
        let sources = self.lookupds.iter().filter(|source| source.trouble.is_some());
        nodes
            .chain(sources.map(|source| source.address.as_str()))
            .collect()
    }
}
