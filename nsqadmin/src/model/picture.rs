//! Collects answers as they come and makes a [`Snapshot`] of them when asked. Pure: who asks and when is the poller's
//! business.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use nsq_http_api::lifecycle::{Lifecycle, Phase};
use nsq_http_api::lookupd;
use nsq_http_api::nsqd::{Info, Stats};

use super::merge::{Node, merge_nodes, node_from_info};
use super::records::LatencyRecord;
use super::said::{Earlier, Names, Numbers, Said};
use super::snapshot::{Channel, Gone, NodeState, Snapshot, Source, Spread, Topic, Trouble};
use crate::options::Sources;
use crate::upstream::Answer;

/// A node that went is remembered for this many seconds.
const REMEMBERED: i64 = 3600;

/// When an answer came, and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// Unix seconds.
    pub(crate) at: i64,
    /// By the monotonic clock.
    pub(crate) monotonic: Duration,
    pub(crate) took: Duration,
}

/// What was heard so far.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    names: Names,
    lookupds: Vec<LookupdEntry>,
    /// By address of their HTTP API.
    nodes: BTreeMap<String, NodeEntry>,
    gone: Vec<Gone>,
}

#[derive(Debug)]
struct LookupdEntry {
    /// The last list that came.
    nodes: Answer<lookupd::Nodes>,
    topics: Vec<String>,
    trouble: Option<Trouble>,
    took: Duration,
    is_heard: bool,
}

#[derive(Debug, Default)]
struct NodeEntry {
    listed: Node,
    said: Option<Arc<Said>>,
    /// What rates are counted from; mostly the same as `said`.
    baseline: Option<Arc<Said>>,
    info: Option<Info>,
    /// While it comes or goes.
    lifecycle: Option<Arc<Lifecycle>>,
    trouble: Option<Trouble>,
    took: Duration,
    /// Unix seconds of the last answer.
    seen: i64,
    /// Unix seconds of the last answer or failure.
    tried: i64,
}

impl Picture {
    /// Knows nothing but whom to ask; keeps what it knows of those that stay.
    pub(crate) fn set_sources(&mut self, sources: &Sources) {
        match sources {
            Sources::Lookupds(addresses) => {
                let mut known: HashMap<String, LookupdEntry> = std::mem::take(&mut self.lookupds)
                    .into_iter()
                    .map(|entry| (entry.nodes.address.clone(), entry))
                    .collect();
                let entry = |address: &String| {
                    known
                        .remove(address)
                        .unwrap_or_else(|| LookupdEntry::new(address))
                };
                self.lookupds = addresses.iter().map(entry).collect();
            }
            Sources::Nsqds(addresses) => {
                self.lookupds.clear();
                for address in addresses {
                    self.nodes.entry(address.clone()).or_default();
                }
                self.nodes.retain(|address, _| addresses.contains(address));
            }
        }
    }

    /// The nodes to ask, by address.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// Whether a node was listed and nothing was heard of it.
    pub(crate) fn is_new(&self, address: &str) -> bool {
        self.nodes
            .get(address)
            .is_some_and(|entry| entry.said.is_none() && entry.trouble.is_none())
    }

    /// The nodes to ask at `now`: those in trouble only when the seconds that `pause` gives have passed since they were asked.
    pub(crate) fn due(&self, now: i64, pause: impl Fn(&Trouble) -> i64) -> Vec<String> {
        let is_due = |entry: &NodeEntry| {
            let trouble = entry.trouble.as_ref();
            trouble.is_none_or(|trouble| now.saturating_sub(entry.tried) >= pause(trouble))
        };
        let due = self.nodes.iter().filter(|(_, entry)| is_due(entry));
        due.map(|(address, _)| address.clone()).collect()
    }

    /// The nodes that can do something beyond the reference, by address.
    pub(crate) fn able(&self, extension: &str) -> Vec<String> {
        let able = self.nodes.iter().filter(|(_, entry)| entry.can(extension));
        able.map(|(address, _)| address.clone()).collect()
    }

