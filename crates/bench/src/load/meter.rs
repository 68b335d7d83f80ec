//! What is measured: the daemon, what it uses, and what a run found out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::outcome::Outcome;
use crate::record::{Figures, Latency};
use crate::usage::{self, Usage};

/// A daemon to load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) pid: u32,
}

/// What a run found out.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) figures: Figures,
    pub(crate) latencies: BTreeMap<String, Latency>,
}

impl Found {
    pub(crate) fn set(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }

    pub(crate) fn latency(&mut self, name: &str, histogram: &Histogram<u64>) {
        self.latencies.insert(name.to_owned(), Latency::of(histogram));
    }
}

/// A histogram of nanoseconds: exact to 0.1 %, up to an hour, later is an hour.
pub(crate) fn histogram() -> Outcome<Histogram<u64>> {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 3).map_err(|why| format!("make a histogram: {why}"))
}

pub(crate) fn add(histogram: &mut Histogram<u64>, nanoseconds: u64) {
    histogram.saturating_record(nanoseconds.max(1));
}

/// What the daemon and this program use between two moments.
pub(crate) struct Meter {
    pid: u32,
    before: Usage,
    own: Duration,
    began: Instant,
}

impl Meter {
    pub(crate) fn start(target: Target) -> Outcome<Self> {
        Ok(Self {
            pid: target.pid,
            before: usage::of(target.pid)?,
            own: usage::own_cpu()?,
            began: Instant::now(),
        })
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The figures that every work of messages has.
    pub(crate) fn finish(self, messages: u64) -> Outcome<Found> {
        let seconds = self.elapsed().as_secs_f64();
        let after = usage::of(self.pid)?;
        let own = usage::own_cpu()?.saturating_sub(self.own);
        let Self { before, .. } = self;
        let count = messages.max(1) as f64;
        let per_million = |time: Duration| time.as_secs_f64() * 1e6 / count;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let mut found = Found::default();
        found.set("messages", messages as f64);
        found.set("seconds", seconds);
        found.set("per_second", count / seconds);
        found.set("cpu_seconds", (after.cpu - before.cpu).as_secs_f64());
        found.set("cpu_s_per_m", per_million(after.cpu - before.cpu));
        found.set("user_s_per_m", per_million(after.user - before.user));
        found.set("system_s_per_m", per_million(after.system - before.system));
        found.set("client_cpu_s_per_m", per_million(own));
        found.set(
            "switches_per_message",
            (after.switches - before.switches) as f64 / count,
        );
        let written = after.written_bytes.saturating_sub(before.written_bytes);
        found.set("written_bytes_per_message", written as f64 / count);
        found.set("rss_mib_before", mib(before.resident_bytes));
        found.set("rss_mib_after", mib(after.resident_bytes));
        found.set("rss_mib_peak", mib(after.peak_bytes));
        Ok(found)
    }
}
