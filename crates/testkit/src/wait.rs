//! Waiting with a bound.

use std::thread;
use std::time::{Duration, Instant};

/// How long an expectation waits for what must come. Only a broken daemon lets it pass, so it is generous: the machine may
/// be busy with other tests.
pub const BOUND: Duration = Duration::from_secs(20);

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `condition` is true, looking every few milliseconds.
///
/// # Panics
///
/// When `bound` passes first.
#[track_caller]
pub fn eventually(bound: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + bound;
    while !condition() {
        assert!(
            Instant::now() < end,
            "the condition did not come true within {bound:?}"
        );
        thread::sleep(PAUSE);
    }
}

/// Measures how long something took. What must not be early is asserted exactly, what must not be late generously.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// At least `low` and at most `high` milliseconds must have passed.
    #[track_caller]
    pub fn expect_ms(self, low: u64, high: u64) {
        let elapsed = self.elapsed();
        assert!(
            elapsed >= Duration::from_millis(low),
            "too early: after {elapsed:?}, not {low} ms"
        );
        assert!(
            elapsed <= Duration::from_millis(high),
            "too late: after {elapsed:?}, not {high} ms"
        );
    }
}
