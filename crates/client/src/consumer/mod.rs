//! Consuming one channel of one topic from every nsqd that has it.

mod backoff;
mod manager;
mod session;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use nsq_protocol::{ChannelName, TopicName};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Config;
use crate::connection::Message;
use manager::Manager;
use session::Answer;

/// Where to consume, and how much at once. Made by [`ConsumerOptions::new`], then fields are set.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// The topic.
    pub topic: TopicName,
    /// The channel; it is made where it is missing.
    pub channel: ChannelName,
    /// HTTP addresses (`host:port`) of nsqlookupds to ask for nsqds.
    pub lookupd_http_addresses: Vec<String>,
    /// TCP addresses (`host:port`) of nsqds to connect to in any case.
    pub nsqd_tcp_addresses: Vec<String>,
    /// Unanswered messages over all connections, at least 1. Default 1. With fewer than connections, they take turns.
    pub max_in_flight: u32,
    /// Time between two rounds of look-ups, which also passes the turn on. Default 15 s.
    pub lookup_interval: Duration,
    /// Longest wait before a lost or refused connection is tried again; it starts at 1/64 of it and doubles. Default 64 s.
    pub max_backoff: Duration,
    /// The second round comes later by up to this part of the interval, so that not all clients ask at once. Default 0.
    pub lookup_jitter: f64,
    /// Limit of one round of look-ups. Default 10 s.
    pub lookup_timeout: Duration,
    /// With fewer messages in the window than connections, the turn passes on this often. Default 10 s.
    pub turn_interval: Duration,
    /// What becomes of messages that [`Delivery::fail`] gives back.
    pub retry: Retry,
    /// The connection's own limits.
    pub config: Config,
}

/// How failed messages are tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Delay before the second delivery; the third comes after twice as long, and so on. Default 90 s.
    pub requeue_delay: Duration,
    /// Longest delay. Default 15 min.
    pub max_requeue_delay: Duration,
    /// A message that comes more often than this is finished without being handed out: it is **lost**, and a warning says so.
    /// 0, the default, never gives up.
    pub max_attempts: u16,
    /// After failures in a row nothing is received for twice, four times, eight times … this. Default 1 s.
    pub backoff_multiplier: Duration,
    /// Longest such pause; 0 makes none. Default 2 min.
    pub max_backoff: Duration,
    /// Pauses of random length up to what the rule gives.
    pub full_jitter: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            requeue_delay: Duration::from_secs(90),
            max_requeue_delay: Duration::from_secs(15 * 60),
            max_attempts: 0,
            backoff_multiplier: Duration::from_secs(1),
            max_backoff: Duration::from_secs(120),
            full_jitter: false,
        }
    }
}

impl ConsumerOptions {
    /// Defaults for a topic and a channel; addresses are still to be given.
    #[must_use]
    pub fn new(topic: TopicName, channel: ChannelName) -> Self {
        Self {
            topic,
            channel,
            lookupd_http_addresses: Vec::new(),
            nsqd_tcp_addresses: Vec::new(),
            max_in_flight: 1,
            lookup_interval: Duration::from_secs(15),
            max_backoff: Duration::from_secs(64),
            lookup_jitter: 0.0,
            lookup_timeout: Duration::from_secs(10),
            turn_interval: Duration::from_secs(10),
            retry: Retry::default(),
            config: Config::default(),
        }
    }
}

/// What a consumer knows of its surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Each nsqlookupd and, if its last answer failed, why.
    pub lookups: Vec<(String, Option<String>)>,
    /// Each nsqd by its TCP address, in order.
    pub nsqds: Vec<(String, NsqdStatus)>,
}

/// The state of one nsqd for a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NsqdStatus {
    /// Being connected.
    Connecting,
    /// Subscribed.
    Subscribed,
    /// Not connected, with the last reason; tried again later.
    Failed(String),
}

/// Receives the messages of one channel. Reconnects and discovers by itself until it is closed or dropped.
#[derive(Debug)]
pub struct Consumer {
    deliveries: mpsc::Receiver<Delivery>,
    status: watch::Receiver<ConsumerStatus>,
    stop: watch::Sender<bool>,
    limit: Duration,
    // Aborts all tasks when the consumer is dropped.
    tasks: JoinSet<()>,
}

