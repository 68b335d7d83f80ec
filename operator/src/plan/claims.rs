//! Claims that grow: what is waited for, and what a person has to do. The wish itself is part of the objects. Source: operator
//! spec 5.10.

use std::time::Duration;

use super::draft::Draft;
use super::observed::{Claim, Growth, since};
use crate::api::{Quantity, Reason, StorageStatus};

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
    let bound = || {
        observed
            .claims
            .iter()
            .filter(|claim| claim.actual.bytes().is_some())
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
    let behind = match (failed, restart, pending.first()) {
        (Some((claim, growth)), _, _) => Some((
            Reason::ResizeFailed,
            format!(
                "{}; mode: Stopped lets a volume grow offline",
                text(claim, growth)
            ),
        )),
        (None, Some((claim, growth)), _) => Some((Reason::FileSystemResizePending, text(claim, growth))),
        (None, None, Some(claim)) => Some((
            Reason::Resizing,
            format!(
                "{} has {} of {}",
                claim.pod,
                claim.actual.as_str(),
                storage.size.as_str()
            ),
        )),
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

/// Pods that a status names.
const MAX_PENDING: usize = 64;
