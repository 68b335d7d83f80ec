//! Metrics about the operator itself and about clusters, whatever world they run in. Source: operator spec 9.1.
//!
//! Those about clusters are written as text from what is kept of each cluster: families of objects for eleven series of each of a thousand
//! clusters would take more memory than the clusters.

use std::fmt::Write as _;

use nsq_service::metrics::{Format, Kind, Page, process};

use crate::api::{ConditionStatus, ConditionType, DrainNode, NsqClusterStatus};

/// States of nodes; everything else counts as `unready`.
const NODE_STATES: [&str; 6] = ["active", "joining", "fenced", "draining", "sealed", "removing"];

/// The first lines of a page for Prometheus: the version, and what the system knows of this process.
#[must_use]
pub fn head() -> String {
    let mut page = Page::new(Format::Text);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    page.family(
        Kind::Gauge,
        "nsq_operator_build_info",
        "Always 1; the release of the operator.",
    )
    .value(&version, 1.0);
    process(&mut page);
    String::from_utf8_lossy(&page.finish()).into_owned()
}

/// What there is to tell about one cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts {
    /// The labels, as they stand in a sample.
    labels: Box<str>,
    ready: bool,
    stalled: bool,
    conditions: Box<[(ConditionType, bool)]>,
    /// Number of nodes by state.
    nodes: Box<[(&'static str, usize)]>,
    /// Messages that are left, and the start in Unix seconds.
    drain: Option<(i64, i64)>,
    /// Why a rollout waits, and whether a person is needed.
    rollout: Option<(&'static str, bool)>,
}

impl ClusterFacts {
    /// What a status says. `nodes` is the number of nodes by [state](node_state).
    #[must_use]
    pub fn of(
        namespace: &str,
        name: &str,
        status: &NsqClusterStatus,
        nodes: impl IntoIterator<Item = (&'static str, usize)>,
    ) -> Self {
        let told = status
            .conditions
            .iter()
            .filter(|condition| tells(status, condition.kind));
        let is_true = |status| status == ConditionStatus::True;
        let stuck = status
            .condition(ConditionType::Stalled)
            .filter(|condition| is_true(condition.status));
        let reason = stuck.map_or("gate", |condition| condition.reason.as_str());
        Self {
            labels: format!("namespace=\"{namespace}\",nsq_cluster=\"{name}\"").into(),
            ready: status.is_true(ConditionType::Ready),
            stalled: stuck.is_some(),
            conditions: told
                .map(|condition| (condition.kind, is_true(condition.status)))
                .collect(),
            nodes: nodes.into_iter().collect(),
            drain: status.drain.as_ref().map(|drain| {
                let left = drain.nodes.iter().map(messages).sum();
                (left, drain.started_at.0.as_second())
            }),
            rollout: status.rollout.as_ref().map(|_| (reason, stuck.is_some())),
        }
    }
}

/// The state of a node as the metric names it.
#[must_use]
pub fn node_state(state: &str) -> &'static str {
    NODE_STATES
        .into_iter()
        .find(|known| *known == state)
        .unwrap_or("unready")
}

/// One family.
struct Gauge {
    name: &'static str,
    help: &'static str,
    /// The samples of a cluster, at a time in Unix seconds.
    of: fn(&ClusterFacts, i64, &mut Sample<'_>),
}

const GAUGES: [Gauge; 7] = [
    Gauge {
        name: "cluster_ready",
        help: "1 while the condition Ready is True.",
        of: |cluster, _, samples| samples.add(cluster, None, i64::from(cluster.ready)),
    },
    Gauge {
        name: "cluster_stalled",
        help: "1 while the condition Stalled is True.",
        of: |cluster, _, samples| samples.add(cluster, None, i64::from(cluster.stalled)),
    },
    Gauge {
        name: "cluster_condition",
        help: "1 for each condition that is True; Available is left out while no node is wanted.",
        of: |cluster, _, samples| {
            for (kind, is_true) in &cluster.conditions {
                samples.add(cluster, Some(("type", kind.as_str())), i64::from(*is_true));
            }
        },
    },
    Gauge {
        name: "nodes",
        help: "Nodes by state.",
        of: |cluster, _, samples| {
            for (state, count) in &cluster.nodes {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                samples.add(cluster, Some(("state", state)), count);
            }
        },
    },
    Gauge {
        name: "drain_remaining_messages",
        help: "Messages on nodes that are being drained; absent without a drain.",
        of: |cluster, _, samples| {
            if let Some((left, _)) = cluster.drain {
                samples.add(cluster, None, left);
            }
        },
    },
    Gauge {
        name: "drain_seconds",
        help: "Age of the drain; absent without one.",
        of: |cluster, now, samples| {
            if let Some((_, since)) = cluster.drain {
                samples.add(cluster, None, now.saturating_sub(since).max(0));
            }
        },
    },
    Gauge {
        name: "rollout_blocked",
        help: "1 while the rollout cannot go on without a person; absent without a rollout.",
        of: |cluster, _, samples| {
            if let Some((reason, needs_person)) = cluster.rollout {
                samples.add(cluster, Some(("reason", reason)), i64::from(needs_person));
            }
        },
    },
];

/// Appends the series of these clusters to a page for Prometheus. `now` is in Unix seconds.
pub fn write<'a>(page: &mut String, clusters: &(impl Iterator<Item = &'a ClusterFacts> + Clone), now: i64) {
    for gauge in &GAUGES {
        let mut samples = Sample {
            page,
            name: gauge.name,
            help: gauge.help,
            any: false,
        };
        for cluster in clusters.clone() {
            (gauge.of)(cluster, now, &mut samples);
        }
    }
}

/// Samples of one family; it has a head once there is one.
struct Sample<'a> {
    page: &'a mut String,
    name: &'a str,
    help: &'a str,
    any: bool,
}

