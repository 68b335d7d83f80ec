//! The HTTP API, nsqlookupd spec 10, cases 44 to 63.

use crate::support::{Lookupd, ours_only};

const NOTHING: [&str; 0] = [];

#[test]
fn nl_044_ping_is_plain_text() {
    let answer = Lookupd::start().get("/ping");
    assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("X-NSQ-Content-Type"), None);
}

#[test]
fn nl_045_info_tells_the_version() {
    let lookupd = Lookupd::start();
    let answer = lookupd.get("/info");
    assert_eq!(lookupd.json("/info")["version"], "1.3.0");
    assert_eq!(answer.header("X-NSQ-Content-Type"), Some("nsq; version=1.0"));
    assert!(
        answer.head.contains("\r\nX-Nsq-Content-Type: "),
        "{}",
        answer.head
    );
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/json; charset=utf-8")
    );
    if !ours_only("`/info`") {
        let release = env!("CARGO_PKG_VERSION");
        assert_eq!(
            answer.body,
            format!(r#"{{"version":"1.3.0","extensions":["metrics"],"release":"{release}"}}"#)
        );
    }
}

#[test]
fn nl_046_an_empty_server_has_empty_lists() {
    let lookupd = Lookupd::start();
    assert_eq!(lookupd.get("/topics").body, r#"{"topics":[]}"#);
    assert_eq!(lookupd.get("/nodes").body, r#"{"producers":[]}"#);
    assert_eq!(lookupd.get("/debug").body, "{}");
}

#[test]
fn nl_047_nl_048_lookup_and_channels_need_a_topic() {
    let lookupd = Lookupd::start();
    lookupd.get("/lookup").is_error(400, "MISSING_ARG_TOPIC");
    lookupd.get("/lookup?topic=").is_error(404, "TOPIC_NOT_FOUND");
    lookupd.get("/lookup?topic=zz").is_error(404, "TOPIC_NOT_FOUND");
    lookupd.get("/lookup?topic=%zz").is_error(400, "INVALID_REQUEST");
    lookupd.get("/channels").is_error(400, "MISSING_ARG_TOPIC");
    assert_eq!(lookupd.get("/channels?topic=zz").body, r#"{"channels":[]}"#);
}

#[test]
fn nl_049_nl_050_topics_are_created_from_the_query() {
    let lookupd = Lookupd::start();
    lookupd.post("/topic/create").is_error(400, "MISSING_ARG_TOPIC");
    lookupd
        .post("/topic/create?topic=")
        .is_error(400, "INVALID_ARG_TOPIC");
    lookupd
        .post("/topic/create?topic=a$")
        .is_error(400, "INVALID_ARG_TOPIC");
    lookupd.post("/topic/create?topic=good").is_empty();
    lookupd.post("/topic/create?topic=good").is_empty();
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\ntopic=form";
    lookupd
        .request("POST /topic/create", form)
        .is_error(400, "MISSING_ARG_TOPIC");
    assert_eq!(lookupd.topics(), ["good"]);
}

#[test]
fn nl_051_a_created_channel_creates_its_topic() {
    let lookupd = Lookupd::start();
    lookupd.post("/channel/create?topic=n&channel=c").is_empty();
    lookupd.post("/channel/create?topic=n&channel=c").is_empty();
    assert_eq!(
        lookupd.get("/lookup?topic=n").body,
        r#"{"channels":["c"],"producers":[]}"#
    );
}

#[test]
fn nl_052_channel_arguments_are_checked_in_order() {
    let lookupd = Lookupd::start();
    for (query, message) in [
        ("", "MISSING_ARG_TOPIC"),
        ("?topic=a$", "INVALID_ARG_TOPIC"),
        ("?topic=a", "MISSING_ARG_CHANNEL"),
        ("?topic=a&channel=b$", "INVALID_ARG_CHANNEL"),
        ("?topic=a;channel=b", "INVALID_REQUEST"),
    ] {
        lookupd
            .post(&format!("/channel/create{query}"))
            .is_error(400, message);
        lookupd
            .post(&format!("/channel/delete{query}"))
            .is_error(400, message);
    }
}

#[test]
fn nl_053_a_deleted_channel_leaves_its_topic() {
    let lookupd = Lookupd::start();
    lookupd.post("/channel/create?topic=t&channel=c").is_empty();
    lookupd
        .post("/channel/delete?topic=t&channel=x")
        .is_error(404, "CHANNEL_NOT_FOUND");
    lookupd.post("/channel/delete?topic=t&channel=c").is_empty();
    assert_eq!(
        (lookupd.topics(), lookupd.channels("t")),
        (vec!["t".to_owned()], vec![])
    );
}

#[test]
fn nl_054_a_deleted_topic_takes_its_channels_along() {
    let lookupd = Lookupd::start();
    lookupd.post("/topic/delete").is_error(400, "MISSING_ARG_TOPIC");
    lookupd.post("/topic/delete?topic=unknown").is_empty();
    lookupd.post("/channel/create?topic=t&channel=c").is_empty();
    lookupd.post("/topic/delete?topic=t").is_empty();
    lookupd.get("/lookup?topic=t").is_error(404, "TOPIC_NOT_FOUND");
    assert_eq!(lookupd.channels("t"), NOTHING);
}

#[test]
fn nl_055_a_deleted_topic_is_back_with_the_next_register() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t");
    lookupd.post("/topic/delete?topic=t").is_empty();
    nsqd.ok("PING");
    assert_eq!(lookupd.nodes()[0]["topics"], serde_json::json!([]));
    assert_eq!(lookupd.nodes()[0]["tombstones"], serde_json::json!([]));
    nsqd.ok("REGISTER t");
    assert_eq!(lookupd.nodes()[0]["topics"], serde_json::json!(["t"]));
}

#[test]
fn nl_056_a_tombstone_needs_topic_and_node() {
    let lookupd = Lookupd::start();
    lookupd
        .post("/topic/tombstone?node=n")
        .is_error(400, "MISSING_ARG_TOPIC");
    lookupd
        .post("/topic/tombstone?topic=t")
        .is_error(400, "MISSING_ARG_NODE");
}

#[test]
fn nl_057_nl_058_nl_060_methods_and_unknown_paths() {
    let lookupd = Lookupd::start();
    let create = lookupd.get("/topic/create?topic=a");
    create.is_error(405, "METHOD_NOT_ALLOWED");
    assert_eq!(create.header("Allow"), Some("OPTIONS, POST"));
    let topics = lookupd.post("/topics");
    topics.is_error(405, "METHOD_NOT_ALLOWED");
    assert_eq!(topics.header("Allow"), Some("GET, OPTIONS"));
    assert_eq!(lookupd.request("HEAD /topics", "").status, 405);
    lookupd.get("/nope").is_error(404, "NOT_FOUND");
    let options = lookupd.request("OPTIONS /topics", "");
    options.is_empty();
    assert_eq!(options.header("Allow"), Some("GET, OPTIONS"));
}

#[test]
fn nl_059_paths_are_led_to_their_canonical_form() {
    let lookupd = Lookupd::start();
    for (line, status, location) in [
        ("GET /topics/", 301, "/topics"),
        ("GET /TOPICS", 301, "/topics"),
        ("POST /topic/create/?topic=a", 307, "/topic/create?topic=a"),
    ] {
        let answer = lookupd.request(line, "");
        assert_eq!(
            (answer.status, answer.header("Location")),
            (status, Some(location)),
            "{line}"
        );
    }
}

#[test]
fn nl_061_nl_062_names_are_decoded_and_the_first_value_wins() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER e#ephemeral");
    assert_eq!(lookupd.lookup("e%23ephemeral"), ["a.host"]);
    nsqd.ok("REGISTER t2 c2");
    nsqd.ok("REGISTER t1 c1");
    assert_eq!(
        lookupd.json("/lookup?topic=t2&topic=t1")["channels"],
        serde_json::json!(["c2"])
    );
}

#[test]
fn nl_063_debug_shows_every_registration() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t c");
    let debug = lookupd.json("/debug");
    let mut keys: Vec<_> = debug.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["channel:t:c", "client::", "topic:t:"]);
    let entry = &debug["topic:t:"][0];
    assert_eq!(entry["id"], nsqd.stream.local_addr().unwrap().to_string());
    assert_eq!(entry["tombstoned"], false);
    assert_eq!(entry["tombstoned_at"], -6_795_364_578_871_345_152_i64);
    assert!(entry["last_update"].as_i64().unwrap() > 1_700_000_000_000_000_000);
    lookupd
        .post("/topic/tombstone?topic=t&node=a.host:5555")
        .is_empty();
    assert_eq!(lookupd.json("/debug")["topic:t:"][0]["tombstoned"], true);
}

/// In the reference `*` means every topic here.
#[test]
fn a_star_is_no_wildcard() {
    if ours_only("B3, B4, B5 `*` as a topic") {
        return;
    }
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t c");
    lookupd.post("/topic/delete?topic=*").is_empty();
    lookupd
        .post("/topic/tombstone?topic=*&node=a.host:5555")
        .is_empty();
    lookupd.get("/lookup?topic=*").is_error(404, "TOPIC_NOT_FOUND");
    assert_eq!(lookupd.get("/channels?topic=*").body, r#"{"channels":[]}"#);
    assert_eq!(
        (lookupd.topics(), lookupd.lookup("t")),
        (vec!["t".to_owned()], vec!["a.host".to_owned()])
    );
}
