//! When a daemon that ended is started again. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// Longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// So many ends within `WINDOW` are a loop.
const LOOP_EXITS: usize = 5;
/// A daemon that ran longer than this starts with a short pause again.
const WINDOW: Duration = Duration::from_secs(60);

/// Ends of one daemon.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    /// Times of the last ends, oldest first; at most `LOOP_EXITS`.
    exits: VecDeque<Duration>,
    /// Ends in a row without a long life between them.
    row: u32,
    looping: bool,
}

/// What follows from an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Pause before the next start.
    pub(super) pause: Duration,
    /// This end made it a loop: tell people, once.
    pub(super) became_loop: bool,
}

impl Backoff {
    /// The daemon ended at `now` after it had run for `lived`. Pauses are 1, 2, 4 … 30 s.
    pub(super) fn exited(&mut self, now: Duration, lived: Duration) -> Verdict {
        if lived >= WINDOW {
            *self = Self::default();
        }
        self.exits.push_back(now);
        if self.exits.len() > LOOP_EXITS {
            self.exits.pop_front();
        }
        let first = self.exits.front().copied().unwrap_or(now);
        let many = self.exits.len() == LOOP_EXITS && now.saturating_sub(first) <= WINDOW;
        let became_loop = many && !self.looping;
        self.looping |= many;
        let pause = Duration::from_secs(1 << self.row.min(5)).min(MAX_PAUSE);
        self.row = self.row.saturating_add(1);
        Verdict { pause, became_loop }
    }

    /// It ended so often that it is called a loop.
    pub(super) fn is_loop(&self) -> bool {
        self.looping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_the_fifth_end_within_a_minute_is_a_loop() {
        let mut backoff = Backoff::default();
        let mut now = Duration::ZERO;
        let mut seen = Vec::new();
        for _ in 0..7 {
            let verdict = backoff.exited(now, Duration::from_millis(100));
            seen.push((verdict.pause.as_secs(), verdict.became_loop));
            now += verdict.pause + Duration::from_millis(100);
        }
        assert_eq!(
            seen,
            [
                (1, false),
                (2, false),
                (4, false),
                (8, false),
                (16, true),
                (30, false),
                (30, false)
            ]
        );
        assert!(backoff.is_loop());
        assert_eq!(backoff.exited(now, WINDOW).pause, Duration::from_secs(1));
        assert!(!backoff.is_loop());
    }
}
