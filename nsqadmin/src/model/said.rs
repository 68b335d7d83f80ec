//! What one nsqd said in one answer, small enough for a million channels, and how fast it counts since an earlier answer
//! (console spec 4.2).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use nsq_http_api::nsqd::{ChannelStats, Stats, TopicStats};

use super::records::LatencyRecord;

/// Answers that are nearer to each other give no rate: the noise would be larger than the number.
const SHORTEST: Duration = Duration::from_secs(1);

/// Derived finishes above this multiple of what came in, with nothing left, are an emptied queue.
const EMPTIED: f64 = 10.0;

/// Each name once, however many nodes say it.
#[derive(Debug, Default)]
pub(crate) struct Names(HashSet<Arc<str>>);

impl Names {
    fn of(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.0.insert(Arc::clone(&new));
        new
    }

    /// Forgets those that nobody uses.
    pub(crate) fn tidy(&mut self) {
        self.0.retain(|name| Arc::strong_count(name) > 1);
    }
}

/// The answer of one nsqd.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// When it came, by the monotonic clock.
    pub(crate) at: Duration,
    /// Unix seconds.
    pub(crate) start_time: i64,
    pub(crate) health: String,
    /// Sorted by name.
    pub(crate) topics: Vec<TopicOn>,
    /// The own queues of all topics in one.
    pub(crate) own: Numbers,
    /// All channels in one.
    pub(crate) channels: Numbers,
}

/// A topic on one node.
#[derive(Debug)]
pub(crate) struct TopicOn {
    pub(crate) name: Arc<str>,
    /// Of its own queue.
    pub(crate) own: Numbers,
    pub(crate) paused: bool,
    pub(crate) read_only: bool,
    /// What a publish outlives. Our nsqd only.
    pub(crate) durability: Option<Arc<str>>,
    /// From publish to FIN; none if the node does not measure it.
    pub(crate) latency: Option<Box<LatencyRecord>>,
    /// Sorted by name.
    pub(crate) channels: Vec<ChannelOn>,
}

/// A channel on one node.
#[derive(Debug)]
pub(crate) struct ChannelOn {
    pub(crate) name: Arc<str>,
    pub(crate) numbers: Numbers,
    pub(crate) paused: bool,
    /// From publish to FIN; none if the node does not measure it.
    pub(crate) latency: Option<Box<LatencyRecord>>,
}

/// What is counted of a queue. Sums stay at the end of the range instead of going around.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) depth: i64,
    /// Of these, on disk.
    pub(crate) disk: i64,
    /// Entered since the start of the node.
    pub(crate) messages: u64,
    pub(crate) requeued: u64,
    pub(crate) timed_out: u64,
    pub(crate) finished: u64,
    /// Of bodies that wait. Our nsqd only.
    pub(crate) bytes: u64,
    /// Our nsqd only.
    pub(crate) oldest_ms: u64,
    pub(crate) in_flight: u32,
    pub(crate) deferred: u32,
    pub(crate) clients: u32,
    /// Our nsqd only.
    pub(crate) dead: u32,
    /// Our nsqd only.
    pub(crate) dropped: u32,
    pub(crate) rates: Rates,
}

/// Per second; a rate that is not known is not a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates {
    pub(crate) entered: f32,
    pub(crate) done: f32,
    pub(crate) requeued: f32,
    pub(crate) timed_out: f32,
    /// `done` is derived from other counters, as Go's nsqd does not count it.
    pub(crate) is_derived: bool,
    /// All that waited is gone at once, so `done` is not known.
    pub(crate) is_emptied: bool,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            entered: f32::NAN,
            done: f32::NAN,
            requeued: f32::NAN,
            timed_out: f32::NAN,
            is_derived: false,
            is_emptied: false,
        }
    }
}

impl Rates {
    fn add(&mut self, other: &Self) {
        let sum = |own: &mut f32, more: f32| {
            if own.is_nan() {
                *own = more;
            } else if !more.is_nan() {
                *own += more;
            }
        };
        sum(&mut self.entered, other.entered);
        sum(&mut self.done, other.done);
        sum(&mut self.requeued, other.requeued);
        sum(&mut self.timed_out, other.timed_out);
        self.is_derived |= other.is_derived;
        self.is_emptied |= other.is_emptied;
    }
}

impl Numbers {
    pub(crate) fn add(&mut self, other: &Self) {
        self.depth = self.depth.saturating_add(other.depth);
        self.disk = self.disk.saturating_add(other.disk);
        self.messages = self.messages.saturating_add(other.messages);
        self.requeued = self.requeued.saturating_add(other.requeued);
        self.timed_out = self.timed_out.saturating_add(other.timed_out);
        self.finished = self.finished.saturating_add(other.finished);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.oldest_ms = self.oldest_ms.max(other.oldest_ms);
        self.in_flight = self.in_flight.saturating_add(other.in_flight);
        self.deferred = self.deferred.saturating_add(other.deferred);
        self.clients = self.clients.saturating_add(other.clients);
        self.dead = self.dead.saturating_add(other.dead);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.rates.add(&other.rates);
    }

