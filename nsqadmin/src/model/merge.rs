//! Lists from several upstreams, merged by the rules of nsqadmin spec 7.1.

use std::collections::BTreeSet;

use nsq_http_api::client::authority;
use nsq_http_api::lookupd;
use nsq_http_api::nsqd::{Info, Stats};
use serde::Serialize;

use crate::upstream::Answer;

/// One nsqd, as `/api/nodes` shows it (key order of the reference).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Node {
    /// `<nsqlookupd>/<ip:port>` for each nsqlookupd that lists it; none without nsqlookupds.
    pub(crate) remote_addresses: Option<Vec<String>>,
    pub(crate) remote_address: String,
    pub(crate) hostname: String,
    pub(crate) broadcast_address: String,
    pub(crate) tcp_port: i64,
    pub(crate) http_port: i64,
    pub(crate) version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) topology_zone: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) topology_region: String,
    pub(crate) topics: Vec<NodeTopic>,
    pub(crate) out_of_date: bool,
}

/// A topic that a node has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct NodeTopic {
    pub(crate) topic: String,
    pub(crate) tombstoned: bool,
}

impl Node {
    /// `host:port` of its HTTP API; how a node is called everywhere.
    pub(crate) fn key(&self) -> String {
        authority(&self.broadcast_address, self.http_port)
    }
}

/// All texts once, sorted.
pub(crate) fn union(lists: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    lists
        .into_iter()
        .flatten()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// Nodes that nsqlookupds list, each once, sorted by host name.
pub(crate) fn merge_nodes<'a>(answers: impl IntoIterator<Item = &'a Answer<lookupd::Nodes>>) -> Vec<Node> {
    let mut merged: Vec<Node> = Vec::new();
    for answer in answers {
        let Ok(nodes) = &answer.result else { continue };
        for seen in &nodes.producers {
            let remote = match seen.producer.remote_address.as_str() {
                "" => "N/A",
                address => address,
            };
            let sighting = format!("{}/{remote}", answer.address);
            let same = |node: &&mut Node| {
                node.broadcast_address == seen.producer.broadcast_address
                    && node.tcp_port == seen.producer.tcp_port
            };
            match merged.iter_mut().find(same) {
                Some(node) => node.remote_addresses.get_or_insert_default().push(sighting),
                None => merged.push(first_sighting(seen, sighting)),
            }
        }
    }
    merged.sort_by(|a, b| (&a.hostname, a.key()).cmp(&(&b.hostname, b.key())));
    super::mark_out_of_date(&mut merged);
    merged
}

fn first_sighting(seen: &lookupd::Node, sighting: String) -> Node {
    let producer = &seen.producer;
    // tombstones may be shorter in other implementations: what is not said is not tombstoned
    let flags = seen.tombstones.iter().copied().chain(std::iter::repeat(false));
    let topics = seen.topics.iter().cloned().zip(flags);
    let mut topics: Vec<_> = topics
        .map(|(topic, tombstoned)| NodeTopic { topic, tombstoned })
        .collect();
    topics.sort_by(|a, b| a.topic.cmp(&b.topic));
    Node {
        remote_addresses: Some(vec![sighting]),
        remote_address: producer.remote_address.clone(),
        hostname: producer.hostname.clone(),
        broadcast_address: producer.broadcast_address.clone(),
        tcp_port: producer.tcp_port,
        http_port: producer.http_port,
        version: producer.version.clone(),
        topology_zone: producer.topology_zone.clone(),
        topology_region: producer.topology_region.clone(),
        topics,
        out_of_date: false,
    }
}

/// Nodes that are known by address: one for each whose `/info` and `/stats` came, in the order of the addresses.
pub(crate) fn nodes_from_nsqds(infos: &[Answer<Info>], stats: &[Answer<Stats>]) -> Vec<Node> {
    let both = infos.iter().zip(stats);
    both.filter_map(|(info, stats)| {
        let topics = stats.result.as_ref().ok()?.topics.iter().flatten();
        let topics = topics.map(|topic| NodeTopic {
            topic: topic.topic_name.clone(),
            tombstoned: false,
        });
        Some(Node {
            topics: topics.collect(),
            ..node_from_info(&info.address, info.result.as_ref().ok()?)
        })
    })
    .collect()
}

/// A node by its own account; its configured address stands in for what it does not say.
pub(super) fn node_from_info(address: &str, info: &Info) -> Node {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let or_host = |text: &String| {
        if text.is_empty() {
            host.trim_matches(['[', ']']).to_owned()
        } else {
            text.clone()
        }
    };
    Node {
        hostname: or_host(&info.hostname),
        broadcast_address: or_host(&info.broadcast_address),
        tcp_port: i64::from(info.tcp_port),
        http_port: match info.http_port {
            0 => port.parse().unwrap_or(0),
            port => i64::from(port),
        },
        version: info.version.clone(),
        topology_zone: info.topology_zone.clone(),
        topology_region: info.topology_region.clone(),
        ..Node::default()
    }
}
