//! `nsq-operator`: runs NSQ clusters from `NsqCluster` manifests, in Kubernetes or on one machine.
//!
//! | module | owns | does not know |
//! |---|---|---|
//! | [`api`] | the custom resource types, defaults, rules | clients, clocks, files |
//! | [`crd`] | the CRDs as text | where they are written to |
//! | [`check`] | messages through a cluster and back, as any client would | Kubernetes, local mode |

pub mod api;
mod canonical;
pub mod check;
pub mod crd;
