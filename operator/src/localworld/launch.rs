//! From the spec to the command lines and files of the daemons. Pure.

use std::path::{Path, PathBuf};

use nsq_http_api::client::authority;

use super::ident::Ident;
use super::ports::Ports;
use crate::api::{Flavor, NsqClusterSpec, TlsMode};
use crate::build::{DaemonLog, NsqdTlsFiles, admin_config, lookupd_config, nsqd_config};
use crate::canonical::hash16;
use crate::plan::Revision;

/// What one daemon is started from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Launch {
    /// Its program.
    pub(super) program: PathBuf,
    /// The spec it was told to follow; hot options in it are kept current.
    pub(super) spec: NsqClusterSpec,
    /// Whose daemon it is.
    pub(super) flavor: Flavor,
    /// Folder of the manifest, where `tls.secretName` is looked for.
    pub(super) manifest_dir: PathBuf,
    /// Address it listens on and announces.
    pub(super) host: String,
    /// Registries: TCP addresses for nsqd, HTTP addresses for nsqadmin.
    pub(super) lookupds: Vec<String>,
    /// Indexes of these, for nsqadmin.
    pub(super) reads: Vec<i32>,
}

impl Launch {
    /// What a restart would change; hot options are not part.
    pub(super) fn revision(&self, ident: Ident) -> Revision {
        let image = format!("{}{:?}", self.program.display(), self.flavor);
        let (config, template, restarted_at) = match ident {
            Ident::Lookupd(_) => (
                lookupd_config(&self.spec, DaemonLog::Default),
                String::new(),
                None,
            ),
            Ident::Admin => (
                admin_config(&self.spec, DaemonLog::Default, None),
                String::new(),
                None,
            ),
            Ident::Nsqd(_) => (
                nsqd_config(&self.spec, DaemonLog::Default, &self.tls(), None),
                self.spec.nsqd.join_timeout.to_string(),
                self.spec.nsqd.restarted_at.clone(),
            ),
        };
        Revision {
            image,
            config: hash16(&config.into()),
            template: hash16(&format!("{template} {}", self.host).into()),
            restarted_at: restarted_at.unwrap_or_default(),
        }
    }

    /// Content of its configuration file.
    pub(super) fn config(&self, ident: Ident) -> String {
        match ident {
            Ident::Lookupd(_) => lookupd_config(&self.spec, DaemonLog::Default),
            Ident::Admin => admin_config(&self.spec, DaemonLog::Default, None),
            Ident::Nsqd(_) => nsqd_config(&self.spec, DaemonLog::Default, &self.tls(), Some(&self.lookupds)),
        }
    }

    /// Its arguments.
    pub(super) fn args(&self, ident: Ident, ports: Ports, config: &Path, data: &Path) -> Vec<String> {
        let at = |port: u16| authority(&self.host, i64::from(port));
        let mut args = vec![
            format!("--config={}", config.display()),
            format!("--http-address={}", at(ports.http)),
        ];
        match ident {
            Ident::Admin => {
                let lookupds = self.lookupds.iter();
                args.extend(lookupds.map(|address| format!("--lookupd-http-address={address}")));
            }
            Ident::Lookupd(_) => {
                args.push(format!("--tcp-address={}", at(ports.tcp)));
                args.push(format!("--broadcast-address={}", self.host));
            }
            Ident::Nsqd(ordinal) => {
                args.push(format!("--tcp-address={}", at(ports.tcp)));
                args.push(format!("--broadcast-address={}", self.host));
                args.push(format!("--data-path={}", data.display()));
                args.push(format!("--node-id={ordinal}"));
                let timeout = &self.spec.nsqd.join_timeout;
                if self.flavor == Flavor::Native && !timeout.is_zero() {
                    args.push(format!("--join-timeout={timeout}"));
                }
                if self.spec.tls.mode != TlsMode::Disabled {
                    // every node would want the same fixed port otherwise
                    args.push(format!("--https-address={}", at(0)));
                }
            }
        }
        args
    }

    /// In local mode Secrets are folders next to the manifest.
    fn tls(&self) -> NsqdTlsFiles {
        let tls = &self.spec.tls;
        let secret = self
            .manifest_dir
            .join(tls.secret_name.as_deref().unwrap_or_default());
        let ca = self
            .manifest_dir
            .join(tls.ca_secret_name.as_deref().unwrap_or_default());
        let file = |folder: &Path, name: &str| folder.join(name).display().to_string();
        NsqdTlsFiles {
            cert: file(&secret, "tls.crt"),
            key: file(&secret, "tls.key"),
            ca: file(&ca, "ca.crt"),
        }
    }
}

/// Fields of the spec that are set and mean nothing on one machine.
pub(super) fn ignored(spec: &NsqClusterSpec) -> Vec<&'static str> {
    let plain = NsqClusterSpec::default();
    let checks = [
        ("deletionProtection", spec.deletion_protection),
        (
            "imagePullPolicy",
            spec.image_pull_policy != plain.image_pull_policy,
        ),
        ("imagePullSecrets", !spec.image_pull_secrets.is_empty()),
        ("clusterDomain", spec.cluster_domain != plain.cluster_domain),
        ("ipFamilyPolicy", spec.ip_family_policy != plain.ip_family_policy),
        ("commonLabels", spec.common_labels != plain.common_labels),
        (
            "commonAnnotations",
            spec.common_annotations != plain.common_annotations,
        ),
        (
            "nsqd.preStopSeconds",
            spec.nsqd.pre_stop_seconds != plain.nsqd.pre_stop_seconds,
        ),
        (
            "nsqd.storage.size",
            spec.nsqd.storage.size != plain.nsqd.storage.size,
        ),
        (
            "nsqd.storage.type",
            spec.nsqd.storage.kind != plain.nsqd.storage.kind,
        ),
        ("nsqd.storage.className", spec.nsqd.storage.class_name.is_some()),
        (
            "nsqd.storage.accessMode",
            spec.nsqd.storage.access_mode != plain.nsqd.storage.access_mode,
        ),
        (
            "nsqd.storage.volumeAttributesClassName",
            spec.nsqd.storage.volume_attributes_class_name.is_some(),
        ),
        (
            "nsqd.storage.whenDeleted",
            spec.nsqd.storage.when_deleted != plain.nsqd.storage.when_deleted,
        ),
        (
            "nsqd.storage.resizeRestartAfter",
            spec.nsqd.storage.resize_restart_after != plain.nsqd.storage.resize_restart_after,
        ),
        ("nsqd.expose", spec.nsqd.expose != plain.nsqd.expose),
        (
            "nsqd.publishService",
            spec.nsqd.publish_service != plain.nsqd.publish_service,
        ),
        ("nsqd.pdb", spec.nsqd.pdb != plain.nsqd.pdb),
        ("nsqd.pod", spec.nsqd.pod != plain.nsqd.pod),
        ("lookupd.pdb", spec.lookupd.pdb != plain.lookupd.pdb),
        ("lookupd.pod", spec.lookupd.pod != plain.lookupd.pod),
        ("admin.replicas", spec.admin.replicas > 1),
        (
            "admin.serviceAccountName",
            spec.admin.service_account_name.is_some(),
        ),
        ("admin.route", spec.admin.route != plain.admin.route),
        ("admin.pod", spec.admin.pod != plain.admin.pod),
        ("networkPolicy", spec.network_policy != plain.network_policy),
        ("monitoring", spec.monitoring != plain.monitoring),
        ("podSecurity", spec.pod_security != plain.pod_security),
    ];
    checks
        .into_iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| name)
        .collect()
}
