//! Topics and channels as `/api/topics/…` and `/api/nodes/:node` show them: what one node said, and many merged (nsqadmin spec
//! 7.2, 7.3). Key order is the reference's. An aggregate is always a fresh one, so no node's own numbers change (A6).

use nsq_http_api::nsqd::{ChannelStats, ClientStats, Latency, TopicStats};
use serde::Serialize;

/// An nsqd that has a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producer {
    /// What it is called.
    pub(crate) key: String,
    /// Where it is asked.
    pub(crate) address: String,
    pub(crate) hostname: String,
    pub(crate) zone: String,
    pub(crate) region: String,
}

/// A topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct TopicRecord {
    pub(crate) node: String,
    pub(crate) hostname: String,
    pub(crate) topic_name: String,
    pub(crate) depth: i64,
    pub(crate) memory_depth: i64,
    pub(crate) backend_depth: i64,
    pub(crate) message_count: i64,
    /// nsqds count deliveries by channel only.
    pub(crate) delivery_msg_count: i64,
    pub(crate) nodes: Option<Vec<Self>>,
    pub(crate) channels: Vec<ChannelRecord>,
    pub(crate) paused: bool,
    pub(crate) e2e_processing_latency: LatencyRecord,
}

/// A channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct ChannelRecord {
    pub(crate) node: String,
    pub(crate) hostname: String,
    pub(crate) topic_name: String,
    pub(crate) channel_name: String,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) nodes: Option<Vec<Self>>,
    pub(crate) clients: Option<Vec<ClientRecord>>,
    pub(crate) paused: bool,
    pub(crate) e2e_processing_latency: LatencyRecord,
}

/// The numbers of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) depth: i64,
    pub(crate) memory_depth: i64,
    pub(crate) backend_depth: i64,
    pub(crate) in_flight_count: i64,
    pub(crate) deferred_count: i64,
    pub(crate) requeue_count: i64,
    pub(crate) timeout_count: i64,
    pub(crate) message_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) delivery_msg_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) zone_local_msg_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) region_local_msg_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) global_msg_count: i64,
    pub(crate) client_count: i64,
}

/// A consumer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct ClientRecord {
    pub(crate) node: String,
    pub(crate) remote_address: String,
    pub(crate) version: String,
    pub(crate) client_id: String,
    pub(crate) hostname: String,
    pub(crate) user_agent: String,
    pub(crate) connect_ts: i64,
    /// Nanoseconds.
    pub(crate) connected: i64,
    pub(crate) in_flight_count: i64,
    pub(crate) ready_count: i64,
    pub(crate) finish_count: u64,
    pub(crate) requeue_count: u64,
    pub(crate) message_count: u64,
    pub(crate) sample_rate: i32,
    pub(crate) deflate: bool,
    pub(crate) snappy: bool,
    pub(crate) authed: bool,
    pub(crate) auth_identity: String,
    pub(crate) auth_identity_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) node_topology_region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) node_topology_zone: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) topology_region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) topology_zone: String,
    pub(crate) tls: bool,
    pub(crate) tls_cipher_suite: String,
    pub(crate) tls_version: String,
    pub(crate) tls_negotiated_protocol: String,
    pub(crate) tls_negotiated_protocol_is_mutual: bool,
}

/// Quantiles of the time from publish to FIN.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct LatencyRecord {
    pub(crate) count: i64,
    pub(crate) percentiles: Option<Vec<Percentile>>,
    pub(crate) topic: String,
    pub(crate) channel: String,
    pub(crate) host: String,
}

/// One quantile over nodes; nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Percentile {
    pub(crate) quantile: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) average: f64,
    pub(crate) count: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Consumers in all channels of a topic.
pub(crate) fn clients_of(topic: &TopicRecord) -> usize {
    let clients = topic
        .channels
        .iter()
        .filter_map(|channel| channel.clients.as_ref());
    clients.map(Vec::len).sum()
}

impl TopicRecord {
    /// What one node said. `now` in Unix seconds.
    pub(crate) fn of(producer: &Producer, stats: &TopicStats, now: i64) -> Self {
        let name = &stats.topic_name;
        let channels = stats.channels.iter();
        Self {
            node: producer.key.clone(),
            hostname: producer.hostname.clone(),
            topic_name: name.clone(),
            depth: stats.depth,
            memory_depth: stats.depth.saturating_sub(stats.backend_depth),
            backend_depth: stats.backend_depth,
            message_count: count(stats.message_count),
            delivery_msg_count: 0,
            nodes: None,
            channels: channels
                .map(|channel| ChannelRecord::of(producer, name, channel, now))
                .collect(),
            paused: stats.paused,
            e2e_processing_latency: LatencyRecord::of(&stats.e2e_processing_latency, name, "", &producer.key),
        }
    }

