//! What is kept of the objects a cluster consists of. Pure: watched objects in, [`Child`] out.
//!
//! Pods, claims and workloads are decoded into types that have only the fields read here, so that the rest never takes memory;
//! of everything else only metadata is watched. Source: operator spec 5.4.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use serde::Deserialize;
use serde_json::Value;

use super::foreign;
use super::trim::{self, Trimmed};
use crate::build::{HOT_HASH, ObjectKind, POD_HASH, REMOVING_SINCE, RESTARTED_AT, SPEC_HASH, TEMPLATE_HASH};

/// Label that names the cluster of a child.
pub(super) const CLUSTER: &str = "nsq.rs/cluster";
const INDEX: &str = "nsq.rs/index";
const COMPONENT: &str = "app.kubernetes.io/component";
const PUBLISH: &str = "nsq.rs/publish";
const REVISION: &str = "controller-revision-hash";
/// Annotation of a claim whose node was drained and may lose it: the drain's start.
pub(super) const DRAINED: &str = "nsq.rs/drained";

/// Annotation of a claim whose node was removed with messages on it: their number.
pub(super) const LEFT: &str = "nsq.rs/left-messages";

/// What a stored object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kept {
    /// One of the objects the operator writes.
    Object(ObjectKind),
    /// A pod of ours, made by a controller.
    Pod,
}

/// A cluster: namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClusterKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A child object as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Child {
    /// Its UID.
    pub uid: Box<str>,
    /// Version last seen.
    pub resource_version: Box<str>,
    /// UID of its controller.
    pub owner: Option<Box<str>>,
    /// [`SPEC_HASH`] it carries.
    pub spec_hash: Box<str>,
    /// Somebody else wrote its spec or data after us.
    pub foreign: bool,
    /// It is being deleted.
    pub deleting: bool,
    /// What only some kinds have.
    pub detail: Detail,
}

/// What only some kinds have. Most objects have nothing, so what is large stands elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Detail {
    /// Nothing.
    Plain,
    /// The nodes.
    Nodes(Box<NodesDetail>),
    /// A registry or the consoles.
    Deployment(Box<DeploymentDetail>),
    /// A pod.
    Pod(Box<PodDetail>),
    /// A claim.
    Claim(Box<ClaimDetail>),
    /// A configuration file of nsqd, by the digest of the hot options in it.
    File(Box<str>),
}

/// The StatefulSet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NodesDetail {
    /// Count it is told.
    pub replicas: i32,
    /// Ordinals from here on are replaced.
    pub partition: i32,
    /// Image, configuration and the rest of its template.
    pub template: TemplateParts,
    /// Claim templates, which cannot be changed: JSON as the server wrote it, a quarter of what it is as values.
    pub claim_templates: Box<str>,
    /// Revision of its template, once the controller has seen it.
    pub update_revision: Option<String>,
    /// [`TEMPLATE_HASH`] it carries.
    pub template_hash: String,
    /// The controller knows of one revision only.
    pub is_settled: bool,
}

/// What a pod template consists of, as far as reasons of a rollout are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TemplateParts {
    /// Image of the container.
    pub image: String,
    /// ConfigMap that is mounted.
    pub config: String,
    /// `nsq.rs/restarted-at`.
    pub restarted_at: String,
    /// [`POD_HASH`] of everything else; empty where only the pod is seen.
    pub rest: String,
}

/// A Deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct DeploymentDetail {
    /// Index of the nsqlookupd; none for nsqadmin.
    pub index: Option<i32>,
    /// [`TEMPLATE_HASH`] it carries.
    pub template_hash: String,
    /// Arguments of the container.
    pub args: Vec<String>,
    /// Pods it is told.
    pub wanted: i32,
    /// Pods that are ready.
    pub ready: i32,
    /// When its removal began.
    pub removing_since: Option<Timestamp>,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PodDetail {
    /// `nsqd`, `nsqlookupd` or `nsqadmin`.
    pub component: String,
    /// Its ordinal (nsqd) or index (nsqlookupd).
    pub index: Option<i32>,
    /// Where it is reached.
    pub ip: Option<String>,
    /// Revision of the StatefulSet it was made from.
    pub revision: String,
    /// Parts of its template.
    pub template: TemplateParts,
    /// The fence label is set.
    pub fenced: bool,
    /// When it was made.
    pub made: Option<Timestamp>,
    /// Since when it is ready.
    pub ready_since: Option<Timestamp>,
    /// Its container runs.
    pub running: bool,
    /// Why its container does not run.
    pub waiting: String,
}

