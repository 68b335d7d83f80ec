//! What is inside a queue, in whatever state.

use crate::block::Run;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Messages, and the bytes of their bodies. Changes when one enters or leaves the queue and at no other time, so that a message
/// between two states is never missed.
#[derive(Debug, Default)]
pub struct Inside {
    messages: AtomicI64,
    bytes: AtomicI64,
}

impl Inside {
    /// What is there at the start.
    #[must_use]
    pub fn new(messages: u64, bytes: u64) -> Self {
        Self {
            messages: AtomicI64::new(signed(messages)),
            bytes: AtomicI64::new(signed(bytes)),
        }
    }

    /// Messages enter.
    pub fn enter(&self, run: &Run) {
        self.messages.fetch_add(signed(run.len() as u64), Relaxed);
        self.bytes.fetch_add(signed(run.bytes() as u64), Relaxed);
    }

    /// Messages leave.
    pub fn leave(&self, run: &Run) {
        self.left(run.len(), run.bytes());
    }

    /// So many messages with so many bytes left.
    pub fn left(&self, messages: usize, bytes: usize) {
        self.messages.fetch_sub(signed(messages as u64), Relaxed);
        self.bytes.fetch_sub(signed(bytes as u64), Relaxed);
    }

    /// The files hold other messages than was thought.
    pub fn correct(&self, by: Correction) {
        self.messages.fetch_add(by.messages, Relaxed);
        self.bytes.fetch_add(by.bytes, Relaxed);
    }

    /// Nothing is inside any more.
    pub fn clear(&self) {
        self.messages.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn messages(&self) -> u64 {
        u64::try_from(self.messages.load(Relaxed)).unwrap_or(0)
    }

    /// How many bytes their bodies have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.bytes.load(Relaxed)).unwrap_or(0)
    }
}

/// What damage to files took away, or what was found beyond the count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Correction {
    /// Messages to be added; negative for lost ones.
    pub messages: i64,
    /// Bytes of their bodies.
    pub bytes: i64,
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
