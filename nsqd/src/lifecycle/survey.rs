//! What is left on a node, and what holds it there (operator spec 6.3). Ephemeral topics and channels never count.

use crate::broker::Broker;
use crate::channel::ChannelSnapshot;
use crate::topic::TopicSnapshot;
use nsq_http_api::lifecycle::{Blocker, BlockerReason};
use nsq_protocol::{ChannelName, TopicName};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// Sums over everything that is not ephemeral.
#[derive(Debug, Default)]
pub struct Survey {
    /// Messages that wait in topics and channels.
    pub depth: u64,
    /// Messages delivered and not answered.
    pub in_flight: u64,
    /// Messages that wait for their time.
    pub deferred: u64,
    /// Publishes accepted since the process started, those to ephemeral topics included.
    pub message_count: u64,
    /// Messages in any state, also on their way from one to another.
    inside: u64,
    /// Changes whenever a message comes in anywhere.
    pub mark: u64,
    /// Queues that do not empty, largest first.
    pub blockers: Vec<Blocker>,
}

/// Due time of the latest deferred message by channel, Unix milliseconds.
type Latest = FxHashMap<(TopicName, ChannelName), i64>;

impl Survey {
    /// Looks at every topic and channel.
    #[must_use]
    pub fn take(broker: &Broker) -> Self {
        let mut survey = Self::default();
        let topics = broker.snapshot(|_| true);
        let deferred = topics
            .iter()
            .flat_map(|(_, channels)| channels)
            .any(|c| c.deferred > 0);
        let latest = if deferred {
            latest_deferred(broker)
        } else {
            Latest::default()
        };
        for (topic, channels) in &topics {
            survey.add(topic, channels, &latest);
        }
        // Stable: equal ones stay in name order.
        survey.blockers.sort_by_key(|b| Reverse(b.messages));
        survey
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.inside == 0 && self.depth == 0 && self.in_flight == 0 && self.deferred == 0
    }

    fn add(&mut self, topic: &TopicSnapshot, channels: &[ChannelSnapshot], latest: &Latest) {
        self.message_count += topic.message_count;
        if topic.name.is_ephemeral() {
            return;
        }
        self.mark = self.mark.wrapping_add(topic.message_count);
        self.depth += topic.depth;
        self.inside += topic.inside;
        if topic.depth > 0 {
            let reason = match (topic.paused, channels.is_empty()) {
                (true, _) => Some(BlockerReason::TopicPaused),
                (false, true) => Some(BlockerReason::NoChannel),
                // On its way into the channels.
                (false, false) => None,
            };
            self.blockers.extend(reason.map(|reason| Blocker {
                topic: topic.name.to_string(),
                channel: String::new(),
                reason,
                messages: topic.depth,
                due_ms: 0,
            }));
        }
        for channel in channels.iter().filter(|c| !c.name.is_ephemeral()) {
            self.add_channel(&topic.name, channel, latest);
        }
    }

    fn add_channel(&mut self, topic: &TopicName, channel: &ChannelSnapshot, latest: &Latest) {
        self.mark = self.mark.wrapping_add(channel.counts.messages);
        self.depth += channel.depth;
        self.in_flight += channel.in_flight;
        self.deferred += channel.deferred;
        self.inside += channel.inside;
        let mut block = |reason, messages, due_ms| {
            if messages > 0 {
                self.blockers.push(Blocker {
                    topic: topic.to_string(),
                    channel: channel.name.to_string(),
                    reason,
                    messages,
                    due_ms,
                });
            }
        };
        if channel.paused {
            block(BlockerReason::Paused, channel.depth, 0);
        } else if channel.consumers.is_empty() {
            block(BlockerReason::NoConsumers, channel.depth, 0);
        }
        if channel.deferred > 0 {
            let due = latest.get(&(topic.clone(), channel.name.clone())).copied();
            block(BlockerReason::Deferred, channel.deferred, due.unwrap_or(0));
        }
        block(BlockerReason::InFlight, channel.in_flight, 0);
    }
}

