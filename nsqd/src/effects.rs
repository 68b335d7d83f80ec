//! What is left to do when the locks are released: consumers to wake, runs to write, queues to serve.
//!
//! Topics and channels change under short locks and return their effects here; whoever called them settles the effects
//! afterwards, outside every lock. So no lock is held over a system call, and no caller can forget who is waiting.

use crate::block::Run;
use crate::client::Client;
use crate::engine::Engine;
use crate::queue::QueueOwner;
use crate::timers::Timers;
use crate::topic::Topic;
use std::io;
use std::sync::Arc;

/// A run that did not fit into memory and is to be written to its queue's files.
pub struct Spill {
    /// Whose queue.
    pub owner: Arc<dyn QueueOwner>,
    /// What to write.
    pub run: Run,
}

/// Collected under locks, settled without.
#[derive(Default)]
pub struct Effects {
    /// Consumers that have something to look at.
    pub wakes: Vec<Arc<Client>>,
    /// Runs for the disk. What they were the answer to waits for them.
    pub spills: Vec<Spill>,
    /// Queues whose files have something to read, to mark as read or to sync.
    pub serve: Vec<Arc<dyn QueueOwner>>,
    /// Topics that could flow but keep messages; each counts as catching up already.
    pub catch_up: Vec<Arc<Topic>>,
    /// Whether a timer was set that may be the next to ring.
    pub rearm: bool,
}

impl Effects {
    /// Whether nothing has to be waited for.
    #[must_use]
    pub fn is_immediate(&self) -> bool {
        self.spills.is_empty() && self.serve.is_empty() && self.catch_up.is_empty()
    }

    /// The part that never waits: wakes the consumers and the timer.
    pub fn wake(&mut self, timers: &Timers) {
        for client in self.wakes.drain(..) {
            client.wake();
        }
        if std::mem::take(&mut self.rearm) {
            timers.rearm();
        }
    }

    /// Does everything. Every spill is tried, also after one failed.
    ///
    /// # Errors
    /// The first failure to write: that queue does not have its run.
    pub async fn settle(&mut self, engine: &Arc<Engine>) -> io::Result<()> {
        let mut outcome = Ok(());
        self.wake(&engine.timers);
        while !self.is_immediate() {
            for Spill { owner, run } in std::mem::take(&mut self.spills) {
                let written = engine.workers.append(&owner, run, self).await;
                outcome = outcome.and(written);
            }
            for owner in self.serve.drain(..) {
                engine.workers.serve(owner).await;
            }
            for topic in self.catch_up.drain(..) {
                engine.tasks.spawn(topic.catch_up(engine.clone()));
            }
            self.wake(&engine.timers);
        }
        outcome
    }
}