/// A claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ClaimDetail {
    /// It is bound to a volume.
    pub bound: bool,
    /// Size asked for.
    pub requested: String,
    /// Actual size.
    pub capacity: String,
    /// Its class.
    pub class_name: Option<String>,
    /// Its attributes class.
    pub attributes_class_name: Option<String>,
    /// Its access modes.
    pub access_modes: Vec<String>,
    /// Its labels, which are compared one by one.
    pub labels: Labels,
    /// [`DRAINED`].
    pub drained: Option<String>,
    /// [`LEFT`].
    pub left: Option<String>,
    /// `Resizing` and `FileSystemResizePending` conditions that are true, with since when and their text.
    pub resize: Vec<ResizeCondition>,
}

/// Labels in one piece, a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(Box<str>);

impl Labels {
    fn of(meta: &ObjectMeta) -> Self {
        let labels = meta.labels.iter().flatten();
        Self(
            labels
                .map(|(key, value)| format!("{key}={value}\n"))
                .collect::<String>()
                .into(),
        )
    }

    /// Whether this label has this value. Neither part of a label can have `=` or the end of a line in it.
    #[must_use]
    pub(super) fn has(&self, key: &str, value: &str) -> bool {
        self.0
            .lines()
            .any(|line| line.split_once('=') == Some((key, value)))
    }
}

/// A condition of a claim that grows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ResizeCondition {
    /// Its type.
    pub kind: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Its message.
    pub message: String,
}

/// A watched object that becomes a [`Child`].
pub(super) trait Watched {
    /// Where it belongs, and what is kept; none for an object without the cluster's label.
    fn keep(self, kind: Kept) -> Option<(ClusterKey, String, Child)>;
}

fn annotation(meta: &ObjectMeta, key: &str) -> String {
    meta.annotations
        .as_ref()
        .and_then(|all| all.get(key))
        .cloned()
        .unwrap_or_default()
}

fn label<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(key).map(String::as_str)
}

/// Namespace, name and cluster of an object, by its labels.
pub(super) fn place(meta: &ObjectMeta) -> Option<(ClusterKey, String)> {
    let key = ClusterKey {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: label(meta, CLUSTER)?.to_owned(),
    };
    Some((key, meta.name.clone()?))
}

fn keep(meta: ObjectMeta, detail: Detail) -> Option<(ClusterKey, String, Child)> {
    let (key, name) = place(&meta)?;
    let owner = meta
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true));
    let child = Child {
        owner: owner.map(|owner| owner.uid.as_str().into()),
        spec_hash: annotation(&meta, SPEC_HASH).into(),
        foreign: foreign::is_marked(meta.managed_fields.as_deref().unwrap_or_default()),
        deleting: meta.deletion_timestamp.is_some(),
        uid: meta.uid.unwrap_or_default().into(),
        resource_version: meta.resource_version.unwrap_or_default().into(),
        detail,
    };
    Some((key, name, child))
}

impl<K> Watched for Trimmed<K> {
    fn keep(self, _: Kept) -> Option<(ClusterKey, String, Child)> {
        let hot = annotation(&self.metadata, HOT_HASH);
        let detail = if hot.is_empty() {
            Detail::Plain
        } else {
            Detail::File(hot.into())
        };
        keep(self.metadata, detail)
    }
}

