//! One desired object: its metadata, its labels, its hashes.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::resolved::Resolved;
use crate::api::{API_VERSION, Component, ExtraKeys};
use crate::canonical::hash16;

/// Annotation with the hash of the whole desired object.
pub const SPEC_HASH: &str = "nsq.rs/spec-hash";
/// Annotation with the hash of the pod template, on StatefulSet and Deployments.
pub const TEMPLATE_HASH: &str = "nsq.rs/template-hash";
/// Annotation of the StatefulSet with the hash of its pod template without image, configuration and restart: it tells why a
/// template differs from the one before.
pub const POD_HASH: &str = "nsq.rs/pod-hash";

/// Kinds of child objects, in the order they are applied in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// Account of the pods.
    ServiceAccount,
    /// Service.
    Service,
    /// Configuration files.
    ConfigMap,
    /// Claim of a node.
    PersistentVolumeClaim,
    /// Who may connect.
    NetworkPolicy,
    /// Disruption budget.
    PodDisruptionBudget,
    /// nsqlookupd and nsqadmin.
    Deployment,
    /// nsqd.
    StatefulSet,
    /// Route of the console.
    Ingress,
    /// Route of the console.
    HTTPRoute,
    /// Scrape rule.
    PodMonitor,
}

impl ObjectKind {
    /// The `kind`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::Service => "Service",
            Self::ConfigMap => "ConfigMap",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::Ingress => "Ingress",
            Self::HTTPRoute => "HTTPRoute",
            Self::PodMonitor => "PodMonitor",
        }
    }

    /// The `apiVersion`.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::ServiceAccount | Self::Service | Self::ConfigMap | Self::PersistentVolumeClaim => "v1",
            Self::NetworkPolicy | Self::Ingress => "networking.k8s.io/v1",
            Self::PodDisruptionBudget => "policy/v1",
            Self::Deployment | Self::StatefulSet => "apps/v1",
            Self::HTTPRoute => "gateway.networking.k8s.io/v1",
            Self::PodMonitor => "monitoring.coreos.com/v1",
        }
    }
}

/// An object as it is to be applied: full intent, with its hashes.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
    /// The whole object.
    pub object: Value,
}

impl Desired {
    /// Value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.object["metadata"]["annotations"]
            .get(key)
            .and_then(Value::as_str)
    }
}

/// Collects what differs between objects; `finish` adds what all have.
pub(super) struct Draft<'a> {
    cluster: &'a Resolved,
    kind: ObjectKind,
    name: String,
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
    body: Value,
}

impl<'a> Draft<'a> {
    /// An object of a component; `body` holds everything but `apiVersion`, `kind` and `metadata`.
    pub(super) fn new(
        cluster: &'a Resolved,
        kind: ObjectKind,
        name: String,
        component: Option<Component>,
        body: Value,
    ) -> Self {
        let mut labels = child_labels(cluster, component);
        extend(&mut labels, &cluster.spec.common_labels);
        let mut annotations = Map::new();
        extend(&mut annotations, &cluster.spec.common_annotations);
        Self {
            cluster,
            kind,
            name,
            labels,
            annotations,
            body,
        }
    }

    /// Marks a child of one nsqlookupd.
    pub(super) fn index(mut self, index: i32) -> Self {
        self.labels.insert(INDEX.to_owned(), index.to_string().into());
        self
    }

    /// Adds annotations; those of the block win over the common ones.
    pub(super) fn annotations(mut self, extra: &ExtraKeys) -> Self {
        extend(&mut self.annotations, extra);
        self
    }

