//! Scale-down: nodes above the wanted count are fenced, emptied, sealed and only then removed. The state of each is derived from
//! facts in every pass, so a lost memory costs time and nothing else. Source: operator spec 5.7.

mod blockers;
mod request;
mod step;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::action::{Event, EventReason, NodeAction, NodeRequest, Removal};
use super::counts::messages;
use super::draft::{Draft, short};
use super::observed::{Node, Observed, after};
use crate::api::{DrainNode, DrainState, DrainStatus, OnTimeout, Reason, Time};

pub use blockers::words as blocker_words;
pub(super) use blockers::{needs_person, severity};

/// Nodes listed in the status.
const MAX_NODES: usize = 64;
/// A node is empty when two readings this far apart say so, with nothing announced anywhere in between.
pub(super) const RECHECK: Duration = Duration::from_secs(10);
/// The progress of a drain is told once in this time.
const PROGRESS: Duration = Duration::from_secs(300);
/// A blocker that needs a person is reported as Stalled after this long.
const BLOCKED_AFTER: Duration = Duration::from_secs(600);

/// What the drain decided.
#[derive(Debug, Default)]
pub(super) struct Drain {
    /// For the status; none if nothing is drained.
    pub(super) status: Option<DrainStatus>,
    /// Nodes that may go.
    pub(super) removals: Vec<Removal>,
    /// The most severe reason over all doomed nodes; none if nothing is drained.
    pub(super) reason: Option<Reason>,
    /// What the reason is about, for the Draining condition.
    pub(super) message: String,
    /// The drain as one line for people.
    pub(super) line: String,
    /// Why it cannot go on without a person.
    pub(super) stalled: Option<(Reason, String)>,
}

/// Count the cluster is going to: the spec's, or the present one after a given up drain of the same generation.
pub(super) fn target(observed: &Observed, current: i32) -> i32 {
    let spec = observed.cluster.spec.nsqd.replicas;
    let status = observed.cluster.status.as_ref();
    let aborted = status
        .and_then(|status| status.drain.as_ref())
        .and_then(|drain| drain.aborted_generation);
    let stopped_from = status
        .and_then(|status| status.nsqd.as_ref())
        .and_then(|nsqd| nsqd.stopped_from);
    if aborted.is_some() && aborted == observed.cluster.metadata.generation && spec < current {
        return current;
    }
    // nodes that ran before a stop come back first, so that their messages are drained as any others
    stopped_from.map_or(spec, |from| spec.max(from))
}

/// Plans the drain of all nodes from `target` on. `current` is the count the world was told.
pub(super) fn plan(draft: &mut Draft<'_>, current: i32, target: i32) -> Drain {
    let observed = draft.observed;
    let leaving = observed.nodes.iter().any(|node| node.ordinal >= current);
    cancel(draft, target);
    if current <= target && !leaving {
        draft.memory.drain_told = None;
        return aborted(observed, current);
    }
    let before = previous(observed);
    let started_at = before.map_or(observed.now, |drain| drain.started_at.0);
    let from = before.map_or(current, |drain| drain.from.max(current));
    let timeout = &observed.cluster.spec.nsqd.drain.timeout;
    let deadline = (!timeout.is_zero()).then(|| after(started_at, timeout.get()));
    let expired = deadline.is_some_and(|deadline| observed.now >= deadline);
    let on_timeout = observed.cluster.spec.nsqd.drain.on_timeout;
    if expired && on_timeout == OnTimeout::Abort && current > target {
        return abort(draft, target, from, started_at);
    }
    let pass = Pass {
        id: request::id(observed, started_at),
        force: expired && on_timeout == OnTimeout::Force,
        before,
        observed,
    };
    let mut steps: Vec<step::Step> = (target..current)
        .map(|ordinal| pass.step(draft, ordinal))
        .collect();
    steps.extend(pass.leaving(current));
    let listed = steps.len().min(MAX_NODES);
    for step in &mut steps {
        step.status.blockers.truncate(step::blockers_of_each(listed));
    }
    let status = DrainStatus {
        from,
        to: target,
        started_at: Time::from(started_at),
        deadline: deadline.map(Time::from),
        aborted_generation: None,
        nodes: steps
            .iter()
            .map(|step| step.status.clone())
            .take(MAX_NODES)
            .collect(),
    };
    started(draft, before, &status);
    progress(draft, &status);
    let mut drain = summary(draft, target, &steps);
    drain.status = Some(status);
    drain.removals = steps.into_iter().filter_map(|step| step.removal).collect();
    if expired && on_timeout == OnTimeout::Block {
        timed_out(draft, &mut drain);
    }
    drain
}

