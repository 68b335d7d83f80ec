//! The blocks `tls`, `auth`, `monitoring` and `podSecurity`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use super::defaults::{default_from_fields, is_empty, long, on};
use super::rules::rule_at;

/// TLS of nsqd's client port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule_at(
    ".secretName",
    "self.mode == 'Disabled' || has(self.secretName)",
    "tls.secretName is required unless tls.mode is Disabled",
))]
#[x_kube(validation = rule_at(
    ".secretName",
    "self.mode != 'Disabled' || !has(self.secretName)",
    "tls.secretName needs tls.mode Optional or Required",
))]
#[x_kube(validation = rule_at(
    ".caSecretName",
    "self.clientAuth != 'RequireVerify' || has(self.caSecretName)",
    "tls.caSecretName is required when tls.clientAuth is RequireVerify",
))]
#[x_kube(validation = rule_at(
    ".clientAuth",
    "self.mode == 'Required' || self.clientAuth == 'None'",
    "tls.clientAuth needs tls.mode Required",
))]
pub struct Tls {
    /// Whether clients may or must use TLS.
    #[serde(default)]
    pub mode: TlsMode,
    /// Secret with tls.crt and tls.key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Secret with ca.crt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_name: Option<String>,
    /// Whether clients need a certificate.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Oldest accepted version.
    #[serde(default)]
    pub min_version: TlsMinVersion,
}

/// Whether clients may or must use TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// No TLS.
    #[default]
    Disabled,
    /// Clients may.
    Optional,
    /// TCP clients must; plain HTTP stays open for probes and the operator.
    Required,
}

/// Whether clients need a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ClientAuth {
    /// No.
    #[default]
    None,
    /// Any certificate.
    Require,
    /// One signed by the CA.
    RequireVerify,
}

/// Oldest accepted TLS version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMinVersion {
    /// 1.2.
    #[default]
    TLS12,
    /// 1.3.
    TLS13,
}

/// Auth servers nsqd asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// host:port or URL of each; any turns auth on.
    #[serde(default, skip_serializing_if = "is_empty")]
    #[schemars(length(max = 8))]
    pub http_addresses: Vec<String>,
    /// HTTP method of the question.
    #[serde(default)]
    pub request_method: AuthRequestMethod,
}

/// HTTP method of the question to an auth server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthRequestMethod {
    /// GET.
    #[default]
    Get,
    /// POST.
    Post,
}

/// How metrics are found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// Scrape annotations on the pods.
    #[serde(default = "on")]
    pub enabled: bool,
    /// A PodMonitor.
    #[serde(default)]
    pub pod_monitor: bool,
    /// Labels of the PodMonitor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_monitor_labels: BTreeMap<String, String>,
}

/// Ids the pods run under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSecurity {
    /// User id.
    #[serde(default = "long::<65532>")]
    #[schemars(range(min = 1))]
    pub run_as_user: i64,
    /// Group id of the volumes.
    #[serde(default = "long::<65532>")]
    #[schemars(range(min = 1))]
    pub fs_group: i64,
}

default_from_fields!(Tls, Auth, Monitoring, PodSecurity);
