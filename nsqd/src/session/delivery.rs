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

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Takes messages while the window and the output buffer have room. Whether there may be more to take.
    pub(super) fn deliver(&mut self) -> bool {
        if self.client.state() != ClientState::Subscribed {
            return false;
        }
        loop {
            let window = self.window();
            if window == 0 {
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

    /// How many more messages the consumer may hold.
    fn window(&self) -> usize {
        let ready = usize::try_from(self.client.ready_count.load(Relaxed)).unwrap_or(0);
        if ready == 0 {
            0
        } else {
            ready.saturating_sub(self.client.in_flight.lock().len())
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
