//! The benchmark programs `bench_writer`, `bench_reader` and `bench_channels` (tools spec 9).
//!
//! | module | what |
//! |---|---|
//! | [`writer`] | acknowledged publishes, one batch under way for each connection |
//! | [`reader`] | deliveries and their answers |
//! | [`channels`] | many topics, channels and clients, as a load |
//!
//! Writer and reader have a thread and a connection for each processor; all begin at once, when the last is connected.

pub mod channels;
pub mod reader;
pub mod writer;

use std::cell::Cell;
use std::sync::{Arc, Barrier, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nsq_client::{Config, TopicName};
use nsq_service::clock::{Clock, SystemClock};
use nsq_service::duration;
use nsq_service::flags::{Flag, Values};

use crate::ending::End;
use crate::log;

pub(crate) const NSQD: Flag = Flag::string(
    "nsqd-tcp-address",
    "127.0.0.1:4150",
    "<addr>:<port> to connect to nsqd",
);
pub(crate) const RUNFOR: Flag = Flag::duration("runfor", "10s", "duration of time to run");
pub(crate) const TOPIC: Flag = Flag::string("topic", "sub_bench", "topic to use");
pub(crate) const SIZE: Flag = Flag::int("size", "200", "size of messages");
pub(crate) const DEADLINE: Flag = Flag::string("deadline", "", "deadline to start the benchmark run");

/// What writer and reader share.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nsqd: String,
    pub(crate) topic: TopicName,
    pub(crate) size: usize,
    pub(crate) time: Duration,
    begin: Option<Timestamp>,
}

impl Plan {
    /// Reads the shared flags.
    ///
    /// # Errors
    /// A name that is none, a size below 0, a moment that is none.
    pub(crate) fn of(values: &Values) -> Result<Self, End> {
        let topic = values.string("topic").parse();
        Ok(Self {
            nsqd: values.string("nsqd-tcp-address").to_owned(),
            topic: topic.map_err(|_| "--topic is invalid")?,
            size: number(values, "size")?,
            time: values.duration("runfor"),
            begin: begin(values.string("deadline"))?,
        })
    }

    /// A connection that introduces itself as `client`.
    pub(crate) fn config(program: &str, client: &str) -> Config {
        Config {
            client_id: client.to_owned(),
            hostname: client.to_owned(),
            user_agent: format!("{program}/{}", env!("CARGO_PKG_VERSION")),
            ..Config::default()
        }
    }

    /// Waits for the moment to begin, if it is still to come.
    fn wait(&self, clock: &SystemClock, program: &str) {
        let Some(begin) = self.begin else { return };
        let now = Timestamp::from_nanosecond(i128::from(clock.unix_nanos())).unwrap_or_default();
        let left = begin.duration_since(now);
        let shown = begin.to_zoned_datetime(TimeZone::UTC);
        let shown = shown.strftime("%Y-%m-%d %H:%M:%S +0000 UTC");
        let nanos = i64::try_from(left.as_nanos()).unwrap_or(i64::MIN);
        told(
            program,
            &format!("sleeping until {shown} ({})", duration::print(nanos)),
        );
        if left > SignedDuration::ZERO {
            #[allow(
                clippy::disallowed_methods,
                reason = "this thread has nothing else to do, and all others wait for it"
            )]
            thread::sleep(left.unsigned_abs());
        }
    }
}

/// A flag that is a number of things.
pub(crate) fn number(values: &Values, flag: &str) -> Result<usize, End> {
    let number = values.int(flag);
    usize::try_from(number).map_err(|_| format!("--{flag} {number} is less than 0").into())
}

/// `YYYY-MM-DD HH:MM:SS`, UTC.
fn begin(text: &str) -> Result<Option<Timestamp>, End> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| format!("--deadline {text:?} is no moment: write it as 2026-01-31 18:00:00, in UTC");
    let moment = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).map_err(wrong)?;
    let zoned = moment.to_zoned_datetime(TimeZone::UTC).map_err(wrong)?;
    Ok(Some(zoned.timestamp()))
}

