//! The queue of a topic or channel: memory first, files when memory is full.
//!
//! [`MessageQueue`] is the part under its owner's lock and pure; [`backlog`] is the files behind it. Only this module knows
//! nsq-storage.

pub mod backlog;
mod folder;
pub mod inside;

pub use backlog::Backlog;
pub use folder::Folder;

use crate::block::Run;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of bodies to read ahead from the files at a time.
pub const READ_AHEAD_BYTES: usize = 256 * 1024;

/// How many messages left a queue, and from where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Messages from memory.
    pub memory: usize,
    /// Messages that stood in the files until now.
    pub disk: usize,
}

impl Taken {
    /// All of them.
    #[must_use]
    pub const fn count(self) -> usize {
        self.memory + self.disk
    }
}

/// Messages waiting to be taken. What is read ahead from the files still counts as being there, until it is taken.
#[derive(Debug)]
pub struct MessageQueue {
    memory: VecDeque<Run>,
    memory_count: usize,
    memory_limit: usize,
    ahead: VecDeque<Run>,
    ahead_count: usize,
    ahead_bytes: usize,
    takes: u8,
    /// Messages of the files that are held out of it; nothing else is taken from the files meanwhile.
    held: usize,
    backlog: Option<Arc<Backlog>>,
}

impl MessageQueue {
    /// An empty memory of at most `memory_limit` messages before the files, or before nothing for an ephemeral queue.
    #[must_use]
    pub const fn new(memory_limit: usize, backlog: Option<Arc<Backlog>>) -> Self {
        Self {
            memory: VecDeque::new(),
            memory_count: 0,
            memory_limit,
            ahead: VecDeque::new(),
            ahead_count: 0,
            ahead_bytes: 0,
            takes: 0,
            held: 0,
            backlog,
        }
    }

    /// The files, if it has any.
    #[must_use]
    pub const fn backlog(&self) -> Option<&Arc<Backlog>> {
        self.backlog.as_ref()
    }

    /// Puts a run at the end of memory and returns what did not fit: for the files, or lost if there are none.
    /// `extra` messages more than the limit fit; an ephemeral queue without memory hands over to that many waiting consumers.
    pub fn push(&mut self, mut run: Run, extra: usize) -> Option<Run> {
        let room = (self.memory_limit + extra).saturating_sub(self.memory_count);
        let front = run.split_front(room);
        if !front.is_empty() {
            self.memory_count += front.len();
            self.memory.push_back(front);
        }
        (!run.is_empty()).then_some(run)
    }

    /// Puts a run that its files did not take at the end of memory, above the limit.
    pub fn keep(&mut self, run: Run) {
        self.memory_count += run.len();
        self.memory.push_back(run);
    }

    /// Whether more is in memory than the limit, after [`Self::keep`].
    #[must_use]
    pub fn is_over_full(&self) -> bool {
        self.backlog.is_some() && self.memory_count > self.memory_limit
    }

    /// Takes up to `max_messages` with up to `max_bytes` of bodies (at least one message) from the front: memory first, but
    /// every fourth time what was read ahead, so that a backlog does not starve under a steady load.
    pub fn take(&mut self, max_messages: usize, max_bytes: usize, out: &mut Vec<Run>) -> Taken {
        self.takes = self.takes.wrapping_add(1);
        let mut left = Left {
            messages: max_messages,
            bytes: max_bytes,
            any: false,
        };
        let mut taken = Taken::default();
        if self.takes.is_multiple_of(4) {
            taken.disk = self.take_ahead(&mut left, out);
            taken.memory = take_runs(&mut self.memory, &mut left, out).0;
        } else {
            taken.memory = take_runs(&mut self.memory, &mut left, out).0;
            taken.disk = self.take_ahead(&mut left, out);
        }
        self.memory_count -= taken.memory;
        if let Some(backlog) = &self.backlog
            && taken.disk > 0
        {
            backlog.note_taken(taken.disk);
        }
        taken
    }

