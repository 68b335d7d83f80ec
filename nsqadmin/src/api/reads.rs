//! One topic, one channel, one node, and the counter (nsqadmin spec 8.2 to 8.6).

use std::collections::BTreeMap;
use std::sync::Arc;

use nsq_http_api::nsqd::Stats;
use nsq_service::http::{Failure, Reply, Request};
use serde::Serialize;

use super::node_list;
use super::producers::producers;
use super::steps::Steps;
use crate::Shared;
use crate::model::{ChannelRecord, Node, Producer, TopicRecord, clients_of};
use crate::options::Sources;
use crate::upstream::Answer;

#[derive(Serialize)]
struct WithMessage<T> {
    #[serde(flatten)]
    record: T,
    message: String,
}

#[derive(Serialize)]
struct NodeBody {
    node: String,
    topics: Vec<TopicRecord>,
    total_messages: i64,
    total_clients: usize,
}

#[derive(Serialize)]
struct Count {
    node: String,
    topic_name: String,
    channel_name: String,
    message_count: u64,
}

#[derive(Serialize)]
struct CounterBody {
    stats: BTreeMap<String, Count>,
}

fn answer<T: Serialize>(record: T, steps: &Steps) -> Result<Reply, Failure> {
    Reply::json(&WithMessage {
        record,
        message: steps.message(),
    })
}

/// What each producer said about a topic, or one of its channels.
async fn records(
    shared: &Shared,
    topic: &str,
    channel: Option<&str>,
    steps: &mut Steps,
) -> Result<Vec<TopicRecord>, Failure> {
    let found = producers(shared, topic, steps).await?;
    let addresses: Vec<String> = found.iter().map(|producer| producer.address.clone()).collect();
    let stats = shared.upstream.topic_stats(&addresses, topic, channel).await;
    // A topic that nsqlookupds know and no nsqd has is empty, not broken.
    if !(found.is_empty() && matches!(shared.upstream.sources(), Sources::Lookupds(_))) {
        steps.read("nsqd", &stats)?;
    }
    let now = shared.upstream.now();
    let mut nodes: Vec<TopicRecord> = found
        .iter()
        .zip(&stats)
        .flat_map(|(producer, stats)| {
            topics(producer, stats, now)
                .filter(|record| record.topic_name == topic)
                .collect::<Vec<_>>()
        })
        .collect();
    nodes.sort_by(|a, b| (&a.hostname, &a.node).cmp(&(&b.hostname, &b.node)));
    Ok(nodes)
}

fn topics<'a>(
    producer: &'a Producer,
    stats: &'a Answer<Stats>,
    now: i64,
) -> impl Iterator<Item = TopicRecord> + 'a {
    let topics = stats
        .result
        .iter()
        .flat_map(|stats| stats.topics.iter().flatten());
    topics.map(move |topic| TopicRecord::of(producer, topic, now))
}

/// A topic over the nodes that have it.
async fn read_topic(shared: &Shared, name: &str, steps: &mut Steps) -> Result<TopicRecord, Failure> {
    let nodes = records(shared, name, None, steps).await?;
    Ok(TopicRecord::merged(name, nodes))
}

/// `GET /api/topics/:topic`
pub(crate) async fn topic(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let mut steps = Steps::default();
    let record = read_topic(&shared, request.param("topic"), &mut steps).await?;
    answer(record, &steps)
}

/// A channel over the nodes that have it, with its clients.
pub(crate) async fn read_channel(
    shared: &Shared,
    topic: &str,
    name: &str,
    steps: &mut Steps,
) -> Result<ChannelRecord, Failure> {
    let nodes = records(shared, topic, Some(name), steps).await?;
    let channels = nodes.into_iter().flat_map(|record| record.channels);
    let own: Vec<ChannelRecord> = channels.filter(|record| record.channel_name == name).collect();
    if own.is_empty() {
        return Err(Failure::not_found("CHANNEL_NOT_FOUND"));
    }
    let mut merged = ChannelRecord::merged(topic, name, own);
    merged.sort_clients();
    Ok(merged)
}

/// `GET /api/topics/:topic/:channel`
pub(crate) async fn channel(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let (topic, name) = (request.param("topic"), request.param("channel"));
    let mut steps = Steps::default();
    let record = read_channel(&shared, topic, name, &mut steps).await?;
    answer(record, &steps)
}

fn as_producer(node: &Node) -> Producer {
    Producer {
        key: node.key(),
        address: node.key(),
        hostname: node.hostname.clone(),
        zone: node.topology_zone.clone(),
        region: node.topology_region.clone(),
    }
}

/// What one node has.
async fn read_node(shared: &Shared, key: &str, steps: &mut Steps) -> Result<Vec<TopicRecord>, Failure> {
    let known = node_list(shared, steps).await?;
    let node = known.iter().find(|node| node.key() == key);
    let producer = as_producer(node.ok_or_else(|| Failure::not_found("NODE_NOT_FOUND"))?);
    let stats = shared.upstream.node_stats(producer.address.clone()).await;
    steps.read("nsqd", std::slice::from_ref(&stats))?;
    Ok(topics(&producer, &stats, shared.upstream.now()).collect())
}

/// `GET /api/nodes/:node`
pub(crate) async fn node(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let key = request.param("node");
    let mut steps = Steps::default();
    let topics = read_node(&shared, key, &mut steps).await?;
    let body = NodeBody {
        node: key.to_owned(),
        total_messages: topics
            .iter()
            .fold(0, |sum, topic| topic.message_count.saturating_add(sum)),
        total_clients: topics.iter().map(clients_of).sum(),
        topics,
    };
    answer(body, &steps)
}

/// `GET /api/counter`
pub(crate) async fn counter(shared: Arc<Shared>, _: Request) -> Result<Reply, Failure> {
    let mut steps = Steps::default();
    let nodes = node_list(&shared, &mut steps).await?;
    let keys: Vec<String> = nodes.iter().map(Node::key).collect();
    let answers = shared.upstream.nsqd_stats(&keys).await;
    steps.read("nsqd", &answers)?;
    let mut stats = BTreeMap::new();
    for answer in answers {
        for topic in answer.result.into_iter().flat_map(|stats| stats.topics).flatten() {
            for channel in topic.channels {
                let (topic_name, node) = (topic.topic_name.clone(), answer.address.clone());
                let count = Count {
                    message_count: channel.message_count,
                    channel_name: channel.channel_name,
                    topic_name,
                    node,
                };
                let key = format!("{}:{}:{}", count.topic_name, count.channel_name, count.node);
                stats.insert(key, count);
            }
        }
    }
    answer(CounterBody { stats }, &steps)
}
