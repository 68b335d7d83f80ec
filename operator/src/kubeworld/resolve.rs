//! From a cluster and its live children to what the builders get. Pure.

use super::child::{Child, ClaimDetail, ClusterKey, Detail, Kept, NodesDetail};
use super::store::{Children, Entry};
use crate::api::{NsqCluster, Quantity};
use crate::build::{Apis, Live, LiveClaim, NodeCount, ObjectKind, Registries, Registry, Resolved};
use crate::plan::Shape;

/// What is the same for all clusters.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// Image of clusters that name none and never had one.
    pub default_image: String,
    /// Namespace of the operator, allowed in network policies.
    pub operator_namespace: Option<String>,
}

/// The child of that kind and name.
pub(super) fn child<'a>(children: &'a Children, kind: ObjectKind, name: &str) -> Option<&'a Child> {
    children
        .get(&(Kept::Object(kind), name.to_owned()))
        .map(|child| &**child)
}

/// The live StatefulSet.
pub(super) fn nodes<'a>(children: &'a Children, cluster: &str) -> Option<(&'a Child, &'a NodesDetail)> {
    let child = child(children, ObjectKind::StatefulSet, &format!("{cluster}-nsqd"))?;
    match &child.detail {
        Detail::Nodes(nodes) => Some((child, nodes)),
        _ => None,
    }
}

/// The live claim of that name.
pub(super) fn claim<'a>(children: &'a Children, name: &str) -> Option<(&'a Child, &'a ClaimDetail)> {
    let child = child(children, ObjectKind::PersistentVolumeClaim, name)?;
    match &child.detail {
        Detail::Claim(claim) => Some((child, claim)),
        _ => None,
    }
}

/// The cluster as the builders want it, with the count and the registries that are live.
#[must_use]
pub(super) fn resolve(cluster: &NsqCluster, entry: &Entry, apis: Apis, around: &Surroundings) -> Resolved {
    let key = ClusterKey {
        namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
        name: cluster.metadata.name.clone().unwrap_or_default(),
    };
    let live = nodes(&entry.children, &key.name).map(|(_, nodes)| nodes);
    let status = cluster.status.as_ref();
    // An upgrade of the operator must not move a cluster to another image.
    let sticky = status.and_then(|status| status.image.clone()).or_else(|| {
        live.map(|live| live.template.image.clone())
            .filter(|image| !image.is_empty())
    });
    let image = sticky.as_deref().unwrap_or(&around.default_image);
    let mut resolved = Resolved::first(cluster, &key.namespace, image);
    resolved.operator_namespace.clone_from(&around.operator_namespace);
    resolved.apis = apis;
    resolved.live = Live {
        claim_templates: live.and_then(|live| serde_json::from_str(&live.claim_templates).ok()),
        claims: claims(&entry.children),
    };
    resolved
}

fn claims(children: &Children) -> std::collections::BTreeMap<String, LiveClaim> {
    let live = |((kept, name), child): (&(Kept, String), &std::sync::Arc<Child>)| {
        let Detail::Claim(claim) = &child.detail else {
            return None;
        };
        (*kept == Kept::Object(ObjectKind::PersistentVolumeClaim)).then(|| {
            let live = LiveClaim {
                access_modes: claim.access_modes.clone(),
                class_name: claim.class_name.clone(),
                size: Quantity(claim.requested.clone()),
            };
            (name.clone(), live)
        })
    };
    children.iter().filter_map(live).collect()
}

/// The same with what the plan decided.
pub(super) fn take_shape(
    resolved: &mut Resolved,
    shape: &Shape,
    replicas: i32,
    removing_since: impl Fn(i32) -> String,
) {
    resolved.nodes = NodeCount::rolling(replicas, shape.partition);
    let running = !shape.lookupds.is_empty();
    let registry = |lookupd: &crate::plan::LookupdShape| Registry {
        index: lookupd.index,
        removing_since: lookupd.removing.then(|| removing_since(lookupd.index)),
    };
    let all = if running {
        shape.lookupds.iter().map(registry).collect()
    } else {
        // A stopped cluster keeps the objects, and with them the addresses.
        std::mem::take(&mut resolved.registries.all)
    };
    resolved.registries = Registries {
        all,
        running,
        register_with: shape.register_with.clone(),
        read_by_admin: shape.admin.as_ref().map_or_else(
            || resolved.registries.read_by_admin.clone(),
            |admin| admin.lookupds.clone(),
        ),
        admins: shape.admin.as_ref().map_or(0, |admin| admin.replicas),
    };
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::child::TemplateParts;
    use super::*;

    fn image(spec: &serde_json::Value, status: Option<&str>, live: Option<&str>) -> String {
        let mut cluster: NsqCluster = serde_json::from_value(json!({
            "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster",
            "metadata": {"name": "c", "namespace": "ns"}, "spec": spec,
        }))
        .unwrap();
        cluster.status = status.map(|image| crate::api::NsqClusterStatus {
            image: Some(image.to_owned()),
            ..Default::default()
        });
        let mut entry = Entry::default();
        if let Some(image) = live {
            let child = Child {
                uid: "u".into(),
                resource_version: "1".into(),
                owner: None,
                spec_hash: "".into(),
                foreign: false,
                deleting: false,
                detail: Detail::Nodes(Box::new(NodesDetail {
                    template: TemplateParts {
                        image: image.to_owned(),
                        ..TemplateParts::default()
                    },
                    ..NodesDetail::default()
                })),
            };
            let name = (Kept::Object(ObjectKind::StatefulSet), "c-nsqd".to_owned());
            entry.children.insert(name, Arc::new(child));
        }
        let around = Surroundings {
            default_image: "nsq:new".to_owned(),
            operator_namespace: None,
        };
        resolve(&cluster, &entry, Apis::default(), &around).image
    }

    #[test]
    fn op_058_a_cluster_keeps_its_image_when_the_operator_has_a_newer_default() {
        let none = json!({});
        assert_eq!(image(&none, Some("nsq:old"), None), "nsq:old");
        assert_eq!(image(&none, Some("nsq:old"), Some("nsq:live")), "nsq:old");
        assert_eq!(image(&none, None, Some("nsq:live")), "nsq:live");
        assert_eq!(image(&none, None, None), "nsq:new");
        assert_eq!(
            image(&json!({"image": "nsq:mine"}), Some("nsq:old"), Some("nsq:live")),
            "nsq:mine"
        );
    }
}
