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
