//! Conditions of a cluster. Reasons are part of the API. Source: operator spec 3.2.

use std::time::Duration;

use super::{condition, incomplete};
use crate::api::{
    Condition, ConditionStatus, ConditionType, Mode, NsqClusterStatus, Reason, StorageType, Violation,
};
use crate::plan::NO_READY;
use crate::plan::action::Shape;
use crate::plan::draft::{Draft, missing_in};
use crate::plan::observed::{Node, SILENT_PASSES, since};
use crate::plan::{Parts, rollout};

/// Registries may be incomplete this long before a condition says so: an nsqlookupd that comes back is filled in this time.
const REGISTRY_GRACE: Duration = Duration::from_secs(30);

/// What is said while registries are replaced.
pub(super) const ROLLING_REGISTRIES: &str = "restarting nsqlookupd one at a time";

/// Numbers that several conditions and messages need.
#[derive(Debug, Default)]
pub(in crate::plan) struct Gathered {
    pub(super) wanted: i32,
    pub(super) ready: i32,
    pub(super) registered: i32,
    pub(super) lookupds_ready: i32,
    pub(super) all_ready: bool,
    pub(super) admin_stale: bool,
    /// The count of nodes is higher than the nodes that were ever ready.
    pub(super) added: bool,
    /// Sentences about registries that lack something; empty while that is young.
    pub(super) incomplete: Vec<String>,
    pub(super) wrong: Vec<String>,
    pub(super) accepting: i32,
    pub(super) answering: i32,
}

/// Counts once.
pub(super) fn gather(draft: &mut Draft<'_>, parts: &Parts, shape: &Shape) -> Gathered {
    let observed = draft.observed;
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let lookupds = || {
        observed
            .lookupds
            .iter()
            .filter(|lookupd| lookupd.removing_since.is_none())
    };
    for node in &observed.nodes {
        let silent = draft.memory.silent.entry(node.ordinal).or_insert(0);
        *silent = if node.facts.is_ok() {
            0
        } else {
            silent.saturating_add(1)
        };
    }
    draft
        .memory
        .silent
        .retain(|ordinal, _| observed.nodes.iter().any(|node| node.ordinal == *ordinal));
    let ready: Vec<&Node> = draft.active().filter(|node| node.life.is_ready()).collect();
    let mut gathered = Gathered {
        wanted: draft.target,
        ready: number(ready.len()),
        registered: number(
            ready
                .iter()
                .filter(|node| missing_in(observed, &node.broadcast).is_empty())
                .count(),
        ),
        lookupds_ready: number(lookupds().filter(|lookupd| lookupd.life.is_ready()).count()),
        admin_stale: observed.admin.as_ref().is_some_and(|admin| {
            let shape = shape.admin.as_ref();
            admin.revision != observed.wanted.admin
                || shape.is_some_and(|shape| shape.lookupds != admin.lookupds)
        }),
        added: draft.memory.growing.is_some()
            || shape.replicas.count() > parts.current
            || draft.active().any(|node| !node.life.is_ready() && is_new(node)),
        wrong: draft
            .active()
            .filter_map(|node| {
                let (expected, seen) = wrong_address(node)?;
                Some(format!("{} announces {seen} instead of {expected}", node.name))
            })
            .collect(),
        accepting: number(
            draft
                .active()
                .filter(|node| node.life.is_ready() && !node.fenced)
                .count(),
        ),
        answering: number(lookupds().filter(|lookupd| lookupd.registered.is_ok()).count()),
        ..Gathered::default()
    };
    let lacking = incomplete(draft);
    if lacking.is_empty() {
        draft.memory.incomplete_since = None;
    } else {
        let begun = *draft.memory.incomplete_since.get_or_insert(observed.now);
        // a cluster that is being made is not called ready before it is whole
        if !draft.memory.was_ready || since(observed.now, begun) >= REGISTRY_GRACE {
            gathered.incomplete = lacking;
        }
    }
    gathered.all_ready = gathered.ready >= gathered.wanted
        && shape.replicas.count() == gathered.wanted
        && gathered.lookupds_ready >= observed.cluster.spec.lookupd.replicas
        && gathered.incomplete.is_empty();
    gathered
}

/// The node joins, or has not answered a single time.
fn is_new(node: &Node) -> bool {
    node.life.why().contains("joining") || !node.ran
}

