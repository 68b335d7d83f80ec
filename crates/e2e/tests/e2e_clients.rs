//! Real clients on real text: what one language publishes, another consumes through discovery, on the cluster that
//! `nsq-operator local` runs, also while it scales.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::HashSet;
use std::time::Duration;

use nsq_e2e::languages::Language;
use nsq_e2e::local::{LocalCluster, Node};
use nsq_e2e::process::{Process, feed};
use nsq_e2e::{corpus, eventually, http};

/// 150,000 lines pass in seconds; the bound is for a machine under load.
const BOUND: Duration = Duration::from_secs(180);

fn tcp(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(|node| node.tcp.clone()).collect()
}

/// Messages of the topic that an nsqd still has, in any state.
fn left(node: &Node, topic: &str) -> i64 {
    let Some(stats) = http::json(&node.http, &format!("/stats?format=json&topic={topic}")) else {
        return i64::MAX;
    };
    let number = |value: &serde_json::Value| value.as_i64().unwrap_or(0);
    let topics = stats["topics"].as_array().cloned().unwrap_or_default();
    let channels = topics
        .iter()
        .flat_map(|t| t["channels"].as_array().cloned().unwrap_or_default());
    let in_channels: i64 = channels
        .map(|c| number(&c["depth"]) + number(&c["in_flight_count"]) + number(&c["deferred_count"]))
        .sum();
    in_channels + topics.iter().map(|t| number(&t["depth"])).sum::<i64>()
}

/// Waits until the consumer has printed `count` messages and no nsqd has any left.
fn wait_consumed(consumer: &Process, count: usize, nsqds: &[Node], topic: &str) {
    eventually(
        BOUND,
        &format!("{count} messages of {topic} are consumed"),
        || consumer.line_count() >= count,
    );
    eventually(BOUND, &format!("{topic} is empty"), || {
        nsqds.iter().all(|node| left(node, topic) == 0)
    });
}

fn finish_publisher(publisher: &mut Process, count: usize) {
    let status = publisher.wait(BOUND);
    assert!(status.success(), "{}", publisher.errors());
    assert_eq!(publisher.text_lines(), [format!("published {count}")]);
}

#[test]
fn every_line_arrives_between_languages() {
    let lines = corpus::lines();
    let cluster = LocalCluster::start("  nsqd: {replicas: 3}\n  lookupd: {replicas: 2}\n");
    let nsqds = cluster.nsqds();
    let pairs = [
        (Language::Python, Language::Go),
        (Language::Go, Language::Node),
        (Language::Node, Language::Python),
    ];
    for (from, to) in pairs {
        let topic = format!("corpus-{from}");
        let mut consumer = to.consume(&topic, "test", &cluster.lookupds());
        let mut publisher = from.publish(&topic, &tcp(&nsqds));
        feed(&mut publisher.take_stdin(), &lines);
        finish_publisher(&mut publisher, lines.len());
        wait_consumed(&consumer, lines.len(), &nsqds, &topic);
        consumer.terminate(BOUND);

        let received = consumer.lines();
        assert_eq!(
            corpus::missing(&lines, &received),
            (0, Vec::new()),
            "lost from {from} to {to}"
        );
        assert_eq!(
            corpus::missing(&received, &lines),
            (0, Vec::new()),
            "invented or repeated from {from} to {to}"
        );
    }
    cluster.stop();
}

/// The fields that make scaling quick: an empty node leaves after a second.
fn scaled(replicas: usize) -> String {
    format!(
        "  nsqd: {{replicas: {replicas}, joinTimeout: 20s, drain: {{settle: 1s}}}}\n  lookupd: {{replicas: 2}}\n"
    )
}

#[test]
fn nothing_is_lost_while_the_cluster_scales() {
    let lines = corpus::lines();
    let (topic, part) = ("scaled", lines.len() / 4);
    let mut cluster = LocalCluster::start(&scaled(1));
    let mut consumer = Language::Python.consume(topic, "test", &cluster.lookupds());

    // The first publisher knows only the node that stays.
    let stays = cluster.nsqds();
    let mut first = Language::Go.publish(topic, &tcp(&stays));
    let mut into_first = first.take_stdin();
    feed(&mut into_first, &lines[..part]);
    cluster.edit(&scaled(3));
    let three = cluster.wait_nsqds(3, BOUND);
    feed(&mut into_first, &lines[part..2 * part]);
    drop(into_first);

    // The second uses all three, and goes on while two of them leave.
    let mut second = Language::Node.publish(topic, &tcp(&three));
    let mut into_second = second.take_stdin();
    feed(&mut into_second, &lines[2 * part..3 * part]);
    cluster.edit(&scaled(1));
    for piece in lines[3 * part..].chunks(1_000) {
        feed(&mut into_second, piece);
    }
    drop(into_second);
    finish_publisher(&mut first, 2 * part);
    finish_publisher(&mut second, lines.len() - 2 * part);

    let one = cluster.wait_nsqds(1, BOUND);
    assert_eq!(tcp(&one), tcp(&stays), "the first node is the one that stays");
    wait_consumed(&consumer, lines.len(), &one, topic);
    consumer.terminate(BOUND);

    let received = consumer.lines();
    assert_eq!(corpus::missing(&lines, &received), (0, Vec::new()), "lost");
    let published: HashSet<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    assert!(
        received.iter().all(|line| published.contains(line.as_slice())),
        "what arrives was published"
    );

    for lookupd in cluster.lookupds() {
        let nodes = http::json(&lookupd, "/nodes").unwrap();
        assert_eq!(
            nodes["producers"].as_array().unwrap().len(),
            1,
            "{lookupd} knows exactly one nsqd: {nodes}"
        );
    }
    for gone in &three[1..] {
        assert!(
            !std::path::Path::new(&format!("/proc/{}", gone.pid)).exists(),
            "{} still runs",
            gone.name
        );
    }
    cluster.stop();
}
