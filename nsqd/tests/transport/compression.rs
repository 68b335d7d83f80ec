//! Snappy and deflate: cases 138, 139, 141, 145 to 147 and 294 of the nsqd specification.

use nsq_testkit::{BOUND, Compression, Daemon, Next, ours_only};
use serde_json::{Value, json};

use crate::{compressed, identified, launch, works};

/// With nd_139: a server that has neither.
#[test]
fn nd_138_139_both_compressions_are_refused_unless_the_server_has_none() {
    let daemon = launch().start();
    let both = r#"{"feature_negotiation":true,"snappy":true,"deflate":true}"#;
    let mut conn = daemon.connect();
    conn.identify(both);
    conn.expect_fatal("E_IDENTIFY_FAILED cannot enable both deflate and snappy compression");
    let mut conn = daemon.connect();
    conn.identify(r#"{"snappy":true,"deflate":true}"#);
    conn.expect_ok();

    let daemon = launch().flag("--snappy=false").flag("--deflate=false").start();
    let (mut conn, answer) = identified(&daemon, &json!({"snappy": true, "deflate": true}));
    assert_eq!(
        (&answer["snappy"], &answer["deflate"]),
        (&json!(false), &json!(false))
    );
    conn.publish("t", b"in clear");
}

#[test]
fn nd_141_the_level_of_deflate_is_capped() {
    let level = |daemon: &Daemon, wishes: Value| identified(daemon, &wishes).1["deflate_level"].clone();
    let low = launch().flag("--max-deflate-level=3").start();
    assert_eq!(level(&low, json!({"deflate": true})), 3);
    assert_eq!(level(&low, json!({"deflate": true, "deflate_level": 9})), 3);
    let usual = launch().start();
    assert_eq!(level(&usual, json!({"deflate": true, "deflate_level": 9})), 6);
    for none in [-1, 0] {
        assert_eq!(level(&usual, json!({"deflate": true, "deflate_level": none})), 6);
    }
    assert_eq!(level(&usual, json!({"deflate": true, "deflate_level": 2})), 2);
    assert_eq!(level(&usual, json!({"deflate_level": 2})), 6);
}

#[test]
fn nd_145_everything_goes_through_deflate() {
    let daemon = launch().start();
    let deflate = || compressed(&daemon, Compression::Deflate);
    let _consumer = works(deflate(), deflate(), "t");
    assert_eq!(daemon.topic("t")["channels"][0]["clients"][0]["deflate"], true);
}

#[test]
fn nd_146_everything_goes_through_snappy() {
    let daemon = launch().start();
    let (mut conn, answer) = identified(&daemon, &json!({"snappy": true}));
    assert_eq!(answer["snappy"], true);
    // Identifier, then an uncompressed chunk: type, length, checksum, the framed OK.
    let first = conn.bytes(10 + 4 + 4 + 10);
    assert_eq!(first[..10], *b"\xff\x06\0\0sNaPpY");
    assert_eq!(first[10..14], [1, 14, 0, 0]);
    assert_eq!(first[18..], *b"\0\0\0\x06\0\0\0\0OK");
    let snappy = || compressed(&daemon, Compression::Snappy);
    let _consumer = works(snappy(), snappy(), "t");
    assert_eq!(daemon.topic("t")["channels"][0]["clients"][0]["snappy"], true);
}

#[test]
fn nd_146_each_write_may_begin_with_an_identifier() {
    let daemon = launch().start();
    let mut conn = compressed(&daemon, Compression::Snappy);
    // "PUB t\n", length, "m" as a stream of its own, twice.
    let plain = b"PUB t\n\0\0\0\x01m";
    let mut stream = snap::write::FrameEncoder::new(Vec::new());
    std::io::Write::write_all(&mut stream, plain).unwrap();
    let one = stream.into_inner().unwrap();
    conn.send_raw(&[&one[..], &one[..]].concat());
    conn.expect_ok();
    conn.expect_ok();
}

#[test]
fn nd_147_garbage_instead_of_compressed_bytes_closes_the_connection() {
    let daemon = launch().start();
    for (compression, garbage) in [
        (Compression::Snappy, &b"this is no chunk at all"[..]),
        (Compression::Deflate, &[0xff; 64]),
    ] {
        let mut conn = compressed(&daemon, compression);
        conn.send_raw(garbage);
        assert_eq!(conn.next(BOUND), Next::Closed, "{compression:?}");
    }
    daemon.connect().publish("t", b"others are served");
}

#[test]
fn nd_294_the_level_of_the_answer_is_the_one_that_counts() {
    let daemon = launch().start();
    let (mut conn, answer) = identified(&daemon, &json!({"deflate": true}));
    assert_eq!(
        (&answer["deflate_level"], &answer["msg_timeout"]),
        (&json!(6), &json!(60_000))
    );
    conn.start_compression(Compression::Deflate);
    conn.expect_ok();
    conn.subscribe("t", "ch");
    conn.command("RDY 1");
    daemon.post("/pub?topic=t", b"m");
    let attempts = conn.expect_message(b"m").attempts;
    assert_eq!(i16::try_from(attempts).unwrap(), 1);
}

#[test]
fn what_was_sent_ahead_belongs_to_the_layer() {
    if ours_only("bytes sent behind `IDENTIFY` before its answer") {
        return;
    }
    let daemon = launch().start();
    let mut conn = daemon.connect();
    let wishes = r#"{"feature_negotiation":true,"deflate":true}"#;
    let mut packed = Vec::with_capacity(1024);
    let mut deflate = flate2::Compress::new(flate2::Compression::fast(), false);
    deflate
        .compress_vec(b"PUB t\n\0\0\0\x01m", &mut packed, flate2::FlushCompress::Sync)
        .unwrap();
    let line = [&b"IDENTIFY\n"[..], &nsq_testkit::body(wishes.as_bytes()), &packed].concat();
    conn.send(&line);
    assert!(conn.frame().text().contains(r#""deflate":true"#));
    conn.start_compression(Compression::Deflate);
    conn.expect_ok();
    conn.expect_ok();
    daemon.expect_topic("t", &[("message_count", 1)]);
}
