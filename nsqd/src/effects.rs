//! What is left to do when the locks are released: consumers to wake, runs to write, queues to serve.
//!
//! Topics and channels change under short locks and leave their effects here; whoever called them has the engine settle the
//! effects afterwards, outside every lock. So no lock is held over a system call, and no caller can forget who is waiting.

use crate::block::Run;
use crate::client::Client;
use crate::queue::Backlog;
use crate::queue::inside::Correction;
use std::pin::Pin;
use std::sync::Arc;

/// A topic or channel, as those who serve its files see it.
pub trait QueueOwner: Send + Sync {
    /// Its files. `None` for an ephemeral queue.
    fn backlog(&self) -> Option<&Arc<Backlog>>;
    /// Whether it wants to read ahead. Takes the owner's lock.
    fn wants_more(&self) -> bool;
    /// Takes what was read ahead. Takes the owner's lock; the file lock is held.
    fn read_ahead(&self, run: Run, effects: &mut Effects);
    /// Hears that the files have grown by a run that was spilled.
    fn spilled(&self, effects: &mut Effects);
    /// Hears that the messages of a spill could not be written and are not in the queue. Whether that is a failure:
    /// a channel that is being deleted has no use for them.
    fn spill_failed(&self, run: &Run) -> bool;
    /// Takes messages of a spill back that could not be written and must not be lost: they stay in memory, above its bound.
    fn keep(&self, run: Run, effects: &mut Effects);
    /// Hears that the files hold other messages than was thought: some were damaged. The file lock is held.
    fn corrected(&self, by: Correction);
}

/// A run that did not fit into memory and is to be written to its queue's files.
#[derive(Clone)]
pub struct Spill {
    /// Whose queue.
    pub owner: Arc<dyn QueueOwner>,
    /// What to write.
    pub run: Run,
    /// Whether somebody relies on these messages already: they were accepted once, and are kept if they cannot be written.
    /// The others are refused then.
    pub accepted: bool,
}

/// Work that takes its own time, in a task of its own.
pub type Later = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Collected under locks, settled without.
#[derive(Default)]
pub struct Effects {
    /// Consumers that have something to look at.
    pub wakes: Vec<Arc<Client>>,
    /// Runs for the disk. What they were the answer to waits for them.
    pub spills: Vec<Spill>,
    /// Queues whose files have something to read, to mark as read or to sync.
    pub serve: Vec<Arc<dyn QueueOwner>>,
    /// What nobody waits for.
    pub later: Vec<Later>,
    /// Whether a timer was set that may be the next to ring.
    pub rearm: bool,
}

impl Effects {
    /// Whether nothing has to be waited for.
    #[must_use]
    pub fn is_immediate(&self) -> bool {
        self.spills.is_empty() && self.serve.is_empty() && self.later.is_empty()
    }
}
