//! Rolling restart: one node at a time from the top, each behind a gate. Source: operator spec 5.8.

use std::time::Duration;

use super::action::{Event, EventReason, NodeRequest};
use super::claims;
use super::draft::{Draft, missing_in, short};
use super::observed::{Life, Node, Observed, Revision, since};
use crate::api::{Reason, RolloutReason, RolloutStatus, Time, UpdateType};

/// What the rollout decided.
#[derive(Debug, Default)]
pub(super) struct Rollout {
    /// For the status; none if all nodes are up to date.
    pub(super) status: Option<RolloutStatus>,
    /// Nodes from here on run the wanted revision; equal to the count when parked.
    pub(super) partition: i32,
    /// The rollout as one line for people.
    pub(super) line: String,
    /// Why it cannot go on without a person.
    pub(super) stalled: Option<(Reason, String)>,
    /// Nodes that somebody else has to restart (OnDelete).
    pub(super) pending: Vec<String>,
}

/// What a rollout waits for that no person can hurry.
const OTHERS_ROLL: &str = "waiting for other clusters to finish theirs";

/// Whether any of the nodes below `current` has to be restarted.
pub(super) fn is_due(observed: &Observed, current: i32) -> bool {
    stale(observed, current).next().is_some()
}

/// Whether any of them runs another revision than the wanted one.
pub(super) fn is_outdated(observed: &Observed, current: i32) -> bool {
    stale(observed, current).any(|node| differs(node, &observed.wanted.nsqd))
}

fn stale(observed: &Observed, current: i32) -> impl Iterator<Item = &Node> {
    let below = observed.nodes.iter().filter(move |node| node.ordinal < current);
    below.filter(|node| is_stale(observed, node))
}

fn is_stale(observed: &Observed, node: &Node) -> bool {
    differs(node, &observed.wanted.nsqd) || claims::needs_restart(observed, node)
}

fn differs(node: &Node, wanted: &Revision) -> bool {
    node.outdated || node.revision != *wanted
}

/// Plans the next step. `free` is false while something else has to happen first: a drain, a registry's restart.
pub(super) fn plan(draft: &mut Draft<'_>, current: i32, free: bool) -> Rollout {
    let observed = draft.observed;
    let before = observed
        .cluster
        .status
        .as_ref()
        .and_then(|status| status.rollout.as_ref());
    let Some(candidate) = stale(observed, current).max_by_key(|node| node.ordinal) else {
        return match before {
            Some(before) if !observed.settled => settling(draft, before, current),
            _ => finished(draft, before, current),
        };
    };
    if observed.cluster.spec.nsqd.update.kind == UpdateType::OnDelete {
        return Rollout {
            partition: 0,
            pending: stale(observed, current).map(|node| node.name.clone()).collect(),
            ..Rollout::default()
        };
    }
    if !free {
        return Rollout {
            partition: current,
            ..Rollout::default()
        };
    }
    let reasons = reasons(observed, before, current);
    let mut partition = begin(draft, before, current, &reasons);
    let gate = gate(draft, current, partition, candidate);
    let replaced = gate.is_none() || partition <= candidate.ordinal;
    if gate.is_none() && differs(candidate, &observed.wanted.nsqd) {
        partition = candidate.ordinal;
    } else if gate.is_none() {
        draft.ask(candidate.ordinal, NodeRequest::Restart);
    }
    let mut rollout = Rollout {
        partition,
        ..Rollout::default()
    };
    let fresh = current - i32::try_from(stale(observed, current).count()).unwrap_or(current);
    let names: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
    let waits_for = gate.unwrap_or_else(|| format!("replacing {}", short(candidate.ordinal)));
    rollout.line = format!(
        "rolling nsqd {fresh}/{current} ({}): {waits_for}",
        names.join(", ")
    );
    if waits_for != OTHERS_ROLL {
        watch(draft, &waits_for, &waits_for, &mut rollout);
    }
    rollout.status = Some(RolloutStatus {
        reasons,
        started_at: before.map_or_else(|| Time::from(observed.now), |before| before.started_at.clone()),
        partition,
        pod: replaced.then(|| candidate.name.clone()),
        blocked_reason: Some(waits_for),
    });
    rollout
}

