//! The `lookupd` block.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults::{default_from_fields, int, on, seconds};
use super::duration::Span;
use super::nsqd_options::LogLevel;
use super::pod::LookupdPod;
use super::rules::{option_keys, owned_options, rule_at};

/// Config keys of nsqlookupd that `extraOptions` may not set.
const OWNED_KEYS: &[&str] = &[
    "inactive_producer_timeout",
    "tombstone_lifetime",
    "log_level",
    "tcp_address",
    "http_address",
    "broadcast_address",
    "access_file",
];

/// The registries: one Deployment and one Service per nsqlookupd.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LookupdSpec {
    /// Number of nsqlookupd; each nsqd registers with all of them.
    #[serde(default = "int::<2>")]
    #[schemars(range(min = 1, max = 9))]
    pub replicas: i32,
    /// How long a removed nsqlookupd keeps answering consumers that still know it.
    #[serde(default = "seconds::<120>")]
    pub removal_delay: Span,
    /// Options of nsqlookupd.
    #[serde(default)]
    pub options: LookupdOptions,
    /// Options without a field of their own, by config file key.
    #[serde(default)]
    #[x_kube(validation = owned_options(OWNED_KEYS, &[]))]
    #[x_kube(validation = option_keys())]
    pub extra_options: BTreeMap<String, String>,
    /// Disruption budget of the nsqlookupd.
    #[serde(default)]
    pub pdb: LookupdPdb,
    /// Pods of nsqlookupd.
    #[serde(default)]
    pub pod: LookupdPod,
}

/// Options of nsqlookupd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule_at(
    ".tombstoneLifetime",
    "!has(self.tombstoneLifetime) || duration(self.tombstoneLifetime) >= duration('10s')",
    "lookupd.options.tombstoneLifetime must be at least 10s",
))]
pub struct LookupdOptions {
    /// Silence after which a node is no longer named to consumers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactive_producer_timeout: Option<Span>,
    /// How long a tombstoned node stays hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstone_lifetime: Option<Span>,
    /// Log level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
}

/// Disruption budget of the nsqlookupd: one may be away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LookupdPdb {
    /// Whether there is one.
    #[serde(default = "on")]
    pub enabled: bool,
}

default_from_fields!(LookupdSpec, LookupdPdb);