/// What one pass of a drain works with.
struct Pass<'a> {
    observed: &'a Observed,
    before: Option<&'a DrainStatus>,
    id: String,
    force: bool,
}

fn previous(observed: &Observed) -> Option<&DrainStatus> {
    let drain = observed.cluster.status.as_ref()?.drain.as_ref()?;
    drain.aborted_generation.is_none().then_some(drain)
}

/// Gives active nodes back to publishers and registries when they bear marks of a drain.
fn cancel(draft: &mut Draft<'_>, target: i32) {
    let observed = draft.observed;
    let mut given_back = Vec::new();
    for node in observed.nodes.iter().filter(|node| node.ordinal < target) {
        if restore(draft, node) {
            given_back.push(node.name.clone());
        }
    }
    if !given_back.is_empty() && previous(observed).is_some() {
        let note = format!("{} active again", given_back.join(", "));
        draft.event(Event {
            warning: false,
            reason: EventReason::DrainCancelled,
            note,
        });
    }
}

/// True if the node bore a mark. The list of registries is restored by the hot configuration.
fn restore(draft: &mut Draft<'_>, node: &Node) -> bool {
    let draining = node.facts.as_ref().is_ok_and(request::is_draining);
    if draining {
        draft.ask(node.ordinal, NodeRequest::Lifecycle(request::active()));
    }
    if node.fenced {
        draft.ask(node.ordinal, NodeRequest::Fence(false));
    }
    draining || node.fenced
}

/// Nothing to drain; a drain that was given up stays visible until the spec changes.
fn aborted(observed: &Observed, current: i32) -> Drain {
    let status = observed.cluster.status.as_ref();
    let kept = status.and_then(|status| status.drain.clone()).filter(|drain| {
        drain.aborted_generation.is_some()
            && drain.aborted_generation == observed.cluster.metadata.generation
            && observed.cluster.spec.nsqd.replicas < current
    });
    Drain {
        stalled: kept.as_ref().map(|drain| {
            let text = format!(
                "scale-down {} -> {} was given up at its deadline; change the spec to try again",
                drain.from, drain.to
            );
            (Reason::DrainAborted, text)
        }),
        status: kept,
        ..Drain::default()
    }
}

fn abort(draft: &mut Draft<'_>, target: i32, from: i32, started_at: Timestamp) -> Drain {
    let observed = draft.observed;
    for node in &observed.nodes {
        restore(draft, node);
    }
    let text =
        format!("scale-down {from} -> {target} was given up at its deadline; change the spec to try again");
    draft.event(Event {
        warning: true,
        reason: EventReason::DrainAborted,
        note: text.clone(),
    });
    Drain {
        status: Some(DrainStatus {
            from,
            to: target,
            started_at: Time::from(started_at),
            deadline: None,
            aborted_generation: observed.cluster.metadata.generation,
            nodes: Vec::new(),
        }),
        stalled: Some((Reason::DrainAborted, text)),
        ..Drain::default()
    }
}

/// The worst reason over all nodes, and the sentences about it.
fn summary(draft: &mut Draft<'_>, target: i32, steps: &[step::Step]) -> Drain {
    let observed = draft.observed;
    let mut drain = Drain::default();
    let worst = steps
        .iter()
        .max_by_key(|step| (severity(step.reason), -step.status_ordinal));
    let Some(worst) = worst else { return drain };
    let from = previous(observed).map_or_else(|| observed.told.unwrap_or(0), |drain| drain.from);
    drain.reason = Some(worst.reason);
    drain.message = format!("{}: {}", worst.status.pod, worst.text);
    drain.line = format!(
        "draining {from} -> {target}: {} {}",
        short(worst.status_ordinal),
        worst.line
    );
    if target == 0 && needs_person(worst.reason) {
        drain
            .line
            .push_str("; to stop the nodes and keep their data set mode: Stopped");
    }
    remember_blocked(draft, worst, &mut drain);
    drain
}