    /// Takes from the front like [`Self::take`], but what came from the files stays in them until [`Self::let_go`].
    pub fn hold(&mut self, max_messages: usize, max_bytes: usize, out: &mut Vec<Run>) -> Taken {
        let mut left = Left {
            messages: max_messages,
            bytes: max_bytes,
            any: false,
        };
        let memory = take_runs(&mut self.memory, &mut left, out).0;
        self.memory_count -= memory;
        let disk = self.take_ahead(&mut left, out);
        self.held += disk;
        Taken { memory, disk }
    }

    /// What was held has left for good. Not after the queue was emptied, here and below.
    pub fn let_go(&mut self, taken: Taken) {
        self.held -= taken.disk;
        if let Some(backlog) = &self.backlog
            && taken.disk > 0
        {
            backlog.note_taken(taken.disk);
        }
    }

    /// What was held is at the front again.
    pub fn give_back(&mut self, runs: impl IntoIterator<Item = Run>, taken: Taken) {
        let (mut memory, mut ahead) = (Vec::new(), Vec::new());
        let mut left = taken.memory;
        for mut run in runs {
            let front = run.split_front(left);
            left -= front.len();
            memory.extend((!front.is_empty()).then_some(front));
            ahead.extend((!run.is_empty()).then_some(run));
        }
        self.memory_count += taken.memory;
        memory
            .into_iter()
            .rev()
            .for_each(|run| self.memory.push_front(run));
        self.held -= taken.disk;
        self.ahead_count += taken.disk;
        for run in ahead.into_iter().rev() {
            self.ahead_bytes += run.bytes();
            self.ahead.push_front(run);
        }
    }

    /// Whether messages of the files are held out of it.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.held > 0
    }

    fn take_ahead(&mut self, left: &mut Left, out: &mut Vec<Run>) -> usize {
        if self.held > 0 {
            return 0;
        }
        let (count, bytes) = take_runs(&mut self.ahead, left, out);
        self.ahead_count -= count;
        self.ahead_bytes = if self.ahead_count == 0 {
            0
        } else {
            self.ahead_bytes.saturating_sub(bytes)
        };
        count
    }

    /// Adds what was read from the files.
    pub fn read_ahead(&mut self, run: Run) {
        self.ahead_count += run.len();
        self.ahead_bytes += run.bytes();
        self.ahead.push_back(run);
    }

    /// Whether the files hold something to be read ahead and little is left of what was.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        self.ahead_bytes < READ_AHEAD_BYTES / 4
            && self.backend_depth() > (self.ahead_count + self.held) as u64
    }

    /// Whether something can be taken now.
    #[must_use]
    pub const fn has_ready(&self) -> bool {
        self.ready() > 0
    }

    /// Messages that can be taken now.
    #[must_use]
    pub const fn ready(&self) -> usize {
        let ahead = if self.held > 0 { 0 } else { self.ahead_count };
        self.memory_count + ahead
    }

    /// Messages in all.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.memory_count as u64 + self.backend_depth()
    }

    /// Messages in the files.
    #[must_use]
    pub fn backend_depth(&self) -> u64 {
        self.backlog.as_ref().map_or(0, |b| b.depth())
    }

    /// Bytes of the bodies of the messages in the files. Waits for the file lock.
    #[must_use]
    pub fn backend_bytes(&self) -> u64 {
        self.backlog.as_ref().map_or(0, |b| b.lock().body_bytes())
    }

    /// When the oldest message that stands at a front was published, in Unix ns: of memory, unless it came back, and of what was
    /// read ahead, where `counts` says which are looked at.
    #[must_use]
    pub fn oldest(&self, counts: impl Fn(u64) -> bool) -> Option<i64> {
        let memory = self.memory.front().filter(|run| !run.is_returned());
        let memory = memory.and_then(|run| run.messages().next());
        let mut ahead = self.ahead.iter().flat_map(Run::messages);
        let ahead = ahead.find(|message| counts(message.head.id));
        let fronts = memory.into_iter().chain(ahead);
        // After a restart nothing was read ahead yet.
        let first = self.backlog.as_ref().and_then(|backlog| backlog.first());
        let first = first.filter(|head| counts(head.id));
        let heads = fronts.map(|message| message.head).chain(first);
        heads.map(|head| head.timestamp).min()
    }

    /// Forgets memory and what was read ahead; the files are emptied by the caller, who holds their lock.
    pub fn clear(&mut self) {
        self.memory = VecDeque::new();
        self.ahead = VecDeque::new();
        (self.memory_count, self.ahead_count, self.ahead_bytes) = (0, 0, 0);
        self.held = 0;
    }

    /// What is in memory.
    pub fn memory(&self) -> impl Iterator<Item = &Run> {
        self.memory.iter()
    }

    /// Takes the whole memory out, to be written to the files at a clean stop.
    pub fn take_memory(&mut self) -> VecDeque<Run> {
        self.memory_count = 0;
        std::mem::take(&mut self.memory)
    }
}

