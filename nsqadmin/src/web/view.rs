//! View models: everything a template shows, ready to be written.

use askama::Template;
use nsq_service::build_info;

use super::fmt::{Cell, count};
use super::{assets, urls};
use crate::model::{Channel, NodeState, Snapshot, Sum, Topic};

/// Topics on the page; a page of thousands of rows helps nobody.
const MAX_TOPICS: usize = 200;

/// Names in the problem strip.
const MAX_NAMED: usize = 3;

/// The overview page.
#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct Overview {
    shell: Shell,
    state: State,
    tiles: Vec<Tile>,
    topics: Vec<TopicRow>,
    topics_caption: String,
    nodes: Vec<NodeRow>,
    lookupds: Vec<SourceRow>,
}

/// What all pages have.
pub(super) struct Shell {
    pub(super) css: String,
    pub(super) icon: String,
    pub(super) home: String,
    /// Of who looks: `admin` or `viewer`.
    pub(super) role: &'static str,
    pub(super) pages: Vec<PageLink>,
    pub(super) version: &'static str,
    pub(super) release: &'static str,
    /// Who does not answer; empty if all do.
    pub(super) problem: String,
}

pub(super) struct PageLink {
    pub(super) text: &'static str,
    pub(super) url: String,
    pub(super) is_current: bool,
}

#[derive(PartialEq, Eq)]
enum State {
    /// No source answered.
    Blind,
    /// There are no topics.
    Empty,
    Filled,
}

pub(super) struct Tile {
    pub(super) label: &'static str,
    pub(super) cell: Cell,
}

struct TopicRow {
    name: String,
    url: String,
    depth: Cell,
    channel_depth: Cell,
    in_flight: Cell,
    deferred: Cell,
    clients: Cell,
    messages: Cell,
    nodes: String,
    paused: bool,
    channels: Vec<ChannelRow>,
}

struct ChannelRow {
    name: String,
    url: String,
    depth: Cell,
    in_flight: Cell,
    deferred: Cell,
    clients: Cell,
    messages: Cell,
    paused: bool,
}

struct NodeRow {
    key: String,
    url: String,
    hostname: String,
    version: String,
    out_of_date: bool,
    topics: Cell,
    depth: Cell,
    in_flight: Cell,
    clients: Cell,
    /// Empty if it answers and is healthy.
    trouble: String,
    raw: String,
}

struct SourceRow {
    address: String,
    trouble: String,
    raw: String,
}

impl Overview {
    pub(super) fn new(snapshot: &Snapshot, base_path: &str, may_act: bool) -> Self {
        let state = match (snapshot.is_blind(), snapshot.topics.is_empty()) {
            (true, _) => State::Blind,
            (false, true) => State::Empty,
            (false, false) => State::Filled,
        };
        Self {
            shell: Shell::new(snapshot, base_path, "Overview", may_act),
            state,
            tiles: tiles(snapshot),
            topics: snapshot
                .topics
                .iter()
                .take(MAX_TOPICS)
                .map(|topic| TopicRow::new(topic, base_path))
                .collect(),
            topics_caption: caption(snapshot.topics.len()),
            nodes: snapshot
                .nodes
                .iter()
                .map(|node| NodeRow::new(node, base_path))
                .collect(),
            lookupds: snapshot
                .lookupds
                .iter()
                .map(|source| {
                    let trouble = source.trouble.as_ref();
                    SourceRow {
                        address: source.address.clone(),
                        trouble: trouble.map(|trouble| trouble.reason.clone()).unwrap_or_default(),
                        raw: trouble.map(|trouble| trouble.raw.clone()).unwrap_or_default(),
                    }
                })
                .collect(),
        }
    }
}

impl Shell {
    /// The frame of the page that is called `current` in the navigation.
    pub(super) fn new(snapshot: &Snapshot, base_path: &str, current: &str, may_act: bool) -> Self {
        let home = urls::home(base_path);
        let pages = [
            ("Overview", home.clone()),
            ("Nodes", urls::below(base_path, &["nodes"])),
            ("Lookup", urls::below(base_path, &["lookup"])),
            ("Counter", urls::below(base_path, &["counter"])),
        ];
        Self {
            css: assets::url(base_path, "app.css"),
            icon: assets::url(base_path, "favicon.svg"),
            home,
            role: if may_act { "admin" } else { "viewer" },
            pages: pages
                .into_iter()
                .map(|(text, url)| PageLink {
                    text,
                    url,
                    is_current: text == current,
                })
                .collect(),
            version: build_info::VERSION,
            release: build_info::RELEASE,
            problem: problem(snapshot),
        }
    }
}

