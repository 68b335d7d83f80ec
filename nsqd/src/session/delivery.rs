//! From the channel to the output buffer: take what the window allows, put it in flight, encode it.

use super::{Session, TURN_BYTES};
use crate::block::Run;
use crate::client::ClientState;
use nsq_protocol::MessageId;
use nsq_protocol::v2::encode_message_header;
use std::sync::atomic::Ordering::Relaxed;
use tokio::io::{AsyncRead, AsyncWrite};

/// Deliveries after which the common client libraries give a message up.
const EXPECTED_ATTEMPTS: u16 = 5;
/// A window that was full is filled again once this part of it is free.
const REFILL_PART: usize = 8;
/// Or so many ns after a part of it, however small, became free.
const REFILL_WITHIN: u64 = 1_000_000;

/// Whether the window was full, and then when it is filled again.
///
/// Most clients write once for each `FIN`. To answer each with one message costs both sides a wake-up, a read and a write
/// per message; a consumer that holds all it may hold has work, and lacks nothing when a few messages come together.
/// Nothing is held back from a window that was not full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Refill {
    /// There was room after the last take.
    #[default]
    AtOnce,
    /// The window is full.
    Full,
    /// A small part of it is free; it is filled again then, in monotonic ns.
    Due(u64),
}

impl Refill {
    /// Whether `room` of a window of `size` is to be filled now; with a size of 0 any room is.
    fn begins(&mut self, room: usize, size: usize, now: impl FnOnce() -> u64) -> bool {
        let small = room.saturating_mul(REFILL_PART) < size;
        *self = match *self {
            _ if room == 0 => Self::Full,
            Self::Full if small => Self::Due(now().saturating_add(REFILL_WITHIN)),
            Self::Due(at) if small && now() < at => Self::Due(at),
            _ => Self::AtOnce,
        };
        *self == Self::AtOnce
    }

