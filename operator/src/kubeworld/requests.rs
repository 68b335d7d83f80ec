//! Requests to the daemons of a cluster, as a plan asks for them.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};
use nsq_http_api::client::authority;

use super::child::{Child, PodDetail};
use super::observe::{self, LOOKUPD_HTTP, NSQD_HTTP};
use super::status;
use super::world::{KubeWorld, SOON};
use crate::api::Component;
use crate::daemon::Daemons;
use crate::plan::{NodeRequest, Plan};

impl<D: Daemons> KubeWorld<'_, D> {
    /// Where a node's HTTP API is.
    pub(super) fn address(&self, ordinal: i32) -> Option<String> {
        let (_, _, pod) = self.pod(ordinal)?;
        pod.ip.as_ref().map(|ip| authority(ip, NSQD_HTTP))
    }

    fn pod(&self, ordinal: i32) -> Option<(&str, &Child, &PodDetail)> {
        observe::pods(&self.entry.children).find(|(_, child, pod)| {
            pod.component == Component::Nsqd.as_str() && pod.index == Some(ordinal) && !child.deleting
        })
    }

    /// Requests of one node one after another, those of different nodes at once.
    pub(super) async fn requests(&mut self, plan: &Plan) {
        let mut by_node: BTreeMap<i32, Vec<&NodeRequest>> = BTreeMap::new();
        for action in &plan.node_actions {
            by_node.entry(action.ordinal).or_default().push(&action.request);
        }
        let this = &*self;
        let requests: Vec<_> = by_node
            .into_iter()
            .map(|(ordinal, requests)| this.requests_of(ordinal, requests))
            .collect();
        let asked: Vec<Vec<String>> = stream::iter(requests)
            .buffer_unordered(observe::AT_ONCE)
            .collect()
            .await;
        let mut refused: Vec<String> = asked.into_iter().flatten().collect();
        refused.sort();
        self.remembered.refused = refused;
    }

    /// Gives the hot options that the node refused. Everything else shows in the next observation.
    async fn requests_of(&self, ordinal: i32, requests: Vec<&NodeRequest>) -> Vec<String> {
        let mut refused = Vec::new();
        let Some((name, child, _)) = self.pod(ordinal) else {
            return refused;
        };
        let at = self.address(ordinal);
        for request in requests {
            if let NodeRequest::Fence(fenced) = request {
                let done = self
                    .shared
                    .writer
                    .fence(&self.key.namespace, name, &child.uid, *fenced)
                    .await;
                if let Err(problem) = done {
                    tracing::warn!(namespace = self.key.namespace, name, "fence not set: {problem}");
                }
                continue;
            }
            if *request == NodeRequest::Restart {
                let writer = &self.shared.writer;
                if let Err(problem) = writer.evict(&self.key.namespace, name, &child.uid).await {
                    tracing::warn!(namespace = self.key.namespace, name, "not evicted: {problem}");
                }
                continue;
            }
            let Some(at) = &at else { continue };
            let hot = matches!(request, NodeRequest::Lookupds(_) | NodeRequest::LogLevel(_));
            let done = self.shared.daemons.ask(at, request).await;
            self.shared
                .metrics
                .asked("nsqd", status::operation(request), done.is_ok());
            match done {
                Ok(()) => {}
                Err(error) if hot => refused.push(format!("nsqd-{ordinal}: {error}")),
                Err(error) => tracing::debug!(namespace = self.key.namespace, name, "{error}"),
            }
        }
        refused
    }

    /// Requests to registries, and then the finalizers: those that let go only if nothing failed.
    pub(super) async fn endings(&mut self, plan: &Plan) {
        let mut failed = false;
        for action in &plan.registry_actions {
            let Some(at) = self.registry(action.index) else {
                failed = true;
                continue;
            };
            let done = self.shared.daemons.ask_registry(&at, &action.request).await;
            self.shared.metrics.asked("nsqlookupd", "delete", done.is_ok());
            if let Err(error) = done {
                tracing::warn!(namespace = self.key.namespace, "{error}");
                failed = true;
            }
        }
        let release = !failed;
        for hold in plan.holds.iter().filter(|hold| hold.held || release) {
            if let Err(problem) = self.shared.writer.hold(&self.key.namespace, hold).await {
                tracing::warn!(
                    namespace = self.key.namespace,
                    name = hold.name,
                    "finalizer: {problem}"
                );
                failed = true;
            }
        }
        if failed {
            self.retry_in(SOON);
        }
    }

    /// Where the HTTP API of a registry is.
    fn registry(&self, index: i32) -> Option<String> {
        let (_, _, pod) = observe::pods(&self.entry.children).find(|(_, child, pod)| {
            pod.component == Component::Lookupd.as_str() && pod.index == Some(index) && !child.deleting
        })?;
        pod.ip.as_ref().map(|ip| authority(ip, LOOKUPD_HTTP))
    }
}
