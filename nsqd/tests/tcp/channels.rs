//! Topics and channels: cases 166 to 174, 176, 177, 186, 187 and 190 of the nsqd specification.

use std::collections::BTreeSet;
use std::time::Duration;

use nsq_testkit::{BOUND, Conn, Daemon, Next, Stopwatch, eventually, nsqd, ours_only};
use serde_json::Value;

/// Long enough for a message that must not come.
const WHILE: Duration = Duration::from_millis(400);

/// Publishes the numbers from 0, each as text.
#[track_caller]
fn publish_numbers(daemon: &Daemon, topic: &str, count: usize) {
    let mut producer = daemon.connect();
    (0..count).for_each(|number| producer.publish(topic, number.to_string().as_bytes()));
}

/// Receives and finishes this many messages; their bodies as text.
#[track_caller]
fn receive(conn: &mut Conn, count: usize) -> Vec<String> {
    let mut one = |_| {
        let message = conn.message();
        conn.finish(&message);
        String::from_utf8_lossy(&message.body).into_owned()
    };
    (0..count).map(&mut one).collect()
}

/// The numbers from 0 as text, as a set.
fn numbers(count: usize) -> BTreeSet<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[test]
fn nd_166_a_topic_keeps_messages_for_its_first_channel() {
    let daemon = nsqd!();
    publish_numbers(&daemon, "t", 3);
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 3");
    assert_eq!(
        receive(&mut conn, 3).into_iter().collect::<BTreeSet<_>>(),
        numbers(3)
    );
}

#[test]
fn nd_167_each_channel_has_a_copy() {
    let daemon = nsqd!();
    let mut consumers = [daemon.subscribe("t", "c"), daemon.subscribe("t", "d")];
    publish_numbers(&daemon, "t", 1);
    consumers.iter_mut().for_each(|conn| conn.command("RDY 1"));
    let [first, second] = consumers.each_mut().map(Conn::message);
    assert_eq!(first, second);
    assert_eq!(first.attempts, 1);
}

#[test]
fn nd_168_consumers_of_a_channel_share_it() {
    const COUNT: usize = 1000;
    let daemon = nsqd!();
    let mut consumers = [daemon.subscribe("t", "c"), daemon.subscribe("t", "c")];
    consumers.iter_mut().for_each(|conn| conn.command("RDY 2500"));
    publish_numbers(&daemon, "t", COUNT);
    daemon.expect_channel("t", "c", &[("in_flight_count", COUNT as u64)]);
    let clients = daemon.channel("t", "c")["clients"].clone();
    let mut seen = Vec::new();
    for conn in &mut consumers {
        let address = conn.local_address().to_string();
        let client = clients
            .as_array()
            .unwrap()
            .iter()
            .find(|client| client["remote_address"] == address);
        let count = client.unwrap()["in_flight_count"].as_u64().unwrap();
        seen.extend(receive(conn, usize::try_from(count).unwrap()));
    }
    assert_eq!(seen.len(), COUNT);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), numbers(COUNT));
}

#[test]
fn nd_169_a_later_channel_has_later_messages() {
    let daemon = nsqd!();
    let _first = daemon.subscribe("t", "c");
    publish_numbers(&daemon, "t", 1);
    daemon.expect_channel("t", "c", &[("depth", 1)]);
    let mut later = daemon.subscribe("t", "d");
    later.command("RDY 1");
    later.expect_silence(WHILE);
    daemon.connect().publish("t", b"later");
    later.expect_message(b"later");
}

#[test]
fn nd_170_a_topic_without_channels_keeps_again() {
    let daemon = nsqd!();
    drop(daemon.subscribe("t", "c"));
    daemon.act("/channel/delete?topic=t&channel=c");
    publish_numbers(&daemon, "t", 1);
    daemon.expect_topic("t", &[("depth", 1)]);
    let mut conn = daemon.subscribe("t", "d");
    conn.command("RDY 1");
    conn.expect_message(b"0");
}

#[test]
fn nd_171_what_memory_cannot_hold_is_on_disk() {
    let daemon = nsqd!("--mem-queue-size=5");
    publish_numbers(&daemon, "t", 12);
    daemon.expect_topic("t", &[("depth", 12), ("backend_depth", 7)]);
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 12");
    assert_eq!(
        receive(&mut conn, 12).into_iter().collect::<BTreeSet<_>>(),
        numbers(12)
    );
}

#[test]
fn nd_172_without_memory_order_is_kept() {
    let daemon = nsqd!("--mem-queue-size=0");
    let mut conn = daemon.subscribe("t", "c");
    publish_numbers(&daemon, "t", 10);
    assert!(
        daemon
            .files()
            .iter()
            .any(|name| name.ends_with(".diskqueue.000000.dat"))
    );
    conn.command("RDY 1");
    let expected: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(receive(&mut conn, 10), expected);
}

