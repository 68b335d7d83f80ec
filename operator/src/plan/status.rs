//! What people and programs read: conditions, phase, one line of message. Source: operator spec 3.

mod conditions;
mod message;

use k8s_openapi::jiff::Timestamp;

use super::action::{Event, EventReason, Removal, Shape};
use super::draft::{Draft, short, truncate};
use super::observed::{Life, Node, Observed};
use super::{Parts, claims, registries};
use crate::api::{
    AdminStatus, Condition, ConditionStatus, ConditionType, LookupdStatus, Mode, NsqClusterStatus,
    NsqdStatus, Phase, Reason, Time, Violation,
};

/// How a node begins to say that something is wrong with it.
const UNHEALTHY: &str = "NOK";
/// Characters of the message.
const MAX_MESSAGE: usize = 512;

/// The new status of the cluster.
pub(super) fn plan(
    draft: &mut Draft<'_>,
    parts: &Parts,
    shape: &Shape,
    changes: Vec<String>,
) -> NsqClusterStatus {
    let observed = draft.observed;
    let before = observed.cluster.status.clone().unwrap_or_default();
    announce(draft, parts, shape);
    let image = observed
        .cluster
        .spec
        .image
        .clone()
        .or_else(|| before.image.clone())
        .unwrap_or_else(|| observed.default_image.clone());
    let flavor = observed.cluster.spec.flavor_for(&image);
    let facts = conditions::gather(draft, parts, shape);
    let conditions = conditions::all(draft, parts, &facts, &before);
    let phase = phase(draft, parts, &facts, &conditions);
    let mut message = if observed.cluster.spec.mode == Mode::Paused {
        match changes.len() {
            0 => "paused".to_owned(),
            1 => "paused: 1 change pending".to_owned(),
            many => format!("paused: {many} changes pending"),
        }
    } else {
        message::line(draft, parts, &facts, &conditions, phase)
    };
    truncate(&mut message, MAX_MESSAGE);
    if facts.all_ready {
        draft.memory.was_ready = true;
    }
    let grew = draft.memory.growing.is_some() || before.phase == Some(Phase::ScalingUp);
    if grew && facts.all_ready {
        draft.memory.growing = None;
        draft.tell(EventReason::ScaledUp, format!("{} nodes are ready", facts.ready));
    }
    let paused = observed.cluster.spec.mode == Mode::Paused || !observed.invalid.is_empty();
    NsqClusterStatus {
        observed_generation: observed.cluster.metadata.generation,
        phase: Some(phase),
        message,
        image: Some(image),
        flavor: Some(flavor),
        version: range(observed, |node| {
            Some(node.facts.as_ref().ok()?.info.version.clone())
        })
        .or(before.version),
        release: range(observed, |node| {
            let info = &node.facts.as_ref().ok()?.info;
            Some(info.release.clone().unwrap_or_else(|| info.version.clone()))
        })
        .or(before.release),
        extensions: extensions(observed),
        nsqd: Some(nsqd(draft, parts, shape, &facts)),
        rollout: if paused {
            before.rollout
        } else {
            parts.rollout.status.clone()
        },
        drain: if paused {
            before.drain
        } else {
            parts.drain.status.clone()
        },
        storage: Some(parts.claims.status.clone()),
        lookupd: Some(lookupd(observed, &facts)),
        admin: observed.admin.as_ref().map(|admin| AdminStatus {
            ready: admin.ready,
            url: admin.url.clone(),
        }),
        endpoints: Some(observed.endpoints.clone()),
        plan: changes,
        conditions,
    }
}

/// The only thing that is told about a cluster that nothing is done to.
pub(super) fn invalid_event(observed: &Observed) -> Vec<Event> {
    let before = observed.cluster.status.as_ref();
    let known = before.and_then(|status| status.condition(ConditionType::Stalled));
    let first = observed.invalid.first();
    let is_new = |first: &&Violation| known.is_none_or(|known| known.message != conditions::violation(first));
    first
        .filter(is_new)
        .map(|first| Event {
            warning: true,
            reason: EventReason::InvalidSpec,
            note: conditions::violation(first),
        })
        .into_iter()
        .collect()
}

