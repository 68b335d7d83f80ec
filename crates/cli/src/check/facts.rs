//! What was seen of the daemons, failures included. Plain values for the judges.

use std::collections::BTreeMap;

use futures_util::future::{join, join_all};
use nsq_client::connection::{Connection, Reply};
use nsq_client::{Config, Error as ClientError};
use nsq_http_api::client::{Client, Error, authority};
use nsq_http_api::lookupd::{Node as Registered, Nodes, Topics};
use nsq_http_api::nsqd::{Info, Stats};
use tokio::time::timeout;

use crate::cluster::Cluster;

/// What nsqd answers to a command that is never right at this time, unless it wants TLS first.
const PROBE: &[u8] = b"CLS\n";

/// An nsqlookupd.
pub(super) struct Lookupd {
    pub(super) address: String,
    pub(super) nodes: Result<Nodes, Error>,
    pub(super) topics: Vec<String>,
}

/// An nsqd, by the address that consumers are told, or by the HTTP address that was given.
#[derive(Default)]
pub(super) struct Node {
    pub(super) tcp: String,
    pub(super) http: String,
    /// Its registration at each nsqlookupd (by its place in the list); several where several call themselves so.
    pub(super) registered: Vec<(usize, Registered)>,
    pub(super) reached: Option<Result<(), ClientError>>,
    /// It takes no command before TLS.
    pub(super) wants_tls: bool,
    pub(super) info: Option<Result<Info, Error>>,
    pub(super) first: Option<Stats>,
    pub(super) stats: Option<Result<Stats, Error>>,
}

/// Everything.
pub(super) struct Facts {
    pub(super) lookupds: Vec<Lookupd>,
    pub(super) nodes: Vec<Node>,
    /// HTTP addresses of nsqds that were given and do not answer.
    pub(super) silent: Vec<Error>,
    /// Nobody named the addresses.
    pub(super) guessed: bool,
}

impl Facts {
    /// The first look.
    pub(super) async fn gather(cluster: &Cluster) -> Self {
        let context = &cluster.place.context;
        let asked = context
            .lookupd
            .iter()
            .map(|address| ask(&cluster.client, address));
        let given = context.nsqd.iter().map(|address| async move {
            let info = cluster.client.nsqd_info(address).await;
            (address, info)
        });
        let (mut lookupds, given) = join(join_all(asked), join_all(given)).await;
        let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
        for (place, lookupd) in lookupds.iter().enumerate() {
            for found in lookupd.nodes.iter().flat_map(|nodes| &nodes.producers) {
                let producer = &found.producer;
                let at = |port| authority(&producer.broadcast_address, port);
                let node = nodes.entry(at(producer.tcp_port)).or_default();
                node.http = at(producer.http_port);
                node.registered.push((place, found.clone()));
            }
        }
        let mut silent = Vec::new();
        for (address, info) in given {
            match info {
                Ok(info) => {
                    let host = address
                        .rsplit_once(':')
                        .map_or(address.as_str(), |(host, _)| host);
                    let node = nodes
                        .entry(authority(host, i64::from(info.tcp_port)))
                        .or_default();
                    node.http.clone_from(address);
                }
                Err(error) => silent.push(error),
            }
        }
        let guessed = cluster.place.guessed;
        if guessed && (!nodes.is_empty() || lookupds.iter().any(|lookupd| lookupd.nodes.is_ok())) {
            // One of the two was only a guess.
            silent.clear();
            lookupds.retain(|lookupd| lookupd.nodes.is_ok());
        }
        let nodes = nodes.into_iter().map(|(tcp, node)| Node { tcp, ..node });
        let nodes = join_all(nodes.map(|node| reach(node, cluster))).await;
        Self {
            lookupds,
            nodes,
            silent,
            guessed,
        }
    }

    /// The second look at the queues.
    pub(super) async fn look_again(&mut self, cluster: &Cluster) {
        let looks = self.nodes.iter_mut().map(|node| async {
            let Some(Ok(first)) = node.stats.take() else {
                return;
            };
            node.first = Some(first);
            node.stats = Some(cluster.client.nsqd_stats(&node.http, true).await);
        });
        join_all(looks).await;
    }

    pub(super) fn answering_lookupds(&self) -> Vec<String> {
        let answering = self.lookupds.iter().filter(|lookupd| lookupd.nodes.is_ok());
        answering.map(|lookupd| lookupd.address.clone()).collect()
    }
}

async fn ask(client: &Client, address: &str) -> Lookupd {
    let (nodes, topics) = join(client.lookupd_nodes(address), client.lookupd_topics(address)).await;
    Lookupd {
        address: address.to_owned(),
        nodes,
        topics: topics.unwrap_or(Topics::default()).topics,
    }
}

async fn reach(mut node: Node, cluster: &Cluster) -> Node {
    let (reached, asked) = join(introduce(&node.tcp, &cluster.config), async {
        let info = cluster.client.nsqd_info(&node.http).await;
        let stats = match info {
            Ok(_) => Some(cluster.client.nsqd_stats(&node.http, true).await),
            Err(_) => None,
        };
        (info, stats)
    })
    .await;
    node.wants_tls = matches!(reached, Ok(true));
    node.reached = Some(reached.map(drop));
    node.info = Some(asked.0);
    node.stats = asked.1;
    node
}

/// Introduces itself as a client; true if nsqd takes nothing before TLS.
async fn introduce(address: &str, config: &Config) -> Result<bool, ClientError> {
    let mut connection = Connection::connect(address, config).await?;
    if config.tls.is_some() {
        return Ok(false);
    }
    connection.send(PROBE).await?;
    match timeout(config.command_timeout, connection.read()).await {
        Ok(Ok(Reply::Error(text))) => Ok(text.contains("TLS required")),
        _ => Ok(false),
    }
}
