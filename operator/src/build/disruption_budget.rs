//! Disruption budgets.

use serde_json::json;

use super::object::{Desired, Draft, ObjectKind, selector};
use super::resolved::Resolved;
use crate::api::Component;

pub(super) fn build(cluster: &Resolved) -> Vec<Desired> {
    let nsqd = &cluster.spec.nsqd.pdb;
    let budgets = [
        (Component::Nsqd, nsqd.enabled, nsqd.max_unavailable),
        (Component::Lookupd, cluster.spec.lookupd.pdb.enabled, 1),
    ];
    budgets
        .into_iter()
        .filter(|(_, enabled, _)| *enabled)
        .map(|(component, _, max_unavailable)| {
            let body = json!({"spec": {
                "maxUnavailable": max_unavailable,
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": {"matchLabels": selector(cluster, Some(component))},
            }});
            let name = cluster.names().of(component);
            Draft::new(
                cluster,
                ObjectKind::PodDisruptionBudget,
                name,
                Some(component),
                body,
            )
            .finish()
        })
        .collect()
}
