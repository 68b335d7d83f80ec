use crate::lifecycle::{Blocker, BlockerReason, Drain, Evacuate, Lifecycle, LifecycleRequest, Phase};
use crate::{lookupd, nsqd};

fn keys(json: &str) -> Vec<&str> {
    // every odd piece between quotes that is followed by a colon is a key
    let pieces: Vec<&str> = json.split('"').collect();
    (1..pieces.len())
        .filter(|&at| pieces.get(at + 1).is_some_and(|next| next.starts_with(':')))
        .map(|at| pieces[at])
        .collect()
}

#[test]
fn stats_have_the_keys_of_the_reference_in_its_order_and_ours_behind_them() {
    let stats = nsqd::Stats {
        topics: Some(vec![nsqd::TopicStats {
            channels: vec![nsqd::ChannelStats {
                clients: Some(vec![nsqd::ClientStats::default()]),
                ..Default::default()
            }],
            ..Default::default()
        }]),
        ..Default::default()
    };
    let json = serde_json::to_string(&stats).unwrap();
    let expected = "version health start_time topics topic_name channels channel_name depth backend_depth \
        in_flight_count deferred_count message_count requeue_count timeout_count client_count clients client_id \
        hostname version remote_address state ready_count in_flight_count message_count finish_count requeue_count \
        connect_ts sample_rate deflate snappy user_agent topology_zone topology_region tls tls_cipher_suite \
        tls_version tls_negotiated_protocol tls_negotiated_protocol_is_mutual paused e2e_processing_latency count \
        percentiles backlog_bytes oldest_age_ms finish_count dead_letter_count drop_count depth backend_depth \
        message_count message_bytes paused e2e_processing_latency count percentiles backlog_bytes oldest_age_ms \
        durability read_only producers";
    assert_eq!(keys(&json), expected.split_whitespace().collect::<Vec<_>>());
    assert!(json.ends_with(r#""producers":null}"#), "{json}");
}

#[test]
fn null_lists_unknown_keys_and_absent_keys_are_read() {
    let json = r#"{"topics":[{"topic_name":"t","channels":null,"new":1},{"topic_name":"u",
        "channels":[{"channel_name":"c","clients":null}]}],"producers":null}"#;
    let stats: nsqd::Stats = serde_json::from_str(json).unwrap();
    let topics = stats.topics.unwrap();
    assert!(topics[0].channels.is_empty());
    assert_eq!(topics[1].channels[0].clients, None);
    let nodes: lookupd::Nodes = serde_json::from_str(r#"{"producers":null}"#).unwrap();
    assert!(nodes.producers.is_empty());
    let info: nsqd::Info = serde_json::from_str(r#"{"version":"1.3.0","http_port":4151}"#).unwrap();
    assert_eq!((info.http_port, info.phase, info.release), (4151, None, None));
}

#[test]
fn a_node_is_one_flat_object_in_the_references_order() {
    let node = lookupd::Node {
        tombstones: vec![false],
        topics: vec!["t".to_owned()],
        ..Default::default()
    };
    let json = serde_json::to_string(&node).unwrap();
    let expected = "remote_address hostname broadcast_address tcp_port http_port version topology_zone \
        topology_region tombstones topics";
    assert_eq!(keys(&json), expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(serde_json::from_str::<lookupd::Node>(&json).unwrap(), node);
}

#[test]
fn a_lifecycle_document_is_the_one_of_the_spec() {
    let json = r#"{"phase":"draining","since_ms":1732380000000,"join":null,"drain":{"id":"7f3c","publishers":2,"refused":17,"depth":812,"in_flight":3,"deferred":10,"message_count":91234,"empty":false,"empty_ms":0,"evacuate":"stuck","after_ms":30000,"peers":["c-nsqd-0.c-nsqd.ns.svc.cluster.local:4151"],"evacuating":true,"evacuated":100,"last_error":"","blockers":[{"topic":"orders","channel":"billing","reason":"no_consumers","messages":812,"due_ms":0}]}}"#;
    let read: Lifecycle = serde_json::from_str(json).unwrap();
    assert_eq!(read.phase, Phase::Draining);
    let drain: &Drain = read.drain.as_ref().unwrap();
    assert_eq!(drain.evacuate, Evacuate::Stuck);
    assert_eq!(drain.blockers[0].reason, BlockerReason::NoConsumers);
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    let later: Blocker = serde_json::from_str(r#"{"topic":"t","reason":"moon_phase"}"#).unwrap();
    assert_eq!(later.reason, BlockerReason::Unknown);
}

#[test]
fn a_lifecycle_request_needs_only_a_phase() {
    let request: LifecycleRequest = serde_json::from_str(r#"{"phase":"active"}"#).unwrap();
    assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"phase":"active"}"#);
    assert!(serde_json::from_str::<LifecycleRequest>(r#"{"phase":"gone"}"#).is_err());
}
