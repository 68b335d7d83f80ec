//! The `nsqd` block.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults::{default_from_fields, int, is_empty, on, seconds};
use super::duration::Span;
use super::nsqd_options::NsqdOptions;
use super::pod::NsqdPod;
use super::quantity::Quantity;
use super::rules::{ExtraKeys, immutable_optional, option_keys, owned_options, rule_at};

/// Config keys of nsqd that `extraOptions` may not set: typed fields and what the operator sets.
const OWNED_KEYS: &[&str] = &[
    "mem_queue_size",
    "max_bytes_per_file",
    "sync_every",
    "sync_timeout",
    "msg_timeout",
    "max_msg_timeout",
    "max_req_timeout",
    "max_msg_size",
    "max_body_size",
    "max_rdy_count",
    "max_channel_consumers",
    "e2e_processing_latency_percentiles",
    "log_level",
    "statsd_address",
    "statsd_prefix",
    "statsd_interval",
    "id",
    "data_path",
    "tcp_address",
    "http_address",
    "https_address",
    "broadcast_address",
    "broadcast_tcp_port",
    "broadcast_http_port",
    "nsqlookupd_tcp_addresses",
    "access_file",
    "http_client_token_file",
];

/// The nodes: nsqd as a StatefulSet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule_at(
    ".preStopSeconds",
    "self.preStopSeconds < self.terminationGracePeriodSeconds",
    "preStopSeconds must be less than terminationGracePeriodSeconds",
))]
pub struct NsqdSpec {
    /// Number of nodes.
    #[serde(default = "int::<3>")]
    #[schemars(range(min = 0, max = 1024))]
    pub replicas: i32,
    /// Any change restarts all nodes once, one at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub restarted_at: Option<String>,
    /// How long a new node waits for consumers before it takes publishes; 0s turns the wait off.
    #[serde(default = "seconds::<90>")]
    pub join_timeout: Span,
    /// Pause between leaving the publish Service and SIGTERM, in seconds; 0 is none.
    #[serde(default = "int::<5>")]
    #[schemars(range(min = 0, max = 300))]
    pub pre_stop_seconds: i32,
    /// Time a node gets to stop cleanly, in seconds.
    #[serde(default = "int::<120>")]
    #[schemars(range(min = 10, max = 86400))]
    pub termination_grace_period_seconds: i32,
    /// Where messages are kept.
    #[serde(default)]
    pub storage: Storage,
    /// How a node is emptied before it is removed.
    #[serde(default)]
    pub drain: Drain,
    /// How changes reach running nodes.
    #[serde(default)]
    pub update: Update,
    /// Options of nsqd.
    #[serde(default)]
    pub options: NsqdOptions,
    /// Options without a field of their own, by config file key.
    #[serde(default)]
    #[x_kube(validation = owned_options(OWNED_KEYS, &["tls_", "auth_", "join_"]))]
    #[x_kube(validation = option_keys())]
    pub extra_options: BTreeMap<String, String>,
    /// Under which names nodes are reached from outside.
    #[serde(default)]
    pub expose: Expose,
    /// The Service publishers use.
    #[serde(default)]
    pub publish_service: PublishService,
    /// Disruption budget of the nodes.
    #[serde(default)]
    pub pdb: NsqdPdb,
    /// Pods of nsqd.
    #[serde(default)]
    pub pod: NsqdPod,
}

/// Where messages are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule_at(
    ".size",
    "!isQuantity(self.size) || !isQuantity(oldSelf.size) || quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
    "storage.size cannot shrink",
))]
#[x_kube(validation = rule_at(
    ".size",
    "isQuantity(self.size) && quantity(self.size).compareTo(quantity('1Mi')) >= 0",
    "storage.size must be a quantity of at least 1Mi",
))]
#[x_kube(validation = rule_at(".type", "self.type == oldSelf.type", "storage.type is immutable"))]
#[x_kube(validation = immutable_optional("className", "storage.className is immutable"))]
#[x_kube(validation = rule_at(
    ".accessMode",
    "self.accessMode == oldSelf.accessMode",
    "storage.accessMode is immutable",
))]
pub struct Storage {
    /// A volume per node, or space that goes with the pod.
    #[serde(default, rename = "type")]
    pub kind: StorageType,
    /// Size per node; may grow.
    #[serde(default = "ten_gibibytes")]
    pub size: Quantity,
    /// Storage class; absent is the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// Access mode of the volumes.
    #[serde(default)]
    pub access_mode: AccessMode,
    /// Volume attributes class of the volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_attributes_class_name: Option<String>,
    /// What happens to the volumes when the cluster is deleted.
    #[serde(default)]
    pub when_deleted: WhenDeleted,
    /// What happens to a node's volume when the node is removed.
    #[serde(default)]
    pub when_scaled: WhenScaled,
    /// How long a file system resize may wait before the pod is restarted for it; 0s is never.
    #[serde(default = "seconds::<600>")]
    pub resize_restart_after: Span,
}

fn ten_gibibytes() -> Quantity {
    Quantity("10Gi".to_owned())
}

/// Kind of storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StorageType {
    /// A PersistentVolumeClaim per node.
    #[default]
    Persistent,
    /// An emptyDir; messages go with the pod.
    Ephemeral,
}

/// Access mode of the claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// One node of Kubernetes.
    #[default]
    ReadWriteOnce,
    /// One pod.
    ReadWriteOncePod,
}

