//! `nsq-operator`: runs NSQ clusters from `NsqCluster` manifests, in Kubernetes or on one machine.
//!
//! | module | owns | does not know |
//! |---|---|---|
//! | [`api`] | the custom resource types, defaults, rules | clients, clocks, files |
//! | [`build`] | child objects of a cluster, one file per kind | what is live, beyond what it is told |
//! | [`crd`] | the CRDs as text | where they are written to |
//! | [`charts`] | what the Helm charts take from the types, as text | templates, where it is written to |
//! | [`install`] | what the operator may do, and the manifests that install it | where they are applied |
//! | [`daemon`] | what is asked of the daemons over HTTP | what the answers mean |
//! | [`world`] | the seam between plan and worlds | any world |
//! | [`localworld`] | processes, ports, folders, the table | Kubernetes, decisions |
//! | [`kubeworld`] | watches, applies, the lease, the queue of passes | decisions |
//! | [`series`] | metrics about clusters | worlds |
//! | [`cli`] | subcommands and exit codes | |
//! | [`plan`] | every decision about a cluster, as a function of what was seen | clients, clocks, files, worlds |
//! | [`check`] | messages through a cluster and back, as any client would | Kubernetes, local mode |
//! | [`preflight`] | what an install needs of a Kubernetes cluster, what was seen there | clients, what is wrong |
//! | [`render`] | child objects of a manifest as text | files, the cluster |

pub mod api;
pub mod build;
mod canonical;
pub mod charts;
pub mod check;
pub mod cli;
pub mod crd;
pub mod daemon;
pub mod generated;
pub mod install;
pub mod kubeworld;
pub mod localworld;
pub mod plan;
pub mod preflight;
pub mod render;
pub mod series;
pub mod world;
