//! Registrations, inactivity and tombstones, nsqlookupd spec 10, cases 25 to 43.

use std::time::{Duration, Instant};

use crate::support::{A, Connection, Lookupd, eventually, ours_only};

const NOBODY: [&str; 0] = [];

#[test]
fn nl_025_a_registration_is_seen_everywhere() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t c");
    assert_eq!(lookupd.topics(), ["t"]);
    assert_eq!(lookupd.channels("t"), ["c"]);
    let found = lookupd.json("/lookup?topic=t");
    assert_eq!(found["channels"], serde_json::json!(["c"]));
    let producer = &found["producers"][0];
    assert_eq!(
        (&producer["tcp_port"], &producer["http_port"]),
        (&5000.into(), &5555.into())
    );
    if !ours_only("topology flags and keys") {
        // newer than the release 1.3.0 of the reference
        assert_eq!(producer["topology_zone"], "");
    }
    let nodes = lookupd.nodes();
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0]["topics"], serde_json::json!(["t"]));
    assert_eq!(nodes[0]["tombstones"], serde_json::json!([false]));
}

#[test]
fn nl_026_a_topic_without_channels() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t");
    let body = lookupd.get("/lookup?topic=t").body;
    assert!(body.starts_with(r#"{"channels":[],"producers":[{"#), "{body}");
}

#[test]
fn nl_027_a_closed_connection_leaves_names_behind() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t c");
    drop(nsqd);
    eventually("the producer is gone", || {
        lookupd.nodes().is_empty().then_some(())
    });
    assert_eq!(
        lookupd.get("/lookup?topic=t").body,
        r#"{"channels":["c"],"producers":[]}"#
    );
    assert_eq!(lookupd.topics(), ["t"]);
}

#[test]
fn nl_028_leaving_a_channel_keeps_it_and_the_topic() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t c");
    nsqd.ok("UNREGISTER t c");
    assert_eq!(lookupd.channels("t"), ["c"]);
    assert_eq!(lookupd.lookup("t"), ["a.host"]);
}

#[test]
fn nl_029_nl_030_an_ephemeral_channel_goes_with_its_last_producer() {
    let lookupd = Lookupd::start();
    let (mut one, mut two) = (lookupd.nsqd(), lookupd.nsqd());
    one.ok("REGISTER t e#ephemeral");
    two.ok("REGISTER t e#ephemeral");
    one.ok("UNREGISTER t e#ephemeral");
    assert_eq!(lookupd.channels("t"), ["e#ephemeral"]);
    two.ok("UNREGISTER t e#ephemeral");
    assert_eq!(lookupd.channels("t"), NOBODY);
    assert_eq!(lookupd.topics(), ["t"]);
}

#[test]
fn nl_031_an_ephemeral_topic_goes_with_its_last_producer() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER e#ephemeral c");
    nsqd.ok("UNREGISTER e#ephemeral");
    assert_eq!(lookupd.topics(), NOBODY);
}

#[test]
fn nl_032_leaving_a_topic_leaves_its_channels_too() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t c1");
    nsqd.ok("REGISTER t c2");
    nsqd.ok("UNREGISTER t");
    assert_eq!(lookupd.lookup("t"), NOBODY);
    assert_eq!(lookupd.channels("t"), ["c1", "c2"]);
    let debug = lookupd.json("/debug");
    assert_eq!(
        debug.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["client::"]
    );
}

/// The reference keeps ephemeral names that a closed connection leaves behind.
#[test]
fn nl_033_a_closed_connection_takes_ephemeral_names_along() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER e#ephemeral c");
    nsqd.ok("REGISTER t f#ephemeral");
    drop(nsqd);
    eventually("the producer is gone", || {
        lookupd.nodes().is_empty().then_some(())
    });
    if ours_only("B8 ephemeral names") {
        assert_eq!(lookupd.topics(), ["e#ephemeral", "t"]);
    } else {
        assert_eq!(
            (lookupd.topics(), lookupd.channels("t")),
            (vec!["t".to_owned()], vec![])
        );
    }
}

#[test]
fn nl_034_one_nsqd_twice_is_two_producers() {
    let lookupd = Lookupd::start();
    let (mut one, mut two) = (lookupd.nsqd(), lookupd.nsqd());
    one.ok("REGISTER t");
    two.ok("REGISTER t");
    assert_eq!(lookupd.lookup("t"), ["a.host", "a.host"]);
    assert_eq!(lookupd.nodes().len(), 2);
    drop(one);
    eventually("one is left", || (lookupd.nodes().len() == 1).then_some(()));
    assert_eq!(lookupd.lookup("t"), ["a.host"]);
}