/// A blocker that needs a person becomes Stalled when it stays the same for long.
fn remember_blocked(draft: &mut Draft<'_>, worst: &step::Step, drain: &mut Drain) {
    let now = draft.observed.now;
    if !needs_person(worst.reason) || worst.evacuating {
        draft.memory.blocked = None;
        return;
    }
    let key = worst.blocked_by();
    let before = draft.memory.blocked.take();
    let same = before.as_ref().filter(|(known, _)| *known == key);
    let since = same.map_or(now, |(_, since)| *since);
    if same.is_none() {
        draft.event(Event {
            warning: true,
            reason: EventReason::DrainBlocked,
            note: drain.message.clone(),
        });
    }
    if super::observed::since(now, since) >= BLOCKED_AFTER {
        drain.stalled = Some((Reason::DrainBlocked, drain.message.clone()));
    }
    draft.memory.blocked = Some((key, since));
}

/// Says once what begins.
fn started(draft: &mut Draft<'_>, before: Option<&DrainStatus>, status: &DrainStatus) {
    if before.is_some_and(|before| before.to == status.to) {
        return;
    }
    let left = messages(status.nodes.iter().map(messages_of).sum());
    let names: Vec<&str> = status.nodes.iter().map(|node| node.pod.as_str()).collect();
    let nodes = if names.len() == 1 { "node" } else { "nodes" };
    draft.event(Event {
        warning: false,
        reason: EventReason::DrainStarted,
        note: format!("draining {} {nodes}, {left} on {}", names.len(), names.join(", ")),
    });
}

/// Says from time to time how far it is.
fn progress(draft: &mut Draft<'_>, status: &DrainStatus) {
    let now = draft.observed.now;
    let told = *draft.memory.drain_told.get_or_insert(now);
    if super::observed::since(now, told) < PROGRESS {
        return;
    }
    draft.memory.drain_told = Some(now);
    let left = messages(status.nodes.iter().map(messages_of).sum());
    let (from, to) = (status.from, status.to);
    draft.tell(
        EventReason::DrainProgress,
        format!("draining {from} -> {to}, {left} left"),
    );
}

fn timed_out(draft: &mut Draft<'_>, drain: &mut Drain) {
    let timeout = draft.observed.cluster.spec.nsqd.drain.timeout.clone();
    let nodes = drain.status.iter().flat_map(|status| &status.nodes);
    let Some(node) = nodes.max_by_key(|node| messages_of(node)) else {
        return;
    };
    let text = format!(
        "{} still has {} after {timeout}",
        node.pod,
        messages(messages_of(node))
    );
    draft.event(Event {
        warning: true,
        reason: EventReason::DrainTimedOut,
        note: text.clone(),
    });
    drain.stalled = Some((Reason::DrainTimedOut, text));
}

fn messages_of(node: &DrainNode) -> i64 {
    node.depth + node.in_flight + node.deferred
}

impl Pass<'_> {
    /// Nodes the world was told to remove and that are still there.
    fn leaving(&self, current: i32) -> Vec<step::Step> {
        let nodes = self.observed.nodes.iter().filter(|node| node.ordinal >= current);
        nodes.map(|node| self.gone(node)).collect()
    }

    fn known(&self, name: &str) -> Option<&DrainNode> {
        self.before?.nodes.iter().find(|node| node.pod == name)
    }

    /// The state and the moment it began; a state that is kept keeps its moment.
    fn entry(&self, name: &str, state: DrainState) -> DrainNode {
        let known = self.known(name);
        let since = known
            .filter(|known| known.state == state)
            .map_or_else(|| Time::from(self.observed.now), |known| known.since.clone());
        DrainNode {
            pod: name.to_owned(),
            state,
            since,
            empty_since: None,
            depth: 0,
            in_flight: 0,
            deferred: 0,
            publishers: 0,
            evacuated: 0,
            blockers: Vec::new(),
        }
    }
}

/// Requests of one node, for tests and for the list of a paused cluster.
#[must_use]
pub(super) fn is_request_of_drain(action: &NodeAction) -> bool {
    matches!(
        action.request,
        NodeRequest::Fence(true) | NodeRequest::Lifecycle(_)
    )
}
