//! Dropping all records.

use super::DiskQueue;
use super::files::Position;
use std::io::{ErrorKind, Result};

impl DiskQueue {
    /// Drops all records, also those read ahead: removes the meta file and all data files, then goes on at the next
    /// file number with depth 0. Works on a full disk.
    ///
    /// # Errors
    /// Those of the disk. Before the meta file is gone nothing has changed; after it the queue is empty, though some
    /// data files may be left, and the first error is returned.
    pub fn empty(&mut self) -> Result<()> {
        let end = self.write.file.saturating_add(1);
        let mut files = self.files_between(self.read.file, end)?;
        files.extend(self.passed.iter().map(|passed| passed.file));
        // The meta file first: a crash in between must not bring a part of the records back.
        ignore_missing(self.disk.remove(&self.files.meta()))?;
        self.saved = None;
        self.dir_dirty = true;
        self.forget(Position { file: end, offset: 0 });
        let mut result = Ok(());
        for file in files {
            result = result.and(ignore_missing(self.disk.remove(&self.files.data(file))));
        }
        result.and(self.sync_dir())
    }

    /// Ends the queue and removes its files.
    ///
    /// # Errors
    /// As [`Self::empty`].
    pub fn delete(mut self) -> Result<()> {
        self.empty()
    }

    fn forget(&mut self, position: Position) {
        self.start_write_file(position);
        self.read = position;
        self.ahead = position;
        self.depth = 0;
        self.pending.clear();
        self.lengths.clear();
        self.bad.clear();
        self.passed.clear();
        self.salvaged = None;
        self.unsynced = 0;
    }
}

fn ignore_missing(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
