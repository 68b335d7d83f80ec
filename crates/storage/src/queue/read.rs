//! Reading ahead, consuming, and going around what cannot be read.

use super::DiskQueue;
use super::files::Position;
use super::record::{Head, Lengths, PREFIX};
use super::warning::WarningKind;
use crate::disk::{DiskFile, os_code, read_full};
use std::io::{Error, ErrorKind, Result};

/// The data file that is being read.
#[derive(Debug)]
pub(super) struct Reader {
    file: u64,
    handle: Box<dyn DiskFile>,
    /// Its length when it was opened. Files that are not written to keep it.
    length: u64,
}

/// What came of reading at one place.
enum Outcome {
    Records(usize),
    /// The place is the end of a complete file.
    EndOfFile,
    /// There is no record at this place, and so none can be found behind it.
    Unreadable(String),
    /// The next record is larger than what may still be read.
    NoRoom,
}

/// How much a read may still return.
#[derive(Clone, Copy)]
struct Room {
    bytes: usize,
    records: usize,
    /// The first record comes back however large it is.
    first: bool,
}

impl DiskQueue {
    /// Reads further records, appends them to `out` as they are on disk (length prefix included) and the offsets in
    /// `out` at which they end to `ends`. Returns their number: 0 only if there are none, or `max_records` is 0. At most
    /// `max_bytes`, but at least one record. They stay in the queue until [`Self::consume`].
    ///
    /// # Errors
    /// Those of the disk, with nothing read. Damage to the files is not an error: the reader goes on behind it and
    /// leaves a warning.
    pub fn read(
        &mut self,
        max_bytes: usize,
        max_records: usize,
        out: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<usize> {
        let start = out.len();
        let mut taken = 0_usize;
        let mut failure = None;
        while self.ahead < self.write && taken < max_records {
            let used = out.len().saturating_sub(start);
            let bytes = max_bytes.saturating_sub(used);
            let room = Room {
                bytes,
                records: max_records.saturating_sub(taken),
                first: taken == 0,
            };
            match self.read_here(room, out, ends) {
                Ok(Outcome::Records(count)) => taken = taken.saturating_add(count),
                Ok(Outcome::EndOfFile) => self.skip_to(self.ahead.next_file()),
                Ok(Outcome::Unreadable(reason)) => self.skip_unreadable(reason),
                Ok(Outcome::NoRoom) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        self.settle();
        if !self.passed.is_empty() {
            self.sync_or_warn();
        }
        // What was read is handed out first; the disk will fail again if it means it.
        failure.filter(|_| taken == 0).map_or(Ok(taken), Err)
    }

    /// Consumes the oldest `records` that were read: the durable read position moves behind them. Files that are read
    /// to their end are removed. A failing automatic sync is a warning; it is tried again with the next one.
    ///
    /// # Errors
    /// `InvalidInput` if fewer records were read, with nothing consumed.
    pub fn consume(&mut self, records: usize) -> Result<()> {
        if records > self.pending.len() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "more records consumed than were read",
            ));
        }
        for _ in 0..records {
            let Some(end) = self.pending.pop_front() else {
                break;
            };
            self.pass(self.read.file, end.file);
            self.read = end;
        }
        if self.pending.is_empty() {
            self.pass(self.read.file, self.ahead.file);
            self.read = self.ahead;
        }
        self.depth = self.depth.saturating_sub(records as u64);
        self.settle();
        self.note_operations(records);
        Ok(())
    }

    /// Forgets what was read ahead: the next [`Self::read`] begins at the consumed position.
    pub fn rewind(&mut self) {
        self.pending.clear();
        self.ahead = self.read;
    }