    /// Whether a node said nothing since a moment of the monotonic clock.
    pub(crate) fn is_older(&self, address: &str, moment: Duration) -> bool {
        let said = self.nodes.get(address).and_then(|entry| entry.said.as_ref());
        said.is_none_or(|said| said.at < moment)
    }

    /// Whether one of them can.
    pub(crate) fn can(&self, address: &str, extension: &str) -> bool {
        self.nodes.get(address).is_some_and(|entry| entry.can(extension))
    }

    /// Whether a node did not say yet what it is, or may be another by now.
    pub(crate) fn is_unknown(&self, address: &str) -> bool {
        let Some(entry) = self.nodes.get(address) else {
            return false;
        };
        match (&entry.info, &entry.said) {
            (None, _) => true,
            (Some(info), Some(said)) => said.start_time != 0 && info.start_time != said.start_time,
            (Some(_), None) => false,
        }
    }

    pub(crate) fn hear_topics(&mut self, answer: Answer<lookupd::Topics>) {
        let entry = self
            .lookupds
            .iter_mut()
            .find(|entry| entry.nodes.address == answer.address);
        if let (Some(entry), Ok(topics)) = (entry, answer.result) {
            entry.topics = topics.topics;
        }
    }

    pub(crate) fn hear_nodes(&mut self, answer: Answer<lookupd::Nodes>, heard: Heard) {
        let Some(entry) = self
            .lookupds
            .iter_mut()
            .find(|entry| entry.nodes.address == answer.address)
        else {
            return;
        };
        entry.is_heard = true;
        entry.took = heard.took;
        match &answer.result {
            Ok(_) => {
                entry.trouble = None;
                entry.nodes = answer;
            }
            Err(error) => entry.trouble = Some(Trouble::again(entry.trouble.as_ref(), error, heard.at)),
        }
        self.list(heard.at);
    }

    /// Nodes are those of all lists; a silent nsqlookupd counts with its last one.
    fn list(&mut self, now: i64) {
        let lists = self.lookupds.iter().map(|entry| &entry.nodes);
        let mut before = std::mem::take(&mut self.nodes);
        for node in merge_nodes(lists) {
            let key = node.key();
            let mut entry = before.remove(&key).unwrap_or_default();
            self.gone.retain(|gone| gone.key != key);
            entry.listed = node;
            self.nodes.insert(key, entry);
        }
        for (key, entry) in before {
            let depth = entry.said.as_ref().map_or(0, |said| said.depth());
            let is_drained = entry.phase() == Phase::Draining && depth == 0;
            if entry.said.is_some() && !is_drained {
                self.gone.push(Gone {
                    key,
                    seen: entry.seen,
                    depth,
                });
            }
        }
        self.gone
            .retain(|gone| now.saturating_sub(gone.seen) < REMEMBERED);
    }

    pub(crate) fn hear_info(&mut self, answer: Answer<Info>) {
        if let (Some(entry), Ok(info)) = (self.nodes.get_mut(&answer.address), answer.result) {
            if self.lookupds.is_empty() {
                entry.listed = node_from_info(&answer.address, &info);
            }
            if info.phase.unwrap_or_default() == Phase::Active {
                entry.lifecycle = None;
            }
            entry.info = Some(info);
        }
    }

    /// Whether a node comes or goes, as far as it said.
    pub(crate) fn is_on_the_move(&self, address: &str) -> bool {
        self.nodes.get(address).is_some_and(|entry| {
            let can_tell = |info: &Info| info.extensions.iter().any(|name| name == "lifecycle");
            entry.info.as_ref().is_some_and(can_tell) && entry.phase() != Phase::Active
        })
    }

