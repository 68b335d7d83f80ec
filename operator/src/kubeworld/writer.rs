//! Every request that changes something goes through here: it asks who leads, counts, logs, and says what went wrong.
//! Source: operator spec 5.1, 5.2.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Pod};
use k8s_openapi::api::events::v1::Event as KubeEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, EvictParams, Patch, PatchParams, PostParams, Preconditions,
};
use kube::core::{GroupVersionKind, PartialObjectMeta};
use kube::{Api, Client, Resource};
use serde_json::{Value, json};

use super::foreign::{CHILDREN, FENCE, STATUS};
use super::lease::Leadership;
use super::metrics::Metrics;
use super::problem::Problem;
use crate::api::API_VERSION;
use crate::build::{Desired, ObjectKind};
use crate::plan::{CLEANUP, Event, Hold};

/// Longest wait for one answer of the API server.
const REQUEST: Duration = Duration::from_secs(15);

/// Writes objects of one API server.
#[derive(Clone)]
pub(super) struct Writer {
    client: Client,
    leadership: Leadership,
    /// Who tells events.
    me: String,
    metrics: Metrics,
}

/// What came back from an apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Version the object has now.
    pub resource_version: String,
    /// Its UID.
    pub uid: String,
}

impl Writer {
    /// A writer that works while `leadership` says so.
    #[must_use]
    pub(super) fn new(client: Client, leadership: Leadership, me: &str, metrics: Metrics) -> Self {
        Self {
            client,
            leadership,
            me: me.to_owned(),
            metrics,
        }
    }

    fn may_write(&self) -> Result<(), Problem> {
        if self.leadership.leads() {
            Ok(())
        } else {
            Err(Problem::NotLeader)
        }
    }

    /// Whether a step that cannot be undone may be taken now.
    ///
    /// # Errors
    /// The lease is not fresh.
    pub(super) fn may_destroy(&self) -> Result<(), Problem> {
        if self.leadership.is_fresh() {
            Ok(())
        } else {
            Err(Problem::NotLeader)
        }
    }

    /// Metadata of an object, straight from the server; none if it does not exist.
    ///
    /// # Errors
    /// What the server said.
    pub(super) async fn read(
        &self,
        kind: ObjectKind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PartialObjectMeta<DynamicObject>>, Problem> {
        let api = children(&self.client, kind, namespace);
        bounded(api.get_metadata_opt(name)).await
    }

    /// One entry of a ConfigMap; none if there is no such object or entry.
    ///
    /// # Errors
    /// What the server said.
    pub(super) async fn read_file(
        &self,
        namespace: &str,
        name: &str,
        file: &str,
    ) -> Result<Option<String>, Problem> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let found = bounded(api.get_opt(name)).await?;
        Ok(found.and_then(|map| map.data?.remove(file)))
    }

    /// Applies the whole intent of a child. With `at` only if that is its version still.
    ///
    /// # Errors
    /// What the server said.
    pub(super) async fn apply(
        &self,
        namespace: &str,
        child: &Desired,
        at: Option<&str>,
        why: &str,
    ) -> Result<Written, Problem> {
        self.may_write()?;
        let mut object = child.object.clone();
        if let Some(version) = at {
            object["metadata"]["resourceVersion"] = version.into();
        }
        let api = children(&self.client, child.kind, namespace);
        let params = PatchParams::apply(CHILDREN).force();
        let patch = Patch::Apply(object);
        let answer = bounded(api.patch_metadata(&child.name, &params, &patch)).await?;
        self.note(child.kind.as_str(), namespace, &child.name, "apply", why);
        Ok(Written {
            resource_version: answer.metadata.resource_version.unwrap_or_default(),
            uid: answer.metadata.uid.unwrap_or_default(),
        })
    }

