//! Counters told apart by one label whose values are known.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One counter for each value of a label.
#[derive(Debug)]
pub struct Counts<const N: usize> {
    values: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Counts<N> {
    /// Nothing counted yet. `values` are those of the label.
    #[must_use]
    pub fn new(values: [&'static str; N]) -> Self {
        Self {
            values,
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Counts one for the value with this number; a number beyond them counts nothing.
    pub fn add(&self, value: usize) {
        if let Some(count) = self.counts.get(value) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Values and counts.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Relaxed));
        self.values.into_iter().zip(counts)
    }
}
