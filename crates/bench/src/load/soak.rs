//! A mixed load that goes on: a timetable, messages that are requeued and that time out, consumers that come and go, slow ones,
//! topics that are made and deleted.

use std::sync::Mutex;
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nsq_protocol::v2::encode;
use nsq_protocol::{ChannelName, TopicName};

use super::arrived::Arrived;
use super::conn::{Conn, Wish};
use super::consume::{self, consume, finish, subscribed};
use super::http::Http;
use super::meter::{Target, add, histogram};
use super::sent::{channel, create, stamped, topic};
use super::stream::Layer;
use super::timetable::{Schedule, send};
use crate::machine::wall_ns;
use crate::outcome::Outcome;
use crate::scenario::Timetable;

/// Consumers of the second channel, of which one is slow.
const CONSUMERS: usize = 100;
/// One of so many messages is requeued.
const REQUEUED: u64 = 100;
/// By this delay.
const DELAY_MS: u64 = 50;
/// One of so many gets no answer and times out.
const FORGOTTEN: u64 = 1000;
/// What consumers ask for.
const WISH: Wish = Wish {
    layer: Layer::None,
    unbuffered: false,
    msg_timeout_ms: Some(1000),
    small: false,
};
/// How long a slow consumer takes for a message.
const SLOW: Duration = Duration::from_millis(200);
/// Between two consumers that come and go, and between two topics that do.
const CHURN: Duration = Duration::from_millis(200);
/// Messages of a topic that comes and goes.
const SHORT_LIVED: usize = 50;

/// What the threads share.
#[derive(Default)]
pub(crate) struct Shared {
    /// Ends the consumers that stay, after everything has come.
    stay: Arrived,
    /// Ends those that come and go.
    churn: Arrived,
    /// Latency of first deliveries since it was last taken.
    latencies: Mutex<Option<Histogram<u64>>>,
    /// The first thing that went wrong.
    failed: Mutex<Option<String>>,
}

impl Shared {
    /// The latencies since the last call.
    pub(crate) fn take_latencies(&self) -> Option<Histogram<u64>> {
        self.latencies.lock().ok()?.take()
    }

    /// What went wrong, if anything did.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failed.lock().ok()?.clone()
    }

    pub(crate) fn end_churn(&self) {
        self.churn.stop();
    }

    pub(crate) fn end(&self) {
        self.churn.stop();
        self.stay.stop();
    }

    fn note(&self, done: Outcome) {
        if let (Err(why), Ok(mut failed)) = (done, self.failed.lock()) {
            failed.get_or_insert(why);
        }
    }

    fn merge(&self, latencies: &mut Histogram<u64>) -> Outcome {
        let mut all = self
            .latencies
            .lock()
            .map_err(|_| "a thread of the load broke off")?;
        match all.as_mut() {
            Some(all) => all
                .add(&*latencies)
                .map_err(|why| format!("add latencies: {why}"))?,
            None => *all = Some(latencies.clone()),
        }
        latencies.reset();
        Ok(())
    }
}

/// Starts all threads of the load. The timetable ends by itself, the rest by [`Shared::end`].
///
/// # Errors
/// Topics and channels could not be made.
pub(crate) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    shared: &'scope Shared,
    work: &'scope Timetable,
    target: Target,
) -> Outcome {
    create(target, 1, 2)?;
    scope.spawn(move || shared.note(steady(shared, target)));
    let threads = consume::threads(CONSUMERS - 1, Layer::None);
    for thread in 0..threads {
        scope.spawn(move || shared.note(crowd(thread, threads, shared, target)));
    }
    scope.spawn(move || shared.note(slow(shared, target)));
    scope.spawn(move || shared.note(until_stopped(shared, |_| come_and_go(target))));
    scope.spawn(move || shared.note(until_stopped(shared, |number| short_lived(number, target))));
    scope.spawn(move || {
        let conn = Conn::open(target.tcp, Wish::default());
        let schedule = Schedule::of(work, wall_ns() + 500_000_000, 0);
        let count = (work.rate * work.seconds) as u64;
        shared.note(
            conn.and_then(|conn| send(work, conn, schedule, count, 0))
                .map(drop),
        );
    });
    Ok(())
}

