//! What a world saw: the only input of [`plan`](super::plan). Unreachable is a value here, never an error.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use nsq_http_api::lifecycle::Lifecycle;
use nsq_http_api::nsqd::{Info, Stats};

use crate::api::{
    ConditionType, Endpoints, NsqChannel, NsqCluster, NsqClusterStatus, NsqTopic, Phase, Quantity, Reason,
    Violation,
};

/// Everything one pass decides from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Time of the observation.
    pub now: Timestamp,
    /// The cluster with its status as it was last written; the status is the memory of long operations.
    pub cluster: NsqCluster,
    /// Rules the spec breaks, as [`validate`](crate::api::validate) says; with any, nothing is done.
    pub invalid: Vec<Violation>,
    /// Image of clusters that name none and never had one.
    pub default_image: String,
    /// Number of nodes the world was last told to run; none before the first time.
    pub told: Option<i32>,
    /// One entry per ordinal below `told`, and per node above that is still going away.
    pub nodes: Vec<Node>,
    /// Every nsqlookupd that exists.
    pub lookupds: Vec<Lookupd>,
    /// Every claim of a node, also of one that does not exist yet or any more; none where data are plain folders.
    pub claims: Vec<Claim>,
    /// The consoles; none if there is none.
    pub admin: Option<Admin>,
    /// Where clients go: only a world knows its addresses.
    pub endpoints: Endpoints,
    /// What daemons would be started from now.
    pub wanted: Wanted,
    /// Hot options that a node refused in the last pass, as `<node>: <error>`.
    pub refused: Vec<String>,
    /// What the world could not do and a person has to mend.
    pub stuck: Option<(Reason, String)>,
    /// The world counts every node as one of the wanted revision; before that a new one could still get the one before.
    pub settled: bool,
    /// From which ordinal on the world replaces nodes with the wanted revision now; none if it was not told of that revision.
    pub partition: Option<i32>,
    /// Nodes may be replaced: not too many other clusters do that now.
    pub may_roll: bool,
    /// Declared topics of this cluster.
    pub topics: Vec<NsqTopic>,
    /// Declared channels of this cluster.
    pub channels: Vec<NsqChannel>,
    /// What the last plan remembered; losing it only makes waits start again.
    pub memory: Memory,
}

/// What the daemons of each kind would be started from now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Nodes.
    pub nsqd: Revision,
    /// Registries.
    pub lookupd: Revision,
    /// Consoles; their list of registries is not part of it.
    pub admin: Revision,
}

/// What a daemon was started from. Equal revisions need no restart; options that are applied hot are not part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Image or program.
    pub image: String,
    /// Digest of the configuration file.
    pub config: String,
    /// Digest of everything else.
    pub template: String,
    /// `nsqd.restartedAt`.
    pub restarted_at: String,
}

/// One nsqd.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its ordinal, which is also its node id.
    pub ordinal: i32,
    /// Name in status and events: the pod's, or the process's.
    pub name: String,
    /// What is known about its process.
    pub life: Life,
    /// It has, or may have, data on disk.
    pub ran: bool,
    /// Since when its pod exists; none where nobody tells.
    pub made: Option<Timestamp>,
    /// What it was started from.
    pub revision: Revision,
    /// It must be replaced although nothing in its revision differs: somebody else changed the template, or what differs
    /// cannot be seen at the pod.
    pub outdated: bool,
    /// Publishers are kept away from it by the world (in Kubernetes a label).
    pub fenced: bool,
    /// Address it must announce.
    pub broadcast: Address,
    /// `host:port` under which other nodes reach its HTTP API.
    pub peer: String,
    /// What it answered, or why not.
    pub facts: Result<Facts, String>,
}

/// What is known about a process from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// It does not run; why, in words (`CrashLoopBackOff (exit 1)`).
    Waiting(String),
    /// It runs and is not ready; what it answered.
    NotReady(String),
    /// It is ready, since then.
    Ready(Timestamp),
    /// It was told to end.
    Stopping,
}

impl Life {
    /// Since when it is ready; none if it is not.
    #[must_use]
    pub fn ready_since(&self) -> Option<Timestamp> {
        match self {
            Self::Ready(since) => Some(*since),
            Self::Waiting(_) | Self::NotReady(_) | Self::Stopping => None,
        }
    }

    /// It is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready_since().is_some()
    }

    /// Why it is not ready; empty if it is.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Waiting(why) | Self::NotReady(why) => why,
            Self::Ready(_) => "",
            Self::Stopping => "stopping",
        }
    }
}

/// Host and HTTP port as they stand in a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Host name or IP.
    pub host: String,
    /// HTTP port.
    pub http_port: i64,
}

/// What one nsqd answered in one pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// `/info`.
    pub info: Info,
    /// `/stats`, without clients.
    pub stats: Stats,
    /// `/lifecycle`, where offered.
    pub lifecycle: Option<Lifecycle>,
    /// Registries it is told to register with.
    pub lookupds: Vec<String>,
    /// Log level, 1 (debug) to 5 (fatal).
    pub log_level: u8,
}

