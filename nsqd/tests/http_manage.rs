//! Routing, topics and channels, `/info` and `/config`: cases 223 to 234 and 243 to 246 of the nsqd specification.

use nsq_testkit::{Daemon, nsqd, ours_only};
use serde_json::json;

#[track_caller]
fn refused(daemon: &Daemon, target: &str, status: u16, code: &str) {
    let reply = daemon.post(target, b"");
    let wanted = format!(r#"{{"message":"{code}"}}"#);
    assert_eq!((reply.status, reply.text()), (status, wanted), "{target}");
}

/// A daemon with the topic `t` and its channel `c`.
fn with_channel() -> Daemon {
    let daemon = nsqd!();
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=c");
    daemon
}

#[test]
fn nd_223_ping_is_plain_and_get_only() {
    let daemon = nsqd!();
    let reply = daemon.get("/ping");
    reply.expect(200, "OK");
    assert_eq!(reply.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.header("X-NSQ-Content-Type"), None);
    for method in ["POST", "HEAD"] {
        let reply = daemon.request(method, "/ping", b"");
        assert_eq!(
            (reply.status, reply.header("Allow")),
            (405, Some("GET, OPTIONS")),
            "{method}"
        );
    }
}

#[test]
fn nd_224_info_counts_time_in_nanoseconds() {
    if ours_only("topology flags and keys") {
        return;
    }
    let daemon = nsqd!();
    let reply = daemon.get("/info");
    let text = reply.text();
    let keys = [
        "version",
        "broadcast_address",
        "hostname",
        "http_port",
        "tcp_port",
        "start_time",
        "max_heartbeat_interval",
        "max_output_buffer_size",
        "max_output_buffer_timeout",
        "max_deflate_level",
        "topology_zone",
        "topology_region",
    ];
    let places: Vec<_> = keys
        .iter()
        .map(|key| text.find(&format!("\"{key}\":")).unwrap())
        .collect();
    assert!(places.is_sorted(), "{text}");
    let info = reply.json();
    assert_eq!(info["max_heartbeat_interval"], 60_000_000_000_i64);
    assert_eq!(info["max_output_buffer_timeout"], 30_000_000_000_i64);
    assert_eq!(info["tcp_port"], daemon.tcp().port());
    assert_eq!(info["http_port"], daemon.http().port());
}

#[test]
fn nd_225_a_topic_may_be_created_twice() {
    let daemon = nsqd!();
    for _ in 0..2 {
        let reply = daemon.post("/topic/create?topic=t", b"ignored");
        reply.expect(200, "");
        assert_eq!(
            (reply.header("Content-Length"), reply.header("Content-Type")),
            (Some("0"), None)
        );
        assert!(reply.header("X-NSQ-Content-Type").is_some());
    }
}

#[test]
fn nd_226_a_topic_needs_a_valid_name() {
    let daemon = nsqd!();
    refused(&daemon, "/topic/create", 400, "MISSING_ARG_TOPIC");
    refused(&daemon, "/topic/create?topic=a%20b", 400, "INVALID_TOPIC");
}

#[test]
fn nd_227_a_channel_needs_a_topic_and_valid_names() {
    let daemon = with_channel();
    refused(
        &daemon,
        "/channel/create?topic=no&channel=c",
        404,
        "TOPIC_NOT_FOUND",
    );
    refused(
        &daemon,
        "/channel/create?topic=t&channel=a$",
        400,
        "INVALID_ARG_CHANNEL",
    );
    refused(
        &daemon,
        "/channel/create?topic=a$&channel=c",
        400,
        "INVALID_ARG_TOPIC",
    );
    refused(&daemon, "/channel/create?topic=t", 400, "MISSING_ARG_CHANNEL");
}

#[test]
fn nd_228_a_topic_is_paused() {
    let daemon = with_channel();
    refused(&daemon, "/topic/pause", 400, "MISSING_ARG_TOPIC");
    refused(&daemon, "/topic/pause?topic=no", 404, "TOPIC_NOT_FOUND");
    daemon.post("/topic/pause?topic=t", b"").expect(200, "");
    assert_eq!(daemon.topic("t")["paused"], true);
    daemon.post("/topic/unpause?topic=t", b"").expect(200, "");
    assert_eq!(daemon.topic("t")["paused"], false);
}

/// nd_229, nd_230
#[test]
fn nd_229_230_an_invalid_topic_is_not_found_or_invalid() {
    let daemon = nsqd!();
    refused(&daemon, "/topic/delete?topic=a$", 404, "TOPIC_NOT_FOUND");
    refused(&daemon, "/topic/empty?topic=a$", 400, "INVALID_TOPIC");
    refused(&daemon, "/topic/empty?topic=no", 404, "TOPIC_NOT_FOUND");
}

#[test]
fn nd_231_an_unknown_channel_is_not_found() {
    let daemon = with_channel();
    for action in ["pause", "unpause", "empty", "delete"] {
        refused(
            &daemon,
            &format!("/channel/{action}?topic=t&channel=no"),
            404,
            "CHANNEL_NOT_FOUND",
        );
        daemon
            .post(&format!("/channel/{action}?topic=t&channel=c"), b"")
            .expect(200, "");
    }
}

#[test]
fn nd_232_unknown_paths_and_methods() {
    let daemon = nsqd!();
    daemon.get("/nope").expect(404, r#"{"message":"NOT_FOUND"}"#);
    daemon
        .post("/stats", b"")
        .expect(405, r#"{"message":"METHOD_NOT_ALLOWED"}"#);
    daemon.get("/config").expect(404, r#"{"message":"NOT_FOUND"}"#);
}

#[test]
fn nd_233_other_spellings_are_redirected() {
    let daemon = nsqd!();
    for path in ["/ping/", "/PING", "//ping"] {
        let reply = daemon.get(path);
        assert_eq!(
            (reply.status, reply.header("Location")),
            (301, Some("/ping")),
            "{path}"
        );
    }
    let reply = daemon.post("/topic/create/?topic=x", b"");
    assert_eq!(
        (reply.status, reply.header("Location")),
        (307, Some("/topic/create?topic=x"))
    );
}

#[test]
fn nd_234_options_names_the_methods() {
    let reply = nsqd!().request("OPTIONS", "/ping", b"");
    reply.expect(200, "");
    assert_eq!(reply.header("Allow"), Some("GET, OPTIONS"));
}

#[test]
fn nd_243_the_nsqlookupds_are_read_and_set() {
    let daemon = nsqd!();
    let target = "/config/nsqlookupd_tcp_addresses";
    daemon.get(target).expect(200, "[]");
    let two = r#"["127.0.0.1:1","127.0.0.1:2"]"#;
    daemon.request("PUT", target, two.as_bytes()).expect(200, two);
    daemon.get(target).expect(200, two);
    daemon
        .request("PUT", target, br#""x""#)
        .expect(400, r#"{"message":"INVALID_VALUE"}"#);
    assert_eq!(daemon.get(target).json(), json!(["127.0.0.1:1", "127.0.0.1:2"]));
}

#[test]
fn nd_244_the_log_level_is_set_by_name_and_read_as_a_number() {
    let daemon = nsqd!();
    let set = |level: &str| daemon.request("PUT", "/config/log_level", level.as_bytes());
    set("debug").expect(200, "1");
    set("WARN").expect(200, "3");
    daemon.get("/config/log_level").expect(200, "3");
    set("bad").expect(400, r#"{"message":"INVALID_VALUE"}"#);
    set("info\n").expect(400, r#"{"message":"INVALID_VALUE"}"#);
    set("").expect(413, r#"{"message":"INVALID_VALUE"}"#);
}

#[test]
fn nd_245_only_two_options_can_be_set() {
    let daemon = nsqd!();
    let invalid = r#"{"message":"INVALID_OPTION"}"#;
    daemon
        .request("PUT", "/config/msg_timeout", b"1")
        .expect(400, invalid);
    daemon.get("/config/nope").expect(400, invalid);
    assert_eq!(daemon.post("/config/log_level", b"info").status, 405);
}

#[test]
fn nd_246_options_are_read_by_their_key_in_the_file() {
    let daemon = nsqd!("--node-id=7");
    daemon.get("/config/msg_timeout").expect(200, "60000000000");
    daemon.get("/config/log_prefix").expect(200, "[nsqd] ");
    daemon.get("/config/id").expect(200, "7");
    daemon
        .get("/config/node_id")
        .expect(400, r#"{"message":"INVALID_OPTION"}"#);
}