#[test]
fn nd_173_a_paused_channel_collects() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 10");
    daemon.act("/channel/pause?topic=t&channel=c");
    publish_numbers(&daemon, "t", 2);
    daemon.expect_channel("t", "c", &[("depth", 2), ("in_flight_count", 0)]);
    conn.expect_silence(WHILE);
    daemon.act("/channel/unpause?topic=t&channel=c");
    assert_eq!(
        receive(&mut conn, 2).into_iter().collect::<BTreeSet<_>>(),
        numbers(2)
    );
}

#[test]
fn nd_174_a_paused_topic_collects() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 10");
    daemon.act("/topic/pause?topic=t");
    publish_numbers(&daemon, "t", 1);
    daemon.expect_topic("t", &[("depth", 1)]);
    daemon.expect_channel("t", "c", &[("depth", 0), ("message_count", 0)]);
    conn.expect_silence(WHILE);
    daemon.act("/topic/unpause?topic=t");
    conn.expect_message(b"0");
    daemon.expect_topic("t", &[("depth", 0)]);
}

#[test]
fn nd_176_a_channel_is_emptied_of_everything() {
    let daemon = nsqd!("--mem-queue-size=5");
    let mut conn = daemon.subscribe("t", "c");
    publish_numbers(&daemon, "t", 20);
    conn.command("RDY 2");
    let (held, deferred) = (conn.message(), conn.message());
    // With an open window the reference may deliver one message while it empties.
    conn.command("RDY 0");
    conn.requeue(&deferred, 60_000);
    daemon.expect_channel(
        "t",
        "c",
        &[("in_flight_count", 1), ("deferred_count", 1), ("depth", 18)],
    );
    assert_ne!(daemon.channel("t", "c")["backend_depth"], 0);
    daemon.act("/channel/empty?topic=t&channel=c");
    let zero = ["in_flight_count", "deferred_count", "depth", "backend_depth"].map(|key| (key, 0));
    daemon.expect_channel("t", "c", &zero);
    conn.finish(&held);
    conn.expect_error(&format!("E_FIN_FAILED FIN {} failed ID not in flight", held.id));
    conn.command("RDY 1");
    daemon.connect().publish("t", b"next");
    conn.expect_message(b"next");
}

#[test]
fn nd_177_a_topic_is_emptied_of_its_own() {
    let daemon = nsqd!();
    let _conn = daemon.subscribe("t", "c");
    publish_numbers(&daemon, "t", 2);
    daemon.expect_channel("t", "c", &[("depth", 2)]);
    daemon.act("/topic/pause?topic=t");
    publish_numbers(&daemon, "t", 3);
    daemon.expect_topic("t", &[("depth", 3)]);
    daemon.act("/topic/empty?topic=t");
    daemon.expect_topic("t", &[("depth", 0)]);
    daemon.expect_channel("t", "c", &[("depth", 2)]);
}

