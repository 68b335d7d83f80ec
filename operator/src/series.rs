//! Metrics about clusters, whatever world they run in. Source: operator spec 9.1.

use std::collections::BTreeMap;

use prometheus::{GaugeVec, Opts, Registry};

use crate::api::{ConditionStatus, ConditionType, DrainNode, NsqClusterStatus};

/// States of [`ClusterFacts::nodes`]; everything else counts as `unready`.
const NODE_STATES: [&str; 6] = ["active", "joining", "fenced", "draining", "sealed", "removing"];

/// What there is to tell about one cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: NsqClusterStatus,
    /// Number of nodes by state.
    pub nodes: BTreeMap<&'static str, usize>,
}

/// The state of a node as the metric names it.
#[must_use]
pub fn node_state(state: &str) -> &'static str {
    NODE_STATES
        .into_iter()
        .find(|known| *known == state)
        .unwrap_or("unready")
}

/// A registry with the series of these clusters. `now` is in Unix seconds.
///
/// # Errors
/// Never in practice: all names are constants.
pub fn registry(clusters: &[ClusterFacts], now: i64) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let of_cluster = &["namespace", "nsq_cluster"][..];
    let gauge = |name: &str, help: &str, more: &[&str]| {
        let gauge = GaugeVec::new(Opts::new(name, help), &[of_cluster, more].concat())?;
        registry.register(Box::new(gauge.clone()))?;
        Ok::<_, prometheus::Error>(gauge)
    };
    let ready = gauge("nsq_operator_cluster_ready", "Condition Ready is True.", &[])?;
    let stalled = gauge("nsq_operator_cluster_stalled", "Condition Stalled is True.", &[])?;
    let conditions = gauge(
        "nsq_operator_cluster_condition",
        "Conditions that are True.",
        &["type"],
    )?;
    let nodes = gauge("nsq_operator_nodes", "Nodes by state.", &["state"])?;
    let left = gauge(
        "nsq_operator_drain_remaining_messages",
        "Messages on nodes being drained.",
        &[],
    )?;
    let age = gauge("nsq_operator_drain_seconds", "Age of the drain.", &[])?;
    let blocked = gauge(
        "nsq_operator_rollout_blocked",
        "The rollout waits for something.",
        &["reason"],
    )?;
    for cluster in clusters {
        let here = [cluster.namespace.as_str(), cluster.name.as_str()];
        let status = &cluster.status;
        ready
            .with_label_values(&here)
            .set(truth(status.is_true(ConditionType::Ready)));
        stalled
            .with_label_values(&here)
            .set(truth(status.is_true(ConditionType::Stalled)));
        for condition in status
            .conditions
            .iter()
            .filter(|condition| tells(status, condition.kind))
        {
            let value = truth(condition.status == ConditionStatus::True);
            conditions
                .with_label_values(&[here[0], here[1], condition.kind.as_str()])
                .set(value);
        }
        for (state, count) in &cluster.nodes {
            nodes
                .with_label_values(&[here[0], here[1], state])
                .set(whole(*count));
        }
        if let Some(drain) = &status.drain {
            #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
            left.with_label_values(&here)
                .set(drain.nodes.iter().map(messages).sum::<i64>() as f64);
            let seconds = u32::try_from(now - drain.started_at.0.as_second()).unwrap_or(0);
            age.with_label_values(&here).set(f64::from(seconds));
        }
        if status.rollout.is_some() {
            let stuck = status.condition(ConditionType::Stalled);
            let stuck = stuck.filter(|condition| condition.status == ConditionStatus::True);
            let reason = stuck.map_or("gate", |condition| condition.reason.as_str());
            blocked
                .with_label_values(&[here[0], here[1], reason])
                .set(truth(stuck.is_some()));
        }
    }
    Ok(registry)
}

/// A cluster that should not be available is no alarm.
fn tells(status: &NsqClusterStatus, kind: ConditionType) -> bool {
    let none_wanted = status.nsqd.as_ref().is_some_and(|nsqd| nsqd.desired == 0);
    kind != ConditionType::Available || !none_wanted
}

fn messages(node: &DrainNode) -> i64 {
    node.depth + node.in_flight + node.deferred
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn whole(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
