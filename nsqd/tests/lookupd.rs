//! What nsqd tells its nsqlookupds and asks of them: cases 255 to 265 of the nsqd specification.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test; the time of another process is measured from outside"
)]

use nsq_testkit::tls::{Authority, Identity, serve_https};
use nsq_testkit::{Answer, BOUND, Daemon, FakeLookupd, Launch, Seen, eventually, nsqd_binary, ours_only};
use std::time::{Duration, Instant};

const KEYS: [&str; 7] = [
    "broadcast_address",
    "hostname",
    "http_port",
    "tcp_port",
    "topology_region",
    "topology_zone",
    "version",
];

fn launch(fake: &FakeLookupd) -> Launch {
    let flag = format!("--lookupd-tcp-address={}", fake.tcp());
    Launch::new(nsqd_binary(env!("CARGO_BIN_EXE_nsqd"))).flag(flag)
}

/// A daemon that has connected to the fake and read its answer to IDENTIFY.
fn connected(fake: &FakeLookupd) -> Daemon {
    let daemon = launch(fake).start();
    daemon.expect_log("peer info");
    daemon
}

fn identify(seen: &Seen) -> Option<&str> {
    match seen {
        Seen::Identify(body) => Some(body),
        _ => None,
    }
}

fn identified(fake: &FakeLookupd) -> Vec<String> {
    fake.expect_count(1, |seen| identify(seen).is_some());
    let all = fake.seen();
    all.iter().filter_map(identify).map(str::to_owned).collect()
}

fn to_identify(fake: &FakeLookupd, data: &[u8]) {
    let data = data.to_vec();
    fake.answer_with(move |line| {
        Answer::Data(if line == "IDENTIFY" {
            data.clone()
        } else {
            b"OK".to_vec()
        })
    });
}

