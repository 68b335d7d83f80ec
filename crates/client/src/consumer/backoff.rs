//! Receiving less while messages fail: nothing for a while that doubles with each failure, then one message to try with.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Retry;

/// What became of messages since the manager looked last. Successes are counted only while somebody wants to know.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    failures: AtomicU64,
    successes: AtomicU64,
    successes_count: AtomicBool,
    changed: Notify,
}

impl Outcomes {
    pub(super) fn failure(&self) {
        self.failures.fetch_add(1, Relaxed);
        self.changed.notify_one();
    }

    pub(super) fn success(&self) {
        if self.successes_count.load(Relaxed) {
            self.successes.fetch_add(1, Relaxed);
            self.changed.notify_one();
        }
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn watch_successes(&self, on: bool) {
        self.successes_count.store(on, Relaxed);
    }

    /// Failures and successes, which are counted anew from here.
    pub(super) fn take(&self) -> (u64, u64) {
        (self.failures.swap(0, Relaxed), self.successes.swap(0, Relaxed))
    }
}

/// How many failures in a row weigh, and until when nothing is received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    level: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// One step up or down; what comes in while all wait was under way before and does not count.
    pub(super) fn note(&mut self, (failures, successes): (u64, u64), retry: &Retry, now: Instant) {
        if self.until.is_some() || retry.max_backoff.is_zero() {
            return;
        }
        if failures > 0 {
            self.level = self.level.saturating_add(1);
        } else if successes > 0 && self.level > 0 {
            self.level -= 1;
        } else {
            return;
        }
        if self.level > 0 {
            self.until = Some(now + pause(self.level, retry));
        }
    }

    /// The pause is over.
    pub(super) fn resume(&mut self) {
        self.until = None;
    }

    /// When the pause is over.
    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(super) const fn is_on(&self) -> bool {
        self.level > 0
    }

    /// How much of the window is used.
    pub(super) fn window(&self, max_in_flight: u32) -> u32 {
        match (self.until, self.level) {
            (Some(_), _) => 0,
            (None, 0) => max_in_flight,
            (None, _) => max_in_flight.min(1),
        }
    }
}

fn pause(level: u32, retry: &Retry) -> Duration {
    let doubled = retry.backoff_multiplier.saturating_mul(1 << level.min(30));
    let longest = doubled.min(retry.max_backoff);
    if retry.full_jitter {
        longest.mul_f64(random_part())
    } else {
        longest
    }
}

/// A random number from 0 to 1, without a generator: the keys of a new hasher.
pub(super) fn random_part() -> f64 {
    let random = RandomState::new().hash_one(0) % 1000;
    random as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_double_the_pause_and_a_success_takes_one_step_back() {
        let (retry, now) = (Retry::default(), Instant::now());
        let mut backoff = Backoff::default();
        assert_eq!(backoff.window(200), 200);
        let mut step = |outcome, seconds: Option<u64>, window| {
            backoff.note(outcome, &retry, now);
            assert_eq!(backoff.until(), seconds.map(|s| now + Duration::from_secs(s)));
            backoff.note((5, 5), &retry, now);
            if seconds.is_some() {
                assert_eq!(backoff.window(200), 0, "what was under way changes nothing");
            }
            backoff.resume();
            assert_eq!(backoff.window(200), window);
        };
        step((1, 0), Some(2), 1);
        step((3, 7), Some(4), 1);
        step((0, 1), Some(2), 1);
        backoff.note((0, 1), &retry, now);
        assert_eq!((backoff.until(), backoff.window(200)), (None, 200));
    }

    #[test]
    fn a_pause_is_bounded_and_may_be_switched_off() {
        let mut retry = Retry::default();
        assert_eq!(pause(40, &retry), retry.max_backoff);
        retry.full_jitter = true;
        assert!(pause(40, &retry) <= retry.max_backoff);
        retry.max_backoff = Duration::ZERO;
        let mut backoff = Backoff::default();
        backoff.note((1, 0), &retry, Instant::now());
        assert_eq!(backoff.window(5), 5);
    }
}
