//! What the pods of all components have in common: the *restricted* security profile, scheduling, image.
//! Source: operator spec 4.2 and 4.9.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::object::{child_labels, extend, selector};
use super::resolved::Resolved;
use crate::api::{Component, ImagePullPolicy, Pod, Requests, TopologySpread};

/// Parts of a pod that its component decides.
pub(super) struct PodDraft<'a, R: Requests> {
    pub(super) cluster: &'a Resolved,
    pub(super) component: Component,
    pub(super) block: &'a Pod<R>,
    /// Labels beyond those of every child.
    pub(super) labels: Vec<(&'static str, String)>,
    /// Annotations of the operator.
    pub(super) annotations: Vec<(&'static str, String)>,
    /// Container fields of the component: args, ports, probes, mounts, lifecycle.
    pub(super) container: Value,
    /// Environment before the user's.
    pub(super) env: Vec<Value>,
    pub(super) volumes: Vec<Value>,
    pub(super) grace_seconds: i32,
    /// Account; `None` is the shared one without a token.
    pub(super) account: Option<&'a str>,
}

impl<R: Requests> PodDraft<'_, R> {
    /// The pod template.
    pub(super) fn template(self) -> Value {
        let spec = self.spec();
        let mut labels = child_labels(self.cluster, Some(self.component));
        extend(&mut labels, &self.block.labels);
        insert_all(&mut labels, self.labels);
        let mut annotations = Map::new();
        extend(&mut annotations, &self.block.annotations);
        insert_all(&mut annotations, self.annotations);
        let mut metadata = json!({"labels": labels});
        if !annotations.is_empty() {
            metadata["annotations"] = annotations.into();
        }
        json!({"metadata": metadata, "spec": spec})
    }

    fn spec(&self) -> Value {
        let cluster = self.cluster;
        let security = &cluster.spec.pod_security;
        let mut spec = json!({
            "serviceAccountName": self.account.map_or_else(|| cluster.names().shared(), str::to_owned),
            "automountServiceAccountToken": self.account.is_some(),
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": self.grace_seconds,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": security.run_as_user,
                "fsGroup": security.fs_group,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [self.container()],
            "volumes": self.volumes,
        });
        let secrets = &cluster.spec.image_pull_secrets;
        if !secrets.is_empty() {
            spec["imagePullSecrets"] = secrets.iter().map(|name| json!({"name": name})).collect();
        }
        self.schedule(&mut spec);
        spec
    }

    fn container(&self) -> Value {
        let spec = &self.cluster.spec;
        let mut container = self.container.clone();
        container["name"] = self.component.as_str().into();
        container["image"] = self.cluster.image.clone().into();
        container["imagePullPolicy"] = match spec.image_pull_policy {
            ImagePullPolicy::Always => "Always",
            ImagePullPolicy::IfNotPresent => "IfNotPresent",
            ImagePullPolicy::Never => "Never",
        }
        .into();
        container["command"] = json!([self.component.as_str()]);
        container["resources"] = as_json(&self.block.resources);
        container["securityContext"] = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        });
        let mut env = self.env.clone();
        env.extend(self.block.env.iter().map(as_json));
        if !env.is_empty() {
            container["env"] = env.into();
        }
        container
    }

    fn schedule(&self, spec: &mut Value) {
        let block = self.block;
        if !block.node_selector.is_empty() {
            spec["nodeSelector"] = as_json(&block.node_selector);
        }
        if !block.tolerations.is_empty() {
            spec["tolerations"] = as_json(&block.tolerations);
        }
        if let Some(affinity) = &block.affinity {
            spec["affinity"] = affinity.clone().into();
        }
        if let Some(class) = &block.priority_class_name {
            spec["priorityClassName"] = class.clone().into();
        }
        let unsatisfiable = match block.topology_spread {
            TopologySpread::None => return,
            TopologySpread::Soft => "ScheduleAnyway",
            TopologySpread::Hard => "DoNotSchedule",
        };
        let spread = |key: &str| {
            json!({
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": unsatisfiable,
                "labelSelector": {"matchLabels": selector(self.cluster, Some(self.component))},
            })
        };
        spec["topologySpreadConstraints"] = ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
            .map(spread)
            .to_vec()
            .into();
    }
}

/// Annotations that tell Prometheus where to scrape; Go daemons have no metrics.
pub(super) fn scrape(cluster: &Resolved, port: u16, path: &str) -> Vec<(&'static str, String)> {
    if !cluster.spec.monitoring.enabled || !cluster.is_native() {
        return Vec::new();
    }
    vec![
        ("prometheus.io/scrape", "true".to_owned()),
        ("prometheus.io/port", port.to_string()),
        ("prometheus.io/path", path.to_owned()),
    ]
}

/// Container ports by name.
pub(super) fn container_ports(ports: &[(&str, u16)]) -> Value {
    ports
        .iter()
        .map(|(name, port)| json!({"name": name, "containerPort": port, "protocol": "TCP"}))
        .collect()
}

/// A volume of a ConfigMap, Secret or emptyDir and where it is mounted.
pub(super) fn config_volume(name: &str) -> Value {
    json!({"name": "config", "configMap": {"name": name}})
}

/// A mount nobody writes to.
pub(super) fn read_only(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path, "readOnly": true})
}

fn as_json(value: &impl Serialize) -> Value {
    // Blocks of plain values with the field names of the pod spec.
    serde_json::to_value(value).unwrap_or_default()
}

fn insert_all(map: &mut Map<String, Value>, entries: Vec<(&'static str, String)>) {
    map.extend(
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.into())),
    );
}
