//! Which optional APIs the Kubernetes cluster has. Asked only for clusters that want one. Source: operator spec 5.14.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use nsq_service::clock::Clock;
use parking_lot::Mutex;

use super::queue::Moment;
use crate::api::{NsqClusterSpec, RouteType};
use crate::build::{Apis, ObjectKind};

/// How long an answer holds: an API that is installed later is found within this.
const HOLDS: Duration = Duration::from_secs(30);
/// Longest wait for an answer.
const REQUEST: Duration = Duration::from_secs(5);

/// What is known about optional APIs.
pub(super) struct OptionalApis {
    client: Client,
    clock: Arc<dyn Clock>,
    known: Mutex<BTreeMap<ObjectKind, (bool, Moment)>>,
}

impl OptionalApis {
    /// Nothing is known yet.
    #[must_use]
    pub(super) fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            clock,
            known: Mutex::default(),
        }
    }

    /// The APIs a cluster asks for and can have, and the one that is missing, in words.
    pub(super) async fn of(&self, spec: &NsqClusterSpec) -> (Apis, Option<String>) {
        let wants_monitor = spec.monitoring.pod_monitor;
        let wants_route = spec.admin.route.kind == RouteType::HTTPRoute;
        let apis = Apis {
            pod_monitor: wants_monitor && self.has(ObjectKind::PodMonitor).await,
            http_route: wants_route && self.has(ObjectKind::HTTPRoute).await,
        };
        let missing = [
            (wants_monitor && !apis.pod_monitor, ObjectKind::PodMonitor),
            (wants_route && !apis.http_route, ObjectKind::HTTPRoute),
        ];
        let missing = missing.into_iter().find(|(missing, _)| *missing);
        let text = |kind: ObjectKind| {
            format!(
                "{} ({}) is asked for and the API is not installed; the rest of the cluster works",
                kind.as_str(),
                kind.api_version()
            )
        };
        (apis, missing.map(|(_, kind)| text(kind)))
    }

    /// Whether the API of a kind is there. Without an answer the last one stands.
    pub(super) async fn has(&self, kind: ObjectKind) -> bool {
        let now = self.clock.monotonic();
        let known = self.known.lock().get(&kind).copied();
        if let Some((there, at)) = known
            && now.saturating_sub(at) < HOLDS
        {
            return there;
        }
        let asked = self.client.list_api_group_resources(kind.api_version());
        let there = match tokio::time::timeout(REQUEST, asked).await {
            Ok(Ok(list)) => list
                .resources
                .iter()
                .any(|resource| resource.kind == kind.as_str()),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => false,
            Ok(Err(_)) | Err(_) => return known.is_some_and(|(there, _)| there),
        };
        self.known.lock().insert(kind, (there, now));
        there
    }
}