    fn read_here(&mut self, room: Room, out: &mut Vec<u8>, ends: &mut Vec<usize>) -> Result<Outcome> {
        let Position { file, offset } = self.ahead;
        let complete = file < self.write.file;
        let lengths = self.record_lengths();
        let written = self.write.offset;
        let known_bad = self.bad.contains(&file);
        let Some(reader) = self.open_reader()? else {
            return Ok(unreadable("no such file"));
        };
        let limit = if complete { reader.length } else { written };
        if offset == limit && complete && limit > 0 && !known_bad {
            return Ok(Outcome::EndOfFile);
        }
        let left = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        if left < PREFIX {
            return Ok(unreadable("unexpected EOF"));
        }
        if room.bytes < PREFIX && !room.first {
            return Ok(Outcome::NoRoom);
        }
        let start = out.len();
        let most = lengths.longest().saturating_mul(room.records);
        let got = fill(
            reader.handle.as_ref(),
            offset,
            left.min(room.bytes.max(PREFIX)).min(most),
            out,
        )?;
        if let Some(bytes) = out.get(start..)
            && let Head::Record(size) = lengths.head(bytes)
            && size > got
        {
            // The first record does not end in what was read.
            out.truncate(start);
            match (size > left, room.first) {
                (true, _) => return Ok(unreadable("unexpected EOF")),
                (false, false) => return Ok(Outcome::NoRoom),
                (false, true) => {
                    fill(reader.handle.as_ref(), offset, size, out)?;
                }
            }
        }
        Ok(self.accept(start, limit, room, out, ends))
    }

