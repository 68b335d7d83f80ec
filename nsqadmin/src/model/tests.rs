use nsq_http_api::client::{Cause, Error};
use nsq_http_api::lookupd;
use nsq_http_api::nsqd::{Info, Stats};

use super::*;
use crate::upstream::Answer;

fn answer<T>(address: &str, result: Result<T, Error>) -> Answer<T> {
    Answer {
        address: address.to_owned(),
        result,
    }
}

fn parsed<T: serde::de::DeserializeOwned>(address: &str, json: &str) -> Answer<T> {
    answer(address, Ok(serde_json::from_str(json).unwrap()))
}

fn silent<T>(address: &str) -> Answer<T> {
    let cause = Cause::Timeout(std::time::Duration::from_secs(5));
    answer(
        address,
        Err(Error {
            request: format!("GET http://{address}/"),
            cause,
        }),
    )
}

fn node(host: &str, topics: &str) -> String {
    format!(
        r#"{{"remote_address":"10.0.0.1:7","hostname":"{host}","broadcast_address":"{host}","tcp_port":4150,
        "http_port":4151,"version":"1.3.0","topics":{topics},"tombstones":[]}}"#
    )
}

fn listed(address: &str, nodes: &[String]) -> Answer<lookupd::Nodes> {
    parsed(address, &format!(r#"{{"producers":[{}]}}"#, nodes.join(",")))
}

fn topics(address: &str, names: &str) -> Answer<lookupd::Topics> {
    parsed(address, &format!(r#"{{"topics":{names}}}"#))
}

const T1: &str = r#"{"health":"OK","topics":[{"topic_name":"t1","depth":3,"message_count":9,
    "channels":[{"channel_name":"c1","depth":8,"in_flight_count":2,"client_count":1,"paused":true}]}]}"#;

#[test]
fn nodes_of_several_nsqlookupds_are_merged_and_sorted() {
    let answers = [
        listed("l1:4161", &[node("b", r#"["t2","t1"]"#), node("a", "[]")]),
        silent("l2:4161"),
        listed("l3:4161", &[node("b", r#"["t1"]"#)]),
    ];
    let nodes = merge_nodes(&answers);
    assert_eq!(
        nodes.iter().map(Node::key).collect::<Vec<_>>(),
        ["a:4151", "b:4151"]
    );
    let seen = nodes[1].remote_addresses.as_deref().unwrap();
    assert_eq!(seen, ["l1:4161/10.0.0.1:7", "l3:4161/10.0.0.1:7"]);
    // sorted, and tombstones that are not there are false
    assert_eq!(nodes[1].topics[0].topic, "t1");
    assert!(!nodes[1].topics[1].tombstoned);
}

#[test]
fn a_lower_version_is_out_of_date() {
    let old = node("old", "[]").replace("1.3.0", "1.2.1");
    let nodes = merge_nodes(&[listed("l:1", &[old, node("new", "[]")])]);
    assert_eq!(
        nodes.iter().map(|node| node.out_of_date).collect::<Vec<_>>(),
        [false, true]
    );
}

#[test]
fn a_node_known_by_address_lends_it_where_it_is_silent() {
    let infos = [
        parsed::<Info>("[::1]:4151", r#"{"version":"1.3.0","tcp_port":4150}"#),
        silent("gone:4151"),
    ];
    let stats = [parsed::<Stats>("[::1]:4151", T1), silent("gone:4151")];
    let nodes = nodes_from_nsqds(&infos, &stats);
    assert_eq!(nodes.len(), 1);
    assert_eq!(
        (nodes[0].broadcast_address.as_str(), nodes[0].http_port),
        ("::1", 4151)
    );
    assert_eq!(nodes[0].remote_addresses, None);
    assert_eq!(nodes[0].topics[0].topic, "t1");
}

#[test]
fn sums_cover_the_nodes_that_answered_and_say_so() {
    let nodes = [listed(
        "l:1",
        &[node("a", r#"["t1"]"#), node("b", r#"["t1","t2"]"#)],
    )];
    let merged = merge_nodes(&nodes);
    let stats = vec![parsed("a:4151", T1), silent("b:4151")];
    let snapshot = from_lookupds(&[topics("l:1", r#"["t1","t2","t3"]"#)], &nodes, merged, stats);
    let by_name = |name: &str| snapshot.topics.iter().find(|topic| topic.name == name).unwrap();
    assert_eq!(
        by_name("t1").depth,
        Sum {
            value: 3,
            nodes: 2,
            answered: 1
        }
    );
    assert_eq!(
        by_name("t1").channels[0].depth,
        Sum {
            value: 8,
            nodes: 2,
            answered: 1
        }
    );
    assert!(by_name("t1").channels[0].paused);
    assert_eq!(
        by_name("t2").depth,
        Sum {
            value: 0,
            nodes: 1,
            answered: 0
        }
    );
    assert_eq!(
        by_name("t3").depth,
        Sum {
            value: 0,
            nodes: 0,
            answered: 0
        }
    );
    assert!(snapshot.nodes[1].numbers.is_err());
    assert!(!snapshot.is_blind());
}

#[test]
fn topics_are_sorted_by_what_waits_then_by_name() {
    let stats = r#"{"health":"OK","topics":[{"topic_name":"b"},{"topic_name":"a"},
        {"topic_name":"z","channels":[{"channel_name":"c","depth":1}]}]}"#;
    let snapshot = from_nsqds(&[parsed("n:1", "{}")], vec![parsed("n:1", stats)]);
    assert_eq!(
        snapshot
            .topics
            .iter()
            .map(|topic| topic.name.as_str())
            .collect::<Vec<_>>(),
        ["z", "a", "b"]
    );
}

#[test]
fn absurd_numbers_do_not_overflow() {
    let stats = format!(
        r#"{{"topics":[{{"topic_name":"t","depth":{max},"message_count":{umax},"channels":[
        {{"channel_name":"c","depth":{max}}},{{"channel_name":"d","depth":{max}}}]}}]}}"#,
        max = i64::MAX,
        umax = u64::MAX
    );
    let both = vec![parsed("n:1", &stats), parsed("n:2", &stats)];
    let snapshot = from_nsqds(&[parsed("n:1", "{}"), parsed("n:2", "{}")], both);
    assert_eq!(snapshot.topics[0].channel_depth.value, i64::MAX);
    assert_eq!(snapshot.topics[0].message_count.value, i64::MAX);
}

#[test]
fn nothing_answers() {
    let snapshot = from_lookupds(&[silent("l:1")], &[silent("l:1")], Vec::new(), Vec::new());
    assert!(snapshot.is_blind());
    assert_eq!(
        snapshot.lookupds[0].trouble.as_ref().unwrap().reason,
        "no answer within 5s"
    );
    assert!(from_nsqds(&[silent("n:1")], vec![silent("n:1")]).is_blind());
}
