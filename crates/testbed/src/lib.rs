//! Real Kubernetes for tests: a control plane and nodes on this machine, and the operator as a process beside them.
//!
//! The scripts of this folder start etcd, kube-apiserver, kube-controller-manager, and nodes with containerd and kubelet,
//! from Go modules and Debian's packages; `install.sh` builds what is missing. One cluster serves all tests of a run: each has
//! a [`Namespace`] of its own and an operator that looks at nothing else. It is left running for the next run; `cargo xtask
//! kube down` ends it.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a tool for tests works with real processes and files, and fails a test by a panic"
)]

mod namespace;
mod operator;
mod proxy;
mod reader;
mod stand_in;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

pub use namespace::{Namespace, small};
pub use operator::{Operator, printed};
pub use proxy::{Call, Fault, Proxy, Seen};
use reader::Reader;
use serde_json::Value;
pub use stand_in::stand_in;

/// How long a step of Kubernetes may take: a controller, a scheduler and a kubelet are in it.
pub const BOUND: Duration = Duration::from_secs(120);
/// Image with nsqd, nsqlookupd and nsqadmin.
pub const IMAGE: &str = "nsq-rs/nsq:test";
/// The same under another name.
pub const NEXT_IMAGE: &str = "nsq-rs/nsq:next";
/// Image with the daemons of the reference; by its name they have flavor Upstream.
pub const REFERENCE_IMAGE: &str = "nsqio/nsq:v1.3.0";
/// Image with the operator.
pub const OPERATOR_IMAGE: &str = "nsq-rs/nsq-operator:test";
/// Before each look at the API server.
const LOOK: Duration = Duration::from_millis(30);
/// Nodes of the cluster.
const NODES: &str = "2";
/// Network of control planes that belong to one test. The end of a cluster takes its bridge away, so it has to be another one
/// than that of the nodes.
const OWN_NET: &str = "10.199";
/// Names the folder of the programs that `install.sh` makes.
const PATH_VARIABLE: &str = "NSQ_TESTBED_PATH";

/// The cluster of this machine.
#[derive(Clone, Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
}

impl Cluster {
    /// The control plane alone: pods stay Pending, their status is what a test writes.
    #[must_use]
    pub fn control_plane() -> Self {
        static ONCE: OnceLock<Cluster> = OnceLock::new();
        let up = || {
            let kubeconfig = PathBuf::from(script("control-plane.sh", &["up"], None).trim());
            let cluster = Self { kubeconfig };
            cluster.install();
            cluster
        };
        ONCE.get_or_init(up).clone()
    }

    /// Installs the definitions of our kinds, as they are in `crds/`.
    #[track_caller]
    pub fn install(&self) {
        let crds = format!("{}/../../crds", env!("CARGO_MANIFEST_DIR"));
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &crds]);
        let established = [
            "wait",
            "--for",
            "condition=Established",
            "--timeout",
            "30s",
            "crd",
        ];
        let names = ["nsqclusters.nsq.rs", "nsqtopics.nsq.rs", "nsqchannels.nsq.rs"];
        self.kubectl(&[&established[..], &names[..]].concat());
    }

    /// With nodes that run pods of [`IMAGE`].
    #[must_use]
    pub fn nodes() -> Self {
        static ONCE: OnceLock<()> = OnceLock::new();
        let cluster = Self::control_plane();
        // Once for all tests of a program: it brings every image into every node.
        ONCE.get_or_init(|| drop(script("node.sh", &["up", NODES], None)));
        cluster
    }

    /// Stops and starts what belongs to a node, as `node.sh` says.
    #[track_caller]
    pub fn node(&self, args: &[&str]) {
        script("node.sh", args, None);
    }

    /// A namespace of its own for one test.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Namespace {
        Namespace::new(self.clone(), name)
    }

    /// Where the API server is, and as whom.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Certificate of who signed the API server's.
    fn authority(&self) -> PathBuf {
        self.kubeconfig.with_file_name("pki").join("ca.crt")
    }

    /// What kubectl prints.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> String {
        let output = self.try_kubectl(args, "");
        assert!(
            output.status.success(),
            "kubectl {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same with a standard input, whatever comes of it.
    pub fn try_kubectl(&self, args: &[&str], input: &str) -> Output {
        use std::io::Write as _;
        let mut child = program("kubectl")
            .env("KUBECONFIG", &self.kubeconfig)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("kubectl: {e}"));
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// A shell in which kubectl and Helm mean this cluster.
    #[must_use]
    pub fn shell(&self) -> Command {
        let folder = std::env::var_os(PATH_VARIABLE).unwrap_or_default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut all = folder;
        all.push(":");
        all.push(path);
        let mut shell = Command::new("bash");
        shell.env("PATH", all).env("KUBECONFIG", &self.kubeconfig);
        shell
    }

    /// What Helm prints.
    #[track_caller]
    pub fn helm(&self, args: &[&str]) -> String {
        let output = self.try_helm(args);
        assert!(output.status.success(), "helm {}: {output:?}", args.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same, whatever comes of it.
    pub fn try_helm(&self, args: &[&str]) -> Output {
        let mut helm = program("helm");
        helm.env("KUBECONFIG", &self.kubeconfig);
        helm.args(args).output().unwrap_or_else(|e| panic!("helm: {e}"))
    }

    /// An object, or a list, as JSON; null if there is none.
    #[track_caller]
    pub fn get(&self, args: &[&str]) -> Value {
        // kubectl is a large program, and tests look many times a second; the API server has more to do than to answer them.
        std::thread::sleep(LOOK);
        if let Some(found) = Reader::of(&self.kubeconfig).and_then(|reader| reader.get(args)) {
            return found;
        }
        let text = self.kubectl(&[&["get", "--ignore-not-found", "-o", "json"], args].concat());
        if text.trim().is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

/// A control plane that belongs to one test, which may do to it what others would notice. It ends with the test.
#[derive(Debug)]
pub struct OwnCluster {
    cluster: Cluster,
    state: tempfile::TempDir,
}

impl OwnCluster {
    /// Starts it.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let kubeconfig = script("control-plane.sh", &["up"], Some(state.path()));
        let cluster = Cluster {
            kubeconfig: PathBuf::from(kubeconfig.trim()),
        };
        cluster.install();
        Self { cluster, state }
    }

    /// What tests usually work with.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        script("control-plane.sh", &["down"], Some(self.state.path()));
    }
}

/// A program that `install.sh` made.
fn program(name: &str) -> Command {
    let folder = std::env::var_os(PATH_VARIABLE)
        .unwrap_or_else(|| panic!("{PATH_VARIABLE} is not set; run: cargo xtask test kube"));
    Command::new(Path::new(&folder).join(name))
}

/// What comes of Helm where no cluster is needed.
pub fn helm(args: &[&str]) -> Output {
    let helm = program("helm").args(args).output();
    helm.unwrap_or_else(|e| panic!("helm: {e}"))
}

/// Runs a script of this folder on the cluster of the tests, or on the one with this state, and gives what it prints.
#[track_caller]
fn script(name: &str, args: &[&str], state: Option<&Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut command = Command::new(&path);
    command.args(args).stdin(Stdio::null());
    if let Some(state) = state {
        command.env("TESTBED_DIR", state).env("TESTBED_NET", OWN_NET);
    }
    let output = command.output();
    let output = output.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(
        output.status.success(),
        "{name} {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
