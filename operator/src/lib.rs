//! `nsq-operator`: runs NSQ clusters from `NsqCluster` manifests, in Kubernetes or on one machine.
//!
//! | module | owns | does not know |
//! |---|---|---|
//! | [`api`] | the custom resource types, defaults, rules | clients, clocks, files |

pub mod api;
