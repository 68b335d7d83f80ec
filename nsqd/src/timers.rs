//! The one timer task: deferred messages, messages of consumers that are gone, syncs of files.

use crate::block::Run;
use crate::channel::Channel;
use crate::effects::Effects;
use crate::engine::Engine;
use crate::queue::QueueOwner;
use crate::wheel::{Key, Wheel};
use nsq_protocol::{ChannelName, TopicName};
use nsq_service::clock::Clock;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;

/// What happens when its time has come.
pub enum Timer {
    /// A message goes to the end of its channel's queue, unless the channel was emptied since (another epoch).
    Deferred(Arc<Channel>, u64, Run),
    /// The same for a message whose consumer is gone: it timed out. With its id.
    Orphan(Arc<Channel>, u64, u64, Run),
    /// The files of a queue are synced.
    Sync(Arc<dyn QueueOwner>),
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deferred(..) => "Deferred",
            Self::Orphan(..) => "Orphan",
            Self::Sync(..) => "Sync",
        })
    }
}

/// The wheel and what turns it.
pub struct Timers {
    clock: Arc<dyn Clock>,
    wheel: Mutex<Wheel<Timer>>,
    /// When the task looks next, in ns; what is due before that has to tell it.
    looks_at: AtomicU64,
    changed: Notify,
}

impl Timers {
    /// A wheel without entries.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
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

    /// Adds an entry due at `due`; the innermost lock. The effects remember to tell the task if it has to look earlier.
    pub fn insert(&self, due: u64, timer: Timer, effects: &mut Effects) -> Key {
        effects.rearm |= due < self.looks_at.load(Relaxed);
        self.wheel.lock().insert(due, timer)
    }

    /// Adds an entry due in `after` ns. Not under a lock.
    pub fn start(&self, after: u64, timer: Timer) {
        let mut effects = Effects::default();
        self.insert(self.now().saturating_add(after), timer, &mut effects);
        effects.wake(self);
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
            if let Timer::Deferred(channel, epoch, _) = timer
                && *epoch == channel.epoch()
            {
                let entry = last
                    .entry((channel.topic().clone(), channel.name().clone()))
                    .or_insert(due);
                *entry = due.max(*entry);
            }
        });
        last
    }

    /// Lets the task look again.
    pub fn rearm(&self) {
        self.changed.notify_one();
    }

    /// Turns the wheel for ever; dropped at shutdown, where what is left is taken out with [`Self::extract`].
    pub async fn run(&self, engine: &Arc<Engine>) {
        loop {
            let (mut due, now) = (Vec::new(), self.now());
            let next = {
                let mut wheel = self.wheel.lock();
                wheel.expire(now, &mut |timer| due.push(timer));
                let next = wheel.next_due();
                self.looks_at.store(next.unwrap_or(u64::MAX), Relaxed);
                next
            };
            if !due.is_empty() {
                ring(due, engine).await;
                continue;
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

async fn ring(due: Vec<Timer>, engine: &Arc<Engine>) {
    let mut effects = Effects::default();
    for timer in due {
        match timer {
            Timer::Deferred(channel, epoch, run) => channel.release_deferred(epoch, run, &mut effects),
            Timer::Orphan(channel, epoch, id, run) => channel.release_orphan(epoch, id, run, &mut effects),
            Timer::Sync(owner) => {
                if let Some(backlog) = owner.backlog() {
                    backlog.request_sync();
                    effects.serve.push(owner);
                }
            }
        }
    }
    if let Err(e) = effects.settle(engine).await {
        tracing::error!("failed to put a message back on its queue - {e}");
    }
}
