//! Health that heals: EX-087 and OP-159 of the specifications of extensions and operator.
#![allow(
    clippy::disallowed_methods,
    reason = "a test that takes the daemon's files away works with the real ones"
)]

use nsq_testkit::{BOUND, Daemon, Launch, Stopwatch, eventually, nsqd, nsqd_binary, ours_only};
use std::time::Duration;

const FORGETS: &str = "X health (`/ping`, `/ready`, `/stats`) after a write that failed";

/// Publishes what the daemon cannot write, and returns its word for why.
#[track_caller]
fn fail_to_publish(daemon: &Daemon, topic: &str) -> String {
    let mut conn = daemon.connect();
    conn.command_with(&format!("PUB {topic}"), b"x");
    let text = conn.frame().text();
    conn.expect_eof();
    let reason = text.strip_prefix("E_PUB_FAILED PUB failed ");
    reason.expect("a refusal").to_owned()
}

/// What a publisher and a probe see.
fn states(daemon: &Daemon) -> [u16; 2] {
    [daemon.get("/ping").status, daemon.get("/ready").status]
}

#[test]
fn ex_087_a_write_failure_heals_by_itself_and_not_by_a_success_elsewhere() {
    if ours_only(FORGETS) {
        return;
    }
    let daemon = nsqd!("--mem-queue-size=0");
    daemon.act("/topic/create?topic=bad");
    // The position of the queue can no longer be written; every other queue works.
    let blocked = daemon.data().join("bad.diskqueue.meta.dat");
    std::fs::create_dir(&blocked).expect("a folder in its way");
    let watch = Stopwatch::start();
    let reason = fail_to_publish(&daemon, "bad");
    daemon.get("/ping").expect(500, &format!("NOK - {reason}"));
    daemon.connect().publish("good", b"y");
    daemon.get("/ping").expect(500, &format!("NOK - {reason}"));
    eventually(Duration::from_secs(6), || daemon.get("/ping").status == 200);
    watch.expect_ms(4900, 6500);
    assert!(daemon.files().iter().all(|file| !file.contains("self-test")));

    // A success of the same thing ends it at once.
    fail_to_publish(&daemon, "bad");
    assert_eq!(states(&daemon), [500, 503]);
    std::fs::remove_dir(&blocked).expect("the folder goes");
    daemon.connect().publish("bad", b"z");
    daemon.get("/ping").expect(200, "OK");
}

#[test]
fn op_159_ready_comes_back_without_a_publish_once_there_is_room() {
    if ours_only(FORGETS) {
        return;
    }
    let parent = tempfile::tempdir().expect("a folder");
    let (data, away) = (parent.path().join("data"), parent.path().join("away"));
    std::fs::create_dir(&data).expect("the data folder");
    let daemon = Launch::new(nsqd_binary(env!("CARGO_BIN_EXE_nsqd")))
        .flag("--mem-queue-size=0")
        .data(&data)
        .start();
    assert_eq!(states(&daemon), [200, 200]);
    // The super user may write everywhere and no test may fill a disk: there is no room where there is no folder.
    std::fs::rename(&data, &away).expect("the data folder goes");
    let reason = fail_to_publish(&daemon, "t");
    daemon.get("/ready").expect(503, &format!("NOK - {reason}"));
    daemon.get("/livez").expect(200, "OK");
    // A test of the data path that fails changes nothing.
    eventually(BOUND, || {
        daemon.log().contains("the data path cannot be written yet")
    });
    assert_eq!(states(&daemon), [500, 503]);
    std::fs::rename(&away, &data).expect("the data folder is back");
    eventually(Duration::from_secs(6), || daemon.get("/ready").status == 200);
    daemon.get("/ping").expect(200, "OK");
    assert_eq!(daemon.stats()["health"], "OK");
    daemon.expect_log("the data path can be written again");
}

#[test]
fn what_was_accepted_is_kept_while_a_channel_cannot_write() {
    if ours_only(
        "messages that a channel cannot write: those that wait in their topic, that are requeued, time out or become due",
    ) {
        return;
    }
    const COUNT: usize = 3000;
    let daemon = nsqd!("--mem-queue-size=0");
    daemon.act("/topic/create?topic=t");
    let mut publisher = daemon.connect();
    let bodies: Vec<String> = (0..COUNT).map(|number| format!("{number}")).collect();
    for body in &bodies {
        publisher.publish("t", body.as_bytes());
    }
    let blocked = daemon.data().join("t:c.diskqueue.meta.dat");
    std::fs::create_dir(&blocked).expect("a folder in its way");
    daemon.act("/channel/create?topic=t&channel=c");
    daemon.expect_log("failed to write");
    let everywhere = || {
        let topic = daemon.topic("t");
        [&topic, &topic["channels"][0]]
            .map(|place| place["depth"].as_u64().unwrap_or(0))
            .iter()
            .sum::<u64>()
    };
    eventually(BOUND, || everywhere() == COUNT as u64);
    // The topic goes on taking what it can store itself; a message that comes back is not lost either.
    publisher.publish("t", b"one more");
    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 1");
    let message = consumer.message();
    consumer.requeue(&message, 0);

    std::fs::remove_dir(&blocked).expect("the folder goes");
    consumer.command("RDY 100");
    let mut got = std::collections::BTreeSet::new();
    while got.len() < COUNT + 1 {
        let message = consumer.message();
        consumer.finish(&message);
        got.insert(message.body);
    }
    daemon.expect_channel("t", "c", &[("depth", 0), ("in_flight_count", 0)]);
    daemon.expect_topic("t", &[("depth", 0), ("message_count", COUNT as u64 + 1)]);
}

#[test]
fn a_publish_that_is_refused_is_not_counted() {
    let daemon = nsqd!("--mem-queue-size=0");
    daemon.act("/topic/create?topic=bad");
    let blocked = daemon.data().join("bad.diskqueue.meta.dat");
    std::fs::create_dir(&blocked).expect("a folder in its way");
    std::fs::create_dir(daemon.data().join("bad.diskqueue.000000.dat")).expect("another");
    fail_to_publish(&daemon, "bad");
    daemon.expect_topic("bad", &[("depth", 0), ("message_count", 0)]);
}
