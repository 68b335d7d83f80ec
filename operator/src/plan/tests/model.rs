//! A world in memory: it does what plans ask, keeps what it is told, and notices what must never happen.

use nsq_http_api::lifecycle::{Drain, Lifecycle, Phase};

use super::super::*;
use super::register;

/// Does at once what a plan asks for.
pub(super) fn apply(observed: &mut Observed, plan: &Plan) {
    let Some(shape) = &plan.shape else { return };
    shrink(observed, shape);
    let told = observed.told.unwrap_or(0);
    observed.told = Some(shape.replicas.count().max(told));
    for ordinal in told..observed.told.unwrap_or(0) {
        let mut new = super::node(ordinal);
        new.revision = observed.wanted.nsqd.clone();
        observed.nodes.retain(|node| node.ordinal != ordinal);
        observed.nodes.push(new);
    }
    observed.nodes.sort_by_key(|node| node.ordinal);
    for node in &mut observed.nodes {
        if node.ordinal >= shape.partition && node.revision != observed.wanted.nsqd {
            node.revision = observed.wanted.nsqd.clone();
            node.life = Life::Ready(observed.now);
        }
    }
    for action in &plan.node_actions {
        ask(observed, action);
    }
    registries(observed, shape);
    register(observed);
}

/// Registries and consoles as the shape wants them.
fn registries(observed: &mut Observed, shape: &Shape) {
    let wanted = observed.wanted.lookupd.clone();
    observed
        .lookupds
        .retain(|known| shape.lookupds.iter().any(|lookupd| lookupd.index == known.index));
    for lookupd in &shape.lookupds {
        let known = observed
            .lookupds
            .iter_mut()
            .find(|known| known.index == lookupd.index);
        match known {
            Some(known) => {
                if lookupd.update {
                    known.revision = wanted.clone();
                }
                let since = known.removing_since.unwrap_or(observed.now);
                known.removing_since = lookupd.removing.then_some(since);
            }
            None => {
                let mut new = super::lookupd(lookupd.index);
                new.revision = wanted.clone();
                observed.lookupds.push(new);
            }
        }
    }
    observed.lookupds.sort_by_key(|lookupd| lookupd.index);
    let before = observed.admin.take();
    observed.admin = shape.admin.as_ref().map(|admin| Admin {
        life: Life::Ready(observed.now),
        ready: admin.replicas,
        revision: match before {
            Some(before) if !admin.update => before.revision,
            _ => observed.wanted.admin.clone(),
        },
        lookupds: admin.lookupds.clone(),
        url: String::new(),
    });
}

/// Takes away the nodes that may go; the last reading before is the world's own.
fn shrink(observed: &mut Observed, shape: &Shape) {
    for removal in shape.replicas.removals() {
        let messages = observed
            .nodes
            .iter()
            .find(|node| node.ordinal == removal.ordinal)
            .and_then(left);
        if !removal.holds(messages) {
            break;
        }
        observed.told = Some(removal.ordinal);
        observed.nodes.retain(|node| node.ordinal != removal.ordinal);
    }
}

/// Messages on a node that answers.
pub(super) fn left(node: &Node) -> Option<u64> {
    let facts = node.facts.as_ref().ok()?;
    u64::try_from(Counts::of(&facts.stats).total()).ok()
}

fn ask(observed: &mut Observed, action: &NodeAction) {
    let Some(node) = observed
        .nodes
        .iter_mut()
        .find(|node| node.ordinal == action.ordinal)
    else {
        return;
    };
    if let NodeRequest::Fence(fenced) = action.request {
        node.fenced = fenced;
        return;
    }
    let Ok(facts) = &mut node.facts else { return };
    match &action.request {
        NodeRequest::Lifecycle(wanted) if wanted.phase == Phase::Draining => {
            let empty = Counts::of(&facts.stats).total() == 0;
            facts.lifecycle = Some(Lifecycle {
                phase: Phase::Draining,
                drain: Some(Drain {
                    id: wanted.id.clone().unwrap_or_default(),
                    evacuate: wanted.evacuate.unwrap_or_default(),
                    after_ms: wanted.after_ms.unwrap_or(0),
                    peers: wanted.peers.clone().unwrap_or_default(),
                    empty,
                    ..Drain::default()
                }),
                ..Lifecycle::default()
            });
        }
        NodeRequest::Lifecycle(_) => facts.lifecycle = Some(Lifecycle::default()),
        NodeRequest::Lookupds(list) => facts.lookupds.clone_from(list),
        NodeRequest::LogLevel(level) => facts.log_level = *level as u8 + 1,
        _ => {}
    }
}

/// Lets time pass; nodes that drain and are empty count it.
pub(super) fn tick(observed: &mut Observed, seconds: i64) {
    observed.now = observed
        .now
        .checked_add(std::time::Duration::from_secs(seconds.unsigned_abs()))
        .unwrap();
    for node in &mut observed.nodes {
        let Ok(facts) = &mut node.facts else { continue };
        let empty = Counts::of(&facts.stats).total() == 0;
        if let Some(drain) = facts
            .lifecycle
            .as_mut()
            .and_then(|lifecycle| lifecycle.drain.as_mut())
        {
            drain.empty = empty;
            drain.empty_ms = if empty {
                drain.empty_ms + 1000 * seconds.unsigned_abs()
            } else {
                0
            };
        }
    }
}
