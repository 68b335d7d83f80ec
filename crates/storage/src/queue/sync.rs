//! Making the queue survive: data file, meta file, and what may go after that.

use super::DiskQueue;
use super::files::Meta;
use super::warning::WarningKind;
use std::io::{ErrorKind, Result};

impl DiskQueue {
    /// Whether a [`Self::sync`] would have something to do for an append or a consumption.
    #[must_use]
    pub fn needs_sync(&self) -> bool {
        self.unsynced > 0 || !self.passed.is_empty()
    }

    /// Makes appended records survive a power cut, and the read position survive the end of the process; then removes
    /// the files that were read. After a power cut the read position may be an older one, and records come again: the
    /// renamed meta file is not worth a sync of the directory each time.
    ///
    /// # Errors
    /// Those of the disk; [`Self::needs_sync`] then stays true. A file that cannot be removed is only a warning.
    pub fn sync(&mut self) -> Result<()> {
        if self.torn {
            // Best effort: bytes behind the end are what a crash would leave, and open copes with them.
            let _ = self.cut_torn();
        }
        self.sync_data()?;
        self.save_meta()?;
        self.remove_passed()?;
        self.unsynced = 0;
        Ok(())
    }

    /// Syncs and ends. A queue that never had a record leaves a meta file that says so.
    ///
    /// # Errors
    /// Those of the disk. The queue can be opened again in any case.
    pub fn close(mut self) -> Result<()> {
        self.sync()
    }

    /// Counts operations and syncs when it is time: every `sync_every` of them, or when the reader has left a file.
    pub(super) fn note_operations(&mut self, count: usize) {
        self.unsynced = self.unsynced.saturating_add(count as u64);
        if self.unsynced >= self.options.sync_every.max(1) || !self.passed.is_empty() {
            self.sync_or_warn();
        }
    }

    pub(super) fn sync_or_warn(&mut self) {
        if let Err(error) = self.sync() {
            self.warnings.push(WarningKind::SyncFailed {
                error: error.to_string(),
            });
        }
    }

    pub(super) fn sync_data(&mut self) -> Result<()> {
        if let Some(file) = self.salvaged {
            match self.disk.open_append(&self.files.data(file)) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                opened => opened?.fdatasync()?,
            }
            self.salvaged = None;
        }
        if self.data_dirty {
            match &self.writer {
                Some(writer) => writer.fdatasync()?,
                None => self
                    .disk
                    .open_append(&self.files.data(self.write.file))?
                    .fdatasync()?,
            }
            self.data_dirty = false;
        }
        Ok(())
    }

    /// Writes the meta file if it says something else. The write position must be synced.
    pub(super) fn save_meta(&mut self) -> Result<()> {
        let depth = i64::try_from(self.depth).unwrap_or(i64::MAX);
        let meta = Meta {
            depth,
            read: self.read,
            write: self.write,
        };
        if self.saved != Some(meta) {
            // Unknown until it is known to be done.
            self.saved = None;
            self.disk
                .replace_file(&self.files.meta(), meta.encode().as_bytes())?;
            self.saved = Some(meta);
            self.dir_dirty = true;
        }
        Ok(())
    }

    pub(super) fn sync_dir(&mut self) -> Result<()> {
        if self.dir_dirty {
            self.disk.sync_dir(&self.files.dir)?;
            self.dir_dirty = false;
        }
        Ok(())
    }

    /// Removes or sets aside the files before the read position, after the meta file is safe: it must never name a
    /// file that is gone.
    fn remove_passed(&mut self) -> Result<()> {
        if self.passed.is_empty() {
            return Ok(());
        }
        self.sync_dir()?;
        for passed in std::mem::take(&mut self.passed) {
            let (file, path) = (passed.file, self.files.data(passed.file));
            let result = if passed.bad {
                self.disk.rename(&path, &self.files.bad(file))
            } else {
                self.disk.remove(&path)
            };
            self.dir_dirty = true;
            let Err(error) = result else { continue };
            let text = error.to_string();
            match (error.kind(), passed.bad) {
                (ErrorKind::NotFound, _) => {}
                (_, true) => self
                    .warnings
                    .push(WarningKind::SetAsideFailed { file, error: text }),
                (_, false) => self
                    .warnings
                    .push(WarningKind::RemoveFailed { file, error: text }),
            }
        }
        Ok(())
    }
}
