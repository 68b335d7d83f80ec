//! Counts that do not depend on the machine's mood: instructions (valgrind's callgrind) and system calls (strace) of the daemon for
//! each message, as the difference of two runs, so that starts and ends do not count.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::Running;
use crate::load;
use crate::outcome::Outcome;
use crate::scenario::Work;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Instructions,
    SystemCalls,
}

/// Longest wait for a counter to write down what it counted.
const PATIENCE: Duration = Duration::from_secs(60);

impl Count {
    pub(crate) const ALL: [Self; 2] = [Self::Instructions, Self::SystemCalls];

    /// Its name in the file of bounds.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::SystemCalls => "system_calls",
        }
    }

    /// How the daemon is started to be counted, with the result in this file.
    fn counter(self, file: &Path) -> Vec<String> {
        let file = file.display();
        let words: &[&str] = match self {
            Self::Instructions => &["valgrind", "--quiet", "--tool=callgrind"],
            // The counter is not between us and the daemon, so that the daemon gets the signal to end.
            Self::SystemCalls => &["strace", "--daemonize", "--follow-forks", "--summary-only"],
        };
        let output = match self {
            Self::Instructions => format!("--callgrind-out-file={file}"),
            Self::SystemCalls => format!("--output={file}"),
        };
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain([output]).collect()
    }

    /// The count in what the counter wrote; none while it is not all there.
    fn read(self, text: &str) -> Option<f64> {
        match self {
            Self::Instructions => {
                let totals = text.lines().find_map(|line| line.strip_prefix("totals: "))?;
                totals.split_whitespace().next()?.parse().ok()
            }
            Self::SystemCalls => {
                // % time, seconds, usecs/call, calls, errors if any, `total`
                let total = text.lines().find(|line| line.trim_end().ends_with(" total"))?;
                total.split_whitespace().nth(3)?.parse().ok()
            }
        }
    }

    /// So many of the daemon for each message of this work, which is done once with `count` messages and once with three times
    /// as many.
    ///
    /// # Errors
    /// The counter is missing, or the work failed.
    pub(crate) fn per_message(
        self,
        binary: &Path,
        flags: &[&str],
        work: impl Fn(usize) -> Work,
        count: usize,
    ) -> Outcome<f64> {
        let few = self.of_run(binary, flags, &work(count))?;
        let many = self.of_run(binary, flags, &work(3 * count))?;
        Ok((many - few) / (2 * count) as f64)
    }

    fn of_run(self, binary: &Path, flags: &[&str], work: &Work) -> Outcome<f64> {
        let folder = tempfile::tempdir().map_err(|why| format!("make a data folder: {why}"))?;
        let file = folder.path().join("counted");
        let data = folder.path().join("data");
        fs::create_dir(&data).map_err(|why| format!("create {}: {why}", data.display()))?;
        let daemon = Running::start_under(&self.counter(&file), binary, flags, &data)?;
        load::run(work, daemon.target())?;
        daemon.stop()?;
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if let Some(count) = self.read(&text) {
                return Ok(count);
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("no {} were counted in {}", self.name(), file.display()));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn the_counters_files_are_read() {
        let callgrind = "events: Ir\n\nfn=(1) main\n1 5\n\ntotals: 12345\n";
        assert_eq!(Count::Instructions.read(callgrind), Some(12345.0));
        assert_eq!(Count::Instructions.read("events: Ir\n"), None);
        let strace = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000300           3       100         2 read
------ ----------- ----------- --------- --------- ----------------
100.00    0.000500           3       163         2 total
";
        assert_eq!(Count::SystemCalls.read(strace), Some(163.0));
        assert_eq!(Count::SystemCalls.read(&strace.replace(" total", " tot")), None);
        assert_eq!(Count::SystemCalls.read(""), None);
    }
}
