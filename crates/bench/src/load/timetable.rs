//! The open loop: messages go by a timetable whatever the daemon does, and latencies count from the timetable. A daemon that
//! stalls is charged for every message that should have gone meanwhile, and so is a sender that is late; how late it was is
//! reported, so that a noisy run is recognised.

use std::io::Write as _;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use nsq_protocol::v2::encode;

use super::arrived::{Arrived, StopAtEnd, joined};
use super::conn::Conn;
use super::consume::{self, consume, finish, subscribed};
use super::meter::{Found, Meter, Target, add, histogram};
use super::sent::{body, create, stamp, stamped, topic};
use crate::machine::wall_ns;
use crate::outcome::Outcome;
use crate::scenario::Timetable;

/// Time from the start of the threads to the first message.
const PREPARE_NS: u64 = 300_000_000;
/// Messages of the first second do not count.
const WARM_UP_NS: u64 = 1_000_000_000;
/// Most bytes of one write.
const AT_ONCE: usize = 60_000;

/// When message `number` of a sender is due.
#[derive(Clone, Copy)]
pub(super) struct Schedule {
    start: u64,
    gap: f64,
}

impl Schedule {
    /// Senders take turns.
    pub(super) fn of(work: &Timetable, start: u64, sender: usize) -> Self {
        let gap = 1e9 / work.rate * work.connections as f64;
        let own = gap * sender as f64 / work.connections as f64;
        Self {
            start: start + own as u64,
            gap,
        }
    }

    fn due(self, number: u64) -> u64 {
        self.start + (self.gap * number as f64) as u64
    }
}

pub(super) fn run(work: &Timetable, target: Target) -> Outcome<Found> {
    create(target, 1, work.channels)?;
    let each = (work.rate * work.seconds / work.connections as f64) as u64;
    let messages = each * work.connections as u64;
    let consumers = work.channels * work.consumers;
    let threads = consume::threads(consumers, work.wish.layer);
    let ready = Arc::new(Barrier::new(threads + work.connections + 1));
    let arrived = Arrived::default();
    let start = wall_ns() + PREPARE_NS;
    let counts_from = start + WARM_UP_NS.min((work.seconds * 1e9 / 4.0) as u64);
    thread::scope(|scope| {
        let _stop = StopAtEnd(&arrived);
        let arrived = &arrived;
        let mut receivers = Vec::new();
        for thread in 0..threads {
            let ready = Arc::clone(&ready);
            receivers.push(scope.spawn(move || {
                let conns = (thread..consumers)
                    .step_by(threads)
                    .map(|number| {
                        let mut conn = subscribed(target, work.wish, 0, number % work.channels)?;
                        conn.ready(work.window)?;
                        Ok(conn)
                    })
                    .collect::<Outcome<Vec<Conn>>>();
                ready.wait();
                arrived.or_stop(|| {
                    let mut latencies = histogram()?;
                    consume(conns?, u64::MAX, arrived, |message, out| {
                        let due = stamped(message.body);
                        if due > counts_from {
                            add(&mut latencies, wall_ns().saturating_sub(due));
                        }
                        finish(message, out);
                    })?;
                    Ok(latencies)
                })
            }));
        }
        let mut senders = Vec::new();
        for sender in 0..work.connections {
            let ready = Arc::clone(&ready);
            senders.push(scope.spawn(move || {
                let conn = Conn::open(target.tcp, work.wish);
                ready.wait();
                arrived.or_stop(|| send(work, conn?, Schedule::of(work, start, sender), each, counts_from))
            }));
        }
        ready.wait();
        let meter = Meter::start(target)?;
        let most = arrived.wait(messages * work.channels as u64);
        let found = meter.finish(messages);
        arrived.stop();
        let (mut answers, mut lateness, mut deliveries) = (histogram()?, histogram()?, histogram()?);
        for sender in senders {
            let (answered, late) = joined(sender)?;
            answers += answered;
            lateness += late;
        }
        for receiver in receivers {
            deliveries += joined(receiver)?;
        }
        let mut found = found?;
        found.set("per_second", most? / work.channels as f64);
        found.set("rate", work.rate);
        found.latency("answer", &answers);
        found.latency("end_to_end", &deliveries);
        found.latency("sender_late", &lateness);
        Ok(found)
    })
}

type Histogram = hdrhistogram::Histogram<u64>;

/// Sends by the schedule on one thread and reads the answers on another. Latency of answers, lateness of the sender.
pub(super) fn send(
    work: &Timetable,
    mut conn: Conn,
    schedule: Schedule,
    count: u64,
    counts_from: u64,
) -> Outcome<(Histogram, Histogram)> {
    let mut writer = conn.writer()?;
    let topic = topic(0)?;
    thread::scope(|scope| {
        let answers = scope.spawn(move || {
            let mut latencies = histogram()?;
            for number in 0..count {
                conn.oks(1)?;
                let due = schedule.due(number);
                if due > counts_from {
                    add(&mut latencies, wall_ns().saturating_sub(due));
                }
            }
            Ok(latencies)
        });
        let mut lateness = histogram()?;
        let mut body = body(work.size);
        let mut out = Vec::new();
        let mut next = 0;
        while next < count {
            let now = wall_ns();
            out.clear();
            while next < count && schedule.due(next) <= now && out.len() < AT_ONCE {
                let due = schedule.due(next);
                stamp(&mut body, due);
                encode::publish(&mut out, &topic, &body);
                if due > counts_from {
                    add(&mut lateness, now - due);
                }
                next += 1;
            }
            if out.is_empty() {
                let pause = schedule.due(next).saturating_sub(now).clamp(1_000, 1_000_000);
                thread::sleep(Duration::from_nanos(pause));
            } else {
                let sent = writer.write_all(&out);
                sent.map_err(|why| format!("write to nsqd by the timetable: {why}"))?;
            }
        }
        Ok((joined(answers)?, lateness))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::conn::Wish;

    #[test]
    fn senders_take_turns_at_the_rate() {
        let work = Timetable {
            rate: 1000.0,
            connections: 2,
            wish: Wish::default(),
            ..Timetable::default()
        };
        let (a, b) = (Schedule::of(&work, 0, 0), Schedule::of(&work, 0, 1));
        let due: Vec<u64> = (0..3).flat_map(|n| [a.due(n), b.due(n)]).collect();
        assert_eq!(due, [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000]);
    }
}