/// nl_035, nl_036, nl_037
#[test]
fn nl_035_to_nl_037_silence_hides_a_producer_until_its_next_ping() {
    let lookupd = Lookupd::start_with(&["--inactive-producer-timeout=400ms"]);
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t");
    assert_eq!(lookupd.lookup("t"), ["a.host"]);
    eventually("the producer is hidden", || {
        // announcing is no sign of life
        nsqd.ok("REGISTER t c");
        lookupd.nodes().is_empty().then_some(())
    });
    assert_eq!(lookupd.lookup("t"), NOBODY);
    assert!(lookupd.json("/debug")["topic:t:"].is_array());
    nsqd.ok("PING");
    assert_eq!(lookupd.lookup("t"), ["a.host"]);
    assert_eq!(lookupd.nodes().len(), 1);
}

fn registered(lookupd: &Lookupd) -> Connection {
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t1");
    nsqd.ok("REGISTER t2");
    nsqd
}

fn tombstone(lookupd: &Lookupd) {
    lookupd
        .post("/topic/tombstone?topic=t1&node=a.host:5555")
        .is_empty();
}

/// Topic and tombstone of the only node.
fn tombstones(lookupd: &Lookupd) -> Vec<(String, bool)> {
    let node = &lookupd.nodes()[0];
    let topics = node["topics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|topic| topic.as_str().unwrap().to_owned());
    let flags = node["tombstones"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flag| flag.as_bool().unwrap());
    let mut all: Vec<_> = topics.zip(flags).collect();
    all.sort();
    all
}

#[test]
fn nl_038_nl_039_nl_041_a_tombstone_hides_one_topic_of_one_node() {
    let lookupd = Lookupd::start();
    let mut nsqd = registered(&lookupd);
    tombstone(&lookupd);
    assert_eq!(lookupd.lookup("t1"), NOBODY);
    assert_eq!(lookupd.lookup("t2"), ["a.host"]);
    assert_eq!(
        tombstones(&lookupd),
        [("t1".to_owned(), true), ("t2".to_owned(), false)]
    );
    nsqd.ok("REGISTER t1 c");
    assert_eq!(lookupd.lookup("t1"), NOBODY);
    nsqd.ok("UNREGISTER t1");
    nsqd.ok("REGISTER t1");
    assert_eq!(lookupd.lookup("t1"), ["a.host"]);
}

#[test]
fn nl_040_nl_043_a_tombstone_ends_by_itself_and_repeating_restarts_it() {
    let lookupd = Lookupd::start_with(&["--tombstone-lifetime=600ms"]);
    let _nsqd = registered(&lookupd);
    let life = Duration::from_millis(600);
    let first = Instant::now();
    tombstone(&lookupd);
    eventually("half of the life is over", || {
        (first.elapsed() >= life / 2).then_some(())
    });
    let second = Instant::now();
    tombstone(&lookupd);
    // visible again only a full life after the second
    eventually("visible again", || {
        let hosts = lookupd.lookup("t1");
        (!hosts.is_empty()).then(|| assert!(second.elapsed() >= life, "after {:?}", second.elapsed()))
    });
    assert_eq!(
        tombstones(&lookupd),
        [("t1".to_owned(), false), ("t2".to_owned(), false)]
    );
}

#[test]
fn nl_042_a_tombstone_for_something_unknown_changes_nothing() {
    let lookupd = Lookupd::start();
    let _nsqd = registered(&lookupd);
    lookupd
        .post("/topic/tombstone?topic=t1&node=b.host:5555")
        .is_empty();
    lookupd
        .post("/topic/tombstone?topic=nope&node=a.host:5555")
        .is_empty();
    assert_eq!(
        tombstones(&lookupd),
        [("t1".to_owned(), false), ("t2".to_owned(), false)]
    );
}

/// The bracketed form is what nsqadmin sends; the reference does not know it.
#[test]
fn a_tombstone_accepts_both_forms_of_an_ipv6_node() {
    if ours_only("B6 tombstone of an IPv6 node") {
        return;
    }
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd_as(&A.replace("a.host", "::1"));
    for node in ["::1:5555", "[::1]:5555"] {
        nsqd.ok("REGISTER t1");
        lookupd
            .post(&format!("/topic/tombstone?topic=t1&node={node}"))
            .is_empty();
        assert_eq!(lookupd.lookup("t1"), NOBODY, "{node}");
        nsqd.ok("UNREGISTER t1");
    }
}
