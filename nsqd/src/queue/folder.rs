//! Where queues keep their files, and the files of one queue, open from its first use on.
//!
//! Most queues of a node with thousands never overflow: what is empty, with files that say so or that are not there, rests
//! closed and takes no memory.

use crate::counters::DiskCounters;
use nsq_storage::{Disk, DiskQueue, QueueOptions, Severity, Warning};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What the files of all queues have in common.
pub struct Folder {
    /// What they lie on.
    pub disk: Arc<dyn Disk>,
    /// The data path.
    pub path: PathBuf,
    /// Their limits.
    pub options: QueueOptions,
    /// What is counted of them.
    pub counters: Arc<DiskCounters>,
}

impl Folder {
    fn open(&self, name: &str) -> io::Result<DiskQueue> {
        let (queue, warnings) = DiskQueue::open(self.disk.clone(), &self.path, name, self.options)?;
        log(&warnings);
        Ok(queue)
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Folder({})", self.path.display())
    }
}

/// The files of a queue.
#[derive(Debug)]
pub(super) enum Handle {
    /// Empty and closed: they are opened when there is something to write.
    AtRest,
    Open(Box<DiskQueue>),
    /// Deleted or closed for good.
    Gone,
}

/// A write after the end.
pub(super) fn gone() -> io::Error {
    io::Error::other("exiting")
}

impl Handle {
    /// Looks at the files of queue `name`.
    pub(super) fn open(folder: &Folder, name: &str) -> io::Result<Self> {
        Ok(Self::Open(Box::new(folder.open(name)?)))
    }

    /// Closes them if they can be opened again as they are.
    pub(super) fn rest(&mut self) {
        if matches!(self, Self::Open(queue) if queue.is_at_rest()) {
            *self = Self::AtRest;
        }
    }

    /// What is open: files at rest have nothing to read.
    pub(super) fn as_open(&self) -> Option<&DiskQueue> {
        match self {
            Self::Open(queue) => Some(queue),
            Self::AtRest | Self::Gone => None,
        }
    }

    /// The same, to change it.
    pub(super) fn as_open_mut(&mut self) -> Option<&mut DiskQueue> {
        match self {
            Self::Open(queue) => Some(queue),
            Self::AtRest | Self::Gone => None,
        }
    }

    /// The open queue, opened now if it rested.
    ///
    /// # Errors
    /// Those of the file system; it is gone.
    pub(super) fn opened(&mut self, folder: &Folder, name: &str) -> io::Result<&mut DiskQueue> {
        if matches!(self, Self::AtRest) {
            *self = Self::open(folder, name)?;
        }
        self.as_open_mut().ok_or_else(gone)
    }

    /// The queue, open, for its end; none if that was before.
    ///
    /// # Errors
    /// Those of the file system; it is gone then as well.
    pub(super) fn take(&mut self, folder: &Folder, name: &str) -> io::Result<Option<DiskQueue>> {
        match std::mem::replace(self, Self::Gone) {
            Self::Open(queue) => Ok(Some(*queue)),
            Self::AtRest => folder.open(name).map(Some),
            Self::Gone => Ok(None),
        }
    }

    pub(super) const fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }
}

/// Reports what was found wrong with files.
pub(super) fn log(warnings: &[Warning]) {
    for warning in warnings {
        match warning.severity() {
            Severity::Error => tracing::error!("{warning}"),
            Severity::Warning => tracing::warn!("{warning}"),
        }
    }
}
