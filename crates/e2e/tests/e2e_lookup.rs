//! Our nsqlookupd with the programs that it has to serve: Go nsqd and a go-nsq consumer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use nsq_e2e::languages::Language;
use nsq_e2e::reference::Maker;
use nsq_e2e::{eventually, eventually_some, http};

const BOUND: Duration = Duration::from_secs(30);

/// nsqd sends PING every 15 s; two must come, and the second at most 30 s after the first was awaited.
const PINGS: Duration = Duration::from_secs(60);

#[test]
fn nl_067_a_go_nsqd_stays_registered_over_its_pings() {
    let lookupd = Maker::Ours.nsqlookupd(&[]);
    let folder = tempfile::tempdir().unwrap();
    let mut nsqd = Maker::Reference.nsqd(folder.path(), &[&lookupd.tcp], &[]);
    eventually(BOUND, "nsqd logs the peer info", || {
        nsqd.process
            .error_lines()
            .iter()
            .any(|l| l.contains("peer info") && l.contains("127.0.0.1"))
    });
    assert_eq!(
        http::post(&nsqd.http, "/topic/create?topic=pings", "").unwrap().0,
        200
    );

    let last_update = || {
        let debug = http::json(&lookupd.http, "/debug")?;
        debug.get("topic:pings:")?[0]["last_update"].as_i64()
    };
    let mut seen = eventually_some(BOUND, "the topic is registered", last_update);
    for ping in 1..=2 {
        seen = eventually_some(PINGS, &format!("PING {ping}"), || {
            last_update().filter(|now| *now > seen)
        });
    }

    let nodes = http::json(&lookupd.http, "/nodes").unwrap();
    let producers = nodes["producers"].as_array().unwrap();
    assert_eq!(producers.len(), 1, "{nodes}");
    assert_eq!(format!("127.0.0.1:{}", producers[0]["tcp_port"]), nsqd.tcp);
    assert_eq!(producers[0]["topics"], serde_json::json!(["pings"]));
    // It never had to connect again.
    let connected = nsqd
        .process
        .error_lines()
        .iter()
        .filter(|l| l.contains("peer info"))
        .count();
    assert_eq!(connected, 1, "{}", nsqd.process.errors());
    nsqd.process.terminate(BOUND);
}

#[test]
fn nl_068_a_go_nsq_consumer_finds_nsqd_through_nsqlookupd() {
    let lookupd = Maker::Ours.nsqlookupd(&[]);
    let folder = tempfile::tempdir().unwrap();
    let nsqd = Maker::Reference.nsqd(folder.path(), &[&lookupd.tcp], &[]);
    let mut consumer = Language::Go.consume("found", "channel", std::slice::from_ref(&lookupd.http));
    assert_eq!(
        http::post(&nsqd.http, "/pub?topic=found", "through discovery")
            .unwrap()
            .0,
        200
    );
    eventually(BOUND, "the message arrives", || {
        consumer.lines() == [b"through discovery".to_vec()]
    });
    consumer.terminate(BOUND);
}
