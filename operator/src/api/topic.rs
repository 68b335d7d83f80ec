//! NsqTopic: a topic that is kept existing on every node.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::TopicPolicy;
use super::rules::{default_name, immutable_optional, nsq_name, rule_at};
use super::status::MemberStatus;

/// A topic that is kept existing on every node of a cluster.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "nsq.rs",
    version = "v1alpha1",
    kind = "NsqTopic",
    plural = "nsqtopics",
    shortname = "nsqt",
    category = "nsq",
    namespaced,
    status = "MemberStatus",
    derive = "PartialEq",
    doc = "A topic that is kept existing on every node of a cluster.",
    selectable = ".spec.clusterName",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterName"),
    printcolumn(name = "Topic", type_ = "string", json_path = ".spec.name"),
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
#[x_kube(validation = immutable_optional("name", "name is immutable"))]
pub struct NsqTopicSpec {
    /// The NsqCluster in the same namespace.
    #[schemars(length(min = 1))]
    pub cluster_name: String,
    /// Name of the topic; absent is the name of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = nsq_name())]
    pub name: Option<String>,
    /// Whether the topic is paused; absent leaves it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// What happens to the topic when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Policy of the topic; absent leaves it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<TopicPolicy>,
}

impl NsqTopic {
    /// Name of the topic: the spec's, else the object's.
    #[must_use]
    pub fn topic_name(&self) -> &str {
        self.spec
            .name
            .as_deref()
            .or(self.metadata.name.as_deref())
            .unwrap_or_default()
    }
}

/// What happens to a topic or channel when its object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It stays.
    #[default]
    Retain,
    /// It goes with its messages.
    Delete,
    /// It goes once no node has a message of it.
    DeleteIfEmpty,
}