    /// When a take is due that waits only for that.
    pub(super) const fn due(self) -> Option<u64> {
        match self {
            Self::Due(at) => Some(at),
            Self::AtOnce | Self::Full => None,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Takes messages while the window and the output buffer have room. Whether there may be more to take.
    pub(super) fn deliver(&mut self) -> bool {
        if self.client.state() != ClientState::Subscribed {
            self.refill = Refill::default();
            return false;
        }
        loop {
            let (window, size) = self.window();
            // A client that wants no buffer wants nothing held back.
            let patient = if self.negotiated.output_buffer_size > 1 {
                size
            } else {
                0
            };
            let timers = &self.broker.engine.timers;
            if !self.refill.begins(window, patient, || timers.now()) {
                return false;
            }
            if self.output.pending() >= TURN_BYTES {
                return true;
            }
            if self.take(window) == 0 {
                return false;
            }
        }
    }

    /// How many more messages the consumer may hold, and how many in all.
    fn window(&self) -> (usize, usize) {
        let ready = usize::try_from(self.client.ready_count.load(Relaxed)).unwrap_or(0);
        if ready == 0 {
            (0, 0)
        } else {
            (ready.saturating_sub(self.client.in_flight.lock().len()), ready)
        }
    }

    fn take(&mut self, window: usize) -> usize {
        let Some(subscription) = &mut self.subscription else {
            return 0;
        };
        self.woken = false;
        let mut runs = std::mem::take(&mut self.runs);
        let (count, gauges) = subscription
            .channel
            .take(&self.client, window, &mut runs, &mut self.effects);
        if gauges.epoch != subscription.gauges.epoch {
            // Emptied since the turn began: what was in flight before this take is nobody's any more.
            self.client.in_flight.lock().clear();
            self.client.counters.in_flight.store(0, Relaxed);
            subscription.gauges = gauges;
        }
        if self.negotiated.sample_rate > 0 {
            runs = self.sample(runs);
        }
        self.put_in_flight(&runs);
        runs.clear();
        self.runs = runs;
        count
    }

    fn put_in_flight(&mut self, runs: &[Run]) {
        let Some(subscription) = &self.subscription else {
            return;
        };
        if runs.is_empty() {
            return;
        }
        let now = self.broker.engine.timers.now();
        let out = self.output.bytes();
        let (mut sent, mut excess) = (0_usize, 0);
        let mut copies = Vec::new();
        {
            let mut in_flight = self.client.in_flight.lock();
            for run in runs {
                let more = in_flight.deliver(run, now, |message| {
                    let (head, body) = (message.head, message.body);
                    let id = MessageId::from_u64(head.id);
                    out.extend_from_slice(&encode_message_header(
                        head.timestamp,
                        head.attempts,
                        id,
                        body.len(),
                    ));
                    out.extend_from_slice(body);
                    sent += 1;
                    excess += u64::from(head.attempts > EXPECTED_ATTEMPTS);
                });
                copies.extend(more);
            }
        }
        if !copies.is_empty() {
            subscription.channel.drop_taken(&subscription.gauges, &copies);
        }
        let counters = &subscription.channel.counters;
        counters.delivered.fetch_add(sent as u64, Relaxed);
        if excess > 0 {
            counters.excess_attempts.fetch_add(excess, Relaxed);
        }
        self.client.counters.messages.fetch_add(sent as u64, Relaxed);
        self.client
            .counters
            .in_flight
            .fetch_add(i64::try_from(sent).unwrap_or(i64::MAX), Relaxed);
    }

    /// The messages that this consumer's sample rate lets through; the others are gone for the whole channel.
    fn sample(&mut self, runs: Vec<Run>) -> Vec<Run> {
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for mut run in runs {
            while !run.is_empty() {
                let message = run.split_front(1);
                // As in the reference, a rate of s lets s + 1 percent through.
                if i64::try_from(self.random_below(100)).unwrap_or(0)
                    <= i64::from(self.negotiated.sample_rate)
                {
                    kept.push(message);
                } else {
                    left_out.push(message);
                }
            }
        }
        if let Some(subscription) = &self.subscription {
            let channel = &subscription.channel;
            channel.drop_taken(&subscription.gauges, &left_out);
            let count = left_out.len() as u64;
            channel.counters.sampled_out.fetch_add(count, Relaxed);
        }
        kept
    }

    /// Xorshift: which messages a sample takes need not be hard to guess.
    fn random_below(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % n
    }

    /// Hands a wake that was not used for a take to the next in line.
    pub(super) fn pass_on_unused_wake(&mut self) {
        if std::mem::take(&mut self.woken)
            && let Some(subscription) = &self.subscription
        {
            subscription.channel.pass_on(&mut self.effects);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{REFILL_WITHIN, Refill};

    /// What a window of `size` does when `room` of it is free at `now`, one after the other.
    fn begins(size: usize, looks: &[(usize, u64)]) -> Vec<bool> {
        let mut refill = Refill::default();
        looks
            .iter()
            .map(|&(room, now)| refill.begins(room, size, || now))
            .collect()
    }

    #[test]
    fn a_window_that_was_never_full_is_filled_at_once() {
        assert_eq!(begins(2500, &[(2500, 0), (1, 0), (3, 1)]), [true, true, true]);
    }

    #[test]
    fn a_full_window_is_filled_again_once_an_eighth_of_it_is_free() {
        assert_eq!(
            begins(16, &[(0, 0), (1, 1), (2, 2), (1, 3)]),
            [false, false, true, true]
        );
    }

    #[test]
    fn a_full_window_is_filled_again_after_a_while_however_little_is_free() {
        assert_eq!(
            begins(
                2500,
                &[(0, 5), (1, 7), (9, 6 + REFILL_WITHIN), (9, 7 + REFILL_WITHIN)]
            ),
            [false, false, false, true]
        );
    }

    #[test]
    fn a_small_window_waits_for_nothing() {
        assert_eq!(
            begins(8, &[(0, 0), (1, 0), (0, 0), (1, 0)]),
            [false, true, false, true]
        );
        assert_eq!(begins(1, &[(0, 0), (1, 0)]), [false, true]);
        assert_eq!(begins(0, &[(0, 0), (1, 0)]), [false, true]);
    }
}
