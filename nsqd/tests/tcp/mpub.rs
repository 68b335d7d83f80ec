//! MPUB: cases 46 to 61 of the nsqd specification.

use nsq_testkit::{Conn, Daemon, batch, nsqd};
use serde_json::Value;

/// A connection that sent an MPUB to `t` with this declared body length and these bytes.
#[track_caller]
fn mpub(daemon: &Daemon, length: i32, bytes: &[u8]) -> Conn {
    let mut conn = daemon.connect();
    conn.send(&[b"MPUB t\n", length.to_be_bytes().as_slice(), bytes].concat());
    conn
}

/// As [`mpub`] with the right length, then the end of the client's side.
#[track_caller]
fn mpub_cut(daemon: &Daemon, bytes: &[u8]) -> Conn {
    let mut conn = mpub(daemon, 1000, bytes);
    conn.half_close();
    conn
}

#[test]
fn nd_046_two_messages_have_one_answer() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.publish_many("t", &[b"a", b"bb"]);
    daemon.expect_topic("t", &[("depth", 2), ("message_count", 2), ("message_bytes", 3)]);
    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 2");
    let mut messages = [consumer.message(), consumer.message()];
    messages.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(
        messages.map(|message| message.body),
        [b"a".to_vec(), b"bb".to_vec()]
    );
    // One answer and no more: the next is that of the next command.
    conn.command("BOGUS");
    conn.expect_fatal("E_INVALID invalid command BOGUS");
}

#[test]
fn nd_047_mpub_needs_a_topic() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command("MPUB");
    conn.expect_fatal("E_INVALID MPUB insufficient number of parameters");
}

#[test]
fn nd_048_a_bad_topic_repeats_the_code() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command("MPUB a:b");
    conn.expect_fatal(r#"E_BAD_TOPIC E_BAD_TOPIC MPUB topic name "a:b" is not valid"#);
}

#[test]
fn nd_049_an_empty_body_creates_the_topic() {
    let daemon = nsqd!();
    mpub(&daemon, 0, b"").expect_fatal("E_BAD_BODY MPUB invalid body size 0");
    daemon.expect_topic("t", &[("depth", 0), ("message_count", 0)]);
}

#[test]
fn nd_050_a_length_is_signed() {
    let daemon = nsqd!();
    mpub(&daemon, -5, b"").expect_fatal("E_BAD_BODY MPUB invalid body size -5");
}

#[test]
fn nd_051_the_largest_body() {
    let daemon = nsqd!("--max-body-size=1000", "--max-msg-size=100");
    let body = batch(&[[b'x'; 100].as_slice(); 11]);
    assert_eq!(body.len(), 1148);
    mpub(&daemon, 1148, &body).expect_fatal("E_BAD_BODY MPUB body too big 1148 > 1000");
}

#[test]
fn nd_052_a_count_is_positive() {
    let daemon = nsqd!();
    mpub(&daemon, 4, &[0; 4]).expect_fatal("E_BAD_BODY MPUB invalid message count 0");
    mpub(&daemon, 4, &[0xff; 4]).expect_fatal("E_BAD_BODY MPUB invalid message count -1");
}

#[test]
fn nd_053_the_largest_count() {
    let daemon = nsqd!("--max-body-size=1000");
    mpub_cut(&daemon, &199_u32.to_be_bytes())
        .expect_fatal("E_BAD_MESSAGE MPUB failed to read message(0) body size");
    mpub(&daemon, 1000, &200_u32.to_be_bytes()).expect_fatal("E_BAD_BODY MPUB invalid message count 200");
}

#[test]
fn nd_054_one_bad_message_refuses_all() {
    let daemon = nsqd!();
    let body = batch(&[b"a", b"b", b"c", b"d", b"e", b""]);
    let length = i32::try_from(body.len()).unwrap();
    mpub(&daemon, length, &body).expect_fatal("E_BAD_MESSAGE MPUB invalid message(5) body size 0");
    daemon.expect_topic("t", &[("depth", 0), ("message_count", 0)]);
}

#[test]
fn nd_055_a_message_size_is_signed() {
    let daemon = nsqd!();
    let body = [1_i32.to_be_bytes(), (-3_i32).to_be_bytes()].concat();
    mpub(&daemon, 8, &body).expect_fatal("E_BAD_MESSAGE MPUB invalid message(0) body size -3");
}

#[test]
fn nd_056_the_largest_message() {
    let daemon = nsqd!("--max-msg-size=100");
    let body = batch(&[&[b'x'; 101]]);
    mpub(&daemon, 109, &body).expect_fatal("E_BAD_MESSAGE MPUB message too big 101 > 100");
}

#[test]
fn nd_057_an_end_within_the_count() {
    let daemon = nsqd!();
    mpub_cut(&daemon, &[0]).expect_fatal("E_BAD_BODY MPUB failed to read message count");
}

#[test]
fn nd_058_an_end_within_a_size() {
    let daemon = nsqd!();
    let body = batch(&[b"a", b"b"]);
    mpub_cut(&daemon, &body[..11]).expect_fatal("E_BAD_MESSAGE MPUB failed to read message(1) body size");
}

#[test]
fn nd_059_an_end_within_a_message() {
    let daemon = nsqd!();
    let body = batch(&[b"abc"]);
    mpub_cut(&daemon, &body[..9]).expect_fatal("E_BAD_MESSAGE MPUB failed to read message body");
    assert_ne!(daemon.topic("t"), Value::Null);
    daemon.expect_topic("t", &[("message_count", 0)]);
}

#[test]
fn nd_060_the_body_length_is_not_compared() {
    let daemon = nsqd!();
    mpub(&daemon, 4, &batch(&[b"abc"])).expect_ok();
    daemon.expect_topic("t", &[("message_count", 1), ("message_bytes", 3)]);
}

#[test]
fn nd_061_what_the_messages_leave_is_a_command() {
    let daemon = nsqd!();
    let body = [batch(&[b"abc"]).as_slice(), b"NOP\n\n"].concat();
    let mut conn = mpub(&daemon, i32::try_from(body.len()).unwrap(), &body);
    conn.expect_ok();
    conn.expect_fatal("E_INVALID invalid command ");
}