#[test]
fn nd_255_a_start_identifies_and_registers_what_is_known() {
    let fake = FakeLookupd::start();
    let folder = tempfile::tempdir().unwrap();
    let json = br#"{"topics":[{"name":"alone"},{"name":"t","channels":[{"name":"c1"},{"name":"c2"}]}]}"#;
    std::fs::write(folder.path().join("nsqd.dat"), json).unwrap();
    let daemon = launch(&fake).data(folder.path()).start();
    let wanted = ["REGISTER alone", "REGISTER t c1", "REGISTER t c2"];
    eventually(BOUND, || {
        let lines = fake.lines();
        wanted.iter().all(|line| lines.iter().any(|seen| seen == line))
    });
    assert_eq!(fake.seen()[0], Seen::Magic(*b"  V1"));

    let body = &identified(&fake)[0];
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(json["tcp_port"], daemon.tcp().port());
    assert_eq!(json["http_port"], daemon.http().port());

    if ours_only("topology flags and keys") {
        return;
    }
    let mut lines = fake.lines();
    lines.sort();
    assert_eq!(lines, wanted);
    let place = |key| body.find(&format!(r#""{key}":"#)).unwrap();
    assert!(KEYS.map(place).is_sorted(), "{body}");
    assert_eq!(json.as_object().unwrap().len(), KEYS.len(), "{body}");
}

#[test]
fn nd_256_a_new_topic_has_the_channels_that_are_known() {
    let fake = FakeLookupd::start();
    fake.set_channels(200, r#"{"channels":["b","a","x#ephemeral"]}"#);
    let daemon = connected(&fake);
    daemon.connect().publish("t", b"m");
    // Each has the first message, so each existed before it was distributed.
    daemon.expect_channel("t", "a", &[("depth", 1)]);
    daemon.expect_channel("t", "b", &[("depth", 1)]);
    assert!(daemon.channel("t", "x#ephemeral").is_null());
    assert!(fake.seen().contains(&Seen::Http("GET /channels?topic=t".into())));
    for line in ["REGISTER t", "REGISTER t a", "REGISTER t b"] {
        fake.expect_line(line);
    }
}

/// Section 8.5: an nsqlookupd that answers 403 and names its `https_port` is asked there.
#[test]
fn channels_are_asked_for_over_https_where_a_peer_wants_that() {
    if ours_only("X https of nsqlookupds that answer 403") {
        return;
    }
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, authority.cert()).unwrap();
    let known = serve_https(&authority.issue("lookup"), r#"{"channels":["c"]}"#);
    let stranger = serve_https(&Identity::self_signed("lookup"), r#"{"channels":["wrong"]}"#);
    let fake = FakeLookupd::start();
    let refusal = |port: u16| format!(r#"{{"message": "TLS_REQUIRED", "https_port": {port}}}"#);
    let daemon = launch(&fake)
        .flag(format!("--tls-root-ca-file={}", ca.display()))
        .start();
    daemon.expect_log("peer info");

    fake.set_channels(403, &refusal(known.port()));
    daemon.connect().publish("t", b"m");
    daemon.expect_channel("t", "c", &[("depth", 1)]);

    fake.set_channels(403, &refusal(stranger.port()));
    daemon.connect().publish("u", b"m");
    daemon.expect_topic("u", &[("depth", 1)]);
    daemon.expect_log("WARNING: failed to query nsqlookupd for channels to pre-create for topic u - ");
    assert!(daemon.channel("u", "wrong").is_null());

    // The CA file is replaced: who was a stranger is known now.
    let other = Authority::new();
    let renewed = serve_https(&other.issue("lookup"), r#"{"channels":["new"]}"#);
    std::fs::write(&ca, other.cert()).unwrap();
    fake.set_channels(403, &refusal(renewed.port()));
    daemon.connect().publish("v", b"m");
    daemon.expect_channel("v", "new", &[("depth", 1)]);
    // What cannot be read leaves the one that was in force.
    std::fs::write(&ca, "no certificate at all").unwrap();
    daemon.connect().publish("w", b"m");
    daemon.expect_channel("w", "new", &[("depth", 1)]);
    daemon.expect_log("ERROR: TLS: the old CA stays - ");
}

#[test]
fn nd_257_what_is_deleted_is_taken_back() {
    let fake = FakeLookupd::start();
    let daemon = connected(&fake);
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=c");
    fake.expect_line("REGISTER t c");
    daemon.act("/channel/delete?topic=t&channel=c");
    fake.expect_line("UNREGISTER t c");
    daemon.act("/channel/create?topic=t&channel=d");
    fake.expect_line("REGISTER t d");
    daemon.act("/topic/delete?topic=t");
    fake.expect_line("UNREGISTER t");
    fake.expect_line("UNREGISTER t d");

    let consumer = daemon.subscribe("u", "e#ephemeral");
    fake.expect_line("REGISTER u e#ephemeral");
    drop(consumer);
    fake.expect_line("UNREGISTER u e#ephemeral");
}

#[test]
fn nd_258_a_sign_of_life_every_15_seconds() {
    let fake = FakeLookupd::start();
    let started = Instant::now();
    let _daemon = connected(&fake);
    eventually(BOUND * 2, || fake.lines() == ["PING", "PING"]);
    assert!(started.elapsed().as_secs() >= 29, "{:?}", started.elapsed());
}

#[test]
fn nd_259_a_connection_that_dropped_is_restored_with_everything() {
    let fake = FakeLookupd::start();
    let daemon = connected(&fake);
    daemon.act("/topic/create?topic=t");
    fake.expect_line("REGISTER t");
    fake.drop_connections();
    // The first sign of life fails; the second one connects, tells everything, then is told itself.
    eventually(BOUND * 2, || fake.lines().iter().any(|line| line == "PING"));
    assert_eq!(fake.lines(), ["REGISTER t", "REGISTER t", "PING"]);
    assert_eq!(identified(&fake).len(), 2);
}

#[test]
fn a_nsqlookupd_that_comes_later_is_found_soon() {
    if ours_only("a nsqlookupd that refuses or loses the connection") {
        return;
    }
    let fake = FakeLookupd::start();
    to_identify(&fake, b"not yet");
    let daemon = launch(&fake).start();
    daemon.expect_log("ERROR: LOOKUPD(");
    to_identify(&fake, &fake.identity());
    let soon = Duration::from_secs(10);
    eventually(soon, || daemon.log().contains("peer info"));
}

#[test]
fn a_change_restores_a_connection_that_is_known_to_be_gone() {
    let fake = FakeLookupd::start();
    let daemon = connected(&fake);
    fake.drop_connections();
    daemon.act("/topic/create?topic=t1");
    daemon.expect_log("ERROR: LOOKUPD(");
    daemon.act("/topic/create?topic=t2");
    for line in ["REGISTER t1", "REGISTER t2"] {
        fake.expect_line(line);
    }
}

#[test]
fn nd_260_an_answer_that_is_no_json_closes() {
    for answer in [&b"E_INVALID"[..], b"what?"] {
        let fake = FakeLookupd::start();
        to_identify(&fake, answer);
        let daemon = launch(&fake).start();
        fake.expect_count(1, |seen| *seen == Seen::Closed);
        daemon.expect_log("ERROR: LOOKUPD(");
        to_identify(&fake, &fake.identity());
        daemon.act("/topic/create?topic=t");
        fake.expect_line("REGISTER t");
    }
}

#[test]
fn nd_261_a_silent_peer_is_given_up_after_a_second() {
    let fake = FakeLookupd::start();
    fake.answer_with(|_| Answer::Silence);
    let started = Instant::now();
    let daemon = launch(&fake).start();
    fake.expect_count(1, |seen| *seen == Seen::Closed);
    assert!(started.elapsed().as_millis() >= 900, "{:?}", started.elapsed());
    daemon.get("/ping").expect(200, "OK");
}

#[test]
fn nd_262_a_failing_peer_does_not_stop_a_topic() {
    let fake = FakeLookupd::start();
    fake.set_channels(500, "no");
    let daemon = connected(&fake);
    daemon.connect().publish("t", b"m");
    daemon.expect_topic("t", &[("depth", 1)]);
    daemon.expect_log("WARNING: failed to query nsqlookupd for channels to pre-create for topic t - ");
}

#[test]
fn nd_263_another_list_of_peers_at_run_time() {
    let (old, new) = (FakeLookupd::start(), FakeLookupd::start());
    let daemon = connected(&old);
    daemon.act("/topic/create?topic=t");
    old.expect_line("REGISTER t");
    let body = format!(r#"["{}"]"#, new.tcp());
    let reply = daemon.request("PUT", "/config/nsqlookupd_tcp_addresses", body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    old.expect_count(1, |seen| *seen == Seen::Closed);
    new.expect_line("REGISTER t");
    assert_eq!(identified(&new).len(), 1);
}

#[test]
fn nd_264_a_clean_exit_takes_nothing_back() {
    let fake = FakeLookupd::start();
    let mut daemon = connected(&fake);
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=c");
    fake.expect_line("REGISTER t c");
    assert_eq!(daemon.stop(), Some(0));
    fake.expect_count(1, |seen| *seen == Seen::Closed);
    assert!(!fake.lines().iter().any(|line| line.starts_with("UNREGISTER")));
}

#[test]
fn nd_265_a_port_to_announce() {
    let fake = FakeLookupd::start();
    let daemon = launch(&fake).flag("--broadcast-tcp-port=1234").start();
    let json: serde_json::Value = serde_json::from_str(&identified(&fake)[0]).unwrap();
    assert_eq!(json["tcp_port"], 1234);
    assert_eq!(daemon.get("/info").json()["tcp_port"], daemon.tcp().port());
}

#[test]
fn a_joining_node_asks_until_an_nsqlookupd_answers() {
    if ours_only("`/lifecycle`, `/livez`, `/ready`, `--join-timeout`") {
        return;
    }
    let fake = FakeLookupd::start();
    fake.set_channels(500, "no");
    let daemon = launch(&fake).flag("--join-timeout=5m").start();
    let asked = Seen::Http("GET /topics".into());
    fake.expect_count(2, |seen| *seen == asked);
    assert_eq!(daemon.get("/ready").status, 503);
    fake.set_channels(200, r#"{"topics":[]}"#);
    daemon.expect_log("JOIN: done - every channel has a consumer");
    daemon.get("/ready").expect(200, "OK");
}
