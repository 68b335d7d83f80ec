//! Opening a queue: what a meta file and the files around it mean.

use super::files::{Files, MAX_META_BYTES, Meta, Position};
use super::read::count_records;
use super::warning::{Warning, WarningKind, Warnings};
use super::{DiskQueue, Passed, QueueOptions};
use crate::disk::Disk;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;

/// Files that earlier crashes may have left before the read file; more are not looked for in one start.
const MAX_LEFTOVERS: usize = 1024;

impl DiskQueue {
    /// Opens the queue `name` in `dir`, or an empty one if it has no meta file. Changes nothing on disk.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is empty or has a path separator or NUL; those of the disk. Damage to the files
    /// is no error but a [`Warning`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        name: &str,
        options: QueueOptions,
    ) -> Result<(Self, Vec<Warning>)> {
        let mut queue = Self {
            disk,
            files: Files::new(dir, name)?,
            options,
            read: Position::default(),
            ahead: Position::default(),
            write: Position::default(),
            pending: VecDeque::new(),
            depth: 0,
            lengths: BTreeMap::new(),
            bad: BTreeSet::new(),
            passed: Vec::new(),
            reader: None,
            writer: None,
            torn: false,
            data_dirty: false,
            salvaged: None,
            entry_dirty: false,
            dir_dirty: true,
            saved: None,
            unsynced: 0,
            warnings: Warnings::default(),
        };
        match queue.disk.read_file(&queue.files.meta(), MAX_META_BYTES) {
            Ok(text) => match Meta::parse(&text) {
                Some(meta) => queue.recover(meta)?,
                None => queue.warnings.push(WarningKind::MetaUnreadable),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                queue.warnings.push(WarningKind::MetaUnreadable);
            }
            Err(error) => return Err(error),
        }
        let warnings = queue.take_warnings();
        Ok((queue, warnings))
    }

    fn recover(&mut self, meta: Meta) -> Result<()> {
        self.saved = Some(meta);
        self.read = meta.read;
        self.write = meta.write;
        let counted = self.recover_write_file()?;
        if self.read > self.write {
            self.recover_crossed();
            return Ok(());
        }
        self.ahead = self.read;
        self.lengths = self.lengths.split_off(&self.read.file);
        let recorded = meta.depth.max(0).unsigned_abs();
        self.depth = recorded
            .saturating_add(counted)
            .saturating_sub(meta.depth.min(0).unsigned_abs());
        for file in self.files_between(self.read.file, self.write.file)? {
            if let Some(length) = self.disk.len(&self.files.data(file))? {
                // What was found out about the former write file stays.
                self.lengths.entry(file).or_insert(length);
            }
        }
        self.find_leftovers()?;
        self.settle();
        Ok(())
    }

    /// Compares the write file with the meta file; returns how many records it has beyond the meta file's knowledge.
    fn recover_write_file(&mut self) -> Result<u64> {
        let Position {
            file,
            offset: position,
        } = self.write;
        let next = self.write.next_file();
        match self.disk.len(&self.files.data(file))? {
            Some(length) if length == position => Ok(0),
            Some(length) if length > position => {
                let handle = self.disk.open_read(&self.files.data(file))?;
                // A reader that is already beyond `position` goes on where it was.
                let from = if self.read.file == file {
                    position.max(self.read.offset)
                } else {
                    position
                };
                let (counted, end) = count_records(handle.as_ref(), from, length, self.record_lengths())?;
                self.warnings.push(WarningKind::StaleMeta {
                    file,
                    position,
                    length,
                    counted,
                });
                self.lengths.insert(file, end);
                self.salvaged = Some(file);
                self.unsynced = counted.max(1);
                self.start_write_file(next);
                Ok(counted)
            }
            Some(length) => {
                self.warnings.push(WarningKind::ShortWriteFile {
                    file,
                    position,
                    length,
                });
                if self.read == self.write {
                    self.passed.push(Passed { file, bad: false });
                    self.read = next;
                } else {
                    self.bad.insert(file);
                }
                self.start_write_file(next);
                Ok(0)
            }
            None if position == 0 => Ok(0),
            None => {
                if self.read == self.write {
                    self.read = next;
                }
                self.start_write_file(next);
                Ok(0)
            }
        }
    }

    /// The reader is behind the end: nothing can be said about the records, so the queue starts anew behind both.
    fn recover_crossed(&mut self) {
        let pair = |position: Position| (position.file, position.offset);
        self.warnings.push(WarningKind::ReadBehindWrite {
            read: pair(self.read),
            write: pair(self.write),
        });
        if self.read.file == self.write.file {
            self.passed.push(Passed {
                file: self.read.file,
                bad: true,
            });
        }
        self.bad.clear();
        let fresh = self.read.max(self.write).next_file();
        self.start_write_file(fresh);
        self.read = fresh;
        self.ahead = fresh;
        self.depth = 0;
    }

    /// Files that were passed, but not yet removed when the process ended.
    fn find_leftovers(&mut self) -> Result<()> {
        let before = (0..self.read.file).rev().take(MAX_LEFTOVERS);
        for file in before {
            if !self.disk.exists(&self.files.data(file))? {
                break;
            }
            self.passed.push(Passed { file, bad: false });
        }
        Ok(())
    }
}
