//! PodMonitor of the Prometheus operator, where it is asked for and its API exists.

use serde_json::{Value, json};

use super::object::{Desired, Draft, ObjectKind, selector};
use super::resolved::Resolved;

pub(super) fn build(cluster: &Resolved) -> Option<Desired> {
    let monitoring = &cluster.spec.monitoring;
    // Go daemons have no metrics to scrape.
    if !monitoring.pod_monitor || !cluster.apis.pod_monitor || !cluster.is_native() {
        return None;
    }
    let relabel = |label: &str, target: &str| -> Value {
        json!({
            "sourceLabels": [format!("__meta_kubernetes_pod_label_app_kubernetes_io_{label}")],
            "targetLabel": target,
        })
    };
    let body = json!({"spec": {
        "selector": {"matchLabels": selector(cluster, None)},
        "sampleLimit": 50_000,
        "podMetricsEndpoints": [{
            "port": "http",
            "path": "/metrics",
            "relabelings": [relabel("instance", "nsq_cluster"), relabel("component", "nsq_component")],
        }],
    }});
    let name = cluster.names().shared();
    let draft = Draft::new(cluster, ObjectKind::PodMonitor, name, None, body);
    Some(draft.labels(&monitoring.pod_monitor_labels).finish())
}
