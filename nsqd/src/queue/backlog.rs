//! The files behind a queue.
//!
//! The file lock ([`Backlog::lock`]) is taken with no other lock held, and an owner's lock may be taken under it: so what
//! happens to files and what happens to the owner's read-ahead are one step.

use super::folder::{Folder, Handle, gone, log};
use super::inside::Correction;
use crate::block::{BatchBuilder, Block, Head, Run};
use crate::counters::DiskOperation;
use nsq_protocol::message::{HEADER_BYTES, Message};
use nsq_storage::DiskQueue;
use parking_lot::{Mutex, MutexGuard};
use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Messages read ahead at a time, whatever their size.
const READ_AHEAD_MESSAGES: usize = 4096;
/// Bytes that are encoded before they are written at a clean stop.
const CLOSE_BUFFER_BYTES: usize = 1024 * 1024;

/// The files of one queue and what is to be done with them.
#[derive(Debug)]
pub struct Backlog {
    name: Box<str>,
    folder: Arc<Folder>,
    /// Which disk worker serves it.
    pub(crate) worker: usize,
    files: Mutex<Files>,
    /// Messages in the files that nobody has taken.
    depth: AtomicU64,
    /// Messages taken by consumers that the files still count as unread.
    taken: AtomicU64,
    /// Whether a worker is asked to serve it already.
    pub(crate) scheduled: AtomicBool,
    /// Whether the files are to be synced at the next service.
    pub(crate) sync_requested: AtomicBool,
    /// Whether a timer for the next sync runs.
    pub(crate) sync_armed: AtomicBool,
    /// The first message, as long as nobody has read any.
    first: Mutex<Option<Box<Head>>>,
    /// Bytes of the data files as they were last looked at.
    stored: AtomicU64,
    /// Whether the last write took long: then connections leave writing to the workers.
    pub(crate) slow: AtomicBool,
}

/// What the file lock guards.
#[derive(Debug)]
pub struct Files {
    queue: Handle,
    /// Reads and writes since the last sync.
    unsynced: u64,
    records: Vec<u8>,
    ends: Vec<usize>,
}

impl Backlog {
    /// The files of queue `name`. None are created before the first write.
    ///
    /// # Errors
    /// Those of the file system; corrupt files are no error, they are reported to the log.
    pub fn open(folder: Arc<Folder>, name: &str) -> io::Result<Arc<Self>> {
        let mut files = Handle::open(&folder, name)?;
        let queue = files.opened(&folder, name)?;
        let (depth, stored) = (queue.depth(), queue.stored_bytes());
        let (needs_sync, first) = (queue.needs_sync(), first_of(queue));
        files.rest();
        Ok(Arc::new(Self {
            worker: rustc_hash::FxBuildHasher.hash_one(name) as usize,
            depth: AtomicU64::new(depth),
            files: Mutex::new(Files {
                queue: files,
                unsynced: 0,
                records: Vec::new(),
                ends: Vec::new(),
            }),
            name: name.into(),
            folder,
            first: Mutex::new(first.map(Box::new)),
            stored: AtomicU64::new(stored),
            taken: AtomicU64::new(0),
            scheduled: AtomicBool::new(false),
            // What was salvaged after a crash has never been synced.
            sync_requested: AtomicBool::new(needs_sync),
            sync_armed: AtomicBool::new(false),
            slow: AtomicBool::new(false),
        }))
    }

    /// Name of the queue, as its files have it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Messages in the files that nobody has taken.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.depth.load(Relaxed)
    }

    /// The first message of the files, as long as nobody has read any; then it stands in the read-ahead.
    #[must_use]
    pub fn first(&self) -> Option<Head> {
        self.first.lock().as_deref().copied()
    }

    /// Bytes of the data files: as they are, or as they were last looked at while somebody works on them.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        if let Some(files) = self.files.try_lock() {
            if let Some(queue) = files.queue.as_open() {
                self.stored.store(queue.stored_bytes(), Relaxed);
            } else if files.queue.is_gone() {
                self.stored.store(0, Relaxed);
            }
        }
        self.stored.load(Relaxed)
    }

    /// Counts messages that left the read-ahead. Called under the owner's lock.
    pub(super) fn note_taken(&self, n: usize) {
        self.depth.fetch_sub(n as u64, Relaxed);
        self.taken.fetch_add(n as u64, Relaxed);
    }

    /// Whether the files are to hear of messages taken.
    #[must_use]
    pub fn has_taken(&self) -> bool {
        self.taken.load(Relaxed) > 0
    }

    /// Has the files synced at their next service; the timer that asks is spent.
    pub fn request_sync(&self) {
        self.sync_armed.store(false, Relaxed);
        self.sync_requested.store(true, Relaxed);
    }

    /// The file lock, waiting for it. Only for the disk workers: it may be held over slow operations.
    pub fn lock(&self) -> LockedBacklog<'_> {
        LockedBacklog {
            backlog: self,
            files: self.files.lock(),
        }
    }

    /// The file lock, if it is free.
    #[must_use]
    pub fn try_lock(&self) -> Option<LockedBacklog<'_>> {
        Some(LockedBacklog {
            backlog: self,
            files: self.files.try_lock()?,
        })
    }
}

