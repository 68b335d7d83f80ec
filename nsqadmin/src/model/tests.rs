use nsq_http_api::client::{Cause, Error};
use nsq_http_api::lookupd;
use nsq_http_api::nsqd::{Info, Stats};

use super::*;
use crate::options::Sources;
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

fn heard() -> Heard {
    Heard::default()
}

/// What nsqlookupds and nsqds say, as one picture.
fn snapshot(
    topics: Vec<Answer<lookupd::Topics>>,
    nodes: Vec<Answer<lookupd::Nodes>>,
    stats: Vec<Answer<Stats>>,
) -> Snapshot {
    let mut picture = Picture::default();
    let addresses = nodes.iter().map(|answer| answer.address.clone()).collect();
    picture.set_sources(&Sources::Lookupds(addresses));
    topics.into_iter().for_each(|answer| picture.hear_topics(answer));
    nodes
        .into_iter()
        .for_each(|answer| picture.hear_nodes(answer, heard()));
    stats
        .into_iter()
        .for_each(|answer| picture.hear_stats(answer, heard()));
    picture.snapshot(0)
}

#[test]
fn sums_cover_the_nodes_that_answered_and_say_so() {
    let nodes = listed("l:1", &[node("a", r#"["t1"]"#), node("b", r#"["t1","t2"]"#)]);
    let stats = vec![parsed("a:4151", T1), silent("b:4151")];
    let snapshot = snapshot(vec![topics("l:1", r#"["t1","t2","t3"]"#)], vec![nodes], stats);
    let by_name = |name: &str| snapshot.topic(name).unwrap();
    let covers = |nodes, answered| Sum { nodes, answered };
    assert_eq!(
        (by_name("t1").own.depth, by_name("t1").spread.sum()),
        (3, covers(2, 1))
    );
    let channel = &by_name("t1").channels[0];
    assert_eq!(
        (channel.numbers.depth, channel.spread.sum(), channel.spread.paused),
        (8, covers(2, 1), 1)
    );
    assert_eq!(by_name("t2").spread.sum(), covers(1, 0));
    assert_eq!(by_name("t3").spread.sum(), covers(0, 0));
    assert!(snapshot.nodes[1].trouble.is_some() && snapshot.is_complete);
    assert_eq!(snapshot.missing(), ["b:4151"]);
    assert!(!snapshot.is_blind());
}

/// Console spec 11: the depth of a topic is not counted twice.
#[test]
fn work_is_what_channels_have_or_the_topic_while_it_has_none() {
    let nodes = listed("l:1", &[node("a", "[]")]);
    let lonely = T1.replace(r#""topics":["#, r#""topics":[{"topic_name":"lonely","depth":5},"#);
    let snapshot = snapshot(Vec::new(), vec![nodes], vec![parsed("a:4151", &lonely)]);
    assert_eq!(snapshot.work(), 8 + 5);
    assert_eq!(snapshot.topic("t1").unwrap().waiting(), 11);
    let (own, channels) = snapshot.totals();
    assert_eq!(
        (own.depth, channels.depth, channels.in_flight, channels.clients),
        (8, 8, 2, 1)
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
    let nodes = listed("l:1", &[node("a", "[]"), node("b", "[]")]);
    let snapshot = snapshot(
        Vec::new(),
        vec![nodes],
        vec![parsed("a:4151", &stats), parsed("b:4151", &stats)],
    );
    assert_eq!(snapshot.topics[0].sum.depth, i64::MAX);
    assert_eq!(snapshot.topics[0].own.messages, u64::MAX);
}

#[test]
fn nothing_answers() {
    let snapshot = snapshot(Vec::new(), vec![silent("l:1")], Vec::new());
    assert!(snapshot.is_blind());
    assert_eq!(
        snapshot.lookupds[0].trouble.as_ref().unwrap().reason,
        "no answer within 5s"
    );
}

/// What a node had stays known while it is silent, and is never counted.
#[test]
fn a_silent_node_keeps_what_it_said() {
    let mut picture = Picture::default();
    picture.set_sources(&Sources::Nsqds(vec!["n:1".to_owned()]));
    picture.hear_stats(parsed("n:1", T1), heard());
    for failures in 1..4 {
        picture.hear_stats(silent("n:1"), Heard { at: 100, ..heard() });
        let snapshot = picture.snapshot(160);
        let node = snapshot.node("n:1").unwrap();
        assert_eq!(node.said.as_ref().unwrap().depth(), 11);
        let trouble = node.trouble.as_ref().unwrap();
        assert_eq!((trouble.failures, trouble.since, node.age), (failures, 100, 160));
        assert_eq!((snapshot.work(), snapshot.spread().answered), (0, 0));
        assert_eq!(snapshot.on_nodes("t1").count(), 1);
    }
}
