//! What a process has used so far, as Linux tells in `/proc`.

use std::fs;
use std::time::Duration;

use crate::outcome::Outcome;

/// A reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// Exact time on a processor, of the threads that live.
    pub(crate) cpu: Duration,
    /// The same in two parts, to a hundredth of a second.
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    pub(crate) resident_bytes: u64,
    pub(crate) peak_bytes: u64,
    /// Waits and preemptions.
    pub(crate) switches: u64,
    /// Handed to the block layer.
    pub(crate) written_bytes: u64,
    pub(crate) open_files: u64,
    pub(crate) threads: u64,
}

/// Reads what this process has used.
///
/// # Errors
/// It has ended, or this is no Linux.
pub(crate) fn of(pid: u32) -> Outcome<Usage> {
    let read = |name: &str| {
        let path = format!("/proc/{pid}/{name}");
        fs::read_to_string(&path).map_err(|why| format!("read {path}: {why}"))
    };
    let mut usage = Usage::default();
    (usage.user, usage.system) = times(&read("stat")?).ok_or("a line of /proc that is none")?;
    let status = read("status")?;
    usage.resident_bytes = field(&status, "VmRSS:").unwrap_or_default() * 1024;
    usage.peak_bytes = field(&status, "VmHWM:").unwrap_or_default() * 1024;
    // Of processes of other users there is none.
    usage.written_bytes = read("io").map_or(0, |text| field(&text, "write_bytes:").unwrap_or_default());
    usage.open_files = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |fds| fds.count() as u64);
    let folder = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&folder).map_err(|why| format!("read {folder}: {why}"))?;
    for thread in threads.flatten() {
        // One that ends meanwhile has no more to tell.
        let Ok(schedule) = fs::read_to_string(thread.path().join("schedstat")) else {
            continue;
        };
        usage.cpu += on_cpu(&schedule);
        usage.threads += 1;
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        for name in ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"] {
            usage.switches += field(&status, name).unwrap_or_default();
        }
    }
    Ok(usage)
}

/// Processor time of this program, ended threads included.
///
/// # Errors
/// This is no Linux.
pub(crate) fn own_cpu() -> Outcome<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(|why| format!("read /proc/self/stat: {why}"))?;
    let (user, system) = times(&stat).ok_or("a line of /proc that is none")?;
    Ok(user + system)
}

/// User and system time of a `stat` line, in ticks of 10 ms.
fn times(stat: &str) -> Option<(Duration, Duration)> {
    // The name in brackets may hold spaces; the times are the 14th and the 15th field.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11);
    let mut next = || Some(Duration::from_millis(10 * ticks.next()?.parse::<u64>().ok()?));
    Some((next()?, next()?))
}

/// Nanoseconds on a processor, the first number of a `schedstat`.
fn on_cpu(schedule: &str) -> Duration {
    let first = schedule.split_whitespace().next();
    Duration::from_nanos(first.and_then(|ns| ns.parse().ok()).unwrap_or_default())
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 12 34 0 0 20 0 3 0 1 2 3";
        let (user, system) = times(stat).unwrap();
        assert_eq!(
            (user, system),
            (Duration::from_millis(120), Duration::from_millis(340))
        );
        assert!(times("7 (a").is_none());
        assert_eq!(on_cpu("1500 7 3\n"), Duration::from_nanos(1500));
        assert_eq!(field("VmHWM:\t  12 kB\nVmRSS:\t    9 kB\n", "VmRSS:"), Some(9));
        assert_eq!(field("VmHWM:\t  12 kB\n", "VmRSS:"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let usage = of(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 0 && usage.peak_bytes >= usage.resident_bytes);
        assert!(usage.threads > 0 && usage.open_files > 0);
    }
}