/// A StatefulSet with the fields that are read.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = StatefulSet)]
#[serde(rename_all = "camelCase")]
pub(super) struct SlimStatefulSet {
    #[serde(default, deserialize_with = "trim::metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: SlimSetSpec,
    #[serde(default)]
    status: SlimSetStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimSetSpec {
    replicas: i32,
    update_strategy: SlimStrategy,
    template: SlimTemplate,
    volume_claim_templates: Vec<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimStrategy {
    rolling_update: Option<SlimRolling>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SlimRolling {
    partition: i32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimSetStatus {
    observed_generation: i64,
    current_revision: String,
    update_revision: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SlimTemplate {
    #[serde(deserialize_with = "trim::metadata")]
    metadata: ObjectMeta,
    spec: SlimPodSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimPodSpec {
    containers: Vec<SlimContainer>,
    volumes: Vec<SlimVolume>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SlimContainer {
    image: String,
    args: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimVolume {
    name: String,
    config_map: Option<SlimConfigMap>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SlimConfigMap {
    name: String,
}

fn parts(meta: &ObjectMeta, spec: &SlimPodSpec, rest: String) -> TemplateParts {
    let config = spec.volumes.iter().find(|volume| volume.name == "config");
    TemplateParts {
        image: spec
            .containers
            .first()
            .map(|first| first.image.clone())
            .unwrap_or_default(),
        config: config
            .and_then(|volume| volume.config_map.as_ref())
            .map(|map| map.name.clone())
            .unwrap_or_default(),
        restarted_at: annotation(meta, RESTARTED_AT),
        rest,
    }
}

impl Watched for SlimStatefulSet {
    fn keep(self, _: Kept) -> Option<(ClusterKey, String, Child)> {
        let seen = Some(self.status.observed_generation) == self.metadata.generation;
        let template = &self.spec.template;
        let detail = NodesDetail {
            replicas: self.spec.replicas,
            partition: self
                .spec
                .update_strategy
                .rolling_update
                .map_or(self.spec.replicas, |rolling| rolling.partition),
            template: parts(
                &template.metadata,
                &template.spec,
                annotation(&self.metadata, POD_HASH),
            ),
            claim_templates: Value::from(self.spec.volume_claim_templates).to_string().into(),
            is_settled: seen && self.status.current_revision == self.status.update_revision,
            update_revision: seen.then_some(self.status.update_revision),
            template_hash: annotation(&self.metadata, TEMPLATE_HASH),
        };
        keep(self.metadata, Detail::Nodes(Box::new(detail)))
    }
}

/// A Deployment with the fields that are read.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = Deployment)]
#[serde(rename_all = "camelCase")]
pub(super) struct SlimDeployment {
    #[serde(default, deserialize_with = "trim::metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: SlimDeploymentSpec,
    #[serde(default)]
    status: SlimDeploymentStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SlimDeploymentSpec {
    replicas: i32,
    template: SlimTemplate,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimDeploymentStatus {
    ready_replicas: i32,
}

impl Watched for SlimDeployment {
    fn keep(self, _: Kept) -> Option<(ClusterKey, String, Child)> {
        let (wanted, status) = (self.spec.replicas, &self.status);
        let container = self.spec.template.spec.containers.into_iter().next();
        let detail = DeploymentDetail {
            index: label(&self.metadata, INDEX).and_then(|text| text.parse().ok()),
            template_hash: annotation(&self.metadata, TEMPLATE_HASH),
            args: container.map(|container| container.args).unwrap_or_default(),
            wanted,
            ready: status.ready_replicas,
            removing_since: annotation(&self.metadata, REMOVING_SINCE).parse().ok(),
        };
        keep(self.metadata, Detail::Deployment(Box::new(detail)))
    }
}

/// A pod with the fields that are read.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = Pod)]
pub(super) struct SlimPod {
    #[serde(default, deserialize_with = "trim::metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: SlimPodSpec,
    #[serde(default)]
    status: SlimPodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimPodStatus {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    conditions: Vec<SlimCondition>,
    container_statuses: Vec<SlimContainerStatus>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SlimCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    last_transition_time: Option<Time>,
}

impl SlimCondition {
    fn since(&self) -> Option<Timestamp> {
        self.last_transition_time.as_ref().map(|time| time.0)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimContainerStatus {
    state: SlimState,
    last_state: SlimState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SlimState {
    running: Option<Value>,
    waiting: Option<SlimReason>,
    terminated: Option<SlimReason>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimReason {
    reason: String,
    exit_code: Option<i32>,
}

/// Why a pod's container does not run, in the words of the API.
fn waiting(status: &SlimPodStatus) -> String {
    let container = status.container_statuses.first();
    let ended = |state: &SlimState| state.terminated.as_ref().and_then(|ended| ended.exit_code);
    if let Some(container) = container
        && let Some(waiting) = &container.state.waiting
    {
        return match ended(&container.last_state) {
            Some(code) => format!("{} (exit {code})", waiting.reason),
            None => waiting.reason.clone(),
        };
    }
    if let Some(code) = container.and_then(|container| ended(&container.state)) {
        return format!("ended (exit {code})");
    }
    let unscheduled = status
        .conditions
        .iter()
        .find(|condition| condition.kind == "PodScheduled" && condition.status == "False");
    match unscheduled {
        Some(condition) if !condition.message.is_empty() => {
            format!("{}: {}", condition.reason, condition.message)
        }
        Some(condition) => condition.reason.clone(),
        None => status.phase.clone(),
    }
}

impl Watched for SlimPod {
    fn keep(self, _: Kept) -> Option<(ClusterKey, String, Child)> {
        let meta = &self.metadata;
        let component = label(meta, COMPONENT).unwrap_or_default().to_owned();
        let index = if component == "nsqd" {
            let name = meta.name.as_deref().unwrap_or_default();
            name.rsplit_once('-')
                .and_then(|(_, ordinal)| ordinal.parse().ok())
        } else {
            label(meta, INDEX).and_then(|text| text.parse().ok())
        };
        let ready = self
            .status
            .conditions
            .iter()
            .find(|condition| condition.kind == "Ready" && condition.status == "True");
        let running = self
            .status
            .container_statuses
            .first()
            .is_some_and(|container| container.state.running.is_some());
        let detail = PodDetail {
            component,
            index,
            ip: self.status.pod_ip.clone().filter(|ip| !ip.is_empty()),
            revision: label(meta, REVISION).unwrap_or_default().to_owned(),
            template: parts(meta, &self.spec, String::new()),
            fenced: label(meta, PUBLISH) == Some("disabled"),
            made: meta.creation_timestamp.as_ref().map(|at| at.0),
            ready_since: ready.map(|ready| ready.since().unwrap_or(Timestamp::UNIX_EPOCH)),
            running: running || ready.is_some(),
            waiting: waiting(&self.status),
        };
        keep(self.metadata, Detail::Pod(Box::new(detail)))
    }
}

/// A claim with the fields that are read.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = PersistentVolumeClaim)]
pub(super) struct SlimClaim {
    #[serde(default, deserialize_with = "trim::metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: SlimClaimSpec,
    #[serde(default)]
    status: SlimClaimStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimClaimSpec {
    access_modes: Vec<String>,
    resources: SlimResources,
    storage_class_name: Option<String>,
    volume_attributes_class_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SlimResources {
    requests: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SlimClaimStatus {
    phase: String,
    capacity: BTreeMap<String, String>,
    conditions: Vec<SlimCondition>,
}

impl Watched for SlimClaim {
    fn keep(self, _: Kept) -> Option<(ClusterKey, String, Child)> {
        let storage = |sizes: &BTreeMap<String, String>| sizes.get("storage").cloned().unwrap_or_default();
        let resize = self.status.conditions.iter().filter(|condition| {
            condition.status == "True"
                && matches!(condition.kind.as_str(), "Resizing" | "FileSystemResizePending")
        });
        let some = |text: String| (!text.is_empty()).then_some(text);
        let detail = ClaimDetail {
            bound: self.status.phase == "Bound",
            requested: storage(&self.spec.resources.requests),
            capacity: storage(&self.status.capacity),
            class_name: self.spec.storage_class_name,
            attributes_class_name: self.spec.volume_attributes_class_name,
            access_modes: self.spec.access_modes,
            labels: Labels::of(&self.metadata),
            drained: some(annotation(&self.metadata, DRAINED)),
            left: some(annotation(&self.metadata, LEFT)),
            resize: resize
                .map(|condition| ResizeCondition {
                    kind: condition.kind.clone(),
                    since: condition.since(),
                    message: condition.message.clone(),
                })
                .collect(),
        };
        keep(self.metadata, Detail::Claim(Box::new(detail)))
    }
}
