//! Everything watched, by cluster: one owner, one lock. Watches write, passes take a snapshot. Source: operator spec 5.4.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::child::{Child, ClusterKey, Kept};
use crate::api::{NsqChannel, NsqCluster, NsqTopic};

/// Children of one cluster by what they are and their name.
pub(super) type Children = BTreeMap<(Kept, String), Arc<Child>>;

/// What is known about one cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// The cluster; none while it does not exist.
    pub cluster: Option<Arc<NsqCluster>>,
    /// Declared topics that name it, by object name.
    pub topics: BTreeMap<String, Arc<NsqTopic>>,
    /// Declared channels that name it, by object name.
    pub channels: BTreeMap<String, Arc<NsqChannel>>,
    /// Its children.
    pub children: Children,
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.cluster.is_none()
            && self.topics.is_empty()
            && self.channels.is_empty()
            && self.children.is_empty()
    }
}

/// A kind whose objects the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum StoreKind {
    /// Clusters.
    Cluster,
    /// Declared topics.
    Topic,
    /// Declared channels.
    Channel,
    /// Children.
    Child(Kept),
}

impl StoreKind {
    /// The kind's name in metrics.
    #[must_use]
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "NsqCluster",
            Self::Topic => "NsqTopic",
            Self::Channel => "NsqChannel",
            Self::Child(Kept::Pod) => "Pod",
            Self::Child(Kept::Object(kind)) => kind.as_str(),
        }
    }
}

/// One watch: a kind, in all namespaces or in one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    /// What it watches.
    pub kind: StoreKind,
    /// Where; none is everywhere.
    pub namespace: Option<String>,
}

/// An object with its place in the store.
#[derive(Clone, Debug)]
pub(super) enum Object {
    /// A cluster.
    Cluster(Arc<NsqCluster>),
    /// A declared topic.
    Topic(Arc<NsqTopic>),
    /// A declared channel.
    Channel(Arc<NsqChannel>),
    /// A child.
    Child(Arc<Child>),
}

/// The objects of every watch.
#[derive(Debug, Default)]
pub(super) struct Store {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    clusters: BTreeMap<ClusterKey, Entry>,
    /// Watches that have not had their first list.
    unsynced: BTreeSet<Source>,
}

impl Store {
    /// A store that waits for the first lists of these watches.
    #[must_use]
    pub(super) fn new(sources: impl IntoIterator<Item = Source>) -> Self {
        Self {
            inner: Mutex::new(Inner {
                unsynced: sources.into_iter().collect(),
                ..Inner::default()
            }),
        }
    }

    /// Takes an object. True if a pass may decide something else because of it.
    pub(super) fn put(&self, kind: StoreKind, key: &ClusterKey, name: &str, object: Object) -> bool {
        let mut inner = self.inner.lock();
        let entry = inner.clusters.entry(key.clone()).or_default();
        let name = name.to_owned();
        match (kind, object) {
            (_, Object::Cluster(new)) => {
                let old = entry.cluster.replace(Arc::clone(&new));
                old.is_none_or(|old| cluster_changed(&old, &new))
            }
            (_, Object::Topic(new)) => {
                let old = entry.topics.insert(name, Arc::clone(&new));
                old.is_none_or(|old| member_changed(&old.metadata, &new.metadata))
            }
            (_, Object::Channel(new)) => {
                let old = entry.channels.insert(name, Arc::clone(&new));
                old.is_none_or(|old| member_changed(&old.metadata, &new.metadata))
            }
            (StoreKind::Child(kept), Object::Child(new)) => {
                let old = entry.children.insert((kept, name), Arc::clone(&new));
                old.is_none_or(|old| child_changed(&old, &new))
            }
            (StoreKind::Cluster | StoreKind::Topic | StoreKind::Channel, Object::Child(_)) => false,
        }
    }

    /// Forgets an object. True if it was known.
    pub(super) fn remove(&self, kind: StoreKind, key: &ClusterKey, name: &str) -> bool {
        let mut inner = self.inner.lock();
        let Some(entry) = inner.clusters.get_mut(key) else {
            return false;
        };
        let known = match kind {
            StoreKind::Cluster => entry.cluster.take().is_some(),
            StoreKind::Topic => entry.topics.remove(name).is_some(),
            StoreKind::Channel => entry.channels.remove(name).is_some(),
            StoreKind::Child(kept) => entry.children.remove(&(kept, name.to_owned())).is_some(),
        };
        if entry.is_empty() {
            inner.clusters.remove(key);
        }
        known
    }

