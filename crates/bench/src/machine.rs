//! What the numbers were taken on, and whether it has something else to do.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// Kernel and processors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    /// When the run was, UTC.
    #[serde(default)]
    pub(crate) seconds_since_1970: u64,
}

/// Above this load average the machine is busy: one run of a daemon and its client leaves about this.
pub(crate) const BUSY: f64 = 1.0;

impl Machine {
    pub(crate) fn here() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name"));
        let processor = model.map_or("", |line| line.trim_start_matches([' ', '\t', ':']));
        Self {
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            processor: processor.to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            seconds_since_1970: wall_ns() / 1_000_000_000,
        }
    }
}

/// The load average of the last minute.
///
/// # Errors
/// This is no Linux.
pub(crate) fn load() -> Outcome<f64> {
    let text = fs::read_to_string("/proc/loadavg").map_err(|why| format!("read /proc/loadavg: {why}"))?;
    let first = text.split_whitespace().next().and_then(|word| word.parse().ok());
    first.ok_or_else(|| format!("no load average: {text}"))
}

/// Nanoseconds since 1970.
pub(crate) fn wall_ns() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