/// Walks all timers, and what waits in the files.
fn latest_deferred(broker: &Broker) -> Latest {
    let timers = &broker.engine.timers;
    let mut last = timers.last_due();
    for channel in broker.topics().iter().flat_map(|topic| topic.channels()) {
        if let Some((_, due)) = channel.not_due().into_iter().max_by_key(|(_, due)| *due) {
            let entry = last
                .entry((channel.topic().clone(), channel.name().clone()))
                .or_insert(due);
            *entry = due.max(*entry);
        }
    }
    let (now, unix_ms) = (timers.now(), broker.engine.clock.unix_nanos() / 1_000_000);
    let unix = |due: u64| {
        let ahead = i64::try_from(due.saturating_sub(now) / 1_000_000);
        unix_ms.saturating_add(ahead.unwrap_or(i64::MAX))
    };
    last.into_iter()
        .map(|(channel, due)| (channel, unix(due)))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::channel::ChannelCounts;
    use crate::client::{Client, Identity};
    use BlockerReason::{Deferred, InFlight, NoChannel, NoConsumers, Paused, TopicPaused};
    use std::sync::Arc;

    fn topic(name: &str, depth: u64) -> TopicSnapshot {
        TopicSnapshot {
            name: name.parse().unwrap(),
            depth,
            backend_depth: 0,
            inside: depth,
            bytes: 0,
            oldest: None,
            overflowed: 0,
            message_count: 100,
            message_bytes: 0,
            paused: false,
        }
    }

    fn channel(name: &str, depth: u64, consumers: u64) -> ChannelSnapshot {
        let consumer = |id| Arc::new(Client::new(id, String::new(), 0, Identity::default()));
        ChannelSnapshot {
            name: name.parse().unwrap(),
            depth,
            backend_depth: 0,
            in_flight: 0,
            deferred: 0,
            inside: depth,
            bytes: 0,
            oldest: None,
            counts: ChannelCounts::default(),
            consumers: (0..consumers).map(consumer).collect(),
            paused: false,
        }
    }

    fn reasons(survey: &Survey) -> Vec<(&str, BlockerReason, u64)> {
        survey
            .blockers
            .iter()
            .map(|b| (b.channel.as_str(), b.reason, b.messages))
            .collect()
    }

    #[test]
    fn each_reason_is_named_where_it_holds() {
        let (mut survey, latest) = (Survey::default(), Latest::default());
        survey.add(&topic("alone", 1), &[], &latest);
        let paused = TopicSnapshot {
            paused: true,
            ..topic("paused", 2)
        };
        survey.add(&paused, &[channel("served", 5, 1)], &latest);
        let stopped = ChannelSnapshot {
            paused: true,
            ..channel("stopped", 4, 1)
        };
        let busy = ChannelSnapshot {
            in_flight: 6,
            deferred: 7,
            inside: 13,
            ..channel("busy", 0, 1)
        };
        survey.add(&topic("t", 0), &[channel("idle", 3, 0), stopped, busy], &latest);
        assert_eq!(
            reasons(&survey),
            [
                ("", NoChannel, 1),
                ("", TopicPaused, 2),
                ("idle", NoConsumers, 3),
                ("stopped", Paused, 4),
                ("busy", Deferred, 7),
                ("busy", InFlight, 6),
            ]
        );
        assert_eq!(
            (survey.depth, survey.in_flight, survey.deferred),
            (1 + 2 + 5 + 3 + 4, 6, 7)
        );
        assert_eq!(survey.message_count, 300);
        assert!(!survey.is_empty());
    }

    #[test]
    fn ephemeral_topics_and_channels_do_not_count() {
        let (mut survey, latest) = (Survey::default(), Latest::default());
        survey.add(&topic("t#ephemeral", 1), &[channel("c", 1, 0)], &latest);
        survey.add(&topic("t", 0), &[channel("c#ephemeral", 1, 0)], &latest);
        assert!(survey.is_empty());
        assert!(survey.blockers.is_empty());
        assert_eq!(survey.message_count, 200);
    }
}