    /// Puts the spec of a child in place of what stands there, lists as a whole. An apply cannot take an element out of a list
    /// that somebody else put into it.
    ///
    /// # Errors
    /// What the server said.
    pub(super) async fn replace_spec(&self, namespace: &str, child: &Desired) -> Result<(), Problem> {
        self.may_write()?;
        let api = children(&self.client, child.kind, namespace);
        let params = PatchParams {
            field_manager: Some(CHILDREN.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({"spec": child.object["spec"]}));
        bounded(api.patch_metadata(&child.name, &params, &patch)).await?;
        self.note(
            child.kind.as_str(),
            namespace,
            &child.name,
            "apply",
            "lists replaced",
        );
        Ok(())
    }

    /// Takes out of the books what [`replace_spec`](Self::replace_spec) left in them: the fields are ours by apply, and would stay
    /// when an apply drops them while an update of ours is said to want them too.
    ///
    /// # Errors
    /// What the server said.
    pub(super) async fn own_by_apply(&self, namespace: &str, child: &Desired) -> Result<Written, Problem> {
        self.may_write()?;
        let found = self.read(child.kind, namespace, &child.name).await?;
        let meta = found.ok_or(Problem::Missing)?.metadata;
        let mut entries = meta.managed_fields.unwrap_or_default();
        entries.retain(|entry| {
            entry.manager.as_deref() != Some(CHILDREN) || entry.operation.as_deref() != Some("Update")
        });
        let patch = Patch::Merge(json!({"metadata": {
            "uid": meta.uid, "resourceVersion": meta.resource_version, "managedFields": entries,
        }}));
        let params = PatchParams {
            field_manager: Some(CHILDREN.to_owned()),
            ..PatchParams::default()
        };
        let api = children(&self.client, child.kind, namespace);
        let answer = bounded(api.patch_metadata(&child.name, &params, &patch)).await?;
        self.note(
            child.kind.as_str(),
            namespace,
            &child.name,
            "apply",
            "fields owned by apply",
        );
        Ok(Written {
            resource_version: answer.metadata.resource_version.unwrap_or_default(),
            uid: answer.metadata.uid.unwrap_or_default(),
        })
    }

    /// Deletes a child, if it still is the one with that UID and, where given, of that version.
    ///
    /// # Errors
    /// What the server said; an object that is gone already is success.
    pub(super) async fn delete(
        &self,
        kind: ObjectKind,
        namespace: &str,
        name: &str,
        (uid, version): (&str, Option<&str>),
        why: &str,
    ) -> Result<(), Problem> {
        self.may_write()?;
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: version.map(str::to_owned),
        });
        let api = children(&self.client, kind, namespace);
        match bounded(api.delete(name, &params)).await {
            Ok(_) => {
                self.note(kind.as_str(), namespace, name, "delete", why);
                Ok(())
            }
            Err(Problem::Missing) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// Sets the fence label of the pod with that UID. One that is gone or replaced is looked at again in the next pass.
    ///
    /// # Errors
    /// What the server said.
    pub(super) async fn fence(
        &self,
        namespace: &str,
        pod: &str,
        uid: &str,
        fenced: bool,
    ) -> Result<(), Problem> {
        self.may_write()?;
        let value = if fenced { "disabled" } else { "enabled" };
        let body = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": pod, "uid": uid, "labels": {"nsq.rs/publish": value}},
        });
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let params = PatchParams::apply(FENCE).force();
        match bounded(api.patch_metadata(pod, &params, &Patch::Apply(body))).await {
            Ok(_) => {
                self.note("Pod", namespace, pod, "label", value);
                Ok(())
            }
            Err(Problem::Conflict | Problem::Missing | Problem::Invalid(_)) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// Sets or takes away the finalizer of a declared topic or channel.
    ///
    /// # Errors
    /// What the server said; an object that is gone is success.
    pub(super) async fn hold(&self, namespace: &str, hold: &Hold) -> Result<(), Problem> {
        self.may_write()?;
        let kind = if hold.is_channel { "NsqChannel" } else { "NsqTopic" };
        let finalizers: &[&str] = if hold.held { &[CLEANUP] } else { &[] };
        let body = json!({
            "apiVersion": API_VERSION, "kind": kind,
            "metadata": {"name": hold.name, "finalizers": finalizers},
        });
        let api = own_kind(&self.client, kind, namespace);
        let params = PatchParams::apply(CHILDREN).force();
        match bounded(api.patch_metadata(&hold.name, &params, &Patch::Apply(body))).await {
            Ok(_) => {
                self.note(kind, namespace, &hold.name, "apply", "finalizer");
                Ok(())
            }
            Err(Problem::Missing) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// Applies the status of one of our kinds; gives the version the object has then.
    ///
    /// # Errors
    /// What the server said.
    pub(super) async fn status(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        status: Value,
    ) -> Result<String, Problem> {
        self.may_write()?;
        let body = json!({
            "apiVersion": API_VERSION, "kind": kind,
            "metadata": {"name": name}, "status": status,
        });
        let api = own_kind(&self.client, kind, namespace);
        let params = PatchParams::apply(STATUS).force();
        let written = bounded(api.patch_status(name, &params, &Patch::Apply(body))).await?;
        self.note(kind, namespace, name, "status", "");
        Ok(written.metadata.resource_version.unwrap_or_default())
    }

    /// Has a pod ended by the eviction API, which respects disruption budgets, if it still is the one with that UID.
    ///
    /// # Errors
    /// What the server said; 429 while a budget does not allow it.
    pub(super) async fn evict(&self, namespace: &str, pod: &str, uid: &str) -> Result<(), Problem> {
        self.may_destroy()?;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let params = EvictParams {
            delete_options: Some(DeleteParams::default().preconditions(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            })),
            ..EvictParams::default()
        };
        match bounded(api.evict(pod, &params)).await {
            Ok(_) => {
                self.note(
                    "Pod",
                    namespace,
                    pod,
                    "evict",
                    "the file system waits for a restart",
                );
                Ok(())
            }
            Err(Problem::Missing) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// Tells an event about an object. One that cannot be told is only logged.
    pub(super) async fn event(
        &self,
        namespace: &str,
        about: &ObjectReference,
        event: &Event,
        now: Timestamp,
    ) {
        if self.may_write().is_err() {
            return;
        }
        let name = about.name.as_deref().unwrap_or_default();
        let about = ObjectReference {
            namespace: Some(namespace.to_owned()),
            ..about.clone()
        };
        let kind = if event.warning { "Warning" } else { "Normal" };
        let told = KubeEvent {
            metadata: ObjectMeta {
                name: Some(event_name(name)),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            type_: Some(kind.to_owned()),
            reason: Some(event.reason.to_string()),
            note: Some(event.note.clone()),
            action: Some(event.reason.action().to_owned()),
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(CHILDREN.to_owned()),
            reporting_instance: Some(self.me.clone()),
            regarding: Some(about),
            ..KubeEvent::default()
        };
        tracing::info!(namespace, name, reason = %event.reason, "{}", event.note);
        let api: Api<KubeEvent> = Api::namespaced(self.client.clone(), namespace);
        match bounded(api.create(&PostParams::default(), &told)).await {
            Ok(_) => self.metrics.wrote("Event", "event"),
            Err(problem) => tracing::warn!(namespace, name, "event not told: {problem}"),
        }
    }

    fn note(&self, kind: &str, namespace: &str, name: &str, action: &str, why: &str) {
        self.metrics.wrote(kind, action);
        tracing::info!(
            kind,
            namespace,
            name,
            action,
            reason = why,
            "{action} {kind} {name}"
        );
    }
}

/// A name that no other event has. Each is an object of its own: a series would keep the note of its first.
fn event_name(about: &str) -> String {
    let bits = RandomState::new().hash_one(about);
    format!("{about}.{bits:016x}")
}

async fn bounded<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Problem> {
    tokio::time::timeout(REQUEST, request)
        .await
        .map_err(|_| Problem::Other("the API server does not answer".to_owned()))?
        .map_err(Problem::from)
}

/// The API of a kind of child in a namespace.
fn children(client: &Client, kind: ObjectKind, namespace: &str) -> Api<DynamicObject> {
    let (group, version) = kind
        .api_version()
        .split_once('/')
        .unwrap_or(("", kind.api_version()));
    let kind = GroupVersionKind::gvk(group, version, kind.as_str());
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind))
}

fn own_kind(client: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let (group, version) = API_VERSION.split_once('/').unwrap_or(("", API_VERSION));
    let kind = GroupVersionKind::gvk(group, version, kind);
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind))
}

/// Owner UID of an object's controller.
#[must_use]
pub(super) fn owner(meta: &PartialObjectMeta<DynamicObject>) -> Option<&str> {
    let owners = meta.meta().owner_references.as_deref().unwrap_or_default();
    owners
        .iter()
        .find(|owner| owner.controller == Some(true))
        .map(|owner| owner.uid.as_str())
}
