//! Publishers in a closed loop: the next command goes when an answer made room for it.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nsq_protocol::v2::encode;

use super::arrived::{Arrived, joined};
use super::conn::{Conn, Wish};
use super::http::Http;
use super::meter::{Found, Meter, Target, add, histogram};
use super::sent::{body, create, topic};
use crate::outcome::Outcome;
use crate::scenario::{Publish, PublishHttp};

/// Most threads that publish. Where there are more connections, each thread has several and writes to all before it reads.
const THREADS: usize = 64;

/// Holds publishers back while more than so many messages were not consumed yet.
#[derive(Clone, Copy)]
pub(super) struct Bound<'a> {
    pub(super) arrived: &'a Arrived,
    pub(super) published: &'a Arrived,
    /// Deliveries of each message.
    pub(super) copies: u64,
    pub(super) most: u64,
}

impl Bound<'_> {
    fn is_reached(&self) -> bool {
        self.published.count() >= self.arrived.count() / self.copies + self.most
    }
}

/// One publisher.
pub(super) struct Publisher {
    conn: Conn,
    /// One command for each topic, taken in turn.
    commands: Vec<Vec<u8>>,
    next: usize,
    batch: u64,
    window: u64,
    sent: u64,
    answered: u64,
    total: u64,
}

impl Publisher {
    pub(super) fn open(work: &Publish, target: Target, number: usize) -> Outcome<Self> {
        let body = body(work.size);
        let messages = vec![&body; work.batch];
        let mut commands = Vec::new();
        for number in 0..work.topics {
            let mut out = Vec::new();
            match work.batch {
                1 => encode::publish(&mut out, &topic(number)?, &body),
                _ => encode::publish_many(&mut out, &topic(number)?, &messages),
            }
            commands.push(out);
        }
        Ok(Self {
            conn: Conn::open(target.tcp, work.wish)?,
            commands,
            next: number,
            batch: work.batch as u64,
            window: work.window as u64,
            sent: 0,
            answered: 0,
            total: 0,
        })
    }

    /// More commands to send.
    pub(super) fn more(&mut self, commands: u64) {
        self.total += commands;
    }

    fn is_done(&self) -> bool {
        self.answered == self.total
    }

    /// Writes what the window has room for: all of it at first, then a half at a time.
    fn write(&mut self, out: &mut Vec<u8>, bound: Option<Bound<'_>>) -> Outcome {
        let room = if self.sent == self.answered {
            self.window
        } else {
            self.window.div_ceil(2)
        };
        let count = room.min(self.total - self.sent);
        if count == 0 {
            return Ok(());
        }
        if let Some(bound) = bound {
            while bound.is_reached() {
                // What is outstanding lands before consumers are waited for.
                self.conn.oks(self.sent - self.answered)?;
                self.answered = self.sent;
                if bound.arrived.is_stopped() {
                    return Err("consumers ended before everything was published".to_owned());
                }
                thread::sleep(Duration::from_micros(50));
            }
            bound.published.add(count * self.batch);
        }
        out.clear();
        for _ in 0..count {
            out.extend_from_slice(&self.commands[self.next % self.commands.len()]);
            self.next += 1;
        }
        self.sent += count;
        self.conn.write(out)
    }

    /// Reads the answers that make room for the next write; all of them at the end.
    fn read(&mut self) -> Outcome {
        let open = self.sent - self.answered;
        let wanted = if self.sent == self.total {
            open
        } else {
            open.saturating_sub(self.window / 2)
        };
        self.conn.oks(wanted)?;
        self.answered += wanted;
        Ok(())
    }

