//! Clean stops in the middle of everything: what was answered with `OK` is delivered, before the stop or after it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread;

use nsq_testkit::{BOUND, Conn, Daemon, Next, eventually, nsqd};
use rustix::process::Signal;

/// Stops with load.
const ROUNDS: usize = 4;

/// Publishes answered with `OK` in each round before the stop.
const PER_ROUND: usize = 1500;

/// Connections of each kind.
const EACH: usize = 3;

type Bodies = Mutex<HashSet<Vec<u8>>>;

/// Publishes until the daemon goes; remembers what it took.
fn publish(mut conn: Conn, name: &str, accepted: &Bodies) {
    for number in 0.. {
        let body = format!("{name}-{number}").into_bytes();
        let command = [b"PUB t\n".as_slice(), &nsq_testkit::body(&body)].concat();
        if !conn.try_send(&command) {
            return;
        }
        match conn.next(BOUND) {
            Next::Frame(frame) if frame.text() == "OK" => drop(accepted.lock().unwrap().insert(body)),
            // A publish that meets the stop is refused or stays without an answer.
            Next::Frame(frame) if frame.text() == "E_PUB_FAILED PUB failed exiting" => return,
            Next::Closed => return,
            other => panic!("{other:?}"),
        }
    }
}

/// Finishes two of three messages and puts back the third, until the daemon goes.
fn consume(mut conn: Conn, delivered: &Bodies) {
    for turn in 0.. {
        match conn.next(BOUND) {
            Next::Frame(frame) if frame.kind == 2 => {
                let delivery = frame.delivery();
                let answer = if turn % 3 == 0 {
                    format!("REQ {} {}\n", delivery.id, turn % 2 * 100)
                } else {
                    delivered.lock().unwrap().insert(delivery.body);
                    format!("FIN {}\n", delivery.id)
                };
                if !conn.try_send(answer.as_bytes()) {
                    return;
                }
            }
            Next::Frame(frame) => assert!(frame.is_heartbeat(), "{}", frame.text()),
            Next::Closed => return,
            Next::Silence => panic!("nothing comes, and the daemon does not go"),
        }
    }
}

/// One round of load, ended by the stop.
#[track_caller]
fn run_until_stopped(daemon: &Daemon, round: usize, accepted: &Bodies, delivered: &Bodies) {
    let before = accepted.lock().unwrap().len();
    thread::scope(|scope| {
        for number in 0..EACH {
            let conn = daemon.connect();
            scope.spawn(move || publish(conn, &format!("{round}-{number}"), accepted));
            let mut conn = daemon.subscribe("t", "c");
            conn.command("RDY 10");
            scope.spawn(move || consume(conn, delivered));
        }
        eventually(BOUND, || accepted.lock().unwrap().len() >= before + PER_ROUND);
        daemon.signal(Signal::TERM);
    });
}

#[test]
fn a_clean_stop_loses_nothing_that_was_accepted() {
    let mut daemon = nsqd!("--mem-queue-size=100", "--max-bytes-per-file=10000");
    let (accepted, delivered) = (Bodies::default(), Bodies::default());
    for round in 0..ROUNDS {
        run_until_stopped(&daemon, round, &accepted, &delivered);
        assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
        daemon.restart();
    }
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 100");
    let (accepted, mut delivered) = (accepted.into_inner().unwrap(), delivered.into_inner().unwrap());
    while !accepted.is_subset(&delivered) {
        let message = conn.message();
        conn.finish(&message);
        delivered.insert(message.body);
    }
    // Some may have come twice, and what was refused by the stop may have been stored all the same.
    conn.command("RDY 0");
    daemon.act("/channel/empty?topic=t&channel=c");
    daemon.expect_channel(
        "t",
        "c",
        &[("depth", 0), ("in_flight_count", 0), ("deferred_count", 0)],
    );
    assert!(daemon.metadata()["topics"][0]["channels"][0]["name"] == "c");
}