    /// The sum of what nodes said, with their records.
    pub(crate) fn merged(name: &str, nodes: Vec<Self>) -> Self {
        let mut sum = Self {
            node: "*".to_owned(),
            topic_name: name.to_owned(),
            e2e_processing_latency: LatencyRecord::aggregate(name, ""),
            ..Self::default()
        };
        let mut channels: Vec<(String, Vec<ChannelRecord>)> = Vec::new();
        for node in &nodes {
            sum.depth = sum.depth.saturating_add(node.depth);
            sum.memory_depth = sum.memory_depth.saturating_add(node.memory_depth);
            sum.backend_depth = sum.backend_depth.saturating_add(node.backend_depth);
            sum.message_count = sum.message_count.saturating_add(node.message_count);
            sum.paused |= node.paused;
            sum.e2e_processing_latency.add(&node.e2e_processing_latency);
            for channel in &node.channels {
                let own = &channel.channel_name;
                match channels.iter_mut().find(|(name, _)| name == own) {
                    Some((_, list)) => list.push(channel.clone()),
                    None => channels.push((own.clone(), vec![channel.clone()])),
                }
            }
        }
        sum.channels = channels
            .into_iter()
            .map(|(channel, list)| ChannelRecord::merged(name, &channel, list))
            .collect();
        sum.nodes = Some(nodes);
        sum
    }
}

impl ChannelRecord {
    fn of(producer: &Producer, topic: &str, stats: &ChannelStats, now: i64) -> Self {
        let (zone, region, global) = (
            count(stats.zone_local_msg_count),
            count(stats.region_local_msg_count),
            count(stats.global_msg_count),
        );
        let clients = stats.clients.iter().flatten();
        let clients: Vec<_> = clients
            .map(|client| ClientRecord::of(producer, client, now))
            .collect();
        let name = &stats.channel_name;
        Self {
            node: producer.key.clone(),
            hostname: producer.hostname.clone(),
            topic_name: topic.to_owned(),
            channel_name: name.clone(),
            counts: Counts {
                depth: stats.depth,
                memory_depth: stats.depth.saturating_sub(stats.backend_depth),
                backend_depth: stats.backend_depth,
                in_flight_count: stats.in_flight_count,
                deferred_count: stats.deferred_count,
                requeue_count: count(stats.requeue_count),
                timeout_count: count(stats.timeout_count),
                message_count: count(stats.message_count),
                delivery_msg_count: zone.saturating_add(region).saturating_add(global),
                zone_local_msg_count: zone,
                region_local_msg_count: region,
                global_msg_count: global,
                client_count: stats.client_count,
            },
            nodes: None,
            clients: (!clients.is_empty()).then_some(clients),
            paused: stats.paused,
            e2e_processing_latency: LatencyRecord::of(
                &stats.e2e_processing_latency,
                topic,
                name,
                &producer.key,
            ),
        }
    }

    /// The sum of what nodes said, with their records.
    pub(crate) fn merged(topic: &str, name: &str, nodes: Vec<Self>) -> Self {
        let mut sum = Self {
            node: "*".to_owned(),
            topic_name: topic.to_owned(),
            channel_name: name.to_owned(),
            e2e_processing_latency: LatencyRecord::aggregate(topic, name),
            ..Self::default()
        };
        let mut clients = Vec::new();
        for node in &nodes {
            sum.counts.add(&node.counts);
            sum.paused |= node.paused;
            sum.e2e_processing_latency.add(&node.e2e_processing_latency);
            clients.extend(node.clients.iter().flatten().cloned());
        }
        clients.sort_by(|a, b| a.hostname.cmp(&b.hostname));
        sum.clients = (!clients.is_empty()).then_some(clients);
        sum.nodes = Some(nodes);
        sum
    }