    /// Takes the whole records at the end of `out` from `start` on, and cuts off the rest.
    fn accept(
        &mut self,
        start: usize,
        limit: u64,
        room: Room,
        out: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Outcome {
        let lengths = self.record_lengths();
        let end = out.len();
        let mut place = start;
        let mut count = 0_usize;
        let mut stop = None;
        while count < room.records {
            match lengths.head(out.get(place..end).unwrap_or_default()) {
                Head::Record(size) if size <= end.saturating_sub(place) => {
                    place = place.saturating_add(size);
                    count = count.saturating_add(1);
                    ends.push(place);
                    self.ahead.offset = self.ahead.offset.saturating_add(size as u64);
                    self.pending.push_back(self.ahead);
                }
                Head::BadLength(length) => {
                    stop = Some(format!("invalid message read size ({length})"));
                    break;
                }
                Head::Record(_) | Head::Short => break,
            }
        }
        out.truncate(place);
        if count == 0 {
            return Outcome::Unreadable(stop.unwrap_or_else(|| "unexpected EOF".to_owned()));
        }
        let complete = self.ahead.file < self.write.file;
        if complete && self.ahead.offset == limit && !self.bad.contains(&self.ahead.file) {
            let next = self.ahead.next_file();
            if let Some(last) = self.pending.back_mut() {
                *last = next;
            }
            self.ahead = next;
        }
        Outcome::Records(count)
    }

    /// The file of the `ahead` position; `None` if it does not exist.
    fn open_reader(&mut self) -> Result<Option<&Reader>> {
        let file = self.ahead.file;
        if self.reader.as_ref().is_none_or(|reader| reader.file != file) {
            self.reader = match self.disk.open_read(&self.files.data(file)) {
                Ok(handle) => Some(Reader {
                    file,
                    length: handle.len()?,
                    handle,
                }),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(self.reader.as_ref())
    }

    /// Leaves the rest of the file at the `ahead` position.
    fn skip_unreadable(&mut self, reason: String) {
        let Position { file, offset } = self.ahead;
        self.lengths.insert(file, offset);
        if self.bad.insert(file) {
            self.warnings.push(WarningKind::Unreadable {
                file,
                position: offset,
                reason,
            });
        }
        let mut next = self.ahead.next_file();
        if file == self.write.file {
            self.start_write_file(next);
        } else if let Some(first) = self.files_between(next.file, self.write.file).ok().map(|files| {
            // A wide gap without files is crossed in one step.
            files.first().copied().unwrap_or(self.write.file)
        }) {
            next.file = first;
        }
        self.skip_to(next);
    }

    /// Moves on without a record.
    fn skip_to(&mut self, next: Position) {
        self.ahead = next;
        if self.pending.is_empty() {
            self.pass(self.read.file, next.file);
            self.read = next;
        }
    }

    /// Keeps the depth true where the files tell it: at the end it is what was read ahead, before it more than that.
    pub(super) fn settle(&mut self) {
        let pending = self.pending.len() as u64;
        let mut is = self.depth;
        if self.ahead < self.write && self.depth <= pending {
            // If it cannot be counted now, one more keeps the reader going.
            let unread = self.count_unread().unwrap_or(1);
            is = pending.saturating_add(unread);
            if unread == 0 {
                self.skip_rest();
            }
        }
        if self.ahead >= self.write {
            is = pending;
        }
        if self.depth != is {
            self.warnings
                .push(WarningKind::DepthCorrected { was: self.depth, is });
            self.depth = is;
            self.unsynced = self.unsynced.saturating_add(1);
        }
    }

    /// Goes to the end where no record is left before it, so that junk does not look like something to read.
    fn skip_rest(&mut self) {
        while self.ahead < self.write {
            let Position { file, offset } = self.ahead;
            let Ok(length) = self.disk.len(&self.files.data(file)) else {
                break;
            };
            let whole = file < self.write.file && offset > 0 && !self.bad.contains(&file);
            if whole && length == Some(offset) {
                self.skip_to(self.ahead.next_file());
            } else {
                self.skip_unreadable("no whole record from here on".to_owned());
            }
        }
    }

    /// Counts the records between `ahead` and `write` by walking their lengths.
    fn count_unread(&self) -> Result<u64> {
        let mut count = 0_u64;
        for file in self.files_between(self.ahead.file, self.write.file.saturating_add(1))? {
            let handle = match self.disk.open_read(&self.files.data(file)) {
                Ok(handle) => handle,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let from = if file == self.ahead.file {
                self.ahead.offset
            } else {
                0
            };
            let to = if file == self.write.file {
                self.write.offset
            } else {
                handle.len()?
            };
            let (records, _) = count_records(handle.as_ref(), from, to, self.record_lengths())?;
            count = count.saturating_add(records);
        }
        Ok(count)
    }
}

fn unreadable(reason: &str) -> Outcome {
    Outcome::Unreadable(reason.to_owned())
}

/// Appends up to `count` bytes of the file to `out`; returns how many. A part of the disk that cannot be read counts as
/// the end of the file, so that what stands before it is not lost; after another error `out` is as before.
fn fill(handle: &dyn DiskFile, offset: u64, count: usize, out: &mut Vec<u8>) -> Result<usize> {
    let start = out.len();
    out.resize(start.saturating_add(count), 0);
    let (got, result) = read_full(handle, offset, out.get_mut(start..).unwrap_or_default());
    let result = match result {
        Err(error) if os_code(&error) != Some(rustix::io::Errno::IO.raw_os_error()) => Err(error),
        _ => Ok(got),
    };
    out.truncate(start.saturating_add(if result.is_ok() { got } else { 0 }));
    result
}

/// Bytes read at once when counting.
const COUNT_CHUNK: usize = 256 * 1024;

/// Counts the whole records from `from` on that end at or before `to`, up to the first place that is none; returns
/// their number and where the last one ends.
pub(super) fn count_records(
    handle: &dyn DiskFile,
    from: u64,
    to: u64,
    lengths: Lengths,
) -> Result<(u64, u64)> {
    let mut chunk = Vec::new();
    let (mut chunk_at, mut place, mut count) = (from, from, 0_u64);
    loop {
        let inside = usize::try_from(place.saturating_sub(chunk_at)).unwrap_or(usize::MAX);
        let mut rest = chunk.get(inside..).unwrap_or_default();
        if rest.len() < PREFIX {
            let left = usize::try_from(to.saturating_sub(place)).unwrap_or(usize::MAX);
            chunk.clear();
            fill(handle, place, left.min(COUNT_CHUNK), &mut chunk)?;
            chunk_at = place;
            rest = &chunk;
        }
        let Head::Record(size) = lengths.head(rest) else {
            return Ok((count, place));
        };
        let end = place.saturating_add(size as u64);
        if end > to {
            return Ok((count, place));
        }
        place = end;
        count = count.saturating_add(1);
    }
}
