//! `/stats` of many topics, which is sent in pieces, and of few, which is not; what it says of publishers (nsqd spec 6.5).

use nsq_testkit::{Daemon, Launch};
use serde_json::{Value, json};

/// So many that an answer is several pieces of 64 KiB.
const TOPICS: usize = 1000;

fn start() -> Daemon {
    Launch::new(env!("CARGO_BIN_EXE_nsqd")).start()
}

#[test]
fn a_large_answer_is_whole_and_sorted() {
    let daemon = start();
    // From the last to the first, so that the order of creation is not the one that is asked for.
    for i in (0..TOPICS).rev() {
        daemon.act(&format!("/topic/create?topic=t{i:04}"));
        daemon.act(&format!("/channel/create?topic=t{i:04}&channel=c"));
    }
    let reply = daemon.get("/stats?format=json");
    assert_eq!(reply.header("Transfer-Encoding"), Some("chunked"));
    assert!(reply.header("X-NSQ-Content-Type").is_some());
    let stats = reply.json();
    let topics = stats["topics"].as_array().unwrap();
    let names: Vec<_> = topics
        .iter()
        .map(|t| t["topic_name"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<_> = (0..TOPICS).map(|i| format!("t{i:04}")).collect();
    assert_eq!(names, expected);
    assert!(
        topics
            .iter()
            .all(|topic| topic["channels"][0]["channel_name"] == "c")
    );
    assert!(reply.text().ends_with(r#","producers":null}"#));

    let text = daemon.get("/stats").text();
    assert_eq!(
        text.lines().filter(|line| line.starts_with("   [t")).count(),
        TOPICS
    );
    assert!(text.ends_with("\nProducers: None\n"));

    let small = daemon.get("/stats?format=json&topic=t0007");
    assert!(small.header("Content-Length").is_some());
    assert_eq!(small.json()["topics"].as_array().unwrap().len(), 1);
}

#[test]
fn a_publisher_is_shown_with_one_topic() {
    let daemon = start();
    let mut publisher = daemon.connect();
    publisher.publish("a", b"x");
    publisher.publish("b", b"x");
    publisher.publish("b", b"y");
    let producers =
        |query: &str| daemon.get(&format!("/stats?format=json{query}")).json()["producers"].clone();
    let counts = |query: &str| producers(query)[0]["pub_counts"].clone();
    assert_eq!(counts("").as_array().unwrap().len(), 1, "any of them");
    assert_eq!(counts("&topic=b"), json!([{"topic":"b","count":2}]));
    daemon.act("/topic/create?topic=c");
    assert_eq!(counts("&topic=c"), Value::Null, "it is listed, without counts");
    assert_eq!(producers("&topic=c").as_array().unwrap().len(), 1);
    assert_eq!(producers("&topic=missing"), Value::Null);
    let line = daemon.get("/stats?topic=b").text();
    let line = line.lines().last().unwrap().to_owned();
    assert!(
        line.contains("] msgs: 2        topics: b=2 connected: "),
        "{line}"
    );
}
