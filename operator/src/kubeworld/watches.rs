//! One task per watch: what the API server tells goes into the store, and the cluster concerned gets a pass.
//! Lists, resumption and waiting after errors are kube's watcher. Source: operator spec 5.4.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt as _, watcher::DefaultBackoff};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::child::{ClusterKey, Kept, SlimClaim, SlimDeployment, SlimPod, SlimStatefulSet, Watched};
use super::metrics::Metrics;
use super::store::{Object, Source, Store, StoreKind};
use super::trim::Trimmed;
use crate::api::{NsqChannel, NsqCluster, NsqTopic};
use crate::build::ObjectKind;

/// Label of every child.
const OURS: &str = "app.kubernetes.io/managed-by=nsq-operator";

/// Kinds that are watched. PodMonitors and HTTPRoutes are read when a cluster asks for one.
const KINDS: [StoreKind; 13] = [
    StoreKind::Cluster,
    StoreKind::Topic,
    StoreKind::Channel,
    StoreKind::Child(Kept::Pod),
    StoreKind::Child(Kept::Object(ObjectKind::StatefulSet)),
    StoreKind::Child(Kept::Object(ObjectKind::Deployment)),
    StoreKind::Child(Kept::Object(ObjectKind::PersistentVolumeClaim)),
    StoreKind::Child(Kept::Object(ObjectKind::Service)),
    StoreKind::Child(Kept::Object(ObjectKind::ConfigMap)),
    StoreKind::Child(Kept::Object(ObjectKind::ServiceAccount)),
    StoreKind::Child(Kept::Object(ObjectKind::PodDisruptionBudget)),
    StoreKind::Child(Kept::Object(ObjectKind::NetworkPolicy)),
    StoreKind::Child(Kept::Object(ObjectKind::Ingress)),
];

/// Every watch of an operator that looks at `namespaces`, or at all of them when that is empty.
#[must_use]
pub(super) fn sources(namespaces: &[String]) -> Vec<Source> {
    let places: Vec<Option<String>> = if namespaces.is_empty() {
        vec![None]
    } else {
        namespaces.iter().cloned().map(Some).collect()
    };
    let of = |kind: StoreKind| {
        places
            .iter()
            .cloned()
            .map(move |namespace| Source { kind, namespace })
    };
    KINDS.into_iter().flat_map(of).collect()
}

/// What every watch works with.
#[derive(Clone)]
pub(super) struct Watcher {
    /// Where the objects go.
    pub store: Arc<Store>,
    /// Where the clusters go whose objects changed. A full channel holds the watch back, which loses nothing.
    pub changed: mpsc::Sender<ClusterKey>,
    /// Counts restarts and objects that cannot be read.
    pub metrics: Metrics,
    /// Label selector of our own kinds.
    pub selector: String,
    /// Who lists: a page of five hundred objects takes megabytes until it is read, so the watches take turns.
    pub turn: Arc<Mutex<()>>,
}

impl Watcher {
    /// Starts all watches. They run until the set is dropped.
    pub(super) fn start(&self, client: &Client, sources: Vec<Source>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for source in sources {
            let (own, client) = (self.clone(), client.clone());
            tasks.spawn(async move { own.watch(client, source).await });
        }
        tasks
    }

    async fn watch(self, client: Client, source: Source) {
        let kind = source.kind;
        match kind {
            StoreKind::Cluster => self.declared::<NsqCluster>(client, source).await,
            StoreKind::Topic => self.declared::<NsqTopic>(client, source).await,
            StoreKind::Channel => self.declared::<NsqChannel>(client, source).await,
            StoreKind::Child(Kept::Pod) => self.whole::<SlimPod>(client, source).await,
            StoreKind::Child(Kept::Object(object)) => match object {
                ObjectKind::StatefulSet => self.whole::<SlimStatefulSet>(client, source).await,
                ObjectKind::Deployment => self.whole::<SlimDeployment>(client, source).await,
                ObjectKind::PersistentVolumeClaim => self.whole::<SlimClaim>(client, source).await,
                ObjectKind::Service => self.metadata::<Service>(client, source).await,
                ObjectKind::ConfigMap => self.metadata::<ConfigMap>(client, source).await,
                ObjectKind::ServiceAccount => self.metadata::<ServiceAccount>(client, source).await,
                ObjectKind::PodDisruptionBudget => {
                    self.metadata::<PodDisruptionBudget>(client, source).await;
                }
                ObjectKind::NetworkPolicy => self.metadata::<NetworkPolicy>(client, source).await,
                ObjectKind::Ingress => self.metadata::<Ingress>(client, source).await,
                ObjectKind::HTTPRoute | ObjectKind::PodMonitor => {}
            },
        }
    }

