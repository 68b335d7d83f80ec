//! The StatefulSet of nsqd. Source: operator spec 4.2.

use serde_json::{Value, json};

use super::claim;
use super::config_map::{CA_DIR, TLS_DIR, nsqd_name};
use super::object::{Desired, Draft, ObjectKind, PUBLISH, RESTARTED_AT, selector};
use super::pod::{PodDraft, config_volume, container_ports, read_only, scrape};
use super::resolved::Resolved;
use super::service::nsqd_ports;
use crate::api::{Component, ExposeType, StorageType, TlsMode, UpdateType, WhenDeleted};

pub(super) fn build(cluster: &Resolved) -> Desired {
    let nsqd = &cluster.spec.nsqd;
    let replicas = cluster.nodes.desired();
    let strategy = match nsqd.update.kind {
        // Leaving the partition out would let the controller replace every pod at once.
        UpdateType::Rolling => json!({
            "type": "RollingUpdate",
            "rollingUpdate": {"partition": cluster.nodes.partition()},
        }),
        // The server refuses the two together.
        UpdateType::OnDelete => json!({"type": "OnDelete"}),
    };
    let when_deleted = match nsqd.storage.when_deleted {
        WhenDeleted::Retain => "Retain",
        WhenDeleted::Delete => "Delete",
    };
    let mut spec = json!({
        "serviceName": cluster.names().of(Component::Nsqd),
        "podManagementPolicy": "Parallel",
        "replicas": replicas,
        "updateStrategy": strategy,
        "minReadySeconds": nsqd.update.min_ready_seconds,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": when_deleted, "whenScaled": "Retain"},
        "revisionHistoryLimit": 5,
        "selector": {"matchLabels": selector(cluster, Some(Component::Nsqd))},
        "template": template(cluster),
    });
    let claims = claim::templates(cluster);
    if !claims.is_empty() {
        spec["volumeClaimTemplates"] = claims.into();
    }
    let name = cluster.names().of(Component::Nsqd);
    Draft::new(
        cluster,
        ObjectKind::StatefulSet,
        name,
        Some(Component::Nsqd),
        json!({"spec": spec}),
    )
    .finish()
}

fn template(cluster: &Resolved) -> Value {
    let nsqd = &cluster.spec.nsqd;
    let mut annotations = scrape(cluster, 4151, "/metrics");
    if let Some(moment) = &nsqd.restarted_at {
        annotations.push((RESTARTED_AT, moment.clone()));
    }
    let env = vec![
        json!({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        json!({"name": "POD_INDEX", "valueFrom": {"fieldRef": {
            "fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']",
        }}}),
    ];
    PodDraft {
        cluster,
        component: Component::Nsqd,
        block: &nsqd.pod,
        // The fence changes this on the live pod only.
        labels: vec![(PUBLISH, "enabled".to_owned())],
        annotations,
        container: container(cluster),
        env,
        volumes: volumes(cluster),
        grace_seconds: nsqd.termination_grace_period_seconds,
        account: None,
    }
    .template()
}

fn container(cluster: &Resolved) -> Value {
    let nsqd = &cluster.spec.nsqd;
    let ready = if cluster.is_native() { "/ready" } else { "/ping" };
    let mut container = json!({
        "args": args(cluster),
        "ports": container_ports(&nsqd_ports(cluster)),
        // Neither of these two asks `/ping`: a full disk would become a restart loop that loses the
        // messages in memory. Ten minutes to start, for the scan of long queues.
        "startupProbe": {"tcpSocket": {"port": "tcp"}, "periodSeconds": 2, "failureThreshold": 300},
        "livenessProbe": {"tcpSocket": {"port": "tcp"}, "periodSeconds": 10, "failureThreshold": 6},
        "readinessProbe": {
            "httpGet": {"path": ready, "port": "http"}, "periodSeconds": 5, "failureThreshold": 2,
        },
        "volumeMounts": mounts(cluster),
    });
    if nsqd.pre_stop_seconds > 0 {
        container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": nsqd.pre_stop_seconds}}});
    }
    container
}

fn args(cluster: &Resolved) -> Vec<String> {
    let nsqd = &cluster.spec.nsqd;
    let mut args = vec![
        "--config=/etc/nsqd/nsqd.cfg".to_owned(),
        "--data-path=/data".to_owned(),
        "--tcp-address=:4150".to_owned(),
        "--http-address=:4151".to_owned(),
        "--node-id=$(POD_INDEX)".to_owned(),
        format!("--broadcast-address={}", broadcast_address(cluster)),
    ];
    if cluster.is_native() && !nsqd.join_timeout.is_zero() {
        args.push(format!("--join-timeout={}", nsqd.join_timeout));
    }
    if cluster.spec.tls.mode != TlsMode::Disabled {
        args.push("--https-address=:4152".to_owned());
    }
    args
}

/// Source: operator spec 4.7.
fn broadcast_address(cluster: &Resolved) -> String {
    let expose = &cluster.spec.nsqd.expose;
    match (expose.kind, &expose.host_template) {
        (ExposeType::StaticNames, Some(template)) => template.replace("{ordinal}", "$(POD_INDEX)"),
        (ExposeType::StaticNames | ExposeType::Internal, _) => cluster.names().node_host("$(POD_NAME)"),
    }
}

fn mounts(cluster: &Resolved) -> Vec<Value> {
    let tls = &cluster.spec.tls;
    let mut mounts = vec![
        json!({"name": "data", "mountPath": "/data"}),
        read_only("config", "/etc/nsqd"),
        json!({"name": "tmp", "mountPath": "/tmp"}),
    ];
    if tls.mode != TlsMode::Disabled {
        mounts.push(read_only("tls", TLS_DIR));
        if tls.ca_secret_name.is_some() {
            mounts.push(read_only("ca", CA_DIR));
        }
    }
    mounts
}

fn volumes(cluster: &Resolved) -> Vec<Value> {
    let spec = &cluster.spec;
    let mut volumes = vec![
        config_volume(&nsqd_name(cluster)),
        json!({"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}}),
    ];
    if spec.nsqd.storage.kind == StorageType::Ephemeral {
        volumes.push(json!({"name": "data", "emptyDir": {"sizeLimit": spec.nsqd.storage.size}}));
    }
    if spec.tls.mode != TlsMode::Disabled {
        volumes.extend(spec.tls.secret_name.iter().map(|name| secret("tls", name)));
        volumes.extend(spec.tls.ca_secret_name.iter().map(|name| secret("ca", name)));
    }
    volumes
}

fn secret(volume: &str, name: &str) -> Value {
    json!({"name": volume, "secret": {"secretName": name}})
}
