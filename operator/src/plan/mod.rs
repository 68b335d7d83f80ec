//! `plan(&Observed) -> Plan`: every decision about a cluster, as a function of what was seen. Source: operator spec 5.
//!
//! Nothing here reads a clock, the environment, a file or the network; time comes in as a value, wishes go out as values. The
//! same functions serve Kubernetes and local mode: a world brings `Observed` and carries out `Plan`.
//!
//! | part | decides |
//! |---|---|
//! | `drain` | which nodes may go, and what is asked of them before |
//! | `rollout` | which node may be restarted next |
//! | `registries` | which nsqlookupd exist, who registers where, when nsqadmin follows |
//! | `hot` | options applied without restart |
//! | `members`, `endings` | declared topics and channels, and how they go |
//! | `status` | conditions, phase, message |
//!
//! Invariants, each held by a property test: the count of nodes never falls without a [`Proof`] of emptiness; equal input gives
//! equal output; no two nodes are restarted at once.

mod action;
mod claims;
mod counts;
mod draft;
mod drain;
mod endings;
mod hot;
mod members;
mod observed;
mod registries;
mod rollout;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use action::{
    AdminShape, Basis, CLEANUP, Drained, Empty, Event, EventReason, Hold, LookupdShape, MemberEvent,
    NodeAction, NodeRequest, Plan, Proof, RegistryAction, RegistryRequest, Removal, Replicas, Shape,
};
pub use counts::{Counts, in_memory};
pub use drain::blocker_words;
pub use members::without_cluster;
pub use observed::{
    Address, Admin, Claim, Facts, Growth, Life, Lookupd, Memory, Node, Observed, Revision, Wanted,
};

use crate::api::{ConditionType, Mode, NsqClusterStatus, OnTimeout};
use claims::Claims;
use draft::Draft;
use drain::Drain;
use observed::since;
use registries::Registries;
use rollout::Rollout;

/// What a node says, through its world, that has no `/ready` and should have one.
pub const NO_READY: &str = "does not answer /ready";
/// Wait of a cluster in which nothing goes on.
const STEADY: Duration = Duration::from_secs(300);
/// Wait while nodes are made, emptied or replaced.
const WORKING: Duration = Duration::from_secs(5);
/// Wait while a registry is on its way out, or a claim grows.
const REMOVING: Duration = Duration::from_secs(30);
/// Wait after a hot option was refused.
const REFUSED: Duration = Duration::from_secs(15);
/// Wait while requests of this pass show only in the next.
const ASKED: Duration = Duration::from_secs(1);

/// Parts of a plan, for the status.
#[derive(Debug, Default)]
struct Parts {
    current: i32,
    drain: Drain,
    rollout: Rollout,
    registries: Registries,
    claims: Claims,
    hot: bool,
    members_busy: bool,
    members_waiting: bool,
}

/// Decides one pass.
#[must_use]
pub fn plan(observed: &Observed) -> Plan {
    let mut draft = Draft::new(observed);
    let spec = &observed.cluster.spec;
    let current = observed.told.unwrap_or(0);
    let stopped = spec.mode == Mode::Stopped;
    draft.target = if stopped {
        0
    } else {
        drain::target(observed, current)
    };
    let mut parts = Parts {
        current,
        registries: registries::plan(&draft),
        claims: claims::plan(&draft),
        ..Parts::default()
    };
    let shape = if stopped {
        stop(&mut draft, &parts)
    } else {
        run(&mut draft, &mut parts)
    };
    let members = members::plan(&mut draft);
    parts.members_busy = members.busy;
    parts.members_waiting = members.waiting;
    let lines = if spec.mode == Mode::Paused {
        changes(&draft, &shape, current)
    } else {
        Vec::new()
    };
    let status = status::plan(&mut draft, &parts, &shape, lines);
    let wake_after = wake_after(&draft, &parts, &shape, &status);
    let invalid = !observed.invalid.is_empty();
    let frozen = spec.mode == Mode::Paused || invalid;
    Plan {
        shape: (!frozen).then_some(shape),
        node_actions: if frozen { Vec::new() } else { draft.actions },
        registry_actions: if frozen {
            Vec::new()
        } else {
            draft.registry_actions
        },
        holds: if frozen { Vec::new() } else { draft.holds },
        status,
        topic_statuses: members.topics,
        channel_statuses: members.channels,
        events: if frozen {
            status::invalid_event(observed)
        } else {
            draft.events
        },
        member_events: if frozen { Vec::new() } else { draft.member_events },
        wake_after,
        memory: draft.memory,
    }
}

