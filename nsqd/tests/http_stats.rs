//! `/stats`: cases 235 to 242 of the nsqd specification.

use nsq_testkit::{BOUND, Daemon, eventually, nsqd};
use serde_json::{Value, json};

#[track_caller]
fn stats(daemon: &Daemon, query: &str) -> Value {
    daemon.get(&format!("/stats?format=json{query}")).json()
}

/// A daemon with the topics `a` and `b`; `a` has the channel `c`.
fn with_topics() -> Daemon {
    let daemon = nsqd!();
    daemon.act("/topic/create?topic=b");
    daemon.act("/topic/create?topic=a");
    daemon.act("/channel/create?topic=a&channel=c");
    daemon
}

#[test]
fn nd_235_an_empty_node() {
    let text = nsqd!().get("/stats?format=json").text();
    assert!(
        text.starts_with(r#"{"version":"1.3.0","health":"OK","start_time":"#),
        "{text}"
    );
    assert!(
        text.contains(r#","topics":[],"memory":{"heap_objects":"#),
        "{text}"
    );
    assert!(text.ends_with(r#"},"producers":null}"#), "{text}");
}

#[test]
fn nd_236_memory_is_left_out_on_request() {
    let daemon = nsqd!();
    assert!(stats(&daemon, "&include_mem=false").get("memory").is_none());
    assert!(stats(&daemon, "&include_mem=0").get("memory").is_none());
    let memory = &stats(&daemon, "&include_mem=no")["memory"];
    assert_eq!(memory.as_object().unwrap().len(), 9);
}

#[test]
fn nd_237_clients_are_left_out_on_request() {
    let daemon = nsqd!();
    let mut consumer = daemon.subscribe("t", "c");
    consumer.publish("t", b"x");
    let stats = stats(&daemon, "&include_clients=false");
    let channel = &stats["topics"][0]["channels"][0];
    assert_eq!(
        (&channel["clients"], &channel["client_count"]),
        (&Value::Null, &json!(1))
    );
    assert_eq!(stats["producers"], Value::Null);
}

#[test]
fn nd_238_topics_and_channels_are_filtered() {
    let daemon = with_topics();
    let names = |query: &str| -> Vec<String> {
        let stats = stats(&daemon, query);
        let topics = stats["topics"].as_array().unwrap().iter();
        topics
            .map(|topic| topic["topic_name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(""), ["a", "b"]);
    assert_eq!(names("&topic=b"), ["b"]);
    assert_eq!(names("&topic=&channel="), ["a", "b"]);
    assert_eq!(names("&channel=c"), ["a"]);
    assert!(names("&channel=no").is_empty());
    assert!(names("&topic=b&channel=c").is_empty());
    let missing = stats(&daemon, "&topic=no");
    assert_eq!(
        (&missing["topics"], &missing["producers"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn nd_239_the_format_is_named_exactly() {
    let text = nsqd!().get("/stats?format=JSON");
    assert!(
        text.text().starts_with("nsqd v1.3.0 (built w/"),
        "{}",
        text.text()
    );
    assert_eq!(text.header("Content-Type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn nd_240_a_consumer_is_counted() {
    let daemon = nsqd!();
    let mut consumer = daemon.subscribe("t", "c");
    let mut publisher = daemon.connect();
    for body in [b"1", b"2", b"3"] {
        publisher.publish("t", body);
    }
    consumer.command("RDY 2");
    let (first, second) = (consumer.message(), consumer.message());
    consumer.command(&format!("FIN {}", first.id));
    let third = consumer.message();
    consumer.command("RDY 0");
    consumer.command(&format!("REQ {} 0", second.id));
    let wanted = [
        ("ready_count", 0),
        ("in_flight_count", 1),
        ("message_count", 3),
        ("finish_count", 1),
        ("requeue_count", 1),
        ("state", 3),
    ];
    let client = || daemon.channel("t", "c")["clients"][0].clone();
    eventually(BOUND, || {
        wanted.iter().all(|(key, count)| client()[*key] == *count)
    });
    consumer.command(&format!("FIN {}", third.id));
    eventually(BOUND, || {
        client()["in_flight_count"] == 0 && client()["finish_count"] == 2
    });
    assert_eq!(client()["remote_address"], consumer.local_address().to_string());
}

#[test]
fn nd_241_a_producer_appears_with_its_first_publish() {
    let daemon = nsqd!();
    daemon.post("/pub?topic=t", b"x").expect(200, "OK");
    let mut publisher = daemon.connect();
    assert_eq!(stats(&daemon, "")["producers"], Value::Null);
    publisher.publish("t", b"x");
    publisher.publish("t", b"x");
    let producers = stats(&daemon, "")["producers"].clone();
    assert_eq!(producers.as_array().unwrap().len(), 1);
    assert_eq!(producers[0]["pub_counts"], json!([{"topic":"t","count":2}]));
}

#[test]
fn nd_242_the_text() {
    let daemon = nsqd!();
    let text = daemon.get("/stats").text();
    assert!(
        text.contains("\nTopics: None\n") && text.contains("\nProducers: None\n"),
        "{text}"
    );
    daemon.act("/topic/create?topic=t");
    daemon.act("/topic/pause?topic=t");
    let text = daemon.get("/stats").text();
    assert!(
        text.lines()
            .any(|line| line.starts_with("*P [t              ] depth: ")),
        "{text}"
    );
}