    /// In memory.
    pub(crate) fn memory(&self) -> i64 {
        self.depth.saturating_sub(self.disk)
    }

    /// All that is not finished.
    pub(crate) fn unfinished(&self) -> i64 {
        self.depth
            .saturating_add(i64::from(self.in_flight))
            .saturating_add(i64::from(self.deferred))
    }

    fn of_topic(stats: &TopicStats) -> Self {
        Self {
            depth: stats.depth,
            disk: stats.backend_depth,
            messages: stats.message_count,
            bytes: stats.backlog_bytes,
            oldest_ms: stats.oldest_age_ms,
            ..Self::default()
        }
    }

    fn of_channel(stats: &ChannelStats) -> Self {
        let small = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
        Self {
            depth: stats.depth,
            disk: stats.backend_depth,
            messages: stats.message_count,
            requeued: stats.requeue_count,
            timed_out: stats.timeout_count,
            finished: stats.finish_count,
            bytes: stats.backlog_bytes,
            oldest_ms: stats.oldest_age_ms,
            in_flight: small(stats.in_flight_count),
            deferred: small(stats.deferred_count),
            clients: small(stats.client_count),
            dead: u32::try_from(stats.dead_letter_count).unwrap_or(u32::MAX),
            dropped: u32::try_from(stats.drop_count).unwrap_or(u32::MAX),
            rates: Rates::default(),
        }
    }

    /// Speeds since `before`; unknown if a counter fell.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "seven digits of a rate are enough"
    )]
    fn rates_since(&self, before: &Self, seconds: f64, has_finishes: bool) -> Rates {
        let per_second = |new: u64, old: u64| match new.checked_sub(old) {
            #[allow(clippy::cast_precision_loss, reason = "a difference of two polls")]
            Some(more) => (more as f64 / seconds) as f32,
            None => f32::NAN,
        };
        let entered = per_second(self.messages, before.messages);
        let mut is_emptied = false;
        let done = if has_finishes {
            per_second(self.finished, before.finished)
        } else {
            #[allow(clippy::cast_precision_loss, reason = "a difference of two polls")]
            let more = self.unfinished().saturating_sub(before.unfinished()) as f64;
            let derived = (f64::from(entered) - more / seconds).max(0.0);
            is_emptied = self.depth == 0 && before.depth > 0 && derived > EMPTIED * f64::from(entered);
            if is_emptied || entered.is_nan() {
                f32::NAN
            } else {
                derived as f32
            }
        };
        Rates {
            entered,
            done,
            requeued: per_second(self.requeued, before.requeued),
            timed_out: per_second(self.timed_out, before.timed_out),
            is_derived: !has_finishes,
            is_emptied,
        }
    }
}

/// The earlier answers that a new one is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Earlier<'a> {
    /// Counters since then make the rates.
    pub(crate) baseline: &'a Said,
    /// Its rates stay in force while the baseline is too near.
    pub(crate) latest: &'a Said,
}

impl Said {
    /// What was in an answer.
    pub(crate) fn of(stats: Stats, at: Duration, names: &mut Names, earlier: Option<Earlier<'_>>) -> Self {
        let start_time = stats.start_time;
        // another process counts from 0
        let earlier = earlier.filter(|earlier| earlier.latest.start_time == start_time);
        let mut topics: Vec<TopicOn> = stats
            .topics
            .into_iter()
            .flatten()
            .map(|topic| topic_on(&topic, names))
            .collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics.dedup_by(|a, b| a.name == b.name);
        let mut said = Self {
            at,
            start_time,
            health: stats.health,
            topics,
            ..Self::default()
        };
        if let Some(earlier) = earlier {
            said.rate(earlier);
        }
        said.sum();
        said
    }

    /// Whether rates may be counted from this answer on when the next comes at `at`.
    pub(crate) fn is_far_from(&self, at: Duration) -> bool {
        at.saturating_sub(self.at) >= SHORTEST
    }

