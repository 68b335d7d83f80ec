//! NsqChannel: a channel that is kept existing on every node.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::policy::ChannelPolicy;
use super::rules::{default_name, immutable_optional, nsq_name, rule_at};
use super::status::MemberStatus;
use super::topic::DeletionPolicy;

/// A channel that is kept existing on every node of a cluster, and its topic with it.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "nsq.rs",
    version = "v1alpha1",
    kind = "NsqChannel",
    plural = "nsqchannels",
    shortname = "nsqch",
    category = "nsq",
    namespaced,
    status = "MemberStatus",
    derive = "PartialEq",
    doc = "A channel that is kept existing on every node of a cluster, and its topic with it.",
    selectable = ".spec.clusterName",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterName"),
    printcolumn(name = "Topic", type_ = "string", json_path = ".spec.topic"),
    printcolumn(name = "Channel", type_ = "string", json_path = ".spec.name"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.nodes"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = default_name()
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule_at(
    ".clusterName",
    "self.clusterName == oldSelf.clusterName",
    "clusterName is immutable",
))]
#[x_kube(validation = rule_at(".topic", "self.topic == oldSelf.topic", "topic is immutable"))]
#[x_kube(validation = immutable_optional("name", "name is immutable"))]
pub struct NsqChannelSpec {
    /// The NsqCluster in the same namespace.
    #[schemars(length(min = 1))]
    pub cluster_name: String,
    /// The topic.
    #[x_kube(validation = nsq_name())]
    pub topic: String,
    /// Name of the channel; absent is the name of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = nsq_name())]
    pub name: Option<String>,
    /// Whether the channel is paused; absent leaves it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// What happens to the channel when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Policy of the channel; absent leaves it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<ChannelPolicy>,
}

impl NsqChannel {
    /// Name of the channel: the spec's, else the object's.
    #[must_use]
    pub fn channel_name(&self) -> &str {
        self.spec
            .name
            .as_deref()
            .or(self.metadata.name.as_deref())
            .unwrap_or_default()
    }
}
