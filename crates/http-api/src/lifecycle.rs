//! `/lifecycle` of our nsqd (operator spec 6.3).

use serde::{Deserialize, Serialize};

use crate::nullable;

/// Where a node is between start and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Waits until its channels have consumers.
    Joining,
    /// The ordinary state.
    #[default]
    Active,
    /// Refuses publishes and hands out what it has.
    Draining,
}

/// Which messages a draining node sends to its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evacuate {
    /// None.
    #[default]
    Never,
    /// Those that nobody here will consume.
    Stuck,
    /// All.
    Always,
}

/// `GET /lifecycle`, also the answer to `PUT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    /// Phase in force.
    pub phase: Phase,
    /// Its start in Unix milliseconds.
    pub since_ms: i64,
    /// Only while joining.
    pub join: Option<Join>,
    /// Only while draining.
    pub drain: Option<Drain>,
}

/// What a joining node waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Join {
    /// Topics that were created from the nsqlookupds.
    pub topics: u64,
    /// Channels that were created from the nsqlookupds.
    pub channels: u64,
    /// Channels without a consumer, at most 20.
    #[serde(deserialize_with = "nullable")]
    pub waiting: Vec<Waiting>,
    /// End of the wait in Unix milliseconds.
    pub deadline_ms: i64,
}

/// A channel that has no consumer yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// Topic name.
    pub topic: String,
    /// Channel name.
    pub channel: String,
}

/// How far a drain is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Drain {
    /// Who asked, as given.
    pub id: String,
    /// TCP connections that ever published.
    pub publishers: u64,
    /// Publishes refused since the drain started.
    pub refused: u64,
    /// Messages waiting, over topics and channels that are not ephemeral.
    pub depth: u64,
    /// Messages delivered and not answered.
    pub in_flight: u64,
    /// Messages waiting for their time.
    pub deferred: u64,
    /// Accepted publishes since the process started.
    pub message_count: u64,
    /// Nothing is left.
    pub empty: bool,
    /// For how long without a break, in milliseconds.
    pub empty_ms: u64,
    /// What may be sent to peers.
    pub evacuate: Evacuate,
    /// How long a queue must be stuck first, in milliseconds.
    pub after_ms: u64,
    /// Nodes that take messages, `host:port` of their HTTP API.
    #[serde(deserialize_with = "nullable")]
    pub peers: Vec<String>,
    /// Sending at the moment.
    pub evacuating: bool,
    /// Messages sent so far.
    pub evacuated: u64,
    /// Last failure of sending; empty for none.
    pub last_error: String,
    /// What holds the drain up, largest first, at most 20.
    #[serde(deserialize_with = "nullable")]
    pub blockers: Vec<Blocker>,
}

/// A queue that does not empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// Topic name.
    pub topic: String,
    /// Channel name; empty for the topic's own queue.
    #[serde(default)]
    pub channel: String,
    /// Why.
    pub reason: BlockerReason,
    /// Messages in it.
    #[serde(default)]
    pub messages: u64,
    /// Unix milliseconds of the latest deferred message; 0 otherwise.
    #[serde(default)]
    pub due_ms: i64,
}

/// Why a queue does not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockerReason {
    /// The channel has messages and nobody takes them.
    NoConsumers,
    /// The channel is paused.
    Paused,
    /// Its topic is paused.
    TopicPaused,
    /// The topic has messages and no channel.
    NoChannel,
    /// Messages wait for their time.
    Deferred,
    /// Messages are delivered and not answered.
    InFlight,
    /// A reason of a later release.
    #[serde(other)]
    Unknown,
}

/// Body of `PUT /lifecycle`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleRequest {
    /// Phase to enter: draining or active.
    pub phase: Phase,
    /// Who asks, at most 64 characters. Needed for draining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evacuate: Option<Evacuate>,
    /// Milliseconds, default 30000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// At most 1024 entries `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<Vec<String>>,
}
