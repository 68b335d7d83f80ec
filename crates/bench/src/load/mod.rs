//! The load client: bare connections of its own, a thread for each or epoll for many, no runtime, so that it costs little beside
//! what is measured.

mod both;
mod conn;
mod consume;
mod footprint;
mod http;
mod life;
mod publish;
pub(crate) mod soak;
mod stream;
mod timers;
mod timetable;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use nsq_protocol::{ChannelName, TopicName};

pub(crate) use crate::Outcome;
use crate::record::{Figures, Latency};
use crate::scenario::Work;
use crate::usage::{self, Usage};

pub(crate) use conn::{Conn, Wish};
pub(crate) use http::Http;
pub(crate) use stream::Layer;

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

/// Does this work on a daemon that runs. Works that start and stop the daemon themselves are in [`life`].
///
/// # Errors
/// The daemon refused something, stood still, or sent what it should not.
pub(crate) fn run(work: &Work, target: Target) -> Outcome<Found> {
    match work {
        Work::Publish(work) => publish::over_tcp(work, target),
        Work::PublishHttp(work) => publish::over_http(work, target),
        Work::Consume(work) => consume::run(work, target),
        Work::Both(work) => both::run(work, target),
        Work::Timetable(work) => timetable::run(work, target),
        Work::Deferred(work) => timers::deferred(work, target),
        Work::Timeouts { count } => timers::timeouts(*count, target),
        Work::IdleConnections { count, subscribed } => footprint::connections(*count, *subscribed, target),
        Work::IdleTopics { count } => footprint::topics(*count, target),
        Work::Restart { .. } | Work::Exit { .. } | Work::Start { .. } => {
            Err("this work starts its daemon itself".to_owned())
        }
    }
}

pub(crate) use life::run as run_life;

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

/// Counts what arrives, over all threads of a run, and tells them when to end.
#[derive(Default)]
pub(crate) struct Arrived {
    count: AtomicU64,
    stop: AtomicBool,
}

/// Without a message for so long, a run is given up.
const STALL: Duration = Duration::from_secs(90);

impl Arrived {
    pub(crate) fn add(&self, count: u64) {
        if count > 0 {
            self.count.fetch_add(count, Relaxed);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// What a thread does; where that fails, the run ends for all.
    pub(crate) fn or_stop<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        work().inspect_err(|_| self.stop())
    }

    /// Waits until so many have come. Gives messages per second of the first 98 %: the last may wait in the daemon for a timer that
    /// writes them out, which is a matter of latency.
    pub(crate) fn wait(&self, wanted: u64) -> Outcome<f64> {
        let began = Instant::now();
        let mut most = None;
        let (mut last, mut moved) = (0, began);
        loop {
            let count = self.count();
            if most.is_none() && count >= wanted - wanted / 50 {
                most = Some(count as f64 / began.elapsed().as_secs_f64());
            }
            if count >= wanted {
                return Ok(most.unwrap_or_default());
            }
            if self.is_stopped() {
                return Err("a consumer ended before everything had come".to_owned());
            }
            if count != last {
                (last, moved) = (count, Instant::now());
            }
            if moved.elapsed() > STALL {
                return Err(format!(
                    "{count} of {wanted} messages came, then none for {STALL:?}"
                ));
            }
            thread::sleep(Duration::from_micros(500));
        }
    }
}

/// Stops the threads of a run when it is left, by whatever way.
pub(crate) struct StopAtEnd<'a>(pub(crate) &'a Arrived);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What a thread left, or that it panicked.
pub(crate) fn joined<T>(handle: thread::ScopedJoinHandle<'_, Outcome<T>>) -> Outcome<T> {
    handle
        .join()
        .map_err(|_| "a thread of the load client broke off".to_owned())?
}

/// Text of this size: every second byte repeats and every second does not, so that compression is neither trivial nor hopeless.
pub(crate) fn body(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut letter = |at: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if at.is_multiple_of(2) {
            b'a' + (at / 2 % 8) as u8
        } else {
            b'!' + (state % 64) as u8
        }
    };
    (0..size).map(&mut letter).collect()
}

pub(crate) fn topic(number: usize) -> Outcome<TopicName> {
    let name = format!("load_{number}");
    TopicName::parse(name.as_bytes()).map_err(|why| format!("{name}: {why}"))
}

pub(crate) fn channel(number: usize) -> Outcome<ChannelName> {
    let name = format!("c{number}");
    ChannelName::parse(name.as_bytes()).map_err(|why| format!("{name}: {why}"))
}

/// Makes topics with channels, so that every message goes to all of them.
pub(crate) fn create(target: Target, topics: usize, channels: usize) -> Outcome {
    let mut http = Http::connect(target.http)?;
    for topic in 0..topics {
        http.ask("POST", &format!("/topic/create?topic=load_{topic}"), b"")?;
        for channel in 0..channels {
            let target = format!("/channel/create?topic=load_{topic}&channel=c{channel}");
            http.ask("POST", &target, b"")?;
        }
    }
    Ok(())
}

/// Nanoseconds since 1970: what a body carries from one thread to another.
pub(crate) fn wall_ns() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The time that a body carries in front.
pub(crate) fn stamped(body: &[u8]) -> u64 {
    body.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Puts the time in front of a body.
pub(crate) fn stamp(body: &mut [u8], time: u64) {
    if let Some(front) = body.first_chunk_mut() {
        *front = time.to_le_bytes();
    }
}
