//! How many processors this process may use. Pure.

/// What a container's processor quota is read from (cgroup v2); elsewhere there is no such file.
pub const QUOTA_FILE: &str = "/sys/fs/cgroup/cpu.max";
/// Longest content of that file, in bytes.
pub const QUOTA_BYTES: usize = 4096;

/// Worker threads for `usable` processors, as the standard library counts them, and a quota of this text. The library rounds
/// a quota down; here it is rounded up, because with one and a half processors one thread would leave a half unused. At
/// least 1. A text that is no quota counts as none.
#[must_use]
pub fn workers(usable: usize, quota: &str) -> usize {
    let usable = usable.max(1);
    match parse(quota) {
        // Fewer than the quota's whole processors: something else limits them.
        Some((whole, _)) if usable < whole => usable,
        Some((whole, true)) if usable == whole.max(1) => whole + 1,
        _ => usable,
    }
}

/// Whole processors, and whether there is a part of one more.
fn parse(quota: &str) -> Option<(usize, bool)> {
    let (time, period) = quota.trim_end().split_once(' ')?;
    let (time, period): (usize, usize) = (time.parse().ok()?, period.parse().ok()?);
    Some((time.checked_div(period)?, time % period > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_rounded_up() {
        for (usable, quota, expected) in [
            (1, "150000 100000\n", 2),
            (1, "50000 100000\n", 1),
            (2, "200000 100000\n", 2),
            (4, "max 100000\n", 4),
            (2, "450000 100000\n", 2),
            (3, "", 3),
            (0, "", 1),
            (2, "1 0", 2),
            (2, "x y z", 2),
            (2, "18446744073709551616 1", 2),
        ] {
            assert_eq!(workers(usable, quota), expected, "{usable} {quota:?}");
        }
    }
}
