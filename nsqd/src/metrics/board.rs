//! Topics and channels as rows by label.

use crate::broker::Broker;
use crate::channel::{Channel, ChannelSnapshot};
use crate::counters::TopicTotals;
use crate::latency::Samples;
use crate::series::{ChannelTotals, Label};
use crate::topic::Topic;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// The smaller of two times, where none is none.
fn older(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

/// A topic, or several with one label.
#[derive(Debug, Default)]
pub(super) struct TopicRow {
    pub(super) totals: TopicTotals,
    pub(super) depth: u64,
    pub(super) backend_depth: u64,
    pub(super) paused: u64,
    pub(super) bytes: u64,
    /// Unix ns.
    pub(super) oldest: Option<i64>,
}

/// Consumers by what keeps messages from them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Readiness {
    /// RDY is above 0 and not used up.
    pub(super) ready: u64,
    /// RDY is used up.
    pub(super) full: u64,
    /// RDY is 0.
    pub(super) not_ready: u64,
}

/// A channel, or several with the same labels.
#[derive(Default)]
pub(super) struct ChannelRow {
    pub(super) totals: ChannelTotals,
    pub(super) depth: u64,
    pub(super) backend_depth: u64,
    pub(super) in_flight: u64,
    pub(super) deferred: u64,
    pub(super) clients: u64,
    pub(super) paused: u64,
    pub(super) readiness: Readiness,
    pub(super) bytes: u64,
    /// Unix ns.
    pub(super) oldest: Option<i64>,
    /// For quantiles, if any are kept.
    pub(super) samples: Option<Samples>,
}

/// Everything at one moment, or nearly: each row is what was at the same time.
#[derive(Default)]
pub(super) struct Board {
    pub(super) topics: BTreeMap<Label, TopicRow>,
    pub(super) channels: BTreeMap<(Label, Label), ChannelRow>,
    /// Topics, whatever their labels.
    pub(super) topic_count: usize,
    /// Channels, whatever their labels.
    pub(super) channel_count: usize,
    /// Something has no series of its own that is not ephemeral.
    pub(super) truncated: bool,
    /// Unix ns.
    pub(super) now: i64,
    /// Quantiles that are kept.
    pub(super) quantiles: Vec<f64>,
}

impl Board {
    /// A walk over all topics and channels, with what the deleted ones left.
    pub(super) fn of(broker: &Broker) -> Self {
        let mut board = Self {
            now: broker.engine.clock.unix_nanos(),
            quantiles: broker.options.latency_percentiles.clone(),
            ..Self::default()
        };
        // Nobody goes meanwhile, so that no shared counter misses a member, or has it twice.
        let departed = broker.series.departed();
        let monotonic = broker.engine.timers.now();
        for topic in broker.topics() {
            let label = Label::of_topic(&topic);
            board.add_topic(label.clone(), &topic);
            for channel in topic.channels() {
                let labels = Label::of_channel(&label, &channel);
                board.add_channel(labels, &channel, monotonic);
            }
        }
        for (label, totals) in &departed.topics {
            board.topics.entry(label.clone()).or_default().totals.add(totals);
        }
        for (labels, totals) in &departed.channels {
            board
                .channels
                .entry(labels.clone())
                .or_default()
                .totals
                .add(totals);
        }
        board
    }

    /// Age in seconds of what counts from that time on, 0 of nothing.
    #[allow(clippy::cast_precision_loss, reason = "ages are far below 2^53 ms")]
    pub(super) fn age(&self, oldest: Option<i64>) -> f64 {
        let age = oldest.map_or(0, |oldest| self.now.saturating_sub(oldest).max(0));
        (age / 1_000_000) as f64 / 1e3
    }

    /// Messages that wait for their time.
    pub(super) fn deferred(&self) -> u64 {
        self.channels.values().map(|row| row.deferred).sum()
    }

    fn add_topic(&mut self, label: Label, topic: &Topic) {
        self.topic_count += 1;
        self.truncated |= label == Label::Rest;
        let picture = topic.snapshot();
        let row = self.topics.entry(label).or_default();
        row.totals.add(&topic.totals());
        row.depth += picture.depth;
        row.backend_depth += picture.backend_depth;
        row.paused += u64::from(picture.paused);
        row.bytes += picture.bytes;
        row.oldest = older(row.oldest, picture.oldest);
    }

    fn add_channel(&mut self, labels: (Label, Label), channel: &Channel, monotonic: u64) {
        self.channel_count += 1;
        self.truncated |= labels.1 == Label::Rest;
        let picture = channel.snapshot();
        let row = self.channels.entry(labels).or_default();
        row.totals.add(&ChannelTotals::of(channel));
        row.depth += picture.depth;
        row.backend_depth += picture.backend_depth;
        row.in_flight += picture.in_flight;
        row.deferred += picture.deferred;
        row.clients += picture.consumers.len() as u64;
        row.paused += u64::from(picture.paused);
        row.readiness.add(&picture);
        row.bytes += picture.bytes;
        row.oldest = older(row.oldest, picture.oldest);
        if let Some(samples) = channel.latencies.window(monotonic) {
            row.samples.get_or_insert_default().merge(&samples);
        }
    }
}

impl Readiness {
    fn add(&mut self, picture: &ChannelSnapshot) {
        for client in &picture.consumers {
            let ready = client.ready_count.load(Relaxed);
            let count = if ready <= 0 {
                &mut self.not_ready
            } else if client.counters.in_flight.load(Relaxed) < ready {
                &mut self.ready
            } else {
                &mut self.full
            };
            *count += 1;
        }
    }
}
