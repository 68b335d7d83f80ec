//! End-to-end latencies in `/stats`: the first half of case 287 of the nsqd specification.
#![allow(clippy::unwrap_used, reason = "a test")]

use nsq_testkit::{Daemon, nsqd};
use serde_json::{Value, json};

/// A daemon with quantiles, whose channel `t/c` has finished three messages.
fn measured() -> Daemon {
    let daemon = nsqd!(
        "--e2e-processing-latency-percentile=1.0,0.99",
        "--e2e-processing-latency-percentile=0.95"
    );
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 3");
    // Another connection: on one, the message may come before the answer to its publish.
    let mut producer = daemon.connect();
    for _ in 0..3 {
        producer.publish("t", b"m");
        let message = conn.message();
        conn.finish(&message);
    }
    // What is answered next was asked after the FINs.
    conn.publish("other", b"m");
    daemon
}

fn quantiles(latency: &Value) -> Vec<f64> {
    let list = latency["percentiles"].as_array().unwrap();
    list.iter().map(|one| one["quantile"].as_f64().unwrap()).collect()
}

#[test]
fn quantiles_come_in_order_for_the_channel_and_for_the_topic() {
    let daemon = measured();
    let topic = daemon.topic("t");
    for latency in [
        &topic["e2e_processing_latency"],
        &topic["channels"][0]["e2e_processing_latency"],
    ] {
        assert_eq!(latency["count"], 3);
        assert_eq!(quantiles(latency), [1.0, 0.99, 0.95]);
        let values = latency["percentiles"].as_array().unwrap();
        let value = |at: usize| values[at]["value"].as_f64().unwrap();
        // Each is within a hundredth of the true one.
        assert!(value(0) >= value(2) * 0.98 && value(2) > 0.0, "{latency}");
        assert!(value(0) < 20e9, "nanoseconds: {latency}");
    }
    // A topic without channels has none, and a channel without samples has zeros.
    assert_eq!(
        daemon.topic("other")["e2e_processing_latency"],
        json!({"count": 0, "percentiles": null})
    );
    daemon.act("/channel/create?topic=other&channel=c");
    let empty = daemon.topic("other")["channels"][0]["e2e_processing_latency"].clone();
    assert_eq!(
        (&empty["count"], &empty["percentiles"][0]["value"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn the_text_lists_the_values_with_their_units() {
    let daemon = measured();
    let text = daemon.get("/stats?topic=t").text();
    let line = text.lines().find(|line| line.contains("[t ")).unwrap();
    let (_, list) = line.split_once("e2e%: ").unwrap();
    let values: Vec<&str> = list.split(", ").collect();
    assert_eq!(values.len(), 3, "{line}");
    for value in values {
        let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        assert_eq!(number.split_once('.').unwrap().1.len(), 1, "{value}");
        assert!(
            ["ns", "us", "ms", "s"].contains(&&value[number.len()..]),
            "{value}"
        );
    }
}

#[test]
fn without_quantiles_there_is_an_empty_list() {
    let daemon = nsqd!();
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=c");
    let topic = daemon.topic("t");
    let none = json!({"count": 0, "percentiles": null});
    assert_eq!(topic["e2e_processing_latency"], none);
    assert_eq!(topic["channels"][0]["e2e_processing_latency"], none);
}

#[test]
fn an_unfinished_delivery_is_no_sample() {
    let daemon = nsqd!("--e2e-processing-latency-percentile=0.5");
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 1");
    conn.publish("t", b"m");
    let message = conn.message();
    conn.requeue(&message, 0);
    let again = conn.message();
    assert_eq!(daemon.topic("t")["e2e_processing_latency"]["count"], 0);
    conn.finish(&again);
    conn.publish("t", b"barrier");
    assert_eq!(daemon.topic("t")["e2e_processing_latency"]["count"], 1);
}
