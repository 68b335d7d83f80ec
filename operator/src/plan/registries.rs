//! nsqlookupd and nsqadmin: which should exist, which nodes register with, which may be restarted. Source: operator spec 5.8, 5.9.

use super::action::{AdminShape, LookupdShape};
use super::draft::Draft;
use super::observed::{Lookupd, Observed, after};

/// What was decided about the registries.
#[derive(Debug, Default)]
pub(super) struct Registries {
    /// Those that should exist.
    pub(super) shapes: Vec<LookupdShape>,
    /// Those that nodes register with, by index.
    pub(super) register_with: Vec<i32>,
    /// One of them still has to be restarted.
    pub(super) rolling: bool,
    /// One of them is on its way out.
    pub(super) removing: bool,
}

/// Plans the registries.
pub(super) fn plan(draft: &Draft<'_>) -> Registries {
    let observed = draft.observed;
    let wanted = 0..observed.cluster.spec.lookupd.replicas;
    let update = next_to_update(draft);
    let mut registries = Registries {
        rolling: observed
            .lookupds
            .iter()
            .any(|lookupd| is_stale(observed, lookupd)),
        ..Registries::default()
    };
    for index in wanted {
        registries.shapes.push(LookupdShape {
            index,
            update: update == Some(index),
            removing: false,
        });
        if is_listed(observed, index) {
            registries.register_with.push(index);
        }
    }
    let delay = observed.cluster.spec.lookupd.removal_delay.get();
    let extra = observed
        .lookupds
        .iter()
        .filter(|lookupd| lookupd.index >= observed.cluster.spec.lookupd.replicas);
    for lookupd in extra {
        // consumers may have it configured, so it answers for a while without any node knowing it
        let over = lookupd
            .removing_since
            .is_some_and(|since| observed.now >= after(since, delay));
        if !over {
            registries.removing = true;
            registries.shapes.push(LookupdShape {
                index: lookupd.index,
                update: false,
                removing: true,
            });
        }
    }
    registries
}

/// Whether registries are being replaced, until the last of them is whole again: nodes follow then. One that is down for
/// another reason holds up nobody.
pub(super) fn roll(draft: &mut Draft<'_>, registries: &mut Registries) -> bool {
    let observed = draft.observed;
    let whole = |lookupd: &Lookupd| lookupd.life.is_ready() && is_complete(draft, lookupd);
    let staying = |lookupd: &&Lookupd| lookupd.index < observed.cluster.spec.lookupd.replicas;
    let last_is_away =
        draft.memory.registries_rolling && !observed.lookupds.iter().filter(staying).all(whole);
    registries.rolling |= last_is_away;
    draft.memory.registries_rolling = registries.rolling;
    registries.rolling
}

fn is_stale(observed: &Observed, lookupd: &Lookupd) -> bool {
    lookupd.index < observed.cluster.spec.lookupd.replicas && lookupd.revision != observed.wanted.lookupd
}

/// A new registry is given to nodes once it is ready; one that nodes have already is never taken away for being unready.
fn is_listed(observed: &Observed, index: i32) -> bool {
    let mut answering = observed
        .nodes
        .iter()
        .filter_map(|node| node.facts.as_ref().ok())
        .peekable();
    if answering.peek().is_none() {
        return true;
    }
    let Some(lookupd) = observed.lookupds.iter().find(|lookupd| lookupd.index == index) else {
        return false;
    };
    lookupd.life.is_ready() || answering.any(|facts| facts.lookupds.contains(&lookupd.tcp_address))
}

/// Addresses nodes should register at.
pub(super) fn addresses(observed: &Observed, register_with: &[i32]) -> Vec<String> {
    let listed = observed
        .lookupds
        .iter()
        .filter(|lookupd| register_with.contains(&lookupd.index));
    listed.map(|lookupd| lookupd.tcp_address.clone()).collect()
}

/// The registry answers and knows every node that is ready and not leaving.
pub(super) fn is_complete(draft: &Draft<'_>, lookupd: &Lookupd) -> bool {
    let Ok(known) = &lookupd.registered else {
        return false;
    };
    let mut expected = draft.active().filter(|node| node.life.is_ready());
    expected.all(|node| known.contains(&node.broadcast))
}

/// One at a time, and only while all others are whole; one that is down may always be repaired.
fn next_to_update(draft: &Draft<'_>) -> Option<i32> {
    let observed = draft.observed;
    let mut stale = observed
        .lookupds
        .iter()
        .filter(|lookupd| is_stale(observed, lookupd));
    let candidate = stale.next()?;
    let wanted = |lookupd: &&Lookupd| {
        lookupd.index != candidate.index && lookupd.index < observed.cluster.spec.lookupd.replicas
    };
    let others_whole = observed
        .lookupds
        .iter()
        .filter(wanted)
        .all(|lookupd| lookupd.life.is_ready() && is_complete(draft, lookupd));
    (others_whole || !candidate.life.is_ready()).then_some(candidate.index)
}

/// Plans the consoles. They follow last: when `free`, that is when neither nodes nor registries are being replaced.
pub(super) fn admin(draft: &Draft<'_>, free: bool) -> Option<AdminShape> {
    let observed = draft.observed;
    let spec = &observed.cluster.spec.admin;
    if !spec.enabled || spec.replicas == 0 {
        return None;
    }
    let all: Vec<i32> = (0..observed.cluster.spec.lookupd.replicas).collect();
    let Some(admin) = &observed.admin else {
        return Some(AdminShape {
            replicas: spec.replicas,
            lookupds: all,
            update: true,
        });
    };
    let reads = |index: &i32| {
        admin.lookupds.contains(index)
            || observed.lookupds.iter().any(|lookupd| {
                lookupd.index == *index && lookupd.life.is_ready() && is_complete(draft, lookupd)
            })
    };
    let some: Vec<i32> = all.iter().copied().filter(reads).collect();
    Some(AdminShape {
        replicas: spec.replicas,
        lookupds: if some.is_empty() { all } else { some },
        update: free || !admin.life.is_ready(),
    })
}