/// When work begins and ends. Whoever has one is waited for by all others.
pub(crate) struct Run {
    begun: Cell<bool>,
    clock: Arc<SystemClock>,
    all: Arc<Barrier>,
    /// Of the first to begin.
    start: Arc<OnceLock<Duration>>,
    time: Duration,
}

impl Run {
    /// Waits for all others. What this yields says how long work goes on.
    pub(crate) fn begin(&self) -> Left {
        self.begun.set(true);
        self.all.wait();
        Left {
            end: *self.start.get_or_init(|| self.clock.monotonic()) + self.time,
            clock: Arc::clone(&self.clock),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.begun.get() {
            self.all.wait();
        }
    }
}

/// The time until the end.
pub(crate) struct Left {
    clock: Arc<SystemClock>,
    end: Duration,
}

impl Left {
    /// Zero at the end and after it.
    pub(crate) fn time(&self) -> Duration {
        self.end.saturating_sub(self.clock.monotonic())
    }
}

/// Runs `work` on a thread for each processor, and prints the line about the messages that they count.
///
/// # Errors
/// Of the first thread that has one.
pub(crate) fn measure(
    program: &'static str,
    plan: &Plan,
    work: impl Fn(&Plan, &Run) -> Result<u64, End> + Clone + Send + 'static,
) -> Result<(), End> {
    let clock = Arc::new(SystemClock::new());
    let count = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let all = Arc::new(Barrier::new(count + 1));
    let start = Arc::new(OnceLock::new());
    let failed: Arc<Mutex<Option<End>>> = Arc::default();
    let mut threads = Vec::new();
    for number in 0..count {
        let (plan, work, failed) = (plan.clone(), work.clone(), Arc::clone(&failed));
        let run = Run {
            begun: Cell::new(false),
            clock: Arc::clone(&clock),
            all: Arc::clone(&all),
            start: Arc::clone(&start),
            time: plan.time,
        };
        let work = move || match work(&plan, &run) {
            Ok(messages) => messages,
            Err(end) => {
                // The first reason is told, and nobody waits for this thread.
                failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(end);
                0
            }
        };
        let thread = thread::Builder::new()
            .name(format!("{program}-{number}"))
            .spawn(work);
        threads.push(thread.map_err(|error| format!("cannot start a thread - {error}"))?);
    }
    plan.wait(&clock, program);
    all.wait();
    let start = *start.get_or_init(|| clock.monotonic());
    let mut messages = 0;
    for thread in threads {
        messages += thread.join().map_err(|_| "a thread has ended early")?;
    }
    let took = clock.monotonic().saturating_sub(start);
    if let Some(end) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(end);
    }
    told(program, &line(took, messages, plan.size));
    Ok(())
}

fn told(program: &str, text: &str) {
    log::line_of(&format!("[{program}] "), text);
}

fn line(took: Duration, messages: u64, size: usize) -> String {
    let (seconds, count) = (took.as_secs_f64(), messages as f64);
    let took = duration::print(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX));
    let each = match messages {
        0 => "+Inf".to_owned(),
        _ => format!("{:.3}", seconds * 1e6 / count),
    };
    format!(
        "duration: {took} - {:.3}mb/s - {:.3}ops/s - {each}us/op",
        count * size as f64 / seconds / 1_048_576.0,
        count / seconds,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_that_of_the_reference() {
        assert_eq!(
            line(Duration::from_millis(2500), 5000, 1 << 20),
            "duration: 2.5s - 2000.000mb/s - 2000.000ops/s - 500.000us/op"
        );
        assert!(line(Duration::from_secs(1), 0, 1).ends_with(" - 0.000ops/s - +Infus/op"));
    }

    #[test]
    fn a_deadline_is_a_moment_in_utc() {
        let moment = begin("2024-03-05 13:04:09").unwrap().unwrap();
        assert_eq!(moment.to_string(), "2024-03-05T13:04:09Z");
        assert!(begin("").unwrap().is_none());
        for wrong in ["soon", "2024-03-05", "2024-13-05 13:04:09"] {
            assert!(begin(wrong).is_err(), "{wrong}");
        }
    }
}
