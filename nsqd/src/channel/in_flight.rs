//! The messages that one consumer holds and has not answered yet.
//!
//! Deliveries of one topic mostly have rising ids, and one consumer's time-out is constant: so a ring in delivery order is
//! sorted by id (FIN finds its message at the front or by binary search) and by deadline (only the front can be
//! due). What breaks the order, a redelivered message or one that was touched, stands aside in a map with its own
//! deadlines. Pure: every time is an argument, in ns of one monotonic clock (engine design, section 6).

use crate::block::{Block, QueuedMessage, Run};
use crate::latency::Finished;
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

#[derive(Clone, Copy, Debug)]
struct Slot {
    id: u64,
    delivered_at: u64,
    /// Which of `held`.
    held: usize,
    /// Place in the block.
    index: u32,
    /// Deliveries since the block was built, this one included.
    attempts: u16,
    answered: bool,
    returned: bool,
}

/// A block of which some messages are in the ring: one reference for all of them.
#[derive(Debug)]
struct Held {
    block: Arc<Block>,
    outstanding: u32,
}

#[derive(Debug)]
struct Aside {
    block: Arc<Block>,
    index: u32,
    attempts: u16,
    returned: bool,
    delivered_at: u64,
    deadline: u64,
}

/// The in-flight table of one consumer.
#[derive(Debug, Default)]
pub struct InFlight {
    ring: VecDeque<Slot>,
    held: Slab<Held>,
    aside: BTreeMap<u64, Aside>,
    deadlines: BTreeSet<(u64, u64)>,
    /// Unanswered slots of the ring.
    live: usize,
    timeout: u64,
}

impl InFlight {
    /// How long the consumer may take for a message, in ns. Set before the first delivery.
    pub fn set_timeout(&mut self, timeout: u64) {
        debug_assert!(self.is_empty(), "the order of deadlines stands on one time-out");
        self.timeout = timeout;
    }

