//! How long messages take from their publish, and from their delivery, to their FIN. Pure: times are arguments.
//!
//! The histograms are for metrics and always there (extensions spec 3.5): one FIN costs two comparisons in a small table each, one
//! batch of FINs a handful of atomic additions. The quantiles over a window are for `/stats` and statsd, as the reference has them
//! (nsqd spec 11.1), and cost nothing unless configured. They come from DDSketch, whose values are within 1 % of the true ones and
//! whose size is bounded; own code is only the window, made of two halves as in the reference.

use crate::block::Block;
use nsq_service::metrics::{Histogram, MESSAGE_TIMES, Times};
use parking_lot::Mutex;
use sketches_ddsketch::{Config, DDSketch};
use std::time::Duration;

/// Number of buckets with a bound.
pub const BUCKETS: usize = MESSAGE_TIMES.len();

/// Relative error of quantiles.
const ACCURACY: f64 = 0.01;
/// Bins of a sketch: enough for all times from a nanosecond to centuries.
const MAX_BINS: u32 = 2048;

/// A message that was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its id as a number.
    pub id: u64,
    /// When it was published, in Unix ns.
    pub timestamp: i64,
    /// From when on it counts: when it was published or, if that was later, to be delivered. In Unix ns.
    pub reference: i64,
    /// When this delivery of it was, in monotonic ns.
    pub delivered_at: u64,
    /// Bytes of its body.
    pub bytes: usize,
    /// Its channel keeps its reference time.
    pub returned: bool,
}

impl Finished {
    /// Message `index` of a block.
    #[must_use]
    pub fn new(block: &Block, index: u32, delivered_at: u64, returned: bool) -> Self {
        let head = block.head(index);
        Self {
            id: head.id,
            timestamp: head.timestamp,
            reference: head.timestamp,
            delivered_at,
            bytes: block.body(index).len(),
            returned,
        }
    }
}

/// What is measured of one channel.
#[derive(Debug)]
pub struct Latencies {
    /// From the publish.
    pub from_publish: Histogram<BUCKETS>,
    /// From the delivery that was finished.
    pub from_delivery: Histogram<BUCKETS>,
    window: Option<Box<Mutex<Window>>>,
}

impl Latencies {
    /// Nothing measured yet. With a window, quantiles over it are kept.
    #[must_use]
    pub fn new(window: Option<Duration>, now: u64) -> Self {
        Self {
            from_publish: Histogram::new(&MESSAGE_TIMES),
            from_delivery: Histogram::new(&MESSAGE_TIMES),
            window: window.map(|window| Box::new(Mutex::new(Window::new(window, now)))),
        }
    }

    /// Takes the messages of a batch that were finished now, `now` in monotonic and `unix_now` in Unix ns.
    pub fn finished(&self, messages: &[Finished], now: u64, unix_now: i64) {
        let mut from_publish = Times::new(&MESSAGE_TIMES);
        let mut from_delivery = from_publish.clone();
        for message in messages {
            from_publish.add(since(message.reference, unix_now), 1);
            from_delivery.add(now.saturating_sub(message.delivered_at), 1);
        }
        self.from_publish.add(&from_publish);
        self.from_delivery.add(&from_delivery);
        if let Some(window) = &self.window {
            let mut window = window.lock();
            window.turn(now);
            for message in messages {
                window.add(since(message.timestamp, unix_now));
            }
        }
    }

    /// What lies in the window, if quantiles are kept.
    #[must_use]
    pub fn window(&self, now: u64) -> Option<Samples> {
        let mut window = self.window.as_ref()?.lock();
        window.turn(now);
        Some(window.samples())
    }
}

/// A clock that was set back makes no negative times.
fn since(timestamp: i64, unix_now: i64) -> u64 {
    u64::try_from(unix_now.saturating_sub(timestamp)).unwrap_or(0)
}

/// Two halves, of which the older is emptied when a new half begins: a sample goes after half a window to a whole one.
struct Window {
    halves: [DDSketch; 2],
    current: usize,
    half: u64,
    turns_at: u64,
}

