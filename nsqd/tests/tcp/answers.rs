//! FIN, REQ and TOUCH: cases 90 to 108 of the nsqd specification.

use std::time::Duration;

use nsq_testkit::{BOUND, Conn, Daemon, Delivery, Next, Stopwatch, eventually, nsqd};

/// The latest that a due message may come, in milliseconds after it is due. The reference looks at a young channel late.
const LATE: u64 = 15_000;

/// Long enough for a frame that must not come.
const WHILE: Duration = Duration::from_millis(300);

/// An id that no message has.
const NO_ID: &str = "zzzzzzzzzzzzzzzz";

/// A consumer of `t`/`c` with a window of one, and the message it holds.
#[track_caller]
fn holding(daemon: &Daemon) -> (Conn, Delivery) {
    holding_as(daemon, "{}")
}

/// As [`holding`], after this IDENTIFY.
#[track_caller]
fn holding_as(daemon: &Daemon, identify: &str) -> (Conn, Delivery) {
    let mut conn = daemon.connect();
    conn.identify(identify);
    conn.expect_ok();
    conn.subscribe("t", "c");
    conn.command("RDY 1");
    daemon.connect().publish("t", b"x");
    let message = conn.message();
    (conn, message)
}

/// The message must come again, with one more attempt and otherwise the same.
#[track_caller]
fn expect_again(conn: &mut Conn, first: &Delivery) {
    let expected = Delivery {
        attempts: first.attempts + 1,
        ..first.clone()
    };
    assert_eq!(conn.message(), expected);
}

#[test]
fn nd_090_answers_need_a_subscription() {
    let daemon = nsqd!();
    for command in ["FIN", "REQ", "TOUCH"] {
        let mut conn = daemon.connect();
        conn.command(&format!("{command} {NO_ID} 0"));
        conn.expect_fatal(&format!("E_INVALID cannot {command} in current state"));
    }
}

#[test]
fn nd_091_fin_ends_a_message() {
    let daemon = nsqd!();
    let (mut conn, message) = holding(&daemon);
    conn.finish(&message);
    daemon.expect_channel("t", "c", &[("in_flight_count", 0)]);
    assert_eq!(daemon.channel("t", "c")["clients"][0]["finish_count"], 1);
    conn.expect_silence(WHILE);
}

#[test]
fn nd_092_a_second_fin_fails() {
    let daemon = nsqd!();
    let (mut conn, message) = holding(&daemon);
    conn.finish(&message);
    conn.finish(&message);
    conn.expect_error(&format!(
        "E_FIN_FAILED FIN {} failed ID not in flight",
        message.id
    ));
    conn.publish("other", b"x");
}

#[test]
fn nd_093_an_id_is_any_16_bytes() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    conn.command("FIN zzzzzzzzzzzzzzzz");
    conn.expect_error("E_FIN_FAILED FIN zzzzzzzzzzzzzzzz failed ID not in flight");
    conn.publish("other", b"x");
}

#[test]
fn nd_094_an_id_has_16_bytes() {
    let daemon = nsqd!();
    for id in ["", "abc", "zzzzzzzzzzzzzzzzz"] {
        let mut conn = daemon.subscribe("t", "c");
        conn.command(&format!("FIN {id}"));
        conn.expect_fatal("E_INVALID invalid message ID");
    }
    let mut conn = daemon.subscribe("t", "c");
    conn.command("FIN");
    conn.expect_fatal("E_INVALID FIN insufficient number of params");
}

#[test]
fn nd_095_only_the_owner_answers() {
    let daemon = nsqd!();
    let (mut owner, message) = holding(&daemon);
    let mut other = daemon.subscribe("t", "c");
    for command in ["FIN", "REQ", "TOUCH"] {
        other.command(&format!("{command} {} 0", message.id));
        let id = &message.id;
        other.expect_error(&format!(
            "E_{command}_FAILED {command} {id} failed client does not own message"
        ));
    }
    owner.finish(&message);
    daemon.expect_channel("t", "c", &[("in_flight_count", 0)]);
    owner.expect_silence(WHILE);
}

#[test]
fn nd_096_req_without_delay_comes_again() {
    let daemon = nsqd!();
    let (mut conn, message) = holding(&daemon);
    let since = Stopwatch::start();
    conn.requeue(&message, 0);
    expect_again(&mut conn, &message);
    since.expect_ms(0, 2000);
    daemon.expect_channel("t", "c", &[("requeue_count", 1), ("message_count", 1)]);
}

#[test]
fn nd_097_req_with_delay_waits() {
    let daemon = nsqd!();
    let (mut conn, message) = holding(&daemon);
    let since = Stopwatch::start();
    conn.requeue(&message, 1500);
    daemon.expect_channel(
        "t",
        "c",
        &[("deferred_count", 1), ("in_flight_count", 0), ("depth", 0)],
    );
    expect_again(&mut conn, &message);
    since.expect_ms(1500, LATE);
}

