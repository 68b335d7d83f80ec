//! How long messages take from their publish, and from their delivery, to their FIN. Pure: times are arguments.
//!
//! The histograms are for metrics and always there (extensions spec 3.5): one FIN costs two comparisons in a small table each, one
//! batch of FINs a handful of atomic additions. The quantiles over a window are for `/stats` and statsd, as the reference has them
//! (nsqd spec 11.1), and cost nothing unless configured. They come from DDSketch, whose values are within 1 % of the true ones and
//! whose size is bounded; own code is only the window, made of two halves as in the reference.

use parking_lot::Mutex;
use sketches_ddsketch::{Config, DDSketch};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets in ns: 1, 5, 25, 100 and 500 ms, 2.5, 10 and 60 s, 5 and 30 minutes, 2 hours, a day.
pub const BOUNDS: [u64; 12] = [
    1_000_000,
    5_000_000,
    25_000_000,
    100_000_000,
    500_000_000,
    2_500_000_000,
    10_000_000_000,
    60_000_000_000,
    300_000_000_000,
    1_800_000_000_000,
    7_200_000_000_000,
    86_400_000_000_000,
];

/// Relative error of quantiles.
const ACCURACY: f64 = 0.01;
/// Bins of a sketch: enough for all times from a nanosecond to centuries.
const MAX_BINS: u32 = 2048;

/// A message that was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// When it was published, in Unix ns.
    pub timestamp: i64,
    /// When this delivery of it was, in monotonic ns.
    pub delivered_at: u64,
}

/// Counts of times in the buckets of [`BOUNDS`]; the last one has no bound.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// Sum of all times in ns.
    sum: AtomicU64,
}

/// Times of one batch, counted before they are added to a [`Histogram`].
#[derive(Debug, Default)]
struct Batch {
    buckets: [u32; BOUNDS.len() + 1],
    sum: u64,
}

impl Batch {
    fn add(&mut self, ns: u64) {
        self.buckets[BOUNDS.partition_point(|bound| *bound < ns)] += 1;
        self.sum = self.sum.saturating_add(ns);
    }
}

impl Histogram {
    fn add(&self, batch: &Batch) {
        for (total, count) in self.buckets.iter().zip(batch.buckets) {
            if count > 0 {
                total.fetch_add(count.into(), Relaxed);
            }
        }
        self.sum.fetch_add(batch.sum, Relaxed);
    }

    /// Counts per bucket, and the sum in ns.
    #[must_use]
    pub fn read(&self) -> ([u64; BOUNDS.len() + 1], u64) {
        (
            std::array::from_fn(|i| self.buckets[i].load(Relaxed)),
            self.sum.load(Relaxed),
        )
    }
}

/// What is measured of one channel.
#[derive(Debug)]
pub struct Latencies {
    /// From the publish.
    pub from_publish: Histogram,
    /// From the delivery that was finished.
    pub from_delivery: Histogram,
    window: Option<Mutex<Window>>,
}

impl Latencies {
    /// Nothing measured yet. With a window, quantiles over it are kept.
    #[must_use]
    pub fn new(window: Option<Duration>, now: u64) -> Self {
        Self {
            from_publish: Histogram::default(),
            from_delivery: Histogram::default(),
            window: window.map(|window| Mutex::new(Window::new(window, now))),
        }
    }

    /// Takes the messages of a batch that were finished now, `now` in monotonic and `unix_now` in Unix ns.
    pub fn finished(&self, messages: &[Finished], now: u64, unix_now: i64) {
        let (mut from_publish, mut from_delivery) = (Batch::default(), Batch::default());
        for message in messages {
            from_publish.add(since(message.timestamp, unix_now));
            from_delivery.add(now.saturating_sub(message.delivered_at));
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
        Finished {
            timestamp: i64::try_from(10 * SECOND - after).unwrap_or(0),
            delivered_at: 0,
        }
    }

    #[test]
    fn a_time_counts_in_the_first_bucket_that_is_not_below_it() {
        let latencies = Latencies::new(None, 0);
        let times = [0, BOUNDS[0], BOUNDS[0] + 1, 3 * SECOND];
        let messages: Vec<Finished> = times.iter().map(|time| finished(*time)).collect();
        latencies.finished(&messages, 2 * SECOND, 10_000_000_000);
        let (buckets, sum) = latencies.from_publish.read();
        assert_eq!((buckets[0], buckets[1], buckets[6]), (2, 1, 1));
        assert_eq!(sum, times.iter().sum::<u64>());
        assert_eq!(latencies.from_delivery.read().0[5], 4);
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
