//! The HTTP API (nsqd spec 6). Handlers turn requests into calls of the broker and pictures of it into answers.
//!
//! | module | endpoints |
//! |---|---|
//! | `evacuate` | `/evacuate` |
//! | `publish` | `/pub`, `/mpub` |
//! | `manage` | `/topic/…`, `/channel/…` |
//! | `stats` | `/stats` |
//! | `config` | `/config/:opt` |
//! | `node` | `/ping`, `/info`, `/ready`, `/livez`, `/lifecycle`, `/metrics` |

mod config;
mod evacuate;
mod manage;
mod node;
mod publish;
mod stats;

use crate::broker::{Broker, Refused};
use crate::lifecycle::Lifecycle;
use crate::lookup::Lookup;
use crate::metrics::Metrics;
use crate::options::TlsRequired;
use nsq_service::flags::Values;
use nsq_service::http::{Failure, Method, Reply, Route, Router, StatusCode};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

/// What does not change while the process runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Name of the machine.
    pub hostname: String,
    /// Bound port; -1 for a Unix socket, 0 when HTTP is off.
    pub http_port: i32,
    /// Bound port; -1 for a Unix socket.
    pub tcp_port: i32,
    /// Start in Unix seconds.
    pub start_time: i64,
}

/// What the endpoints work on.
pub struct State {
    /// Topics and options.
    pub broker: Arc<Broker>,
    /// Options as they were set, for `/config`.
    pub values: Mutex<Values>,
    /// The nsqlookupds.
    pub lookup: Arc<Lookup>,
    /// The phase of the node.
    pub lifecycle: Arc<Lifecycle>,
    /// What `/metrics` is made of.
    pub metrics: Metrics,
    /// Ports and times.
    pub facts: Facts,
}

impl State {
    fn now_ms(&self) -> i64 {
        self.broker.engine.clock.unix_nanos() / 1_000_000
    }
}

/// The table of all endpoints.
#[must_use]
pub fn router(state: Arc<State>) -> Router<State> {
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let measured = state.metrics.http.clone();
    Router::new(state)
        .measured(measured)
        .route(Route::plain(get.clone(), "/ping", node::ping).logged_at_debug())
        .route(Route::v1(get.clone(), "/livez", node::livez).logged_at_debug())
        .route(Route::v1(get.clone(), "/ready", node::ready).logged_at_debug())
        .route(Route::plain(get.clone(), "/metrics", node::metrics).logged_at_debug())
        .route(Route::v1(get.clone(), "/info", node::info))
        .route(Route::v1(get.clone(), "/lifecycle", node::lifecycle).logged_at_debug())
        .route(Route::v1(put.clone(), "/lifecycle", node::set_lifecycle).reads_body())
        .route(Route::v1(post.clone(), "/evacuate", evacuate::evacuate).reads_body())
        .route(Route::v1(get.clone(), "/stats", stats::stats))
        .route(
            Route::v1(post.clone(), "/pub", publish::publish)
                .reads_body()
                .not_logged(),
        )
        .route(
            Route::v1(post.clone(), "/mpub", publish::publish_many)
                .reads_body()
                .not_logged(),
        )
        .route(Route::v1(post.clone(), "/topic/create", manage::create_topic))
        .route(Route::v1(post.clone(), "/topic/delete", manage::delete_topic))
        .route(Route::v1(post.clone(), "/topic/empty", manage::empty_topic))
        .route(Route::v1(post.clone(), "/topic/pause", |s, r| {
            manage::pause_topic(s, r, true)
        }))
        .route(Route::v1(post.clone(), "/topic/unpause", |s, r| {
            manage::pause_topic(s, r, false)
        }))
        .route(Route::v1(post.clone(), "/channel/create", manage::create_channel))
        .route(Route::v1(post.clone(), "/channel/delete", manage::delete_channel))
        .route(Route::v1(post.clone(), "/channel/empty", manage::empty_channel))
        .route(Route::v1(post.clone(), "/channel/pause", |s, r| {
            manage::pause_channel(s, r, true)
        }))
        .route(Route::v1(post, "/channel/unpause", |s, r| {
            manage::pause_channel(s, r, false)
        }))
        .route(Route::v1(get, "/config/:opt", config::show))
        .route(Route::v1(put, "/config/:opt", config::change).reads_body())
}

/// The endpoints of the ops listener (extensions spec 14.1).
#[must_use]
pub fn ops_router(state: Arc<State>) -> Router<State> {
    let get = Method::GET;
    Router::new(state)
        .strict()
        .route(Route::plain(get.clone(), "/ping", node::ping).logged_at_debug())
        .route(Route::v1(get.clone(), "/livez", node::livez).logged_at_debug())
        .route(Route::v1(get.clone(), "/ready", node::ready).logged_at_debug())
        .route(Route::plain(get, "/metrics", node::metrics).logged_at_debug())
}

/// The endpoints of the plain listener: none when everybody must come over TLS. `https_port` is where that is.
#[must_use]
pub fn router_in_clear(state: Arc<State>, https_port: i32) -> Router<State> {
    if state.broker.options.tls_required != TlsRequired::Everywhere {
        return router(state);
    }
    // The spaces are those of the reference.
    let body = format!(r#"{{"message": "TLS_REQUIRED", "https_port": {https_port}}}"#);
    let measured = state.metrics.http.clone();
    Router::new(state).measured(measured).closed(move || {
        Reply::content("application/json; charset=utf-8", body.clone()).status(StatusCode::FORBIDDEN)
    })
}

/// The answer to a publish that was refused (extensions spec 1.5).
fn refusal(refused: &Refused) -> Failure {
    Failure::unavailable(refused.http_message()).retry_after(1)
}

fn internal(error: &io::Error) -> Failure {
    Failure::internal(error)
}
