//! The `admin` block.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults::{default_from_fields, int, is_empty, on};
use super::nsqd_options::LogLevel;
use super::pod::AdminPod;
use super::rules::{ExtraKeys, option_keys, owned_options, rule, rule_at};

/// Config keys of nsqadmin that `extraOptions` may not set.
const OWNED_KEYS: &[&str] = &[
    "base_path",
    "acl_http_header",
    "admin_users",
    "notification_http_endpoint",
    "log_level",
    "http_address",
    "nsqlookupd_http_addresses",
    "nsqd_http_addresses",
    "kubernetes_cluster",
    "basic_auth_file",
    "http_client_token_file",
];

/// The console: nsqadmin as a Deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminSpec {
    /// Whether there is one.
    #[serde(default = "on")]
    pub enabled: bool,
    /// Number of nsqadmin.
    #[serde(default = "int::<1>")]
    #[schemars(range(min = 0, max = 5))]
    pub replicas: i32,
    /// Options of nsqadmin.
    #[serde(default)]
    pub options: AdminOptions,
    /// Options without a field of their own, by config file key.
    #[serde(default)]
    #[x_kube(validation = owned_options(OWNED_KEYS, &[]))]
    #[x_kube(validation = option_keys())]
    pub extra_options: BTreeMap<String, String>,
    /// Account with a mounted token for the console's Kubernetes view; absent is no token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// How the console is reached from outside.
    #[serde(default)]
    pub route: Route,
    /// Pods of nsqadmin.
    #[serde(default)]
    pub pod: AdminPod,
}

/// Options of nsqadmin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminOptions {
    /// URL prefix of everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_path: Option<String>,
    /// Header that names the authenticated user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl_http_header: Option<String>,
    /// If any is given, only these may act.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub admin_users: Vec<String>,
    /// URL that receives a POST per action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub notification_http_endpoint: Option<String>,
    /// Log level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
}

/// How the console is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule_at(
    ".hosts",
    "self.type == 'None' || (has(self.hosts) && size(self.hosts) > 0)",
    "admin.route.hosts needs at least one host",
))]
#[x_kube(validation = rule(
    "(self.type == 'Ingress' || !has(self.className)) \
     && (self.type == 'HTTPRoute') == (has(self.parentRefs) && size(self.parentRefs) > 0)",
    "admin.route.className is for Ingress, admin.route.parentRefs is for HTTPRoute and required there",
))]
pub struct Route {
    /// Kind of route.
    #[serde(default, rename = "type")]
    pub kind: RouteType,
    /// Host names.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub hosts: Vec<String>,
    /// Ingress class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// Gateways of an HTTPRoute.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub parent_refs: Vec<ParentRef>,
    /// Secret with the certificate of the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_name: Option<String>,
    /// Annotations of the route.
    #[serde(default, skip_serializing_if = "ExtraKeys::is_empty")]
    pub annotations: ExtraKeys,
}

/// Kind of route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteType {
    /// None.
    #[default]
    None,
    /// An Ingress.
    Ingress,
    /// An HTTPRoute of the Gateway API.
    HTTPRoute,
}

/// A gateway an HTTPRoute hangs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Name of the gateway.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its namespace; absent is the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

default_from_fields!(AdminSpec, Route);
