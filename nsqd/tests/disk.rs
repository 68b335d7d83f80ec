//! What is on the disk: cases 191 to 194, 199 to 203 and 207 of the nsqd specification.
#![allow(
    clippy::disallowed_methods,
    reason = "a test of what another process left behind looks at the real files"
)]

use std::path::Path;

use nsq_testkit::{BOUND, Daemon, Launch, eventually, nsqd, nsqd_binary, run_to_end};
use serde_json::Value;

/// Bytes of a message before its body: time, attempts, id.
const HEADER: usize = 26;

/// Publishes these bodies, each with its own `OK`.
#[track_caller]
fn publish(daemon: &Daemon, topic: &str, bodies: &[&[u8]]) {
    let mut producer = daemon.connect();
    bodies.iter().for_each(|body| producer.publish(topic, body));
}

/// A file of the data folder as text; empty when it is not there.
fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}

/// Sizes of the data files of the queue `t`, by name.
fn data_files(daemon: &Daemon) -> Vec<(String, u64)> {
    let is_data = |name: &String| name.starts_with("t.diskqueue.0");
    let sized = |name: String| {
        let size = std::fs::metadata(daemon.data().join(&name)).map_or(0, |file| file.len());
        (name, size)
    };
    daemon.files().into_iter().filter(is_data).map(sized).collect()
}

/// A data folder with this metadata file.
#[track_caller]
fn folder_with(metadata: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a data folder");
    std::fs::write(folder.path().join("nsqd.dat"), metadata).expect("its metadata file");
    folder
}

/// An nsqd in a data folder with this metadata file.
#[track_caller]
fn start_with(metadata: &str) -> (Daemon, tempfile::TempDir) {
    let folder = folder_with(metadata);
    let binary = nsqd_binary(env!("CARGO_BIN_EXE_nsqd"));
    (Launch::new(binary).data(folder.path()).start(), folder)
}

#[test]
fn nd_191_records_and_positions() {
    let daemon = nsqd!("--mem-queue-size=0");
    let bodies: [&[u8]; 3] = [b"a", b"bb", b"ccc"];
    publish(&daemon, "t", &bodies);
    let bytes = 3 * (4 + HEADER) + 6;
    eventually(BOUND, || {
        text(daemon.data(), "t.diskqueue.meta.dat") == format!("3\n0,0\n0,{bytes}\n")
    });
    let data = std::fs::read(daemon.data().join("t.diskqueue.000000.dat")).expect("the data file");
    assert_eq!(data.len(), bytes);
    let mut rest = data.as_slice();
    for body in bodies {
        let (length, after) = rest.split_at(4);
        let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
        assert_eq!(usize::try_from(length).expect("a length"), HEADER + body.len());
        let (message, after) = after.split_at(HEADER + body.len());
        assert_eq!(&message[8..10], [0, 0], "attempts");
        let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        assert!(message[10..HEADER].iter().all(hex), "{message:?}");
        assert_eq!(&message[HEADER..], body);
        rest = after;
    }
}

/// The deferral itself may end with the restart or go on after it; either way nothing is lost.
#[test]
fn nd_192_a_clean_stop_keeps_what_is_in_flight_and_deferred() {
    let mut daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 2");
    let mut producer = daemon.connect();
    producer.publish("t", b"in flight");
    producer.publish("t", b"requeued");
    for _ in 0..2 {
        let message = conn.message();
        if message.body == b"requeued" {
            conn.requeue(&message, 6000);
        }
    }
    producer.command_with("DPUB t 6000", b"deferred");
    producer.expect_ok();
    daemon.expect_channel("t", "c", &[("in_flight_count", 1), ("deferred_count", 2)]);
    assert_eq!(daemon.stop(), Some(0));
    let meta = text(daemon.data(), "t:c.diskqueue.meta.dat");
    assert_eq!(meta.lines().next(), Some("3"), "{meta}");
    daemon.restart();
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 3");
    let mut seen: Vec<_> = (0..3)
        .map(|_| conn.message())
        .map(|message| (message.body, message.attempts))
        .collect();
    seen.sort();
    let wanted = [("deferred", 1), ("in flight", 2), ("requeued", 2)];
    assert_eq!(
        seen,
        wanted.map(|(body, attempts)| (body.as_bytes().to_vec(), attempts))
    );
}

/// As for the case before: both survive, whenever the deferred one is due.
#[test]
fn nd_193_a_topic_without_channels_keeps_its_messages() {
    let mut daemon = nsqd!();
    let mut producer = daemon.connect();
    producer.publish("t", b"plain");
    producer.command_with("DPUB t 6000", b"deferred");
    producer.expect_ok();
    assert_eq!(daemon.stop(), Some(0));
    daemon.restart();
    daemon.expect_topic("t", &[("depth", 2), ("message_count", 0)]);
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 2");
    let mut seen: Vec<_> = (0..2).map(|_| conn.message().body).collect();
    seen.sort();
    assert_eq!(seen, [b"deferred".to_vec(), b"plain".to_vec()]);
}