    /// By node; within it those of its zone first, then of its region.
    pub(crate) fn sort_clients(&mut self) {
        if let Some(clients) = &mut self.clients {
            clients.sort_by(|a, b| a.nearness().cmp(&b.nearness()));
        }
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        for (sum, part) in [
            (&mut self.depth, other.depth),
            (&mut self.memory_depth, other.memory_depth),
            (&mut self.backend_depth, other.backend_depth),
            (&mut self.in_flight_count, other.in_flight_count),
            (&mut self.deferred_count, other.deferred_count),
            (&mut self.requeue_count, other.requeue_count),
            (&mut self.timeout_count, other.timeout_count),
            (&mut self.message_count, other.message_count),
            (&mut self.delivery_msg_count, other.delivery_msg_count),
            (&mut self.zone_local_msg_count, other.zone_local_msg_count),
            (&mut self.region_local_msg_count, other.region_local_msg_count),
            (&mut self.global_msg_count, other.global_msg_count),
            (&mut self.client_count, other.client_count),
        ] {
            *sum = sum.saturating_add(part);
        }
    }
}

impl ClientRecord {
    fn of(producer: &Producer, stats: &ClientStats, now: i64) -> Self {
        let stats = stats.clone();
        Self {
            node: producer.key.clone(),
            remote_address: stats.remote_address,
            version: stats.version,
            client_id: stats.client_id,
            hostname: stats.hostname,
            user_agent: stats.user_agent,
            connect_ts: stats.connect_ts,
            connected: now.saturating_sub(stats.connect_ts).saturating_mul(1_000_000_000),
            in_flight_count: stats.in_flight_count,
            ready_count: stats.ready_count,
            finish_count: stats.finish_count,
            requeue_count: stats.requeue_count,
            message_count: stats.message_count,
            sample_rate: stats.sample_rate,
            deflate: stats.deflate,
            snappy: stats.snappy,
            authed: stats.authed,
            auth_identity: stats.auth_identity,
            auth_identity_url: stats.auth_identity_url,
            node_topology_region: producer.region.clone(),
            node_topology_zone: producer.zone.clone(),
            topology_region: stats.topology_region,
            topology_zone: stats.topology_zone,
            tls: stats.tls,
            tls_cipher_suite: stats.tls_cipher_suite,
            tls_version: stats.tls_version,
            tls_negotiated_protocol: stats.tls_negotiated_protocol,
            tls_negotiated_protocol_is_mutual: stats.tls_negotiated_protocol_is_mutual,
        }
    }

    fn nearness(&self) -> (&str, bool, bool, &str, &str) {
        let same_region = self.topology_region == self.node_topology_region;
        let same_zone = same_region && self.topology_zone == self.node_topology_zone;
        (
            &self.node,
            !same_zone,
            !same_region,
            &self.topology_region,
            &self.topology_zone,
        )
    }
}

impl LatencyRecord {
    fn aggregate(topic: &str, channel: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            channel: channel.to_owned(),
            host: "*".to_owned(),
            ..Self::default()
        }
    }

    fn of(latency: &Latency, topic: &str, channel: &str, host: &str) -> Self {
        let percentiles = latency.percentiles.as_ref().map(|list| {
            let each = list.iter().map(|own| Percentile {
                quantile: own.quantile,
                min: own.value,
                max: own.value,
                average: own.value,
                count: latency.count,
            });
            each.collect()
        });
        Self {
            count: latency.count,
            percentiles,
            topic: topic.to_owned(),
            channel: channel.to_owned(),
            host: host.to_owned(),
        }
    }

    /// What a node measured, without names; nothing if it does not measure.
    pub(crate) fn measured(latency: &Latency) -> Option<Box<Self>> {
        let is_measured = latency.percentiles.as_ref().is_some_and(|list| !list.is_empty());
        is_measured.then(|| Box::new(Self::of(latency, "", "", "")))
    }

    /// That of a quantile.
    pub(crate) fn at(&self, quantile: f64) -> Option<&Percentile> {
        let all = self.percentiles.iter().flatten();
        all.into_iter()
            .find(|own| own.quantile.total_cmp(&quantile).is_eq())
    }

    /// Both together, weighted by what they counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        for part in other.percentiles.iter().flatten() {
            let own = self.percentiles.get_or_insert_default();
            match own
                .iter_mut()
                .find(|own| own.quantile.total_cmp(&part.quantile).is_eq())
            {
                Some(own) => own.add(part),
                None => own.push(part.clone()),
            }
        }
    }
}

impl Percentile {
    #[allow(clippy::cast_precision_loss, reason = "weights of a mean")]
    fn add(&mut self, part: &Self) {
        self.min = self.min.min(part.min);
        self.max = self.max.max(part.max);
        let count = self.count.saturating_add(part.count);
        self.average = if count == 0 {
            0.0
        } else {
            (self.average * self.count as f64 + part.average * part.count as f64) / count as f64
        };
        self.count = count;
    }
}