/// Watches registries that are replaced: one that does not come back keeps everything behind it waiting.
pub(super) fn watch_registries(draft: &mut Draft<'_>, rollout: &mut Rollout) {
    let observed = draft.observed;
    let wanted = &observed.wanted.lookupd;
    let mut replaced = observed
        .lookupds
        .iter()
        .filter(|lookupd| lookupd.revision == *wanted && !lookupd.life.is_ready());
    let waits_for = match replaced.next() {
        Some(lookupd) => format!("waiting for {} to be ready", lookupd.name),
        None => "waiting for nsqlookupds to know every node".to_owned(),
    };
    // Another revision is another attempt.
    let key = format!("{waits_for} {}", wanted.template);
    watch(draft, &key, &waits_for, rollout);
}

/// All nodes are replaced, and the last of them is not ready yet or was not counted yet.
fn settling(draft: &mut Draft<'_>, before: &RolloutStatus, current: i32) -> Rollout {
    let observed = draft.observed;
    let mut nodes = observed.nodes.iter().filter(|node| node.ordinal < current);
    let waits_for = nodes.find(|node| !node.life.is_ready()).map_or_else(
        || "waiting for the nodes to be counted".to_owned(),
        |node| format!("waiting for {} to be ready", short(node.ordinal)),
    );
    let names: Vec<&str> = before.reasons.iter().map(|reason| reason.as_str()).collect();
    let mut rollout = Rollout {
        partition: before.partition.min(current),
        line: format!(
            "rolling nsqd {current}/{current} ({}): {waits_for}",
            names.join(", ")
        ),
        ..Rollout::default()
    };
    watch(draft, &waits_for, &waits_for, &mut rollout);
    rollout.status = Some(RolloutStatus {
        pod: None,
        blocked_reason: Some(waits_for),
        ..before.clone()
    });
    rollout
}

fn finished(draft: &mut Draft<'_>, before: Option<&RolloutStatus>, current: i32) -> Rollout {
    draft.memory.rolling = None;
    draft.memory.unready_at_rollout = None;
    draft.memory.gate = None;
    if let Some(before) = before {
        let names: Vec<&str> = before.reasons.iter().map(|reason| reason.as_str()).collect();
        draft.event(Event {
            warning: false,
            reason: EventReason::RolloutFinished,
            note: format!("all nodes replaced ({})", names.join(", ")),
        });
    }
    Rollout {
        partition: current,
        ..Rollout::default()
    }
}

/// The partition of the rollout in progress, or the parked one when a rollout begins, or begins anew with another revision.
fn begin(
    draft: &mut Draft<'_>,
    before: Option<&RolloutStatus>,
    current: i32,
    reasons: &[RolloutReason],
) -> i32 {
    let observed = draft.observed;
    if draft.memory.rolling.as_ref() == Some(&observed.wanted.nsqd) {
        return before.map_or(current, |before| before.partition);
    }
    // a node that another rollout is just replacing must come up first, one that stays down may be repaired
    let was_broken =
        |node: &&Node| !node.life.is_ready() && (before.is_none() || matches!(node.life, Life::Waiting(_)));
    let nodes = observed.nodes.iter().filter(|node| node.ordinal < current);
    let unready = nodes.filter(was_broken).map(|node| node.ordinal).collect();
    draft.memory.unready_at_rollout = Some(unready);
    draft.memory.rolling = Some(observed.wanted.nsqd.clone());
    draft.memory.gate = None;
    if before.is_some() && observed.partition.is_some() {
        return observed.partition.unwrap_or(current).min(current);
    }
    let names: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
    draft.event(Event {
        warning: false,
        reason: EventReason::RolloutStarted,
        note: format!("replacing nodes one at a time ({})", names.join(", ")),
    });
    // Another process may have begun with this revision: a node on its way must not get the one before.
    observed.partition.unwrap_or(current).min(current)
}

