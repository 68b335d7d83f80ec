//! What a draining node is told: `PUT /lifecycle`.

use k8s_openapi::jiff::Timestamp;
use nsq_http_api::lifecycle::{Evacuate as Wire, LifecycleRequest, Phase};

use crate::api::Evacuate;
use crate::plan::observed::{Facts, Node, Observed};

/// Peers nsqd accepts in one request.
const MAX_PEERS: usize = 1024;

/// Name of one drain: another scale-down gets another one.
pub(super) fn id(observed: &Observed, started_at: Timestamp) -> String {
    let name = observed.cluster.metadata.name.as_deref().unwrap_or_default();
    format!("{name}-{}", started_at.as_second())
}

/// The request that ends a drain.
pub(super) fn active() -> LifecycleRequest {
    LifecycleRequest {
        phase: Phase::Active,
        id: None,
        evacuate: None,
        after_ms: None,
        peers: None,
    }
}

/// The request that starts or changes a drain.
pub(super) fn draining(observed: &Observed, id: &str, target: i32) -> LifecycleRequest {
    let drain = &observed.cluster.spec.nsqd.drain;
    LifecycleRequest {
        phase: Phase::Draining,
        id: Some(id.to_owned()),
        evacuate: Some(match drain.evacuate {
            Evacuate::Never => Wire::Never,
            Evacuate::WhenStuck => Wire::Stuck,
            Evacuate::Always => Wire::Always,
        }),
        after_ms: Some(u64::try_from(drain.evacuate_after.get().as_millis()).unwrap_or(u64::MAX)),
        peers: Some(peers(observed, target)),
    }
}

/// Nodes that stay, are ready and take messages.
fn peers(observed: &Observed, target: i32) -> Vec<String> {
    let takes = |node: &&Node| {
        node.ordinal < target
            && node.life.is_ready()
            && node.facts.as_ref().is_ok_and(|facts| facts.offers("evacuate"))
    };
    let nodes = observed.nodes.iter().filter(takes);
    nodes.take(MAX_PEERS).map(|node| node.peer.clone()).collect()
}

/// The node says that it is draining.
pub(super) fn is_draining(facts: &Facts) -> bool {
    let lifecycle = facts.lifecycle.as_ref();
    lifecycle.is_some_and(|lifecycle| lifecycle.phase == Phase::Draining)
}

/// The node drains with these very parameters.
pub(super) fn agrees(facts: &Facts, wanted: &LifecycleRequest) -> bool {
    let Some(drain) = facts
        .lifecycle
        .as_ref()
        .and_then(|lifecycle| lifecycle.drain.as_ref())
    else {
        return false;
    };
    let same_id = wanted.id.as_deref() == Some(drain.id.as_str());
    // a node that cannot evacuate need not keep the parameters
    let same_evacuation = !facts.offers("evacuate")
        || (wanted.evacuate == Some(drain.evacuate)
            && wanted.after_ms == Some(drain.after_ms)
            && wanted.peers.as_ref() == Some(&drain.peers));
    is_draining(facts) && same_id && same_evacuation
}
