//! The end of nsqd under a publish load, many times: what it answered with `OK` is delivered after the next start.
//!
//! `cargo xtask crash` runs this with release programs and many rounds; among the other tests it is short. Each run prints a
//! line of a table: rounds, publishes answered with `OK`, lost, delivered twice.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests, whose numbers are for people"
)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use nsq_e2e::reference::Maker;
use nsq_testkit::{BOUND, Conn, Daemon, Launch, Next, body, eventually};

/// Connections that publish.
const PUBLISHERS: usize = 3;

/// A round ends the daemon after this many answers at least, and at most this many more.
const ANSWERS: (usize, usize) = (50, 1500);

/// Nothing more comes from a drained channel after this time. Only waited for in full when something is lost.
const QUIET: Duration = Duration::from_secs(3);

/// Sets the number of rounds of a run; a stop by SIGTERM has a quarter of them.
const ROUNDS: &str = "NSQ_CRASH_ROUNDS";

/// Rounds among the other tests.
const SHORT: usize = 12;

/// How the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Kill,
    Term,
}

/// What a run saw.
#[derive(Debug, Default)]
struct Counts {
    accepted: usize,
    lost: usize,
    twice: usize,
}

fn rounds() -> usize {
    std::env::var(ROUNDS).map_or(SHORT, |text| text.parse().expect("a number of rounds"))
}

/// Publishes until the daemon goes; adds what it took.
fn publish(mut conn: Conn, name: &str, accepted: &Mutex<Vec<Vec<u8>>>) {
    for number in 0.. {
        let text = format!("{name}-{number}").into_bytes();
        if !conn.try_send(&[b"PUB t\n".as_slice(), &body(&text)].concat()) {
            return;
        }
        match conn.next(BOUND) {
            Next::Frame(frame) if frame.kind == 0 && frame.data == b"OK" => {
                accepted.lock().unwrap().push(text);
            }
            // Refused while it stops: not promised, so not counted.
            Next::Frame(_) => {}
            Next::Closed => return,
            Next::Silence => panic!("a publish was not answered"),
        }
    }
}

/// Ends the daemon in the middle of a load and starts it again; the bodies that were answered with `OK`.
fn end_under_load(daemon: &mut Daemon, end: End, round: usize) -> Vec<Vec<u8>> {
    let accepted = Mutex::new(Vec::new());
    let enough = ANSWERS.0 + round * 7919 % ANSWERS.1;
    thread::scope(|scope| {
        for number in 0..PUBLISHERS {
            let (conn, accepted) = (daemon.connect(), &accepted);
            scope.spawn(move || publish(conn, &format!("{round}-{number}"), accepted));
        }
        eventually(BOUND, || accepted.lock().unwrap().len() >= enough);
        match end {
            End::Kill => daemon.kill(),
            End::Term => assert_eq!(daemon.stop(), Some(0), "{}", daemon.log()),
        }
    });
    daemon.restart();
    accepted.into_inner().unwrap()
}

/// Takes what is there until all of `wanted` has come, or nothing comes any more.
fn drain(daemon: &Daemon, wanted: &[Vec<u8>], counts: &mut Counts) {
    let mut seen: HashMap<&[u8], usize> = wanted.iter().map(|text| (text.as_slice(), 0)).collect();
    let mut missing = seen.len();
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 200");
    while missing > 0 {
        let Next::Frame(frame) = conn.next(QUIET) else {
            break;
        };
        if frame.kind != 2 {
            continue;
        }
        let delivery = frame.delivery();
        conn.finish(&delivery);
        // What is of an earlier round was finished there; a kill may bring it back.
        let Some(times) = seen.get_mut(delivery.body.as_slice()) else {
            continue;
        };
        missing -= usize::from(*times == 0);
        *times += 1;
    }
    conn.command("CLS");
    counts.accepted += wanted.len();
    counts.lost += missing;
    counts.twice += seen.values().filter(|times| **times > 1).count();
}

fn run(maker: Maker, end: End, rounds: usize, in_memory: usize) -> Counts {
    let mut daemon = Launch::new(maker.program("nsqd"))
        .flag(format!("--mem-queue-size={in_memory}"))
        .flag("--max-bytes-per-file=30000")
        .start();
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=c");
    let mut counts = Counts::default();
    for round in 0..rounds {
        let wanted = end_under_load(&mut daemon, end, round);
        drain(&daemon, &wanted, &mut counts);
        if (round + 1) % 25 == 0 {
            eprintln!("{maker:?} {end:?}: {} of {rounds} rounds, {counts:?}", round + 1);
        }
    }
    let Counts {
        accepted,
        lost,
        twice,
    } = counts;
    eprintln!("| {maker:?} | {end:?} | {rounds} | {accepted} | {lost} | {twice} |");
    counts
}

#[test]
fn ours_loses_nothing_that_was_answered() {
    for (end, rounds, in_memory) in [(End::Kill, rounds(), 0), (End::Term, rounds().div_ceil(4), 100)] {
        let counts = run(Maker::Ours, end, rounds, in_memory);
        assert_eq!(counts.lost, 0, "{end:?}: {counts:?}");
        assert!(counts.accepted >= rounds * ANSWERS.0);
    }
}

/// The script itself is held against the daemon whose promises it tests. A kill may cost the reference what it had not synced.
#[test]
fn the_reference_loses_nothing_at_a_clean_stop() {
    let counts = run(Maker::Reference, End::Kill, rounds(), 0);
    assert!(counts.accepted >= rounds() * ANSWERS.0, "{counts:?}");
    let counts = run(Maker::Reference, End::Term, rounds().div_ceil(4), 100);
    assert_eq!(counts.lost, 0, "{counts:?}");
}