    pub(crate) fn hear_lifecycle(&mut self, answer: Answer<Lifecycle>) {
        if let (Some(entry), Ok(lifecycle)) = (self.nodes.get_mut(&answer.address), answer.result) {
            if let Some(info) = &mut entry.info {
                info.phase = Some(lifecycle.phase);
            }
            let is_moving = lifecycle.phase != Phase::Active;
            entry.lifecycle = is_moving.then(|| Arc::new(lifecycle));
        }
    }

    pub(crate) fn hear_stats(&mut self, answer: Answer<Stats>, heard: Heard) {
        let Some(entry) = self.nodes.get_mut(&answer.address) else {
            return;
        };
        entry.took = heard.took;
        entry.tried = heard.at;
        let stats = match answer.result {
            Ok(stats) => stats,
            Err(error) => {
                entry.trouble = Some(Trouble::again(entry.trouble.as_ref(), &error, heard.at));
                return;
            }
        };
        let earlier = match (&entry.baseline, &entry.said) {
            (Some(baseline), Some(latest)) => Some(Earlier { baseline, latest }),
            _ => None,
        };
        let said = Arc::new(Said::of(stats, heard.monotonic, &mut self.names, earlier));
        let is_next = match &entry.baseline {
            None => true,
            Some(baseline) => baseline.is_far_from(heard.monotonic) || baseline.start_time != said.start_time,
        };
        if is_next {
            entry.baseline = Some(Arc::clone(&said));
        }
        entry.said = Some(said);
        entry.trouble = None;
        entry.seen = heard.at;
    }

    /// Everything that was heard, at `now` in Unix seconds.
    pub(crate) fn snapshot(&mut self, now: i64) -> Snapshot {
        let lookupds: Vec<Source> = self.lookupds.iter().map(LookupdEntry::source).collect();
        let mut listed: Vec<Node> = self.nodes.values().map(|entry| entry.listed.clone()).collect();
        super::mark_out_of_date(&mut listed);
        let by_lookupds = !self.lookupds.is_empty();
        let entries = self.nodes.iter().zip(listed);
        let mut nodes: Vec<NodeState> = entries
            .map(|((address, entry), mut listed)| {
                // an old version is only said of nodes that nsqlookupds list, as in the reference
                listed.out_of_date &= by_lookupds;
                entry.state(address, listed, now)
            })
            .collect();
        nodes.sort_by(|a, b| (&a.listed.hostname, &a.key).cmp(&(&b.listed.hostname, &b.key)));
        let is_complete = self.lookupds.iter().all(|entry| entry.is_heard)
            && nodes
                .iter()
                .all(|node| node.said.is_some() || node.trouble.is_some());
        let topics = merge_topics(&self.lookupds, &nodes);
        self.names.tidy();
        Snapshot {
            at: now,
            is_complete,
            lookupds,
            topics,
            nodes,
            gone: self.gone.clone(),
            ..Snapshot::default()
        }
    }
}

impl LookupdEntry {
    fn new(address: &str) -> Self {
        Self {
            nodes: Answer {
                address: address.to_owned(),
                result: Ok(lookupd::Nodes::default()),
            },
            topics: Vec::new(),
            trouble: None,
            took: Duration::ZERO,
            is_heard: false,
        }
    }

    fn source(&self) -> Source {
        let listed = merge_nodes([&self.nodes]);
        Source {
            address: self.nodes.address.clone(),
            trouble: self.trouble.clone(),
            took: self.took,
            topics: self.topics.len(),
            nodes: listed.iter().map(Node::key).collect(),
        }
    }
}

impl NodeEntry {
    fn can(&self, extension: &str) -> bool {
        let extensions = self.info.iter().flat_map(|info| &info.extensions);
        extensions.into_iter().any(|own| own == extension)
    }

    fn phase(&self) -> Phase {
        self.info.as_ref().and_then(|info| info.phase).unwrap_or_default()
    }

