//! Message ids: one factory per topic, under the topic's lock.
//!
//! An id is `tick << 22 | node << 12 | sequence`: a tick of 2^20 ns (about 1.05 ms), the node id of 10 bits and a sequence of
//! 12 bits that starts at 0 in every tick (nsqd spec 1.5). A burst of more than 4096 messages in a tick borrows ticks
//! of the near future instead of sleeping, as the engine's design says (section 9).

/// Tick 0 in units of 2^20 ns since 1970: 2012-10-28 16:23:42 UTC.
const EPOCH_TICKS: i64 = 1_288_834_974_288;
const SEQUENCE_BITS: u32 = 12;
const SEQUENCES: u64 = 1 << SEQUENCE_BITS;
/// How far ahead of the clock ids may be (67 ms).
const MAX_BORROWED_TICKS: u64 = 64;
/// A clock that was set back by less than this (10 s) is not waited for.
const MAX_STEP_BACK_TICKS: u64 = 9537;

/// The tick of a time in nanoseconds since 1970; 0 for any time before the format's own epoch.
#[must_use]
pub fn tick_of(unix_nanos: i64) -> u64 {
    u64::try_from((unix_nanos >> 20) - EPOCH_TICKS).unwrap_or(0)
}

/// Consecutive ids: the n-th is derived, so a batch of any size stores one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// `tick << 12 | sequence` of the first id: without the node, consecutive ids are consecutive numbers.
    start: u64,
    node: u64,
}

impl IdRange {
    /// The id of message `index` of the range.
    #[must_use]
    pub fn get(self, index: u32) -> u64 {
        let n = self.start + u64::from(index);
        ((n >> SEQUENCE_BITS) << 22) | (self.node << SEQUENCE_BITS) | (n & (SEQUENCES - 1))
    }
}

/// Too many ids were taken: the caller lets go of its locks and comes back after that many ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTicks(pub u64);

/// Gives out strictly increasing ids of one topic.
#[derive(Debug)]
pub struct IdFactory {
    node: u64,
    next: u64,
    latest_tick: u64,
}

impl IdFactory {
    /// A factory whose first id is not before `first_tick`. `node` is the node id, 0 to 1023.
    #[must_use]
    pub fn new(node: u16, first_tick: u64) -> Self {
        Self {
            node: u64::from(node & 0x3ff),
            next: first_tick << SEQUENCE_BITS,
            latest_tick: 0,
        }
    }

    /// The next `n` ids, all consecutive.
    ///
    /// # Errors
    /// [`WaitTicks`] when the range would start too far in the future.
    pub fn next(&mut self, n: u32, now_tick: u64) -> Result<IdRange, WaitTicks> {
        self.latest_tick = self.latest_tick.max(now_tick);
        // A clock set back a little must not stop publishing; set back a lot, ids wait for it as in the reference.
        let now = if self.latest_tick - now_tick <= MAX_STEP_BACK_TICKS {
            self.latest_tick
        } else {
            now_tick
        };
        let start = self.next.max(now << SEQUENCE_BITS);
        let ahead = (start >> SEQUENCE_BITS) - now;
        if ahead > MAX_BORROWED_TICKS {
            return Err(WaitTicks(ahead - MAX_BORROWED_TICKS));
        }
        self.next = start + u64::from(n);
        Ok(IdRange {
            start,
            node: self.node,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nd_019_an_id_tells_its_tick_and_its_node() {
        let now = 1_700_000_000_000_000_000;
        let id = IdFactory::new(517, 0).next(1, tick_of(now)).map(|r| r.get(0));
        assert_eq!(id, Ok((tick_of(now) << 22) | (517 << 12)));
        assert_eq!(
            tick_of(now),
            u64::try_from((now >> 20) - EPOCH_TICKS).unwrap_or(0)
        );
    }

    #[test]
    fn a_burst_borrows_64_ticks_and_then_waits() {
        let mut f = IdFactory::new(0, 0);
        for _ in 0..=64 {
            assert!(f.next(4096, 1000).is_ok());
        }
        assert_eq!(f.next(1, 1000), Err(WaitTicks(1)));
        assert!(f.next(1, 1001).is_ok());
    }

    #[test]
    fn a_clock_set_back_a_little_is_ignored_and_set_back_far_is_waited_for() {
        let mut f = IdFactory::new(0, 0);
        assert!(f.next(1, 100_000).is_ok());
        assert!(f.next(1, 100_000 - MAX_STEP_BACK_TICKS).is_ok());
        assert!(f.next(1, 100_000 - MAX_STEP_BACK_TICKS - 1).is_err());
    }

    proptest! {
        #[test]
        fn nd_020_ids_are_distinct_and_increase(takes in prop::collection::vec((1u32..5000, 0u64..3), 1..60)) {
            let (mut f, mut now, mut last) = (IdFactory::new(7, 0), 500, 0);
            for (n, step) in takes {
                now += step;
                match f.next(n, now) {
                    Ok(ids) => for i in 0..n {
                        prop_assert!(ids.get(i) > last);
                        prop_assert_eq!((ids.get(i) >> 12) & 0x3ff, 7);
                        last = ids.get(i);
                    },
                    Err(WaitTicks(t)) => now += t,
                }
            }
        }
    }
}