    /// Messages in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live + self.aside.len()
    }

    /// Whether nothing is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this message is in flight here.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.find(id).is_some() || self.aside.contains_key(&id)
    }

    /// Puts the messages of a run in flight and shows each, with this delivery counted, to `each`.
    /// A second copy of a message that is in flight here already is not taken but returned: the first stands for both.
    pub fn deliver(&mut self, run: &Run, now: u64, mut each: impl FnMut(QueuedMessage<'_>)) -> Vec<Run> {
        let mut copies = Vec::new();
        let held = self.held.insert(Held {
            block: run.block().clone(),
            outstanding: 1,
        });
        for mut message in run.messages() {
            message.added = message.added.wrapping_add(1);
            message.head.attempts = message.head.attempts.wrapping_add(1);
            if self.enter(held, run, &message, now) {
                each(message);
            } else {
                let copy = Run::single(run.block().clone(), message.index, 0);
                copies.push(if run.is_returned() { copy.returned() } else { copy });
            }
        }
        self.release(held);
        copies
    }

    fn enter(&mut self, held: usize, run: &Run, message: &QueuedMessage<'_>, now: u64) -> bool {
        let (id, index, attempts) = (message.head.id, message.index, message.added);
        let returned = run.is_returned();
        if self.ring.back().is_none_or(|last| last.id < id) && !self.aside.contains_key(&id) {
            self.ring.push_back(Slot {
                id,
                delivered_at: now,
                held,
                index,
                attempts,
                answered: false,
                returned,
            });
            self.held[held].outstanding += 1;
            self.live += 1;
            return true;
        }
        if self.contains(id) {
            return false;
        }
        let deadline = now.saturating_add(self.timeout);
        self.set_aside(
            id,
            Aside {
                block: run.block().clone(),
                index,
                attempts,
                returned,
                delivered_at: now,
                deadline,
            },
        );
        true
    }

    fn set_aside(&mut self, id: u64, entry: Aside) {
        self.deadlines.insert((entry.deadline, id));
        self.aside.insert(id, entry);
    }

    /// A message in flight, left there.
    #[cfg(test)]
    pub fn peek(&self, id: u64) -> Option<Run> {
        let found = |at: usize| (self.held[self.ring[at].held].block.clone(), self.ring[at].index);
        let (block, index) = match self.find(id) {
            Some(at) => found(at),
            None => self.aside.get(&id).map(|a| (a.block.clone(), a.index))?,
        };
        Some(Run::single(block, index, 0))
    }

    /// Ends the flight of a message: it was finished. None if it is not in flight here.
    pub fn finish(&mut self, id: u64) -> Option<Finished> {
        let Some(at) = self.find(id) else {
            let entry = self.remove_aside(id)?;
            return Some(Finished::new(
                &entry.block,
                entry.index,
                entry.delivered_at,
                entry.returned,
            ));
        };
        let slot = self.ring[at];
        let block = &self.held[slot.held].block;
        let finished = Finished::new(block, slot.index, slot.delivered_at, slot.returned);
        self.answer(at);
        self.release(slot.held);
        Some(finished)
    }

    /// Ends the flight of a message and hands it back, to be queued again.
    pub fn remove(&mut self, id: u64) -> Option<Run> {
        let entry = match self.find(id) {
            Some(at) => self.take(at),
            None => self.remove_aside(id)?,
        };
        Some(entry.into_run())
    }

    /// Gives a message `extension` ns more from now, but never more than `longest` from its delivery.
    /// Whether it was in flight here.
    pub fn touch(&mut self, id: u64, now: u64, extension: u64, longest: u64) -> bool {
        let taken = match self.find(id) {
            Some(at) => Some(self.take(at)),
            None => self.remove_aside(id),
        };
        let Some(mut entry) = taken else { return false };
        entry.deadline = now
            .saturating_add(extension)
            .min(entry.delivered_at.saturating_add(longest));
        self.set_aside(id, entry);
        true
    }

    /// When the oldest message was published whose time its channel does not keep apart, in Unix ns. Ids rise with time: the first
    /// of either kind is the oldest.
    #[must_use]
    pub fn oldest(&self) -> Option<i64> {
        let ring = self.ring.iter().find(|slot| !slot.answered && !slot.returned);
        let ring = ring.map(|slot| self.held[slot.held].block.head(slot.index));
        let aside = self.aside.values().find(|entry| !entry.returned);
        let aside = aside.map(|entry| entry.block.head(entry.index));
        ring.into_iter().chain(aside).map(|head| head.timestamp).min()
    }

    /// When the next message is due, in ns.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let ring = self
            .ring
            .front()
            .map(|s| s.delivered_at.saturating_add(self.timeout));
        let aside = self.deadlines.first().map(|&(deadline, _)| deadline);
        [ring, aside].into_iter().flatten().min()
    }

    /// Takes out every message whose time is over.
    pub fn expire(&mut self, now: u64, out: &mut Vec<Run>) {
        while let Some(front) = self.ring.front()
            && front.delivered_at.saturating_add(self.timeout) <= now
        {
            out.push(self.take(0).into_run());
        }
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            out.extend(self.remove_aside(id).map(Aside::into_run));
        }
    }

    /// Takes out everything, each with its deadline: the consumer is gone.
    pub fn drain(&mut self) -> Vec<(u64, Run)> {
        let mut all = Vec::with_capacity(self.len());
        while !self.ring.is_empty() {
            let entry = self.take(0);
            all.push((entry.deadline, entry.into_run()));
        }
        all.extend(
            std::mem::take(&mut self.aside)
                .into_values()
                .map(|entry| (entry.deadline, entry.into_run())),
        );
        self.deadlines.clear();
        all
    }

    /// Forgets everything: the channel was emptied.
    pub fn clear(&mut self) {
        *self = Self {
            timeout: self.timeout,
            ..Self::default()
        };
    }

    /// Where in the ring an unanswered message is.
    fn find(&self, id: u64) -> Option<usize> {
        if self.ring.front()?.id == id {
            return Some(0);
        }
        let at = self.ring.binary_search_by_key(&id, |s| s.id).ok()?;
        (!self.ring[at].answered).then_some(at)
    }

    /// Takes a message out of the ring.
    fn take(&mut self, at: usize) -> Aside {
        let Slot {
            delivered_at,
            held,
            index,
            attempts,
            returned,
            ..
        } = self.ring[at];
        self.answer(at);
        let block = self.held[held].block.clone();
        self.release(held);
        Aside {
            block,
            index,
            attempts,
            returned,
            delivered_at,
            deadline: delivered_at.saturating_add(self.timeout),
        }
    }

    /// Marks a slot answered and drops answered slots: the front of the ring is always unanswered.
    fn answer(&mut self, at: usize) {
        self.ring[at].answered = true;
        self.live -= 1;
        while self.ring.front().is_some_and(|s| s.answered) {
            self.ring.pop_front();
        }
        // A message held for long must not keep the slots of all that were answered behind it.
        if self.ring.len() > 64 + 2 * self.live {
            self.ring.retain(|s| !s.answered);
        }
    }

    /// Gives up one claim on a held block: a slot's, or that of a delivery in progress.
    fn release(&mut self, held: usize) {
        let entry = &mut self.held[held];
        entry.outstanding -= 1;
        if entry.outstanding == 0 {
            self.held.remove(held);
        }
    }

    fn remove_aside(&mut self, id: u64) -> Option<Aside> {
        let entry = self.aside.remove(&id)?;
        self.deadlines.remove(&(entry.deadline, id));
        Some(entry)
    }
}