    /// Objects of our own kinds. One that cannot be read is told once and waits for its next change.
    async fn declared<K>(self, client: Client, source: Source)
    where
        K: Declared + Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
    {
        let config = watcher::Config::default().labels(&self.selector);
        let api: Api<DeserializeGuard<K>> = api(client, source.namespace.as_deref());
        let metrics = self.metrics.clone();
        let read = move |guarded: DeserializeGuard<K>| match guarded.0 {
            Ok(mut object) => {
                object.managed_fields_mut().clear();
                let name = object.name_any();
                object.into_stored().map(|(key, object)| (key, name, object))
            }
            Err(invalid) => {
                let name = invalid.metadata.name.unwrap_or_default();
                let namespace = invalid.metadata.namespace.unwrap_or_default();
                tracing::error!(
                    "{} {namespace}/{name} cannot be read: {}",
                    K::kind(&()),
                    invalid.error
                );
                metrics.unreadable(&K::kind(&()));
                None
            }
        };
        self.follow(source, watcher(api, config), read).await;
    }

    /// Children of which more than metadata is kept.
    async fn whole<K>(self, client: Client, source: Source)
    where
        K: Watched + Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
    {
        let api: Api<K> = api(client, source.namespace.as_deref());
        let stream = watcher(api, watcher::Config::default().labels(OURS));
        self.children(source, stream).await;
    }

    /// Children of which only metadata is kept.
    async fn metadata<K>(self, client: Client, source: Source)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
    {
        let api: Api<Trimmed<K>> = api(client, source.namespace.as_deref());
        let stream = watcher(api, watcher::Config::default().labels(OURS));
        self.children(source, stream).await;
    }

    async fn children<K: Watched>(
        self,
        source: Source,
        stream: impl Stream<Item = watcher::Result<Event<K>>>,
    ) {
        let StoreKind::Child(kept) = source.kind else {
            return;
        };
        let read = move |object: K| {
            let (key, name, child) = object.keep(kept)?;
            Some((key, name, Object::Child(Arc::new(child))))
        };
        self.follow(source, stream, read).await;
    }

    /// Keeps the store as the stream says, forever.
    async fn follow<K>(
        self,
        source: Source,
        stream: impl Stream<Item = watcher::Result<Event<K>>>,
        read: impl Fn(K) -> Option<(ClusterKey, String, Object)>,
    ) {
        let mut stream = std::pin::pin!(stream.backoff(DefaultBackoff::default()));
        let mut seen = BTreeSet::new();
        let mut turn = None;
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => {
                    seen.clear();
                    turn = Some(Arc::clone(&self.turn).lock_owned().await);
                }
                Ok(Event::InitApply(object)) => {
                    if let Some((key, name, object)) = read(object) {
                        seen.insert((key.clone(), name.clone()));
                        self.put(&source, key, &name, object).await;
                    }
                }
                Ok(Event::InitDone) => {
                    for key in self.store.listed(&source, &std::mem::take(&mut seen)) {
                        self.tell(key).await;
                    }
                    drop(turn.take());
                }
                Ok(Event::Apply(object)) => {
                    if let Some((key, name, object)) = read(object) {
                        self.put(&source, key, &name, object).await;
                    }
                }
                Ok(Event::Delete(object)) => {
                    if let Some((key, name, _)) = read(object)
                        && self.store.remove(source.kind, &key, &name)
                    {
                        self.tell(key).await;
                    }
                }
                Err(error) => {
                    // What waits before it lists again keeps nobody waiting.
                    drop(turn.take());
                    self.metrics.watch_restarted(source.kind.as_str());
                    tracing::warn!("watch of {}: {error}", source.kind.as_str());
                }
            }
        }
    }

    async fn put(&self, source: &Source, key: ClusterKey, name: &str, object: Object) {
        if self.store.put(source.kind, &key, name, object) {
            self.tell(key).await;
        }
    }

    async fn tell(&self, key: ClusterKey) {
        // Nobody listens any more: the operator ends.
        let _ = self.changed.send(key).await;
    }
}

fn api<K>(client: Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}

/// One of our own kinds.
trait Declared {
    /// The cluster it belongs to, and its form in the store.
    fn into_stored(self) -> Option<(ClusterKey, Object)>;
}

impl Declared for NsqCluster {
    fn into_stored(self) -> Option<(ClusterKey, Object)> {
        let key = ClusterKey {
            namespace: self.metadata.namespace.clone()?,
            name: self.metadata.name.clone()?,
        };
        Some((key, Object::Cluster(Arc::new(self))))
    }
}

impl Declared for NsqTopic {
    fn into_stored(self) -> Option<(ClusterKey, Object)> {
        let key = ClusterKey {
            namespace: self.metadata.namespace.clone()?,
            name: self.spec.cluster_name.clone(),
        };
        Some((key, Object::Topic(Arc::new(self))))
    }
}

impl Declared for NsqChannel {
    fn into_stored(self) -> Option<(ClusterKey, Object)> {
        let key = ClusterKey {
            namespace: self.metadata.namespace.clone()?,
            name: self.spec.cluster_name.clone(),
        };
        Some((key, Object::Channel(Arc::new(self))))
    }
}