fn problem(snapshot: &Snapshot) -> String {
    let silent: Vec<&str> = snapshot
        .nodes
        .iter()
        .filter(|node| node.numbers.is_err())
        .map(|node| node.key.as_str())
        .collect();
    let deaf: Vec<&str> = snapshot
        .lookupds
        .iter()
        .filter(|source| source.trouble.is_some())
        .map(|source| source.address.as_str())
        .collect();
    let mut parts = Vec::new();
    for (names, of, what) in [
        (&silent, snapshot.nodes.len(), "nodes"),
        (&deaf, snapshot.lookupds.len(), "nsqlookupds"),
    ] {
        if !names.is_empty() {
            let more = if names.len() > MAX_NAMED {
                " and others"
            } else {
                ""
            };
            let named = names
                .iter()
                .take(MAX_NAMED)
                .copied()
                .collect::<Vec<_>>()
                .join(", ");
            parts.push(format!(
                "{} of {of} {what} not answering: {named}{more}",
                names.len()
            ));
        }
    }
    if !silent.is_empty() {
        parts.push("totals are partial".to_owned());
    }
    parts.join(" · ")
}

fn tiles(snapshot: &Snapshot) -> Vec<Tile> {
    let nodes = snapshot.nodes.len();
    let answered = snapshot.nodes.iter().filter(|node| node.numbers.is_ok()).count();
    let sum = |value: fn(&Topic) -> i64| {
        let value = snapshot.topics.iter().map(value).fold(0, i64::saturating_add);
        Cell::sum(Sum {
            value,
            nodes,
            answered,
        })
    };
    vec![
        Tile {
            label: "Depth",
            cell: sum(Topic::work),
        },
        Tile {
            label: "In flight",
            cell: sum(|topic| topic.in_flight.value),
        },
        Tile {
            label: "Deferred",
            cell: sum(|topic| topic.deferred.value),
        },
        Tile {
            label: "Clients",
            cell: sum(|topic| topic.clients.value),
        },
        Tile {
            label: "Topics",
            cell: Cell::number(i64::try_from(snapshot.topics.len()).unwrap_or(i64::MAX)),
        },
        Tile {
            label: "Nodes",
            cell: nodes_cell(answered, nodes),
        },
    ]
}

fn nodes_cell(answered: usize, nodes: usize) -> Cell {
    let class = if answered < nodes { "partial" } else { "" };
    let title = format!("{answered} of {nodes} nodes answer");
    Cell {
        text: format!("{answered}/{nodes}"),
        class,
        title,
        note: String::new(),
    }
}

fn caption(topics: usize) -> String {
    let all = count(i64::try_from(topics).unwrap_or(i64::MAX));
    if topics > MAX_TOPICS {
        format!("the {MAX_TOPICS} deepest of {all} topics")
    } else {
        format!("{all} {}", if topics == 1 { "topic" } else { "topics" })
    }
}

impl TopicRow {
    fn new(topic: &Topic, base_path: &str) -> Self {
        let Sum { nodes, answered, .. } = topic.depth;
        Self {
            url: urls::below(base_path, &["topics", &topic.name]),
            name: topic.name.clone(),
            depth: Cell::sum(topic.depth),
            channel_depth: Cell::sum(topic.channel_depth),
            in_flight: Cell::sum(topic.in_flight),
            deferred: Cell::sum(topic.deferred),
            clients: Cell::sum(topic.clients),
            messages: Cell::sum(topic.message_count),
            nodes: if answered < nodes {
                format!("{answered}/{nodes}")
            } else {
                nodes.to_string()
            },
            paused: topic.paused,
            channels: topic
                .channels
                .iter()
                .map(|channel| ChannelRow::new(channel, &topic.name, base_path))
                .collect(),
        }
    }
}

impl ChannelRow {
    fn new(channel: &Channel, topic: &str, base_path: &str) -> Self {
        Self {
            url: urls::below(base_path, &["topics", topic, &channel.name]),
            name: channel.name.clone(),
            depth: Cell::sum(channel.depth),
            in_flight: Cell::sum(channel.in_flight),
            deferred: Cell::sum(channel.deferred),
            clients: Cell::sum(channel.clients),
            messages: Cell::sum(channel.message_count),
            paused: channel.paused,
        }
    }
}

impl NodeRow {
    fn new(node: &NodeState, base_path: &str) -> Self {
        let row = |topics, depth, in_flight, clients, trouble, raw| Self {
            url: urls::below(base_path, &["nodes", &node.key]),
            key: node.key.clone(),
            hostname: node.hostname.clone(),
            version: node.version.clone(),
            out_of_date: node.out_of_date,
            topics,
            depth,
            in_flight,
            clients,
            trouble,
            raw,
        };
        match &node.numbers {
            Ok(numbers) => row(
                Cell::number(i64::try_from(numbers.topics).unwrap_or(i64::MAX)),
                Cell::number(numbers.depth),
                Cell::number(numbers.in_flight),
                Cell::number(numbers.clients),
                if numbers.health == "OK" {
                    String::new()
                } else {
                    numbers.health.clone()
                },
                String::new(),
            ),
            Err(trouble) => {
                let unknown = || Cell::unknown(&trouble.reason);
                row(
                    unknown(),
                    unknown(),
                    unknown(),
                    unknown(),
                    trouble.reason.clone(),
                    trouble.raw.clone(),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
