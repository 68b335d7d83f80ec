//! Declared topics and channels whose cluster does not exist. Source: operator spec 7.2.

use std::time::Duration;

use super::child::ClusterKey;
use super::store::Entry;
use super::world::Shared;
use crate::daemon::Daemons;
use crate::plan::{CLEANUP, Hold, without_cluster};

/// Writes what they wait for. None when there is nothing to look after.
pub(super) async fn tell<D: Daemons>(
    shared: &Shared<D>,
    key: &ClusterKey,
    entry: &Entry,
) -> Option<Duration> {
    let now = shared.now();
    let mut retry = None;
    let topics = entry
        .topics
        .values()
        .map(|topic| ("NsqTopic", &topic.metadata, &topic.status));
    let channels = entry
        .channels
        .values()
        .map(|channel| ("NsqChannel", &channel.metadata, &channel.status));
    for (kind, meta, before) in topics.chain(channels) {
        let held = meta.finalizers.iter().flatten().any(|name| name == CLEANUP);
        if held && meta.deletion_timestamp.is_some() {
            // There is nobody left to ask.
            let hold = Hold {
                is_channel: kind == "NsqChannel",
                name: meta.name.clone().unwrap_or_default(),
                held: false,
            };
            if let Err(problem) = shared.writer.hold(&key.namespace, &hold).await {
                retry = Some(problem.wait(1, 1.0));
            }
            continue;
        }
        let after = without_cluster(before.as_ref(), meta.generation, &key.name, now);
        if before.as_ref() == Some(&after) {
            continue;
        }
        let name = meta.name.as_deref().unwrap_or_default();
        let Ok(status) = serde_json::to_value(&after) else {
            continue;
        };
        if let Err(problem) = shared.writer.status(kind, &key.namespace, name, status).await {
            tracing::warn!(namespace = key.namespace, name, "status not written: {problem}");
            retry = Some(problem.wait(1, 1.0));
        }
    }
    retry
}