    /// One at a time, until all is answered. Latencies are those of a write and its answers.
    pub(super) fn finish(
        publishers: &mut [Self],
        bound: Option<Bound<'_>>,
        latencies: &mut Histogram<u64>,
    ) -> Outcome {
        let mut out = Vec::new();
        while !publishers.iter().all(Self::is_done) {
            let began = Instant::now();
            for publisher in publishers.iter_mut() {
                publisher.write(&mut out, bound)?;
            }
            for publisher in publishers.iter_mut() {
                publisher.read()?;
            }
            add(latencies, nanoseconds(began.elapsed()));
        }
        Ok(())
    }
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn over_tcp(work: &Publish, target: Target) -> Outcome<Found> {
    if work.channels > 0 {
        create(target, work.topics, work.channels)?;
    }
    let threads = work.connections.min(THREADS);
    let commands = (work.count / work.batch / work.connections).max(1) as u64;
    let ready = Arc::new(Barrier::new(threads + 1));
    thread::scope(|scope| {
        let mut handles = Vec::new();
        for thread in 0..threads {
            let ready = Arc::clone(&ready);
            handles.push(scope.spawn(move || {
                let prepared = (thread..work.connections)
                    .step_by(threads)
                    .map(|number| Publisher::open(work, target, number))
                    .collect::<Outcome<Vec<_>>>();
                let warm = prepared.and_then(|mut publishers| {
                    let some = (work.warm_up / work.batch / work.connections) as u64;
                    publishers.iter_mut().for_each(|p| p.more(some));
                    Publisher::finish(&mut publishers, None, &mut histogram()?)?;
                    Ok(publishers)
                });
                // Whether or not it worked: the others wait for it.
                ready.wait();
                let mut publishers = warm?;
                let mut latencies = histogram()?;
                publishers.iter_mut().for_each(|p| p.more(commands));
                Publisher::finish(&mut publishers, None, &mut latencies)?;
                Ok(latencies)
            }));
        }
        ready.wait();
        let meter = Meter::start(target)?;
        let mut latencies = histogram()?;
        for handle in handles {
            latencies += joined(handle)?;
        }
        let messages = commands * (work.batch * work.connections) as u64;
        let mut found = meter.finish(messages)?;
        found.latency("command", &latencies);
        Ok(found)
    })
}

pub(super) fn over_http(work: &PublishHttp, target: Target) -> Outcome<Found> {
    let body = body(work.size);
    let (path, body) = match work.batch {
        1 => ("/pub?topic=load_0", body),
        batch => {
            let mut many = (batch as u32).to_be_bytes().to_vec();
            for _ in 0..batch {
                many.extend_from_slice(&(body.len() as u32).to_be_bytes());
                many.extend_from_slice(&body);
            }
            ("/mpub?topic=load_0&binary=true", many)
        }
    };
    let requests = work.count / work.batch / work.connections;
    let ready = Arc::new(Barrier::new(work.connections + 1));
    thread::scope(|scope| {
        let mut handles = Vec::new();
        for _ in 0..work.connections {
            let (ready, body) = (Arc::clone(&ready), &body);
            handles.push(scope.spawn(move || {
                let first = Http::connect(target.http).and_then(|mut http| {
                    http.ask("POST", path, body)?;
                    Ok(http)
                });
                ready.wait();
                let mut http = first?;
                let mut latencies = histogram()?;
                for _ in 0..requests {
                    let began = Instant::now();
                    http.ask("POST", path, body)?;
                    add(&mut latencies, nanoseconds(began.elapsed()));
                }
                Ok(latencies)
            }));
        }
        ready.wait();
        let meter = Meter::start(target)?;
        let mut latencies = histogram()?;
        for handle in handles {
            latencies += joined(handle)?;
        }
        let mut found = meter.finish((requests * work.batch * work.connections) as u64)?;
        found.latency("command", &latencies);
        Ok(found)
    })
}

/// Fills channel 0 of topic 0, to be consumed.
pub(super) fn fill(count: usize, size: usize, wish: Wish, target: Target) -> Outcome {
    let work = Publish {
        wish,
        channels: 1,
        count,
        size,
        // Large bodies in batches of a megabyte at most, which any daemon takes.
        batch: (1_000_000 / size.max(1)).clamp(1, 200),
        warm_up: 0,
        ..Publish::default()
    };
    let batch = work.batch;
    over_tcp(&work, target)?;
    // What is left of a batch.
    let rest = count % batch;
    if rest > 0 {
        let rest = Publish {
            channels: 0,
            count: rest,
            batch: 1,
            ..work
        };
        over_tcp(&rest, target)?;
    }
    Ok(())
}