    /// A list of `source` is complete: forgets what it did not name. Gives the clusters that lost something.
    pub(super) fn listed(&self, source: &Source, seen: &BTreeSet<(ClusterKey, String)>) -> Vec<ClusterKey> {
        let mut inner = self.inner.lock();
        let here = |key: &ClusterKey| {
            source
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == key.namespace)
        };
        let mut changed = Vec::new();
        for (key, entry) in inner.clusters.iter_mut().filter(|(key, _)| here(key)) {
            let gone = |name: &str| !seen.contains(&(key.clone(), name.to_owned()));
            let before = size(entry);
            match source.kind {
                StoreKind::Cluster if gone(&key.name) => entry.cluster = None,
                StoreKind::Cluster => {}
                StoreKind::Topic => entry.topics.retain(|name, _| !gone(name)),
                StoreKind::Channel => entry.channels.retain(|name, _| !gone(name)),
                StoreKind::Child(kept) => {
                    entry
                        .children
                        .retain(|(kind, name), _| *kind != kept || !gone(name));
                }
            }
            if size(entry) != before {
                changed.push(key.clone());
            }
        }
        inner.clusters.retain(|_, entry| !entry.is_empty());
        inner.unsynced.remove(source);
        changed
    }

    /// What is known about a cluster now.
    #[must_use]
    pub(super) fn snapshot(&self, key: &ClusterKey) -> Entry {
        self.inner.lock().clusters.get(key).cloned().unwrap_or_default()
    }

    /// Kinds whose first list is not there yet.
    #[must_use]
    pub(super) fn unsynced(&self) -> Vec<&'static str> {
        let mut kinds: Vec<&str> = self
            .inner
            .lock()
            .unsynced
            .iter()
            .map(|source| source.kind.as_str())
            .collect();
        kinds.dedup();
        kinds
    }

    /// Number of objects by kind.
    #[must_use]
    pub(super) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let inner = self.inner.lock();
        let mut counts = BTreeMap::new();
        let mut count = |kind: StoreKind, number: usize| {
            *counts.entry(kind.as_str()).or_insert(0) += number;
        };
        for entry in inner.clusters.values() {
            count(StoreKind::Cluster, usize::from(entry.cluster.is_some()));
            count(StoreKind::Topic, entry.topics.len());
            count(StoreKind::Channel, entry.channels.len());
            for (kept, _) in entry.children.keys() {
                count(StoreKind::Child(*kept), 1);
            }
        }
        counts
    }
}

fn size(entry: &Entry) -> (bool, usize, usize, usize) {
    (
        entry.cluster.is_some(),
        entry.topics.len(),
        entry.channels.len(),
        entry.children.len(),
    )
}

type Meta = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The status is our own writing: it does not wake us.
fn cluster_changed(old: &NsqCluster, new: &NsqCluster) -> bool {
    member_changed(&old.metadata, &new.metadata)
}

fn member_changed(old: &Meta, new: &Meta) -> bool {
    (
        old.generation,
        &old.uid,
        &old.labels,
        &old.annotations,
        &old.finalizers,
    ) != (
        new.generation,
        &new.uid,
        &new.labels,
        &new.annotations,
        &new.finalizers,
    ) || old.deletion_timestamp.is_some() != new.deletion_timestamp.is_some()
}

/// Changes of what is not kept, such as a controller's heartbeat, decide nothing.
fn child_changed(old: &Child, new: &Child) -> bool {
    Child {
        resource_version: new.resource_version.clone(),
        ..old.clone()
    } != *new
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::child::Detail;
    use super::*;
    use crate::build::ObjectKind;

    const SERVICE: StoreKind = StoreKind::Child(Kept::Object(ObjectKind::Service));

    fn key(namespace: &str, name: &str) -> ClusterKey {
        ClusterKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn child(version: &str, hash: &str) -> Object {
        Object::Child(Arc::new(Child {
            uid: "u".into(),
            resource_version: version.into(),
            owner: None,
            spec_hash: hash.into(),
            foreign: false,
            deleting: false,
            detail: Detail::Plain,
        }))
    }

    #[test]
    fn a_new_version_with_nothing_new_wakes_nobody() {
        let store = Store::default();
        let c = key("ns", "c");
        assert!(store.put(SERVICE, &c, "s", child("1", "a")));
        assert!(!store.put(SERVICE, &c, "s", child("2", "a")));
        let kept = store.snapshot(&c).children[&(Kept::Object(ObjectKind::Service), "s".to_owned())].clone();
        assert_eq!(&*kept.resource_version, "2");
        assert!(store.put(SERVICE, &c, "s", child("3", "b")));
    }

    #[test]
    fn a_list_removes_what_it_does_not_name_and_only_in_its_namespace() {
        let everywhere = Source {
            kind: SERVICE,
            namespace: None,
        };
        let store = Store::new([everywhere.clone()]);
        assert_eq!(store.unsynced(), ["Service"]);
        for (namespace, name) in [("a", "x"), ("a", "y"), ("b", "x")] {
            store.put(SERVICE, &key(namespace, "c"), name, child("1", "a"));
        }
        let seen = BTreeSet::from([(key("a", "c"), "x".to_owned())]);
        let only_a = Source {
            kind: SERVICE,
            namespace: Some("a".to_owned()),
        };
        assert_eq!(store.listed(&only_a, &seen), [key("a", "c")]);
        assert_eq!(store.counts()["Service"], 2);
        assert_eq!(store.listed(&everywhere, &seen), [key("b", "c")]);
        assert!(store.unsynced().is_empty());
        assert_eq!(store.counts()["Service"], 1);
    }
}
