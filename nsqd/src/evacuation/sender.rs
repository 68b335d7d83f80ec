//! Moves messages from a draining node to its peers.

use super::records;
use super::stuck::{Queue, Stuck};
use crate::broker::Broker;
use crate::channel::Channel;
use crate::effects::Effects;
use crate::lifecycle::{DrainRequest, Lifecycle, Phase};
use crate::topic::Topic;
use nsq_http_api::client::Client;
use nsq_http_api::lifecycle::Evacuate;
use nsq_service::http::{Method, encode_component};
use nsq_storage::os_text;
use std::sync::Arc;
use std::time::Duration;

/// Most messages of one request.
const MAX_MESSAGES: usize = 256;
/// Most bytes of bodies of one request; a single message may be larger.
const MAX_BYTES: usize = 1024 * 1024;
/// Time between two looks at the queues.
const LOOK: Duration = Duration::from_millis(500);
/// Wait after no peer took a request.
const ALL_FAILED: Duration = Duration::from_secs(5);

/// Empties the node into its peers whenever it is told to, until the daemon stops. It is not to be dropped before: what it holds
/// would be gone.
pub async fn run(lifecycle: Arc<Lifecycle>, broker: Arc<Broker>, client: Client) {
    let mut phases = lifecycle.phases();
    let tasks = broker.engine.tasks.clone();
    loop {
        tokio::select! {
            // An error would mean that the lifecycle is gone, which is held here.
            told = phases.wait_for(|phase| *phase == Phase::Draining) => if told.is_err() { return },
            () = tasks.stopping() => return,
        }
        let mut sender = Sender {
            lifecycle: &lifecycle,
            broker: &broker,
            client: &client,
            stuck: Stuck::default(),
            next_peer: 0,
        };
        while let Some(request) = lifecycle.drain_request() {
            let wait = sender.round(&request).await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // A cancelled drain ends the wait.
                _ = phases.wait_for(|phase| *phase != Phase::Draining) => {}
                () = tasks.stopping() => return,
            }
        }
    }
}

struct Sender<'a> {
    lifecycle: &'a Lifecycle,
    broker: &'a Broker,
    client: &'a Client,
    stuck: Stuck,
    next_peer: usize,
}

/// No peer took a request.
struct AllFailed;

