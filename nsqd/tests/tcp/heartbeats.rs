//! Heartbeats and deadlines: cases 117 to 123 of the nsqd specification; the pause of 120 is
//! with the cases that wait a minute.

use std::collections::BTreeSet;
use std::time::Duration;

use nsq_testkit::{BOUND, Conn, Daemon, Next, Stopwatch, nsqd};

/// A connection with a heartbeat every second.
#[track_caller]
fn beating(daemon: &Daemon) -> Conn {
    let mut conn = daemon.connect();
    conn.identify(r#"{"heartbeat_interval":1000}"#);
    conn.expect_ok();
    conn
}

/// Reads heartbeats until the server closes; returns how many came.
#[track_caller]
fn heartbeats_to_the_end(conn: &mut Conn) -> usize {
    let mut count = 0;
    while let Next::Frame(frame) = conn.next(BOUND) {
        assert!(frame.is_heartbeat(), "{}", frame.text());
        count += 1;
    }
    conn.expect_eof();
    count
}

#[test]
fn nd_117_a_silent_client_is_cut() {
    let daemon = nsqd!();
    let since = Stopwatch::start();
    let mut conn = beating(&daemon);
    conn.expect_heartbeat();
    since.expect_ms(1000, 2500);
    assert!(heartbeats_to_the_end(&mut conn) <= 1);
    since.expect_ms(2000, 4000);
}

#[test]
fn nd_118_an_answering_client_lives() {
    let daemon = nsqd!();
    let mut conn = beating(&daemon);
    for _ in 0..5 {
        conn.expect_heartbeat();
        conn.command("NOP");
    }
    conn.publish("t", b"x");
}

#[test]
fn nd_119_any_command_is_an_answer() {
    let daemon = nsqd!();
    let mut conn = beating(&daemon);
    conn.subscribe("t", "c");
    conn.publish("t", b"x");
    conn.command("RDY 1");
    let message = conn.message();
    for round in 0..5 {
        conn.expect_heartbeat();
        match round {
            0 => conn.finish(&message),
            1 | 3 => conn.publish("other", b"x"),
            _ => conn.command("RDY 1"),
        }
    }
    conn.publish("other", b"x");
}

#[test]
fn nd_121_a_body_has_the_time_of_its_line() {
    let daemon = nsqd!();
    let mut conn = beating(&daemon);
    let since = Stopwatch::start();
    conn.send(b"PUB t\n\0\0\0\x05ab");
    conn.expect_heartbeat();
    let mut frame = conn.frame();
    if frame.is_heartbeat() {
        frame = conn.frame();
    }
    assert_eq!(
        (frame.kind, frame.text().as_str()),
        (1, "E_BAD_MESSAGE PUB failed to read message body")
    );
    // The deadline was set when the server began to wait for the line.
    since.expect_ms(1900, 4000);
    conn.expect_eof();
}

#[test]
fn nd_122_a_producer_has_heartbeats() {
    let daemon = nsqd!();
    let mut conn = beating(&daemon);
    conn.publish("t", b"x");
    conn.expect_heartbeat();
}

#[test]
fn nd_123_a_consumer_that_does_not_read_is_given_up() {
    const COUNT: u8 = 60;
    let daemon = nsqd!();
    let mut stuck = daemon.connect();
    stuck.identify(r#"{"heartbeat_interval":1000,"msg_timeout":1000}"#);
    stuck.expect_ok();
    stuck.subscribe("t", "c");
    stuck.command("RDY 100");
    let mut producer = daemon.connect();
    // Far more than the buffers of both sockets hold.
    (0..COUNT).for_each(|number| producer.publish("t", &vec![number; 1 << 20]));
    let mut other = daemon.subscribe("t", "c");
    other.command("RDY 100");
    let mut seen = BTreeSet::new();
    while seen.len() < usize::from(COUNT) {
        let message = other.message();
        other.finish(&message);
        seen.insert(message.body[0]);
    }
    assert_ne!(daemon.channel("t", "c")["timeout_count"], 0);
    // Nobody read a byte of it until now.
    let _ = stuck.next(Duration::ZERO);
}
