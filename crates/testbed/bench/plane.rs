//! The control plane: started, asked, and ended with the run.

use std::path::Path;
use std::process::{Command, Stdio};

use kube::api::{ApiResource, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config};
use nsq_testbed::Cluster;
use tokio::runtime::{Builder, Runtime};

/// Controllers that would undo what this program writes: it binds the claims.
const WITHOUT: &str = "--controllers=*,-persistentvolume-binder-controller";
/// What lets the controllers make thousands of pods in minutes. Without it each of them sends 20 requests a second.
const QUICK: &str = "--kube-api-qps=300 --kube-api-burst=600 --concurrent-statefulset-syncs=10 \
     --concurrent-deployment-syncs=10 --concurrent-replicaset-syncs=10 --concurrent-service-endpoint-syncs=10";
/// Room for the addresses of 1000 clusters.
const ADDRESSES: &str = "--service-cluster-ip-range=10.64.0.0/14";

/// A control plane that is ended when this is dropped.
pub(crate) struct Plane {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
    pub(crate) runtime: Runtime,
}

impl Plane {
    /// Starts it, with the controllers' usual limits.
    pub(crate) fn start() -> Self {
        // An old one would have other arguments, and other objects.
        script("down", &[]);
        script("up", &arguments(WITHOUT));
        let cluster = Cluster::control_plane();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(connect(cluster.kubeconfig()));
        Self {
            cluster,
            client,
            runtime,
        }
    }

    /// Starts the controllers anew, without the limits that protect an API server from them.
    pub(crate) fn hurry(&self) {
        script("stop kube-controller-manager", &[]);
        script("up", &arguments(&format!("{WITHOUT} {QUICK}")));
    }

    /// The API of a kind, in all namespaces or in one.
    pub(crate) fn api(&self, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        api(&self.client, kind, namespace)
    }

    /// Number of objects of a kind.
    pub(crate) fn count(&self, kind: &str, selector: &str) -> usize {
        let params = kube::api::ListParams::default().labels(selector);
        let list = self
            .runtime
            .block_on(self.api(kind, None).list_metadata(&params))
            .unwrap();
        list.items.len()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        script("down", &[]);
    }
}

/// The API of a kind.
pub(crate) fn api(client: &Client, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version) = match kind {
        "NsqCluster" => ("nsq.rs", "v1alpha1"),
        "PodDisruptionBudget" => ("policy", "v1"),
        "StatefulSet" | "Deployment" => ("apps", "v1"),
        _ => ("", "v1"),
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

async fn connect(kubeconfig: &Path) -> Client {
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    Client::try_from(config.unwrap()).unwrap()
}

fn arguments(manager: &str) -> [(&'static str, String); 2] {
    [
        ("TESTBED_MANAGER_ARGS", manager.to_owned()),
        ("TESTBED_APISERVER_ARGS", ADDRESSES.to_owned()),
    ]
}

fn script(args: &str, environment: &[(&str, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("control-plane.sh");
    let mut command = Command::new(path);
    command
        .args(args.split(' '))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.envs(environment.iter().map(|(key, value)| (key, value)));
    let status = command.status().unwrap();
    assert!(status.success(), "control-plane.sh {args}: {status}");
}
