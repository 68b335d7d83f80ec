//! Writing what a pass found: statuses only where they differ, events once. Source: operator spec 3, 5.1.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::problem::Problem;
use super::world::KubeWorld;
use crate::api::{API_VERSION, MemberStatus, NsqClusterStatus};
use crate::daemon::Daemons;
use crate::plan::{Event, NodeRequest, Plan};

/// Statuses of declared topics and channels that are written at once.
const AT_ONCE: usize = 8;
/// Numbers of a drain are written at most this often.
const DRAIN_NUMBERS: Duration = Duration::from_secs(30);

/// A moment as the API keeps it.
pub(super) fn to_the_second(at: Timestamp) -> Timestamp {
    let rest = SignedDuration::from_nanos(i64::from(at.subsec_nanosecond()));
    at.checked_sub(rest).unwrap_or(at)
}

/// Name of a request in metrics.
pub(super) fn operation(request: &NodeRequest) -> &'static str {
    match request {
        NodeRequest::Fence(_) => "fence",
        NodeRequest::Restart => "restart",
        NodeRequest::Lifecycle(_) => "lifecycle",
        NodeRequest::Lookupds(_) | NodeRequest::LogLevel(_) => "config",
        NodeRequest::CreateTopic(_) | NodeRequest::PauseTopic(..) | NodeRequest::DeleteTopic(_) => "topic",
        NodeRequest::CreateChannel(..) | NodeRequest::PauseChannel(..) | NodeRequest::DeleteChannel(..) => {
            "channel"
        }
    }
}

/// Writes the statuses that changed and tells the events.
pub(super) async fn tell<D: Daemons>(world: &mut KubeWorld<'_, D>, plan: &Plan, events: &[Event]) {
    cluster(world, plan).await;
    members(world, plan).await;
    let uid = world.cluster.metadata.uid.clone().unwrap_or_default();
    let now = world.shared.now();
    let cluster = about("NsqCluster", &world.key.name, &uid);
    for event in events {
        world
            .shared
            .writer
            .event(&world.key.namespace, &cluster, event, now)
            .await;
    }
    for told in &plan.member_events {
        let (kind, meta) = if told.is_channel {
            let channel = world.entry.channels.get(&told.name);
            ("NsqChannel", channel.map(|channel| &channel.metadata))
        } else {
            let topic = world.entry.topics.get(&told.name);
            ("NsqTopic", topic.map(|topic| &topic.metadata))
        };
        let uid = meta.and_then(|meta| meta.uid.clone()).unwrap_or_default();
        let member = about(kind, &told.name, &uid);
        let writer = &world.shared.writer;
        writer
            .event(&world.key.namespace, &member, &told.event, now)
            .await;
    }
}

/// An object of ours that an event is about; its namespace is that of the event.
fn about(kind: &str, name: &str, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(API_VERSION.to_owned()),
        kind: Some(kind.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

async fn cluster<D: Daemons>(world: &mut KubeWorld<'_, D>, plan: &Plan) {
    let now = world.shared.clock.monotonic();
    let before = world.remembered.status(&world.entry);
    if let Some((_, at)) = world.remembered.status_trouble
        && at > now
    {
        world.retry_in(at.saturating_sub(now));
        return;
    }
    let quiet = world
        .remembered
        .status_at
        .is_some_and(|at| now.saturating_sub(at) < DRAIN_NUMBERS);
    if !is_news(before.as_ref(), &plan.status, quiet) {
        return;
    }
    let Some(value) = value(&plan.status) else { return };
    let (key, writer) = (world.key, &world.shared.writer);
    match writer
        .status("NsqCluster", &key.namespace, &key.name, value)
        .await
    {
        Ok(version) => world.remembered.wrote_status(version, plan.status.clone(), now),
        Err(problem) => {
            let attempts = world
                .remembered
                .status_trouble
                .map_or(1, |(attempts, _)| attempts + 1);
            tracing::warn!(
                namespace = key.namespace,
                name = key.name,
                attempts,
                "status not written: {problem}"
            );
            let wait = problem.wait(attempts, world.shared.random());
            world.remembered.status_trouble = Some((attempts, now + wait));
            world.retry_in(wait);
        }
    }
}

/// Whether a status is worth a write. `quiet` holds back what only counts.
fn is_news(before: Option<&NsqClusterStatus>, after: &NsqClusterStatus, quiet: bool) -> bool {
    let Some(before) = before else { return true };
    if quiet {
        without_numbers(before) != without_numbers(after)
    } else {
        rounded(before) != rounded(after)
    }
}

/// As it reads once it was written: moments to the second.
fn rounded(status: &NsqClusterStatus) -> Option<Value> {
    serde_json::to_value(status).ok()
}

/// Without what changes in every pass of a drain.
fn without_numbers(status: &NsqClusterStatus) -> Option<Value> {
    let mut value = rounded(status)?;
    if let Some(nodes) = value.pointer_mut("/drain/nodes").and_then(Value::as_array_mut) {
        for node in nodes.iter_mut().filter_map(Value::as_object_mut) {
            node.retain(|key, _| matches!(key.as_str(), "pod" | "state"));
        }
        if let Some(top) = value.as_object_mut() {
            top.remove("message");
        }
        for condition in value
            .pointer_mut("/conditions")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(condition) = condition.as_object_mut() {
                condition.remove("message");
            }
        }
    }
    Some(value)
}

/// Statuses of declared topics and channels, several at once: there may be thousands.
async fn members<D: Daemons>(world: &mut KubeWorld<'_, D>, plan: &Plan) {
    let this = &*world;
    let topics = plan.topic_statuses.iter().map(|(name, after)| {
        let topic = this.entry.topics.get(name);
        let before = topic.and_then(|topic| topic.status.as_ref());
        ("NsqTopic", name, before, after)
    });
    let channels = plan.channel_statuses.iter().map(|(name, after)| {
        let channel = this.entry.channels.get(name);
        let before = channel.and_then(|channel| channel.status.as_ref());
        ("NsqChannel", name, before, after)
    });
    let writes: Vec<_> = topics
        .chain(channels)
        .map(|(kind, name, before, after)| member(this, kind, name, before, after))
        .collect();
    let waits: Vec<Option<Duration>> = stream::iter(writes).buffer_unordered(AT_ONCE).collect().await;
    if let Some(wait) = waits.into_iter().flatten().max() {
        world.retry_in(wait);
    }
}

/// Writes one status where it differs; gives the wait after a failure.
async fn member<D: Daemons>(
    world: &KubeWorld<'_, D>,
    kind: &str,
    name: &str,
    before: Option<&MemberStatus>,
    after: &MemberStatus,
) -> Option<Duration> {
    if before.is_some_and(|before| serde_json::to_value(before).ok() == serde_json::to_value(after).ok()) {
        return None;
    }
    let value = value(after)?;
    let namespace = &world.key.namespace;
    match world.shared.writer.status(kind, namespace, name, value).await {
        // It was let go a moment ago.
        Ok(_) | Err(Problem::Missing) => None,
        Err(problem) => {
            tracing::warn!(namespace, name, "status not written: {problem}");
            Some(problem.wait(1, 1.0))
        }
    }
}

fn value<T: serde::Serialize>(status: &T) -> Option<Value> {
    serde_json::to_value(status).ok()
}
