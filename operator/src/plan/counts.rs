//! What `/stats` says about the messages of a node.

use nsq_http_api::nsqd::{Stats, TopicStats};

use crate::api::{Blocker, BlockerReason};

/// Messages on a node that a removal would lose. Ephemeral topics and channels never count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting in queues.
    pub depth: i64,
    /// Delivered and not answered.
    pub in_flight: i64,
    /// Waiting for their time.
    pub deferred: i64,
    /// Publishes accepted since the process started, ephemeral topics included.
    pub published: u64,
}

impl Counts {
    /// All messages.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.depth + self.in_flight + self.deferred
    }

    /// Sums up one node.
    #[must_use]
    pub fn of(stats: &Stats) -> Self {
        let mut counts = Self::default();
        for topic in topics(stats) {
            counts.published += topic.message_count;
            if is_ephemeral(&topic.topic_name) {
                continue;
            }
            counts.depth += topic.depth;
            for channel in lasting_channels(topic) {
                counts.depth += channel.depth;
                counts.in_flight += channel.in_flight_count;
                counts.deferred += channel.deferred_count;
            }
        }
        counts
    }
}

/// `1 message`, `812 messages`.
pub(super) fn messages(count: i64) -> String {
    let unit = if count == 1 { "message" } else { "messages" };
    format!("{count} {unit}")
}

/// Messages of a node that are only in memory: what killing it would lose.
#[must_use]
pub fn in_memory(stats: &Stats) -> i64 {
    let of_topic = |topic: &TopicStats| {
        let channels = topic.channels.iter().map(|channel| {
            channel.depth - channel.backend_depth + channel.in_flight_count + channel.deferred_count
        });
        topic.depth - topic.backend_depth + channels.sum::<i64>()
    };
    topics(stats).map(of_topic).sum()
}

/// What keeps a node from being empty, largest first.
#[must_use]
pub(super) fn blockers(stats: &Stats) -> Vec<Blocker> {
    let mut found = Vec::new();
    for topic in topics(stats).filter(|topic| !is_ephemeral(&topic.topic_name)) {
        let mut block = |channel: &str, reason, messages| {
            if messages > 0 {
                found.push(Blocker {
                    topic: topic.topic_name.clone(),
                    channel: channel.to_owned(),
                    reason,
                    messages,
                });
            }
        };
        if topic.paused {
            block("", BlockerReason::ChannelPaused, topic.depth);
        } else if lasting_channels(topic).next().is_none() {
            block("", BlockerReason::TopicWithoutChannel, topic.depth);
        }
        for channel in lasting_channels(topic) {
            let name = channel.channel_name.as_str();
            if channel.paused {
                block(name, BlockerReason::ChannelPaused, channel.depth);
            } else if channel.client_count == 0 {
                block(name, BlockerReason::NoConsumers, channel.depth);
            }
            block(name, BlockerReason::Deferred, channel.deferred_count);
            block(name, BlockerReason::InFlight, channel.in_flight_count);
        }
    }
    found.sort_by(|a, b| {
        (b.messages, &a.topic, &a.channel, a.reason).cmp(&(a.messages, &b.topic, &b.channel, b.reason))
    });
    found
}

fn topics(stats: &Stats) -> impl Iterator<Item = &TopicStats> {
    stats.topics.iter().flatten()
}

fn lasting_channels(topic: &TopicStats) -> impl Iterator<Item = &nsq_http_api::nsqd::ChannelStats> {
    topic
        .channels
        .iter()
        .filter(|channel| !is_ephemeral(&channel.channel_name))
}

fn is_ephemeral(name: &str) -> bool {
    name.ends_with("#ephemeral")
}
