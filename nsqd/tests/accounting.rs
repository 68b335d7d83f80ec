//! Publishers and consumers that do everything at once: nothing is lost, and the counters say exactly what happened.
//! Case 296 of the nsqd specification watches them meanwhile.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nsq_testkit::{Conn, Daemon, Delivery, Frame, Next, Stopwatch, eventually, nsqd};

/// Connections of each kind.
const EACH: u64 = 4;

/// Most messages that one publisher sends.
const MOST: usize = 5000;

/// How long everybody does as they like.
const WILD: Duration = Duration::from_secs(5);

/// How long the consumers may need for what is left, time-outs included.
const REST: Duration = Duration::from_secs(60);

/// An id that no message has: the error about it says that all answers before it have been looked at.
const FENCE: &str = "zzzzzzzzzzzzzzzz";

/// Frames between two fences.
const FENCE_EVERY: usize = 50;

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// What all threads share.
#[derive(Default)]
struct Shared {
    /// Every publisher has ended; consumers only finish from now on.
    published_all: AtomicBool,
    published: AtomicUsize,
    requeued: AtomicUsize,
    /// Bodies of the messages whose FIN was accepted, with the attempts they took.
    finished: Mutex<HashMap<Vec<u8>, u16>>,
}

impl Shared {
    /// Whether every message is published and finished.
    fn is_over(&self) -> bool {
        self.published_all.load(Ordering::SeqCst)
            && self.finished.lock().unwrap().len() >= self.published.load(Ordering::SeqCst)
    }
}

/// Publishes one by one and in batches; each body is unique.
fn publish(daemon: &Daemon, shared: &Shared, number: u64) {
    let clock = Stopwatch::start();
    let mut dice = Dice::new(number + 1);
    let mut conn = daemon.connect();
    let mut sent = 0;
    let mut body = || {
        sent += 1;
        (sent, format!("{number}-{sent}").into_bytes())
    };
    while clock.elapsed() < WILD {
        let count = if dice.roll(4) == 0 { 10 } else { 1 };
        let bodies: Vec<_> = (0..count).map(|_| body()).collect();
        let slices: Vec<&[u8]> = bodies.iter().map(|(_, body)| body.as_slice()).collect();
        match slices[..] {
            [one] => conn.publish("t", one),
            _ => conn.publish_many("t", &slices),
        }
        shared.published.fetch_add(count, Ordering::SeqCst);
        if bodies.last().is_some_and(|(sent, _)| *sent >= MOST) {
            break;
        }
    }
}

/// One connection of a consumer, and the answers whose fate is open.
struct Consumer<'a> {
    conn: Conn,
    shared: &'a Shared,
    dice: Dice,
    /// Messages with a FIN on its way, by id.
    finishing: HashMap<String, Delivery>,
    /// REQs sent that were not refused.
    requeued: usize,
    since_fence: usize,
}

