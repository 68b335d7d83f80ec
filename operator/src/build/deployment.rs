//! Deployments: one per nsqlookupd, one for nsqadmin. Source: operator spec 4.4 and 4.5.

use serde_json::{Value, json};

use super::config_map::{admin_file, lookupd_file};
use super::object::{Desired, Draft, INDEX, ObjectKind, lookupd_selector, selector};
use super::pod::{PodDraft, config_volume, container_ports, read_only, scrape};
use super::resolved::{Registry, Resolved};
use super::route::base_path;
use crate::api::{Component, ExtraKeys};
use crate::canonical::hash16;

/// Annotation of pod templates whose ConfigMap has a fixed name: a new file is a new template.
const CONFIG_HASH: &str = "nsq.rs/config-hash";
/// Annotation of the Deployment of an nsqlookupd on its way out: when that began, as RFC 3339.
pub const REMOVING_SINCE: &str = "nsq.rs/removing-since";

/// Deployments of the nsqlookupd. There is no state to keep, so a pod on a dead machine is replaced without
/// help; Recreate, so that an address never has two half-filled registries behind it.
pub(super) fn lookupds(cluster: &Resolved) -> Vec<Desired> {
    let one = |registry: &Registry| {
        let index = registry.index;
        let body = json!({"spec": {
            "replicas": i32::from(cluster.registries.running),
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": lookupd_selector(cluster, index)},
            "template": lookupd_template(cluster, index),
        }});
        let name = cluster.names().indexed(Component::Lookupd, index);
        let since = registry.removing_since.iter();
        Draft::new(
            cluster,
            ObjectKind::Deployment,
            name,
            Some(Component::Lookupd),
            body,
        )
        .index(index)
        .annotations(&ExtraKeys(
            since
                .map(|since| (REMOVING_SINCE.to_owned(), since.clone()))
                .collect(),
        ))
        .finish()
    };
    cluster.registries.all.iter().map(one).collect()
}

fn lookupd_template(cluster: &Resolved, index: i32) -> Value {
    let names = cluster.names();
    let mut annotations = scrape(cluster, 4161, "/metrics");
    annotations.push((CONFIG_HASH, hash16(&lookupd_file(cluster).into())));
    PodDraft {
        cluster,
        component: Component::Lookupd,
        block: &cluster.spec.lookupd.pod,
        labels: vec![(INDEX, index.to_string())],
        annotations,
        container: json!({
            "args": [
                "--config=/etc/nsqlookupd/nsqlookupd.cfg",
                "--tcp-address=:4160",
                "--http-address=:4161",
                format!("--broadcast-address={}", names.lookupd_host(index)),
            ],
            "ports": container_ports(&[("tcp", 4160), ("http", 4161)]),
            "livenessProbe": {"tcpSocket": {"port": "tcp"}, "periodSeconds": 10, "failureThreshold": 6},
            "readinessProbe": {
                "httpGet": {"path": "/ping", "port": "http"}, "periodSeconds": 5, "failureThreshold": 2,
            },
            "volumeMounts": [read_only("config", "/etc/nsqlookupd")],
        }),
        env: Vec::new(),
        volumes: vec![config_volume(&names.of(Component::Lookupd))],
        grace_seconds: 30,
        account: None,
    }
    .template()
}

/// The Deployment of nsqadmin, when there is one.
pub(super) fn admin(cluster: &Resolved) -> Option<Desired> {
    if !cluster.spec.admin.enabled {
        return None;
    }
    let body = json!({"spec": {
        "replicas": cluster.registries.admins,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": selector(cluster, Some(Component::Admin))},
        "template": admin_template(cluster),
    }});
    let name = cluster.names().of(Component::Admin);
    Some(
        Draft::new(
            cluster,
            ObjectKind::Deployment,
            name,
            Some(Component::Admin),
            body,
        )
        .finish(),
    )
}

fn admin_template(cluster: &Resolved) -> Value {
    let names = cluster.names();
    let base = base_path(cluster);
    let base = base.trim_end_matches('/');
    let mut args = vec![
        "--config=/etc/nsqadmin/nsqadmin.cfg".to_owned(),
        "--http-address=:4171".to_owned(),
    ];
    let lookupds = names.lookupd_addresses(&cluster.registries.read_by_admin, 4161);
    args.extend(
        lookupds
            .iter()
            .map(|address| format!("--lookupd-http-address={address}")),
    );
    let mut annotations = scrape(cluster, 4171, &format!("{base}/metrics"));
    annotations.push((CONFIG_HASH, hash16(&admin_file(cluster).into())));
    PodDraft {
        cluster,
        component: Component::Admin,
        block: &cluster.spec.admin.pod,
        labels: Vec::new(),
        annotations,
        container: json!({
            "args": args,
            "ports": container_ports(&[("http", 4171)]),
            "livenessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 10, "failureThreshold": 6},
            "readinessProbe": {
                "httpGet": {"path": format!("{base}/ping"), "port": "http"},
                "periodSeconds": 5,
                "failureThreshold": 2,
            },
            "volumeMounts": [read_only("config", "/etc/nsqadmin")],
        }),
        env: Vec::new(),
        volumes: vec![config_volume(&names.of(Component::Admin))],
        grace_seconds: 30,
        account: cluster.spec.admin.service_account_name.as_deref(),
    }
    .template()
}