#[test]
fn nd_098_a_longer_delay_is_the_longest() {
    let daemon = nsqd!("--max-req-timeout=5s");
    let (mut conn, message) = holding(&daemon);
    let since = Stopwatch::start();
    conn.requeue(&message, 10_000);
    expect_again(&mut conn, &message);
    since.expect_ms(5000, 9500);
}

#[test]
fn nd_099_a_delay_beyond_all_time_is_none() {
    let daemon = nsqd!();
    let (mut conn, message) = holding(&daemon);
    let since = Stopwatch::start();
    conn.requeue(&message, 9_223_372_036_855);
    expect_again(&mut conn, &message);
    since.expect_ms(0, 2000);
}

#[test]
fn nd_100_a_delay_is_digits() {
    let daemon = nsqd!();
    let (mut conn, message) = holding(&daemon);
    conn.command(&format!("REQ {} ", message.id));
    expect_again(&mut conn, &message);
    conn.command(&format!("REQ {} -1", message.id));
    conn.expect_fatal("E_INVALID REQ could not parse timeout -1");
}

#[test]
fn nd_101_req_needs_a_delay() {
    let daemon = nsqd!();
    let (mut conn, message) = holding(&daemon);
    conn.answer("REQ", &message);
    conn.expect_fatal("E_INVALID REQ insufficient number of params");
}

#[test]
fn nd_102_the_id_is_checked_first() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    conn.command("REQ abc x");
    conn.expect_fatal("E_INVALID invalid message ID");
}

#[test]
fn nd_103_req_of_an_unknown_id_fails() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    conn.command(&format!("REQ {NO_ID} 0"));
    conn.expect_error(&format!("E_REQ_FAILED REQ {NO_ID} failed ID not in flight"));
    conn.publish("other", b"x");
}

#[test]
fn nd_104_touch_of_an_unknown_id_fails() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    conn.command(&format!("TOUCH {NO_ID}"));
    conn.expect_error(&format!("E_TOUCH_FAILED TOUCH {NO_ID} failed ID not in flight"));
    conn.command("TOUCH");
    conn.expect_fatal("E_INVALID TOUCH insufficient number of params");
}

#[test]
fn nd_105_touch_keeps_a_message() {
    let daemon = nsqd!();
    let (mut conn, message) = holding_as(&daemon, r#"{"msg_timeout":1000}"#);
    for _ in 0..6 {
        conn.expect_silence(Duration::from_millis(500));
        conn.answer("TOUCH", &message);
    }
    conn.finish(&message);
    daemon.expect_channel("t", "c", &[("timeout_count", 0), ("in_flight_count", 0)]);
    assert_eq!(daemon.channel("t", "c")["clients"][0]["finish_count"], 1);
}

#[test]
fn nd_106_touch_has_an_end() {
    let daemon = nsqd!("--msg-timeout=2s", "--max-msg-timeout=3s");
    let (mut conn, message) = holding(&daemon);
    let since = Stopwatch::start();
    loop {
        match conn.next(Duration::from_millis(250)) {
            Next::Silence => conn.answer("TOUCH", &message),
            Next::Frame(frame) if frame.kind == 2 => break,
            // A touch between the time-out and the next delivery.
            Next::Frame(frame) => assert!(frame.text().starts_with("E_TOUCH_FAILED"), "{}", frame.text()),
            Next::Closed => panic!("closed"),
        }
        since.expect_ms(0, LATE);
    }
    // The message was on its way before the stopwatch was started.
    since.expect_ms(2900, LATE);
    daemon.expect_channel("t", "c", &[("timeout_count", 1)]);
}

#[test]
fn nd_107_fin_after_a_timeout_to_the_same_connection() {
    let daemon = nsqd!();
    let (mut conn, message) = holding_as(&daemon, r#"{"msg_timeout":1000}"#);
    expect_again(&mut conn, &message);
    conn.finish(&message);
    daemon.expect_channel("t", "c", &[("in_flight_count", 0), ("timeout_count", 1)]);
    eventually(BOUND, || {
        daemon.channel("t", "c")["clients"][0]["finish_count"] == 1
    });
    conn.expect_silence(WHILE);
}

#[test]
fn nd_108_attempts_wrap() {
    let daemon = nsqd!();
    let (mut conn, message) = holding(&daemon);
    let again = format!("REQ {} 0\n", message.id);
    for attempt in 2..=65_537_u32 {
        conn.send(again.as_bytes());
        assert_eq!(u32::from(conn.message().attempts), attempt % 65_536);
    }
}