    fn rate(&mut self, earlier: Earlier<'_>) {
        let is_new = earlier.baseline.is_far_from(self.at);
        let from = if is_new { earlier.baseline } else { earlier.latest };
        let seconds = self.at.saturating_sub(from.at).as_secs_f64();
        for topic in &mut self.topics {
            let Some(old) = from.topic(&topic.name) else {
                continue;
            };
            topic.own.rates = if is_new {
                Rates {
                    // a topic counts only what enters
                    done: f32::NAN,
                    requeued: f32::NAN,
                    timed_out: f32::NAN,
                    ..topic.own.rates_since(&old.own, seconds, true)
                }
            } else {
                old.own.rates
            };
            for channel in &mut topic.channels {
                let Some(old) = old.channel(&channel.name) else {
                    continue;
                };
                channel.numbers.rates = if is_new {
                    let has_finishes = !channel.numbers.rates.is_derived;
                    channel.numbers.rates_since(&old.numbers, seconds, has_finishes)
                } else {
                    old.numbers.rates
                };
            }
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Option<&TopicOn> {
        let at = self
            .topics
            .binary_search_by(|topic| (*topic.name).cmp(name))
            .ok()?;
        self.topics.get(at)
    }

    /// Every page that shows nodes asks for these.
    fn sum(&mut self) {
        for topic in &self.topics {
            self.own.add(&topic.own);
            for channel in &topic.channels {
                self.channels.add(&channel.numbers);
            }
        }
    }

    /// Everything that waits on the node.
    pub(crate) fn depth(&self) -> i64 {
        self.own.depth.saturating_add(self.channels.depth)
    }
}

impl TopicOn {
    pub(crate) fn channel(&self, name: &str) -> Option<&ChannelOn> {
        let at = self
            .channels
            .binary_search_by(|channel| (*channel.name).cmp(name))
            .ok()?;
        self.channels.get(at)
    }
}

fn topic_on(stats: &TopicStats, names: &mut Names) -> TopicOn {
    // says this and counts finishes: ours. Go's says neither.
    let is_derived = stats.durability.is_empty();
    let mut channels: Vec<ChannelOn> = stats
        .channels
        .iter()
        .map(|channel| {
            let mut numbers = Numbers::of_channel(channel);
            numbers.rates.is_derived = is_derived;
            ChannelOn {
                name: names.of(&channel.channel_name),
                numbers,
                paused: channel.paused,
                latency: LatencyRecord::measured(&channel.e2e_processing_latency),
            }
        })
        .collect();
    channels.sort_by(|a, b| a.name.cmp(&b.name));
    channels.dedup_by(|a, b| a.name == b.name);
    TopicOn {
        name: names.of(&stats.topic_name),
        own: Numbers::of_topic(stats),
        paused: stats.paused,
        read_only: stats.read_only,
        durability: (!stats.durability.is_empty()).then(|| names.of(&stats.durability)),
        latency: LatencyRecord::measured(&stats.e2e_processing_latency),
        channels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(start: i64, messages: u64, depth: i64, more: &str) -> Stats {
        serde_json::from_str(&format!(
            r#"{{"start_time":{start},"topics":[{{"topic_name":"t","message_count":{messages},"channels":[
            {{"channel_name":"c","message_count":{messages},"depth":{depth}{more}}}]}}]}}"#
        ))
        .unwrap()
    }

    fn rates(before: Stats, after: Stats, millis: u64) -> Rates {
        let mut names = Names::default();
        let before = Said::of(before, Duration::ZERO, &mut names, None);
        let earlier = Earlier {
            baseline: &before,
            latest: &before,
        };
        let said = Said::of(after, Duration::from_millis(millis), &mut names, Some(earlier));
        said.topics[0].channels[0].numbers.rates
    }

    /// Console spec 11: by the time between the two answers, whatever the interval should have been.
    #[test]
    fn ui_090_rates_are_counted_between_answers() {
        for (millis, added) in [(5_000, 500), (4_700, 470), (5_310, 531)] {
            let rate = rates(stats(7, 1_000, 0, ""), stats(7, 1_000 + added, 0, ""), millis).entered;
            assert!((rate - 100.0).abs() <= 1.0, "{rate}");
        }
    }

    #[test]
    fn goes_nsqd_counts_no_finishes_so_they_are_derived() {
        let rates = rates(stats(7, 100, 50, ""), stats(7, 200, 100, ""), 10_000);
        assert_eq!((rates.entered, rates.done, rates.is_derived), (10.0, 5.0, true));
    }

    #[test]
    fn a_restart_a_fallen_counter_and_an_emptied_queue_give_no_sample() {
        let restarted = rates(stats(7, 100, 0, ""), stats(8, 200, 0, ""), 5_000);
        assert!(restarted.entered.is_nan() && restarted.done.is_nan());
        let fallen = rates(stats(7, 100, 0, ""), stats(7, 50, 0, ""), 5_000);
        assert!(fallen.entered.is_nan() && fallen.done.is_nan());
        let emptied = rates(stats(7, 10_000, 9_000, ""), stats(7, 10_005, 0, ""), 5_000);
        assert!(
            (emptied.entered - 1.0).abs() < 0.01 && emptied.done.is_nan(),
            "{emptied:?}"
        );
    }

    #[test]
    fn answers_that_are_too_near_keep_the_rate() {
        let near = rates(stats(7, 100, 0, ""), stats(7, 200, 0, ""), 100);
        assert!(near.entered.is_nan());
    }

    #[test]
    fn numbers_of_others_do_not_overflow() {
        let mut sum = Numbers {
            depth: i64::MAX,
            messages: u64::MAX,
            in_flight: u32::MAX,
            ..Numbers::default()
        };
        let other = sum;
        sum.add(&other);
        assert_eq!(
            (sum.depth, sum.messages, sum.in_flight),
            (i64::MAX, u64::MAX, u32::MAX)
        );
        assert_eq!(sum.unfinished(), i64::MAX);
    }
}
