//! What kubelets and storage would write: a pod is ready at once, a claim is bound at once.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, DefaultBackoff, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::clusters::SIZE;
use crate::daemons::Daemons;
use crate::plane::api;

/// Label of everything the operator makes.
pub(crate) const OURS: &str = "app.kubernetes.io/managed-by=nsq-operator";
/// Statuses that are written at once.
const AT_ONCE: usize = 16;
/// Addresses that no network uses but those of measurements; all of them are local here.
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 0]);

/// Pods by UID, with the address that was given to each.
#[derive(Default)]
struct Addresses {
    given: u32,
    by_uid: HashMap<String, Ipv4Addr>,
}

impl Addresses {
    /// The address of a new pod; none for one that has its address.
    fn give(&mut self, uid: &str) -> Option<Ipv4Addr> {
        if self.by_uid.contains_key(uid) {
            return None;
        }
        self.given += 1;
        let address = Ipv4Addr::from(FIRST + self.given);
        self.by_uid.insert(uid.to_owned(), address);
        Some(address)
    }
}

/// Makes every pod ready, for as long as it is polled.
pub(crate) async fn run_pods(client: Client, daemons: Arc<Daemons>) {
    let addresses = Mutex::new(Addresses::default());
    let (client, daemons, addresses) = (&client, &daemons, &addresses);
    let config = watcher::Config::default().labels(OURS);
    let pods: Api<PartialObjectMeta<Pod>> = Api::all(client.clone());
    let stream = watcher(pods, config).backoff(DefaultBackoff::default());
    let follow = |event| async move {
        match event {
            Ok(Event::Apply(pod) | Event::InitApply(pod)) => begin(client, daemons, addresses, &pod).await,
            Ok(Event::Delete(pod)) => {
                let address = addresses.lock().by_uid.remove(&pod.uid().unwrap_or_default());
                if let Some(address) = address {
                    daemons.end(address);
                }
            }
            Ok(Event::Init | Event::InitDone) => {}
            Err(error) => eprintln!("watch of pods: {error}"),
        }
    };
    stream.for_each_concurrent(AT_ONCE, follow).await;
}

async fn begin(
    client: &Client,
    daemons: &Daemons,
    addresses: &Mutex<Addresses>,
    pod: &PartialObjectMeta<Pod>,
) {
    let Some(address) = addresses.lock().give(&pod.uid().unwrap_or_default()) else {
        return;
    };
    let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
    let label = |key: &str| pod.labels().get(key).cloned().unwrap_or_default();
    let cluster = label("nsq.rs/cluster");
    let component = label("app.kubernetes.io/component");
    let host = format!("{name}.{cluster}-nsqd.{namespace}.svc.cluster.local");
    let registry = |index| format!("{cluster}-nsqlookupd-{index}.{namespace}.svc.cluster.local:4160");
    let lookupds = json!([registry(0), registry(1)]);
    let key = (namespace.clone(), cluster.clone());
    match component.as_str() {
        "nsqd" => daemons.begin(address, key, Some(host), lookupds),
        "nsqlookupd" => daemons.begin(address, key, None, Value::Null),
        _ => {}
    }
    write(client, "Pod", &namespace, &name, ready(&component, address)).await;
}

/// Status of a pod whose container runs and is ready.
fn ready(container: &str, address: Ipv4Addr) -> Value {
    let now = k8s_openapi::jiff::Timestamp::now();
    let since = format!("{now:.0}");
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": since});
    let conditions = ["Ready", "ContainersReady", "Initialized", "PodScheduled"].map(condition);
    json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": since,
        "conditions": conditions,
        "containerStatuses": [{"name": container, "ready": true, "started": true, "restartCount": 0,
            "image": "i", "imageID": "i", "state": {"running": {"startedAt": since}}}]})
}

/// Binds every claim, for as long as it is polled.
pub(crate) async fn run_claims(client: Client) {
    let seen = Mutex::new(std::collections::HashSet::new());
    let (client, seen) = (&client, &seen);
    let claims: Api<PartialObjectMeta<PersistentVolumeClaim>> = Api::all(client.clone());
    let config = watcher::Config::default().labels(OURS);
    let stream = watcher(claims, config).backoff(DefaultBackoff::default());
    let follow = |event: watcher::Result<Event<PartialObjectMeta<PersistentVolumeClaim>>>| async move {
        let Ok(Event::Apply(claim) | Event::InitApply(claim)) = event else {
            return;
        };
        if seen.lock().insert(claim.uid().unwrap_or_default()) {
            let bound =
                json!({"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": SIZE}});
            let namespace = claim.namespace().unwrap_or_default();
            write(
                client,
                "PersistentVolumeClaim",
                &namespace,
                &claim.name_any(),
                bound,
            )
            .await;
        }
    };
    stream.for_each_concurrent(AT_ONCE, follow).await;
}

async fn write(client: &Client, kind: &str, namespace: &str, name: &str, status: Value) {
    let params = PatchParams::default();
    let patch = Patch::Merge(json!({"status": status}));
    match api(client, kind, Some(namespace))
        .patch_status(name, &params, &patch)
        .await
    {
        Ok(_) => {}
        // It went away meanwhile.
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => eprintln!("status of {kind} {namespace}/{name}: {error}"),
    }
}