#[test]
fn nd_194_files_have_a_largest_size_and_go_when_consumed() {
    let daemon = nsqd!("--mem-queue-size=0", "--max-bytes-per-file=100");
    publish(&daemon, "t", &[b"abc".as_slice(); 10]);
    let named = |number: u64, size| (format!("t.diskqueue.{number:06}.dat"), size);
    let wanted = [named(0, 99), named(1, 99), named(2, 99), named(3, 33)];
    eventually(BOUND, || data_files(&daemon) == wanted);
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 10");
    for _ in 0..10 {
        let message = conn.expect_message(b"abc");
        conn.finish(&message);
    }
    eventually(BOUND, || {
        data_files(&daemon).iter().all(|(name, _)| *name == wanted[3].0)
    });
    daemon.expect_topic("t", &[("depth", 0)]);
}

#[test]
fn nd_199_the_metadata_file_has_these_bytes() {
    let daemon = nsqd!();
    daemon.act("/topic/create?topic=t1");
    daemon.act("/channel/create?topic=t1&channel=c1");
    daemon.act("/topic/create?topic=t2");
    let with = r#"{"name":"t1","paused":false,"channels":[{"name":"c1","paused":false}]}"#;
    let without = r#"{"name":"t2","paused":false,"channels":null}"#;
    let whole = |first, second| format!(r#"{{"topics":[{first},{second}],"version":"1.3.0"}}"#);
    eventually(BOUND, || {
        let content = text(daemon.data(), "nsqd.dat");
        content == whole(with, without) || content == whole(without, with)
    });
}

#[test]
fn nd_200_metadata_that_is_no_json_ends_the_start() {
    for content in ["", "{"] {
        let folder = folder_with(content);
        let path = folder.path().to_string_lossy().into_owned();
        let flags = [
            "--tcp-address=127.0.0.1:0",
            "--http-address=127.0.0.1:0",
            "--data-path",
            &path,
        ];
        let ended = run_to_end(&nsqd_binary(env!("CARGO_BIN_EXE_nsqd")), &flags, folder.path());
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let reason =
            format!("FATAL: failed to load metadata - failed to parse metadata in {path}/nsqd.dat - ");
        assert!(ended.stderr.contains(&reason), "{}", ended.stderr);
        assert_eq!(
            text(folder.path(), "nsqd.dat"),
            content,
            "a file that is not understood stays"
        );
    }
}

#[test]
fn nd_201_metadata_may_say_nothing() {
    for content in ["{}", "null"] {
        let (daemon, folder) = start_with(content);
        eventually(BOUND, || {
            text(folder.path(), "nsqd.dat") == r#"{"topics":null,"version":"1.3.0"}"#
        });
        assert_eq!(daemon.stats()["topics"], serde_json::json!([]));
    }
}

/// nd_202, nd_203
#[test]
fn nd_202_203_metadata_with_names_that_cannot_be_and_without_channels() {
    let (daemon, _folder) = start_with(
        r#"{"topics":[
            {"name":"a:b","paused":false,"channels":[{"name":"c","paused":false}]},
            {"name":"t","paused":true,"channels":[{"name":"c:h","paused":false},{"name":"c","paused":true}]},
            {"name":"u","channels":[]},
            {"name":"v"}],"unknown":1}"#,
    );
    let stats = daemon.stats();
    let names: Vec<_> = stats["topics"]
        .as_array()
        .expect("topics")
        .iter()
        .map(|t| &t["topic_name"])
        .collect();
    assert_eq!(names, ["t", "u", "v"]);
    assert_eq!(daemon.topic("t")["paused"], true);
    assert_eq!(daemon.topic("t")["channels"].as_array().map(Vec::len), Some(1));
    assert_eq!(daemon.channel("t", "c")["paused"], true);
    assert_eq!(daemon.topic("u")["paused"], false);
    daemon.expect_log("skipping creation of invalid topic a:b");
    daemon.expect_log("skipping creation of invalid channel c:h");
}

#[test]
fn nd_207_a_disk_that_fails_and_recovers() {
    let parent = tempfile::tempdir().expect("a folder");
    let data = parent.path().join("data");
    std::fs::create_dir(&data).expect("the data folder");
    let daemon = Launch::new(nsqd_binary(env!("CARGO_BIN_EXE_nsqd")))
        .flag("--mem-queue-size=0")
        .data(&data)
        .start();
    // The super user may write everywhere, but not into a folder that is gone.
    std::fs::remove_dir_all(&data).expect("the data folder goes");
    let mut conn = daemon.connect();
    conn.command_with("PUB t", b"x");
    let frame = conn.frame();
    assert_eq!(frame.kind, 1);
    let reason = frame.text();
    let reason = reason
        .strip_prefix("E_PUB_FAILED PUB failed ")
        .expect("E_PUB_FAILED");
    assert!(
        reason.to_lowercase().contains("no such file or directory"),
        "{reason}"
    );
    conn.expect_eof();
    let nok = format!("NOK - {reason}");
    daemon.get("/ping").expect(500, &nok);
    assert_eq!(daemon.stats()["health"], Value::from(nok));
    daemon
        .post("/pub?topic=t", b"x")
        .expect(503, r#"{"message":"EXITING"}"#);
    std::fs::create_dir(&data).expect("the data folder is back");
    daemon.connect().publish("t", b"y");
    daemon.get("/ping").expect(200, "OK");
    assert_eq!(daemon.stats()["health"], "OK");
}
