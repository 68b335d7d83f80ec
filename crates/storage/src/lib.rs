//! Files, records and positions of the daemons' disk queues.
//!
//! | module | owns |
//! |---|---|
//! | [`Disk`] | every file operation of a daemon, behind one object-safe trait: [`RealDisk`], [`MemoryDisk`], [`FailingDisk`] |
//! | [`DiskQueue`] | one first-in first-out queue of records in the file format of `nsqio/go-diskqueue` 1.1.0 |
//!
//! What this crate refuses to know: topics, channels, the fields of a message, async, threads and clocks. A record is
//! a big-endian int32 length and that many bytes. Every call blocks; who calls decides on which thread and when.
//!
//! Invariants:
//! - The files are at each moment what go-diskqueue would open without an error (test `go_interchange`).
//! - The meta file names the write file before the first record is added to that file, so a crash never hides records.
//! - A record is counted only after its bytes were accepted by the file system; a failed append counts nothing.
//! - Only file names made from a checked queue name are touched.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

mod disk;
mod queue;

pub use disk::failing::{FailingDisk, FailureSwitch};
pub use disk::memory::MemoryDisk;
pub use disk::real::RealDisk;
pub use disk::{Disk, DiskFile, Lock, LockError, os_text};
pub use queue::{DiskQueue, QueueOptions, Severity, Warning, WarningKind};
