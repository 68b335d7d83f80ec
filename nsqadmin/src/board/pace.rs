//! How often the cluster is looked at. Pure.

use std::time::Duration;

use crate::upstream::Weight;

/// What a round may bring, and how seldom it becomes for that (console spec 4.1).
const MAX_BYTES_PER_SECOND: usize = 32 << 20;
const SELDOMEST: Duration = Duration::from_secs(60);

/// How often the cluster is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) interval: Duration,
    /// Why it is not as often as is wanted; empty if it is.
    pub(super) why: &'static str,
}

/// As often as is `wanted`, but so that reading what the last round brought takes at most a tenth of a processor, and the network
/// brings at most 32 MiB in a second; never seldomer than once a minute, unless that is wanted.
pub(super) fn pace(wanted: Duration, cost: Weight) -> Pace {
    let by_parsing = cost.parsing * 10;
    let by_bytes = Duration::from_millis((cost.bytes / (MAX_BYTES_PER_SECOND / 1_000)) as u64);
    let longest = wanted.max(SELDOMEST);
    let (needed, why) = if by_parsing > by_bytes {
        (
            by_parsing,
            "reading the answers would take more than a tenth of a processor",
        )
    } else {
        (by_bytes, "the answers would be more than 32 MiB each second")
    };
    if needed > wanted {
        Pace {
            interval: needed.min(longest),
            why,
        }
    } else {
        Pace {
            interval: wanted,
            why: "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_cost_much_come_less_often() {
        let wanted = Duration::from_secs(5);
        let pace = |mib: usize, millis: u64| {
            let cost = Weight {
                bytes: mib << 20,
                parsing: Duration::from_millis(millis),
            };
            super::pace(wanted, cost).interval.as_secs()
        };
        assert_eq!(pace(0, 0), 5);
        assert_eq!(pace(159, 499), 5);
        assert_eq!(pace(320, 0), 10);
        assert_eq!(pace(320, 1_200), 12);
        assert_eq!(pace(1 << 20, 0), 60);
        let long = Duration::from_secs(90);
        let much = Weight {
            bytes: usize::MAX / 2,
            parsing: long,
        };
        assert_eq!(super::pace(long, much).interval, long);
    }
}
