//! Claims of the nodes, and the claim template. Source: operator spec 4.8.

use serde_json::{Value, json};

use super::object::{Desired, Draft, ObjectKind, child_labels, extend};
use super::resolved::{LiveClaim, Resolved};
use crate::api::{AccessMode, Component, Quantity, Storage, StorageType};

/// Claims for all nodes there should be. They are made before the StatefulSet grows, so that new nodes get
/// the current size; it adopts them by name.
pub(super) fn build(cluster: &Resolved) -> Vec<Desired> {
    if cluster.spec.nsqd.storage.kind == StorageType::Ephemeral {
        return Vec::new();
    }
    let claim = |ordinal| {
        let name = cluster.names().claim(ordinal);
        let spec = claim_spec(&cluster.spec.nsqd.storage, cluster.live.claims.get(&name));
        let body = json!({"spec": spec});
        let kind = ObjectKind::PersistentVolumeClaim;
        Draft::new(cluster, kind, name, Some(Component::Nsqd), body).finish_unowned()
    };
    (0..cluster.nodes.desired()).map(claim).collect()
}

/// Claim templates of the StatefulSet: the live ones, which cannot be changed, else built from the spec.
pub(super) fn templates(cluster: &Resolved) -> Vec<Value> {
    if let Some(live) = &cluster.live.claim_templates {
        return live.clone();
    }
    if cluster.spec.nsqd.storage.kind == StorageType::Ephemeral {
        return Vec::new();
    }
    let mut labels = child_labels(cluster, Some(Component::Nsqd));
    extend(&mut labels, &cluster.spec.common_labels);
    vec![json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "labels": labels},
        "spec": claim_spec(&cluster.spec.nsqd.storage, None),
    })]
}

fn claim_spec(storage: &Storage, live: Option<&LiveClaim>) -> Value {
    let mode = match storage.access_mode {
        AccessMode::ReadWriteOnce => "ReadWriteOnce",
        AccessMode::ReadWriteOncePod => "ReadWriteOncePod",
    };
    let modes = live.map_or_else(|| vec![mode.to_owned()], |live| live.access_modes.clone());
    let class = live.map_or(&storage.class_name, |live| &live.class_name);
    let size = live.map_or(&storage.size, |live| larger(&live.size, &storage.size));
    let mut spec = json!({
        "accessModes": modes,
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": size}},
    });
    if let Some(class) = class {
        spec["storageClassName"] = class.clone().into();
    }
    if let Some(class) = &storage.volume_attributes_class_name {
        spec["volumeAttributesClassName"] = class.clone().into();
    }
    spec
}

/// A claim never shrinks: the API server would refuse it.
fn larger<'a>(live: &'a Quantity, wanted: &'a Quantity) -> &'a Quantity {
    if wanted.bytes() > live.bytes() {
        wanted
    } else {
        live
    }
}