#[test]
fn nd_186_a_sample_drains_the_channel() {
    const COUNT: usize = 10_000;
    let daemon = nsqd!("--max-rdy-count=10000");
    let messages = vec![b"x".as_slice(); 1000];
    let mut producer = daemon.connect();
    (0..COUNT / messages.len()).for_each(|_| producer.publish_many("t", &messages));
    let mut conn = daemon.connect();
    conn.identify(r#"{"sample_rate":42}"#);
    conn.expect_ok();
    conn.subscribe("t", "c");
    conn.command("RDY 10000");
    daemon.expect_topic("t", &[("depth", 0)]);
    daemon.expect_channel("t", "c", &[("depth", 0), ("message_count", COUNT as u64)]);
    let mut received = 0;
    while let Next::Frame(frame) = conn.next(Duration::from_secs(1)) {
        assert_eq!(frame.kind, 2);
        received += 1;
    }
    assert!(
        (COUNT * 37 / 100..=COUNT * 47 / 100).contains(&received),
        "{received} of {COUNT}"
    );
    daemon.expect_channel("t", "c", &[("depth", 0), ("in_flight_count", received as u64)]);
}

#[test]
fn nd_187_an_unanswered_message_comes_again() {
    let daemon = nsqd!();
    let mut first = daemon.connect();
    first.identify(r#"{"msg_timeout":1000}"#);
    first.expect_ok();
    first.subscribe("t", "c");
    let mut second = daemon.subscribe("t", "c");
    publish_numbers(&daemon, "t", 1);
    let since = Stopwatch::start();
    first.command("RDY 1");
    let message = first.message();
    first.command("RDY 0");
    second.command("RDY 1");
    assert_eq!(second.message().attempts, 2);
    since.expect_ms(1000, 15_000);
    daemon.expect_channel("t", "c", &[("timeout_count", 1), ("requeue_count", 0)]);
    first.finish(&message);
    first.expect_error(&format!(
        "E_FIN_FAILED FIN {} failed client does not own message",
        message.id
    ));
}

#[test]
fn nd_190_without_the_experiment_there_is_no_preference() {
    if ours_only("topology flags and keys") {
        return;
    }
    let daemon = nsqd!("--topology-zone=z", "--topology-region=r");
    let mut conn = daemon.connect();
    conn.identify(r#"{"topology_zone":"z","topology_region":"r"}"#);
    conn.expect_ok();
    conn.subscribe("t", "c");
    conn.command("RDY 3");
    publish_numbers(&daemon, "t", 3);
    receive(&mut conn, 3);
    let channel = daemon.channel("t", "c");
    assert_eq!(channel["global_msg_count"], 3);
    assert_eq!(
        [
            &channel["zone_local_msg_count"],
            &channel["region_local_msg_count"]
        ],
        [&Value::Null; 2]
    );
}

/// A consumer of `t`/`c` that says where it is.
fn consumer_at(daemon: &Daemon, zone: &str, region: &str, ready: u32) -> Conn {
    let mut conn = daemon.connect();
    conn.identify(&format!(
        r#"{{"topology_zone":"{zone}","topology_region":"{region}"}}"#
    ));
    conn.expect_ok();
    conn.subscribe("t", "c");
    conn.command(&format!("RDY {ready}"));
    conn
}

/// Publishes messages one by one, each when the one before has arrived. Which of the consumers got each.
fn who_gets(daemon: &Daemon, consumers: &mut [Conn], count: usize) -> Vec<usize> {
    let mut producer = daemon.connect();
    let mut got = Vec::new();
    // All of them wait in line: a look at the stats comes after what they sent before.
    eventually(BOUND, || {
        daemon.channel("t", "c")["client_count"] == consumers.len()
    });
    for consumer in consumers.iter_mut() {
        consumer.expect_silence(Duration::from_millis(50));
    }
    for _ in 0..count {
        producer.publish("t", b"m");
        eventually(BOUND, || {
            let first = consumers
                .iter_mut()
                .position(|consumer| matches!(consumer.next(Duration::from_millis(5)), Next::Frame(_)));
            got.extend(first);
            first.is_some()
        });
    }
    got
}

#[test]
fn nd_188_nearer_consumers_are_fed_first() {
    if ours_only("topology flags and keys") {
        return;
    }
    let daemon = nsqd!(
        "--enable-experiment=topology-aware-consumption",
        "--topology-zone=z",
        "--topology-region=r"
    );
    let mut consumers =
        [("x", "q"), ("y", "r"), ("z", "r")].map(|(zone, region)| consumer_at(&daemon, zone, region, 3));
    assert_eq!(who_gets(&daemon, &mut consumers, 9), [2, 2, 2, 1, 1, 1, 0, 0, 0]);
    let channel = daemon.channel("t", "c");
    for key in [
        "zone_local_msg_count",
        "region_local_msg_count",
        "global_msg_count",
    ] {
        assert_eq!(channel[key], 3, "{key}");
    }
}

#[test]
fn nd_189_the_zone_takes_all_that_it_can() {
    if ours_only("topology flags and keys") {
        return;
    }
    let daemon = nsqd!(
        "--enable-experiment=topology-aware-consumption",
        "--topology-zone=z",
        "--topology-region=r"
    );
    let mut consumers = [("x", "q"), ("z", "r"), ("y", "q"), ("z", "other")]
        .map(|(zone, region)| consumer_at(&daemon, zone, region, 10));
    let got = who_gets(&daemon, &mut consumers, 21);
    assert!(got[..20].iter().all(|who| [1, 3].contains(who)), "{got:?}");
    assert!([0, 2].contains(&got[20]), "{got:?}");
}

/// A server that does not say where it is, and names that nobody knows, change nothing.
#[test]
fn an_unknown_place_is_near_to_nobody() {
    if ours_only("topology flags and keys") {
        return;
    }
    let daemon = nsqd!(
        "--enable-experiment=topology-aware-consumption",
        "--enable-experiment=unknown"
    );
    let mut consumer = consumer_at(&daemon, "", "", 1);
    publish_numbers(&daemon, "t", 1);
    receive(&mut consumer, 1);
    assert_eq!(daemon.channel("t", "c")["global_msg_count"], 1);
}