/// Expected and announced host of a node that announces another one.
pub(super) fn wrong_address(node: &Node) -> Option<(&str, &str)> {
    let seen = node.facts.as_ref().ok()?.info.broadcast_address.as_str();
    (seen != node.broadcast.host).then_some((node.broadcast.host.as_str(), seen))
}

type Verdict = (ConditionStatus, Reason, String);

fn yes(reason: Reason) -> Verdict {
    (ConditionStatus::True, reason, String::new())
}

fn no(reason: Reason, message: impl Into<String>) -> Verdict {
    (ConditionStatus::False, reason, message.into())
}

/// All conditions, in the order of the specification.
pub(super) fn all(
    draft: &Draft<'_>,
    parts: &Parts,
    facts: &Gathered,
    before: &NsqClusterStatus,
) -> Vec<Condition> {
    let stalled = stalled(draft, parts);
    let ready = ready(draft, parts, facts, stalled.as_ref());
    let is_ready = ready.0 == ConditionStatus::True;
    let verdicts = [
        (ConditionType::Ready, ready),
        (
            ConditionType::Reconciling,
            reconciling(draft, parts, facts, is_ready),
        ),
        (
            ConditionType::Stalled,
            stalled.map_or_else(
                || no(Reason::NotStalled, ""),
                |(reason, text)| (ConditionStatus::True, reason, text),
            ),
        ),
        (ConditionType::Available, available(draft, facts)),
        (ConditionType::RegistryConsistent, registry(draft, facts)),
        (ConditionType::ConfigInSync, config(draft, parts)),
        (ConditionType::StorageInSync, storage(draft, parts)),
        (ConditionType::Draining, draining(parts)),
    ];
    let now = draft.observed.now;
    let generation = draft.observed.cluster.metadata.generation;
    verdicts
        .into_iter()
        .map(|(kind, (status, reason, message))| {
            condition(
                now,
                &before.conditions,
                generation,
                (kind, status, reason, &message),
            )
        })
        .collect()
}

/// A broken rule as people read it.
pub(in crate::plan) fn violation(violation: &Violation) -> String {
    format!("{}: {}", violation.path, violation.message)
}

fn stalled(draft: &Draft<'_>, parts: &Parts) -> Option<(Reason, String)> {
    if let Some(first) = draft.observed.invalid.first() {
        return Some((Reason::InvalidSpec, violation(first)));
    }
    let lacks_ready = draft.active().any(|node| node.life.why().contains(NO_READY));
    if lacks_ready {
        return Some((
            Reason::CapabilityMissing,
            format!("image {NO_READY}; set flavor: Upstream"),
        ));
    }
    draft
        .observed
        .stuck
        .clone()
        .or_else(|| parts.drain.stalled.clone())
        .or_else(|| parts.rollout.stalled.clone())
}

fn ready(draft: &Draft<'_>, parts: &Parts, facts: &Gathered, stalled: Option<&(Reason, String)>) -> Verdict {
    let observed = draft.observed;
    let given_up = parts
        .drain
        .status
        .as_ref()
        .is_some_and(|drain| drain.aborted_generation.is_some());
    if observed.cluster.spec.mode == Mode::Stopped {
        return match observed.nodes.len() {
            0 => (ConditionStatus::True, Reason::Stopped, "volumes kept".to_owned()),
            left => no(Reason::Stopping, format!("{left} nodes left")),
        };
    }
    if let Some((_, text)) = stalled {
        return no(Reason::Stalled, text.as_str());
    }
    if parts.drain.status.is_some() && !given_up {
        let (from, to) = parts
            .drain
            .status
            .as_ref()
            .map_or((0, 0), |drain| (drain.from, drain.to));
        return no(Reason::Draining, format!("draining {from} -> {to}"));
    }
    if parts.rollout.status.is_some() || parts.registries.rolling {
        let line = if parts.registries.rolling {
            ROLLING_REGISTRIES
        } else {
            &parts.rollout.line
        };
        return no(Reason::RolloutInProgress, line);
    }
    if facts.all_ready {
        return yes(Reason::Ready);
    }
    if !draft.memory.was_ready {
        return no(Reason::Creating, "");
    }
    if facts.ready < facts.wanted {
        return no(
            Reason::NsqdNotReady,
            format!("{} of {} nodes are ready", facts.ready, facts.wanted),
        );
    }
    if facts.lookupds_ready < observed.cluster.spec.lookupd.replicas {
        return no(
            Reason::LookupdNotReady,
            format!(
                "{} of {} nsqlookupd are ready",
                facts.lookupds_ready, observed.cluster.spec.lookupd.replicas
            ),
        );
    }
    no(Reason::RegistryIncomplete, facts.incomplete.join("; "))
}