/// What a take may still take, and whether it has taken anything.
struct Left {
    messages: usize,
    bytes: usize,
    any: bool,
}

/// Moves runs from the front while they fit; returns messages and bytes moved.
fn take_runs(queue: &mut VecDeque<Run>, left: &mut Left, out: &mut Vec<Run>) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    while left.messages > 0
        && left.bytes > 0
        && let Some(front) = queue.front_mut()
    {
        let n = front.fitting(left.bytes).min(left.messages);
        let first = front.messages().next().map_or(0, |m| m.body.len());
        if left.any && first > left.bytes {
            // Only the first message of a take may be larger than the bound.
            break;
        }
        let run = if n < front.len() {
            front.split_front(n)
        } else if let Some(whole) = queue.pop_front() {
            whole
        } else {
            break;
        };
        let size = run.bytes();
        *left = Left {
            messages: left.messages - run.len(),
            bytes: left.bytes.saturating_sub(size),
            any: true,
        };
        count += run.len();
        bytes += size;
        out.push(run);
    }
    (count, bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::block::BatchBuilder;
    use crate::message_id::IdFactory;

    fn run(n: usize, size: usize) -> Run {
        let mut bodies = BatchBuilder::default();
        (0..n).for_each(|_| bodies.push(&vec![7; size]));
        let ids = IdFactory::new(0, 0).next(bodies.len(), 1).unwrap();
        Run::whole(Arc::new(bodies.publish(ids, 0)))
    }

    #[test]
    fn memory_takes_up_to_its_limit_and_returns_the_rest() {
        let mut queue = MessageQueue::new(5, None);
        assert!(queue.push(run(3, 1), 0).is_none());
        assert_eq!(queue.push(run(9, 1), 0).map(|r| r.len()), Some(7));
        assert_eq!(queue.push(run(1, 1), 0).map(|r| r.len()), Some(1));
        assert_eq!((queue.depth(), queue.ready()), (5, 5));
    }

    #[test]
    fn a_take_is_bounded_by_messages_and_by_bytes() {
        let mut queue = MessageQueue::new(100, None);
        queue.push(run(10, 30), 0);
        let mut out = Vec::new();
        assert_eq!(queue.take(4, 1000, &mut out).count(), 4);
        assert_eq!(queue.take(100, 70, &mut out).count(), 2);
        assert_eq!(queue.take(100, 1, &mut out).count(), 1, "at least one");
        assert_eq!((queue.ready(), out.len()), (3, 3));
    }

    #[test]
    fn what_was_read_ahead_has_its_turn_under_a_steady_load() {
        let mut queue = MessageQueue::new(1000, None);
        queue.push(run(100, 1), 0);
        queue.read_ahead(run(10, 1));
        let mut out = Vec::new();
        let disk: usize = (0..8).map(|_| queue.take(1, 100, &mut out).disk).sum();
        assert_eq!(disk, 2);
    }
}
