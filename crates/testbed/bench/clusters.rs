//! NsqClusters of a run: made, changed, and what their statuses say.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, DefaultBackoff, Event, watcher};
use kube::{Client, ResourceExt as _};
use nsq_testkit::eventually;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::plane::{Plane, api};

/// Size of every claim.
pub(crate) const SIZE: &str = "1Gi";
/// Clusters of one namespace.
const IN_A_NAMESPACE: usize = 100;
/// Requests of this program at once.
const AT_ONCE: usize = 16;

/// A namespace and a name.
pub(crate) type Key = (String, String);

/// What the last status of a cluster says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// It is of this generation.
    pub(crate) generation: Option<i64>,
    /// Its objects are applied for this generation.
    pub(crate) observed: Option<i64>,
    /// The whole status.
    pub(crate) phase: String,
    /// Bytes of the status as JSON.
    pub(crate) bytes: usize,
}

/// Clusters as a watch shows them, and when the hash of their nsqd disruption budget last changed.
#[derive(Default)]
pub(crate) struct Clusters {
    seen: Mutex<HashMap<Key, Seen>>,
    budgets: Mutex<HashMap<Key, (String, Instant)>>,
    largest: Mutex<usize>,
}

/// The clusters of a run.
pub(crate) fn keys(count: usize) -> Vec<Key> {
    let key = |n: usize| (format!("scale-{}", n / IN_A_NAMESPACE), format!("c{n}"));
    (0..count).map(key).collect()
}

impl Clusters {
    /// Starts to watch.
    pub(crate) fn start(plane: &Plane) -> Arc<Self> {
        let clusters = Arc::new(Self::default());
        let (client, own) = (plane.client.clone(), Arc::clone(&clusters));
        plane
            .runtime
            .spawn(async move { own.follow_clusters(client).await });
        let (client, own) = (plane.client.clone(), Arc::clone(&clusters));
        plane
            .runtime
            .spawn(async move { own.follow_budgets(client).await });
        clusters
    }

    async fn follow_clusters(&self, client: Client) {
        let stream = watcher(api(&client, "NsqCluster", None), watcher::Config::default());
        let mut stream = std::pin::pin!(stream.backoff(DefaultBackoff::default()));
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => {
                    let seen = seen(&object);
                    let mut largest = self.largest.lock();
                    *largest = seen.bytes.max(*largest);
                    self.seen.lock().insert(key(&object), seen);
                }
                Ok(Event::Delete(object)) => {
                    self.seen.lock().remove(&key(&object));
                }
                Ok(Event::Init | Event::InitDone) => {}
                Err(error) => eprintln!("watch of clusters: {error}"),
            }
        }
    }

    async fn follow_budgets(&self, client: Client) {
        let stream = watcher(
            api(&client, "PodDisruptionBudget", None),
            watcher::Config::default(),
        );
        let mut stream = std::pin::pin!(stream.backoff(DefaultBackoff::default()));
        while let Some(event) = stream.next().await {
            let Ok(Event::Apply(object) | Event::InitApply(object)) = event else {
                continue;
            };
            let hash = object
                .annotations()
                .get("nsq.rs/spec-hash")
                .cloned()
                .unwrap_or_default();
            let mut budgets = self.budgets.lock();
            let known = budgets
                .entry(key(&object))
                .or_insert_with(|| (String::new(), Instant::now()));
            if known.0 != hash {
                *known = (hash, Instant::now());
            }
        }
    }

    /// Waits until all of these are as `holds` says.
    #[track_caller]
    pub(crate) fn wait(&self, keys: &[Key], bound: Duration, holds: impl Fn(&Seen) -> bool) {
        eventually(bound, || {
            let seen = self.seen.lock();
            keys.iter().all(|key| seen.get(key).is_some_and(&holds))
        });
    }

    /// What is known of a cluster.
    pub(crate) fn of(&self, key: &Key) -> Seen {
        self.seen.lock().get(key).cloned().unwrap_or_default()
    }

    /// The largest status there was.
    pub(crate) fn largest(&self) -> usize {
        *self.largest.lock()
    }

    /// When the budget of the nsqd of a cluster changed last.
    pub(crate) fn changed_at(&self, key: &Key) -> Option<Instant> {
        let budget = (key.0.clone(), format!("{}-nsqd", key.1));
        self.budgets.lock().get(&budget).map(|(_, at)| *at)
    }
}

fn key(object: &DynamicObject) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn seen(object: &DynamicObject) -> Seen {
    let status = &object.data["status"];
    Seen {
        generation: object.metadata.generation,
        observed: status["observedGeneration"].as_i64(),
        phase: status["phase"].as_str().unwrap_or_default().to_owned(),
        bytes: if status.is_null() {
            0
        } else {
            status.to_string().len()
        },
    }
}

/// Makes clusters, all at once.
pub(crate) fn create(plane: &Plane, keys: &[Key], spec: &Value) {
    let mut namespaces: Vec<&str> = keys.iter().map(|(namespace, _)| namespace.as_str()).collect();
    namespaces.dedup();
    for namespace in namespaces {
        let existing = plane
            .runtime
            .block_on(plane.api("Namespace", None).get_opt(namespace));
        if existing.unwrap().is_none() {
            plane.cluster.kubectl(&["create", "namespace", namespace]);
        }
    }
    let one = |(namespace, name): &Key| {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster", "metadata": {"name": name}, "spec": spec,
        }))
        .unwrap();
        let api = plane.api("NsqCluster", Some(namespace));
        async move { api.create(&PostParams::default(), &object).await.map(drop) }
    };
    let all = stream::iter(keys.iter().map(one)).buffer_unordered(AT_ONCE);
    let results: Vec<Result<(), kube::Error>> = plane.runtime.block_on(all.collect());
    for result in results {
        result.unwrap();
    }
}

/// Changes the spec of a cluster. The server may close a connection in the moment in which it is used again; the patch may be sent
/// twice.
pub(crate) async fn change(client: &Client, key: &Key, spec: &Value) -> Result<(), kube::Error> {
    let patch = Patch::Merge(json!({"spec": spec}));
    let api = api(client, "NsqCluster", Some(&key.0));
    let params = PatchParams::default();
    let send = || api.patch(&key.1, &params, &patch);
    let mut answer = send().await;
    if matches!(answer, Err(kube::Error::Service(_))) {
        answer = send().await;
    }
    answer.map(drop)
}

/// Three nsqd, two nsqlookupd, one nsqadmin.
pub(crate) fn usual() -> Value {
    json!({"image": "nsq-rs/nsq:scale", "nsqd": {"storage": {"size": SIZE}}})
}
