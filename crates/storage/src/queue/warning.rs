//! What a queue wants to tell the log, as data.

use std::collections::VecDeque;
use std::fmt::{self, Display};

/// How loud a [`Warning`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Nothing was lost by this.
    Warning,
    /// Records were lost, or the disk failed.
    Error,
}

/// Something a queue met and went on. Its `Display` is the line for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// Name of the queue.
    pub queue: String,
    /// What happened.
    pub kind: WarningKind,
}

/// What happened. Files are data file numbers, positions and lengths bytes, errors the text of the system.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the line above says what the fields are, each variant what they tell"
)]
pub enum WarningKind {
    /// The meta file could not be understood; the queue starts empty and sets found data files aside.
    MetaUnreadable,
    /// The write file is longer than the meta file says (a crash); its records were counted.
    StaleMeta {
        file: u64,
        position: u64,
        length: u64,
        counted: u64,
    },
    /// The write file is shorter than the meta file says; what is there will be read.
    ShortWriteFile { file: u64, position: u64, length: u64 },
    /// The read position is behind the write position; the queue goes on empty in a fresh file.
    ReadBehindWrite { read: (u64, u64), write: (u64, u64) },
    /// The rest of a data file cannot be read; the file is set aside as `.bad`.
    Unreadable {
        file: u64,
        position: u64,
        reason: String,
    },
    /// A data file nobody knew stood where a new one had to be created; it was set aside as `.bad`.
    FoundUnknownFile { file: u64 },
    /// The count of records was wrong at the end of the queue, or records remained beyond it; it is right now.
    DepthCorrected { was: u64, is: u64 },
    /// A sync that was due failed; it is tried again with the next one.
    SyncFailed { error: String },
    /// A file that is not needed any more could not be removed.
    RemoveFailed { file: u64, error: String },
    /// A bad file could not be renamed; it keeps its name and is not read again.
    SetAsideFailed { file: u64, error: String },
    /// More happened than was fetched in time.
    Dropped { count: u64 },
}

impl Warning {
    /// How loud it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self.kind {
            WarningKind::StaleMeta { .. }
            | WarningKind::FoundUnknownFile { .. }
            | WarningKind::Dropped { .. } => Severity::Warning,
            WarningKind::MetaUnreadable
            | WarningKind::ShortWriteFile { .. }
            | WarningKind::ReadBehindWrite { .. }
            | WarningKind::Unreadable { .. }
            | WarningKind::DepthCorrected { .. }
            | WarningKind::SyncFailed { .. }
            | WarningKind::RemoveFailed { .. }
            | WarningKind::SetAsideFailed { .. } => Severity::Error,
        }
    }
}

impl Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.queue;
        write!(f, "DISKQUEUE({name}) ")?;
        match &self.kind {
            WarningKind::MetaUnreadable => write!(
                f,
                "failed to retrieveMetaData - unexpected content, starting empty"
            ),
            WarningKind::StaleMeta {
                file,
                position,
                length,
                counted,
            } => write!(
                f,
                "{name}.diskqueue.{file:06}.dat metadata writePos {position} < file size of {length}, \
                 skipping to new file, {counted} records recovered"
            ),
            WarningKind::ShortWriteFile {
                file,
                position,
                length,
            } => write!(
                f,
                "{name}.diskqueue.{file:06}.dat metadata writePos {position} > file size of {length}, \
                 data loss, skipping to new file"
            ),
            WarningKind::ReadBehindWrite { read, write } => write!(
                f,
                "readFileNum,readPos > writeFileNum,writePos ({},{} > {},{}), corruption, \
                 skipping to next writeFileNum and resetting 0...",
                read.0, read.1, write.0, write.1
            ),
            WarningKind::Unreadable {
                file,
                position,
                reason,
            } => write!(
                f,
                "reading at {position} of {name}.diskqueue.{file:06}.dat - {reason}, \
                 jump to next file and saving bad file as {name}.diskqueue.{file:06}.dat.bad"
            ),
            WarningKind::FoundUnknownFile { file } => {
                write!(
                    f,
                    "saving unknown file {name}.diskqueue.{file:06}.dat as {name}.diskqueue.{file:06}.dat.bad"
                )
            }
            WarningKind::DepthCorrected { was, is } if was > is => {
                let lost = was.saturating_sub(*is);
                write!(f, "positive depth at tail ({lost}), data loss, resetting {is}...")
            }
            WarningKind::DepthCorrected { was, is } => {
                write!(f, "depth too low ({was}), metadata corruption, resetting {is}...")
            }
            WarningKind::SyncFailed { error } => write!(f, "failed to sync - {error}"),
            WarningKind::RemoveFailed { file, error } => {
                write!(f, "failed to Remove({name}.diskqueue.{file:06}.dat) - {error}")
            }
            WarningKind::SetAsideFailed { file, error } => {
                write!(
                    f,
                    "failed to rename bad diskqueue file {name}.diskqueue.{file:06}.dat - {error}"
                )
            }
            WarningKind::Dropped { count } => write!(f, "{count} more warnings"),
        }
    }
}

/// Warnings that wait to be fetched. More than this at once say nothing new.
const MAX_WAITING: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Warnings {
    waiting: VecDeque<WarningKind>,
    dropped: u64,
}

impl Warnings {
    pub(super) fn push(&mut self, kind: WarningKind) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(kind);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    pub(super) fn take(&mut self, queue: &str) -> Vec<Warning> {
        let dropped = std::mem::take(&mut self.dropped);
        let more = (dropped > 0).then_some(WarningKind::Dropped { count: dropped });
        let kinds = self.waiting.drain(..).chain(more);
        kinds
            .map(|kind| Warning {
                queue: queue.to_owned(),
                kind,
            })
            .collect()
    }
}
