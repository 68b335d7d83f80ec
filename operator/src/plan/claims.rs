//! Claims that grow: what is waited for, and what a person has to do. The wish itself is part of the objects. Source: operator
//! spec 5.10.

use std::time::Duration;

use super::action::EventReason;
use super::draft::{Draft, short};
use super::observed::{Claim, Growth, Node, Observed, after, since};
use crate::api::{ConditionType, Quantity, Reason, StorageStatus};

/// A volume that grows may take this long at least before it counts as stuck.
const LEAST: Duration = Duration::from_secs(1800);

/// What there is to say about the claims of nodes.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) status: StorageStatus,
    /// Why they are not as asked for.
    pub(super) behind: Option<(Reason, String)>,
}

/// Looks at the claims that are bound; one that waits for its pod has no size to lack.
pub(super) fn plan(draft: &Draft<'_>) -> Claims {
    let observed = draft.observed;
    let storage = &observed.cluster.spec.nsqd.storage;
    let bytes = |size: &Quantity| size.bytes().unwrap_or(0);
    let wanted = bytes(&storage.size);
    let told = observed.told.unwrap_or(0);
    let bound = || {
        let in_use = observed.claims.iter().filter(move |claim| claim.ordinal < told);
        in_use.filter(|claim| claim.actual.bytes().is_some())
    };
    let pending: Vec<&Claim> = bound().filter(|claim| bytes(&claim.actual) < wanted).collect();
    let smallest = bound().min_by_key(|claim| bytes(&claim.actual));
    let limit = LEAST.max(storage.resize_restart_after.get().saturating_mul(3));
    let growing = pending
        .iter()
        .filter_map(|claim| Some((claim, claim.growth.as_ref()?)));
    let failed = growing.clone().find(|(_, growth)| {
        let age = growth
            .since
            .map_or(Duration::ZERO, |begun| since(observed.now, begun));
        !growth.needs_restart && age >= limit
    });
    let restart = growing.clone().find(|(_, growth)| growth.needs_restart);
    let text = |claim: &Claim, growth: &Growth| format!("{}: {}", claim.pod, growth.message);
    let refused = observed
        .stuck
        .clone()
        .filter(|(reason, _)| *reason == Reason::ResizeUnsupported);
    let behind = match (failed, restart, pending.first()) {
        _ if refused.is_some() => refused,
        (Some((claim, growth)), _, _) => Some((
            Reason::ResizeFailed,
            format!(
                "{}; mode: Stopped lets a volume grow offline",
                text(claim, growth)
            ),
        )),
        (None, Some((claim, growth)), _) => Some((Reason::FileSystemResizePending, text(claim, growth))),
        (None, None, Some(first)) => {
            let names = pending.iter().take(MAX_NAMES);
            let names: Vec<String> = names.map(|claim| short(claim.ordinal)).collect();
            let from = smallest.map_or(first.actual.as_str(), |claim| claim.actual.as_str());
            let text = format!(
                "growing volumes {from} -> {}: {} pending",
                storage.size.as_str(),
                names.join(", ")
            );
            Some((Reason::Resizing, text))
        }
        (None, None, None) => None,
    };
    Claims {
        status: StorageStatus {
            requested: storage.size.0.clone(),
            smallest: smallest.map(|claim| claim.actual.0.clone()),
            pending: pending
                .iter()
                .take(MAX_PENDING)
                .map(|claim| claim.pod.clone())
                .collect(),
        },
        behind,
    }
}

/// Whether the volume of a node has grown and its file system waits for the pod to be made anew, for longer than the spec lets
/// it. A pod that was made since has mounted the volume with its new size.
pub(super) fn needs_restart(observed: &Observed, node: &Node) -> bool {
    let limit = &observed.cluster.spec.nsqd.storage.resize_restart_after;
    if limit.is_zero() {
        return false;
    }
    let mut claims = observed
        .claims
        .iter()
        .filter(|claim| claim.ordinal == node.ordinal);
    claims.any(|claim| {
        let growth = claim.growth.as_ref().filter(|growth| growth.needs_restart);
        let grown = growth.and_then(|growth| growth.since);
        grown.is_some_and(|grown| {
            observed.now >= after(grown, limit.get()) && node.made.is_some_and(|made| made < grown)
        })
    })
}

/// When the first pod has to be made anew for its volume; none if none has, or if it is due already.
pub(super) fn restart_due(observed: &Observed) -> Option<Duration> {
    let limit = &observed.cluster.spec.nsqd.storage.resize_restart_after;
    let growing = observed.claims.iter().filter_map(|claim| claim.growth.as_ref());
    let waiting = growing.filter(|growth| growth.needs_restart && !limit.is_zero());
    let left = waiting.filter_map(|growth| limit.get().checked_sub(since(observed.now, growth.since?)));
    left.min()
}

/// Tells what became different since the last status.
pub(super) fn announce(draft: &mut Draft<'_>, claims: &Claims) {
    let observed = draft.observed;
    let before = observed.cluster.status.as_ref();
    let before = before.and_then(|status| status.condition(ConditionType::StorageInSync));
    let Some(before) = before.map(|condition| condition.reason) else {
        return;
    };
    let size = observed.cluster.spec.nsqd.storage.size.as_str();
    let now = claims.behind.as_ref().map(|(reason, _)| *reason);
    match (&claims.behind, before) {
        (Some((Reason::ResizeUnsupported, text)), _) if now != Some(before) => {
            draft.warn(EventReason::ResizeUnsupported, text.clone());
        }
        (Some((Reason::ResizeFailed, text)), _) if now != Some(before) => {
            draft.warn(EventReason::ResizeFailed, text.clone());
        }
        (Some(_), Reason::InSync) => {
            let names = claims.status.pending.join(", ");
            draft.tell(
                EventReason::VolumeResizing,
                format!("volumes of {names} grow to {size}"),
            );
        }
        (
            None,
            Reason::Resizing
            | Reason::FileSystemResizePending
            | Reason::ResizeFailed
            | Reason::ResizeUnsupported,
        ) => {
            draft.tell(EventReason::VolumeResized, format!("all volumes have {size}"));
        }
        _ => {}
    }
}

/// Nodes that a message names.
const MAX_NAMES: usize = 5;
/// Pods that a status names.
const MAX_PENDING: usize = 64;
