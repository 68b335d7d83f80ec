//! `/metrics` of `local` itself, and `/sd`: its daemons as targets for Prometheus.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use nsq_service::http::{Failure, Limits, Method, Reply, Request, Route, Router, serve};
use nsq_service::listen::Listener;
use nsq_service::tasks::Tasks;
use serde::Serialize;

use super::ident::Ident;
use super::observe::life;
use super::world::LocalWorld;
use crate::api::NsqClusterStatus;
use crate::daemon::Daemons;
use crate::series::{self, ClusterFacts, node_state};

/// What the two endpoints answer from; replaced after each pass.
#[derive(Debug, Default)]
pub(super) struct Shown {
    cluster: String,
    status: NsqClusterStatus,
    now: i64,
    nodes: BTreeMap<&'static str, usize>,
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
                *nodes.entry(node_state(&state)).or_insert(0) += 1;
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

async fn discovery(shown: Shared, _: Request) -> Result<Reply, Failure> {
    let targets = shown
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .targets
        .clone();
    Reply::json(&targets)
}

async fn metrics(shown: Shared, _: Request) -> Result<Reply, Failure> {
    let mut page = series::head();
    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    let nodes = shown.nodes.iter().map(|(state, count)| (*state, *count));
    let facts = ClusterFacts::of("local", &shown.cluster, &shown.status, nodes);
    series::write(&mut page, &std::iter::once(&facts), shown.now);
    Ok(Reply::content("text/plain; version=0.0.4; charset=utf-8", page))
}
