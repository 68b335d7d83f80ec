#![allow(clippy::disallowed_methods, reason = "tests")]

use proptest::prelude::*;

use super::*;

const POLICY: Policy = Policy {
    inactive_producer_timeout: Duration::from_secs(300),
    tombstone_lifetime: Duration::from_secs(45),
};

fn at(seconds: u64) -> Now {
    Now {
        unix_nanos: 1_000_000_000 * i64::try_from(seconds).unwrap(),
        monotonic: Duration::from_secs(seconds),
    }
}

fn info(host: &str) -> PeerInfo {
    PeerInfo {
        broadcast_address: host.to_owned(),
        http_port: 5555,
        tcp_port: 5000,
        version: "1.3.0".to_owned(),
        ..PeerInfo::default()
    }
}

fn topic(name: &str) -> TopicName {
    name.parse().unwrap()
}

fn channel(name: &str) -> ChannelName {
    name.parse().unwrap()
}

/// A registry with nsqds 1 and 2 identified at second 0.
fn two() -> Registry {
    let mut registry = Registry::new(POLICY);
    for id in [1, 2] {
        registry.identify(
            ProducerId(id),
            format!("10.0.0.{id}:999"),
            info(&format!("host{id}")),
            at(0),
        );
    }
    registry
}

fn visible(registry: &Registry, topic: &str, now: Now) -> Vec<String> {
    let found = registry.lookup(topic, now).unwrap();
    found
        .producers
        .into_iter()
        .map(|producer| producer.broadcast_address)
        .collect()
}

#[test]
fn registering_twice_adds_once() {
    let mut registry = two();
    let (t, c) = (topic("t"), channel("c"));
    assert_eq!(
        registry.register(ProducerId(1), &t, Some(&c)),
        Ok(vec![Category::Channel, Category::Topic])
    );
    assert_eq!(registry.register(ProducerId(1), &t, Some(&c)), Ok(vec![]));
    assert_eq!(
        registry.register(ProducerId(9), &t, Some(&c)),
        Ok(vec![]),
        "never identified"
    );
    registry.check();
}

#[test]
fn ephemeral_registrations_go_with_the_last_producer_others_stay() {
    let mut registry = two();
    let (plain, fleeting) = (topic("t"), topic("f#ephemeral"));
    for id in [ProducerId(1), ProducerId(2)] {
        registry.register(id, &plain, Some(&channel("c"))).unwrap();
        registry
            .register(id, &plain, Some(&channel("e#ephemeral")))
            .unwrap();
        registry.register(id, &fleeting, Some(&channel("c"))).unwrap();
    }
    registry.disconnect(ProducerId(1));
    assert_eq!(registry.channels("t"), ["c", "e#ephemeral"]);
    assert_eq!(registry.topics(), ["f#ephemeral", "t"]);
    registry.disconnect(ProducerId(2));
    assert_eq!(registry.channels("t"), ["c"]);
    assert_eq!(registry.topics(), ["t"]);
    registry.check();
}

#[test]
fn silence_hides_and_a_ping_shows_again() {
    let mut registry = two();
    registry.register(ProducerId(1), &topic("t"), None).unwrap();
    assert_eq!(visible(&registry, "t", at(300)), ["host1"]);
    assert!(visible(&registry, "t", at(301)).is_empty());
    assert!(registry.nodes(at(301)).producers.is_empty());
    assert_eq!(registry.debug().len(), 2);
    registry
        .register(ProducerId(1), &topic("t"), Some(&channel("c")))
        .unwrap();
    assert!(
        visible(&registry, "t", at(301)).is_empty(),
        "REGISTER is no sign of life"
    );
    assert_eq!(
        registry.ping(ProducerId(1), at(400)),
        Some(Duration::from_secs(400))
    );
    assert_eq!(visible(&registry, "t", at(401)), ["host1"]);
}

#[test]
fn a_tombstone_hides_one_node_of_one_topic_for_its_lifetime() {
    let mut registry = two();
    for id in [ProducerId(1), ProducerId(2)] {
        registry.register(id, &topic("t"), None).unwrap();
        registry.register(id, &topic("u"), None).unwrap();
    }
    assert_eq!(registry.tombstone("t", "host1:5555", at(10)), 1);
    assert_eq!(registry.tombstone("*", "host1:5555", at(10)), 0);
    assert_eq!(registry.tombstone("t", "host1", at(10)), 0);
    assert_eq!(visible(&registry, "t", at(54)), ["host2"]);
    assert_eq!(visible(&registry, "u", at(54)), ["host1", "host2"]);
    assert_eq!(registry.nodes(at(54)).producers[0].tombstones, [true, false]);
    assert_eq!(visible(&registry, "t", at(55)), ["host1", "host2"]);
    // repeating restarts the clock
    registry.tombstone("t", "host1:5555", at(60));
    registry.tombstone("t", "host1:5555", at(80));
    assert_eq!(visible(&registry, "t", at(124)), ["host2"]);
    // leaving and coming back clears it
    registry.unregister_topic(ProducerId(1), &topic("t"));
    registry.register(ProducerId(1), &topic("t"), None).unwrap();
    assert_eq!(visible(&registry, "t", at(124)), ["host1", "host2"]);
}