/// Mode Managed (and what it would do in mode Paused).
fn run(draft: &mut Draft<'_>, parts: &mut Parts) -> Shape {
    let observed = draft.observed;
    let current = parts.current;
    parts.drain = drain::plan(draft, current, draft.target);
    // a drain that was just given up keeps its nodes
    let given_up = parts
        .drain
        .status
        .as_ref()
        .is_some_and(|drain| drain.aborted_generation.is_some());
    let draining = parts.drain.status.is_some() && !given_up;
    if given_up {
        draft.target = current;
    }
    let registries_first = registries::roll(draft, &mut parts.registries);
    parts.rollout = rollout::plan(draft, current, !draining && !registries_first);
    if registries_first && !draining {
        rollout::watch_registries(draft, &mut parts.rollout);
    }
    let rolling = parts.rollout.status.is_some();
    let removals = std::mem::take(&mut parts.drain.removals);
    let replicas = if draft.target < current {
        Replicas::without(current, removals)
    } else if rolling {
        // nodes are added after the restart
        Replicas::at_least(current, current)
    } else {
        Replicas::at_least(current, draft.target)
    };
    let grown = replicas.count() > current;
    hold_back(&mut parts.drain, &replicas, observed);
    let addresses = registries::addresses(observed, &parts.registries.register_with);
    parts.hot = hot::plan(draft, current, &addresses);
    let free = !rolling && !parts.registries.rolling && !rollout::is_due(observed, current);
    Shape {
        partition: if grown {
            replicas.count()
        } else {
            parts.rollout.partition
        },
        replicas,
        lookupds: parts.registries.shapes.clone(),
        register_with: parts.registries.register_with.clone(),
        admin: registries::admin(draft, free),
    }
}

/// A node that may go but has others above it that may not waits sealed.
fn hold_back(drain: &mut Drain, replicas: &Replicas, observed: &Observed) {
    use crate::api::{DrainState, Time};
    let Some(status) = &mut drain.status else { return };
    for node in &mut status.nodes {
        let ordinal = observed
            .nodes
            .iter()
            .find(|known| known.name == node.pod)
            .map(|known| known.ordinal);
        let waits = ordinal.is_some_and(|ordinal| ordinal < replicas.count());
        if waits && node.state == DrainState::Removing {
            node.state = DrainState::Sealed;
            // old enough to go as soon as the others have gone
            node.since = Time::from(observed.now.checked_sub(drain::RECHECK).unwrap_or(observed.now));
        }
    }
}

/// Mode Stopped: publishers away, then everything down; data and counts are kept. Source: operator spec 5.12.
fn stop(draft: &mut Draft<'_>, parts: &Parts) -> Shape {
    let observed = draft.observed;
    let mut fenced = true;
    for node in observed.nodes.iter().filter(|node| node.life != Life::Stopping) {
        if !node.fenced {
            fenced = false;
            draft.ask(node.ordinal, NodeRequest::Fence(true));
        }
    }
    let kept = |ordinal| Removal::new(ordinal, Proof::new(Basis::KeptForLater), None);
    let replicas = if fenced {
        Replicas::without(parts.current, (0..parts.current).map(kept).collect())
    } else {
        Replicas::at_least(parts.current, 0)
    };
    // registries go last, so that consumers find the nodes until they are gone
    let lookupds = if observed.nodes.is_empty() && replicas.count() == 0 {
        Vec::new()
    } else {
        parts.registries.shapes.clone()
    };
    Shape {
        partition: replicas.count(),
        replicas,
        lookupds,
        register_with: parts.registries.register_with.clone(),
        admin: None,
    }
}

