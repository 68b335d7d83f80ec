//! What the node says of itself: `/ping`, `/livez`, `/ready`, `/info`, and its phase (operator spec 6.3).

use super::State;
use crate::lifecycle::survey::Survey;
use crate::lifecycle::{DrainRequest, Draining, Phase, Stage};
use nsq_http_api::lifecycle::{Drain, Join, Lifecycle, LifecycleRequest, Waiting};
use nsq_http_api::nsqd::Info;
use nsq_service::build_info;
use nsq_service::http::{BodyError, Failure, Reply, Request, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// What this nsqd can do beyond the reference.
const EXTENSIONS: &[&str] = &["lifecycle", "evacuate", "join", "ready", "metrics", "tls-reload"];
/// Largest body of `PUT /lifecycle`.
const MAX_REQUEST: u64 = 64 * 1024;
const MAX_ID: usize = 64;
const MAX_PEERS: usize = 1024;
const DEFAULT_AFTER_MS: u64 = 30_000;
/// Most entries of a list that is shown.
const MAX_SHOWN: usize = 20;

type Answer = Result<Reply, Failure>;

/// `GET /ping`: `OK`, or what is wrong with the disk.
pub(super) async fn ping(state: Arc<State>, _: Request) -> Answer {
    match state.broker.health.cause() {
        None => Ok(Reply::text("OK")),
        Some(cause) => Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, cause)),
    }
}

/// `GET /livez`: whether the process can answer at all.
pub(super) async fn livez(_: Arc<State>, _: Request) -> Answer {
    Ok(Reply::text("OK"))
}

/// `GET /metrics`
pub(super) async fn metrics(state: Arc<State>, request: Request) -> Answer {
    let metrics = &state.metrics;
    Ok(metrics
        .endpoint
        .answer(request, |page| metrics.render(page))
        .await)
}

/// `GET /ready`: whether publishers should be sent here.
pub(super) async fn ready(state: Arc<State>, _: Request) -> Answer {
    let unavailable = |text: String| Ok(Reply::text(text).status(StatusCode::SERVICE_UNAVAILABLE));
    if let Some(cause) = state.broker.health.cause() {
        return unavailable(cause);
    }
    match state.lifecycle.stage().0 {
        Stage::Joining(joining) => {
            let left = joining
                .deadline_ms
                .saturating_sub(state.now_ms())
                .max(0)
                .saturating_add(999)
                / 1000;
            let waiting = state.lifecycle.waiting().len();
            unavailable(format!(
                "NOT READY - joining: {waiting} channels without consumers, {left}s left"
            ))
        }
        Stage::Active | Stage::Draining(_) => Ok(Reply::text("OK")),
    }
}

/// `GET /info`
pub(super) async fn info(state: Arc<State>, _: Request) -> Answer {
    let (options, facts) = (&state.broker.options, &state.facts);
    let nanos = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
    Reply::json(&Info {
        version: build_info::VERSION.into(),
        broadcast_address: options.broadcast_address.clone(),
        hostname: facts.hostname.clone(),
        http_port: facts.http_port,
        tcp_port: facts.tcp_port,
        start_time: facts.start_time,
        max_heartbeat_interval: nanos(options.max_heartbeat_interval),
        max_output_buffer_size: options.max_output_buffer_size,
        max_output_buffer_timeout: nanos(options.max_output_buffer_timeout),
        max_deflate_level: options.max_deflate_level,
        topology_zone: options.topology_zone.clone(),
        topology_region: options.topology_region.clone(),
        extensions: EXTENSIONS.iter().map(ToString::to_string).collect(),
        phase: Some(state.lifecycle.phase()),
        release: Some(build_info::RELEASE.into()),
    })
}

/// `GET /lifecycle`
pub(super) async fn lifecycle(state: Arc<State>, _: Request) -> Answer {
    Reply::json(&document(&state))
}

/// `PUT /lifecycle`
pub(super) async fn set_lifecycle(state: Arc<State>, mut request: Request) -> Answer {
    let body = request.body.read(MAX_REQUEST).await.map_err(|e| match e {
        BodyError::TooLarge(_) => Failure::too_large("INVALID_VALUE"),
        BodyError::Stalled(_) | BodyError::Broken(_) => Failure::internal(&e),
    })?;
    let invalid = |why: String| Failure::bad_request("INVALID_VALUE").detail(why);
    let wanted: LifecycleRequest = serde_json::from_slice(&body).map_err(|e| invalid(e.to_string()))?;
    match wanted.phase {
        Phase::Active => state.lifecycle.activate(state.now_ms()),
        Phase::Joining => return Err(invalid("phase must be draining or active".into())),
        Phase::Draining => {
            let id = wanted.id.ok_or_else(|| invalid("id is missing".into()))?;
            let peers = wanted.peers.unwrap_or_default();
            if id.chars().count() > MAX_ID || peers.len() > MAX_PEERS {
                return Err(invalid(format!(
                    "at most {MAX_ID} characters of id and {MAX_PEERS} peers"
                )));
            }
            let evacuate = wanted.evacuate.unwrap_or_default();
            let after_ms = wanted.after_ms.unwrap_or(DEFAULT_AFTER_MS);
            state.lifecycle.drain(
                DrainRequest {
                    id,
                    evacuate,
                    after_ms,
                    peers,
                },
                state.now_ms(),
            );
        }
    }
    Reply::json(&document(&state))
}

fn document(state: &State) -> Lifecycle {
    let (stage, since_ms) = state.lifecycle.stage();
    let phase = stage.phase();
    let (join, drain) = match stage {
        Stage::Active => (None, None),
        Stage::Joining(joining) => {
            let name = |(topic, channel): (nsq_protocol::TopicName, nsq_protocol::ChannelName)| Waiting {
                topic: topic.to_string(),
                channel: channel.to_string(),
            };
            let join = Join {
                topics: joining.topics as u64,
                channels: joining.channels.len() as u64,
                waiting: state
                    .lifecycle
                    .waiting()
                    .into_iter()
                    .take(MAX_SHOWN)
                    .map(name)
                    .collect(),
                deadline_ms: joining.deadline_ms,
            };
            (Some(join), None)
        }
        Stage::Draining(draining) => (None, Some(drain(state, &draining))),
    };
    Lifecycle {
        phase,
        since_ms,
        join,
        drain,
    }
}

fn drain(state: &State, draining: &Draining) -> Drain {
    let request = &draining.request;
    let survey = Survey::take(&state.broker);
    let empty = survey.is_empty();
    let clients = state.broker.clients();
    Drain {
        id: request.id.clone(),
        publishers: clients.iter().filter(|client| client.has_published()).count() as u64,
        refused: state.lifecycle.refused(),
        depth: survey.depth,
        in_flight: survey.in_flight,
        deferred: survey.deferred,
        message_count: survey.message_count,
        empty,
        empty_ms: state.lifecycle.note_empty(empty, survey.mark, state.now_ms()),
        evacuate: request.evacuate,
        after_ms: request.after_ms,
        peers: request.peers.clone(),
        evacuating: draining.evacuating,
        evacuated: draining.evacuated,
        last_error: draining.last_error.clone(),
        blockers: survey.blockers.into_iter().take(MAX_SHOWN).collect(),
    }
}
