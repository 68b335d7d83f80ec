//! What is found on the disk after a crash or damage: cases 195 to 198 of the nsqd specification.
#![allow(
    clippy::disallowed_methods,
    reason = "a test of what another process left behind looks at the real files"
)]

use std::fs::OpenOptions;
use std::path::Path;

use nsq_testkit::{BOUND, Daemon, Launch, eventually, nsqd, nsqd_binary};

/// Bytes of a record in front of the body: its length, then time, attempts and id.
const RECORD: u64 = 4 + 26;

/// An nsqd that keeps every message on the disk, in this data folder.
#[track_caller]
fn start(folder: &Path, flag: &str) -> Daemon {
    Launch::new(nsqd_binary(env!("CARGO_BIN_EXE_nsqd")))
        .flag("--mem-queue-size=0")
        .flag(flag)
        .data(folder)
        .start()
}

/// Stops it at once, as a crash does, and starts it again.
#[track_caller]
fn crash(daemon: &mut Daemon) {
    daemon.kill();
    daemon.restart();
}

#[track_caller]
fn publish(daemon: &Daemon, bodies: &[&str]) {
    let mut producer = daemon.connect();
    bodies
        .iter()
        .for_each(|body| producer.publish("t", body.as_bytes()));
}

/// Exactly these bodies come, in any order, and nothing is left.
#[track_caller]
fn expect_rest(daemon: &Daemon, bodies: &[&str]) {
    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 100");
    let mut seen = Vec::new();
    for _ in bodies {
        let message = consumer.message();
        consumer.finish(&message);
        seen.push(String::from_utf8_lossy(&message.body).into_owned());
    }
    seen.sort();
    assert_eq!(seen, bodies);
    daemon.expect_topic("t", &[("depth", 0)]);
    let counts = [("depth", 0), ("in_flight_count", 0), ("deferred_count", 0)];
    daemon.expect_channel("t", "c", &counts);
    daemon.expect_channel("t", "c", &[("message_count", bodies.len() as u64)]);
}

/// What the metadata file of the queue says.
fn positions(daemon: &Daemon) -> String {
    std::fs::read_to_string(daemon.data().join("t.diskqueue.meta.dat")).unwrap_or_default()
}

/// Whether this data file of the queue was set aside.
fn set_aside(daemon: &Daemon, number: u64) -> bool {
    daemon
        .files()
        .contains(&format!("t.diskqueue.{number:06}.dat.bad"))
}

/// The depth at the start is counted, or that of the last sync; what is delivered is the same.
#[test]
fn nd_195_records_after_the_last_sync_survive_a_crash() {
    let mut daemon = nsqd!("--mem-queue-size=0", "--sync-timeout=1s");
    publish(&daemon, &["a", "b", "c"]);
    let synced = format!("3\n0,0\n0,{}\n", 3 * (RECORD + 1));
    eventually(BOUND, || positions(&daemon) == synced);
    publish(&daemon, &["d", "e"]);
    crash(&mut daemon);
    let depth = daemon.topic("t")["depth"].as_u64();
    assert!(matches!(depth, Some(3 | 5)), "{depth:?}");
    expect_rest(&daemon, &["a", "b", "c", "d", "e"]);
}

/// What was written may be lost or, better, delivered.
#[test]
fn nd_196_a_crash_before_the_first_sync_leaves_a_healthy_process() {
    let mut daemon = nsqd!("--mem-queue-size=0", "--sync-timeout=1h");
    daemon.act("/topic/create?topic=t");
    eventually(BOUND, || daemon.metadata()["topics"][0]["name"] == "t");
    publish(&daemon, &["a"]);
    crash(&mut daemon);
    daemon.get("/ping").expect(200, "OK");
    let depth = daemon.topic("t")["depth"].as_u64();
    assert!(matches!(depth, Some(0 | 1)), "{depth:?}");
    publish(&daemon, &["b"]);
    let rest: &[&str] = if depth == Some(0) { &["b"] } else { &["a", "b"] };
    expect_rest(&daemon, rest);
}

#[test]
fn nd_197_the_rest_of_a_cut_file_is_lost_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a data folder");
    let record = RECORD + 2;
    let flag = format!("--max-bytes-per-file={}", 3 * record);
    let mut daemon = start(folder.path(), &flag);
    let bodies = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"];
    publish(&daemon, &bodies);
    assert_eq!(daemon.stop(), Some(0));
    let file = OpenOptions::new()
        .write(true)
        .open(folder.path().join("t.diskqueue.000001.dat"))
        .expect("the file in the middle");
    file.set_len(record + 10).expect("a shorter file");
    daemon.restart();
    daemon.expect_topic("t", &[("depth", 9)]);
    expect_rest(&daemon, &["m0", "m1", "m2", "m3", "m6", "m7", "m8"]);
    eventually(BOUND, || set_aside(&daemon, 1));
}

#[test]
fn nd_198_a_message_that_is_too_large_now_ends_its_file() {
    let folder = tempfile::tempdir().expect("a data folder");
    let mut daemon = start(folder.path(), "--max-msg-size=100");
    let large = "x".repeat(60);
    publish(&daemon, &["a", &large, "b"]);
    assert_eq!(daemon.stop(), Some(0));
    let daemon = start(folder.path(), "--max-msg-size=50");
    expect_rest(&daemon, &["a"]);
    eventually(BOUND, || set_aside(&daemon, 0));
    publish(&daemon, &["c"]);
    daemon.expect_topic("t", &[("depth", 0)]);
    // Whether the consumer that has gone still takes it is open.
    daemon.expect_channel("t", "c", &[("message_count", 2)]);
}