impl Aside {
    fn into_run(self) -> Run {
        let run = Run::single(self.block, self.index, self.attempts);
        if self.returned { run.returned() } else { run }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::block::{BatchBuilder, Head};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn run_of(ids: &[u64]) -> Run {
        let mut bodies = BatchBuilder::default();
        ids.iter().for_each(|id| bodies.push(&id.to_be_bytes()));
        let heads = ids
            .iter()
            .map(|&id| Head {
                id,
                timestamp: 0,
                attempts: 0,
            })
            .collect();
        Run::whole(Arc::new(Block::with_heads(&mut bodies, heads)))
    }

    fn id_of(run: &Run) -> u64 {
        run.messages().next().unwrap().head.id
    }

    #[derive(Clone, Debug)]
    enum Action {
        Deliver(Vec<u64>),
        Finish(u64),
        Requeue(u64),
        Touch(u64),
        Wait(u64),
        Gone,
    }

    fn actions() -> impl Strategy<Value = Vec<Action>> {
        let id = 0u64..60;
        let action = prop_oneof![
            3 => prop::collection::vec(id.clone(), 1..12).prop_map(Action::Deliver),
            4 => id.clone().prop_map(Action::Finish),
            1 => id.clone().prop_map(Action::Requeue),
            1 => id.prop_map(Action::Touch),
            2 => (0u64..60).prop_map(Action::Wait),
            1 => Just(Action::Gone),
        ];
        prop::collection::vec(action, 1..150)
    }

    const TIMEOUT: u64 = 100;
    const LONGEST: u64 = 250;

    proptest! {
        /// Against a map of id to (delivered, deadline): the same messages are in flight and the same are due, always.
        #[test]
        fn holds_what_a_plain_map_would_hold(actions in actions()) {
            let (mut table, mut now) = (InFlight::default(), 0);
            table.set_timeout(TIMEOUT);
            let mut model: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
            for action in actions {
                match action {
                    Action::Deliver(ids) => {
                        let mut shown = Vec::new();
                        table.deliver(&run_of(&ids), now, |m| shown.push(m.head.id));
                        let mut fresh = Vec::new();
                        for id in ids {
                            model.entry(id).or_insert_with(|| {
                                fresh.push(id);
                                (now, now + TIMEOUT)
                            });
                        }
                        prop_assert_eq!(shown, fresh);
                    }
                    Action::Finish(id) => prop_assert_eq!(table.finish(id).is_some(), model.remove(&id).is_some()),
                    Action::Requeue(id) => {
                        let run = table.remove(id);
                        prop_assert_eq!(run.as_ref().map(id_of), model.remove(&id).map(|_| id));
                        prop_assert!(run.is_none_or(|r| r.messages().all(|m| m.head.attempts == 1)));
                    }
                    Action::Touch(id) => {
                        let entry = model.get_mut(&id);
                        prop_assert_eq!(table.touch(id, now, TIMEOUT, LONGEST), entry.is_some());
                        if let Some((delivered, deadline)) = entry {
                            *deadline = (now + TIMEOUT).min(*delivered + LONGEST);
                        }
                    }
                    Action::Wait(by) => {
                        now += by;
                        let mut out = Vec::new();
                        table.expire(now, &mut out);
                        let mut seen: Vec<_> = out.iter().map(id_of).collect();
                        seen.sort_unstable();
                        let due: Vec<_> = model.iter().filter(|(_, e)| e.1 <= now).map(|(&id, _)| id).collect();
                        prop_assert_eq!(seen, due);
                        model.retain(|_, e| e.1 > now);
                    }
                    Action::Gone => {
                        let mut left: Vec<_> = table.drain().iter().map(|(at, r)| (id_of(r), *at)).collect();
                        left.sort_unstable();
                        prop_assert_eq!(left, model.iter().map(|(&id, e)| (id, e.1)).collect::<Vec<_>>());
                        model.clear();
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert_eq!(table.next_deadline(), model.values().map(|e| e.1).min());
                prop_assert!((0..60).all(|id| table.contains(id) == model.contains_key(&id)));
                prop_assert!(!table.is_empty() || table.held.is_empty());
            }
        }
    }
}