fn reconciling(draft: &Draft<'_>, parts: &Parts, facts: &Gathered, is_ready: bool) -> Verdict {
    let stopped = draft.observed.cluster.spec.mode == Mode::Stopped;
    let given_up = parts
        .drain
        .status
        .as_ref()
        .is_some_and(|drain| drain.aborted_generation.is_some());
    if draft.observed.cluster.spec.mode == Mode::Paused {
        no(Reason::Paused, "")
    } else if parts.drain.status.is_some() && !given_up {
        yes(Reason::Draining)
    } else if parts.rollout.status.is_some() || parts.registries.rolling || facts.admin_stale {
        yes(Reason::RollingOut)
    } else if parts.hot {
        yes(Reason::HotConfig)
    } else if parts.claims.behind.is_some() && !stopped {
        yes(Reason::Resizing)
    } else if is_ready || stopped {
        no(Reason::Idle, "")
    } else if draft.memory.was_ready && facts.added {
        yes(Reason::ScalingUp)
    } else if !draft.memory.was_ready {
        yes(Reason::Creating)
    } else {
        no(Reason::Idle, "")
    }
}

fn available(draft: &Draft<'_>, facts: &Gathered) -> Verdict {
    if draft.observed.cluster.spec.mode == Mode::Stopped {
        return no(Reason::Stopped, "");
    }
    match (facts.accepting, facts.answering) {
        (0, _) => no(Reason::NoNsqd, "no node accepts publishes"),
        (_, 0) => no(Reason::NoLookupd, "no nsqlookupd answers"),
        (nodes, _) => {
            let message = format!("{nodes} nodes accept publishes");
            (ConditionStatus::True, Reason::MinimumAvailable, message)
        }
    }
}

fn registry(draft: &Draft<'_>, facts: &Gathered) -> Verdict {
    let observed = draft.observed;
    if observed.cluster.spec.mode == Mode::Stopped {
        return no(Reason::Stopped, "");
    }
    if !facts.wrong.is_empty() {
        return no(Reason::WrongBroadcastAddress, facts.wrong.join("; "));
    }
    let lost: Vec<&str> = draft
        .active()
        .filter(|node| {
            draft
                .memory
                .silent
                .get(&node.ordinal)
                .is_some_and(|passes| *passes >= SILENT_PASSES)
        })
        .map(|node| node.name.as_str())
        .collect();
    if !lost.is_empty() {
        let verb = if lost.len() == 1 { "does" } else { "do" };
        let message = format!("{} {verb} not answer", lost.join(", "));
        return (ConditionStatus::Unknown, Reason::Unreachable, message);
    }
    if !facts.incomplete.is_empty() {
        return no(Reason::MissingRegistrations, facts.incomplete.join("; "));
    }
    let message = format!("{} nodes in {} nsqlookupds", facts.registered, facts.answering);
    (ConditionStatus::True, Reason::AllRegistered, message)
}

fn config(draft: &Draft<'_>, parts: &Parts) -> Verdict {
    let observed = draft.observed;
    if !observed.refused.is_empty() {
        return no(Reason::HotApplyFailed, observed.refused.join("; "));
    }
    if !parts.rollout.pending.is_empty() {
        return no(Reason::RestartPending, parts.rollout.pending.join(", "));
    }
    if rollout::is_outdated(observed, parts.current) {
        return no(Reason::RestartPending, "nodes are restarted one at a time");
    }
    yes(Reason::InSync)
}

fn storage(draft: &Draft<'_>, parts: &Parts) -> Verdict {
    match (
        draft.observed.cluster.spec.nsqd.storage.kind,
        &parts.claims.behind,
    ) {
        (StorageType::Ephemeral, _) => yes(Reason::Ephemeral),
        (StorageType::Persistent, None) => yes(Reason::InSync),
        (StorageType::Persistent, Some((reason, text))) => no(*reason, text.clone()),
    }
}

fn draining(parts: &Parts) -> Verdict {
    match parts.drain.reason {
        Some(reason) => (ConditionStatus::True, reason, parts.drain.message.clone()),
        None => no(Reason::NotDraining, ""),
    }
}