/// The consumer of the first channel: finishes most, requeues some, forgets some.
fn steady(shared: &Shared, target: Target) -> Outcome {
    let mut conn = subscribed(target, WISH, 0, 0)?;
    conn.ready(1000)?;
    let mut latencies = histogram()?;
    let mut merged = Instant::now();
    let mut count = 0_u64;
    let mut failed = Ok(());
    consume(vec![conn], u64::MAX, &shared.stay, |message, out| {
        if message.attempts > 1 {
            finish(message, out);
            return;
        }
        count += 1;
        if count.is_multiple_of(REQUEUED) {
            encode::requeue(out, message.id, DELAY_MS);
        } else if count % FORGOTTEN != 1 {
            add(&mut latencies, wall_ns().saturating_sub(stamped(message.body)));
            finish(message, out);
        }
        if merged.elapsed() > Duration::from_millis(100) {
            failed = std::mem::replace(&mut failed, Ok(())).and(shared.merge(&mut latencies));
            merged = Instant::now();
        }
    })?;
    failed
}

/// Consumers of the second channel, on one thread of several.
fn crowd(thread: usize, threads: usize, shared: &Shared, target: Target) -> Outcome {
    let conns = (thread..CONSUMERS - 1)
        .step_by(threads)
        .map(|_| {
            let mut conn = subscribed(target, Wish { small: true, ..WISH }, 0, 1)?;
            conn.ready(10)?;
            Ok(conn)
        })
        .collect::<Outcome<Vec<_>>>()?;
    consume(conns, u64::MAX, &shared.stay, finish)
}

fn slow(shared: &Shared, target: Target) -> Outcome {
    let mut conn = subscribed(target, WISH, 0, 1)?;
    conn.ready(1)?;
    consume(vec![conn], u64::MAX, &shared.stay, |message, out| {
        thread::sleep(SLOW);
        finish(message, out);
    })
}

fn until_stopped(shared: &Shared, mut turn: impl FnMut(u64) -> Outcome) -> Outcome {
    let mut number = 0;
    while !shared.churn.is_stopped() {
        turn(number)?;
        number += 1;
        thread::sleep(CHURN);
    }
    Ok(())
}

/// A consumer that leaves with messages in flight.
fn come_and_go(target: Target) -> Outcome {
    let mut conn = subscribed(target, WISH, 0, 0)?;
    conn.wait_at_most(Duration::from_millis(50))?;
    conn.ready(5)?;
    conn.fill().map(drop)
}

/// A topic that is published to, partly consumed and deleted with the rest.
fn short_lived(number: u64, target: Target) -> Outcome {
    let name = format!("short_lived_{number}");
    let topic = TopicName::parse(name.as_bytes()).map_err(|why| format!("{name}: {why}"))?;
    let channel: ChannelName = channel(0)?;
    let mut http = Http::connect(target.http)?;
    http.ask("POST", &format!("/topic/create?topic={name}"), b"")?;
    http.ask("POST", &format!("/channel/create?topic={name}&channel=c0"), b"")?;
    let mut publisher = Conn::open(target.tcp, Wish::default())?;
    let mut out = Vec::new();
    for _ in 0..SHORT_LIVED {
        encode::publish(&mut out, &topic, &crate::load::sent::body(200));
    }
    publisher.write(&out)?;
    publisher.oks(SHORT_LIVED as u64)?;
    let mut consumer = Conn::open(target.tcp, WISH)?;
    consumer.subscribe(&topic, &channel)?;
    consumer.wait_at_most(Duration::from_millis(50))?;
    consumer.ready(10)?;
    consumer.fill()?;
    out.clear();
    consumer.messages(&mut out, u64::MAX, finish)?;
    http.ask("POST", &format!("/topic/delete?topic={name}"), b"")?;
    Ok(())
}

/// Messages of the lasting topic that are in the daemon in any state.
///
/// # Errors
/// `/stats` does not answer as it should.
pub(crate) fn left(target: Target) -> Outcome<u64> {
    let mut http = Http::connect(target.http)?;
    let page = format!(
        "/stats?format=json&include_mem=false&topic={}",
        topic(0)?.as_str()
    );
    let text = http.ask("GET", &page, b"")?;
    let stats: serde_json::Value =
        serde_json::from_slice(&text).map_err(|why| format!("read /stats: {why}"))?;
    let topic = &stats["topics"][0];
    let number = |value: &serde_json::Value| value.as_u64().unwrap_or_default();
    let channels = topic["channels"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let of = |channel: &serde_json::Value| {
        ["depth", "in_flight_count", "deferred_count"]
            .iter()
            .map(|name| number(&channel[name]))
            .sum::<u64>()
    };
    Ok(number(&topic["depth"]) + channels.iter().map(of).sum::<u64>())
}
