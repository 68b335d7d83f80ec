//! When a message leaves: cases 160, 161, 164 and 165 of the nsqd specification.
//!
//! The sizes and times of the output buffer are upper bounds here: a message is sent at the end of the turn that took it.
//! So cases 162 and 163, which see a message wait, are replaced by [`nothing_waits_for_a_full_buffer`].

use nsq_testkit::{Conn, Daemon, Stopwatch, nsqd, ours_only};

/// A consumer of `t`/`c` with this IDENTIFY.
#[track_caller]
fn consumer(daemon: &Daemon, identify: &str) -> Conn {
    let mut conn = daemon.connect();
    conn.identify(identify);
    conn.expect_ok();
    conn.subscribe("t", "c");
    conn
}

/// Publishes a message, which must reach the consumer within this many milliseconds.
#[track_caller]
fn expect_within(daemon: &Daemon, conn: &mut Conn, ms: u64) {
    let mut producer = daemon.connect();
    let since = Stopwatch::start();
    producer.publish("t", b"x");
    let message = conn.expect_message(b"x");
    since.expect_ms(0, ms);
    conn.finish(&message);
}

#[test]
fn nd_160_a_lone_message_comes_soon() {
    let daemon = nsqd!();
    let mut conn = consumer(&daemon, "{}");
    conn.command("RDY 10");
    expect_within(&daemon, &mut conn, 250 + 750);
}

#[test]
fn nd_161_the_timeout_is_an_upper_bound() {
    let daemon = nsqd!();
    let mut conn = consumer(&daemon, r#"{"output_buffer_timeout":2000}"#);
    conn.command("RDY 10");
    conn.expect_silence(std::time::Duration::from_secs(5));
    expect_within(&daemon, &mut conn, 1000);
    expect_within(&daemon, &mut conn, 2000 + 750);
    conn.command("RDY 1");
    for _ in 0..3 {
        expect_within(&daemon, &mut conn, 1000);
    }
}

/// In the place of nd_162 and nd_163, which the extensions override (18): sizes and times are upper bounds.
#[test]
fn nothing_waits_for_a_full_buffer() {
    if ours_only("X messages in the output buffer") {
        return;
    }
    let daemon = nsqd!("--max-output-buffer-size=300000");
    for identify in [
        r#"{"output_buffer_size":262144,"output_buffer_timeout":30000}"#,
        r#"{"output_buffer_size":262144,"output_buffer_timeout":-1}"#,
    ] {
        let mut conn = consumer(&daemon, identify);
        conn.command("RDY 10");
        expect_within(&daemon, &mut conn, 2000);
    }
}

#[test]
fn nd_164_without_a_buffer_a_message_comes_at_once() {
    let daemon = nsqd!();
    let mut conn = consumer(&daemon, r#"{"output_buffer_size":-1}"#);
    conn.command("RDY 10");
    for _ in 0..3 {
        expect_within(&daemon, &mut conn, 1000);
    }
}

#[test]
fn nd_165_a_full_buffer_does_not_wait() {
    let daemon = nsqd!();
    let mut conn = consumer(
        &daemon,
        r#"{"output_buffer_size":64,"output_buffer_timeout":2000}"#,
    );
    conn.command("RDY 10");
    let mut producer = daemon.connect();
    let since = Stopwatch::start();
    (0..6).for_each(|_| producer.publish("t", &[b'x'; 50]));
    conn.message();
    conn.message();
    since.expect_ms(0, 1000);
}
