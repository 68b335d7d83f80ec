//! `/pub` and `/mpub`: cases 208 to 222 of the nsqd specification.

use nsq_testkit::{Daemon, Reply, batch, nsqd};

const MSG_TOO_BIG: &str = r#"{"message":"MSG_TOO_BIG"}"#;
const BODY_TOO_BIG: &str = r#"{"message":"BODY_TOO_BIG"}"#;
const JSON: &str = "application/json; charset=utf-8";

/// A request whose body comes in chunks of this many bytes.
#[track_caller]
fn post_chunked(daemon: &Daemon, target: &str, body: &[u8], size: usize) -> Reply {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    daemon.request_raw(&bytes)
}

#[track_caller]
fn expect_error(daemon: &Daemon, target: &str, body: &[u8], status: u16, code: &str) {
    let reply = daemon.post(target, body);
    let wanted = format!(r#"{{"message":"{code}"}}"#);
    assert_eq!((reply.status, reply.text()), (status, wanted), "{target}");
    assert_eq!(reply.header("Content-Type"), Some(JSON), "{target}");
}

#[test]
fn nd_208_a_published_body_is_answered_with_ok() {
    let reply = nsqd!().post("/pub?topic=t", b"hello");
    reply.expect(200, "OK");
    assert_eq!(reply.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.header("X-NSQ-Content-Type"), Some("nsq; version=1.0"));
}

#[test]
fn nd_209_an_empty_body_is_refused() {
    expect_error(&nsqd!(), "/pub?topic=t", b"", 400, "MSG_EMPTY");
}

#[test]
fn nd_210_the_topic_is_a_valid_name_in_the_query() {
    let daemon = nsqd!();
    expect_error(&daemon, "/pub", b"x", 400, "MISSING_ARG_TOPIC");
    expect_error(&daemon, "/pub?topic=t$", b"x", 400, "INVALID_TOPIC");
    expect_error(&daemon, "/pub?topic=", b"x", 400, "INVALID_TOPIC");
    let form = "POST /pub HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\ntopic=t";
    let reply = daemon.request_raw(form.as_bytes());
    reply.expect(400, r#"{"message":"MISSING_ARG_TOPIC"}"#);
}

#[test]
fn nd_211_a_body_may_have_as_many_bytes_as_a_message() {
    let daemon = nsqd!("--max-msg-size=100");
    let big = [b'x'; 101];
    daemon.post("/pub?topic=t", &big[..100]).expect(200, "OK");
    daemon.post("/pub?topic=t", &big).expect(413, MSG_TOO_BIG);
    post_chunked(&daemon, "/pub?topic=t", &big[..100], 30).expect(200, "OK");
    post_chunked(&daemon, "/pub?topic=t", &big, 30).expect(413, MSG_TOO_BIG);
    daemon.expect_topic("t", &[("message_count", 2), ("message_bytes", 200)]);
}

#[test]
fn nd_212_a_declared_length_is_refused_before_the_body_comes() {
    let daemon = nsqd!();
    let head = "POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n";
    daemon.request_raw(head.as_bytes()).expect(413, MSG_TOO_BIG);
}

#[test]
fn nd_213_a_publish_may_be_deferred() {
    let daemon = nsqd!();
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=c");
    daemon.post("/pub?topic=t&defer=1000", b"x").expect(200, "OK");
    daemon.expect_channel("t", "c", &[("deferred_count", 1), ("depth", 0)]);
    daemon.post("/pub?topic=t&defer=3600000", b"x").expect(200, "OK");
    for bad in ["3600001", "-1", "x", ""] {
        expect_error(
            &daemon,
            &format!("/pub?topic=t&defer={bad}"),
            b"x",
            400,
            "INVALID_DEFER",
        );
    }
}

#[test]
fn nd_214_the_topic_exists_even_if_the_delay_is_refused() {
    let daemon = nsqd!();
    expect_error(&daemon, "/pub?topic=new&defer=x", b"x", 400, "INVALID_DEFER");
    daemon.expect_topic("new", &[("message_count", 0)]);
}

#[test]
fn nd_215_publishing_is_post() {
    let reply = nsqd!().get("/pub");
    reply.expect(405, r#"{"message":"METHOD_NOT_ALLOWED"}"#);
    assert_eq!(reply.header("Allow"), Some("OPTIONS, POST"));
}

#[test]
fn nd_216_a_malformed_query_is_refused() {
    let daemon = nsqd!();
    expect_error(&daemon, "/pub?topic=t;x", b"x", 400, "INVALID_REQUEST");
    expect_error(&daemon, "/pub?topic=t%zz", b"x", 400, "INVALID_REQUEST");
}

#[test]
fn nd_217_each_line_that_is_not_empty_is_a_message() {
    let daemon = nsqd!();
    daemon.post("/mpub?topic=t", b"a\nb\n\nc").expect(200, "OK");
    daemon.expect_topic("t", &[("depth", 3)]);
    daemon.post("/mpub?topic=t", b"a\nb\n\nc\n").expect(200, "OK");
    daemon.expect_topic("t", &[("depth", 6)]);
    daemon.post("/mpub?topic=t", b"").expect(200, "OK");
    daemon.expect_topic("t", &[("depth", 6), ("message_count", 6)]);
}

#[test]
fn nd_218_lines_and_bodies_have_bounds_and_nothing_is_stored() {
    let daemon = nsqd!("--max-msg-size=100", "--max-body-size=1000");
    let line = |size: usize| [vec![b'x'; size], b"\n".to_vec()].concat();
    let good = line(100);
    let too_long = [good.clone(), line(101)].concat();
    daemon.post("/mpub?topic=t", &too_long).expect(413, MSG_TOO_BIG);
    post_chunked(&daemon, "/mpub?topic=t", &too_long, 7).expect(413, MSG_TOO_BIG);
    let too_much = good.repeat(10);
    daemon.post("/mpub?topic=t", &too_much).expect(413, BODY_TOO_BIG);
    post_chunked(&daemon, "/mpub?topic=t", &too_much, 7).expect(413, BODY_TOO_BIG);
    daemon.post("/mpub?topic=t", &good.repeat(9)).expect(200, "OK");
    daemon.expect_topic("t", &[("message_count", 9)]);
}

#[test]
fn nd_219_a_batch_is_binary_for_any_value_that_is_not_known() {
    let daemon = nsqd!();
    let five = batch(&[b"1", b"2", b"3", b"4", b"5"]);
    for (n, value) in ["true", "non_normalized", "", "1"].into_iter().enumerate() {
        daemon
            .post(&format!("/mpub?topic=t&binary={value}"), &five)
            .expect(200, "OK");
        daemon.expect_topic("t", &[("depth", 5 * (n as u64 + 1))]);
    }
}

#[test]
fn nd_220_false_and_0_mean_lines() {
    let daemon = nsqd!();
    daemon
        .post("/mpub?topic=t&binary=false", b"a\nb")
        .expect(200, "OK");
    daemon.post("/mpub?topic=t&binary=0", b"a\nb").expect(200, "OK");
    daemon.expect_topic("t", &[("depth", 4)]);
}

#[test]
fn nd_221_a_batch_is_checked() {
    let daemon = nsqd!("--max-msg-size=100");
    let target = "/mpub?topic=t&binary=true";
    let with_size = |size: i32, body: &[u8]| [&1i32.to_be_bytes(), &size.to_be_bytes(), body].concat();
    for bad in [&0i32.to_be_bytes()[..], &(-1i32).to_be_bytes(), b""] {
        expect_error(&daemon, target, bad, 413, "BAD_BODY");
    }
    for bad in [
        with_size(0, b""),
        with_size(5, b"x"),
        with_size(101, &[b'x'; 101]),
        with_size(-1, b""),
    ] {
        expect_error(&daemon, target, &bad, 413, "BAD_MESSAGE");
    }
    daemon.expect_topic("t", &[("message_count", 0)]);
    daemon
        .post(target, &[batch(&[b"a"]), b"rest".to_vec()].concat())
        .expect(200, "OK");
    daemon.expect_topic("t", &[("message_count", 1)]);
}

#[test]
fn nd_222_many_messages_cannot_be_deferred() {
    let daemon = nsqd!();
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=c");
    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 1");
    daemon.post("/mpub?topic=t&defer=600000", b"a").expect(200, "OK");
    assert_eq!(consumer.message().body, b"a");
}
