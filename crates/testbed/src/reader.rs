//! Reading objects of the API server without a process for each look: tests look often.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use nsq_testkit::{request_tls_with, tls};
use rustls::ClientConfig;
use serde_json::Value;

/// Kinds that tests look at: name on the command line, path of the API, name in it.
const KINDS: [(&str, &str, &str); 18] = [
    ("pod", "api/v1", "pods"),
    ("pvc", "api/v1", "persistentvolumeclaims"),
    ("persistentvolumeclaim", "api/v1", "persistentvolumeclaims"),
    ("service", "api/v1", "services"),
    ("configmap", "api/v1", "configmaps"),
    ("serviceaccount", "api/v1", "serviceaccounts"),
    ("statefulset", "apis/apps/v1", "statefulsets"),
    ("deployment", "apis/apps/v1", "deployments"),
    ("poddisruptionbudget", "apis/policy/v1", "poddisruptionbudgets"),
    ("networkpolicy", "apis/networking.k8s.io/v1", "networkpolicies"),
    ("ingress", "apis/networking.k8s.io/v1", "ingresses"),
    ("endpointslice", "apis/discovery.k8s.io/v1", "endpointslices"),
    ("events.events.k8s.io", "apis/events.k8s.io/v1", "events"),
    ("lease", "apis/coordination.k8s.io/v1", "leases"),
    ("nsqcluster", "apis/nsq.rs/v1alpha1", "nsqclusters"),
    ("nsqtopic", "apis/nsq.rs/v1alpha1", "nsqtopics"),
    ("nsqchannel", "apis/nsq.rs/v1alpha1", "nsqchannels"),
    ("namespace", "api/v1", "namespaces"),
];

/// Where the API server is and what opens it.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    address: SocketAddr,
    authorization: String,
    config: Arc<ClientConfig>,
}

impl Reader {
    /// That of a kubeconfig of the test bed; none if it looks different.
    pub(crate) fn of(kubeconfig: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(kubeconfig).ok()?;
        let after = |mark: &str| text.split(mark).nth(1)?.split(['\n', '}']).next();
        let address = after("server: https://")?.trim().parse().ok()?;
        let token = after("user: {token:")?.trim();
        Some(Self {
            address,
            authorization: format!("Authorization: Bearer {token}\r\n"),
            config: tls::client(),
        })
    }

    /// What `kubectl get -o json` with these arguments would print, null for nothing; none for arguments that are not
    /// understood here, or without an answer.
    pub(crate) fn get(&self, args: &[&str]) -> Option<Value> {
        let (path, managed) = path(args)?;
        let reply = request_tls_with(self.address, &self.config, "GET", &path, &self.authorization).ok()?;
        match reply.status {
            404 => Some(Value::Null),
            200 => {
                let mut value: Value = serde_json::from_slice(&reply.body).ok()?;
                if !managed {
                    strip(&mut value);
                }
                Some(value)
            }
            _ => None,
        }
    }
}

/// Path of the request, and whether managed fields are wanted.
fn path(args: &[&str]) -> Option<(String, bool)> {
    let (mut namespace, mut selector, mut managed) = ("default", None, false);
    let mut words = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            "-n" => namespace = args.next()?,
            "-l" => selector = Some(args.next()?.replace('=', "%3D").replace(',', "%2C")),
            "--show-managed-fields" => managed = true,
            flag if flag.starts_with('-') => return None,
            word => words.push(word),
        }
    }
    let (kind, name) = match words.as_slice() {
        [kind] => (*kind, None),
        [kind, name] => (*kind, Some(*name)),
        _ => return None,
    };
    let (_, api, plural) = KINDS.into_iter().find(|(known, _, _)| *known == kind)?;
    let mut path = match plural {
        "namespaces" => format!("/{api}/{plural}"),
        _ => format!("/{api}/namespaces/{namespace}/{plural}"),
    };
    if let Some(name) = name {
        path = format!("{path}/{name}");
    }
    if let Some(selector) = selector {
        path = format!("{path}?labelSelector={selector}");
    }
    Some((path, managed))
}

/// Takes away what `kubectl` does not show either.
fn strip(value: &mut Value) {
    if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
    }
    if let Some(items) = value.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(strip);
    }
}