impl Facts {
    /// Whether the node offers an extension.
    #[must_use]
    pub fn offers(&self, extension: &str) -> bool {
        self.info.extensions.iter().any(|name| name == extension)
    }
}

/// One nsqlookupd.
#[derive(Clone, Debug)]
pub struct Lookupd {
    /// Its index.
    pub index: i32,
    /// Name in messages.
    pub name: String,
    /// What is known about its process.
    pub life: Life,
    /// What it was started from.
    pub revision: Revision,
    /// `host:port` nodes register at.
    pub tcp_address: String,
    /// `host:port` of its HTTP API for clients.
    pub http_address: String,
    /// Since when it is being removed.
    pub removing_since: Option<Timestamp>,
    /// Nodes it knows, or why it did not answer.
    pub registered: Result<Vec<Address>, String>,
}

/// The claim of a node.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Ordinal of the node it belongs to.
    pub ordinal: i32,
    /// Pod it belongs to.
    pub pod: String,
    /// Size it has; empty while it is not bound.
    pub actual: Quantity,
    /// What goes on with it.
    pub growth: Option<Growth>,
}

/// A claim that grows.
#[derive(Clone, Debug)]
pub struct Growth {
    /// The volume has grown, the file system waits for a restart of the pod.
    pub needs_restart: bool,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The same in the words of the API.
    pub message: String,
}

/// The consoles.
#[derive(Clone, Debug)]
pub struct Admin {
    /// What is known about the process, or the worst of several.
    pub life: Life,
    /// Number that is ready.
    pub ready: i32,
    /// What they were started from.
    pub revision: Revision,
    /// Indexes of the registries they read.
    pub lookupds: Vec<i32>,
    /// Where people find it.
    pub url: String,
}

/// What a plan remembers for the next one. It lives in the memory of the process only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Per node: accepted publishes of the last pass, to see whether they still rise.
    pub published: BTreeMap<i32, u64>,
    /// The blocker that needs a person, and since when it has been the same.
    pub blocked: Option<(String, Timestamp)>,
    /// Registries are being replaced: the last one may still be on its way.
    pub registries_rolling: bool,
    /// When the progress of the drain was last told.
    pub drain_told: Option<Timestamp>,
    /// What the rollout in progress replaces nodes with.
    pub rolling: Option<Revision>,
    /// Nodes that were not ready when the rollout began.
    pub unready_at_rollout: Option<Vec<i32>>,
    /// What the rollout waits for, and since when.
    pub gate: Option<(String, Timestamp)>,
    /// Since when the registries are incomplete.
    pub incomplete_since: Option<Timestamp>,
    /// Passes in a row in which a node did not answer.
    pub silent: BTreeMap<i32, u32>,
    /// Count that nodes are being added up to.
    pub growing: Option<i32>,
    /// The cluster was ready once.
    pub was_ready: bool,
    /// Last time each (object, reason) was told as an event.
    pub told: BTreeMap<String, Timestamp>,
}

impl Memory {
    /// What can be told from a status of another process: without it a cluster that lacks something would look new for a while,
    /// and its status would be written twice.
    #[must_use]
    pub fn recalled(status: Option<&NsqClusterStatus>) -> Self {
        let Some(status) = status else {
            return Self::default();
        };
        let was_ready = status.phase.is_some_and(|phase| {
            !matches!(
                phase,
                Phase::Pending
                    | Phase::Creating
                    | Phase::Paused
                    | Phase::Stopped
                    | Phase::Stopping
                    | Phase::Stalled
            )
        });
        let registry = status.condition(ConditionType::RegistryConsistent);
        let because = |reason: Reason| registry.filter(|condition| condition.reason == reason);
        let lost = because(Reason::Unreachable).map_or("", |condition| condition.message.as_str());
        let names = lost
            .split(" does not answer")
            .next()
            .unwrap_or_default()
            .split(", ");
        let ordinals = names.filter_map(|name| name.rsplit_once('-')?.1.parse().ok());
        Self {
            was_ready,
            silent: ordinals.map(|ordinal| (ordinal, SILENT_PASSES)).collect(),
            incomplete_since: because(Reason::MissingRegistrations).map(|_| Timestamp::UNIX_EPOCH),
            ..Self::default()
        }
    }
}

/// Passes in a row without an answer after which a node counts as lost.
pub(super) const SILENT_PASSES: u32 = 3;

/// Time from `earlier` to `now`; a time in the future counts as now (clocks jump).
pub(super) fn since(now: Timestamp, earlier: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(earlier)).unwrap_or_default()
}

/// `at` plus `span`; the end of time if there is no such moment.
pub(super) fn after(at: Timestamp, span: Duration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}