/// A backlog whose file lock is held.
pub struct LockedBacklog<'a> {
    backlog: &'a Backlog,
    files: MutexGuard<'a, Files>,
}

impl LockedBacklog<'_> {
    /// Writes a run behind what is there, in one write for each file it touches.
    ///
    /// # Errors
    /// Those of the file system: then nothing of the run counts as written.
    pub fn append(&mut self, run: &Run) -> io::Result<()> {
        self.append_all(std::iter::once(run))
    }

    fn append_all<'r>(&mut self, runs: impl Iterator<Item = &'r Run>) -> io::Result<()> {
        let Files {
            queue,
            unsynced,
            records,
            ends,
        } = &mut *self.files;
        let Backlog { folder, name, .. } = self.backlog;
        let counters = &folder.counters;
        records.clear();
        ends.clear();
        for message in runs.flat_map(Run::messages) {
            message.encode_record(records);
            ends.push(records.len());
        }
        if queue.is_gone() {
            return Err(gone());
        }
        let appended = queue.opened(folder, name).and_then(|queue| {
            let appended = queue.append(records, ends);
            log(&queue.take_warnings());
            appended
        });
        counters.note(DiskOperation::Write, &appended);
        appended?;
        counters.written_bytes.fetch_add(records.len() as u64, Relaxed);
        *unsynced += ends.len() as u64;
        self.backlog.depth.fetch_add(ends.len() as u64, Relaxed);
        records.shrink_to(CLOSE_BUFFER_BYTES);
        Ok(())
    }

    /// Marks as read what consumers took.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn consume_taken(&mut self) -> io::Result<()> {
        let n = self.backlog.taken.swap(0, Relaxed);
        let Files { queue, unsynced, .. } = &mut *self.files;
        let Some(queue) = queue.as_open_mut() else {
            return Ok(());
        };
        if n == 0 {
            return Ok(());
        }
        *unsynced += n;
        let consumed = queue.consume(usize::try_from(n).unwrap_or(usize::MAX));
        log(&queue.take_warnings());
        consumed
    }

    /// Reads the next messages; `None` when the files have no more. `correct` hears of messages that were lost with a damaged
    /// file, or found beyond the count.
    ///
    /// # Errors
    /// Those of the file system. Records that cannot be read are set aside with their file and reported to the log.
    pub fn read(&mut self, correct: impl FnOnce(Correction)) -> io::Result<Option<Run>> {
        let Files {
            queue, records, ends, ..
        } = &mut *self.files;
        let Some(queue) = queue.as_open_mut() else {
            return Ok(None);
        };
        *self.backlog.first.lock() = None;
        records.clear();
        ends.clear();
        let (before, bytes_before) = (queue.depth(), body_bytes(queue));
        let read = queue.read(super::READ_AHEAD_BYTES, READ_AHEAD_MESSAGES, records, ends);
        log(&queue.take_warnings());
        // What was lost with a bad file is no longer there to be waited for; what was found beyond the count is.
        self.backlog
            .depth
            .fetch_add(queue.depth().wrapping_sub(before), Relaxed);
        if queue.depth() != before {
            correct(Correction {
                messages: queue.depth().wrapping_sub(before).cast_signed(),
                bytes: body_bytes(queue).wrapping_sub(bytes_before).cast_signed(),
            });
        }
        let counters = &self.backlog.folder.counters;
        counters.note(DiskOperation::Read, &read);
        read?;
        counters.read_bytes.fetch_add(records.len() as u64, Relaxed);
        Ok(block_of(records, ends).map(|block| Run::whole(Arc::new(block))))
    }

    /// Bytes of the bodies of the messages in the files.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.files.queue.as_open().map_or(0, body_bytes)
    }

    /// Whether there are files: after [`Self::delete`] and [`Self::close`] a write fails for no fault of the disk.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.files.queue.is_gone()
    }

    /// Reads and writes since the last sync.
    #[must_use]
    pub fn unsynced(&self) -> u64 {
        self.files.unsynced
    }

    /// Makes everything so far survive a power cut.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn sync(&mut self) -> io::Result<()> {
        let Files { queue, unsynced, .. } = &mut *self.files;
        let Some(queue) = queue.as_open_mut() else {
            return Ok(());
        };
        let counters = &self.backlog.folder.counters;
        let began = counters.clock.monotonic();
        let synced = queue.sync();
        counters.note(DiskOperation::Sync, &synced);
        synced?;
        let took = counters.clock.monotonic().saturating_sub(began);
        counters
            .sync_times
            .observe(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), 1);
        *unsynced = 0;
        Ok(())
    }

    /// Discards every message. The caller forgets the read-ahead under its own lock, while it holds this one.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn empty(&mut self) -> io::Result<()> {
        *self.backlog.first.lock() = None;
        self.backlog.taken.store(0, Relaxed);
        self.backlog.depth.store(0, Relaxed);
        let Backlog { folder, name, .. } = self.backlog;
        if self.files.queue.is_gone() {
            return Ok(());
        }
        self.files.queue.opened(folder, name)?.empty()
    }

    /// Removes the files. Writes fail from now on.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn delete(&mut self) -> io::Result<()> {
        *self.backlog.first.lock() = None;
        self.backlog.taken.store(0, Relaxed);
        self.backlog.depth.store(0, Relaxed);
        let Backlog { folder, name, .. } = self.backlog;
        let queue = self.files.queue.take(folder, name)?;
        queue.map_or(Ok(()), DiskQueue::delete)
    }

    /// Writes what is left in memory and closes the files. Writes fail from now on.
    ///
    /// # Errors
    /// Those of the file system; the files are closed all the same.
    pub fn close(&mut self, rest: impl IntoIterator<Item = Run>) -> io::Result<()> {
        let mut outcome = self.consume_taken();
        let (mut pending, mut bytes) = (Vec::new(), 0);
        for run in rest {
            bytes += run
                .messages()
                .map(|m| m.body.len() + HEADER_BYTES + 4)
                .sum::<usize>();
            pending.push(run);
            if bytes >= CLOSE_BUFFER_BYTES {
                outcome = outcome.and(self.append_all(pending.iter()));
                pending.clear();
                bytes = 0;
            }
        }
        if !pending.is_empty() {
            outcome = outcome.and(self.append_all(pending.iter()));
        }
        let Backlog { folder, name, .. } = self.backlog;
        let queue = self.files.queue.take(folder, name);
        let closed = queue.and_then(|queue| queue.map_or(Ok(()), DiskQueue::close));
        outcome.and(closed)
    }
}

