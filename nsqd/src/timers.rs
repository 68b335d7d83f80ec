//! What has a due time: deferred messages, messages of consumers that are gone, syncs of files. The engine rings it.

use crate::counters::Counters;
use crate::effects::{Effects, QueueOwner};
use crate::parked::Parked;
use crate::wheel::Wheel;
use nsq_protocol::{ChannelName, TopicName};
use nsq_service::clock::Clock;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;

/// A channel, as those see it who hold its messages back.
pub trait Holder: Send + Sync {
    /// Topic and channel.
    fn names(&self) -> (TopicName, ChannelName);
    /// Counts how often it was emptied: what is older than the present epoch is of no use to it.
    fn epoch(&self) -> u32;
    /// The time of messages that it held back has come.
    fn release(&self, waiting: Waiting, effects: &mut Effects);
}

/// Why a message waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its publisher or its consumer wants it to be delivered later.
    Deferred,
    /// Its consumer is gone: it times out.
    Orphan,
}

/// A message that goes to the end of its channel's queue when its time has come.
pub struct Waiting {
    /// Its channel.
    pub holder: Arc<dyn Holder>,
    /// That of the channel when it began to wait; it is of no use in another one.
    pub epoch: u32,
    /// Why it waits.
    pub why: Why,
    /// The message.
    pub run: Parked,
}

impl Waiting {
    /// Whether its channel was not emptied since.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.holder.epoch() == self.epoch
    }
}

/// What happens when its time has come.
pub enum Timer {
    /// A message is released.
    Message(Waiting),
    /// The files of a queue are synced.
    Sync(Arc<dyn QueueOwner>),
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message(Waiting {
                why: Why::Deferred, ..
            }) => "Deferred",
            Self::Message(Waiting { why: Why::Orphan, .. }) => "Orphan",
            Self::Sync(..) => "Sync",
        })
    }
}

/// The wheel and what turns it.
pub struct Timers {
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    wheel: Mutex<Wheel<Timer>>,
    /// When the task looks next, in ns; what is due before that has to tell it.
    looks_at: AtomicU64,
    changed: Notify,
}

impl Timers {
    /// A wheel without entries.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, counters: Arc<Counters>) -> Self {
        Self {
            clock,
            counters,
            wheel: Mutex::default(),
            looks_at: AtomicU64::new(u64::MAX),
            changed: Notify::new(),
        }
    }

    /// Monotonic nanoseconds: the time of every deadline.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Wall time in Unix ns.
    #[must_use]
    pub fn unix_now(&self) -> i64 {
        self.clock.unix_nanos()
    }

    /// Adds an entry due at `due`; the innermost lock. The effects remember to tell the task if it has to look earlier.
    pub fn insert(&self, due: u64, timer: Timer, effects: &mut Effects) {
        effects.rearm |= due < self.looks_at.load(Relaxed);
        self.wheel.lock().insert(due, timer);
    }

    /// Adds an entry due in `after` ns. Not under a lock.
    pub fn start(&self, after: u64, timer: Timer) {
        let mut effects = Effects::default();
        self.insert(self.now().saturating_add(after), timer, &mut effects);
        self.wake(&mut effects);
    }

    /// The part of the effects that never waits: wakes consumers, and whoever rings the timers.
    pub fn wake(&self, effects: &mut Effects) {
        for client in effects.wakes.drain(..) {
            client.wake();
        }
        if std::mem::take(&mut effects.rearm) {
            self.rearm();
        }
    }

    /// Takes out the entries that the predicate selects, with their due times. Walks all entries.
    pub fn extract(&self, selected: impl Fn(&Timer) -> bool) -> Vec<(u64, Timer)> {
        let mut out = Vec::new();
        self.wheel
            .lock()
            .extract(selected, &mut |due, timer| out.push((due, timer)));
        out
    }

    /// When the next entry is due, in ns.
    #[cfg(test)]
    pub fn next_due(&self) -> Option<u64> {
        self.wheel.lock().next_due()
    }

    /// When the last deferred message of each channel is due, in ns. Walks all entries.
    #[must_use]
    pub fn last_due(&self) -> FxHashMap<(TopicName, ChannelName), u64> {
        let mut last = FxHashMap::default();
        self.wheel.lock().for_each(&mut |due, timer| {
            if let Timer::Message(waiting) = timer
                && waiting.why == Why::Deferred
                && waiting.is_current()
            {
                let entry = last.entry(waiting.holder.names()).or_insert(due);
                *entry = due.max(*entry);
            }
        });
        last
    }

    /// Lets the task look again.
    pub fn rearm(&self) {
        self.changed.notify_one();
    }

    /// Waits until something is due and takes it out. Cancel safe: nothing is taken out before it returns.
    pub async fn due(&self) -> Vec<Timer> {
        loop {
            let (mut due, now) = (Vec::new(), self.now());
            let next = {
                let mut wheel = self.wheel.lock();
                wheel.expire(now, &mut |at, timer| {
                    if let Timer::Message(Waiting {
                        why: Why::Deferred, ..
                    }) = timer
                    {
                        self.counters.timer_lateness.observe(now.saturating_sub(at), 1);
                    }
                    due.push(timer);
                });
                let next = wheel.next_due();
                self.looks_at.store(next.unwrap_or(u64::MAX), Relaxed);
                next
            };
            if !due.is_empty() {
                return due;
            }
            let changed = self.changed.notified();
            match next {
                Some(at) => {
                    let wait = Duration::from_nanos(at.saturating_sub(now));
                    // Either way the wheel is looked at again.
                    let _ = tokio::time::timeout(wait, changed).await;
                }
                None => changed.await,
            }
        }
    }
}
