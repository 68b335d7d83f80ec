//! CLS and the end of a connection: cases 109 to 116 of the nsqd specification.

use std::time::Duration;

use nsq_testkit::{Conn, Daemon, Stopwatch, nsqd};

/// Long enough for a frame that must not come.
const WHILE: Duration = Duration::from_millis(300);

/// A consumer of `t`/`c` that has said CLS.
#[track_caller]
fn closing(daemon: &Daemon) -> Conn {
    let mut conn = daemon.subscribe("t", "c");
    conn.command("CLS");
    conn.expect_response("CLOSE_WAIT");
    conn
}

#[test]
fn nd_109_cls_needs_a_subscription() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command("CLS");
    conn.expect_fatal("E_INVALID cannot CLS in current state");
}

#[test]
fn nd_110_cls_keeps_the_connection() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 5");
    conn.command("CLS");
    conn.expect_response("CLOSE_WAIT");
    let client = &daemon.channel("t", "c")["clients"][0];
    assert_eq!((&client["state"], &client["ready_count"]), (&4.into(), &0.into()));
    conn.expect_silence(WHILE);
}

#[test]
fn nd_111_answers_are_taken_after_cls() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    daemon.connect().publish_many("t", &[b"1", b"2", b"3", b"4"]);
    conn.command("RDY 3");
    let messages = [conn.message(), conn.message(), conn.message()];
    conn.command("CLS");
    conn.expect_response("CLOSE_WAIT");
    conn.finish(&messages[0]);
    conn.requeue(&messages[1], 0);
    conn.answer("TOUCH", &messages[2]);
    daemon.expect_channel(
        "t",
        "c",
        &[("in_flight_count", 1), ("requeue_count", 1), ("depth", 2)],
    );
    let client = &daemon.channel("t", "c")["clients"][0];
    assert_eq!(
        (&client["finish_count"], &client["requeue_count"]),
        (&1.into(), &1.into())
    );
    conn.expect_silence(WHILE);
}

#[test]
fn nd_112_nothing_else_begins_after_cls() {
    let daemon = nsqd!();
    for line in ["CLS", "SUB t c", "IDENTIFY"] {
        let mut conn = closing(&daemon);
        conn.command(line);
        let name = line.split(' ').next().unwrap();
        conn.expect_fatal(&format!("E_INVALID cannot {name} in current state"));
    }
}

#[test]
fn nd_113_pub_is_taken_after_cls() {
    let daemon = nsqd!();
    closing(&daemon).publish("other", b"x");
}

#[test]
fn nd_114_a_closing_connection_still_has_to_answer() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.identify(r#"{"heartbeat_interval":1000}"#);
    conn.expect_ok();
    conn.subscribe("t", "c");
    let since = Stopwatch::start();
    conn.command("CLS");
    conn.expect_response("CLOSE_WAIT");
    while let nsq_testkit::Next::Frame(frame) = conn.next(nsq_testkit::BOUND) {
        assert!(frame.is_heartbeat(), "{}", frame.text());
    }
    conn.expect_eof();
    since.expect_ms(2000, 6000);
}

#[test]
fn nd_115_a_lost_consumer_keeps_its_messages_until_their_time() {
    let daemon = nsqd!();
    let mut first = daemon.connect();
    first.identify(r#"{"msg_timeout":2000}"#);
    first.expect_ok();
    first.subscribe("t", "c");
    daemon.connect().publish_many("t", &[b"1", b"2"]);
    let since = Stopwatch::start();
    first.command("RDY 2");
    first.message();
    first.message();
    drop(first);
    daemon.expect_channel("t", "c", &[("client_count", 0), ("in_flight_count", 2)]);
    let mut second = daemon.subscribe("t", "c");
    second.command("RDY 2");
    let attempts = [second.message().attempts, second.message().attempts];
    since.expect_ms(2000, 15_000);
    assert_eq!(attempts, [2, 2]);
    daemon.expect_channel("t", "c", &[("timeout_count", 2), ("in_flight_count", 2)]);
}

#[test]
fn nd_116_cls_and_the_end_in_one_go() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    conn.send(b"CLS\n");
    conn.half_close();
    conn.expect_response("CLOSE_WAIT");
    conn.expect_eof();
}

/// A part of its window had just become free, so that more was about to come.
#[test]
fn a_consumer_that_closes_costs_nothing() {
    const WINDOW: Duration = Duration::from_secs(1);
    let daemon = nsqd!();
    let mut consumers: Vec<Conn> = (0..100).map(|_| daemon.subscribe("t", "c")).collect();
    daemon.connect().publish_many("t", &[b"x" as &[u8]; 1000]);
    let mut firsts = Vec::new();
    for conn in &mut consumers {
        conn.command("RDY 10");
        let messages: Vec<_> = (0..10).map(|_| conn.message()).collect();
        firsts.extend(messages.into_iter().next());
    }
    for (n, (conn, first)) in consumers.iter_mut().zip(&firsts).enumerate() {
        conn.finish(first);
        // Closes a little later each time, so that it meets every moment of that.
        (0..n).for_each(|_| conn.command("NOP"));
        conn.command("CLS");
        conn.expect_response("CLOSE_WAIT");
    }
    let before = daemon.cpu_time();
    consumers[0].expect_silence(WINDOW);
    let used = daemon.cpu_time() - before;
    assert!(used < WINDOW / 5, "{used:?} in {WINDOW:?}");
}