impl Consumer {
    /// Starts discovery and connections. Needs a tokio runtime.
    #[must_use]
    pub fn start(options: ConsumerOptions) -> Self {
        // One place for every message that may be unanswered: sessions never wait for a reader that keeps to its window.
        let room = usize::try_from(options.max_in_flight.max(1))
            .unwrap_or(usize::MAX)
            .min(1 << 16);
        let (sender, deliveries) = mpsc::channel(room);
        let (publish_status, status) = watch::channel(ConsumerStatus::default());
        let (stop, stopping) = watch::channel(false);
        let limit = options.config.command_timeout;
        let mut tasks = JoinSet::new();
        tasks.spawn(Manager::new(options, sender, publish_status, stopping).run());
        Self {
            deliveries,
            status,
            stop,
            limit,
            tasks,
        }
    }

    /// The next message, in no order across nsqds. Never `None` while the consumer runs. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        self.deliveries.recv().await
    }

    /// Waits for a message and adds it to `batch`, with those that are there already, at most `limit` in all; how many there were. As
    /// [`next`](Self::next) else.
    pub async fn next_many(&mut self, batch: &mut Vec<Delivery>, limit: usize) -> usize {
        self.deliveries.recv_many(batch, limit).await
    }

    /// Follows what the consumer knows of its surroundings.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ConsumerStatus> {
        self.status.clone()
    }

    /// Says `CLS` to every nsqd, requeues what [`next`](Self::next) has not handed out, waits for answers to what it has, at most
    /// for the command limit, and disconnects. What is unanswered then is delivered again when its time-out passes.
    pub async fn close(self) {
        let limit = self.limit;
        self.close_within(limit).await;
    }

    /// [`close`](Self::close) with this limit.
    pub async fn close_within(self, limit: Duration) {
        let Self {
            mut deliveries,
            stop,
            mut tasks,
            ..
        } = self;
        deliveries.close();
        let _ = stop.send(true);
        let end = async {
            while let Some(delivery) = deliveries.recv().await {
                delivery.requeue(Duration::ZERO).await;
            }
            tasks.join_next().await
        };
        // Past the limit the drop of `tasks` ends them.
        let _ = timeout(limit, end).await;
    }
}

/// What the deliveries of one connection share.
#[derive(Debug)]
struct Origin {
    address: String,
    /// As the daemon was told last.
    ready: AtomicU32,
}

/// A message to be answered by [`finish`](Self::finish) or [`requeue`](Self::requeue). One that is dropped unanswered is
/// delivered again when its time-out passes.
#[derive(Debug)]
pub struct Delivery {
    message: Message,
    origin: Arc<Origin>,
    answers: mpsc::Sender<Answer>,
}

impl Delivery {
    /// What was published.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.message.body
    }

    /// Timestamp, attempts, id and body.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// TCP address of the nsqd it came from.
    #[must_use]
    pub fn nsqd(&self) -> &str {
        &self.origin.address
    }

    /// How many unanswered messages the connection that it came by may have at present: with as many no more come.
    #[must_use]
    pub fn window(&self) -> u32 {
        self.origin.ready.load(Relaxed)
    }

    /// The message was handled. False if the connection that delivered it is gone: then it is delivered again.
    pub async fn finish(self) -> bool {
        self.answers.send(Answer::Finish(self.message.id)).await.is_ok()
    }

    /// Deliver it again after `delay` (whole milliseconds, cut by the daemon to its limit). False as for [`finish`](Self::finish).
    pub async fn requeue(self, delay: Duration) -> bool {
        self.answers
            .send(Answer::Requeue(self.message.id, delay))
            .await
            .is_ok()
    }

    /// It could not be handled: deliver it again, later with each attempt, and receive less until something succeeds
    /// ([`Retry`]). False as for [`finish`](Self::finish).
    pub async fn fail(self) -> bool {
        let answer = Answer::Fail(self.message.id, self.message.attempts);
        self.answers.send(answer).await.is_ok()
    }

    /// Starts the time-out again. False as for [`finish`](Self::finish).
    pub async fn touch(&self) -> bool {
        self.answers.send(Answer::Touch(self.message.id)).await.is_ok()
    }
}
