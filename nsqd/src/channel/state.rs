//! What a channel's lock guards. Every method is a short step that returns what is left to do; no clock, no file, no task.

use super::Gauges;
use super::returned::Returned;
use crate::block::Run;
use crate::client::{Client, Locality};
use crate::deferrals::Book;
use crate::effects::Effects;
use crate::queue::inside::Inside;
use crate::queue::{MessageQueue, Taken};
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Most messages of one take.
pub(crate) const MAX_TAKE_MESSAGES: usize = 256;
/// Most bytes of bodies of one take.
pub(crate) const MAX_TAKE_BYTES: usize = 64 * 1024;
/// One waiting consumer is woken for so many messages that come in.
const MESSAGES_PER_WAKE: usize = 16;

/// Ready messages, consumers and who of them waits.
#[derive(Debug)]
pub struct ChannelState {
    pub(super) queue: MessageQueue,
    /// Messages in the files that are not due.
    pub(super) book: Book,
    /// Messages that came back, and released deferred ones.
    pub(super) returned: Returned,
    pub(super) consumers: Vec<Arc<Client>>,
    waiting: VecDeque<Arc<Client>>,
    /// Consumers that are preferred for where they are.
    near: usize,
    pub(super) paused: bool,
    pub(super) exiting: bool,
    pub(super) gauges: Arc<Gauges>,
    /// Messages in flight whose consumer is gone.
    pub(super) orphans: FxHashSet<u64>,
}

impl ChannelState {
    pub(super) fn new(queue: MessageQueue) -> Self {
        let gauges = Arc::new(Gauges {
            inside: Inside::new(queue.depth(), queue.backend_bytes()),
            ..Gauges::default()
        });
        Self {
            queue,
            book: Book::default(),
            returned: Returned::default(),
            consumers: Vec::new(),
            waiting: VecDeque::new(),
            near: 0,
            paused: false,
            exiting: false,
            gauges,
            orphans: FxHashSet::default(),
        }
    }

    /// From now on the times of these messages, which came back from a consumer, are kept apart.
    pub(super) fn mark_returned(&mut self, run: Run) -> Run {
        for message in run.messages() {
            self.returned.insert(message.head.id, message.head.timestamp);
        }
        run.returned()
    }

    /// These messages are on their way out of the channel, or into its files.
    pub(super) fn forget_returned(&mut self, run: &Run) {
        for message in run.messages() {
            self.returned.remove(message.head.id);
        }
    }

    /// From when on the oldest message counts, in Unix ns: one that stands at a front, is in flight or came back. Deferred
    /// publishes that are not due do not count.
    pub(super) fn oldest(&self) -> Option<i64> {
        let in_flight = self
            .consumers
            .iter()
            .filter_map(|client| client.in_flight.lock().oldest());
        let ready = self.queue.oldest(|id| self.book.due(id).is_none());
        in_flight.chain(ready).chain(self.returned.oldest()).min()
    }

    /// Puts a run at the end of the queue and wakes who waits. Returns what did not fit into memory.
    pub(super) fn enqueue(&mut self, run: Run, effects: &mut Effects) -> Option<Run> {
        let count = run.len();
        // An ephemeral queue without memory still hands over to whoever waits right now.
        let extra = if self.queue.backlog().is_none() {
            self.waiting.len()
        } else {
            0
        };
        let overflow = self.queue.push(run, extra);
        let entered = count - overflow.as_ref().map_or(0, Run::len);
        self.wake_for(entered, effects);
        overflow
    }

    /// Wakes as many waiting consumers as `count` messages can feed.
    pub(super) fn wake_for(&mut self, count: usize, effects: &mut Effects) {
        if self.paused {
            return;
        }
        for _ in 0..count.div_ceil(MESSAGES_PER_WAKE) {
            if !self.wake_next(effects) {
                return;
            }
        }
    }

    /// Wakes the consumer that has waited longest; whether there was one.
    fn wake_next(&mut self, effects: &mut Effects) -> bool {
        let Some(client) = self.waiting.remove(self.next_in_line()) else {
            return false;
        };
        client.waiting.store(false, Relaxed);
        effects.wakes.push(client);
        true
    }

    /// Who of those that wait is fed next: of the nearest the one that has waited longest.
    fn next_in_line(&self) -> usize {
        if self.near == 0 {
            return 0;
        }
        let places = self.waiting.iter().enumerate();
        let nearest = places.max_by_key(|(at, client)| (client.locality(), std::cmp::Reverse(*at)));
        nearest.map_or(0, |(at, _)| at)
    }

    /// Adds a consumer.
    pub(super) fn add(&mut self, client: &Arc<Client>) {
        self.near += usize::from(client.locality() > Locality::Elsewhere);
        self.consumers.push(client.clone());
    }

    /// Passes a wake on: no message may lie still beside a consumer that waits.
    pub(super) fn pass_on(&mut self, effects: &mut Effects) {
        if !self.paused && self.queue.has_ready() {
            self.wake_next(effects);
        }
    }

    /// Takes messages for a consumer that may hold `window` more; it waits in line when there are not enough.
    pub(super) fn take(
        &mut self,
        client: &Arc<Client>,
        window: usize,
        out: &mut Vec<Run>,
        effects: &mut Effects,
    ) -> Taken {
        let mut taken = Taken::default();
        if !self.paused {
            // Others that wait get their share, so that one fast consumer does not drain what they could start on.
            let fair = self.queue.ready().div_ceil(self.waiting.len() + 1).max(1);
            taken = self
                .queue
                .take(window.min(MAX_TAKE_MESSAGES).min(fair), MAX_TAKE_BYTES, out);
        }
        if taken.count() < window && (self.paused || !self.queue.has_ready()) {
            self.wait(client);
        } else {
            self.pass_on(effects);
        }
        taken
    }

    fn wait(&mut self, client: &Arc<Client>) {
        if !client.waiting.swap(true, Relaxed) {
            self.waiting.push_back(client.clone());
        }
    }

    /// Takes a consumer out of the channel. Whether others are left.
    pub(super) fn remove(&mut self, client: &Arc<Client>, effects: &mut Effects) -> bool {
        self.consumers.retain(|c| !Arc::ptr_eq(c, client));
        let near = self.consumers.iter();
        self.near = near.filter(|c| c.locality() > Locality::Elsewhere).count();
        if client.waiting.swap(false, Relaxed) {
            self.waiting.retain(|c| !Arc::ptr_eq(c, client));
        } else {
            // It may have been woken for messages that it will not take.
            self.pass_on(effects);
        }
        !self.consumers.is_empty()
    }

    /// Forgets every message. What is in flight or deferred belongs to an epoch that is over.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.book.clear();
        self.returned.clear();
        self.orphans.clear();
        self.gauges = Arc::new(Gauges {
            epoch: self.gauges.epoch.wrapping_add(1),
            ..Gauges::default()
        });
    }
}