    /// Adds labels.
    pub(super) fn labels<'b>(mut self, extra: impl IntoIterator<Item = (&'b String, &'b String)>) -> Self {
        self.labels.extend(
            extra
                .into_iter()
                .map(|(key, value)| (key.clone(), value.clone().into())),
        );
        self
    }

    /// The object, owned by the cluster.
    pub(super) fn finish(self) -> Desired {
        let owner = self.cluster.uid.as_ref().map(|uid| {
            json!([{
                "apiVersion": API_VERSION,
                "kind": "NsqCluster",
                "name": self.cluster.name,
                "uid": uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }])
        });
        let mut desired = self.finish_unowned();
        // After the hash, so that `render`, which knows no UID, shows the hashes of a first pass.
        if let Some(owner) = owner {
            desired.object["metadata"]["ownerReferences"] = owner;
        }
        desired
    }

    /// The object without an owner: claims outlive the cluster.
    pub(super) fn finish_unowned(mut self) -> Desired {
        if let Some(template) = self.body.pointer("/spec/template") {
            self.annotations
                .insert(TEMPLATE_HASH.to_owned(), hash16(template).into());
            if self.kind == ObjectKind::StatefulSet {
                self.annotations
                    .insert(POD_HASH.to_owned(), rest_hash(template).into());
            }
        }
        let mut object = self.body;
        object["apiVersion"] = self.kind.api_version().into();
        object["kind"] = self.kind.as_str().into();
        object["metadata"] = json!({
            "name": self.name,
            "namespace": self.cluster.namespace,
            "labels": self.labels,
            "annotations": self.annotations,
        });
        let hash = hash16(&without_claim_templates(&object));
        object["metadata"]["annotations"][SPEC_HASH] = hash.into();
        Desired {
            kind: self.kind,
            name: self.name,
            object,
        }
    }
}

/// The part of an object that can differ from the live one. Claim templates are copied from the live StatefulSet, which the
/// server has filled with defaults by then.
fn without_claim_templates(object: &Value) -> Cow<'_, Value> {
    if object.pointer("/spec/volumeClaimTemplates").is_none() {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.remove("volumeClaimTemplates");
    }
    Cow::Owned(object)
}

/// Hash of a pod template without the parts that are reasons of their own: image, ConfigMap, restart.
fn rest_hash(template: &Value) -> String {
    let mut rest = template.clone();
    if let Some(annotations) = rest
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(RESTARTED_AT);
    }
    for (path, key) in [
        ("/spec/containers/0", "image"),
        ("/spec/volumes/0/configMap", "name"),
    ] {
        if let Some(part) = rest.pointer_mut(path).and_then(Value::as_object_mut) {
            part.remove(key);
        }
    }
    hash16(&rest)
}

/// Annotation of nsqd's pod template that changes with `restartedAt`.
pub const RESTARTED_AT: &str = "nsq.rs/restarted-at";
/// Label with the number of an nsqlookupd.
pub(super) const INDEX: &str = "nsq.rs/index";
/// Label by which the publish Service finds nodes.
pub(super) const PUBLISH: &str = "nsq.rs/publish";

/// Labels every child has; pods have them without the common ones.
pub(super) fn child_labels(cluster: &Resolved, component: Option<Component>) -> Map<String, Value> {
    let mut labels = selector(cluster, component);
    labels.insert("app.kubernetes.io/part-of".to_owned(), "nsq".into());
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "nsq-operator".into());
    labels.insert("nsq.rs/cluster".to_owned(), cluster.name.clone().into());
    labels
}

/// Labels that select the pods of a component, or of the whole cluster; they never change.
pub(super) fn selector(cluster: &Resolved, component: Option<Component>) -> Map<String, Value> {
    let mut labels = Map::new();
    labels.insert("app.kubernetes.io/name".to_owned(), "nsq".into());
    labels.insert(
        "app.kubernetes.io/instance".to_owned(),
        cluster.name.clone().into(),
    );
    if let Some(component) = component {
        labels.insert(
            "app.kubernetes.io/component".to_owned(),
            component.as_str().into(),
        );
    }
    labels
}

/// Selector of the pods of one nsqlookupd.
pub(super) fn lookupd_selector(cluster: &Resolved, index: i32) -> Map<String, Value> {
    let mut labels = selector(cluster, Some(Component::Lookupd));
    labels.insert(INDEX.to_owned(), index.to_string().into());
    labels
}

/// Adds a user's keys.
pub(super) fn extend(map: &mut Map<String, Value>, extra: &ExtraKeys) {
    map.extend(
        extra
            .0
            .iter()
            .map(|(key, value)| (key.clone(), value.clone().into())),
    );
}