#[test]
fn a_tombstone_knows_ipv6_with_and_without_brackets() {
    let mut registry = Registry::new(POLICY);
    registry.identify(ProducerId(1), "[::1]:9".to_owned(), info("::1"), at(0));
    registry.register(ProducerId(1), &topic("t"), None).unwrap();
    assert_eq!(registry.tombstone("t", "::1:5555", at(1)), 1);
    assert_eq!(registry.tombstone("t", "[::1]:5555", at(1)), 1);
    assert_eq!(registry.tombstone("t", "[::1]:5556", at(1)), 0);
}

#[test]
fn one_producer_cannot_register_without_bound() {
    let mut registry = two();
    let t = topic("t");
    let outcome = (0..=MAX_REGISTRATIONS_PER_PRODUCER).try_for_each(|n| {
        registry
            .register(ProducerId(1), &t, Some(&channel(&n.to_string())))
            .map(drop)
    });
    assert_eq!(outcome, Err(Full));
    assert!(
        registry
            .register(ProducerId(2), &t, Some(&channel("other")))
            .is_ok()
    );
    assert!(registry.delete_topic("t"));
    assert!(registry.register(ProducerId(1), &t, None).is_ok(), "room again");
    registry.check();
}

/// One random step on a small world, so that steps meet each other.
#[derive(Clone, Debug)]
enum Action {
    Identify(u64),
    Ping(u64),
    Register(u64, usize, Option<usize>),
    Unregister(u64, usize, Option<usize>),
    Disconnect(u64),
    Ensure(usize, Option<usize>),
    DeleteTopic(usize),
    DeleteChannel(usize, usize),
    Tombstone(usize, u64),
}

const TOPICS: [&str; 3] = ["a", "b", "e#ephemeral"];
const CHANNELS: [&str; 3] = ["c", "d", "f#ephemeral"];

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let (id, t, c) = (1..4_u64, 0..3_usize, 0..3_usize);
    let maybe = || prop::option::of(0..3_usize);
    let one = prop_oneof![
        2 => id.clone().prop_map(Action::Identify),
        1 => id.clone().prop_map(Action::Ping),
        6 => (id.clone(), t.clone(), maybe()).prop_map(|(id, t, c)| Action::Register(id, t, c)),
        4 => (id.clone(), t.clone(), maybe()).prop_map(|(id, t, c)| Action::Unregister(id, t, c)),
        1 => id.clone().prop_map(Action::Disconnect),
        1 => (t.clone(), maybe()).prop_map(|(t, c)| Action::Ensure(t, c)),
        1 => t.clone().prop_map(Action::DeleteTopic),
        1 => (t.clone(), c).prop_map(|(t, c)| Action::DeleteChannel(t, c)),
        1 => (t, id).prop_map(|(t, id)| Action::Tombstone(t, id)),
    ];
    prop::collection::vec(one, 0..60)
}

fn apply(registry: &mut Registry, action: &Action, now: Now) {
    let channel = |c: &usize| channel(CHANNELS[*c]);
    match action {
        // a connection identifies itself once
        Action::Identify(id) if registry.producers.contains_key(&ProducerId(*id)) => {}
        Action::Identify(id) => {
            registry.identify(
                ProducerId(*id),
                format!("p:{id}"),
                info(&format!("host{id}")),
                now,
            );
        }
        Action::Ping(id) => drop(registry.ping(ProducerId(*id), now)),
        Action::Register(id, t, c) => {
            let c = c.as_ref().map(channel);
            registry
                .register(ProducerId(*id), &topic(TOPICS[*t]), c.as_ref())
                .unwrap();
        }
        Action::Unregister(id, t, None) => {
            registry.unregister_topic(ProducerId(*id), &topic(TOPICS[*t]));
        }
        Action::Unregister(id, t, Some(c)) => {
            registry.unregister_channel(ProducerId(*id), &topic(TOPICS[*t]), &channel(c));
        }
        Action::Disconnect(id) => drop(registry.disconnect(ProducerId(*id))),
        Action::Ensure(t, c) => {
            let c = c.as_ref().map(channel);
            registry.ensure(&topic(TOPICS[*t]), c.as_ref()).unwrap();
        }
        Action::DeleteTopic(t) => drop(registry.delete_topic(TOPICS[*t])),
        Action::DeleteChannel(t, c) => drop(registry.delete_channel(TOPICS[*t], CHANNELS[*c])),
        Action::Tombstone(t, id) => drop(registry.tombstone(TOPICS[*t], &format!("host{id}:5555"), now)),
    }
}

proptest! {
    #[test]
    fn no_sequence_of_steps_breaks_an_invariant(actions in actions()) {
        let mut registry = Registry::new(POLICY);
        for (step, action) in actions.iter().enumerate() {
            let now = at(20 * u64::try_from(step).unwrap());
            apply(&mut registry, action, now);
            registry.check();
            for node in registry.nodes(now).producers {
                prop_assert_eq!(node.topics.len(), node.tombstones.len());
            }
        }
        // when everyone is gone, only what is not ephemeral, or was never announced, is left
        for id in 1..4 {
            registry.disconnect(ProducerId(id));
        }
        registry.check();
        prop_assert!(registry.debug().is_empty());
    }
}
