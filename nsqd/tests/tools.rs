//! What tools read over HTTP, byte for byte where they do: cases 288 and 295 of the nsqd specification.

use nsq_testkit::{Conn, Daemon, nsqd};
use serde_json::{Value, json};

/// The text of `/stats` with these parameters.
#[track_caller]
fn text(daemon: &Daemon, query: &str) -> String {
    let reply = daemon.get(&format!("/stats{query}"));
    assert_eq!(reply.status, 200);
    reply.text()
}

#[test]
fn nd_288_without_percentiles() {
    let daemon = nsqd!();
    drop(daemon.subscribe("t", "c"));
    let none = json!({"count": 0, "percentiles": null});
    assert_eq!(daemon.topic("t")["e2e_processing_latency"], none);
    assert_eq!(daemon.channel("t", "c")["e2e_processing_latency"], none);
    assert!(text(&daemon, "").lines().any(|line| line.ends_with("e2e%: ")));
}

#[test]
fn nd_295_what_nsqadmin_asks() {
    let daemon = nsqd!();
    assert_eq!(daemon.get("/info").json()["version"], "1.3.0");
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=c");
    let stats = || {
        daemon
            .get("/stats?format=json&topic=t&include_clients=false")
            .json()
    };
    daemon.act("/topic/pause?topic=t");
    daemon.post("/pub?topic=t", b"x").expect(200, "OK");
    assert_eq!(
        (&stats()["topics"][0]["paused"], &stats()["topics"][0]["depth"]),
        (&json!(true), &json!(1))
    );
    daemon.act("/topic/empty?topic=t");
    assert_eq!(stats()["topics"][0]["depth"], 0);
    daemon.act("/topic/unpause?topic=t");
    daemon.act("/channel/pause?topic=t&channel=c");
    assert_eq!(stats()["topics"][0]["channels"][0]["paused"], true);
    daemon.post("/pub?topic=t", b"x").expect(200, "OK");
    daemon.expect_channel("t", "c", &[("depth", 1)]);
    daemon.act("/channel/empty?topic=t&channel=c");
    daemon.act("/channel/unpause?topic=t&channel=c");
    daemon.expect_channel("t", "c", &[("depth", 0)]);
    daemon.act("/channel/delete?topic=t&channel=c");
    assert_eq!(stats()["topics"][0]["channels"], json!([]));
    daemon.act("/topic/delete?topic=t");
    assert_eq!(stats()["topics"], Value::Null);
}

/// The keys of a channel in the order of §6.5; readers that compare bytes see ours behind them.
#[test]
fn the_keys_of_a_channel_have_an_order() {
    let daemon = nsqd!();
    drop(daemon.subscribe("t", "c"));
    daemon.expect_channel("t", "c", &[("client_count", 0)]);
    let body = text(&daemon, "?format=json&include_mem=false");
    let channel = r#"{"topic_name":"t","channels":[{"channel_name":"c","depth":0,"backend_depth":0,"in_flight_count":0,"deferred_count":0,"message_count":0,"requeue_count":0,"timeout_count":0,"client_count":0,"clients":[],"paused":false,"e2e_processing_latency":{"count":0,"percentiles":null}"#;
    assert!(body.contains(channel), "{body}");
    let topic = r#"],"depth":0,"backend_depth":0,"message_count":0,"message_bytes":0,"paused":false,"e2e_processing_latency":{"count":0,"percentiles":null}"#;
    assert!(body.contains(topic), "{body}");
}

/// Strings of a client are escaped as the reference escapes them.
#[test]
fn text_in_json_is_escaped_for_html() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.identify(r#"{"hostname":"<a>&\u2028\u0001"}"#);
    conn.expect_ok();
    conn.subscribe("t", "c");
    let body = text(&daemon, "?format=json");
    assert!(
        body.contains(r#""hostname":"\u003ca\u003e\u0026\u2028\u0001""#),
        "{body}"
    );
}

#[test]
fn the_text_form_of_clients() {
    let daemon = nsqd!();
    let mut consumer = daemon.connect();
    consumer.identify(r#"{"hostname":"host","user_agent":"test/1"}"#);
    consumer.expect_ok();
    consumer.subscribe("t", "c");
    consumer.command("RDY 5");
    let mut producer = daemon.connect();
    producer.publish("t", b"x");
    consumer.message();
    let body = text(&daemon, "");
    let name = format!("host:{} test/1", consumer.local_address().port());
    let line = format!(
        "\n        [V2 {name:<21}] state: 3 inflt: {:<4} rdy: {:<4} fin: {:<8} re-q: {:<8} msgs: {:<8} connected: ",
        1, 5, 0, 0, 1
    );
    assert!(body.contains(&line), "{line:?} is not in {body}");
    let name = format!("127.0.0.1:{} ", producer.local_address().port());
    let line = format!(
        "\nProducers:\n   [V2 {name:<21}] msgs: {:<8} topics: t=1 connected: ",
        1
    );
    assert!(body.contains(&line), "{line:?} is not in {body}");
}

#[test]
fn two_requests_share_a_connection() {
    let daemon = nsqd!();
    let mut conn = Conn::connect(daemon.http());
    let ping = |conn: &mut Conn| {
        conn.send(b"GET /ping HTTP/1.1\r\nHost: n\r\n\r\n");
        let head = String::from_utf8(conn.bytes(15)).expect("text");
        assert_eq!(head, "HTTP/1.1 200 OK");
        let mut rest = Vec::new();
        while !rest.ends_with(b"\r\n\r\n") {
            rest.extend(conn.bytes(1));
        }
        assert_eq!(conn.bytes(2), b"OK");
    };
    ping(&mut conn);
    ping(&mut conn);
}

#[test]
fn an_invalid_request_is_400_and_closed() {
    let daemon = nsqd!();
    let reply = daemon.request_raw(b"nonsense\r\n\r\n");
    assert_eq!((reply.status, reply.header("connection")), (400, Some("close")));
}
