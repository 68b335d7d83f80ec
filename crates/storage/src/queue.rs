//! One first-in first-out queue of records on disk, in the format of `nsqio/go-diskqueue` 1.1.0.
//!
//! Files of a queue `q`: `q.diskqueue.NNNNNN.dat` hold records, `q.diskqueue.meta.dat` holds three lines of text: the
//! depth, the read position and the write position. A record is a big-endian int32 length and that many bytes. Before
//! a record that would grow a non-empty file beyond `max_bytes_per_file` the writer goes on in the next file.
//!
//! Three positions order the queue: `read` (consumed up to here, durable) <= `ahead` (handed out by [`DiskQueue::read`])
//! <= `write`. Records between `read` and `ahead` are kept as their end positions only.
//!
//! Recovery, beyond what the reference does: records behind a stale meta file are counted at open; the meta file exists
//! before the first record; fully read files are deleted, whoever left them; a data file that stands where a new one
//! has to be created is set aside, not overwritten; the depth is never below the records that can be read.

mod empty;
mod files;
mod open;
mod read;
mod record;
mod sync;
mod warning;
mod write;

pub use warning::{Severity, Warning, WarningKind};

use crate::disk::{Disk, DiskFile};
use files::{Files, Meta, Position};
use read::Reader;
use record::Lengths;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use warning::Warnings;

/// Limits of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// A data file does not grow beyond this, but for a single record that is larger. In bytes.
    pub max_bytes_per_file: u64,
    /// Longest legal record without its length prefix, in bytes, inclusive; at most 2^31 - 1.
    pub max_record: u32,
    /// Shortest legal record without its length prefix, in bytes, inclusive.
    pub min_record: u32,
    /// Records appended and consumed between two automatic syncs; 0 means 1.
    pub sync_every: u64,
}

/// One queue: a directory and a name. Not more than one may be open for the same files.
#[derive(Debug)]
pub struct DiskQueue {
    disk: Arc<dyn Disk>,
    files: Files,
    options: QueueOptions,
    /// Everything before it is consumed.
    read: Position,
    /// Everything before it was handed out.
    ahead: Position,
    /// End of the written records.
    write: Position,
    /// Ends of the records between `read` and `ahead`, oldest first.
    pending: VecDeque<Position>,
    /// Records behind `read`.
    depth: u64,
    /// Readable lengths of the complete files from that of `read` to the one before that of `write`.
    lengths: BTreeMap<u64, u64>,
    /// Files from `read` on whose rest cannot be read.
    bad: BTreeSet<u64>,
    /// Files before `read` that still exist; they go when the meta file names the new position.
    passed: Vec<Passed>,
    reader: Option<Reader>,
    writer: Option<Box<dyn DiskFile>>,
    /// The write file may hold bytes behind `write`, left by a failed append.
    torn: bool,
    /// The write file has unsynced bytes.
    data_dirty: bool,
    /// A former write file whose records nobody has synced since a crash.
    salvaged: Option<u64>,
    /// The directory entry of the write file may not survive a power cut.
    entry_dirty: bool,
    /// The directory has unsynced changes.
    dir_dirty: bool,
    /// Content of the meta file, if known.
    saved: Option<Meta>,
    /// Appends and consumptions since the last sync.
    unsynced: u64,
    warnings: Warnings,
}

/// A file that was read to its end, or as far as possible.
#[derive(Clone, Copy, Debug)]
struct Passed {
    file: u64,
    bad: bool,
}

impl DiskQueue {
    /// Records that are not consumed. 0 exactly when there is nothing to read; after damage to the files it can be too
    /// high until the reader has passed it.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.depth
    }

    /// Whether it is empty and the files, if there are any, say so: then it may be dropped and opened again as it is.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let now = Meta {
            depth: 0,
            read: self.read,
            write: self.write,
        };
        let never_written = self.saved.is_none() && self.write == Position::default();
        self.depth == 0 && !self.needs_sync() && !self.torn && (never_written || self.saved == Some(now))
    }

    /// Records handed out by [`Self::read`] and not consumed.
    #[must_use]
    pub fn read_ahead(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of the records that are not consumed, length prefixes included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        if self.read.file == self.write.file {
            return self.write.offset.saturating_sub(self.read.offset);
        }
        let complete = self.lengths.range(self.read.file..self.write.file);
        let complete = complete.fold(0_u64, |sum, (_, length)| sum.saturating_add(*length));
        complete
            .saturating_sub(self.read.offset)
            .saturating_add(self.write.offset)
    }

    /// Bytes of the data files, consumed records of the oldest one included. Walks the files.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        let complete = self.lengths.values();
        complete.fold(self.write.offset, |sum, length| sum.saturating_add(*length))
    }

    /// What happened since the last call, oldest first; a bounded number.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        self.warnings.take(&self.files.name)
    }

    fn record_lengths(&self) -> Lengths {
        Lengths {
            min: self.options.min_record,
            max: self.options.max_record.min(i32::MAX.unsigned_abs()),
        }
    }

    /// Moves the writer to a new file; positions at the old end follow it.
    fn leave_write_file(&mut self) {
        let (end, next) = (self.write, self.write.next_file());
        self.lengths.insert(end.file, end.offset);
        if let Some(last) = self.pending.back_mut().filter(|last| **last == end) {
            *last = next;
        }
        for position in [&mut self.read, &mut self.ahead] {
            if *position == end {
                *position = next;
            }
        }
        self.start_write_file(next);
    }

    /// Points the writer to a file that is not open yet.
    fn start_write_file(&mut self, position: Position) {
        self.write = position;
        self.writer = None;
        self.reader = None;
        self.torn = false;
        self.data_dirty = false;
    }

    /// Notes that `read` moved from one file to a later one.
    fn pass(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        // Files without a record the reader could take lie in between.
        let between = self
            .lengths
            .range(from..to)
            .map(|(file, _)| *file)
            .filter(|file| *file != from);
        for file in std::iter::once(from).chain(between) {
            let bad = self.bad.remove(&file);
            self.passed.push(Passed { file, bad });
        }
        self.lengths = self.lengths.split_off(&to);
    }

    /// Numbers of files that may exist from `first` to before `end`; asks the directory if that is a wide range.
    fn files_between(&self, first: u64, end: u64) -> std::io::Result<Vec<u64>> {
        /// Checking so many files one by one is cheaper than listing a directory with those of all queues.
        const MAX_GUESSED: u64 = 64;
        if end.saturating_sub(first) <= MAX_GUESSED {
            return Ok((first..end).collect());
        }
        let names = self.disk.list(&self.files.dir)?;
        let numbers = names.iter().filter_map(|name| self.files.number(name));
        let mut numbers: Vec<u64> = numbers.filter(|number| (first..end).contains(number)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}
