//! `/metrics` of `local` itself, and `/sd`: its daemons as targets for Prometheus.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use nsq_service::http::{Failure, Limits, Method, Reply, Request, Route, Router, serve};
use nsq_service::listen::Listener;
use nsq_service::tasks::Tasks;
use prometheus::{Encoder as _, GaugeVec, Opts, Registry, TextEncoder};
use serde::Serialize;

use super::ident::Ident;
use super::observe::life;
use super::world::LocalWorld;
use crate::api::{ConditionStatus, ConditionType, NsqClusterStatus};
use crate::daemon::Daemons;

/// What the two endpoints answer from; replaced after each pass.
#[derive(Debug, Default)]
pub(super) struct Shown {
    cluster: String,
    status: NsqClusterStatus,
    now: i64,
    nodes: BTreeMap<String, usize>,
    targets: Vec<Target>,
}

/// One entry of Prometheus HTTP service discovery.
#[derive(Clone, Debug, Serialize)]
struct Target {
    targets: Vec<String>,
    labels: BTreeMap<&'static str, String>,
}

/// Shared between the passes and the endpoints.
pub(super) type Shared = Arc<Mutex<Shown>>;

/// Serves until the tasks are told to stop.
pub(super) fn start(listener: Listener, shown: Shared, tasks: &Tasks) {
    let router = Router::new(shown)
        .route(Route::plain(Method::GET, "/metrics", metrics).not_logged())
        .route(Route::plain(Method::GET, "/sd", discovery).not_logged());
    let (router, inner) = (Arc::new(router), tasks.clone());
    tasks.spawn(async move {
        // an accept that fails for good ends the endpoint, not the cluster
        let _ = serve(listener, router, inner, Limits::default()).await;
    });
}

impl Shown {
    /// What there is to show after a pass.
    pub(super) fn of<D: Daemons + 'static>(world: &LocalWorld<D>) -> Self {
        let cluster = world.declared.cluster.metadata.name.clone().unwrap_or_default();
        let mut nodes = BTreeMap::new();
        let mut targets = Vec::new();
        for (ident, daemon) in &world.supervisor.daemons {
            if let Ident::Nsqd(_) = ident {
                let state = world.state_of(*ident, daemon, &life(Some(daemon))).to_lowercase();
                *nodes.entry(known_state(&state).to_owned()).or_insert(0) += 1;
            }
            targets.push(Target {
                targets: vec![world.http(*ident)],
                labels: BTreeMap::from([
                    ("nsq_cluster", cluster.clone()),
                    ("nsq_component", ident.program().to_owned()),
                    ("pod", ident.to_string()),
                    ("namespace", "local".to_owned()),
                ]),
            });
        }
        Self {
            status: world.declared.cluster.status.clone().unwrap_or_default(),
            now: world.now().as_second(),
            cluster,
            nodes,
            targets,
        }
    }
}

/// States of the nodes metric. Source: operator spec 9.1.
fn known_state(state: &str) -> &str {
    match state {
        "active" | "joining" | "fenced" | "draining" | "sealed" | "removing" => state,
        _ => "unready",
    }
}

async fn discovery(shown: Shared, _: Request) -> Result<Reply, Failure> {
    let targets = shown
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .targets
        .clone();
    Reply::json(&targets)
}

async fn metrics(shown: Shared, _: Request) -> Result<Reply, Failure> {
    let registry = {
        let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        registry(&shown).map_err(|error| Failure::internal(&error))?
    };
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&registry.gather(), &mut text)
        .map_err(|error| Failure::internal(&error))?;
    Ok(Reply::content("text/plain; version=0.0.4; charset=utf-8", text))
}

/// The operator's metrics that have a meaning here. Source: operator spec 9.1.
fn registry(shown: &Shown) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let gauge = |name: &str, help: &str, labels: &[&str]| -> Result<GaugeVec, prometheus::Error> {
        let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
        registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    };
    let of_cluster = ["namespace", "nsq_cluster"];
    let here = ["local", shown.cluster.as_str()];
    let truth = |kind| f64::from(u8::from(shown.status.is_true(kind)));
    gauge(
        "nsq_operator_build_info",
        "Version of the operator.",
        &["version"],
    )?
    .with_label_values(&[env!("CARGO_PKG_VERSION")])
    .set(1.0);
    gauge(
        "nsq_operator_cluster_ready",
        "Condition Ready is True.",
        &of_cluster,
    )?
    .with_label_values(&here)
    .set(truth(ConditionType::Ready));
    gauge(
        "nsq_operator_cluster_stalled",
        "Condition Stalled is True.",
        &of_cluster,
    )?
    .with_label_values(&here)
    .set(truth(ConditionType::Stalled));
    let with_type = ["namespace", "nsq_cluster", "type"];
    let conditions = gauge(
        "nsq_operator_cluster_condition",
        "Conditions that are True.",
        &with_type,
    )?;
    for condition in &shown.status.conditions {
        let value = f64::from(u8::from(condition.status == ConditionStatus::True));
        let labels = [here[0], here[1], condition.kind.as_str()];
        conditions.with_label_values(&labels).set(value);
    }
    let with_state = ["namespace", "nsq_cluster", "state"];
    let nodes = gauge("nsq_operator_nodes", "Nodes by state.", &with_state)?;
    for (state, count) in &shown.nodes {
        let count = u32::try_from(*count).unwrap_or(u32::MAX);
        nodes
            .with_label_values(&[here[0], here[1], state])
            .set(f64::from(count));
    }
    if let Some(drain) = &shown.status.drain {
        let left: i64 = drain
            .nodes
            .iter()
            .map(|node| node.depth + node.in_flight + node.deferred)
            .sum();
        #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge(
            "nsq_operator_drain_remaining_messages",
            "Messages on nodes being drained.",
            &of_cluster,
        )?
        .with_label_values(&here)
        .set(left as f64);
        let age = u32::try_from(shown.now - drain.started_at.0.as_second()).unwrap_or(0);
        gauge("nsq_operator_drain_seconds", "Age of the drain.", &of_cluster)?
            .with_label_values(&here)
            .set(f64::from(age));
    }
    Ok(registry)
}
