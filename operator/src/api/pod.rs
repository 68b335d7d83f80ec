//! The pod block: what a user may say about the pods of a component. One shape, three schema types,
//! because the default requests differ.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::defaults::is_empty;
use super::quantity::ResourceQuantity;
use super::rules::ExtraKeys;

/// Default requests of one component.
pub trait Requests {
    /// Default of `resources.requests.cpu`.
    const CPU: &'static str;
    /// Default of `resources.requests.memory`.
    const MEMORY: &'static str;
}

macro_rules! component_requests {
    ($($marker:ident, $pod:ident, $name:literal, $cpu:literal, $memory:literal);+ $(;)?) => {$(
        #[doc = concat!("Default requests of ", $name, ".")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $marker {}
        impl Requests for $marker {
            const CPU: &'static str = $cpu;
            const MEMORY: &'static str = $memory;
        }
        #[doc = concat!("Pod block of ", $name, ".")]
        pub type $pod = Pod<$marker>;
    )+};
}
component_requests! {
    NsqdRequests, NsqdPod, "nsqd", "100m", "256Mi";
    LookupdRequests, LookupdPod, "nsqlookupd", "20m", "32Mi";
    AdminRequests, AdminPod, "nsqadmin", "20m", "64Mi";
}

/// What a user may say about the pods of one component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", bound = "")]
#[schemars(bound = "", rename = "PodBlock")]
pub struct Pod<R: Requests> {
    /// Requests and limits of the container.
    #[serde(default)]
    pub resources: Resources<R>,
    /// Node labels the pod needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints the pod tolerates.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Affinity of the pod, passed through as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub affinity: Option<Map<String, Value>>,
    /// How pods are spread over hosts and zones.
    #[serde(default)]
    pub topology_spread: TopologySpread,
    /// Priority class of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// Labels added to the pod.
    #[serde(default, skip_serializing_if = "ExtraKeys::is_empty")]
    pub labels: ExtraKeys,
    /// Annotations added to the pod.
    #[serde(default, skip_serializing_if = "ExtraKeys::is_empty")]
    pub annotations: ExtraKeys,
    /// Environment variables added to the container.
    #[serde(default, skip_serializing_if = "is_empty")]
    #[schemars(length(max = 32))]
    pub env: Vec<EnvVar>,
}

/// Requests and limits of the container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", bound = "")]
#[schemars(bound = "", rename = "Resources")]
pub struct Resources<R: Requests> {
    /// What the scheduler sets aside.
    #[serde(default = "requests::<R>")]
    pub requests: BTreeMap<String, ResourceQuantity>,
    /// What the container may not exceed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, ResourceQuantity>,
    #[serde(skip)]
    component: PhantomData<R>,
}

fn requests<R: Requests>() -> BTreeMap<String, ResourceQuantity> {
    [("cpu", R::CPU), ("memory", R::MEMORY)]
        .map(|(resource, amount)| (resource.to_owned(), ResourceQuantity(amount.to_owned())))
        .into()
}

impl<R: Requests> Default for Pod<R> {
    fn default() -> Self {
        super::defaults::from_fields()
    }
}

impl<R: Requests> Default for Resources<R> {
    fn default() -> Self {
        super::defaults::from_fields()
    }
}

/// How pods of a component are spread over hosts and zones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TopologySpread {
    /// No constraint.
    None,
    /// Spread when possible.
    #[default]
    Soft,
    /// Rather pending than uneven.
    Hard,
}

/// A taint the pod tolerates, as in a pod spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Taint key; absent matches all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `Equal` or `Exists`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,
    /// Taint value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Taint effect; absent matches all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
    /// How long a NoExecute taint is tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

/// How a toleration compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TolerationOperator {
    /// Key and value are equal.
    Equal,
    /// The key is there.
    Exists,
}

/// Effect of a taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away when possible.
    PreferNoSchedule,
    /// Running pods go too.
    NoExecute,
}

/// One environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvVar {
    /// Name of the variable.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its value; `$(NAME)` refers to variables before it.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// Schema of an object that is passed through unread.
pub(crate) fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}
