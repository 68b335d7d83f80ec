//! What is counted of a channel.

use crate::queue::inside::Inside;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Counts of one epoch of a channel, which lasts until it is emptied. Whoever holds a message holds the gauges of its
/// epoch, so that a late answer to a message that was emptied away changes nothing that counts.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Counts the times the channel was emptied.
    pub epoch: u32,
    /// Messages delivered and not answered.
    pub in_flight: AtomicI64,
    /// Messages that wait for their time.
    pub deferred: AtomicI64,
    /// Messages in any state.
    pub inside: Inside,
}

/// Counts since the start of the process or the creation of the channel.
#[derive(Debug, Default)]
pub struct ChannelCounters {
    /// Hand-overs from the topic, deferred ones included.
    pub messages: AtomicU64,
    /// Transmissions to consumers.
    pub delivered: AtomicU64,
    /// Those that were the sixth or a later one of their message.
    pub excess_attempts: AtomicU64,
    /// `FIN`s that succeeded.
    pub finished: AtomicU64,
    /// `REQ`s that succeeded.
    pub requeued: AtomicU64,
    /// Messages whose consumer did not answer in time.
    pub timed_out: AtomicU64,
    /// Deliveries of messages that did not come from the files, but for those of the next two.
    pub from_memory: AtomicU64,
    /// Those to consumers of the same zone, where nearer consumers are preferred.
    pub zone_local: AtomicU64,
    /// Those to consumers of the same region, but another zone.
    pub region_local: AtomicU64,
    /// Messages that a full ephemeral queue had no room for.
    pub overflowed: AtomicU64,
    /// Messages that a sample rate left out.
    pub sampled_out: AtomicU64,
}

impl ChannelCounters {
    /// What they are now.
    #[must_use]
    pub fn read(&self) -> ChannelCounts {
        ChannelCounts {
            messages: self.messages.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            excess_attempts: self.excess_attempts.load(Relaxed),
            finished: self.finished.load(Relaxed),
            requeued: self.requeued.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
            from_memory: self.from_memory.load(Relaxed),
            zone_local: self.zone_local.load(Relaxed),
            region_local: self.region_local.load(Relaxed),
            overflowed: self.overflowed.load(Relaxed),
            sampled_out: self.sampled_out.load(Relaxed),
        }
    }
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelCounts {
    /// Hand-overs from the topic, deferred ones included.
    pub messages: u64,
    /// Transmissions to consumers.
    pub delivered: u64,
    /// Those that were the sixth or a later one of their message.
    pub excess_attempts: u64,
    /// `FIN`s that succeeded.
    pub finished: u64,
    /// `REQ`s that succeeded.
    pub requeued: u64,
    /// Messages whose consumer did not answer in time.
    pub timed_out: u64,
    /// Deliveries of messages that did not come from the files, but for those of the next two.
    pub from_memory: u64,
    /// Those to consumers of the same zone, where nearer consumers are preferred.
    pub zone_local: u64,
    /// Those to consumers of the same region, but another zone.
    pub region_local: u64,
    /// Messages that a full ephemeral queue had no room for.
    pub overflowed: u64,
    /// Messages that a sample rate left out.
    pub sampled_out: u64,
}

impl ChannelCounts {
    /// Adds those of another channel.
    pub const fn add(&mut self, other: &Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.delivered = self.delivered.saturating_add(other.delivered);
        self.excess_attempts = self.excess_attempts.saturating_add(other.excess_attempts);
        self.finished = self.finished.saturating_add(other.finished);
        self.requeued = self.requeued.saturating_add(other.requeued);
        self.timed_out = self.timed_out.saturating_add(other.timed_out);
        self.from_memory = self.from_memory.saturating_add(other.from_memory);
        self.zone_local = self.zone_local.saturating_add(other.zone_local);
        self.region_local = self.region_local.saturating_add(other.region_local);
        self.overflowed = self.overflowed.saturating_add(other.overflowed);
        self.sampled_out = self.sampled_out.saturating_add(other.sampled_out);
    }

    /// Messages that are gone without a `FIN` and without being moved or emptied away.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.overflowed.saturating_add(self.sampled_out)
    }
}
