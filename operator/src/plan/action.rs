//! What a plan asks a world to do. Each is safe to do twice; what cannot be undone needs a [`Proof`], which only the drain gives.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use nsq_http_api::lifecycle::LifecycleRequest;

use super::observed::{Address, Memory};
use crate::api::{LogLevel, MemberStatus, NsqClusterStatus};

/// The outcome of [`plan`](super::plan).
#[derive(Clone, Debug)]
pub struct Plan {
    /// What should exist after this pass; nothing may be changed without it (mode Paused, invalid spec).
    pub shape: Option<Shape>,
    /// Requests to nodes, in this order.
    pub node_actions: Vec<NodeAction>,
    /// The new status.
    pub status: NsqClusterStatus,
    /// Requests to registries, after those to nodes.
    pub registry_actions: Vec<RegistryAction>,
    /// Declared objects that are to be held back from their deletion, or let go, when all requests succeeded.
    pub holds: Vec<Hold>,
    /// New statuses of declared topics, by object name.
    pub topic_statuses: Vec<(String, MemberStatus)>,
    /// New statuses of declared channels, by object name.
    pub channel_statuses: Vec<(String, MemberStatus)>,
    /// What to tell people, once.
    pub events: Vec<Event>,
    /// The same about declared topics and channels.
    pub member_events: Vec<MemberEvent>,
    /// Longest wait before the next pass.
    pub wake_after: Duration,
    /// To be handed to the next plan.
    pub memory: Memory,
}

/// What a cluster should consist of. `build` makes objects of it, local mode processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of nodes.
    pub replicas: Replicas,
    /// Nodes from this ordinal on are started from the wanted revision; those below keep theirs.
    pub partition: i32,
    /// Registries that should exist, by index.
    pub lookupds: Vec<LookupdShape>,
    /// Indexes of the registries a starting node registers with.
    pub register_with: Vec<i32>,
    /// The consoles; none for none.
    pub admin: Option<AdminShape>,
}

/// One registry that should exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupdShape {
    /// Its index.
    pub index: i32,
    /// It may be restarted from the wanted revision now.
    pub update: bool,
    /// It is on its way out: keep the time when that began.
    pub removing: bool,
}

/// The consoles that should exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminShape {
    /// How many.
    pub replicas: i32,
    /// Indexes of the registries they read.
    pub lookupds: Vec<i32>,
    /// They may be restarted from the wanted revision now.
    pub update: bool,
}

/// Number of nodes. It cannot be made lower than it was without one [`Removal`] per node, taken from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replicas {
    count: i32,
    removals: Vec<Removal>,
}

impl Replicas {
    /// As many as before, or more.
    #[must_use]
    pub fn at_least(current: i32, wanted: i32) -> Self {
        Self {
            count: wanted.max(current),
            removals: Vec::new(),
        }
    }

    /// Fewer than `current`: without the removals that follow each other from the top down. Others are ignored.
    #[must_use]
    pub fn without(current: i32, removals: Vec<Removal>) -> Self {
        let mut replicas = Self::at_least(current, 0);
        let mut removals = removals;
        removals.sort_by_key(|removal| -removal.ordinal);
        for removal in removals {
            if removal.ordinal != replicas.count - 1 {
                break;
            }
            replicas.count -= 1;
            replicas.removals.push(removal);
        }
        replicas
    }

    /// How many nodes.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.count
    }

    /// The nodes that go, highest first. The world reads each of them once more before it lets go, see [`Removal::holds`].
    #[must_use]
    pub fn removals(&self) -> &[Removal] {
        &self.removals
    }
}

/// A node that may go, and why that loses nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Its ordinal.
    pub ordinal: i32,
    proof: Proof<Empty>,
    drained: Option<Proof<Drained>>,
}

impl Removal {
    pub(super) fn new(ordinal: i32, proof: Proof<Empty>, drained: Option<Proof<Drained>>) -> Self {
        Self {
            ordinal,
            proof,
            drained,
        }
    }

    /// What the removal stands on.
    #[must_use]
    pub fn basis(&self) -> Basis {
        self.proof.basis
    }

    /// The node's data may be deleted too.
    #[must_use]
    pub fn may_delete_data(&self) -> bool {
        self.drained.is_some()
    }

    /// Whether the removal still stands when `messages` are on the node now (none: it did not answer).
    #[must_use]
    pub fn holds(&self, messages: Option<u64>) -> bool {
        match self.proof.basis {
            Basis::SeenEmpty => messages == Some(0),
            Basis::NeverRan => messages.unwrap_or(0) == 0,
            Basis::Forced { .. } | Basis::KeptForLater => true,
        }
    }
}

/// Marks the proof that a node has no message that would be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty;

/// Marks the proof that a node refused publishes while it was seen empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained;

/// Evidence for `T`. Only the plan can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof<T> {
    basis: Basis,
    of: PhantomData<T>,
}

impl<T> Proof<T> {
    pub(super) fn new(basis: Basis) -> Self {
        Self {
            basis,
            of: PhantomData,
        }
    }
}

/// What a proof stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Seen empty twice, sealed.
    SeenEmpty,
    /// The node never ran.
    NeverRan,
    /// The user asked for removal at a deadline; its data stay.
    Forced {
        /// Messages it still had when it last answered.
        left: i64,
    },
    /// The cluster is stopped; its data stay and the node comes back.
    KeptForLater,
}

/// A request to one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAction {
    /// Its ordinal.
    pub ordinal: i32,
    /// What is asked.
    pub request: NodeRequest,
}