    fn state(&self, address: &str, listed: Node, now: i64) -> NodeState {
        let key = match listed.broadcast_address.as_str() {
            "" => address.to_owned(),
            _ => listed.key(),
        };
        NodeState {
            address: address.to_owned(),
            key,
            listed,
            said: self.said.clone(),
            trouble: self.trouble.clone(),
            took: self.took,
            age: now.saturating_sub(self.seen).max(0),
            phase: self.phase(),
            lifecycle: self.lifecycle.clone(),
            extensions: self
                .info
                .as_ref()
                .map(|info| info.extensions.clone())
                .unwrap_or_default(),
        }
    }
}

#[derive(Default)]
struct Parts {
    spread: Spread,
    read_only: usize,
    durability: BTreeSet<Arc<str>>,
    latency: Option<Box<LatencyRecord>>,
    own: Numbers,
    channels: BTreeMap<Arc<str>, ChannelParts>,
    /// Nodes that do not answer now, with the channels they had.
    silent: usize,
}

#[derive(Default)]
struct ChannelParts {
    spread: Spread,
    numbers: Numbers,
    latency: Option<Box<LatencyRecord>>,
}

/// Adds what one more node measured.
fn weigh(sum: &mut Option<Box<LatencyRecord>>, more: Option<&LatencyRecord>) {
    match (sum, more) {
        (Some(sum), Some(more)) => sum.add(more),
        (sum @ None, Some(more)) => *sum = Some(Box::new(more.clone())),
        (_, None) => {}
    }
}

fn merge_topics(lookupds: &[LookupdEntry], nodes: &[NodeState]) -> Vec<Topic> {
    let mut all: BTreeMap<Arc<str>, Parts> = BTreeMap::new();
    for name in lookupds.iter().flat_map(|entry| &entry.topics) {
        all.entry(name.as_str().into()).or_default();
    }
    for node in nodes {
        if let Some(said) = node.now() {
            for topic in &said.topics {
                let parts = all.entry(Arc::clone(&topic.name)).or_default();
                parts.spread.nodes += 1;
                parts.spread.answered += 1;
                parts.spread.paused += usize::from(topic.paused);
                parts.read_only += usize::from(topic.read_only);
                parts.own.add(&topic.own);
                parts.durability.extend(topic.durability.clone());
                weigh(&mut parts.latency, topic.latency.as_deref());
                for channel in &topic.channels {
                    let own = parts.channels.entry(Arc::clone(&channel.name)).or_default();
                    own.spread.nodes += 1;
                    own.spread.answered += 1;
                    own.spread.paused += usize::from(channel.paused);
                    own.numbers.add(&channel.numbers);
                    weigh(&mut own.latency, channel.latency.as_deref());
                }
            }
            continue;
        }
        // it had them, or the nsqlookupds say so, but what is in them now is not known
        let listed = node.listed.topics.iter().map(|topic| topic.topic.as_str());
        let had = node
            .said
            .iter()
            .flat_map(|said| &said.topics)
            .map(|topic| &*topic.name);
        for name in listed.chain(had).collect::<BTreeSet<&str>>() {
            let parts = all.entry(name.into()).or_default();
            parts.spread.nodes += 1;
            parts.silent += 1;
            if let Some(topic) = node.said.as_deref().and_then(|said| said.topic(name)) {
                for channel in &topic.channels {
                    parts.channels.entry(Arc::clone(&channel.name)).or_default();
                }
            }
        }
    }
    all.into_iter().map(|(name, parts)| parts.topic(name)).collect()
}

impl Parts {
    fn topic(self, name: Arc<str>) -> Topic {
        let mut sum = Numbers::default();
        let channels: Vec<Channel> = self
            .channels
            .into_iter()
            .map(|(name, mut own)| {
                sum.add(&own.numbers);
                // any of the silent ones may have it too
                own.spread.nodes += self.silent;
                Channel {
                    name,
                    spread: own.spread,
                    numbers: own.numbers,
                    latency: own.latency,
                }
            })
            .collect();
        Topic {
            name,
            spread: self.spread,
            read_only: self.read_only,
            durability: self.durability,
            latency: self.latency,
            own: self.own,
            sum,
            channels,
        }
    }
}