/// A look at the first message, which stays where it is. What cannot be read is told when it is read.
fn first_of(queue: &mut DiskQueue) -> Option<Head> {
    if queue.depth() == 0 {
        return None;
    }
    let (mut records, mut ends) = (Vec::new(), Vec::new());
    let read = queue.read(1, 1, &mut records, &mut ends);
    queue.rewind();
    read.ok()?;
    block_of(&records, &ends).map(|block| block.head(0))
}

fn body_bytes(queue: &DiskQueue) -> u64 {
    let around = (HEADER_BYTES + 4) as u64;
    queue.bytes().saturating_sub(queue.depth().saturating_mul(around))
}

/// The block of records as they stand in a file: `ends` says where each one ends, its length field included.
fn block_of(records: &[u8], ends: &[usize]) -> Option<Block> {
    let (mut bodies, mut heads, mut start) = (BatchBuilder::default(), Vec::with_capacity(ends.len()), 0);
    bodies.reserve(records.len());
    for &end in ends {
        let record = records
            .get(start..end)
            .and_then(|r| r.get(4..))
            .and_then(Message::decode);
        start = end;
        // A record without a body cannot be published, so it cannot come from here; it is passed over.
        if let Some(message) = record.filter(|m| !m.body.is_empty()) {
            // An id that no nsqd issued still names one message: any number that stays the same does.
            let id = message
                .id
                .to_u64()
                .unwrap_or_else(|| rustc_hash::FxBuildHasher.hash_one(message.id));
            heads.push(Head {
                id,
                timestamp: message.timestamp,
                attempts: message.attempts,
            });
            bodies.push(message.body);
        }
    }
    (!heads.is_empty()).then(|| Block::with_heads(&mut bodies, heads))
}
