//! What holds for every world: random lives of a cluster.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::api::{LogLevel, WhenScaled};
use crate::plan::tests::model::{left, tick};
use serde_json::json;

/// Something that happens to a cluster.
#[derive(Clone, Debug)]
enum Happening {
    Replicas(i32),
    Lookupds(i32),
    LogLevel(u8),
    Consoles(i32),
    Revision(u8),
    LookupdRevision(u8),
    Messages(i32, i64),
    Silent(i32),
    Answers(i32),
    Down(i32),
    Up(i32),
    Time(i64),
    Forget,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0..5).prop_map(Happening::Replicas),
        1 => (1..4).prop_map(Happening::Lookupds),
        1 => (0_u8..5).prop_map(Happening::LogLevel),
        1 => (0..3).prop_map(Happening::Consoles),
        2 => (0_u8..3).prop_map(Happening::Revision),
        1 => (0_u8..2).prop_map(Happening::LookupdRevision),
        3 => (0..5, select(vec![0_i64, 0, 7])).prop_map(|(node, left)| Happening::Messages(node, left)),
        1 => (0..5).prop_map(Happening::Silent),
        2 => (0..5).prop_map(Happening::Answers),
        1 => (0..5).prop_map(Happening::Down),
        2 => (0..5).prop_map(Happening::Up),
        6 => (1..20_i64).prop_map(Happening::Time),
        1 => Just(Happening::Forget),
    ]
}

fn happen(observed: &mut Observed, happening: &Happening) {
    let now = observed.now;
    let with = |observed: &mut Observed, ordinal: &i32, change: &dyn Fn(&mut Node)| {
        if let Some(node) = observed.nodes.iter_mut().find(|node| node.ordinal == *ordinal) {
            change(node);
        }
    };
    let spec = &mut observed.cluster.spec;
    let changed = observed.cluster.metadata.generation.map(|number| number + 1);
    match happening {
        Happening::Replicas(replicas) => {
            spec.nsqd.replicas = *replicas;
            observed.cluster.metadata.generation = changed;
        }
        Happening::Lookupds(replicas) => {
            spec.lookupd.replicas = *replicas;
            observed.cluster.metadata.generation = changed;
        }
        Happening::LogLevel(level) => {
            let levels = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];
            spec.nsqd.options.log_level = levels.get(usize::from(*level)).copied();
            observed.cluster.metadata.generation = changed;
        }
        Happening::Consoles(replicas) => {
            spec.admin.replicas = *replicas;
            observed.cluster.metadata.generation = changed;
        }
        Happening::LookupdRevision(number) => observed.wanted.lookupd.config = number.to_string(),
        Happening::Revision(number) => observed.wanted.nsqd.config = number.to_string(),
        Happening::Messages(ordinal, messages) => with(observed, ordinal, &|node| {
            if let Ok(facts) = &mut node.facts {
                let channel = ChannelStats {
                    channel_name: "c".to_owned(),
                    depth: *messages,
                    ..ChannelStats::default()
                };
                facts.stats = stats("t", channel);
            }
        }),
        Happening::Silent(ordinal) => with(observed, ordinal, &|node| node.facts = Err("timeout".to_owned())),
        Happening::Answers(ordinal) => with(observed, ordinal, &|node| {
            if node.facts.is_err() {
                node.facts = super::node(node.ordinal).facts;
            }
        }),
        Happening::Down(ordinal) => with(observed, ordinal, &|node| {
            node.life = Life::NotReady("NOK".to_owned());
        }),
        Happening::Up(ordinal) => with(observed, ordinal, &|node| node.life = Life::Ready(now)),
        Happening::Time(seconds) => tick(observed, *seconds),
        Happening::Forget => {
            observed.cluster.status = None;
            observed.memory = Memory::default();
        }
    }
}

