//! Counts of times in buckets.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// 0.1 ms to 5 s, for what a disk or a processor does. In ns, here and below.
pub const OPERATION_TIMES: [u64; 14] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
];

/// 1 ms to 30 s, for requests and timers.
pub const REQUEST_TIMES: [u64; 11] = [
    1_000_000,
    5_000_000,
    25_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// 1 ms to a day, for the life of messages.
pub const MESSAGE_TIMES: [u64; 12] = [
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

/// Times in buckets with these upper bounds, in ns: a batch before it is added to a [`Histogram`], or a picture of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times<const N: usize> {
    bounds: &'static [u64; N],
    counts: [u64; N],
    above: u64,
    sum: u64,
}

impl<const N: usize> Times<N> {
    /// None yet. The bounds rise.
    #[must_use]
    pub const fn new(bounds: &'static [u64; N]) -> Self {
        Self {
            bounds,
            counts: [0; N],
            above: 0,
            sum: 0,
        }
    }

    /// Adds `n` equal times.
    pub fn add(&mut self, ns: u64, n: u64) {
        let at = self.bounds.partition_point(|bound| *bound < ns);
        let count = self.counts.get_mut(at).unwrap_or(&mut self.above);
        *count = count.saturating_add(n);
        self.sum = self.sum.saturating_add(ns.saturating_mul(n));
    }

    /// Adds all times of another.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.above = self.above.saturating_add(other.above);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Upper bounds and how many times lie in the bucket below each.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.bounds.iter().copied().zip(self.counts)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>().saturating_add(self.above)
    }

    /// All of them together, in ns.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }
}

/// Times counted by many at once.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    counts: [AtomicU64; N],
    above: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    /// None yet. The bounds rise.
    #[must_use]
    pub fn new(bounds: &'static [u64; N]) -> Self {
        Self {
            bounds,
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            above: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts `n` equal times.
    pub fn observe(&self, ns: u64, n: u64) {
        let at = self.bounds.partition_point(|bound| *bound < ns);
        self.counts.get(at).unwrap_or(&self.above).fetch_add(n, Relaxed);
        self.sum.fetch_add(ns.saturating_mul(n), Relaxed);
    }

    /// Counts a batch of times.
    pub fn add(&self, times: &Times<N>) {
        let more = times.counts.iter().chain([&times.above]);
        for (count, n) in self.counts.iter().chain([&self.above]).zip(more) {
            if *n > 0 {
                count.fetch_add(*n, Relaxed);
            }
        }
        self.sum.fetch_add(times.sum, Relaxed);
    }

    /// A picture of it.
    #[must_use]
    pub fn read(&self) -> Times<N> {
        Times {
            bounds: self.bounds,
            counts: std::array::from_fn(|i| self.counts.get(i).map_or(0, |count| count.load(Relaxed))),
            above: self.above.load(Relaxed),
            sum: self.sum.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [u64; 3] = [10, 20, 30];

    #[test]
    fn a_time_counts_in_the_first_bucket_that_is_not_below_it() {
        let histogram = Histogram::new(&BOUNDS);
        [0, 10, 11, 30, 31]
            .iter()
            .for_each(|ns| histogram.observe(*ns, 1));
        let mut batch = Times::new(&BOUNDS);
        batch.add(15, 7);
        batch.add(100, 2);
        histogram.add(&batch);
        let mut read = histogram.read();
        assert_eq!(read.buckets().collect::<Vec<_>>(), [(10, 2), (20, 8), (30, 1)]);
        assert_eq!((read.count(), read.sum()), (14, 82 + 105 + 200));
        read.merge(&batch);
        assert_eq!((read.count(), read.sum()), (23, 82 + 2 * 305));
    }
}
