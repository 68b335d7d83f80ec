//! Topics, channels and clients as `/stats` and statsd show them.

use crate::broker::Broker;
use crate::channel::{Channel, ChannelSnapshot};
use crate::client::{Client, Compression};
use crate::latency::Samples;
use crate::topic::Topic;
use nsq_http_api::nsqd::{ChannelStats, ClientStats, Latency, Memory, PubCount, Quantile, TopicStats};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What of a topic is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Of the channels only this one.
    pub channel: Option<&'a str>,
    /// The consumers too.
    pub clients: bool,
    /// Of what a consumer published, this topic if possible.
    pub topic: Option<&'a str>,
}

/// What latencies are shown with.
#[derive(Clone, Copy, Debug)]
pub struct Measure<'a> {
    /// Monotonic ns.
    now: u64,
    /// Unix ns.
    unix_now: i64,
    /// Quantiles in the order in which they are shown.
    percentiles: &'a [f64],
}

impl<'a> Measure<'a> {
    /// Now, with the quantiles that are kept.
    #[must_use]
    pub fn of(broker: &'a Broker) -> Self {
        Self {
            now: broker.engine.timers.now(),
            unix_now: broker.engine.clock.unix_nanos(),
            percentiles: &broker.options.latency_percentiles,
        }
    }

    /// Age of what counts from that time on, in Unix ns; 0 of nothing, and of what a clock set back made the future.
    fn age_ms(&self, oldest: Option<i64>) -> u64 {
        let age = oldest.map_or(0, |oldest| self.unix_now.saturating_sub(oldest));
        u64::try_from(age / 1_000_000).unwrap_or(0)
    }

    fn latency(&self, samples: &Samples) -> Latency {
        let value = |quantile: &f64| Quantile {
            quantile: *quantile,
            value: samples.quantile(*quantile),
        };
        Latency {
            count: i64::try_from(samples.count()).unwrap_or(i64::MAX),
            percentiles: Some(self.percentiles.iter().map(value).collect()),
        }
    }

    /// Those of the topic are those of all its channels together; without channels, or quantiles, there are none.
    fn of_topic(&self, channels: &[Arc<Channel>]) -> Latency {
        let mut windows = channels
            .iter()
            .filter_map(|channel| channel.latencies.window(self.now));
        let Some(mut all) = windows.next() else {
            return Latency::default();
        };
        windows.for_each(|samples| all.merge(&samples));
        self.latency(&all)
    }

    fn of_channel(&self, channel: &Channel) -> Latency {
        let samples = channel.latencies.window(self.now);
        samples.map_or_else(Latency::default, |samples| self.latency(&samples))
    }
}

/// A topic with those of its channels that were asked for.
#[must_use]
pub fn topic_stats(topic: &Topic, wanted: Wanted<'_>, measure: &Measure<'_>) -> TopicStats {
    // The topic before its channels: a message on its way is counted in one of them, or in both, never in none.
    let picture = topic.snapshot();
    let shown = |name: &str| wanted.channel.is_none_or(|wanted| wanted == name);
    let channels = topic.channels();
    let e2e_processing_latency = measure.of_topic(&channels);
    let channels = channels.iter().filter(|channel| shown(channel.name().as_str()));
    TopicStats {
        topic_name: picture.name.to_string(),
        channels: channels
            .map(|channel| channel_stats(channel, measure, wanted))
            .collect(),
        depth: picture.depth.cast_signed(),
        backend_depth: picture.backend_depth.cast_signed(),
        message_count: picture.message_count,
        message_bytes: picture.message_bytes,
        paused: picture.paused,
        e2e_processing_latency,
        backlog_bytes: picture.bytes,
        oldest_age_ms: measure.age_ms(picture.oldest),
        // Every topic is like those of the reference.
        durability: "memory".into(),
        read_only: false,
    }
}

fn channel_stats(channel: &Channel, measure: &Measure<'_>, wanted: Wanted<'_>) -> ChannelStats {
    let latency = measure.of_channel(channel);
    let channel: ChannelSnapshot = channel.snapshot();
    let clients = || {
        let consumers = channel.consumers.iter();
        consumers
            .map(|client| client_stats(client, wanted.topic))
            .collect()
    };
    ChannelStats {
        channel_name: channel.name.to_string(),
        depth: channel.depth.cast_signed(),
        backend_depth: channel.backend_depth.cast_signed(),
        in_flight_count: channel.in_flight.cast_signed(),
        deferred_count: channel.deferred.cast_signed(),
        message_count: channel.counts.messages,
        zone_local_msg_count: channel.counts.zone_local,
        region_local_msg_count: channel.counts.region_local,
        global_msg_count: channel.counts.from_memory,
        requeue_count: channel.counts.requeued,
        timeout_count: channel.counts.timed_out,
        client_count: i64::try_from(channel.consumers.len()).unwrap_or(i64::MAX),
        clients: wanted.clients.then(clients),
        paused: channel.paused,
        e2e_processing_latency: latency,
        backlog_bytes: channel.bytes,
        oldest_age_ms: measure.age_ms(channel.oldest),
        finish_count: channel.counts.finished,
        drop_count: channel.counts.dropped(),
        ..ChannelStats::default()
    }
}

/// A connection. Of what it published one topic is shown, as in the reference: the one asked for, else any.
#[must_use]
pub fn client_stats(client: &Client, topic: Option<&str>) -> ClientStats {
    let identity = client.identity.lock().clone();
    let authenticated = client.authenticated.lock().clone();
    let layers = client.layers.lock().clone();
    let is_tls = layers.tls.is_some();
    let agreed = layers.tls.unwrap_or_default();
    let counters = &client.counters;
    let mut published = client.published().into_iter();
    let shown = published.find(|(name, _)| topic.is_none_or(|topic| topic == name.as_str()));
    let pub_count = shown.map(|(topic, count)| PubCount {
        topic: topic.to_string(),
        count,
    });
    ClientStats {
        client_id: identity.client_id,
        hostname: identity.hostname,
        version: "V2".into(),
        remote_address: client.remote_address.clone(),
        state: client.state() as i32,
        ready_count: client.ready_count.load(Relaxed),
        in_flight_count: counters.in_flight.load(Relaxed).max(0),
        message_count: counters.messages.load(Relaxed),
        finish_count: counters.finished.load(Relaxed),
        requeue_count: counters.requeued.load(Relaxed),
        connect_ts: client.connected_at,
        sample_rate: identity.sample_rate,
        user_agent: identity.user_agent,
        topology_zone: identity.topology_zone,
        topology_region: identity.topology_region,
        pub_counts: pub_count.into_iter().collect(),
        authed: authenticated.is_some(),
        auth_identity: authenticated
            .as_ref()
            .map(|who| who.identity.clone())
            .unwrap_or_default(),
        auth_identity_url: authenticated.map(|who| who.identity_url).unwrap_or_default(),
        deflate: matches!(layers.compression, Some(Compression::Deflate(_))),
        snappy: layers.compression == Some(Compression::Snappy),
        tls: is_tls,
        tls_cipher_suite: agreed.cipher_suite,
        tls_version: agreed.version.to_owned(),
        tls_negotiated_protocol_is_mutual: is_tls,
        ..ClientStats::default()
    }
}

/// There is no collected heap here: what is resident is the nearest to what the keys mean.
#[must_use]
pub fn memory() -> Memory {
    let pages = rustix::param::page_size() as u64;
    Memory {
        heap_in_use_bytes: resident_pages().unwrap_or(0) * pages,
        ..Memory::default()
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a line of the kernel, not a file of the data path"
)]
fn resident_pages() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split(' ').nth(1)?.parse().ok()
}
