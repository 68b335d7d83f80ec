//! Connections, framing and command parsing: cases 1 to 3 and 6 to 21 of the nsqd specification. Cases 4 and 5 wait a
//! minute and have a file of their own.

use std::time::Duration;

use md5::{Digest, Md5};
use nsq_testkit::{body, nsqd};

/// Long enough for an answer that must not come.
const WHILE: Duration = Duration::from_millis(300);

/// Ticks of 2^20 ns between the Unix epoch and the epoch of message ids.
const ID_EPOCH: i64 = 1_288_834_974_288;

#[test]
fn nd_001_the_old_magic_is_refused() {
    let daemon = nsqd!();
    let mut conn = daemon.connect_raw();
    conn.send(b"  V1");
    conn.expect_fatal("E_BAD_PROTOCOL");
}

#[test]
fn nd_002_an_http_request_is_refused() {
    let daemon = nsqd!();
    let mut conn = daemon.connect_raw();
    conn.send(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(conn.bytes(22), b"\x00\x00\x00\x12\x00\x00\x00\x01E_BAD_PROTOCOL");
    conn.expect_eof();
}

#[test]
fn nd_003_an_end_within_the_magic_is_silent() {
    let daemon = nsqd!();
    let mut conn = daemon.connect_raw();
    conn.send(b"  V");
    conn.half_close();
    conn.expect_eof();
}

#[test]
fn nd_006_an_unknown_command_is_fatal() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command("ASDF");
    conn.expect_fatal("E_INVALID invalid command ASDF");
}

#[test]
fn nd_007_an_empty_line_is_an_unknown_command() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.send(b"\n\n");
    conn.expect_fatal("E_INVALID invalid command ");
    daemon.connect().publish("t", b"still here");
}

#[test]
fn nd_008_commands_are_upper_case() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command("nop");
    conn.expect_fatal("E_INVALID invalid command nop");
}

#[test]
fn nd_009_nop_has_no_answer() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.send(b"NOP\nNOP\r\nNOP a b\n");
    conn.expect_silence(WHILE);
    conn.publish("t", b"x");
}

#[test]
fn nd_010_the_longest_line_is_read() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    let name = "A".repeat(16_383);
    conn.command(&name);
    conn.expect_fatal(&format!("E_INVALID invalid command {name}"));
}

#[test]
fn nd_011_a_longer_line_closes_without_a_frame() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.try_send(format!("{}\n", "A".repeat(16_384)).as_bytes());
    conn.expect_eof();
}

#[test]
fn nd_012_an_end_within_a_line_is_silent() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.send(b"PUB t");
    conn.half_close();
    conn.expect_eof();
}

#[test]
fn nd_013_an_idle_end_closes() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.half_close();
    conn.expect_eof();
}

#[test]
fn nd_014_pipelined_publishes_have_one_answer_each() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    let publish = [b"PUB t\n", body(b"x").as_slice()].concat();
    conn.send(&[publish.repeat(3), b"NOP\n".to_vec()].concat());
    assert_eq!(conn.bytes(30), b"\x00\x00\x00\x06\x00\x00\x00\x00OK".repeat(3));
    conn.expect_silence(WHILE);
}

#[test]
fn nd_015_a_pipelined_subscription_receives() {
    let daemon = nsqd!();
    let mut producer = daemon.connect();
    producer.publish("t", b"a");
    producer.publish("t", b"b");
    let mut conn = daemon.connect();
    conn.send(&[b"IDENTIFY\n", body(b"{}").as_slice(), b"SUB t c\nRDY 10\n"].concat());
    conn.expect_ok();
    conn.expect_ok();
    let mut bodies = [conn.message().body, conn.message().body];
    bodies.sort();
    assert_eq!(bodies, [b"a", b"b"]);
}

#[test]
fn nd_016_nothing_after_a_fatal_error_is_done() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    let publish = [b"PUB t\n", body(b"x").as_slice()].concat();
    conn.send(&[publish.as_slice(), b"BOGUS\n", &publish].concat());
    conn.expect_ok();
    conn.expect_fatal("E_INVALID invalid command BOGUS");
    daemon.expect_topic("t", &[("message_count", 1), ("depth", 1)]);
}

#[test]
fn nd_017_ok_frame_bytes() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command_with("PUB t", b"x");
    assert_eq!(conn.bytes(10), [0, 0, 0, 6, 0, 0, 0, 0, 0x4F, 0x4B]);
}

#[test]
fn nd_018_message_frame_bytes() {
    let daemon = nsqd!();
    daemon.connect().publish("t", b"hello");
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 1");
    let frame = conn.bytes(4 + 4 + 26 + 5);
    assert_eq!(frame[..8], [0, 0, 0, 4 + 26 + 5, 0, 0, 0, 2]);
    assert_eq!(frame[16..18], [0, 1], "attempts");
    let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert!(frame[18..34].iter().all(hex), "{:?}", &frame[18..34]);
    assert_eq!(&frame[34..], b"hello");
}

#[test]
fn nd_019_an_id_holds_time_and_node() {
    let daemon = nsqd!("--node-id=300");
    daemon.connect().publish("t", b"x");
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 1");
    let message = conn.message();
    let id = u64::from_str_radix(&message.id, 16).unwrap();
    assert_eq!((id >> 12) & 0x3ff, 300);
    let tick = i64::try_from(id >> 22).unwrap();
    let due = (message.timestamp >> 20) - ID_EPOCH;
    assert!((tick - due).abs() <= 1, "tick {tick}, by the timestamp {due}");
}

#[test]
fn nd_020_ids_rise_in_publish_order() {
    const COUNT: u32 = 10_000;
    let daemon = nsqd!();
    let mut producer = daemon.connect();
    for start in (0..COUNT).step_by(1000) {
        let publish = |number: u32| [b"PUB t\n", body(&number.to_be_bytes()).as_slice()].concat();
        producer.send(&(start..start + 1000).flat_map(publish).collect::<Vec<_>>());
        (0..1000).for_each(|_| producer.expect_ok());
    }
    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 2500");
    let mut ids = vec![String::new(); COUNT as usize];
    for _ in 0..COUNT {
        let message = consumer.message();
        consumer.finish(&message);
        let number = u32::from_be_bytes(message.body.try_into().unwrap());
        ids[number as usize] = message.id;
    }
    // Of equal length and in hex, so text sorts like the number.
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn nd_021_the_node_id_comes_from_the_host_name() {
    let daemon = nsqd!();
    let uname = rustix::system::uname();
    let id = crc32fast::hash(&Md5::digest(uname.nodename().to_bytes())) % 1024;
    daemon.get("/config/id").expect(200, &id.to_string());
}