impl Window {
    fn new(window: Duration, now: u64) -> Self {
        let half = u64::try_from(window.as_nanos() / 2).unwrap_or(u64::MAX).max(1);
        Self {
            halves: [sketch(), sketch()],
            current: 0,
            half,
            turns_at: now.saturating_add(half),
        }
    }

    fn turn(&mut self, now: u64) {
        if now < self.turns_at {
            return;
        }
        let turns = 1 + (now - self.turns_at) / self.half;
        self.turns_at = self.turns_at.saturating_add(turns.saturating_mul(self.half));
        for _ in 0..turns.min(2) {
            self.current ^= 1;
            self.halves[self.current] = sketch();
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "the sketch is less precise than that")]
    fn add(&mut self, ns: u64) {
        self.halves[self.current].add(ns as f64);
    }

    fn samples(&self) -> Samples {
        let mut samples = Samples(self.halves[0].clone());
        samples.merge(&Samples(self.halves[1].clone()));
        samples
    }
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Window({} ns)", self.half.saturating_mul(2))
    }
}

fn sketch() -> DDSketch {
    DDSketch::new(Config::new(ACCURACY, MAX_BINS, 1.0))
}

/// Times of a window, of one channel or of several.
pub struct Samples(DDSketch);

impl Default for Samples {
    fn default() -> Self {
        Self(sketch())
    }
}

impl Samples {
    /// Adds those of another channel.
    pub fn merge(&mut self, other: &Self) {
        // Sketches of one configuration can always be merged.
        let _ = self.0.merge(&other.0);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// The value in ns below which the share `quantile` of them lies; 0 without samples.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> f64 {
        self.0.quantile(quantile).ok().flatten().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn finished(after: u64) -> Finished {
        let timestamp = i64::try_from(10 * SECOND - after).unwrap_or(0);
        Finished {
            id: 0,
            timestamp,
            reference: timestamp,
            delivered_at: 0,
            bytes: 0,
            returned: false,
        }
    }

    #[test]
    fn what_had_to_wait_for_its_time_counts_from_then_on() {
        let latencies = Latencies::new(None, 0);
        let messages = [3 * SECOND, 5 * SECOND].map(finished);
        let deferred = Finished {
            reference: 10_000_000_000,
            ..finished(9 * SECOND)
        };
        latencies.finished(&messages, 2 * SECOND, 10_000_000_000);
        latencies.finished(&[deferred], 2 * SECOND, 10_000_000_000);
        let counts =
            |histogram: &Histogram<BUCKETS>| histogram.read().buckets().map(|(_, n)| n).collect::<Vec<_>>();
        assert_eq!(
            counts(&latencies.from_publish),
            [1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            counts(&latencies.from_delivery),
            [0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0]
        );
        assert!(latencies.window(0).is_none());
    }

    #[test]
    fn a_sample_goes_after_half_a_window_to_a_whole_one() {
        let latencies = Latencies::new(Some(Duration::from_secs(10)), 0);
        let count = |now: u64| latencies.window(now * SECOND).map(|samples| samples.count());
        latencies.finished(&[finished(SECOND)], 4 * SECOND, 10_000_000_000);
        assert_eq!(count(9), Some(1));
        assert_eq!(count(10), Some(0));
        latencies.finished(&[finished(SECOND)], 10 * SECOND, 10_000_000_000);
        assert_eq!(count(19), Some(1));
        assert_eq!(count(1000), Some(0));
    }

    #[test]
    fn quantiles_are_within_a_hundredth() {
        let latencies = Latencies::new(Some(Duration::from_secs(10)), 0);
        let messages: Vec<Finished> = (1..=1000).map(|ms| finished(ms * 1_000_000)).collect();
        latencies.finished(&messages, 0, 10_000_000_000);
        let Some(samples) = latencies.window(0) else {
            return;
        };
        for (quantile, value) in [(0.5, 500e6), (0.95, 950e6), (0.99, 990e6), (1.0, 1000e6)] {
            let found = samples.quantile(quantile);
            assert!((found - value).abs() <= value * 0.011, "{quantile}: {found}");
        }
    }
}