/// Events that follow from counts alone.
fn announce(draft: &mut Draft<'_>, parts: &Parts, shape: &Shape) {
    let observed = draft.observed;
    let (from, to) = (parts.current, shape.replicas.count());
    if observed.told.is_some() && to > from {
        draft.memory.growing = Some(to);
    }
    // It was called off.
    draft.memory.growing = draft.memory.growing.filter(|to| *to <= draft.target);
    claims::announce(draft, &parts.claims);
    refusals(draft);
    let reused = observed
        .claims
        .iter()
        .filter(|claim| (from..to).contains(&claim.ordinal));
    for claim in reused {
        let note = format!("{} is attached again, with what is on it", claim.name);
        draft.tell(EventReason::VolumeReused, note);
    }
    let mut tell = |warning, reason, note: String| {
        draft.event(Event {
            warning,
            reason,
            note,
        });
    };
    if observed.told.is_none() {
        tell(
            false,
            EventReason::Created,
            format!("{to} nsqd, {} nsqlookupd", shape.lookupds.len()),
        );
    } else if to > from {
        tell(false, EventReason::ScalingUp, format!("nsqd {from} -> {to}"));
    }
    for removal in shape.replicas.removals() {
        if removal.basis() != super::Basis::KeptForLater {
            tell(false, EventReason::NodeRemoved, removed(observed, removal));
        }
    }
    for node in &observed.nodes {
        if let Life::Waiting(why) = &node.life
            && why.starts_with("CrashLoop")
        {
            tell(
                true,
                EventReason::NsqdCrashLooping,
                format!("{}: {why}", node.name),
            );
        }
        if let Life::NotReady(why) = &node.life
            && why.starts_with(UNHEALTHY)
        {
            tell(true, EventReason::NsqdUnhealthy, format!("{}: {why}", node.name));
        }
        if let Some((expected, seen)) = conditions::wrong_address(node) {
            let note = format!("{} announces {seen} instead of {expected}", node.name);
            tell(true, EventReason::WrongBroadcastAddress, note);
        }
    }
}

/// A node that goes, and what becomes of its claim.
fn removed(observed: &Observed, removal: &Removal) -> String {
    let node = observed.nodes.iter().find(|node| node.ordinal == removal.ordinal);
    let name = node.map_or_else(|| short(removal.ordinal), |node| node.name.clone());
    let mut claims = observed
        .claims
        .iter()
        .filter(|claim| claim.ordinal == removal.ordinal);
    match claims.next() {
        Some(claim) if removal.may_delete_data() => format!("{name} removed, claim {} goes too", claim.name),
        Some(claim) => format!("{name} removed, claim {} kept", claim.name),
        None => format!("{name} removed"),
    }
}

/// Nodes that did not take a hot option, when that is new.
fn refusals(draft: &mut Draft<'_>) {
    let observed = draft.observed;
    let before = observed.cluster.status.as_ref();
    let before = before.and_then(|status| status.condition(ConditionType::ConfigInSync));
    let known = before.is_some_and(|condition| condition.reason == Reason::HotApplyFailed);
    if !observed.refused.is_empty() && !known {
        draft.warn(EventReason::HotApplyFailed, observed.refused.join("; "));
    }
}

/// First match wins. Source: operator spec 3.4.
fn phase(draft: &Draft<'_>, parts: &Parts, facts: &conditions::Gathered, conditions: &[Condition]) -> Phase {
    let observed = draft.observed;
    let is_true = |kind| {
        conditions
            .iter()
            .any(|condition: &Condition| condition.kind == kind && condition.status == ConditionStatus::True)
    };
    let given_up = parts
        .drain
        .status
        .as_ref()
        .is_some_and(|drain| drain.aborted_generation.is_some());
    match observed.cluster.spec.mode {
        Mode::Paused => return Phase::Paused,
        Mode::Stopped if observed.nodes.is_empty() => return Phase::Stopped,
        Mode::Stopped => return Phase::Stopping,
        Mode::Managed => {}
    }
    if is_true(ConditionType::Stalled) {
        Phase::Stalled
    } else if parts.drain.status.is_some() && !given_up {
        Phase::Draining
    } else if parts.rollout.status.is_some() || parts.registries.rolling || facts.admin_stale {
        Phase::RollingOut
    } else if facts.wanted > facts.ready && draft.memory.was_ready && facts.added {
        Phase::ScalingUp
    } else if (is_true(ConditionType::Ready) || draft.memory.was_ready) && parts.claims.behind.is_some() {
        Phase::Resizing
    } else if is_true(ConditionType::Ready) {
        Phase::Running
    } else if draft.memory.was_ready {
        Phase::Degraded
    } else {
        Phase::Creating
    }
}

