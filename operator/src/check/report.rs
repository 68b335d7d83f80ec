//! What a check found, as lines for a person. Pure.

use std::fmt;
use std::time::Duration;

/// The result of one check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Each nsqlookupd that was asked, in the order given.
    pub lookupds: Vec<Lookupd>,
    /// Each nsqd that one of them named, by its TCP address.
    pub nsqds: Vec<Nsqd>,
    /// Messages that were to make the round trip.
    pub wanted: u32,
    /// From just before a publish to its delivery, for each message that came.
    pub latencies: Vec<Duration>,
    /// From the start to the last message, or to giving up.
    pub elapsed: Duration,
    /// What is missing, each a sentence for a person; empty if all is well.
    pub problems: Vec<String>,
}

/// One nsqlookupd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookupd {
    /// HTTP address as given.
    pub address: String,
    /// Number of nsqds that it names, or why it did not answer.
    pub nodes: Result<usize, String>,
}

/// One nsqd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nsqd {
    /// TCP address that consumers are told.
    pub tcp: String,
    /// HTTP address that is told as well.
    pub http: String,
    /// By how many nsqlookupds it is named.
    pub named_by: usize,
    /// Its version, or why it cannot be reached.
    pub reached: Result<String, String>,
}

impl Report {
    /// True if nothing is missing.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty() && self.seen() == self.wanted
    }

    /// Messages that made the round trip.
    #[must_use]
    pub fn seen(&self) -> u32 {
        u32::try_from(self.latencies.len()).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .lookupds
            .iter()
            .map(|l| l.address.len())
            .chain(self.nsqds.iter().map(|n| n.tcp.len()));
        let width = width.max().unwrap_or(0);
        for Lookupd { address, nodes } in &self.lookupds {
            match nodes {
                Ok(count) => writeln!(f, "nsqlookupd  {address:width$}  names {count} nsqd")?,
                Err(_) => writeln!(f, "nsqlookupd  {address:width$}  no answer")?,
            }
        }
        let answering = self.lookupds.iter().filter(|l| l.nodes.is_ok()).count();
        for Nsqd {
            tcp,
            named_by,
            reached,
            ..
        } in &self.nsqds
        {
            match reached {
                Ok(version) => {
                    writeln!(
                        f,
                        "nsqd        {tcp:width$}  {version}, named by {named_by} of {answering} nsqlookupd"
                    )?;
                }
                Err(_) => writeln!(f, "nsqd        {tcp:width$}  not reachable")?,
            }
        }
        if let Some((middle, longest)) = middle_and_longest(&self.latencies) {
            writeln!(f, "latency     p50 {}, max {}", millis(middle), millis(longest))?;
        }
        for problem in &self.problems {
            writeln!(f, "missing: {problem}")?;
        }
        let word = if self.is_ok() { "ok" } else { "failed" };
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "{word}: {} of {} in {seconds:.1} s", self.seen(), self.wanted)
    }
}

fn middle_and_longest(latencies: &[Duration]) -> Option<(Duration, Duration)> {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    Some((*sorted.get(sorted.len() / 2)?, *sorted.last()?))
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::{Lookupd, Nsqd, Report};
    use std::time::Duration;

    fn report() -> Report {
        let nsqd = |port: u16, reached| Nsqd {
            tcp: format!("127.0.0.1:{port}"),
            http: format!("127.0.0.1:{}", port + 1),
            named_by: 1,
            reached,
        };
        Report {
            lookupds: vec![Lookupd {
                address: "127.0.0.1:4161".to_owned(),
                nodes: Ok(2),
            }],
            nsqds: vec![
                nsqd(4150, Ok("1.3.0".to_owned())),
                nsqd(4250, Ok("1.3.0".to_owned())),
            ],
            wanted: 3,
            latencies: [3_000, 250, 400].map(Duration::from_micros).to_vec(),
            elapsed: Duration::from_millis(420),
            problems: Vec::new(),
        }
    }

    #[test]
    fn a_good_report_ends_with_ok() {
        let text = report().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "nsqlookupd  127.0.0.1:4161  names 2 nsqd",
                "nsqd        127.0.0.1:4150  1.3.0, named by 1 of 1 nsqlookupd",
                "nsqd        127.0.0.1:4250  1.3.0, named by 1 of 1 nsqlookupd",
                "latency     p50 0.40 ms, max 3.00 ms",
                "ok: 3 of 3 in 0.4 s",
            ]
        );
    }

    #[test]
    fn a_problem_or_a_lost_message_fails() {
        let mut lost = report();
        lost.latencies.pop();
        assert!(!lost.is_ok());
        assert!(lost.to_string().ends_with("failed: 2 of 3 in 0.4 s\n"));
        let mut away = report();
        away.problems
            .push("nsqd 127.0.0.1:4350 is registered, but …".to_owned());
        assert!(
            away.to_string()
                .contains("missing: nsqd 127.0.0.1:4350 is registered")
        );
        assert!(away.to_string().ends_with("failed: 3 of 3 in 0.4 s\n"));
    }

    #[test]
    fn nothing_seen_has_no_latency() {
        let mut none = report();
        none.latencies.clear();
        assert!(!none.to_string().contains("latency"));
    }
}
