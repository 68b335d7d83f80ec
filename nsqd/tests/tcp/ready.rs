//! RDY: cases 81 to 89 of the nsqd specification.

use std::time::Duration;

use nsq_testkit::{Conn, Daemon, Delivery, nsqd};

/// Long enough for a message that must not come.
const WHILE: Duration = Duration::from_millis(400);

/// A consumer of `t`/`c`, where this many messages are queued.
fn queued(daemon: &Daemon, messages: usize) -> Conn {
    let conn = daemon.subscribe("t", "c");
    publish(daemon, messages);
    conn
}

fn publish(daemon: &Daemon, messages: usize) {
    let mut producer = daemon.connect();
    (0..messages).for_each(|_| producer.publish("t", b"x"));
}

fn receive(conn: &mut Conn, count: usize) -> Vec<Delivery> {
    (0..count).map(|_| conn.message()).collect()
}

#[test]
fn nd_081_rdy_needs_a_subscription() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command("RDY 1");
    conn.expect_fatal("E_INVALID cannot RDY in current state");
}

#[test]
fn nd_082_rdy_without_a_count() {
    let daemon = nsqd!();
    let mut conn = queued(&daemon, 3);
    conn.command("RDY");
    let message = conn.message();
    conn.expect_silence(WHILE);
    conn.command("RDY ");
    conn.finish(&message);
    conn.expect_silence(WHILE);
}

#[test]
fn nd_083_the_largest_window() {
    let daemon = nsqd!("--max-rdy-count=50");
    let mut conn = queued(&daemon, 1);
    conn.command("RDY 50");
    conn.message();
    conn.command("RDY 51");
    conn.expect_fatal("E_INVALID RDY count 51 out of range 0-50");
}

#[test]
fn nd_084_a_count_is_digits() {
    let daemon = nsqd!();
    for count in ["-1", "abc", "+1"] {
        let mut conn = daemon.subscribe("t", "c");
        conn.command(&format!("RDY {count}"));
        conn.expect_fatal(&format!("E_INVALID RDY could not parse count {count}"));
    }
}

#[test]
fn nd_085_a_count_is_signed_in_the_end() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 9223372036854775808");
    conn.expect_fatal("E_INVALID RDY count -9223372036854775808 out of range 0-2500");
}

#[test]
fn nd_086_the_window_opens_with_an_answer() {
    let daemon = nsqd!();
    let mut conn = queued(&daemon, 5);
    conn.command("RDY 2");
    let messages = receive(&mut conn, 2);
    conn.expect_silence(WHILE);
    conn.finish(&messages[0]);
    conn.message();
    conn.expect_silence(WHILE);
}

/// One free place of a hundred is filled too, soon or at once as the client wants.
#[test]
fn a_large_window_that_was_full_is_filled_again() {
    let daemon = nsqd!();
    for identify in ["{}", r#"{"output_buffer_size":-1}"#] {
        let mut conn = daemon.connect();
        conn.identify(identify);
        conn.expect_ok();
        conn.subscribe("t", "c");
        publish(&daemon, 103);
        conn.command("RDY 100");
        let messages = receive(&mut conn, 100);
        conn.expect_silence(WHILE);
        for message in &messages[..3] {
            conn.finish(message);
            conn.message();
        }
        conn.command("CLS");
        drop(conn);
        daemon.post("/channel/empty?topic=t&channel=c", b"");
    }
}

#[test]
fn nd_087_a_smaller_window_waits_for_answers() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.identify(r#"{"heartbeat_interval":3000}"#);
    conn.expect_ok();
    conn.subscribe("t", "c");
    publish(&daemon, 3);
    conn.command("RDY 10");
    let messages = receive(&mut conn, 3);
    conn.command("RDY 1");
    // Its effect is seen before the next message exists: a heartbeat that comes after it was taken is sent by what also
    // sends messages.
    daemon.expect_channel("t", "c", &[("in_flight_count", 3)]);
    nsq_testkit::eventually(nsq_testkit::BOUND, || {
        daemon.channel("t", "c")["clients"][0]["ready_count"] == 1
    });
    conn.expect_heartbeat();
    publish(&daemon, 1);
    conn.expect_silence(WHILE);
    conn.finish(&messages[0]);
    conn.finish(&messages[1]);
    conn.expect_silence(WHILE);
    conn.finish(&messages[2]);
    conn.message();
}

#[test]
fn nd_088_a_window_of_zero_pauses() {
    let daemon = nsqd!();
    let mut conn = queued(&daemon, 1);
    conn.command("RDY 1");
    let message = conn.message();
    conn.command("RDY 0");
    conn.finish(&message);
    daemon.expect_channel("t", "c", &[("in_flight_count", 0)]);
    publish(&daemon, 1);
    conn.expect_silence(WHILE);
    conn.command("RDY 1");
    conn.message();
}

#[test]
fn nd_089_rdy_after_cls_is_ignored() {
    let daemon = nsqd!();
    let mut conn = queued(&daemon, 1);
    conn.command("CLS");
    conn.expect_response("CLOSE_WAIT");
    for count in [" 1", " 99999", " abc", ""] {
        conn.command(&format!("RDY{count}"));
    }
    conn.expect_silence(WHILE);
}
