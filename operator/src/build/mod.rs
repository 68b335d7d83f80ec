//! From a resolved cluster to the Kubernetes objects it consists of.
//!
//! Pure: no client, no clock. One file per kind of object; `objects` gives them in the order they are
//! applied in. Source: operator spec, section 4.

mod claim;
mod config_map;
mod daemon_config;
mod deployment;
mod disruption_budget;
mod names;
mod network_policy;
mod object;
mod pod;
mod pod_monitor;
mod resolved;
mod route;
mod service;
mod service_account;
mod stateful_set;

pub use config_map::{HOT_HASH, NSQD_FILE, with_hot_options_of};
pub use daemon_config::{
    DaemonLog, NsqdTlsFiles, admin_config, lookupd_config, nsqd_config, with_hot_options,
};
pub use deployment::REMOVING_SINCE;
pub use names::Names;
pub use object::{Desired, ObjectKind, POD_HASH, RESTARTED_AT, SPEC_HASH, TEMPLATE_HASH};
pub use resolved::{Apis, Live, LiveClaim, NodeCount, Registries, Registry, Resolved};

/// All child objects of a cluster, in the order they are applied in: what others refer to comes first,
/// so that nsqd finds the names of the nsqlookupd and every pod its account, configuration and claim.
#[must_use]
pub fn objects(cluster: &Resolved) -> Vec<Desired> {
    let mut objects = vec![service_account::build(cluster)];
    objects.extend(service::build(cluster));
    objects.extend(config_map::build(cluster));
    objects.extend(claim::build(cluster));
    objects.extend(network_policy::build(cluster));
    objects.extend(disruption_budget::build(cluster));
    objects.extend(deployment::lookupds(cluster));
    objects.push(stateful_set::build(cluster));
    objects.extend(deployment::admin(cluster));
    objects.extend(route::build(cluster));
    objects.extend(pod_monitor::build(cluster));
    objects
}
