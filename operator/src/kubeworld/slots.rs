//! How many clusters replace nodes at the same time. Source: operator spec 5.8.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::child::ClusterKey;

/// A number of places, each held by a cluster while its rollout goes on.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    holders: Mutex<BTreeSet<ClusterKey>>,
}

impl Slots {
    /// `limit` free places.
    #[must_use]
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            holders: Mutex::default(),
        }
    }

    /// Whether a cluster holds a place, or could take one.
    pub(super) fn has_room(&self, cluster: &ClusterKey) -> bool {
        let holders = self.holders.lock();
        holders.contains(cluster) || holders.len() < self.limit
    }

    /// Takes a place; false if none is left. It is given back by [`release`](Self::release).
    pub(super) fn take(&self, cluster: &ClusterKey) -> bool {
        let mut holders = self.holders.lock();
        let room = holders.contains(cluster) || holders.len() < self.limit;
        if room {
            holders.insert(cluster.clone());
        }
        room
    }

    /// Gives the place of a cluster back.
    pub(super) fn release(&self, cluster: &ClusterKey) {
        self.holders.lock().remove(cluster);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ClusterKey {
        ClusterKey {
            namespace: "ns".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_third_cluster_waits_until_one_of_two_is_done() {
        let slots = Slots::new(2);
        assert!(slots.take(&key("a")) && slots.take(&key("b")) && slots.take(&key("a")));
        assert!(!slots.has_room(&key("c")) && !slots.take(&key("c")));
        slots.release(&key("a"));
        assert!(slots.has_room(&key("c")) && slots.take(&key("c")));
        assert!(!slots.has_room(&key("a")));
    }
}
