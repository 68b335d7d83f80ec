//! A namespace of one test, and what a test looks at in it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use nsq_testkit::{Conn, Reply, eventually, request};
use serde_json::Value;

use crate::{BOUND, Cluster, IMAGE};

/// A spec with one pod of each component, for which there is no node.
#[must_use]
pub fn small() -> Value {
    let pod = serde_json::json!({"nodeSelector": {"example.com/node": "none"}});
    serde_json::json!({
        "nsqd": {"replicas": 1, "pod": pod},
        "lookupd": {"replicas": 1, "pod": pod},
        "admin": {"replicas": 1, "pod": pod},
    })
}

/// Objects of one test. They are deleted with it.
#[derive(Debug)]
pub struct Namespace {
    cluster: Cluster,
    name: String,
}

impl Namespace {
    pub(crate) fn new(cluster: Cluster, name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{}-{count}", std::process::id());
        cluster.kubectl(&["create", "namespace", &name]);
        Self { cluster, name }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is in.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What kubectl prints about this namespace.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl(&[&["-n", &self.name], args].concat())
    }

    /// An object, or a list, as JSON; null if there is none.
    #[track_caller]
    pub fn get(&self, args: &[&str]) -> Value {
        self.cluster.get(&[&["-n", &self.name], args].concat())
    }

    /// Applies a manifest as a user does.
    #[track_caller]
    pub fn apply(&self, yaml: &str) {
        let output = self.try_apply(yaml);
        assert!(output.is_ok(), "{output:?}");
    }

    /// Applies a manifest, or gives what kubectl said.
    ///
    /// # Errors
    /// The API server refused it.
    pub fn try_apply(&self, yaml: &str) -> Result<(), String> {
        let output = self
            .cluster
            .try_kubectl(&["-n", &self.name, "apply", "-f", "-"], yaml);
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Applies an NsqCluster with this spec, in JSON or YAML flow style without the image.
    #[track_caller]
    pub fn apply_cluster(&self, name: &str, spec: &Value) {
        let mut spec = spec.clone();
        if spec.get("image").is_none() {
            spec["image"] = IMAGE.into();
        }
        let object = serde_json::json!({
            "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster",
            "metadata": {"name": name}, "spec": spec,
        });
        self.apply(&object.to_string());
    }

    /// Status of an NsqCluster.
    #[track_caller]
    pub fn status(&self, name: &str) -> Value {
        self.get(&["nsqcluster", name])["status"].clone()
    }

    /// Waits until the status of a cluster is as `holds` wants it, and gives it.
    #[track_caller]
    pub fn await_status(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut status = Value::Null;
        let wait = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(BOUND, || {
                status = self.status(name);
                holds(&status)
            });
        }));
        assert!(wait.is_ok(), "{name}: not {what}: {status:#}");
        status
    }

    /// Waits until a cluster is Running on the generation that was applied last.
    #[track_caller]
    pub fn await_running(&self, name: &str) -> Value {
        let generation = self.get(&["nsqcluster", name])["metadata"]["generation"].clone();
        self.await_status(name, "Running", |status| {
            status["phase"] == "Running" && status["observedGeneration"] == generation
        })
    }

    /// Condition of that type of an object's status.
    #[must_use]
    pub fn condition(status: &Value, kind: &str) -> Value {
        let conditions = status["conditions"].as_array().map_or(&[][..], Vec::as_slice);
        conditions
            .iter()
            .find(|condition| condition["type"] == kind)
            .cloned()
            .unwrap_or_default()
    }

    /// Names of the objects of a kind.
    #[track_caller]
    pub fn names(&self, kind: &str) -> Vec<String> {
        let list = self.get(&[kind]);
        let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
        items
            .iter()
            .filter_map(|item| item["metadata"]["name"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// Reasons of the events about an object, in the order in which they happened.
    #[track_caller]
    pub fn events(&self, name: &str) -> Vec<String> {
        let told = self.told(name);
        told.into_iter().map(|(reason, _)| reason).collect()
    }

    /// Waits until an event with that reason was told: it comes after the status.
    #[track_caller]
    pub fn await_event(&self, name: &str, reason: &str) {
        eventually(BOUND, || self.events(name).iter().any(|told| told == reason));
    }

    /// Notes of the events about an object with that reason.
    #[track_caller]
    pub fn notes(&self, name: &str, reason: &str) -> Vec<String> {
        let told = self.told(name).into_iter();
        told.filter(|(known, _)| known == reason)
            .map(|(_, note)| note)
            .collect()
    }

    #[track_caller]
    fn told(&self, name: &str) -> Vec<(String, String)> {
        let list = self.get(&["events.events.k8s.io"]);
        let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
        let ours = items.iter().filter(|event| {
            event["regarding"]["name"] == name && event["reportingController"] == "nsq-operator"
        });
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let mut found: Vec<(String, String, String)> = ours
            .map(|event| {
                (
                    text(event, "eventTime"),
                    text(event, "reason"),
                    text(event, "note"),
                )
            })
            .collect();
        found.sort();
        found
            .into_iter()
            .map(|(_, reason, note)| (reason, note))
            .collect()
    }

    /// A kubeconfig of an account.
    #[track_caller]
    #[must_use]
    pub fn as_account(&self, account: &str) -> tempfile::NamedTempFile {
        let token = self.kubectl(&["create", "token", account]);
        let admin = std::fs::read_to_string(self.cluster.kubeconfig()).unwrap();
        let mut config: Value = serde_yaml::from_str(&admin).unwrap();
        config["users"][0]["user"]["token"] = token.trim().into();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, config.to_string()).unwrap();
        file
    }

    /// Where a port of a pod is, from this machine.
    #[track_caller]
    pub fn pod(&self, name: &str, port: u16) -> SocketAddr {
        let pod = self.get(&["pod", name]);
        let ip = pod["status"]["podIP"]
            .as_str()
            .unwrap_or_else(|| panic!("{name} has no address: {pod}"));
        SocketAddr::new(ip.parse().unwrap(), port)
    }

    /// A connection to nsqd of a pod.
    #[track_caller]
    pub fn connect(&self, pod: &str) -> Conn {
        let mut conn = Conn::connect(self.pod(pod, 4150));
        conn.send(b"  V2");
        conn
    }

    /// A request to nsqd of a pod.
    #[track_caller]
    pub fn ask(&self, pod: &str, method: &str, target: &str) -> Reply {
        request(self.pod(pod, 4151), method, target, b"")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What a failed test leaves is for a person to look at, where there is one.
        if !std::thread::panicking() || std::env::var_os("CI").is_some() {
            let _ = self
                .cluster
                .try_kubectl(&["delete", "namespace", &self.name, "--wait=false"], "");
        }
    }
}