/// Fate of the claims when the cluster is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenDeleted {
    /// They stay.
    #[default]
    Retain,
    /// They go with the StatefulSet.
    Delete,
}

/// Fate of a claim when its node is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenScaled {
    /// It stays and is used again by a later node.
    #[default]
    Retain,
    /// It is deleted when the node was seen empty and sealed.
    DeleteIfDrained,
}

/// How a node is emptied before it is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule_at(
    ".timeout",
    "self.onTimeout == 'Block' || duration(self.timeout) > duration('0s')",
    "drain.timeout must be greater than 0s when drain.onTimeout is Abort or Force",
))]
#[x_kube(validation = rule_at(
    ".settle",
    "duration(self.settle) >= duration('1s') && duration(self.settle) <= duration('10m')",
    "drain.settle must be between 1s and 10m",
))]
pub struct Drain {
    /// When leftover messages are moved to other nodes.
    #[serde(default)]
    pub evacuate: Evacuate,
    /// How long a channel must be stuck before its messages are moved.
    #[serde(default = "seconds::<30>")]
    pub evacuate_after: Span,
    /// How long a node must stay empty before it is removed.
    #[serde(default = "seconds::<15>")]
    pub settle: Span,
    /// Longest time for the whole drain; 0s is none.
    #[serde(default = "seconds::<0>")]
    pub timeout: Span,
    /// What happens after that time.
    #[serde(default)]
    pub on_timeout: OnTimeout,
}

/// When leftover messages are moved to other nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Evacuate {
    /// Consumers alone empty the node.
    Never,
    /// Only channels nobody empties.
    #[default]
    WhenStuck,
    /// Everything, at once.
    Always,
}

/// What happens when a drain takes longer than its timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnTimeout {
    /// Keep draining and say so.
    #[default]
    Block,
    /// Give the nodes back.
    Abort,
    /// Remove them; their volumes stay.
    Force,
}

/// How changes reach running nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule_at(
    ".gateTimeout",
    "duration(self.gateTimeout) >= duration('30s')",
    "update.gateTimeout must be at least 30s",
))]
pub struct Update {
    /// Rolling, or when somebody deletes a pod.
    #[serde(default, rename = "type")]
    pub kind: UpdateType,
    /// How long a replaced node must be ready before the next one follows, in seconds.
    #[serde(default = "int::<10>")]
    #[schemars(range(min = 0, max = 3600))]
    pub min_ready_seconds: i32,
    /// How long a rollout may wait for one node before it is called stuck.
    #[serde(default = "seconds::<600>")]
    pub gate_timeout: Span,
}

/// How changes reach running nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpdateType {
    /// One node at a time, each behind a gate.
    #[default]
    Rolling,
    /// When somebody deletes the pod.
    OnDelete,
}

/// Under which names nodes are reached from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule_at(
    ".hostTemplate",
    "self.type != 'StaticNames' || (has(self.hostTemplate) && self.hostTemplate.contains('{ordinal}'))",
    "expose.hostTemplate with {ordinal} is required when expose.type is StaticNames",
))]
#[x_kube(validation = rule_at(
    ".type",
    "self.type == 'StaticNames' || (!has(self.hostTemplate) && self.serviceType == 'None')",
    "expose.hostTemplate and expose.serviceType need expose.type StaticNames",
))]
#[x_kube(validation = rule_at(
    ".hostTemplate",
    "!has(self.hostTemplate) || self.hostTemplate.matches('^[a-z0-9{}.-]{1,200}$')",
    "expose.hostTemplate must be a DNS name",
))]
pub struct Expose {
    /// Names inside the cluster, or names of your own.
    #[serde(default, rename = "type")]
    pub kind: ExposeType,
    /// Name of a node, with {ordinal} in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_template: Option<String>,
    /// Type of the Service made per node.
    #[serde(default)]
    pub service_type: ExposeServiceType,
    /// Annotations of these Services; {ordinal} is replaced in values.
    #[serde(default)]
    pub annotations: ExtraKeys,
    /// Load balancer class of these Services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer_class: Option<String>,
    /// Address ranges the load balancers accept.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub source_ranges: Vec<String>,
}

/// Where the names of nodes come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExposeType {
    /// Pod names of the headless Service.
    #[default]
    Internal,
    /// `hostTemplate`.
    StaticNames,
}

/// Type of the Services per node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExposeServiceType {
    /// No Service per node.
    #[default]
    None,
    /// A cluster address per node.
    ClusterIP,
    /// A load balancer per node.
    LoadBalancer,
}

/// The Service publishers use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishService {
    /// Type of the Service.
    #[serde(default, rename = "type")]
    pub kind: PublishServiceType,
    /// Annotations of the Service.
    #[serde(default)]
    pub annotations: ExtraKeys,
}

/// Type of the publish Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PublishServiceType {
    /// A cluster address.
    #[default]
    ClusterIP,
    /// A load balancer.
    LoadBalancer,
    /// A port on every machine.
    NodePort,
}

/// Disruption budget of the nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NsqdPdb {
    /// Whether there is one.
    #[serde(default = "on")]
    pub enabled: bool,
    /// Nodes that may be away at the same time.
    #[serde(default = "int::<1>")]
    #[schemars(range(min = 1))]
    pub max_unavailable: i32,
}

default_from_fields!(NsqdSpec, Storage, Drain, Update, Expose, PublishService, NsqdPdb);
