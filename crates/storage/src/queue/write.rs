//! Appending: one write per file, all or nothing.

use super::DiskQueue;
use super::files::Position;
use super::record::{self, Segment};
use super::warning::WarningKind;
use std::io::{Error, ErrorKind, Result};

/// What an append changes before it is certain.
#[derive(Clone, Copy)]
struct Before {
    read: Position,
    ahead: Position,
    last_pending: Option<Position>,
    write: Position,
    depth: u64,
}

impl DiskQueue {
    /// Appends records: `records` is their concatenation, each a big-endian int32 length and that many bytes, `ends`
    /// the offsets in it at which they end. One write per file touched, normally one.
    ///
    /// The bytes are with the operating system when this returns; [`Self::sync`] makes them survive a power cut. An
    /// automatic sync that fails is a warning, not an error, because the records are in the file.
    ///
    /// # Errors
    /// `InvalidInput` if the records are not framed as said or have an illegal length; those of the disk. After an
    /// error none of the records is counted, though a crash right then may bring some of them back.
    pub fn append(&mut self, records: &[u8], ends: &[usize]) -> Result<()> {
        let lengths = self.record_lengths();
        let offset = self.write.offset;
        let segments = record::segments(offset, records, ends, lengths, self.options.max_bytes_per_file)?;
        let before = Before {
            read: self.read,
            ahead: self.ahead,
            last_pending: self.pending.back().copied(),
            write: self.write,
            depth: self.depth,
        };
        for segment in &segments {
            if let Err(error) = self.append_segment(records, segment) {
                self.roll_back(before);
                return Err(error);
            }
        }
        self.pass(before.read.file, self.read.file);
        self.note_operations(ends.len());
        Ok(())
    }

    fn append_segment(&mut self, records: &[u8], segment: &Segment) -> Result<()> {
        let bytes = records.get(segment.bytes.clone()).unwrap_or_default();
        if segment.rolls {
            self.cut_torn()?;
            self.sync_data()?;
            self.leave_write_file();
        }
        self.ready_write_file()?;
        self.torn = true;
        self.writer.as_ref().ok_or_else(no_writer)?.append(bytes)?;
        self.torn = false;
        self.data_dirty = true;
        self.write.offset = self.write.offset.saturating_add(bytes.len() as u64);
        self.depth = self.depth.saturating_add(segment.records);
        Ok(())
    }

    /// Forgets what a failed append did. The files follow as far as the disk allows; the rest is done before the next
    /// append adds anything.
    fn roll_back(&mut self, before: Before) {
        let rolled_to = self.write.file;
        if rolled_to != before.write.file {
            self.start_write_file(before.write);
            for file in before.write.file.saturating_add(1)..=rolled_to {
                // What stays is found and set aside when the writer gets there.
                let _ = self.disk.remove(&self.files.data(file));
            }
            let _ = self.lengths.split_off(&before.write.file);
        }
        self.torn = true;
        self.write = before.write;
        self.read = before.read;
        self.ahead = before.ahead;
        self.depth = before.depth;
        if let (Some(last), Some(position)) = (self.pending.back_mut(), before.last_pending) {
            *last = position;
        }
        // The error of the append is the one to tell.
        let _ = self.ready_write_file();
        self.pass(before.read.file, self.read.file);
    }

    /// Makes the write file open, free of torn bytes, and known to the meta file.
    fn ready_write_file(&mut self) -> Result<()> {
        if self.writer.is_none() {
            self.open_write_file()?;
        }
        self.cut_torn()?;
        let named = self.saved.is_some_and(|meta| meta.write.file == self.write.file);
        if !named || self.entry_dirty {
            self.sync_data()?;
            self.save_meta()?;
            self.sync_dir()?;
            self.entry_dirty = false;
        }
        Ok(())
    }

    fn open_write_file(&mut self) -> Result<()> {
        let length = self.disk.len(&self.files.data(self.write.file))?;
        let offset = self.write.offset;
        if length == Some(offset) || (self.torn && length > Some(offset)) {
            self.writer = Some(self.disk.open_append(&self.files.data(self.write.file))?);
            // An empty file may be of a run that ended before it synced the directory.
            self.entry_dirty |= offset == 0;
            return Ok(());
        }
        if offset > 0 {
            // Somebody changed the file since it was last looked at: never write at a wrong place.
            self.leave_write_file();
        }
        self.create_write_file()
    }

    fn create_write_file(&mut self) -> Result<()> {
        let path = self.files.data(self.write.file);
        if self.disk.exists(&path)? {
            self.disk.rename(&path, &self.files.bad(self.write.file))?;
            self.warnings.push(WarningKind::FoundUnknownFile {
                file: self.write.file,
            });
        }
        self.writer = Some(self.disk.create_new(&path)?);
        self.torn = false;
        self.entry_dirty = true;
        self.dir_dirty = true;
        Ok(())
    }

    /// Removes what a failed append left behind the end.
    pub(super) fn cut_torn(&mut self) -> Result<()> {
        if !self.torn {
            return Ok(());
        }
        if self.writer.is_none() {
            let opened = self.disk.open_append(&self.files.data(self.write.file));
            self.writer = match opened {
                // The failed append did not even create it.
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                other => Some(other?),
            };
        }
        if let Some(writer) = &self.writer {
            writer.truncate(self.write.offset)?;
            self.data_dirty = true;
        }
        self.torn = false;
        Ok(())
    }
}

fn no_writer() -> Error {
    Error::other("the write file is not open")
}
