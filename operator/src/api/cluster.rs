//! NsqCluster: its top level.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::admin::AdminSpec;
use super::defaults::default_from_fields;
use super::flavor::{Flavor, derived_flavor};
use super::lookupd::LookupdSpec;
use super::network::NetworkPolicy;
use super::nsqd::NsqdSpec;
use super::rules::{ExtraKeys, rule, rule_at};
use super::security::{Auth, Monitoring, PodSecurity, Tls};
use super::status::NsqClusterStatus;

/// One NSQ: nsqd, nsqlookupd and nsqadmin, wired to each other.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "nsq.rs",
    version = "v1alpha1",
    kind = "NsqCluster",
    plural = "nsqclusters",
    shortname = "nsqc",
    category = "nsq",
    namespaced,
    status = "NsqClusterStatus",
    derive = "PartialEq",
    doc = "One NSQ: nsqd, nsqlookupd and nsqadmin, wired to each other.",
    scale(
        spec_replicas_path = ".spec.nsqd.replicas",
        status_replicas_path = ".status.nsqd.replicas",
        label_selector_path = ".status.nsqd.selector"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Available",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Available\")].status"
    ),
    printcolumn(name = "Nsqd", type_ = "string", json_path = ".status.nsqd.readyText"),
    printcolumn(name = "Lookupd", type_ = "string", json_path = ".status.lookupd.readyText"),
    printcolumn(name = "Release", type_ = "string", json_path = ".status.release"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    printcolumn(name = "Storage", type_ = "string", json_path = ".spec.nsqd.storage.size", priority = 1),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.image", priority = 1),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version", priority = 1),
    validation = rule(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')",
        "name must be a DNS label of at most 40 characters that starts with a letter",
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule_at(
    ".clusterDomain",
    "self.clusterDomain == oldSelf.clusterDomain",
    "clusterDomain is immutable",
))]
pub struct NsqClusterSpec {
    /// Whether the operator works on the cluster, and whether the cluster runs.
    #[serde(default)]
    pub mode: Mode,
    /// Refuses deletion of this object, where the admission policy is installed.
    #[serde(default)]
    pub deletion_protection: bool,
    /// Image of all three daemons; absent is the operator's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rule(
        r"self.matches('^[^\\s@]+(@sha256:[a-f0-9]{64})?$')",
        "image must be an image reference without spaces",
    ))]
    #[schemars(length(max = 512))]
    pub image: Option<String>,
    /// Whose daemons the image holds; absent is derived from the image's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavor: Option<Flavor>,
    /// When the image is pulled.
    #[serde(default)]
    pub image_pull_policy: ImagePullPolicy,
    /// Secrets for pulling the image.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub image_pull_secrets: Vec<String>,
    /// DNS domain of the Kubernetes cluster.
    #[serde(default = "cluster_local")]
    pub cluster_domain: String,
    /// IP families of all Services.
    #[serde(default)]
    pub ip_family_policy: IpFamilyPolicy,
    /// Labels added to all objects, not to pods.
    #[serde(default)]
    pub common_labels: ExtraKeys,
    /// Annotations added to all objects, not to pods.
    #[serde(default)]
    pub common_annotations: ExtraKeys,
    /// The nodes.
    #[serde(default)]
    pub nsqd: NsqdSpec,
    /// The registries.
    #[serde(default)]
    pub lookupd: LookupdSpec,
    /// The console.
    #[serde(default)]
    pub admin: AdminSpec,
    /// TLS of nsqd's client port.
    #[serde(default)]
    pub tls: Tls,
    /// Auth servers nsqd asks.
    #[serde(default)]
    pub auth: Auth,
    /// Who may connect to the daemons.
    #[serde(default)]
    pub network_policy: NetworkPolicy,
    /// How metrics are found.
    #[serde(default)]
    pub monitoring: Monitoring,
    /// Ids the pods run under.
    #[serde(default)]
    pub pod_security: PodSecurity,
}

impl NsqClusterSpec {
    /// The flavor asked for, else the one the image's name tells.
    #[must_use]
    pub fn flavor_for(&self, image: &str) -> Flavor {
        self.flavor.unwrap_or_else(|| derived_flavor(image))
    }
}

fn cluster_local() -> String {
    "cluster.local".to_owned()
}

/// Whether the operator works on the cluster, and whether the cluster runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// It runs and follows the spec.
    #[default]
    Managed,
    /// It runs and nobody touches it.
    Paused,
    /// It does not run; everything is kept.
    Stopped,
}

/// When the image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// At every start.
    Always,
    /// When it is absent.
    #[default]
    IfNotPresent,
    /// Never.
    Never,
}

/// IP families of all Services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IpFamilyPolicy {
    /// One family.
    #[default]
    SingleStack,
    /// Two where there are two.
    PreferDualStack,
    /// Two or nothing.
    RequireDualStack,
}

default_from_fields!(NsqClusterSpec);
