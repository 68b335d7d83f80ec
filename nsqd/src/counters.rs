//! What this node counts beside its channels. Kept by whoever does the thing, shown by the metrics.

use nsq_protocol::ErrorCode;
use nsq_service::clock::Clock;
use nsq_service::metrics::{Counts, Histogram, OPERATION_TIMES, REQUEST_TIMES};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Why a publish was refused: the label `reason` (extensions spec 1.5, 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The topic is being deleted, or the process ends.
    Exiting,
    /// The node is being emptied.
    Draining,
    /// The disk does not take it.
    Disk,
    /// A message or a body is larger than it may be.
    TooBig,
    /// No name for a topic.
    BadTopic,
    /// The auth servers do not allow it.
    Auth,
}

impl PublishError {
    /// The values of the label, in the order of the variants.
    pub const LABELS: [&'static str; 6] = ["exiting", "draining", "disk", "too_big", "bad_topic", "auth"];
}

/// How a question to the auth servers ended: the label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthResult {
    /// Something was granted.
    Ok,
    /// Nothing was granted.
    Denied,
    /// None of them gave a valid answer.
    Error,
}

impl AuthResult {
    /// The values of the label, in the order of the variants.
    pub const LABELS: [&'static str; 3] = ["ok", "denied", "error"];
}

/// What was done with the files of a queue when it failed: the label `op`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// Messages were read.
    Read,
    /// Messages were written.
    Write,
    /// What was written was synced.
    Sync,
}

impl DiskOperation {
    /// The values of the label, in the order of the variants.
    pub const LABELS: [&'static str; 3] = ["read", "write", "sync"];
}

/// Counts of one node since its start.
#[derive(Debug)]
pub struct Counters {
    /// Accepted TCP connections.
    pub connections: AtomicU64,
    /// Those that were closed for their first bytes.
    pub bad_magic: AtomicU64,
    /// Bytes read from the sockets of TCP connections.
    pub received_bytes: AtomicU64,
    /// Bytes written to the sockets of TCP connections.
    pub sent_bytes: AtomicU64,
    /// Error frames by code.
    pub protocol_errors: Counts<{ ErrorCode::ALL.len() }>,
    /// Refused publishes: commands or requests, not messages.
    pub publish_errors: Counts<{ PublishError::LABELS.len() }>,
    /// From a body that is read to the answer in the buffer.
    pub publish_times: Histogram<{ OPERATION_TIMES.len() }>,
    /// From the due time of a deferred message to its release.
    pub timer_lateness: Histogram<{ REQUEST_TIMES.len() }>,
    /// Questions to auth servers.
    pub auth: Counts<{ AuthResult::LABELS.len() }>,
    /// What happens to queue files.
    pub disk: Arc<DiskCounters>,
}

/// Counts of what happens to queue files.
pub struct DiskCounters {
    /// Tells how long a sync takes.
    pub clock: Arc<dyn Clock>,
    /// Bytes written.
    pub written_bytes: AtomicU64,
    /// Bytes read.
    pub read_bytes: AtomicU64,
    /// How long syncs took.
    pub sync_times: Histogram<{ OPERATION_TIMES.len() }>,
    /// What failed.
    pub errors: Counts<{ DiskOperation::LABELS.len() }>,
}

impl DiskCounters {
    /// Counts a failure.
    pub fn note<T>(&self, operation: DiskOperation, done: &io::Result<T>) {
        if done.is_err() {
            self.errors.add(operation as usize);
        }
    }
}

impl fmt::Debug for DiskCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskCounters({:?})", self.errors)
    }
}

impl Counters {
    /// Nothing happened yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            connections: AtomicU64::new(0),
            bad_magic: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            protocol_errors: Counts::new(ErrorCode::ALL.map(ErrorCode::as_str)),
            publish_errors: Counts::new(PublishError::LABELS),
            publish_times: Histogram::new(&OPERATION_TIMES),
            timer_lateness: Histogram::new(&REQUEST_TIMES),
            auth: Counts::new(AuthResult::LABELS),
            disk: Arc::new(DiskCounters {
                clock,
                written_bytes: AtomicU64::new(0),
                read_bytes: AtomicU64::new(0),
                sync_times: Histogram::new(&OPERATION_TIMES),
                errors: Counts::new(DiskOperation::LABELS),
            }),
        }
    }
}

/// Counters of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicTotals {
    /// Accepted publishes.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Messages that a full ephemeral queue had no room for.
    pub overflowed: u64,
}

impl TopicTotals {
    /// Adds those of another.
    pub const fn add(&mut self, other: &Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.overflowed = self.overflowed.saturating_add(other.overflowed);
    }
}
