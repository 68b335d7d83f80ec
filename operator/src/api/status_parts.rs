//! Parts of the status of an NsqCluster.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::defaults::is_empty;
use super::reason::named;

/// A moment, in UTC, written to the second.
pub type Time = meta::Time;

/// Schema of a moment.
pub(crate) fn time_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// The nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NsqdStatus {
    /// Pods that exist; the scale subresource reads this.
    pub replicas: i32,
    /// Count the StatefulSet is told now; above the spec while draining.
    pub desired: i32,
    /// Nodes that ran when the cluster was stopped; only in mode Stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_from: Option<i32>,
    /// Active nodes whose pod is ready.
    pub ready: i32,
    /// Active nodes on the update revision.
    pub updated: i32,
    /// Active nodes every nsqlookupd knows under the expected address.
    pub registered: i32,
    /// `<ready>/<replicas of the spec>`.
    pub ready_text: String,
    /// Label selector of the pods.
    pub selector: String,
}

/// The rollout in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Why nodes are replaced.
    #[serde(default)]
    pub reasons: Vec<RolloutReason>,
    /// When it began.
    #[schemars(schema_with = "time_schema")]
    pub started_at: Time,
    /// Ordinals from here on may be replaced.
    pub partition: i32,
    /// Pod being replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// What the next step waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
}

named! {
    /// Why nodes are replaced.
    RolloutReason {
        /// Another image.
        ImageChanged,
        /// Options that need a restart.
        ConfigChanged,
        /// Another pod template.
        PodSpecChanged,
        /// `restartedAt` changed.
        RestartRequested,
        /// A file system grows only at a restart.
        ResizeNeedsRestart,
        /// Somebody else changed the template.
        ExternalChange,
    }
}

/// The scale-down in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainStatus {
    /// Nodes before.
    pub from: i32,
    /// Nodes wanted.
    pub to: i32,
    /// When it began.
    #[schemars(schema_with = "time_schema")]
    pub started_at: Time,
    /// When `onTimeout` applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time_schema")]
    pub deadline: Option<Time>,
    /// Generation whose scale-down was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted_generation: Option<i64>,
    /// The doomed nodes.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub nodes: Vec<DrainNode>,
}

/// A node that is being emptied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainNode {
    /// Name of its pod.
    pub pod: String,
    /// How far it is.
    pub state: DrainState,
    /// Since when.
    #[schemars(schema_with = "time_schema")]
    pub since: Time,
    /// Since when it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time_schema")]
    pub empty_since: Option<Time>,
    /// Messages in its queues.
    #[serde(default)]
    pub depth: i64,
    /// Messages in flight.
    #[serde(default)]
    pub in_flight: i64,
    /// Messages due later.
    #[serde(default)]
    pub deferred: i64,
    /// Connections that published.
    #[serde(default)]
    pub publishers: i64,
    /// Messages moved to other nodes.
    #[serde(default)]
    pub evacuated: i64,
    /// What keeps it, largest first.
    #[serde(default, skip_serializing_if = "is_empty")]
    #[schemars(length(max = 5))]
    pub blockers: Vec<Blocker>,
}

named! {
    /// How far a doomed node is.
    DrainState {
        /// Publishers are kept away.
        Fenced,
        /// Consumers or evacuation empty it.
        Draining,
        /// It left the registries.
        Sealed,
        /// It is being removed.
        Removing,
    }
}

/// What keeps a node from being empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// Topic; empty when the node as a whole is meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// Channel; empty when the topic as a whole is meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// What is the matter.
    pub reason: BlockerReason,
    /// Messages concerned.
    #[serde(default)]
    pub messages: i64,
}

named! {
    /// What keeps a node from being empty.
    BlockerReason {
        /// A channel with messages and no consumers.
        NoConsumers,
        /// A channel or topic that is paused with messages.
        ChannelPaused,
        /// A topic with messages and no channel.
        TopicWithoutChannel,
        /// Messages due later.
        Deferred,
        /// Messages in flight.
        InFlight,
        /// Somebody still publishes.
        PublishersActive,
        /// The node does not answer.
        Unreachable,
    }
}

/// The claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageStatus {
    /// Size asked for.
    pub requested: String,
    /// Smallest actual size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smallest: Option<String>,
    /// Pods whose claim is not there yet.
    #[serde(skip_serializing_if = "is_empty")]
    pub pending: Vec<String>,
}

/// The registries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LookupdStatus {
    /// Number wanted.
    pub replicas: i32,
    /// Number ready.
    pub ready: i32,
    /// `<ready>/<replicas>`.
    pub ready_text: String,
    /// HTTP address of each.
    #[serde(skip_serializing_if = "is_empty")]
    pub http_addresses: Vec<String>,
}

/// The console.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminStatus {
    /// Number ready.
    pub ready: i32,
    /// Where it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
}

/// Addresses to paste into clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoints {
    /// host:port for publishing over TCP.
    pub publish_tcp: String,
    /// host:port for publishing over HTTP.
    pub publish_http: String,
    /// host:port of each nsqlookupd over HTTP.
    #[serde(skip_serializing_if = "is_empty")]
    pub lookupd_http: Vec<String>,
}
