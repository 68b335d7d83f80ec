//! The `networkPolicy` block.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults::{default_from_fields, is_empty, on};

/// Who may connect to the daemons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Whether there are policies.
    #[serde(default = "on")]
    pub enabled: bool,
    /// Who may use nsqd and the lookups, scrapers included; absent is anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<Peer>>,
    /// Who else may register with the nsqlookupd; absent is only this cluster's nsqd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registrars: Option<Vec<Peer>>,
}

/// A NetworkPolicyPeer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Address range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_block: Option<IpBlock>,
    /// Namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
}

/// Address range with holes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IpBlock {
    /// Range, such as 10.0.0.0/8.
    #[schemars(length(min = 1, max = 64))]
    pub cidr: String,
    /// Ranges inside it that are left out.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub except: Vec<String>,
}

/// Label selector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that must be equal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements that must hold.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub match_expressions: Vec<SelectorRequirement>,
}

/// One requirement of a label selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SelectorRequirement {
    /// Label key.
    #[schemars(length(min = 1))]
    pub key: String,
    /// How it is compared.
    pub operator: SelectorOperator,
    /// Values for In and NotIn.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub values: Vec<String>,
}

/// How a label selector compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelectorOperator {
    /// One of the values.
    In,
    /// None of the values.
    NotIn,
    /// The key is there.
    Exists,
    /// The key is not there.
    DoesNotExist,
}

default_from_fields!(NetworkPolicy);