impl<'a> Consumer<'a> {
    fn start(daemon: &Daemon, shared: &'a Shared, seed: u64) -> Self {
        let mut conn = daemon.connect();
        conn.identify(r#"{"msg_timeout":2000}"#);
        conn.expect_ok();
        conn.subscribe("t", "c");
        conn.command("RDY 20");
        Self {
            conn,
            shared,
            dice: Dice::new(seed),
            finishing: HashMap::new(),
            requeued: 0,
            since_fence: 0,
        }
    }

    /// Works until the end, or until it is this connection's turn to go; then everything it knows is told.
    fn run(mut self) {
        while !self.shared.is_over() {
            match self.conn.next(Duration::from_millis(100)) {
                Next::Frame(frame) => {
                    let delivery = self.take(&frame);
                    delivery.into_iter().for_each(|delivery| self.answer(delivery));
                    self.since_fence += 1;
                }
                Next::Silence => self.since_fence = FENCE_EVERY,
                Next::Closed => panic!("the server closed"),
            }
            if self.since_fence >= FENCE_EVERY {
                let late = self.settle();
                let wild = !self.shared.published_all.load(Ordering::SeqCst);
                if wild && self.dice.roll(20) == 0 {
                    // What is in flight on this connection comes again after its time-out.
                    return;
                }
                late.into_iter().for_each(|delivery| self.answer(delivery));
            }
        }
        self.settle();
    }

    /// Looks at one frame; gives the message in it that waits for an answer.
    fn take(&mut self, frame: &Frame) -> Option<Delivery> {
        match frame.kind {
            0 => assert!(frame.is_heartbeat(), "{}", frame.text()),
            1 => self.refused(&frame.text()),
            _ => {
                let delivery = frame.delivery();
                let Some(finishing) = self.finishing.get_mut(&delivery.id) else {
                    return Some(delivery);
                };
                // It timed out and came back to this connection while its FIN was on the way: no error, so that was for this one.
                *finishing = delivery;
            }
        }
        None
    }

    /// Does with a message what the dice say.
    fn answer(&mut self, delivery: Delivery) {
        let wild = !self.shared.published_all.load(Ordering::SeqCst);
        match if wild { self.dice.roll(60) } else { 60 } {
            0..6 => {
                let ms = self.dice.roll(2) * self.dice.roll(50);
                self.conn.requeue(&delivery, ms);
                self.requeued += 1;
            }
            // It is left to time out.
            6 => {}
            roll => {
                if roll < 12 {
                    self.conn.answer("TOUCH", &delivery);
                }
                self.conn.finish(&delivery);
                self.finishing.insert(delivery.id.clone(), delivery);
            }
        }
    }

    /// An answer was refused.
    fn refused(&mut self, text: &str) {
        let mut words = text.split(' ');
        let (code, id) = (words.next(), words.nth(1).unwrap_or_default());
        match code {
            Some("E_FIN_FAILED") => drop(self.finishing.remove(id)),
            Some("E_REQ_FAILED") => self.requeued -= 1,
            Some("E_TOUCH_FAILED") => {}
            _ => panic!("{text}"),
        }
    }

    /// Waits until every answer so far was looked at, and tells what became of the messages. Gives those that came meanwhile.
    fn settle(&mut self) -> Vec<Delivery> {
        self.since_fence = 0;
        self.conn.command(&format!("FIN {FENCE}"));
        let mut late = Vec::new();
        loop {
            let frame = self.conn.frame();
            if frame.kind == 1 && frame.text().contains(FENCE) {
                break;
            }
            late.extend(self.take(&frame));
        }
        let mut finished = self.shared.finished.lock().unwrap();
        for (_, delivery) in self.finishing.drain() {
            let again = finished.insert(delivery.body.clone(), delivery.attempts);
            assert_eq!(again, None, "finished twice: {delivery:?}");
        }
        drop(finished);
        let requeued = std::mem::take(&mut self.requeued);
        self.shared.requeued.fetch_add(requeued, Ordering::SeqCst);
        late
    }
}

/// The counters of the channel that only grow.
fn growing(daemon: &Daemon) -> [u64; 3] {
    let stats = daemon.get("/stats?format=json&topic=t&channel=c").json();
    let channel = &stats["topics"][0]["channels"][0];
    ["message_count", "requeue_count", "timeout_count"].map(|key| channel[key].as_u64().expect(key))
}

#[test]
fn nd_296_nothing_is_lost_and_every_delivery_is_counted() {
    expect_all_accounted(&nsqd!());
}

/// As before, with nearly every message through the disk, in files of a few hundred messages.
#[test]
fn nothing_is_lost_on_its_way_through_the_disk() {
    expect_all_accounted(&nsqd!("--mem-queue-size=10", "--max-bytes-per-file=10000"));
}

/// As before, with every message through the disk.
#[test]
fn nothing_is_lost_without_memory() {
    expect_all_accounted(&nsqd!("--mem-queue-size=0", "--sync-every=100"));
}

/// Everybody does as they like; in the end each message is finished once and the counters agree.
#[track_caller]
fn expect_all_accounted(daemon: &Daemon) {
    drop(daemon.subscribe("t", "c"));
    let shared = Shared::default();
    thread::scope(|scope| {
        let shared = &shared;
        let publishers: Vec<_> = (0..EACH)
            .map(|number| scope.spawn(move || publish(daemon, shared, number)))
            .collect();
        for number in 0..EACH {
            scope.spawn(move || {
                for life in 1.. {
                    if shared.is_over() {
                        return;
                    }
                    Consumer::start(daemon, shared, number << 32 | life).run();
                }
            });
        }
        let mut before = growing(daemon);
        eventually(WILD + REST, || {
            let now = growing(daemon);
            assert!(before.iter().zip(&now).all(|(before, now)| before <= now));
            before = now;
            let all = publishers.iter().all(thread::ScopedJoinHandle::is_finished);
            shared.published_all.store(all, Ordering::SeqCst);
            shared.is_over()
        });
    });
    let published = shared.published.into_inner() as u64;
    let finished = shared.finished.into_inner().unwrap();
    assert_eq!(finished.len() as u64, published);
    let requeued = shared.requeued.into_inner() as u64;
    daemon.expect_topic("t", &[("message_count", published), ("depth", 0)]);
    daemon.expect_channel(
        "t",
        "c",
        &[
            ("message_count", published),
            ("requeue_count", requeued),
            ("depth", 0),
            ("in_flight_count", 0),
            ("deferred_count", 0),
        ],
    );
    let [_, _, timed_out] = growing(daemon);
    let deliveries: u64 = finished.values().map(|attempts| u64::from(*attempts)).sum();
    assert_eq!(deliveries, published + requeued + timed_out);
    assert!(requeued > 0 && timed_out > 0, "{requeued} {timed_out}");
}