/// What is asked of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeRequest {
    /// Keep publishers away (true) or let them come.
    Fence(bool),
    /// End it cleanly, so that it is started anew with the same data; what it is started from stays.
    Restart,
    /// `PUT /lifecycle`.
    Lifecycle(LifecycleRequest),
    /// `PUT /config/nsqlookupd_tcp_addresses`; an empty list seals the node.
    Lookupds(Vec<String>),
    /// `PUT /config/log_level`.
    LogLevel(LogLevel),
    /// `POST /topic/create`.
    CreateTopic(String),
    /// `POST /channel/create`.
    CreateChannel(String, String),
    /// `POST /topic/pause` or `/topic/unpause`.
    PauseTopic(String, bool),
    /// `POST /channel/pause` or `/channel/unpause`.
    PauseChannel(String, String, bool),
    /// `POST /topic/delete`.
    DeleteTopic(String),
    /// `POST /channel/delete`.
    DeleteChannel(String, String),
}

/// A request to one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryAction {
    /// Its index.
    pub index: i32,
    /// What is asked.
    pub request: RegistryRequest,
}

/// What is asked of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryRequest {
    /// `POST /topic/tombstone`.
    Tombstone {
        /// The topic.
        topic: String,
        /// The node that is not to be named for it for a while.
        node: Address,
    },
    /// `POST /topic/delete`.
    DeleteTopic(String),
    /// `POST /channel/delete`.
    DeleteChannel(String, String),
}

/// A declared object and whether its deletion has to wait for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// A channel, else a topic.
    pub is_channel: bool,
    /// Name of the object.
    pub name: String,
    /// It waits.
    pub held: bool,
}

/// The finalizer that makes a deletion wait.
pub const CLEANUP: &str = "nsq.rs/cleanup";

/// Something people should know about, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether a person may have to act.
    pub warning: bool,
    /// Why, one of operator spec 3.5.
    pub reason: EventReason,
    /// The same in words, at most 1 kB.
    pub note: String,
}

/// An event about a declared topic or channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEvent {
    /// A channel, else a topic.
    pub is_channel: bool,
    /// Name of the object.
    pub name: String,
    /// What is told.
    pub event: Event,
}

/// Reasons of events. Source: operator spec 3.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventReason {
    /// First full apply.
    Created,
    /// Nodes are being added.
    ScalingUp,
    /// Nodes were added.
    ScaledUp,
    /// A claim of an earlier life is attached again.
    VolumeReused,
    /// A scale-down began.
    DrainStarted,
    /// A scale-down goes on.
    DrainProgress,
    /// A scale-down was called off.
    DrainCancelled,
    /// The set of blockers changed.
    DrainBlocked,
    /// A node left the registries.
    NodeSealed,
    /// A node is gone.
    NodeRemoved,
    /// A drain passed its deadline and goes on.
    DrainTimedOut,
    /// A drain passed its deadline and was given up.
    DrainAborted,
    /// A drain passed its deadline and the nodes went with what they had.
    DrainForced,
    /// The data of a drained node were deleted.
    VolumeDeleted,
    /// Nodes are being replaced.
    RolloutStarted,
    /// Nodes were replaced.
    RolloutFinished,
    /// A rollout waits too long.
    RolloutStuck,
    /// A hot option changed.
    ConfigApplied,
    /// A node refused a hot option.
    HotApplyFailed,
    /// Claims are asked to grow.
    VolumeResizing,
    /// Claims have grown.
    VolumeResized,
    /// Claims cannot grow.
    ResizeUnsupported,
    /// A claim does not grow.
    ResizeFailed,
    /// The spec breaks a rule.
    InvalidSpec,
    /// A node does not stay up.
    NsqdCrashLooping,
    /// A node says that something is wrong with it.
    NsqdUnhealthy,
    /// A node announces another address than it should.
    WrongBroadcastAddress,
    /// An object of that name belongs to somebody else.
    NameConflict,
    /// An object was refused by the API server.
    ApplyFailed,
    /// Somebody changed what belongs to the operator.
    DriftReverted,
    /// A declared topic was deleted everywhere.
    TopicDeleted,
    /// A declared channel was deleted everywhere.
    ChannelDeleted,
    /// A declared topic or channel was let go although a node may still have it.
    DeleteBlocked,
}

impl EventReason {
    /// What was being done, as the API of events wants it. Source: operator spec 3.5.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::Created | Self::NameConflict | Self::ApplyFailed | Self::DriftReverted => "Apply",
            Self::ScalingUp | Self::ScaledUp | Self::VolumeReused => "Scale",
            Self::DrainStarted
            | Self::DrainProgress
            | Self::DrainCancelled
            | Self::DrainBlocked
            | Self::NodeSealed
            | Self::NodeRemoved
            | Self::DrainTimedOut
            | Self::DrainAborted
            | Self::DrainForced
            | Self::VolumeDeleted => "Drain",
            Self::RolloutStarted | Self::RolloutFinished | Self::RolloutStuck => "Rollout",
            Self::ConfigApplied | Self::HotApplyFailed => "Configure",
            Self::VolumeResizing | Self::VolumeResized | Self::ResizeUnsupported | Self::ResizeFailed => {
                "Resize"
            }
            Self::InvalidSpec => "Validate",
            Self::TopicDeleted | Self::ChannelDeleted | Self::DeleteBlocked => "Delete",
            Self::NsqdCrashLooping | Self::NsqdUnhealthy | Self::WrongBroadcastAddress => "Observe",
        }
    }
}

impl fmt::Display for EventReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
