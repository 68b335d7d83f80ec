//! `nsq nodes`: every nsqd with what it holds.

use serde::Serialize;

use crate::cluster::{Cluster, Measured};
use crate::listing::{Format, Row, text};
use crate::problem::{Problem, one_line};

/// A node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeRow {
    tcp: String,
    http: String,
    hostname: String,
    version: String,
    topics: Option<usize>,
    depth: Option<i64>,
    health: String,
}

impl Row for NodeRow {
    const HEADS: &'static [&'static str] =
        &["NODE", "HTTP", "HOST", "VERSION", " TOPICS", " DEPTH", "HEALTH"];

    fn name(&self) -> String {
        self.tcp.clone()
    }

    fn cells(&self) -> Vec<String> {
        // What is not known is not 0.
        let unknown = || "?".to_owned();
        vec![
            self.tcp.clone(),
            self.http.clone(),
            self.hostname.clone(),
            self.version.clone(),
            self.topics.map_or_else(unknown, |count| count.to_string()),
            self.depth.map_or_else(unknown, |count| count.to_string()),
            self.health.clone(),
        ]
    }
}

impl From<Measured> for NodeRow {
    fn from(Measured { node, stats }: Measured) -> Self {
        let (topics, depth, health) = match stats {
            Err(error) => (None, None, one_line(&error.cause.to_string())),
            Ok(stats) => {
                let topics = stats.topics.unwrap_or_default();
                let channels = topics.iter().flat_map(|topic| &topic.channels);
                let depth: i64 = channels.map(|channel| channel.depth).sum();
                let own: i64 = topics.iter().map(|topic| topic.depth).sum();
                (Some(topics.len()), Some(depth + own), one_line(&stats.health))
            }
        };
        Self {
            tcp: node.tcp,
            http: node.http,
            hostname: node.hostname,
            version: node.version,
            topics,
            depth,
            health,
        }
    }
}

/// The nodes.
///
/// # Errors
/// Nobody answers.
pub async fn list(format: Format, cluster: &Cluster) -> Result<String, Problem> {
    let found = cluster.nodes().await?;
    let measured = cluster.measure(&found.nodes, false).await;
    let rows: Vec<NodeRow> = measured.into_iter().map(NodeRow::from).collect();
    text(&rows, format)
}
