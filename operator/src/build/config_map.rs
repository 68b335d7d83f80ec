//! ConfigMaps: one per daemon. Source: operator spec 4.3.

use std::collections::BTreeMap;

use serde_json::json;

use super::daemon_config::{
    DaemonLog, NsqdTlsFiles, admin_config, lookupd_config, nsqd_config, with_hot_options,
};
use super::object::{Desired, Draft, ObjectKind};
use super::resolved::Resolved;
use crate::api::{Component, ExtraKeys};
use crate::canonical::hash16;

/// Folder of the certificate in nsqd's pod.
pub(super) const TLS_DIR: &str = "/etc/nsqd-tls";
/// Folder of the clients' CA in nsqd's pod.
pub(super) const CA_DIR: &str = "/etc/nsqd-ca";

/// Annotation of nsqd's ConfigMaps: digest of the hot options in the file.
pub const HOT_HASH: &str = "nsq.rs/hot-hash";
/// The file in nsqd's ConfigMaps.
pub const NSQD_FILE: &str = "nsqd.cfg";

pub(super) fn build(cluster: &Resolved) -> Vec<Desired> {
    let nsqd = nsqd_file(cluster, Some(&lookupds(cluster)));
    let mut maps = vec![
        nsqd_map(cluster, nsqd_name(cluster), &nsqd),
        config_map(
            cluster,
            Component::Lookupd,
            cluster.names().of(Component::Lookupd),
            &lookupd_file(cluster),
        ),
    ];
    if cluster.spec.admin.enabled {
        let name = cluster.names().of(Component::Admin);
        maps.push(config_map(cluster, Component::Admin, name, &admin_file(cluster)));
    }
    maps
}

/// An older ConfigMap of nsqd with the hot options of now. Pods of an older template have it, and one that restarts has to agree
/// with what was applied hot to the others.
#[must_use]
pub fn with_hot_options_of(cluster: &Resolved, name: &str, file: &str) -> Desired {
    let level = cluster.spec.nsqd.options.log_level;
    let file = with_hot_options(file, &lookupds(cluster), level);
    nsqd_map(cluster, name.to_owned(), &file)
}

fn lookupds(cluster: &Resolved) -> Vec<String> {
    cluster
        .names()
        .lookupd_addresses(&cluster.registries.register_with, 4160)
}

fn nsqd_map(cluster: &Resolved, name: String, file: &str) -> Desired {
    let level = cluster.spec.nsqd.options.log_level;
    let hot = hash16(&json!([lookupds(cluster), level]));
    let body = json!({"data": {NSQD_FILE: file}});
    let annotations = ExtraKeys(BTreeMap::from([(HOT_HASH.to_owned(), hot)]));
    Draft::new(cluster, ObjectKind::ConfigMap, name, Some(Component::Nsqd), body)
        .annotations(&annotations)
        .finish()
}

fn config_map(cluster: &Resolved, component: Component, name: String, file: &str) -> Desired {
    let body = json!({"data": {format!("{}.cfg", component.as_str()): file}});
    Draft::new(cluster, ObjectKind::ConfigMap, name, Some(component), body).finish()
}

/// The name changes with what needs a restart, and only with that: the nsqlookupd list and the log level
/// are applied hot and edited in place.
pub(super) fn nsqd_name(cluster: &Resolved) -> String {
    let cold = hash16(&nsqd_file(cluster, None).into());
    format!("{}-{}", cluster.names().of(Component::Nsqd), &cold[..8])
}

fn nsqd_file(cluster: &Resolved, hot: Option<&[String]>) -> String {
    let files = NsqdTlsFiles {
        cert: format!("{TLS_DIR}/tls.crt"),
        key: format!("{TLS_DIR}/tls.key"),
        ca: format!("{CA_DIR}/ca.crt"),
    };
    nsqd_config(&cluster.spec, log(cluster), &files, hot)
}

pub(super) fn lookupd_file(cluster: &Resolved) -> String {
    lookupd_config(&cluster.spec, log(cluster))
}

pub(super) fn admin_file(cluster: &Resolved) -> String {
    let view = cluster.is_native() && cluster.spec.admin.service_account_name.is_some();
    let object = format!("{}/{}", cluster.namespace, cluster.name);
    admin_config(&cluster.spec, log(cluster), view.then_some(object.as_str()))
}

fn log(cluster: &Resolved) -> DaemonLog {
    if cluster.is_native() {
        DaemonLog::Json
    } else {
        DaemonLog::Default
    }
}