impl Sender<'_> {
    /// Moves what may go now; how long to wait before the next look.
    async fn round(&mut self, request: &DrainRequest) -> Duration {
        if request.evacuate == Evacuate::Never || request.peers.is_empty() {
            self.lifecycle.note_evacuating(false);
            return LOOK;
        }
        let now_ms = i64::try_from(self.broker.engine.clock.monotonic().as_millis()).unwrap_or(i64::MAX);
        let movable = self.stuck.look(&self.broker.snapshot(|_| true), request, now_ms);
        let mut moved = false;
        for queue in &movable.ready {
            self.lifecycle.note_evacuating(true);
            match self.move_ready(queue, request).await {
                Ok(any) => moved |= any,
                Err(AllFailed) => return ALL_FAILED,
            }
        }
        for (topic, channel) in &movable.deferred {
            match self
                .move_deferred((topic.as_str(), channel.as_str()), request)
                .await
            {
                Ok(any) => moved |= any,
                Err(AllFailed) => return ALL_FAILED,
            }
        }
        self.lifecycle.note_evacuating(moved);
        LOOK
    }

    /// Whether anything was moved.
    async fn move_ready(
        &mut self,
        (topic, channel): &Queue,
        request: &DrainRequest,
    ) -> Result<bool, AllFailed> {
        let Some(topic) = self.broker.topic(topic.as_str()) else {
            return Ok(false);
        };
        match channel {
            None => self.move_topic(&topic, request).await,
            Some(name) => match topic.channel(name.as_str()) {
                Some(channel) => self.move_channel(&channel, request).await,
                None => Ok(false),
            },
        }
    }

    async fn move_channel(
        &mut self,
        channel: &Arc<Channel>,
        request: &DrainRequest,
    ) -> Result<bool, AllFailed> {
        let workers = &self.broker.engine.workers;
        let mut moved = false;
        while self.lifecycle.phase() == Phase::Draining {
            let Some(held) = channel.hold(MAX_MESSAGES, MAX_BYTES) else {
                // What lies in the files is read ahead first.
                let owner = channel.clone();
                if !owner.read_more(workers).await {
                    break;
                }
                continue;
            };
            let mut body = Vec::new();
            let mut count = 0;
            for (due, run) in &held.runs {
                let due = due.map_or(0, |due| self.broker.unix(due));
                run.messages()
                    .for_each(|message| records::encode(&message, due, &mut body));
                count += run.len();
            }
            if let Err(failed) = self.post(&target(channel), body, count, request).await {
                let mut effects = Effects::default();
                channel.give_back(held, &mut effects);
                self.settle(effects).await;
                return Err(failed);
            }
            moved = true;
            if let Err(e) = channel.let_go(held, workers).await {
                tracing::error!("EVACUATE: {channel:?} - {}", os_text(&e));
            }
        }
        Ok(moved)
    }

    async fn move_topic(&mut self, topic: &Arc<Topic>, request: &DrainRequest) -> Result<bool, AllFailed> {
        let mut moved = false;
        while self.lifecycle.phase() == Phase::Draining {
            let Some(held) = topic.hold(MAX_MESSAGES, MAX_BYTES) else {
                if !topic.read_more().await {
                    break;
                }
                continue;
            };
            let mut body = Vec::new();
            let mut count = 0;
            for (delay, run) in &held.runs {
                let delay = i64::try_from(*delay).unwrap_or(i64::MAX);
                run.messages()
                    .for_each(|message| records::encode(&message, delay, &mut body));
                count += run.len();
            }
            let path = format!("/evacuate?topic={}", encode_component(topic.name().as_str()));
            let posted = self.post(&path, body, count, request).await;
            let mut effects = Effects::default();
            let outcome = match posted {
                Ok(()) => topic.let_go(held, &mut effects).await,
                Err(_) => {
                    topic.give_back(held, &mut effects);
                    Ok(())
                }
            };
            self.settle(effects).await;
            posted?;
            moved = true;
            if let Err(e) = outcome {
                tracing::error!("EVACUATE: {topic:?} - {}", os_text(&e));
            }
        }
        Ok(moved)
    }

    async fn move_deferred(
        &mut self,
        (topic, channel): (&str, &str),
        request: &DrainRequest,
    ) -> Result<bool, AllFailed> {
        let channel = self.broker.topic(topic).and_then(|topic| topic.channel(channel));
        let Some(channel) = channel else { return Ok(false) };
        let soon = match request.evacuate {
            Evacuate::Always => 0,
            Evacuate::Stuck | Evacuate::Never => request.after_ms.saturating_mul(1_000_000),
        };
        let mut held = channel.hold_deferred(self.broker.engine.timers.now().saturating_add(soon));
        let mut moved = false;
        while !held.is_empty() {
            let (mut body, mut count, mut taken) = (Vec::new(), 0, 0);
            for (due, run) in &held {
                if taken > 0 && (count + run.len() > MAX_MESSAGES || body.len() + run.bytes() > MAX_BYTES) {
                    break;
                }
                let due = self.broker.unix(*due);
                run.messages()
                    .for_each(|message| records::encode(&message, due, &mut body));
                count += run.len();
                taken += 1;
            }
            if let Err(failed) = self.post(&target(&channel), body, count, request).await {
                channel.give_deferred_back(held);
                return Err(failed);
            }
            moved = true;
            channel.let_deferred_go(held.drain(..taken).map(|(_, run)| run));
        }
        Ok(moved)
    }

    /// Sends a request to the next peer that takes it. At a stop nobody does: whether the last one did stays open, and the messages
    /// stay here as well.
    async fn post(
        &mut self,
        path: &str,
        body: Vec<u8>,
        count: usize,
        request: &DrainRequest,
    ) -> Result<(), AllFailed> {
        let body = bytes::Bytes::from(body);
        for _ in &request.peers {
            let peer = &request.peers[self.next_peer % request.peers.len()];
            self.next_peer = self.next_peer.wrapping_add(1);
            let sent = tokio::select! {
                sent = self.client.send(Method::POST, peer, path, body.clone()) => sent,
                () = self.broker.engine.tasks.stopping() => return Err(AllFailed),
            };
            match sent {
                Ok(_) => {
                    self.lifecycle.note_evacuated(count as u64);
                    return Ok(());
                }
                Err(e) => {
                    tracing::warn!("EVACUATE: {e}");
                    self.lifecycle.note_evacuation_error(e.to_string());
                }
            }
        }
        Err(AllFailed)
    }

    async fn settle(&self, mut effects: Effects) {
        if let Err(e) = self.broker.engine.settle(&mut effects).await {
            tracing::error!("EVACUATE: {}", os_text(&e));
        }
    }
}

fn target(channel: &Channel) -> String {
    let paused = if channel.is_paused() { "&paused=true" } else { "" };
    format!(
        "/evacuate?topic={}&channel={}{paused}",
        encode_component(channel.topic().as_str()),
        encode_component(channel.name().as_str())
    )
}
