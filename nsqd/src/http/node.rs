//! What the node says of itself: `/ping`, `/livez`, `/ready`, `/info`, and its phase (operator spec 6.3).

use super::State;
use crate::channel::ChannelSnapshot;
use crate::lifecycle::{DrainRequest, Phase, Stage};
use crate::topic::TopicSnapshot;
use nsq_http_api::lifecycle::{Blocker, BlockerReason, Drain, Join, Lifecycle, LifecycleRequest, Waiting};
use nsq_http_api::nsqd::Info;
use nsq_service::build_info;
use nsq_service::http::{BodyError, Failure, Reply, Request, StatusCode};
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

/// What this nsqd can do beyond the reference.
const EXTENSIONS: &[&str] = &["lifecycle", "join", "ready"];
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
    let health = &state.broker.health;
    if health.is_ok() {
        return Ok(Reply::text("OK"));
    }
    Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, health.text()))
}

/// `GET /livez`: whether the process can answer at all.
pub(super) async fn livez(_: Arc<State>, _: Request) -> Answer {
    Ok(Reply::text("OK"))
}

/// `GET /ready`: whether publishers should be sent here.
pub(super) async fn ready(state: Arc<State>, _: Request) -> Answer {
    let unavailable = |text: String| Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, text));
    if !state.broker.health.is_ok() {
        return unavailable(state.broker.health.text());
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
        Stage::Draining(draining) => (None, Some(drain(state, &draining.request))),
    };
    Lifecycle {
        phase,
        since_ms,
        join,
        drain,
    }
}

fn drain(state: &State, request: &DrainRequest) -> Drain {
    // Ephemeral topics and channels go with their users: they never hold a drain up.
    let mut all = state.broker.snapshot(|topic| !topic.is_ephemeral());
    all.iter_mut()
        .for_each(|(_, channels)| channels.retain(|c| !c.name.is_ephemeral()));
    let channels = || all.iter().flat_map(|(_, channels)| channels);
    let inside = all.iter().map(|(t, _)| t.inside).sum::<u64>() + channels().map(|c| c.inside).sum::<u64>();
    let message_count = all.iter().map(|(t, _)| t.message_count).sum();
    Drain {
        id: request.id.clone(),
        publishers: state
            .broker
            .clients()
            .iter()
            .filter(|c| c.has_published())
            .count() as u64,
        refused: state.lifecycle.refused(),
        depth: all.iter().map(|(t, _)| t.depth).sum::<u64>() + channels().map(|c| c.depth).sum::<u64>(),
        in_flight: channels().map(|c| c.in_flight).sum(),
        deferred: channels().map(|c| c.deferred).sum(),
        message_count,
        empty: inside == 0,
        empty_ms: state
            .lifecycle
            .note_empty(inside == 0, message_count, state.now_ms()),
        evacuate: request.evacuate,
        after_ms: request.after_ms,
        peers: request.peers.clone(),
        evacuating: false,
        evacuated: 0,
        last_error: String::new(),
        blockers: blockers(state, &all),
    }
}

/// What holds the drain up, largest first.
fn blockers(state: &State, all: &[(TopicSnapshot, Vec<ChannelSnapshot>)]) -> Vec<Blocker> {
    let mut found = Vec::new();
    let timers = &state.broker.engine.timers;
    let last_due = timers.last_due();
    let unix_ms = |due: u64| {
        let ahead = i64::try_from(due.saturating_sub(timers.now()) / 1_000_000).unwrap_or(i64::MAX);
        state.now_ms().saturating_add(ahead)
    };
    for (topic, channels) in all {
        let blocker = |channel: &str, reason, messages| Blocker {
            topic: topic.name.to_string(),
            channel: channel.to_owned(),
            reason,
            messages,
            due_ms: 0,
        };
        if topic.depth > 0 {
            let reason = if topic.paused {
                BlockerReason::TopicPaused
            } else {
                BlockerReason::NoChannel
            };
            if topic.paused || channels.is_empty() {
                found.push(blocker("", reason, topic.depth));
            }
        }
        for channel in channels {
            let name = channel.name.as_str();
            if channel.depth > 0 && channel.paused {
                found.push(blocker(name, BlockerReason::Paused, channel.depth));
            } else if channel.depth > 0 && channel.consumers.is_empty() {
                found.push(blocker(name, BlockerReason::NoConsumers, channel.depth));
            }
            if channel.deferred > 0 {
                let due = last_due.get(&(topic.name.clone(), channel.name.clone()));
                let due_ms = due.map_or(0, |&due| unix_ms(due));
                found.push(Blocker {
                    due_ms,
                    ..blocker(name, BlockerReason::Deferred, channel.deferred)
                });
            }
            if channel.in_flight > 0 {
                found.push(blocker(name, BlockerReason::InFlight, channel.in_flight));
            }
        }
    }
    found.sort_by_key(|b| Reverse(b.messages));
    found.truncate(MAX_SHOWN);
    found
}
