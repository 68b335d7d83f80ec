//! What a consumer does with its messages: finish, requeue, touch, or nothing in time.

use super::negotiate::Granted;
use super::{Session, Stop, unless_closed};
use crate::auth::Request;
use crate::block::Run;
use crate::broker::CannotSubscribe;
use crate::channel::SubscribeRefused;
use crate::client::{ClientState, Compression, Identity, Locality};
use nsq_protocol::identify::IdentifyRequest;
use nsq_protocol::v2::{FrameType, OK};
use nsq_protocol::{ChannelName, ErrorCode, MessageId, TopicName};
use nsq_storage::os_text;
use nsq_transport::Codec;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) async fn identify(&mut self, json: &[u8]) -> Result<(), Stop> {
        let request = IdentifyRequest::parse(json)
            .map_err(|_| Stop::error(ErrorCode::BadBody, "IDENTIFY failed to decode JSON body"))?;
        self.negotiated.apply(&request, &self.broker.options)?;
        let granted = Granted::of(&request, &self.broker.options)?;
        let answer = if request.feature_negotiation {
            let response = self.negotiated.response(granted, &self.broker.options);
            // Strings and numbers always have a JSON form.
            nsq_service::json::to_vec(&response).unwrap_or_default()
        } else {
            OK.to_vec()
        };
        let identity = Identity {
            client_id: request.client_id,
            hostname: request.hostname,
            user_agent: request.user_agent,
            sample_rate: request.sample_rate,
            topology_zone: request.topology_zone,
            topology_region: request.topology_region,
        };
        let options = &self.broker.options;
        if options.topology_aware {
            let locality = Locality::of(&identity, &options.topology_zone, &options.topology_region);
            self.client.set_locality(locality);
        }
        *self.client.identity.lock() = identity;
        if self.times.heartbeat_at.is_none() || self.negotiated.heartbeat != Some(Duration::from_secs(30)) {
            self.start_heartbeats();
        }
        self.output.frame(FrameType::Response, &answer);
        // Boxed: it is needed once, and most connections never do.
        Box::pin(self.upgrade(granted)).await
    }

    /// Lays what was granted on the stream, one layer after the other; each says `OK` through itself (nsqd spec 2.3).
    async fn upgrade(&mut self, granted: Granted) -> Result<(), Stop> {
        if !granted.tls && granted.compression.is_none() {
            return Ok(());
        }
        let failed =
            |e: &dyn fmt::Display| Stop::error(ErrorCode::IdentifyFailed, format!("IDENTIFY failed {e}"));
        self.send_all().await?;
        if granted.tls
            && let Some(tls) = &self.security.tls
        {
            let early = self.input.take();
            let handshake = self.stream.start_tls(tls, early);
            let agreed = unless_closed(&self.client, &mut self.woken, handshake).await?;
            let agreed = agreed.map_err(|e| failed(&e))?;
            self.client.layers.lock().tls = Some(agreed);
            self.output.frame(FrameType::Response, OK);
            self.send_all().await?;
        }
        if let Some(compression) = granted.compression {
            let codec = match compression {
                Compression::Snappy => Codec::snappy(),
                Compression::Deflate(level) => Codec::deflate(level),
            };
            let early = self.input.take();
            self.stream.start_compression(codec, early);
            self.client.layers.lock().compression = Some(compression);
            self.output.frame(FrameType::Response, OK);
            self.send_all().await?;
        }
        Ok(())
    }

    pub(super) async fn subscribe(&mut self, topic: &TopicName, channel: &ChannelName) -> Result<(), Stop> {
        self.authorize("SUB", Request::Subscribe(topic, channel)).await?;
        let refused = |text: String| Stop::error(ErrorCode::SubFailed, format!("SUB failed {text}"));
        let granted = self
            .broker
            .subscribe(topic, channel, &self.client)
            .await
            .map_err(|e| {
                refused(match e {
                    CannotSubscribe::Refused(SubscribeRefused::Exiting) => "exiting".into(),
                    CannotSubscribe::Refused(SubscribeRefused::TooMany(n)) => {
                        format!("consumers for {topic}:{channel} exceeds limit of {n}")
                    }
                    CannotSubscribe::Deleted => "to deleted topic/channel".into(),
                    CannotSubscribe::Storage(error) => error,
                })
            })?;
        let timeout = u64::try_from(self.negotiated.msg_timeout.as_nanos()).unwrap_or(u64::MAX);
        self.client.in_flight.lock().set_timeout(timeout);
        self.subscription = Some(granted);
        self.client.set_state(ClientState::Subscribed);
        self.output.frame(FrameType::Response, OK);
        Ok(())
    }

    pub(super) fn set_ready(&mut self, count: i64) {
        self.client.ready_count.store(count, Relaxed);
    }

    pub(super) fn stop_delivery(&mut self) {
        self.set_ready(0);
        self.client.set_state(ClientState::Closing);
    }

    /// Carries out the `FIN`s of this turn, under one lock.
    pub(super) fn close_finished(&mut self) {
        if self.finished.is_empty() {
            return;
        }
        let mut unknown = Vec::new();
        {
            let mut in_flight = self.client.in_flight.lock();
            for id in self.finished.drain(..) {
                match id.to_u64().and_then(|n| in_flight.finish(n)) {
                    Some(finished) => self.done.push(finished),
                    None => unknown.push(id),
                }
            }
        }
        let done = i64::try_from(self.done.len()).unwrap_or(i64::MAX);
        if let Some(subscription) = &self.subscription {
            let engine = &self.broker.engine;
            let channel = &subscription.channel;
            channel.counters.finished.fetch_add(done.unsigned_abs(), Relaxed);
            if self.done.iter().any(|message| message.returned) {
                channel.finish_returned(&mut self.done);
            }
            channel
                .latencies
                .finished(&self.done, engine.timers.now(), engine.clock.unix_nanos());
            let gauges = &subscription.gauges;
            gauges.in_flight.fetch_sub(done, Relaxed);
            let bytes = self.done.iter().map(|message| message.bytes).sum();
            gauges.inside.left(self.done.len(), bytes);
        }
        self.client.counters.in_flight.fetch_sub(done, Relaxed);
        self.client
            .counters
            .finished
            .fetch_add(done.unsigned_abs(), Relaxed);
        self.done.clear();
        for id in unknown {
            self.not_yours(ErrorCode::FinFailed, "FIN", id);
        }
    }

    fn not_yours(&mut self, code: ErrorCode, command: &str, id: MessageId) {
        let Some(subscription) = &self.subscription else {
            return;
        };
        let why = subscription.channel.why_not_yours(id.to_u64()).as_str();
        self.not_done(code, command, id, why);
    }

    fn not_done(&mut self, code: ErrorCode, command: &str, id: MessageId, why: &str) {
        let text = [
            code.as_str().as_bytes(),
            b" ",
            command.as_bytes(),
            b" ",
            &id.0,
            b" failed ",
            why.as_bytes(),
        ];
        self.output.frame(FrameType::Error, &text.concat());
        let counters = &self.broker.engine.counters;
        counters.protocol_errors.add(code as usize);
    }

    pub(super) async fn requeue(&mut self, id: MessageId, delay: Duration) {
        let run = id.to_u64().and_then(|n| self.client.in_flight.lock().remove(n));
        let Some(run) = run else {
            self.not_yours(ErrorCode::ReqFailed, "REQ", id);
            return;
        };
        let Some(subscription) = &self.subscription else {
            return;
        };
        self.client.counters.in_flight.fetch_sub(1, Relaxed);
        self.client.counters.requeued.fetch_add(1, Relaxed);
        let (channel, gauges) = (&subscription.channel, &subscription.gauges);
        channel.counters.requeued.fetch_add(1, Relaxed);
        if delay.is_zero() && channel.is_exiting() {
            self.not_done(ErrorCode::ReqFailed, "REQ", id, "exiting");
            return;
        }
        if delay.is_zero() {
            channel.put_back(gauges, [run.unpinned()], &mut self.effects);
        } else {
            let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
            channel.put_back_later(gauges, run, delay, &mut self.effects);
        }
        if !self.effects.is_immediate()
            && let Err(e) = self.broker.engine.settle(&mut self.effects).await
        {
            self.not_done(ErrorCode::ReqFailed, "REQ", id, &os_text(&e));
        }
    }

    pub(super) fn touch(&mut self, id: MessageId) {
        let longest = u64::try_from(self.broker.options.max_msg_timeout.as_nanos()).unwrap_or(u64::MAX);
        let extension = u64::try_from(self.negotiated.msg_timeout.as_nanos()).unwrap_or(u64::MAX);
        let now = self.now();
        let touched = id
            .to_u64()
            .is_some_and(|n| self.client.in_flight.lock().touch(n, now, extension, longest));
        if !touched {
            self.not_yours(ErrorCode::TouchFailed, "TOUCH", id);
        }
    }

    /// Gives back the messages whose time is over.
    pub(super) fn time_out_messages(&mut self, now: u64) {
        let Some(subscription) = &self.subscription else {
            return;
        };
        let mut runs = Vec::new();
        {
            let mut in_flight = self.client.in_flight.lock();
            if in_flight.next_deadline().is_none_or(|at| at > now) {
                return;
            }
            in_flight.expire(now, &mut runs);
        }
        // Copied without a lock.
        let runs: Vec<Run> = runs.into_iter().map(Run::unpinned).collect();
        let count = i64::try_from(runs.len()).unwrap_or(i64::MAX);
        self.client.counters.in_flight.fetch_sub(count, Relaxed);
        subscription
            .channel
            .counters
            .timed_out
            .fetch_add(count.unsigned_abs(), Relaxed);
        subscription
            .channel
            .put_back(&subscription.gauges, runs, &mut self.effects);
    }

    /// If the channel was emptied since, forgets what is in flight here: it is no longer anybody's.
    pub(super) fn join_epoch(&mut self) {
        if let Some(subscription) = &mut self.subscription
            && subscription.channel.epoch() != subscription.gauges.epoch
        {
            let gauges = subscription.channel.gauges();
            self.client.in_flight.lock().clear();
            self.client.counters.in_flight.store(0, Relaxed);
            subscription.gauges = gauges;
        }
    }
}
