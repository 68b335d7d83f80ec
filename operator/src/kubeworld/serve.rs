//! `/livez`, `/readyz` and `/metrics` of the operator. None of them asks the API server. Source: operator spec 9.1, 9.2.

use std::sync::Arc;
use std::time::Duration;

use nsq_service::clock::Clock;
use nsq_service::http::{Failure, Limits, Method, Reply, Request, Route, Router, StatusCode, serve};
use nsq_service::listen::Listener;
use nsq_service::tasks::Tasks;
use parking_lot::Mutex;

use super::metrics::Metrics;
use super::store::Store;
use crate::series;

/// A loop that has not made a step for this long is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// What the endpoints answer from.
pub(super) struct Health {
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// Last step of the loop of passes, and of the lease.
    steps: Mutex<[Duration; 2]>,
    state: Mutex<State>,
}

/// A loop that has to make steps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loop {
    /// Passes.
    Passes,
    /// The lease.
    Lease,
}

/// What the process is doing.
#[derive(Clone)]
pub(super) enum State {
    /// It waits for the lease: that is as ready as it gets.
    Candidate,
    /// It cannot begin, and why.
    Waiting(String),
    /// It leads; the store tells whether it is complete.
    Leading(Arc<Store>),
}

impl Health {
    /// Nothing was done yet.
    #[must_use]
    pub(super) fn new(clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        let now = clock.monotonic();
        Self {
            clock,
            metrics,
            steps: Mutex::new([now; 2]),
            state: Mutex::new(State::Waiting("starting".to_owned())),
        }
    }

    /// A loop made a step.
    pub(super) fn step(&self, which: Loop) {
        self.steps.lock()[which as usize] = self.clock.monotonic();
    }

    /// The process does something else now.
    pub(super) fn set(&self, state: State) {
        self.metrics.leads(matches!(state, State::Leading(_)));
        *self.state.lock() = state;
    }

    fn live(&self) -> Result<(), String> {
        let now = self.clock.monotonic();
        let steps = *self.steps.lock();
        let stuck = |at: &Duration| now.saturating_sub(*at) >= STUCK;
        match steps.iter().position(stuck) {
            None => Ok(()),
            Some(0) => Err("the loop of passes is stuck".to_owned()),
            Some(_) => Err("the loop of the lease is stuck".to_owned()),
        }
    }

    fn ready(&self) -> Result<(), String> {
        match &*self.state.lock() {
            State::Candidate => Ok(()),
            State::Waiting(why) => Err(why.clone()),
            State::Leading(store) => {
                let missing = store.unsynced();
                if missing.is_empty() {
                    Ok(())
                } else {
                    Err(format!("waiting for the first list of {}", missing.join(", ")))
                }
            }
        }
    }

    fn store(&self) -> Option<Arc<Store>> {
        match &*self.state.lock() {
            State::Leading(store) => Some(Arc::clone(store)),
            State::Candidate | State::Waiting(_) => None,
        }
    }
}

/// Serves until the tasks are told to stop.
pub(super) fn start(listener: Listener, health: Arc<Health>, tasks: &Tasks) {
    let router = Router::new(health)
        .route(Route::plain(Method::GET, "/livez", livez).not_logged())
        .route(Route::plain(Method::GET, "/readyz", readyz).not_logged())
        .route(Route::plain(Method::GET, "/metrics", metrics).not_logged());
    let (router, inner) = (Arc::new(router), tasks.clone());
    tasks.spawn(async move {
        if let Err(error) = serve(listener, router, inner, Limits::default()).await {
            tracing::error!("HTTP: {error}");
        }
    });
}

fn answer(state: Result<(), String>) -> Reply {
    match state {
        Ok(()) => Reply::text("OK"),
        Err(why) => Reply::text(why).status(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn livez(health: Arc<Health>, _: Request) -> Result<Reply, Failure> {
    Ok(answer(health.live()))
}

async fn readyz(health: Arc<Health>, _: Request) -> Result<Reply, Failure> {
    Ok(answer(health.ready()))
}

async fn metrics(health: Arc<Health>, _: Request) -> Result<Reply, Failure> {
    let now = health.clock.unix_nanos() / 1_000_000_000;
    let mut text = series::head();
    let page = health.metrics.render(health.store().as_deref(), now);
    text.push_str(&page.map_err(|error| Failure::internal(&error))?);
    Ok(Reply::content("text/plain; version=0.0.4; charset=utf-8", text))
}