/// What a paused cluster would do, one line each.
fn changes(draft: &Draft<'_>, shape: &Shape, current: i32) -> Vec<String> {
    const MAX_LINES: usize = 20;
    let mut lines = Vec::new();
    let count = draft.target;
    if count != current {
        lines.push(format!("scale nsqd {current} -> {count}"));
    }
    if rollout::is_due(draft.observed, current) {
        lines.push("restart nsqd one node at a time".to_owned());
    }
    let registries = shape.lookupds.iter().filter(|lookupd| !lookupd.removing).count();
    let existing = draft
        .observed
        .lookupds
        .iter()
        .filter(|lookupd| lookupd.removing_since.is_none())
        .count();
    if registries != existing {
        lines.push(format!("scale nsqlookupd {existing} -> {registries}"));
    }
    let others = draft
        .actions
        .iter()
        .filter(|action| !drain::is_request_of_drain(action));
    lines.extend(others.map(|action| format!("{}: {:?}", draft::short(action.ordinal), action.request)));
    lines.truncate(MAX_LINES);
    lines
}

fn wake_after(draft: &Draft<'_>, parts: &Parts, shape: &Shape, status: &NsqClusterStatus) -> Duration {
    let observed = draft.observed;
    let expected = observed.nodes.len() == usize::try_from(shape.replicas.count()).unwrap_or(0)
        && observed.nodes.iter().all(|node| node.life.is_ready());
    let mut waits = vec![STEADY];
    // What registries know, and whether daemons answer, nobody tells: it has to be asked for.
    let unsettled = observed.cluster.spec.mode == Mode::Managed && !status.is_true(ConditionType::Ready);
    let working = parts.members_waiting
        || parts.drain.status.is_some()
        || parts.rollout.status.is_some()
        || parts.registries.rolling;
    let registries = usize::try_from(observed.cluster.spec.lookupd.replicas).unwrap_or(0);
    let behind = shape.register_with.len() < registries
        || shape
            .admin
            .as_ref()
            .is_some_and(|admin| admin.lookupds.len() < registries);
    if !expected || unsettled || working || behind {
        waits.push(WORKING);
    }
    waits.extend(claims::restart_due(observed).map(|left| left.max(ASKED)));
    if parts.claims.behind.is_some() {
        let restart = &observed.cluster.spec.nsqd.storage.resize_restart_after;
        let limit = if restart.is_zero() {
            REMOVING
        } else {
            restart.get()
        };
        waits.push(limit.clamp(WORKING, REMOVING));
    }
    if parts.registries.removing {
        let delay = observed.cluster.spec.lookupd.removal_delay.get();
        let begun = observed
            .lookupds
            .iter()
            .filter_map(|lookupd| lookupd.removing_since);
        let left = begun.map(|begun| delay.saturating_sub(since(observed.now, begun)));
        waits.push(left.min().unwrap_or(ASKED).clamp(ASKED, REMOVING));
    }
    if !observed.refused.is_empty() {
        waits.push(REFUSED);
    }
    if !draft.actions.is_empty() || !shape.replicas.removals().is_empty() || parts.members_busy {
        waits.push(ASKED);
    }
    if parts.drain.reason == Some(crate::api::Reason::Settling) {
        waits.push(
            observed
                .cluster
                .spec
                .nsqd
                .drain
                .settle
                .get()
                .clamp(ASKED, WORKING),
        );
    }
    let expires = observed.cluster.spec.nsqd.drain.on_timeout != OnTimeout::Block;
    if let (true, Some(deadline)) = (
        expires,
        parts
            .drain
            .status
            .as_ref()
            .and_then(|drain| drain.deadline.as_ref()),
    ) {
        let left = Duration::try_from(deadline.0.duration_since(observed.now)).unwrap_or_default();
        waits.push(left.max(ASKED));
    }
    waits.into_iter().min().unwrap_or(STEADY)
}
