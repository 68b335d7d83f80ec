//! Messages from node to node while one is emptied: OP-156, OP-157 and the rest of the drain (operator specification 6.3).
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test: due times are wall clock, and a peer that is not there is a closed port"
)]

use nsq_testkit::{BOUND, Conn, Daemon, Stopwatch, eventually, nsqd, ours_only};
use serde_json::{Value, json};
use std::time::Duration;

const OURS: &str = "`/evacuate`";

/// One record of the body.
fn record(id: u64, timestamp: i64, attempts: u16, due: i64, body: &[u8]) -> Vec<u8> {
    let mut bytes = timestamp.to_be_bytes().to_vec();
    bytes.extend(attempts.to_be_bytes());
    bytes.extend(format!("{id:016x}").into_bytes());
    bytes.extend(due.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(body);
    nsq_testkit::body(&bytes)
}

fn unix_nanos() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

fn put(daemon: &Daemon, body: &Value) -> Value {
    let reply = daemon.request("PUT", "/lifecycle", body.to_string().as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn drain(daemon: &Daemon, evacuate: &str, after_ms: u64, peers: &[&Daemon]) {
    let peers: Vec<String> = peers.iter().map(|peer| peer.http().to_string()).collect();
    put(
        daemon,
        &json!({"phase": "draining", "id": "test", "evacuate": evacuate, "after_ms": after_ms, "peers": peers}),
    );
}

fn drain_document(daemon: &Daemon) -> Value {
    daemon.get("/lifecycle").json()["drain"].clone()
}

#[track_caller]
fn expect_empty(daemon: &Daemon) {
    eventually(BOUND, || drain_document(daemon)["empty"] == true);
}

fn consume(daemon: &Daemon, topic: &str, channel: &str) -> Conn {
    let mut conn = daemon.subscribe(topic, channel);
    conn.command("RDY 2000");
    conn
}

fn bodies(conn: &mut Conn, count: usize) -> Vec<String> {
    let mut bodies: Vec<String> = (0..count)
        .map(|_| {
            let message = conn.message();
            conn.finish(&message);
            String::from_utf8(message.body).unwrap()
        })
        .collect();
    bodies.sort();
    bodies
}

#[test]
fn op_156_records_arrive_as_they_were_and_survive_a_kill() {
    if ours_only(OURS) {
        return;
    }
    let mut daemon = nsqd!();
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=other");
    let later = unix_nanos() + 3_000_000_000;
    let watch = Stopwatch::start();
    let mut body = Vec::new();
    for n in 0..99_u32 {
        body.extend(record(
            0x1000 + u64::from(n),
            1_700_000_000_000_000_000 + i64::from(n),
            7,
            0,
            b"moved",
        ));
    }
    body.extend(record(0x2000, 5, 7, later, b"later"));
    daemon
        .request("POST", "/evacuate?topic=t&channel=c", &body)
        .expect(200, r#"{"accepted":100}"#);
    daemon.kill();
    daemon.restart();
    daemon.expect_channel("t", "c", &[("depth", 99), ("deferred_count", 1)]);
    daemon.expect_channel("t", "other", &[("depth", 0)]);
    daemon.expect_topic("t", &[("message_count", 0), ("depth", 0)]);
    let mut conn = consume(&daemon, "t", "c");
    for n in 0..99_u32 {
        let message = conn.expect_message(b"moved");
        assert_eq!(message.id, format!("{:016x}", 0x1000 + n));
        assert_eq!(message.timestamp, 1_700_000_000_000_000_000 + i64::from(n));
        assert_eq!(message.attempts, 8);
        conn.finish(&message);
    }
    conn.expect_message(b"later");
    watch.expect_ms(2990, 8000);
}

/// Of the same case: what the target counts, and a new channel that is paused.
#[test]
fn op_156_a_channel_counts_what_it_gets_and_may_be_made_paused() {
    if ours_only(OURS) {
        return;
    }
    let daemon = nsqd!();
    let body = record(1, 2, 3, 0, b"m");
    daemon
        .request("POST", "/evacuate?topic=t&channel=c&paused=true", &body)
        .expect(200, r#"{"accepted":1}"#);
    daemon.expect_channel("t", "c", &[("message_count", 1), ("depth", 1)]);
    assert_eq!(daemon.channel("t", "c")["paused"], true);
    daemon.expect_topic("t", &[("message_count", 0)]);
    // Without a channel: as if it were published, and held back once a channel has it.
    let body = [
        record(2, 2, 3, 0, b"plain"),
        record(3, 2, 3, 1_500_000_000, b"held"),
    ]
    .concat();
    daemon
        .request("POST", "/evacuate?topic=u", &body)
        .expect(200, r#"{"accepted":2}"#);
    daemon.expect_topic("u", &[("message_count", 2), ("depth", 2)]);
    let watch = Stopwatch::start();
    let mut conn = consume(&daemon, "u", "c");
    assert_eq!(conn.expect_message(b"plain").attempts, 4);
    conn.expect_message(b"held");
    watch.expect_ms(1490, 4000);
}

#[test]
fn op_157_what_is_not_whole_is_refused_whole() {
    if ours_only(OURS) {
        return;
    }
    let daemon = nsqd!("--max-body-size=1000");
    let good = record(1, 2, 3, 0, b"m");
    let post = |target: &str, body: &[u8]| daemon.request("POST", target, body);
    let message = |reply: nsq_testkit::Reply| (reply.status, reply.json()["message"].clone());
    for body in [
        &good[..good.len() - 1],
        b"",
        b"abc",
        &[good.as_slice(), b"\0\0\0\x05"].concat(),
    ] {
        let refused = message(post("/evacuate?topic=t&channel=c", body));
        assert_eq!(refused, (400, json!("BAD_BODY")), "{body:?}");
    }
    let refused = message(post("/evacuate?topic=a,b", &good));
    assert_eq!(refused, (400, json!("INVALID_TOPIC")));
    let refused = message(post("/evacuate?topic=t&channel=a,b", &good));
    assert_eq!(refused, (400, json!("INVALID_ARG_CHANNEL")));
    let refused = message(post("/evacuate?topic=t", &vec![0; 1001]));
    assert_eq!(refused, (413, json!("BODY_TOO_BIG")));
    assert_eq!(daemon.stats()["topics"], json!([]), "nothing was stored");
    drain(&daemon, "never", 0, &[]);
    let refused = message(post("/evacuate?topic=t&channel=c", &good));
    assert_eq!(refused, (503, json!("DRAINING")));
}

#[test]
fn what_nobody_consumes_goes_to_the_peers_and_what_is_consumed_stays() {
    if ours_only(OURS) {
        return;
    }
    let (source, first, second) = (nsqd!("--mem-queue-size=10"), nsqd!(), nsqd!());
    let _served = source.subscribe("t", "served");
    source.act("/channel/create?topic=t&channel=lonely");
    source.act("/channel/create?topic=t&channel=paused");
    source.act("/channel/pause?topic=t&channel=paused");
    let mut conn = source.connect();
    for n in 0..300 {
        conn.publish("t", format!("{n:03}").as_bytes());
    }
    conn.publish("alone", b"without a channel");
    // The peers know the topic with another channel, which must get no copy.
    first.act("/topic/create?topic=t");
    first.act("/channel/create?topic=t&channel=bystander");
    drain(&source, "stuck", 200, &[&first, &second]);
    eventually(BOUND, || drain_document(&source)["evacuated"] == 601);
    source.expect_channel("t", "lonely", &[("depth", 0), ("backend_depth", 0)]);
    source.expect_channel("t", "served", &[("depth", 300)]);
    assert_eq!(drain_document(&source)["empty"], false);
    first.expect_channel("t", "bystander", &[("depth", 0)]);
    let all = |channel: &str| -> Vec<String> {
        let mut found = Vec::new();
        for node in [&first, &second] {
            let picture = node.channel("t", channel);
            assert_eq!(picture["paused"], channel == "paused");
            node.act(&format!("/channel/unpause?topic=t&channel={channel}"));
            let depth = usize::try_from(picture["depth"].as_u64().unwrap()).unwrap();
            found.extend(bodies(&mut consume(node, "t", channel), depth));
        }
        found.sort();
        found
    };
    let expected: Vec<String> = (0..300).map(|n| format!("{n:03}")).collect();
    assert_eq!(all("lonely"), expected);
    assert_eq!(all("paused"), expected);
    let alone = [&first, &second].map(|node| node.stats()["topics"].to_string().contains("alone"));
    assert_eq!(alone.iter().filter(|has| **has).count(), 1);
}

#[test]
fn always_moves_everything_but_what_is_in_flight() {
    if ours_only(OURS) {
        return;
    }
    let (source, target) = (nsqd!(), nsqd!());
    let mut holder = source.subscribe("t", "c");
    holder.command("RDY 1");
    for n in 0..20 {
        source.post("/pub?topic=t", format!("{n:02}").as_bytes());
    }
    let held = holder.message();
    holder.command("RDY 0");
    let mut conn = source.connect();
    conn.command_with("DPUB t 600000", b"later");
    conn.expect_ok();
    drain(&source, "always", 0, &[&target]);
    target.expect_channel(
        "t",
        "c",
        &[("depth", 19), ("deferred_count", 1), ("message_count", 20)],
    );
    source.expect_channel(
        "t",
        "c",
        &[("depth", 0), ("deferred_count", 0), ("in_flight_count", 1)],
    );
    assert_eq!(drain_document(&source)["empty"], false, "one is in flight");
    holder.finish(&held);
    expect_empty(&source);
    assert_eq!(bodies(&mut consume(&target, "t", "c"), 19).len(), 19);
}

#[test]
fn a_deferred_message_goes_only_when_it_is_due_late() {
    if ours_only(OURS) {
        return;
    }
    let (source, target) = (nsqd!(), nsqd!());
    let _served = source.subscribe("t", "c");
    let mut conn = source.connect();
    for (ms, body) in [(3_000, b"soon"), (600_000, b"late")] {
        conn.command_with(&format!("DPUB t {ms}"), body);
        conn.expect_ok();
    }
    drain(&source, "stuck", 60_000, &[&target]);
    target.expect_channel("t", "c", &[("deferred_count", 1)]);
    source.expect_channel("t", "c", &[("deferred_count", 1)]);
}

#[test]
fn a_peer_that_refuses_is_passed_over_and_nothing_is_lost_while_all_do() {
    if ours_only(OURS) {
        return;
    }
    let (source, closed, open) = (nsqd!("--mem-queue-size=3"), nsqd!(), nsqd!());
    source.act("/topic/create?topic=t");
    source.act("/channel/create?topic=t&channel=c");
    for n in 0..10 {
        source.post("/pub?topic=t", format!("{n}").as_bytes());
    }
    drain(&closed, "never", 0, &[]);
    drain(&source, "always", 0, &[&closed]);
    eventually(BOUND, || {
        drain_document(&source)["last_error"]
            .as_str()
            .unwrap()
            .contains("DRAINING")
    });
    source.expect_channel("t", "c", &[("depth", 10)]);
    let document = drain_document(&source);
    assert_eq!(
        (&document["evacuated"], &document["empty"]),
        (&json!(0), &json!(false))
    );
    drain(&source, "always", 0, &[&closed, &open]);
    expect_empty(&source);
    open.expect_channel("t", "c", &[("depth", 10)]);
    let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&mut consume(&open, "t", "c"), 10), expected);
}

#[test]
fn a_killed_sender_may_double_but_never_loses() {
    if ours_only(OURS) {
        return;
    }
    let target = nsqd!();
    let mut source = nsqd!("--mem-queue-size=0", "--sync-every=1");
    source.act("/topic/create?topic=t");
    source.act("/channel/create?topic=t&channel=c");
    let mut conn = source.connect();
    for n in 0..3000 {
        conn.publish("t", format!("{n:04}").as_bytes());
    }
    source.expect_channel("t", "c", &[("depth", 3000)]);
    drain(&source, "always", 0, &[&target]);
    eventually(BOUND, || drain_document(&source)["evacuated"] != 0);
    source.kill();
    source.restart();
    let mut found = Vec::new();
    for node in [&source, &target] {
        let depth = usize::try_from(node.channel("t", "c")["depth"].as_u64().unwrap()).unwrap();
        found.extend(bodies(&mut consume(node, "t", "c"), depth));
    }
    found.sort();
    found.dedup();
    let expected: Vec<String> = (0..3000).map(|n| format!("{n:04}")).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_cancelled_drain_gives_everything_back() {
    if ours_only(OURS) {
        return;
    }
    let source = nsqd!();
    source.act("/topic/create?topic=t");
    source.act("/channel/create?topic=t&channel=c");
    source.post("/pub?topic=t", b"m");
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    put(
        &source,
        &json!({"phase": "draining", "id": "x", "evacuate": "always", "peers": [dead.to_string()]}),
    );
    eventually(BOUND, || drain_document(&source)["last_error"] != "");
    put(&source, &json!({"phase": "active"}));
    consume(&source, "t", "c").expect_message(b"m");
    eventually(Duration::from_secs(2), || {
        source.get("/lifecycle").json()["drain"].is_null()
    });
}
