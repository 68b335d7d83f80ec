//! The phases of a node and what says so: `/info`, `/livez`, `/ready`, `/lifecycle`. Cases 150 to 155 and 158 of the operator
//! specification, case 4 of the extensions specification.

use nsq_testkit::{BOUND, Daemon, FakeLookupd, Launch, Reply, eventually};
use serde_json::{Value, json};

fn launch() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_nsqd"))
}

#[track_caller]
fn put(daemon: &Daemon, body: &str) -> Reply {
    daemon.request("PUT", "/lifecycle", body.as_bytes())
}

#[track_caller]
fn drain(daemon: &Daemon) -> Value {
    let reply = put(daemon, r#"{"phase":"draining","id":"a"}"#);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// The part of `/lifecycle` that tells how the drain stands.
#[track_caller]
fn drained(daemon: &Daemon) -> Value {
    daemon.get("/lifecycle").json()["drain"].clone()
}

/// The names in a JSON text that are followed by a colon, in their order, those of inner objects too.
fn keys(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split('"').collect();
    let named = parts.windows(2).filter(|pair| pair[1].starts_with(':'));
    named.map(|pair| pair[0]).collect()
}

#[test]
fn op_150_ex_004_info_ends_with_what_is_ours() {
    let info = launch().start().get("/info");
    let baseline = [
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
    let ours = ["extensions", "phase", "release"];
    assert_eq!(keys(&info.text()), [&baseline[..], &ours[..]].concat());
    let info = info.json();
    assert_eq!(info["version"], "1.3.0");
    assert_eq!(
        info["extensions"],
        json!(["lifecycle", "evacuate", "join", "ready", "metrics", "tls-reload"])
    );
    assert_eq!(info["phase"], "active");
}

#[test]
fn op_151_a_drain_is_described_in_full_and_repeated_without_effect() {
    let daemon = launch().start();
    let request = r#"{"phase":"draining","id":"a","evacuate":"stuck","after_ms":5,"peers":["h:1"]}"#;
    let first = put(&daemon, request);
    let expected = [
        "phase",
        "since_ms",
        "join",
        "drain",
        "id",
        "publishers",
        "refused",
        "depth",
        "in_flight",
        "deferred",
        "message_count",
        "empty",
        "empty_ms",
        "evacuate",
        "after_ms",
        "peers",
        "evacuating",
        "evacuated",
        "last_error",
        "blockers",
    ];
    assert_eq!(keys(&first.text()), expected);
    let first = first.json();
    assert_eq!(
        (&first["phase"], &first["join"]),
        (&json!("draining"), &Value::Null)
    );
    let stands = &first["drain"];
    assert_eq!(
        (&stands["evacuate"], &stands["after_ms"]),
        (&json!("stuck"), &json!(5))
    );
    assert_eq!(
        (&stands["peers"], &stands["evacuating"]),
        (&json!(["h:1"]), &json!(false))
    );
    assert_eq!(
        (&stands["empty"], &stands["blockers"]),
        (&json!(true), &json!([]))
    );

    let second = put(&daemon, r#"{"phase":"draining","id":"b"}"#).json();
    assert_eq!(second["since_ms"], first["since_ms"], "it is the same drain");
    assert_eq!(
        (&second["drain"]["id"], &second["drain"]["evacuate"]),
        (&json!("b"), &json!("never"))
    );
    assert_eq!(daemon.get("/lifecycle").json()["drain"]["id"], "b");
    assert_eq!(daemon.get("/info").json()["phase"], "draining");
    daemon.get("/ready").expect(200, "OK");
}

#[test]
fn op_152_a_draining_node_refuses_publishes_and_new_names_only() {
    let daemon = launch().start();
    let mut publisher = daemon.connect();
    publisher.publish("t", b"one");
    publisher.publish("t", b"two");
    daemon.act("/channel/create?topic=t&channel=c");
    drain(&daemon);

    publisher.command_with("PUB t", b"x");
    publisher.expect_fatal("E_PUB_FAILED PUB failed draining");
    let mut publisher = daemon.connect();
    publisher.command_with("MPUB t", &[0, 0, 0, 1, 0, 0, 0, 1, b'x']);
    publisher.expect_fatal("E_MPUB_FAILED MPUB failed draining");
    let mut publisher = daemon.connect();
    publisher.command_with("DPUB t 100", b"x");
    publisher.expect_fatal("E_DPUB_FAILED DPUB failed draining");

    for refused in [
        "/pub?topic=t",
        "/pub?topic=new",
        "/mpub?topic=t",
        "/mpub?topic=new",
        "/topic/create?topic=new",
        "/channel/create?topic=t&channel=new",
    ] {
        let reply = daemon.post(refused, b"x");
        reply.expect(503, r#"{"message":"DRAINING"}"#);
        assert_eq!(reply.header("Retry-After"), Some("1"), "{refused}");
    }
    daemon.post("/topic/create?topic=t", b"").expect(200, "");
    daemon
        .post("/channel/create?topic=t&channel=c", b"")
        .expect(200, "");
    daemon
        .post("/pub?topic=new", b"")
        .expect(400, r#"{"message":"MSG_EMPTY"}"#);
    daemon
        .post("/pub?topic=new&defer=x", b"x")
        .expect(400, r#"{"message":"INVALID_DEFER"}"#);
    assert!(daemon.topic("new").is_null(), "no topic for what is refused");
    assert_eq!(drained(&daemon)["refused"], 7);

    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 1");
    let message = consumer.message();
    consumer.command(&format!("REQ {} 0", message.id));
    for _ in 0..2 {
        let message = consumer.message();
        consumer.command(&format!("FIN {}", message.id));
    }
    daemon.expect_channel(
        "t",
        "c",
        &[("depth", 0), ("in_flight_count", 0), ("requeue_count", 1)],
    );
}

#[test]
fn op_153_an_active_node_takes_publishes_again() {
    let daemon = launch().start();
    drain(&daemon);
    daemon
        .post("/pub?topic=t", b"x")
        .expect(503, r#"{"message":"DRAINING"}"#);
    let active = put(&daemon, r#"{"phase":"active"}"#).json();
    assert_eq!(
        (&active["phase"], &active["drain"]),
        (&json!("active"), &Value::Null)
    );
    daemon.post("/pub?topic=t", b"x").expect(200, "OK");
    daemon.connect().publish("t", b"x");
    let again = put(&daemon, r#"{"phase":"active"}"#).json();
    assert_eq!(again["since_ms"], active["since_ms"], "it was active already");
}

#[test]
fn op_154_a_bad_request_changes_nothing() {
    let daemon = launch().start();
    let peers = |count: usize| {
        format!(
            r#"{{"phase":"draining","id":"a","peers":{:?}}}"#,
            vec!["h:1"; count]
        )
    };
    let id = |length: usize| format!(r#"{{"phase":"draining","id":"{}"}}"#, "ü".repeat(length));
    for bad in [
        "",
        "{",
        "[]",
        r#"{"phase":"stopped","id":"a"}"#,
        r#"{"phase":"joining","id":"a"}"#,
        r#"{"id":"a"}"#,
        r#"{"phase":"draining"}"#,
        r#"{"phase":"draining","id":7}"#,
        r#"{"phase":"draining","id":"a","after_ms":-1}"#,
        r#"{"phase":"draining","id":"a","evacuate":"perhaps"}"#,
        r#"{"phase":"draining","id":"a","peers":"h:1"}"#,
        &id(65),
        &peers(1025),
    ] {
        let reply = put(&daemon, bad);
        assert_eq!(reply.status, 400, "{bad}: {}", reply.text());
        assert_eq!(reply.json()["message"], "INVALID_VALUE");
    }
    put(&daemon, &" ".repeat(70 * 1024)).expect(413, r#"{"message":"INVALID_VALUE"}"#);
    assert_eq!(daemon.get("/lifecycle").json()["phase"], "active");
    assert_eq!(put(&daemon, &id(64)).status, 200);
    assert_eq!(put(&daemon, &peers(1024)).status, 200);
    let reply = daemon.post("/lifecycle", b"");
    reply.expect(405, r#"{"message":"METHOD_NOT_ALLOWED"}"#);
    assert_eq!(reply.header("Allow"), Some("GET, OPTIONS, PUT"));
}

#[test]
fn op_155_an_empty_node_stays_up_and_says_for_how_long_it_is_empty() {
    let daemon = launch().start();
    daemon.connect().publish("t", b"x");
    daemon.act("/channel/create?topic=t&channel=c");
    eventually(BOUND, || daemon.channel("t", "c")["depth"] == 1);
    drain(&daemon);
    let stands = drained(&daemon);
    assert_eq!(
        (&stands["empty"], &stands["empty_ms"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(
        (&stands["depth"], &stands["message_count"]),
        (&json!(1), &json!(1))
    );
    let blocker = json!([{"topic":"t","channel":"c","reason":"no_consumers","messages":1,"due_ms":0}]);
    assert_eq!(stands["blockers"], blocker);

    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 1");
    let message = consumer.message();
    let stands = drained(&daemon);
    assert_eq!(
        (&stands["empty"], &stands["in_flight"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(stands["blockers"][0]["reason"], "in_flight");
    consumer.command("RDY 0");
    consumer.command(&format!("REQ {} 600000", message.id));
    eventually(BOUND, || drained(&daemon)["deferred"] == 1);
    let stands = drained(&daemon);
    assert_eq!(
        (&stands["empty"], &stands["empty_ms"]),
        (&json!(false), &json!(0))
    );
    let blocker = &stands["blockers"][0];
    assert_eq!(blocker["reason"], "deferred");
    let since = daemon.get("/lifecycle").json()["since_ms"].as_i64().unwrap();
    let due = blocker["due_ms"].as_i64().unwrap();
    assert!(
        (since + 600_000..since + 660_000).contains(&due),
        "{due} is ten minutes after {since}"
    );

    daemon.act("/channel/empty?topic=t&channel=c");
    eventually(BOUND, || drained(&daemon)["empty"] == true);
    eventually(BOUND, || drained(&daemon)["empty_ms"].as_u64() > Some(20));
    assert_eq!(drained(&daemon)["blockers"], json!([]));
    daemon.get("/ping").expect(200, "OK");
}

#[test]
fn op_158_a_joining_node_is_ready_when_its_channels_have_consumers() {
    let lookupd = FakeLookupd::start();
    lookupd.set_channels(200, r#"{"topics":["t"],"channels":["c"]}"#);
    let daemon = launch()
        .flag(format!("--lookupd-tcp-address={}", lookupd.tcp()))
        .flag("--join-timeout=60s")
        .start();
    eventually(BOUND, || daemon.get("/lifecycle").json()["join"]["channels"] == 1);
    let stands = daemon.get("/lifecycle").json();
    assert_eq!(stands["phase"], "joining");
    assert_eq!(stands["join"]["topics"], 1);
    assert_eq!(stands["join"]["waiting"], json!([{"topic":"t","channel":"c"}]));
    let reply = daemon.get("/ready");
    assert_eq!(reply.status, 503);
    let text = reply.text();
    let left = text.strip_prefix("NOT READY - joining: 1 channels without consumers, ");
    let left: u32 = left.unwrap_or(&text).trim_end_matches("s left").parse().unwrap();
    assert!((1..=60).contains(&left), "{text}");
    daemon.post("/pub?topic=t", b"x").expect(200, "OK");
    let _consumer = daemon.subscribe("t", "c");
    eventually(BOUND, || daemon.get("/ready").status == 200);
    assert_eq!(daemon.get("/info").json()["phase"], "active");
}

#[test]
fn op_158_a_joining_node_is_ready_when_its_time_is_over() {
    let lookupd = FakeLookupd::start();
    lookupd.set_channels(200, r#"{"topics":["t"],"channels":["c"]}"#);
    let daemon = launch()
        .flag(format!("--lookupd-tcp-address={}", lookupd.tcp()))
        .flag("--join-timeout=1s")
        .start();
    eventually(BOUND, || daemon.get("/ready").status == 200);
    assert!(!daemon.channel("t", "c").is_null(), "the name was copied first");
}

#[test]
fn a_joining_node_can_be_made_active_at_once() {
    let lookupd = FakeLookupd::start();
    lookupd.set_channels(200, r#"{"topics":["t"],"channels":["c"]}"#);
    let daemon = launch()
        .flag(format!("--lookupd-tcp-address={}", lookupd.tcp()))
        .flag("--join-timeout=1h")
        .start();
    assert_eq!(daemon.get("/ready").status, 503);
    assert_eq!(put(&daemon, r#"{"phase":"active"}"#).json()["phase"], "active");
    daemon.get("/ready").expect(200, "OK");
}

#[test]
fn livez_is_ok_in_every_phase() {
    let daemon = launch().start();
    let reply = daemon.get("/livez");
    reply.expect(200, "OK");
    assert_eq!(reply.header("X-NSQ-Content-Type"), Some("nsq; version=1.0"));
    drain(&daemon);
    daemon.get("/livez").expect(200, "OK");
    assert_eq!(daemon.post("/livez", b"").status, 405);
}