/// What has to come true before the next node is replaced; none if it may be replaced now.
fn gate(draft: &Draft<'_>, current: i32, partition: i32, candidate: &Node) -> Option<String> {
    let observed = draft.observed;
    if !observed.may_roll && partition == current {
        return Some(OTHERS_ROLL.to_owned());
    }
    let spared = draft.memory.unready_at_rollout.as_deref().unwrap_or_default();
    let min_ready = observed.cluster.spec.nsqd.update.min_ready_seconds;
    let min_ready = Duration::from_secs(u64::try_from(min_ready).unwrap_or(0));
    if candidate.ordinal >= partition || candidate.life == Life::Stopping {
        return Some(format!("waiting for {} to restart", short(candidate.ordinal)));
    }
    let others = observed
        .nodes
        .iter()
        .filter(|node| node.ordinal < current && node.ordinal != candidate.ordinal);
    for node in others {
        let name = short(node.ordinal);
        if !is_stale(observed, node) {
            if let Some(unmet) = unmet(observed, node, min_ready) {
                return Some(unmet);
            }
        } else if node.life == Life::Stopping || !(node.life.is_ready() || spared.contains(&node.ordinal)) {
            return Some(format!("waiting for {name} to be ready"));
        }
    }
    None
}

/// What a replaced node still lacks.
fn unmet(observed: &Observed, node: &Node, min_ready: Duration) -> Option<String> {
    let name = short(node.ordinal);
    let Some(ready_since) = node.life.ready_since() else {
        return Some(format!("waiting for {name} to be ready"));
    };
    if let Err(error) = &node.facts {
        return Some(format!("waiting for {name} to answer ({error})"));
    }
    if let Some(lookupd) = missing_in(observed, &node.broadcast).first() {
        return Some(format!("waiting for {name} to register in {lookupd}"));
    }
    (since(observed.now, ready_since) < min_ready)
        .then(|| format!("waiting for {name} to stay ready for {}s", min_ready.as_secs()))
}

/// A gate that stays shut for long is reported; nothing else happens to any node.
fn watch(draft: &mut Draft<'_>, key: &str, waits_for: &str, rollout: &mut Rollout) {
    let now = draft.observed.now;
    let limit = draft.observed.cluster.spec.nsqd.update.gate_timeout.get();
    let before = draft.memory.gate.take();
    let same = before.filter(|(known, _)| known == key);
    let waiting_since = same.map_or(now, |(_, since)| since);
    draft.memory.gate = Some((key.to_owned(), waiting_since));
    if since(now, waiting_since) < limit {
        return;
    }
    let text = format!("{waits_for} for more than {}s", limit.as_secs());
    draft.event(Event {
        warning: true,
        reason: EventReason::RolloutStuck,
        note: text.clone(),
    });
    rollout.stalled = Some((Reason::RolloutStuck, text));
}

/// Why nodes are replaced, over all that are. Where that cannot be seen at the nodes any more, the reasons the rollout began
/// with stand; a rollout nobody here began has another cause.
fn reasons(observed: &Observed, before: Option<&RolloutStatus>, current: i32) -> Vec<RolloutReason> {
    let wanted = &observed.wanted.nsqd;
    let mut found = Vec::new();
    type Part = fn(&Revision) -> &str;
    let parts: [(RolloutReason, Part); 4] = [
        (RolloutReason::ImageChanged, |revision| &revision.image),
        (RolloutReason::ConfigChanged, |revision| &revision.config),
        (RolloutReason::PodSpecChanged, |revision| &revision.template),
        (RolloutReason::RestartRequested, |revision| &revision.restarted_at),
    ];
    for (reason, part) in parts {
        if stale(observed, current).any(|node| part(&node.revision) != part(wanted)) {
            found.push(reason);
        }
    }
    if stale(observed, current).any(|node| claims::needs_restart(observed, node)) {
        found.push(RolloutReason::ResizeNeedsRestart);
    }
    if found.is_empty() {
        return before.map_or_else(
            || vec![RolloutReason::ExternalChange],
            |before| before.reasons.clone(),
        );
    }
    found
}