/// What must hold of a plan whatever was seen.
fn check(observed: &Observed, plan: &Plan) {
    let Some(shape) = &plan.shape else { return };
    let told = observed.told.unwrap_or(0);
    let count = shape.replicas.count();
    // every node that goes is the highest, has its proof, and was seen empty or never ran
    assert_eq!(
        count.min(told),
        told - i32::try_from(shape.replicas.removals().len()).unwrap()
    );
    for removal in shape.replicas.removals() {
        let node = observed
            .nodes
            .iter()
            .find(|node| node.ordinal == removal.ordinal)
            .unwrap();
        match removal.basis() {
            Basis::SeenEmpty => {
                assert_eq!(left(node), Some(0));
                assert!(node.facts.as_ref().unwrap().lookupds.is_empty(), "sealed first");
                assert!(node.fenced);
            }
            Basis::NeverRan => assert!(!node.ran),
            other => panic!("{other:?} without a deadline or a stop"),
        }
        if removal.may_delete_data() {
            assert_eq!(
                observed.cluster.spec.nsqd.storage.when_scaled,
                WhenScaled::DeleteIfDrained
            );
            let lifecycle = node.facts.as_ref().unwrap().lifecycle.as_ref().unwrap();
            assert_eq!(lifecycle.phase, nsq_http_api::lifecycle::Phase::Draining);
            assert!(lifecycle.drain.as_ref().unwrap().empty);
        }
    }
    // at most one node is restarted, and not while another that should run is coming up from a restart
    let restarted: Vec<&Node> = observed
        .nodes
        .iter()
        .filter(|node| node.ordinal < count.min(told))
        .filter(|node| node.ordinal >= shape.partition && node.revision != observed.wanted.nsqd)
        .collect();
    assert!(restarted.len() <= 1, "{restarted:?}");
    if let [candidate] = restarted.as_slice() {
        let fresh = observed.nodes.iter().filter(|node| {
            node.ordinal != candidate.ordinal && node.ordinal < told && node.revision == observed.wanted.nsqd
        });
        for node in fresh {
            assert!(
                node.life.is_ready(),
                "{} is restarted while {} is away",
                candidate.name,
                node.name
            );
        }
    }
    assert!(plan.status.message.len() <= 512);
}

fn spec() -> serde_json::Value {
    json!({"nsqd": {"replicas": 3, "drain": {"settle": "1s"}, "update": {"minReadySeconds": 2}}})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// op_043, op_099: no node goes without a proof and no claim without the node's own account of a drain, never two nodes are
    /// restarted at once, equal input gives an equal plan.
    #[test]
    fn op_043_op_099_every_life_keeps_every_message(
        happenings in prop::collection::vec(happening(), 1..60),
        go: bool,
        delete: bool,
    ) {
        let mut observed = world(spec(), 3);
        if delete {
            observed.cluster.spec.nsqd.storage.when_scaled = WhenScaled::DeleteIfDrained;
        }
        for happening in &happenings {
            happen(&mut observed, happening);
            if go {
                observed.nodes.iter_mut().for_each(make_go);
            }
            register(&mut observed);
            let first = plan(&observed);
            let again = plan(&observed);
            prop_assert_eq!(format!("{first:?}"), format!("{again:?}"));
            check(&observed, &first);
            obey(&mut observed);
        }
    }

    /// op_042: from any state and with any spec, a cluster that is left alone becomes what the spec says; then a plan is empty,
    /// and so is the one after it.
    #[test]
    fn op_042_a_healthy_cluster_comes_to_rest(happenings in prop::collection::vec(happening(), 0..30)) {
        let mut observed = world(spec(), 3);
        for happening in &happenings {
            happen(&mut observed, happening);
            register(&mut observed);
            obey(&mut observed);
        }
        for ordinal in 0..8 {
            happen(&mut observed, &Happening::Answers(ordinal));
            happen(&mut observed, &Happening::Messages(ordinal, 0));
            happen(&mut observed, &Happening::Up(ordinal));
        }
        for _ in 0..60 {
            tick(&mut observed, 11);
            register(&mut observed);
            obey(&mut observed);
        }
        let last = plan(&observed);
        prop_assert_eq!(observed.told, Some(observed.cluster.spec.nsqd.replicas));
        prop_assert!(last.node_actions.is_empty(), "{:?}", last.node_actions);
        prop_assert!(last.events.is_empty(), "{:?}", last.events);
        prop_assert_eq!(&Some(last.status.clone()), &observed.cluster.status);
        let shape = last.shape.as_ref().unwrap();
        prop_assert!(shape.replicas.removals().is_empty());
        prop_assert_eq!(Some(shape.replicas.count()), observed.told);
        prop_assert_eq!(shape.partition, shape.replicas.count());
        let wanted = usize::try_from(observed.cluster.spec.lookupd.replicas).unwrap();
        prop_assert_eq!(observed.lookupds.len(), wanted);
        prop_assert!(observed.lookupds.iter().all(|lookupd| lookupd.revision == observed.wanted.lookupd));
        let before = format!("{:?} {:?}", observed.nodes, observed.lookupds);
        obey(&mut observed);
        prop_assert_eq!(format!("{:?} {:?}", observed.nodes, observed.lookupds), before);
        prop_assert!(last.status.drain.is_none() && last.status.rollout.is_none());
        prop_assert!(observed.nodes.iter().all(|node| !node.fenced && node.revision == observed.wanted.nsqd));
    }
}