fn nsqd(draft: &Draft<'_>, parts: &Parts, shape: &Shape, facts: &conditions::Gathered) -> NsqdStatus {
    let observed = draft.observed;
    let name = observed.cluster.metadata.name.as_deref().unwrap_or_default();
    let wanted = observed.cluster.spec.nsqd.replicas;
    let count =
        |test: &dyn Fn(&&Node) -> bool| i32::try_from(draft.active().filter(test).count()).unwrap_or(0);
    NsqdStatus {
        replicas: i32::try_from(observed.nodes.len()).unwrap_or(0),
        desired: shape.replicas.count(),
        stopped_from: stopped_from(observed, parts.current),
        ready: facts.ready,
        updated: count(&|node| !node.outdated && node.revision == observed.wanted.nsqd),
        registered: facts.registered,
        ready_text: format!("{}/{wanted}", facts.ready),
        selector: format!(
            "app.kubernetes.io/component=nsqd,app.kubernetes.io/instance={name},app.kubernetes.io/name=nsq"
        ),
    }
}

/// Nodes that ran when the cluster was stopped, until they are all back.
fn stopped_from(observed: &Observed, current: i32) -> Option<i32> {
    let before = observed.cluster.status.as_ref()?.nsqd.as_ref()?.stopped_from;
    if observed.cluster.spec.mode == Mode::Stopped {
        return Some(before.unwrap_or(0).max(current));
    }
    before.filter(|from| current < *from || observed.nodes.len() < usize::try_from(*from).unwrap_or(0))
}

fn lookupd(observed: &Observed, facts: &conditions::Gathered) -> LookupdStatus {
    let replicas = observed.cluster.spec.lookupd.replicas;
    LookupdStatus {
        replicas,
        ready: facts.lookupds_ready,
        ready_text: format!("{}/{replicas}", facts.lookupds_ready),
        http_addresses: lookupd_addresses(observed),
    }
}

fn lookupd_addresses(observed: &Observed) -> Vec<String> {
    let staying = observed
        .lookupds
        .iter()
        .filter(|lookupd| lookupd.removing_since.is_none());
    staying.map(|lookupd| lookupd.http_address.clone()).collect()
}

/// `a`, or `a–b` when nodes differ; none when nobody answered.
fn range(observed: &Observed, part: impl Fn(&Node) -> Option<String>) -> Option<String> {
    let mut values: Vec<String> = observed.nodes.iter().filter_map(part).collect();
    values.sort();
    values.dedup();
    match values.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        [first, .., last] => Some(format!("{first}\u{2013}{last}")),
    }
}

/// What every node that answered offers.
fn extensions(observed: &Observed) -> Vec<String> {
    let mut answered = observed.nodes.iter().filter_map(|node| node.facts.as_ref().ok());
    let Some(first) = answered.next() else {
        return Vec::new();
    };
    let mut common = first.info.extensions.clone();
    for facts in answered {
        common.retain(|name| facts.offers(name));
    }
    common
}

/// A condition whose transition time is kept while its status is the same.
pub(super) fn condition(
    now: Timestamp,
    before: &[Condition],
    generation: Option<i64>,
    (kind, status, reason, message): (ConditionType, ConditionStatus, Reason, &str),
) -> Condition {
    const MAX: usize = 1024;
    let same = before
        .iter()
        .find(|condition| condition.kind == kind && condition.status == status);
    let mut message = message.to_owned();
    truncate(&mut message, MAX);
    Condition {
        kind,
        status,
        reason,
        message,
        observed_generation: generation,
        last_transition_time: same
            .map_or_else(|| Time::from(now), |known| known.last_transition_time.clone()),
    }
}

/// Registries that should answer and do not, or lack a node: for conditions and messages.
pub(super) fn incomplete(draft: &Draft<'_>) -> Vec<String> {
    let observed = draft.observed;
    let staying = observed
        .lookupds
        .iter()
        .filter(|lookupd| lookupd.removing_since.is_none());
    let mut found = Vec::new();
    for lookupd in staying.filter(|lookupd| !registries::is_complete(draft, lookupd)) {
        let missing = draft.active().filter(|node| node.life.is_ready()).filter(|node| {
            lookupd
                .registered
                .as_ref()
                .is_ok_and(|known| !known.contains(&node.broadcast))
        });
        let names: Vec<&str> = missing.map(|node| node.name.as_str()).collect();
        found.push(match names.as_slice() {
            [] => format!("{} does not answer", lookupd.name),
            names => format!("{} does not know {}", lookupd.name, names.join(", ")),
        });
    }
    found
}
