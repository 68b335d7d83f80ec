//! What the builders get: the spec with everything decided that it leaves open.

use std::collections::BTreeMap;

use serde_json::Value;

use super::names::Names;
use crate::api::{Flavor, Mode, NsqCluster, NsqClusterSpec, Quantity};

/// A validated cluster with everything decided that its spec leaves open.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Name of the cluster.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID; `None` where there is no API server, and then there are no owner references.
    pub uid: Option<String>,
    /// Its spec.
    pub spec: NsqClusterSpec,
    /// Image in use.
    pub image: String,
    /// Whose daemons it holds.
    pub flavor: Flavor,
    /// Nodes and how far they may be replaced.
    pub nodes: NodeCount,
    /// Registries and consoles, and who is told of which.
    pub registries: Registries,
    /// Namespace of the operator, allowed in network policies; `None` leaves that rule out.
    pub operator_namespace: Option<String>,
    /// Optional APIs of the cluster.
    pub apis: Apis,
    /// What must be taken over from live objects.
    pub live: Live,
}

/// How many nodes the StatefulSet is told, and from which ordinal on they may be replaced.
///
/// One value, because an apply that leaves one of the two out resets it and kills or replaces pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCount {
    desired: i32,
    partition: i32,
}

impl NodeCount {
    /// Nothing may be replaced: the partition is parked at the count. Negative counts are 0.
    #[must_use]
    pub fn parked(desired: i32) -> Self {
        Self::rolling(desired, desired)
    }

    /// Ordinals from `partition` on may be replaced. It is kept within 0 and the count.
    #[must_use]
    pub fn rolling(desired: i32, partition: i32) -> Self {
        let desired = desired.max(0);
        Self {
            desired,
            partition: partition.clamp(0, desired),
        }
    }

    /// Number of nodes.
    #[must_use]
    pub fn desired(self) -> i32 {
        self.desired
    }

    /// First ordinal that may be replaced.
    #[must_use]
    pub fn partition(self) -> i32 {
        self.partition
    }
}

/// Which registries there should be, who is told of which, and how many consoles read them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registries {
    /// Every registry that should exist, in order of its index.
    pub all: Vec<Registry>,
    /// They run; a stopped cluster keeps the objects and no pods.
    pub running: bool,
    /// Indexes of those that a starting node registers with.
    pub register_with: Vec<i32>,
    /// Indexes of those that the consoles read.
    pub read_by_admin: Vec<i32>,
    /// Number of consoles.
    pub admins: i32,
}

/// One registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Its index.
    pub index: i32,
    /// When its removal began, as RFC 3339; `None` for one that stays.
    pub removing_since: Option<String>,
}

impl Registries {
    /// Those of the spec, all of them known to everybody.
    fn of(spec: &NsqClusterSpec) -> Self {
        let running = spec.mode != Mode::Stopped;
        let indexes: Vec<i32> = (0..spec.lookupd.replicas).collect();
        let stays = |index: &i32| Registry {
            index: *index,
            removing_since: None,
        };
        Self {
            all: indexes.iter().map(stays).collect(),
            running,
            register_with: indexes.clone(),
            read_by_admin: indexes,
            admins: if running { spec.admin.replicas } else { 0 },
        }
    }
}

/// Optional APIs of the Kubernetes cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apis {
    /// `monitoring.coreos.com/v1` PodMonitor.
    pub pod_monitor: bool,
    /// `gateway.networking.k8s.io/v1` HTTPRoute.
    pub http_route: bool,
}

/// What must be taken over from live objects, because the API server refuses to change it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    /// Claim templates of the live StatefulSet; `None` when there is no StatefulSet yet.
    pub claim_templates: Option<Vec<Value>>,
    /// Live claims by name.
    pub claims: BTreeMap<String, LiveClaim>,
}

/// Immutable parts and size of a live claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveClaim {
    /// Its access modes.
    pub access_modes: Vec<String>,
    /// Its storage class.
    pub class_name: Option<String>,
    /// Its requested size.
    pub size: Quantity,
}

impl Resolved {
    /// The cluster as a first pass sees it: nothing is live yet.
    ///
    /// `default_image` stands in for an absent `spec.image`, `namespace` for an absent namespace.
    #[must_use]
    pub fn first(cluster: &NsqCluster, namespace: &str, default_image: &str) -> Self {
        let spec = cluster.spec.clone();
        let nodes = if spec.mode == Mode::Stopped {
            0
        } else {
            spec.nsqd.replicas
        };
        let image = spec.image.clone().unwrap_or_else(|| default_image.to_owned());
        Self {
            name: cluster.metadata.name.clone().unwrap_or_default(),
            namespace: cluster
                .metadata
                .namespace
                .clone()
                .unwrap_or_else(|| namespace.to_owned()),
            uid: cluster.metadata.uid.clone(),
            flavor: spec.flavor_for(&image),
            nodes: NodeCount::parked(nodes),
            registries: Registries::of(&spec),
            image,
            spec,
            operator_namespace: None,
            apis: Apis::default(),
            live: Live::default(),
        }
    }

    /// Names of the children.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        Names {
            cluster: &self.name,
            namespace: &self.namespace,
            domain: &self.spec.cluster_domain,
        }
    }

    pub(super) fn is_native(&self) -> bool {
        self.flavor == Flavor::Native
    }
}
