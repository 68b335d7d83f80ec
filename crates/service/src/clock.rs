//! Time as a value that is handed in. Pure code takes `now`; the shell around it asks a [`Clock`].
#![allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the system clocks"
)]

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where a daemon gets its time from.
pub trait Clock: Send + Sync {
    /// Wall time in nanoseconds since 1970 (UTC). May jump in both directions.
    fn unix_nanos(&self) -> i64;

    /// Time since an arbitrary start, never going back. For deadlines and ages.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the operating system.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn unix_nanos(&self) -> i64 {
        unix_nanos()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Wall time for log lines, which have no clock to ask.
pub(crate) fn unix_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A clock that stands still until it is told to move. For tests.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<(i64, Duration)>,
}

impl ManualClock {
    /// A clock that shows `unix_nanos` and monotonic zero.
    #[must_use]
    pub fn new(unix_nanos: i64) -> Self {
        Self {
            now: Mutex::new((unix_nanos, Duration::ZERO)),
        }
    }

    /// Moves both times forward by `step`.
    pub fn advance(&self, step: Duration) {
        let mut now = self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        now.0 = now
            .0
            .saturating_add(i64::try_from(step.as_nanos()).unwrap_or(i64::MAX));
        now.1 = now.1.saturating_add(step);
    }

    /// Moves wall time alone, as somebody does who sets the clock of the machine.
    pub fn step_wall(&self, nanos: i64) {
        let mut now = self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        now.0 = now.0.saturating_add(nanos);
    }

    fn read(&self) -> (i64, Duration) {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn unix_nanos(&self) -> i64 {
        self.read().0
    }

    fn monotonic(&self) -> Duration {
        self.read().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_both_times_together_unless_told_otherwise() {
        let clock = ManualClock::new(1_000);
        clock.advance(Duration::from_nanos(5));
        assert_eq!(
            (clock.unix_nanos(), clock.monotonic()),
            (1_005, Duration::from_nanos(5))
        );
        clock.step_wall(-1_005);
        assert_eq!(
            (clock.unix_nanos(), clock.monotonic()),
            (0, Duration::from_nanos(5))
        );
    }
}
