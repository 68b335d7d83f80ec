//! PUB: cases 33 to 45 of the nsqd specification, and the producers of cases 290 to 292.

use std::time::Duration;

use nsq_testkit::{Conn, Daemon, Stopwatch, batch, nsqd};
use serde_json::Value;

/// A PUB to `t` with this declared length and these bytes, then the end of the client's side.
#[track_caller]
fn publish_raw(daemon: &Daemon, length: u32, bytes: &[u8]) -> Conn {
    let mut conn = daemon.connect();
    conn.send(&[b"PUB t\n", length.to_be_bytes().as_slice(), bytes].concat());
    conn.half_close();
    conn
}

#[test]
fn nd_033_a_message_of_one_byte_is_stored() {
    let daemon = nsqd!();
    daemon.connect().publish("t", b"x");
    daemon.expect_topic("t", &[("message_count", 1), ("message_bytes", 1), ("depth", 1)]);
}

#[test]
fn nd_034_pub_needs_a_topic() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command("PUB");
    conn.expect_fatal("E_INVALID PUB insufficient number of parameters");
}

#[test]
fn nd_035_extra_parameters_are_ignored() {
    let daemon = nsqd!();
    daemon.connect().publish("t extra words", b"x");
    daemon.expect_topic("t", &[("depth", 1)]);
}

#[test]
fn nd_036_a_carriage_return_is_no_part_of_the_name() {
    let daemon = nsqd!();
    daemon.connect().publish("t\r", b"x");
    daemon.expect_topic("t", &[("depth", 1)]);
}

#[test]
fn nd_037_the_largest_message() {
    let daemon = nsqd!("--max-msg-size=100");
    let mut conn = daemon.connect();
    conn.publish("t", &[b'x'; 100]);
    conn.command_with("PUB t", &[b'x'; 101]);
    conn.expect_fatal("E_BAD_MESSAGE PUB message too big 101 > 100");
}

#[test]
fn nd_038_an_empty_message_is_refused() {
    let daemon = nsqd!();
    publish_raw(&daemon, 0, b"").expect_fatal("E_BAD_MESSAGE PUB invalid message body size 0");
}

#[test]
fn nd_039_a_length_is_signed() {
    let daemon = nsqd!();
    publish_raw(&daemon, u32::MAX, b"").expect_fatal("E_BAD_MESSAGE PUB invalid message body size -1");
}

#[test]
fn nd_040_an_end_within_the_body() {
    let daemon = nsqd!();
    publish_raw(&daemon, 5, b"ab").expect_fatal("E_BAD_MESSAGE PUB failed to read message body");
}

#[test]
fn nd_041_an_end_within_the_length() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.send(b"PUB t\n\0\0");
    conn.half_close();
    conn.expect_fatal("E_BAD_MESSAGE PUB failed to read message body size");
}

#[test]
fn nd_042_a_refused_message_creates_no_topic() {
    let daemon = nsqd!();
    publish_raw(&daemon, 0, b"").expect_fatal("E_BAD_MESSAGE PUB invalid message body size 0");
    assert_eq!(daemon.topic("t"), Value::Null);
}

#[test]
fn nd_043_the_error_outlives_a_body_in_flight() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.send(b"PUB t\n");
    // The server may close while the body is still on its way.
    conn.try_send(&nsq_testkit::body(&vec![b'x'; 1_048_577]));
    conn.expect_fatal("E_BAD_MESSAGE PUB message too big 1048577 > 1048576");
}

#[test]
fn nd_044_a_consumer_may_publish() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 1");
    conn.command_with("PUB t", b"x");
    // The answer and the message come in either order.
    let mut kinds = [conn.frame().kind, conn.frame().kind];
    kinds.sort_unstable();
    assert_eq!(kinds, [0, 2]);
}

#[test]
fn nd_045_identify_may_come_after_pub() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.publish("t", b"x");
    conn.identify("{}");
    conn.expect_ok();
}

#[test]
fn nd_290_a_client_on_the_http_port_reads_http() {
    let daemon = nsqd!();
    let mut conn = Conn::connect(daemon.http());
    conn.send(b"  V2");
    conn.identify("{}");
    assert_eq!(conn.bytes(12), b"HTTP/1.1 400");
}

#[test]
fn nd_291_a_short_heartbeat_is_refused_with_its_number() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.identify(r#"{"client_id":"c","feature_negotiation":true,"heartbeat_interval":100,"hostname":"h"}"#);
    conn.expect_fatal("E_BAD_BODY IDENTIFY heartbeat interval (100) is invalid");
}

#[test]
fn nd_292_a_heartbeat_does_not_disturb_answers() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.identify(r#"{"heartbeat_interval":1000}"#);
    conn.expect_ok();
    let idle = Stopwatch::start();
    conn.expect_heartbeat();
    conn.command("NOP");
    conn.expect_silence(Duration::from_millis(1100).saturating_sub(idle.elapsed()));
    // Each publish has one answer, in order, with at most heartbeats between them.
    conn.command_with("PUB t", b"x");
    conn.command_with("MPUB t", &batch(&[b"a", b"b"]));
    conn.command_with("PUB t", b"");
    let mut answers = (0..8).map(|_| conn.frame()).filter(|frame| !frame.is_heartbeat());
    for answer in ["OK", "OK", "E_BAD_MESSAGE PUB invalid message body size 0"] {
        assert_eq!(answers.next().unwrap().text(), answer);
    }
}
