//! Metadata of watched objects, trimmed while it is decoded: most of what an object carries is the record of who manages which
//! field, of which one bit is read. Source: operator spec 5.4.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time,
};
use kube::Resource;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Start of the annotations that mean something to us.
const OURS: &str = "nsq.rs/";

/// An object of which metadata alone is kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "")]
pub(super) struct Trimmed<K> {
    #[serde(default, deserialize_with = "metadata")]
    pub(super) metadata: ObjectMeta,
    #[serde(skip)]
    kind: PhantomData<K>,
}

impl<K: Resource<DynamicType = ()>> Resource for Trimmed<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Reads metadata without what nobody looks at: annotations of others, owners that are no controllers, fields below the first
/// level of the record of managers.
pub(super) fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read = Metadata::deserialize(deserializer)?;
    let owner = |owner: Owner| OwnerReference {
        uid: owner.uid,
        controller: Some(true),
        ..OwnerReference::default()
    };
    let entry = |entry: Entry| ManagedFieldsEntry {
        manager: entry.manager,
        subresource: entry.subresource,
        time: entry.time,
        fields_v1: Some(FieldsV1(Value::Object(entry.fields_v1.0))),
        ..ManagedFieldsEntry::default()
    };
    let controllers = read.owner_references.into_iter().filter(|owner| owner.controller);
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        generation: read.generation,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        labels: Some(read.labels),
        annotations: Some(read.annotations.0),
        owner_references: Some(controllers.map(owner).collect()),
        managed_fields: Some(read.managed_fields.into_iter().map(entry).collect()),
        ..ObjectMeta::default()
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: BTreeMap<String, String>,
    annotations: Annotations,
    owner_references: Vec<Owner>,
    managed_fields: Vec<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Owner {
    uid: String,
    controller: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    manager: Option<String>,
    subresource: Option<String>,
    time: Option<Time>,
    fields_v1: TopLevel,
}

/// Names of the first level: what an entry touches at all.
#[derive(Default)]
struct TopLevel(Map<String, Value>);

impl<'de> Deserialize<'de> for TopLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = TopLevel;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TopLevel, A::Error> {
                let mut names = Map::new();
                while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
                    names.insert(name, Value::Null);
                }
                Ok(TopLevel(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// Annotations of ours.
#[derive(Default)]
struct Annotations(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ours;
        impl<'de> Visitor<'de> for Ours {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut ours = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name.starts_with(OURS) {
                        ours.insert(name, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Annotations(ours))
            }
        }
        deserializer.deserialize_map(Ours)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use serde_json::json;

    use super::super::foreign;
    use super::*;

    #[test]
    fn what_nobody_looks_at_is_not_kept_and_the_rest_is_as_it_was() {
        let text = json!({
            "apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 1}]},
            "metadata": {
                "name": "s", "namespace": "ns", "uid": "u", "resourceVersion": "7", "generation": 3,
                "creationTimestamp": "2026-01-01T00:00:00Z", "selfLink": "x", "finalizers": ["f"],
                "labels": {"a": "b"},
                "annotations": {"nsq.rs/spec-hash": "h", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "K", "name": "n", "uid": "other"},
                    {"apiVersion": "v1", "kind": "K", "name": "n", "uid": "owner", "controller": true}],
                "managedFields": [
                    {"manager": "nsq-operator", "operation": "Apply", "time": "2026-01-01T00:00:00Z",
                        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:ports": {".": {}}}}},
                    {"manager": "kubectl", "operation": "Update", "time": "2026-01-01T00:00:01Z",
                        "fieldsV1": {"f:metadata": {}, "f:spec": {"f:type": {}}}}],
            },
        })
        .to_string();
        let read: Trimmed<Service> = serde_json::from_str(&text).unwrap();
        let meta = read.metadata;
        assert_eq!(
            (
                meta.name.as_deref(),
                meta.namespace.as_deref(),
                meta.uid.as_deref()
            ),
            (Some("s"), Some("ns"), Some("u"))
        );
        assert_eq!(
            (meta.resource_version.as_deref(), meta.generation),
            (Some("7"), Some(3))
        );
        assert!(meta.creation_timestamp.is_some() && meta.deletion_timestamp.is_none());
        assert_eq!(meta.labels.unwrap()["a"], "b");
        assert_eq!(
            meta.annotations.unwrap(),
            BTreeMap::from([("nsq.rs/spec-hash".to_owned(), "h".to_owned())])
        );
        let owners = meta.owner_references.unwrap();
        assert_eq!((owners.len(), owners[0].uid.as_str()), (1, "owner"));
        assert!(foreign::is_marked(&meta.managed_fields.unwrap()));
    }

    #[test]
    fn an_object_with_next_to_nothing_is_read_too() {
        let read: Trimmed<Service> = serde_json::from_str(r#"{"metadata":{"name":"s"}}"#).unwrap();
        assert_eq!(read.metadata.name.as_deref(), Some("s"));
        let read: Result<Trimmed<Service>, _> = serde_json::from_str("{}");
        assert!(read.unwrap().metadata.name.is_none());
    }
}