impl Sample<'_> {
    fn add(&mut self, cluster: &ClusterFacts, more: Option<(&str, &str)>, value: i64) {
        let (name, labels) = (self.name, &cluster.labels);
        // Writing to a String cannot fail.
        if !std::mem::replace(&mut self.any, true) {
            let help = self.help;
            let _ = writeln!(
                self.page,
                "# HELP nsq_operator_{name} {help}\n# TYPE nsq_operator_{name} gauge"
            );
        }
        let _ = match more {
            None => writeln!(self.page, "nsq_operator_{name}{{{labels}}} {value}"),
            Some((key, word)) => {
                writeln!(
                    self.page,
                    "nsq_operator_{name}{{{labels},{key}=\"{word}\"}} {value}"
                )
            }
        };
    }
}

/// A cluster that should not be available is no alarm.
fn tells(status: &NsqClusterStatus, kind: ConditionType) -> bool {
    let none_wanted = status.nsqd.as_ref().is_some_and(|nsqd| nsqd.desired == 0);
    kind != ConditionType::Available || !none_wanted
}

fn messages(node: &DrainNode) -> i64 {
    node.depth + node.in_flight + node.deferred
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_a_head_and_a_sample_of_each_cluster_or_is_not_there() {
        let facts = |name| ClusterFacts::of("ns", name, &NsqClusterStatus::default(), [("active", 3)]);
        let clusters = [facts("a"), facts("b")];
        let mut page = String::new();
        write(&mut page, &clusters.iter(), 0);
        let nodes = "# HELP nsq_operator_nodes Nodes by state.\n# TYPE nsq_operator_nodes gauge\n\
            nsq_operator_nodes{namespace=\"ns\",nsq_cluster=\"a\",state=\"active\"} 3\n\
            nsq_operator_nodes{namespace=\"ns\",nsq_cluster=\"b\",state=\"active\"} 3\n";
        assert!(page.contains(nodes), "{page}");
        assert!(page.contains("nsq_operator_cluster_ready{namespace=\"ns\",nsq_cluster=\"b\"} 0\n"));
        assert!(!page.contains("drain"), "{page}");
        let mut empty = String::new();
        write(&mut empty, &std::iter::empty(), 0);
        assert!(empty.is_empty());
    }
}
