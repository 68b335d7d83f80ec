//! Pauses that last, deletion and ephemeral names: cases 175 and 178 to 185 of the nsqd specification.

use std::time::Duration;

use nsq_testkit::{BOUND, Daemon, Stopwatch, eventually, nsqd};
use serde_json::{Value, json};

/// Publishes this many messages, each with its own `OK`.
#[track_caller]
fn publish(daemon: &Daemon, topic: &str, count: usize) {
    let mut producer = daemon.connect();
    (0..count).for_each(|_| producer.publish(topic, b"x"));
}

#[test]
fn nd_175_a_pause_outlives_a_restart() {
    let mut daemon = nsqd!();
    drop(daemon.subscribe("t", "c"));
    daemon.act("/topic/pause?topic=t");
    daemon.act("/channel/pause?topic=t&channel=c");
    daemon.restart();
    assert_eq!(daemon.topic("t")["paused"], true);
    assert_eq!(daemon.channel("t", "c")["paused"], true);
    let channels = json!([{"name": "c", "paused": true}]);
    assert_eq!(
        daemon.metadata()["topics"],
        json!([{"name": "t", "paused": true, "channels": channels}])
    );
}

#[test]
fn nd_178_a_deleted_channel_is_gone() {
    let daemon = nsqd!("--mem-queue-size=0");
    let mut consumers = [daemon.subscribe("t", "c"), daemon.subscribe("t", "c")];
    let mut other = daemon.subscribe("t", "other");
    publish(&daemon, "t", 5);
    let of_channel = |daemon: &Daemon| daemon.files().iter().any(|name| name.starts_with("t:c."));
    eventually(BOUND, || of_channel(&daemon));
    daemon.act("/channel/delete?topic=t&channel=c");
    for conn in &mut consumers {
        conn.expect_eof();
    }
    assert_eq!(daemon.channel("t", "c"), Value::Null);
    eventually(BOUND, || !of_channel(&daemon));
    other.command("RDY 5");
    (0..5).for_each(|_| assert_eq!(other.message().body, b"x"));
}

#[test]
fn nd_179_a_deleted_topic_is_gone() {
    let daemon = nsqd!("--mem-queue-size=0");
    let mut consumers = [daemon.subscribe("t", "c"), daemon.subscribe("t", "d")];
    let mut producer = daemon.connect();
    producer.publish("t", b"x");
    daemon.expect_channel("t", "c", &[("depth", 1)]);
    daemon.act("/topic/delete?topic=t");
    for conn in &mut consumers {
        conn.expect_eof();
    }
    assert_eq!(daemon.topic("t"), Value::Null);
    eventually(BOUND, || daemon.files().iter().all(|name| !name.starts_with('t')));
    producer.publish("other", b"x");
}

#[test]
fn nd_180_an_ephemeral_channel_goes_with_its_last_consumer() {
    let daemon = nsqd!();
    let conn = daemon.subscribe("t", "c#ephemeral");
    drop(conn);
    let since = Stopwatch::start();
    eventually(BOUND, || daemon.channel("t", "c#ephemeral") == Value::Null);
    since.expect_ms(0, 300 + 1000);
    assert_ne!(daemon.topic("t"), Value::Null);
}

#[test]
fn nd_181_an_ephemeral_topic_goes_with_its_last_channel() {
    let daemon = nsqd!();
    drop(daemon.subscribe("t#ephemeral", "c#ephemeral"));
    eventually(BOUND, || daemon.topic("t#ephemeral") == Value::Null);
}

#[test]
fn nd_182_a_lasting_channel_keeps_an_ephemeral_topic() {
    let daemon = nsqd!();
    drop(daemon.subscribe("t#ephemeral", "c"));
    daemon.expect_channel("t#ephemeral", "c", &[("client_count", 0)]);
    // It does not go a little later either.
    daemon.connect().expect_silence(Duration::from_millis(300));
    daemon.expect_channel("t#ephemeral", "c", &[("client_count", 0)]);
    daemon.act("/channel/delete?topic=t%23ephemeral&channel=c");
    eventually(BOUND, || daemon.topic("t#ephemeral") == Value::Null);
}

#[test]
fn a_lasting_channel_of_an_ephemeral_topic_drops_nothing() {
    let daemon = nsqd!("--mem-queue-size=5");
    let mut conn = daemon.subscribe("t#ephemeral", "c");
    publish(&daemon, "t#ephemeral", 10);
    daemon.expect_channel("t#ephemeral", "c", &[("depth", 10), ("backend_depth", 5)]);
    conn.command("RDY 10");
    (0..10).for_each(|_| assert_eq!(conn.message().body, b"x"));
    daemon.act("/channel/delete?topic=t%23ephemeral&channel=c");
    conn.expect_eof();
    eventually(BOUND, || daemon.files() == ["nsqd.dat"]);
}

#[test]
fn nd_183_an_ephemeral_topic_drops_what_memory_cannot_hold() {
    let daemon = nsqd!("--mem-queue-size=5");
    publish(&daemon, "t#ephemeral", 10);
    daemon.expect_topic(
        "t#ephemeral",
        &[("depth", 5), ("backend_depth", 0), ("message_count", 10)],
    );
    daemon.connect().expect_silence(Duration::from_millis(300));
    assert_ne!(daemon.topic("t#ephemeral"), Value::Null);
}

#[test]
fn nd_184_an_ephemeral_channel_drops_what_memory_cannot_hold() {
    let daemon = nsqd!("--mem-queue-size=5");
    let _conn = daemon.subscribe("t", "c#ephemeral");
    publish(&daemon, "t", 10);
    daemon.expect_channel(
        "t",
        "c#ephemeral",
        &[("depth", 5), ("backend_depth", 0), ("message_count", 10)],
    );
}

#[test]
fn nd_185_ephemeral_names_leave_no_trace() {
    let mut daemon = nsqd!("--mem-queue-size=0");
    let consumers = [
        daemon.subscribe("t#ephemeral", "c#ephemeral"),
        daemon.subscribe("lasting", "c#ephemeral"),
    ];
    publish(&daemon, "t#ephemeral", 3);
    publish(&daemon, "lasting", 3);
    let no_trace = |daemon: &Daemon| {
        let topics = daemon.metadata()["topics"].clone();
        topics.as_array().is_none_or(|topics| {
            !topics
                .iter()
                .any(|topic| topic.to_string().contains("#ephemeral"))
        }) && daemon.files().iter().all(|name| !name.contains("#ephemeral"))
    };
    assert!(no_trace(&daemon));
    daemon.stop();
    assert!(no_trace(&daemon), "{:?}", daemon.files());
    drop(consumers);
}
