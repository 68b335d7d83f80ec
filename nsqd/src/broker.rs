//! The topics of one nsqd: creates, deletes, pauses, publishes. Knows no socket, no HTTP and no JSON of the wire.

use crate::block::BatchBuilder;
use crate::channel::{Channel, ChannelSnapshot, Gauges, SubscribeRefused};
use crate::client::Client;
use crate::effects::Effects;
use crate::engine::Engine;
use crate::health::Health;
use crate::message_id::{IdFactory, WaitTicks, tick_of};
use crate::metadata::{self, Metadata, TopicEntry};
use crate::options::Options;
use crate::queue::workers::SyncRules;
use crate::queue::{Backlog, MessageQueue};
use crate::timers::Timer;
use crate::topic::{NotNow, Topic, TopicSnapshot};
use nsq_protocol::message::HEADER_BYTES;
use nsq_protocol::{ChannelName, TopicName};
use nsq_service::clock::Clock;
use nsq_service::tasks::Tasks;
use nsq_storage::{Disk, QueueOptions, os_text};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// A burst of changes is one write of the metadata.
const METADATA_DELAY: Duration = Duration::from_millis(100);
/// Ticks that a previous run may have borrowed for ids, and one.
const RESTART_TICKS: u64 = 65;

/// Why a publish is refused. Nothing of it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The topic is being deleted, or the process ends.
    Exiting,
    /// The node is being emptied.
    Draining,
    /// The disk does not take it.
    Storage(String),
}

impl Refused {
    /// The words of the error frame, after `PUB failed `.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Exiting => "exiting",
            Self::Draining => "draining",
            Self::Storage(error) => error,
        }
    }

    /// The message of the HTTP error, status 503.
    #[must_use]
    pub const fn http_message(&self) -> &'static str {
        match self {
            Self::Exiting | Self::Storage(_) => "EXITING",
            Self::Draining => "DRAINING",
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Storage(os_text(&error))
    }
}

/// Asks the outside which channels a new topic should have.
pub trait ChannelSource: Send + Sync {
    /// Names of channels known elsewhere, not ephemeral. Takes as long as its time-outs allow and never fails:
    /// what cannot be asked is logged.
    fn channels_of<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> Pin<Box<dyn Future<Output = Vec<ChannelName>> + Send + 'a>>;
}

/// The topics and what they stand on.
pub struct Broker {
    /// What was set.
    pub options: Options,
    /// Timers, disk workers, tasks, clocks.
    pub engine: Arc<Engine>,
    /// Whether the disk works.
    pub health: Arc<Health>,
    /// Whether publishes are refused because the node is being emptied. Owned by [`crate::lifecycle`].
    pub draining: AtomicBool,
    /// Publishes refused while draining.
    pub refused: AtomicU64,
    disk: Arc<dyn Disk>,
    topics: RwLock<FxHashMap<TopicName, Arc<Topic>>>,
    first_tick: u64,
    changes: watch::Sender<u64>,
    metadata_changed: Notify,
    metadata_writer: tokio::sync::Mutex<()>,
    source: OnceLock<Arc<dyn ChannelSource>>,
    clients: Mutex<FxHashMap<u64, Arc<Client>>>,
    next_number: AtomicU64,
}

/// A subscription that was granted.
pub struct Subscription {
    /// Its channel.
    pub channel: Arc<Channel>,
    /// The channel's counts of the epoch in which it began.
    pub gauges: Arc<Gauges>,
}

/// Why a subscription is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotSubscribe {
    /// The channel says no.
    Refused(SubscribeRefused),
    /// Topic or channel vanished twice in a row.
    Deleted,
    /// The files of the channel cannot be opened.
    Storage(String),
}

impl Broker {
    /// Opens the data path, whose lock the caller holds: reads the metadata, creates and starts what it names.
    ///
    /// # Errors
    /// The text of the start-up failure.
    pub async fn open(
        options: Options,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Result<Arc<Self>, String> {
        let health = Arc::new(Health::default());
        let timeout = u64::try_from(options.sync_timeout.as_nanos()).unwrap_or(u64::MAX);
        let rules = SyncRules {
            every: options.sync_every.max(1),
            timeout,
        };
        let engine = Engine::start(clock.clone(), tasks, health.clone(), rules)
            .map_err(|e| format!("failed to start disk workers - {e}"))?;
        let (known, fresh) = Self::load(disk.as_ref(), &options.data_path.join(metadata::FILE_NAME))?;
        let now = tick_of(clock.unix_nanos());
        let broker = Arc::new(Self {
            first_tick: if fresh { now } else { now + RESTART_TICKS },
            options,
            engine,
            health,
            draining: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            disk,
            topics: RwLock::default(),
            changes: watch::Sender::new(0),
            metadata_changed: Notify::new(),
            metadata_writer: tokio::sync::Mutex::default(),
            source: OnceLock::new(),
            clients: Mutex::default(),
            next_number: AtomicU64::new(1),
        });
        broker
            .restore(known)
            .await
            .map_err(|e| format!("failed to open a queue - {}", os_text(&e)))?;
        broker
            .save_metadata()
            .await
            .map_err(|e| format!("failed to persist metadata - {}", os_text(&e)))?;
        let saving = broker.clone();
        broker
            .engine
            .tasks
            .spawn(async move { saving.keep_metadata().await });
        Ok(broker)
    }

    fn load(disk: &dyn Disk, path: &std::path::Path) -> Result<(Metadata, bool), String> {
        let json = match disk.read_file(path, metadata::MAX_BYTES) {
            Ok(json) => json,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Metadata::default(), true)),
            Err(e) => {
                return Err(format!(
                    "failed to load metadata - failed to read metadata from {} - {}",
                    path.display(),
                    os_text(&e)
                ));
            }
        };
        let (known, skipped) = Metadata::parse(&json).map_err(|e| {
            format!(
                "failed to load metadata - failed to parse metadata in {} - {e}",
                path.display()
            )
        })?;
        for entry in skipped {
            tracing::warn!("{entry}");
        }
        Ok((known, false))
    }

    async fn restore(&self, known: Metadata) -> io::Result<()> {
        let mut effects = Effects::default();
        for entry in known.topics {
            let topic = self.make_topic(&entry.name)?;
            topic.set_paused(entry.paused, &mut effects);
            for (name, paused) in entry.channels {
                let made =
                    topic.get_or_add_channel(&name, || self.make_channel(&topic, &name), &mut effects)?;
                if let Some((channel, _)) = made {
                    channel.set_paused(paused, &mut effects);
                }
            }
            topic.start(&mut effects);
            self.topics.write().insert(entry.name, topic);
        }
        effects.settle(&self.engine).await
    }

    fn queue(&self, name: &str, ephemeral: bool) -> io::Result<MessageQueue> {
        let memory = self.options.mem_queue_size;
        if ephemeral {
            return Ok(MessageQueue::new(memory, None));
        }
        let largest = u32::try_from(self.options.max_msg_size).unwrap_or(u32::MAX - 64);
        let header = u32::try_from(HEADER_BYTES).unwrap_or(0);
        let options = QueueOptions {
            max_bytes_per_file: self.options.max_bytes_per_file,
            max_record: largest.saturating_add(header),
            // No publish is without a body.
            min_record: header + 1,
            // The workers count and sync, so that no connection waits for one.
            sync_every: u64::MAX,
        };
        let files = Backlog::open(
            self.disk.clone(),
            &self.options.data_path,
            name.to_owned(),
            options,
        )?;
        Ok(MessageQueue::new(memory, Some(files)))
    }

    fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Relaxed)
    }

    fn make_topic(&self, name: &TopicName) -> io::Result<Arc<Topic>> {
        let queue = self.queue(name.as_str(), name.is_ephemeral())?;
        let ids = IdFactory::new(self.options.node_id, self.first_tick);
        Ok(Topic::new(name.clone(), self.number(), queue, ids))
    }

    fn make_channel(&self, topic: &Topic, name: &ChannelName) -> io::Result<Arc<Channel>> {
        let ephemeral = name.is_ephemeral() || topic.is_ephemeral();
        let queue = self.queue(&format!("{}:{name}", topic.name()), ephemeral)?;
        let timers = self.engine.timers.clone();
        Ok(Channel::new(
            topic.name().clone(),
            name.clone(),
            self.number(),
            queue,
            timers,
        ))
    }

    /// Says where channels of new topics are asked for. Once, before clients are served.
    pub fn set_channel_source(&self, source: Arc<dyn ChannelSource>) {
        // A second call would be a programmer's error without consequence.
        let _ = self.source.set(source);
    }

    /// Resolves whenever a topic or channel appeared or went.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn note_change(&self, ephemeral: bool) {
        self.changes.send_modify(|n| *n += 1);
        if !ephemeral {
            self.metadata_changed.notify_one();
        }
    }

    /// A topic that exists.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().get(name).cloned()
    }

    /// All topics, in no order.
    #[must_use]
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().values().cloned().collect()
    }

    /// The topic of that name, made if there is none. Its first caller waits until nsqlookupd was asked for channels.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn get_or_create_topic(&self, name: &TopicName) -> io::Result<Arc<Topic>> {
        if let Some(topic) = self.topic(name.as_str()) {
            return Ok(topic);
        }
        let topic = {
            let mut topics = self.topics.write();
            if let Some(topic) = topics.get(name) {
                return Ok(topic.clone());
            }
            let topic = self.make_topic(name)?;
            topics.insert(name.clone(), topic.clone());
            topic
        };
        tracing::info!("TOPIC({name}): created");
        self.note_change(name.is_ephemeral());
        if let Some(source) = self.source.get() {
            for channel in source.channels_of(name).await {
                self.get_or_create_channel(&topic, &channel).await?;
            }
        }
        let mut effects = Effects::default();
        topic.start(&mut effects);
        effects.settle(&self.engine).await?;
        Ok(topic)
    }

    /// The channel of that name, made if there is none. `None` when the topic is being deleted.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn get_or_create_channel(
        &self,
        topic: &Arc<Topic>,
        name: &ChannelName,
    ) -> io::Result<Option<Arc<Channel>>> {
        let mut effects = Effects::default();
        let made = topic.get_or_add_channel(name, || self.make_channel(topic, name), &mut effects)?;
        let Some((channel, new)) = made else {
            return Ok(None);
        };
        if new {
            tracing::info!("TOPIC({}): new channel({name})", topic.name());
            self.note_change(name.is_ephemeral() || topic.is_ephemeral());
        }
        effects.settle(&self.engine).await?;
        Ok(Some(channel))
    }

    /// Accepts a batch for a topic. Returns when it is in memory or in the files. The builder is empty afterwards,
    /// unless the batch was refused.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn publish(
        &self,
        topic: &Topic,
        batch: &mut BatchBuilder,
        delay: u64,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        if self.draining.load(Relaxed) {
            self.refused.fetch_add(u64::from(batch.len()), Relaxed);
            return Err(Refused::Draining);
        }
        loop {
            match topic.publish(batch, delay, self.engine.clock.unix_nanos(), effects) {
                Ok(()) => break,
                Err(NotNow::Exiting) => return Err(Refused::Exiting),
                // A tick is a little more than a millisecond.
                Err(NotNow::Wait(WaitTicks(ticks))) => {
                    tokio::time::sleep(Duration::from_millis(ticks + 1)).await;
                }
            }
        }
        if effects.is_immediate() {
            effects.wake(&self.engine.timers);
            return Ok(());
        }
        Ok(effects.settle(&self.engine).await?)
    }

    /// Notes a new connection, which `make` makes with a number of its own.
    pub fn add_client(&self, make: impl FnOnce(u64) -> Client) -> Arc<Client> {
        let client = Arc::new(make(self.number()));
        self.clients.lock().insert(client.id, client.clone());
        client
    }

    /// All connections in the order in which they came.
    #[must_use]
    pub fn clients(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = self.clients.lock().values().cloned().collect();
        all.sort_unstable_by_key(|c| c.id);
        all
    }

    /// Forgets a connection that has ended.
    pub fn remove_client(&self, client: &Client) {
        self.clients.lock().remove(&client.id);
    }

    /// Makes a connection a consumer; topic and channel are made if they do not exist.
    ///
    /// # Errors
    /// [`CannotSubscribe`].
    pub async fn subscribe(
        &self,
        topic: &TopicName,
        channel: &ChannelName,
        client: &Arc<Client>,
    ) -> Result<Subscription, CannotSubscribe> {
        let ephemeral = topic.is_ephemeral() || channel.is_ephemeral();
        for last in [false, true] {
            let storage = |e: io::Error| CannotSubscribe::Storage(os_text(&e));
            let topic = self.get_or_create_topic(topic).await.map_err(storage)?;
            if let Some(channel) = self
                .get_or_create_channel(&topic, channel)
                .await
                .map_err(storage)?
            {
                match channel.subscribe(client, self.options.max_channel_consumers) {
                    Ok(gauges) => return Ok(Subscription { channel, gauges }),
                    Err(SubscribeRefused::Exiting) if ephemeral => {}
                    Err(refused) => return Err(CannotSubscribe::Refused(refused)),
                }
            } else if !ephemeral {
                return Err(CannotSubscribe::Refused(SubscribeRefused::Exiting));
            }
            if !last {
                // What is being deleted is gone in a moment, and can be made anew then.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Err(CannotSubscribe::Deleted)
    }

    /// Ends a subscription. An ephemeral channel goes with its last consumer.
    pub async fn unsubscribe(self: &Arc<Self>, client: &Arc<Client>, subscription: &Subscription) {
        let mut effects = Effects::default();
        let channel = &subscription.channel;
        let others = channel.unsubscribe(client, &subscription.gauges, &mut effects);
        if let Err(e) = effects.settle(&self.engine).await {
            tracing::error!("CHANNEL({}): {e}", channel.name());
        }
        if !others && channel.is_ephemeral() && !self.engine.tasks.is_stopping() {
            let (broker, channel) = (self.clone(), channel.clone());
            self.engine.tasks.spawn(async move {
                if let Some(topic) = broker.topic(channel.topic().as_str())
                    && let Err(e) = broker.delete_this_channel(&topic, &channel).await
                {
                    tracing::error!("failed to delete channel({}) - {e}", channel.name());
                }
            });
        }
    }

    /// Deletes a channel and everything in it; an ephemeral topic goes with its last channel. Whether there was one.
    ///
    /// # Errors
    /// Those of the file system; it is deleted all the same.
    pub async fn delete_channel(&self, topic: &Arc<Topic>, name: &str) -> io::Result<bool> {
        let Some(channel) = topic.channel(name) else {
            return Ok(false);
        };
        self.delete_this_channel(topic, &channel).await?;
        Ok(true)
    }

    async fn delete_this_channel(&self, topic: &Arc<Topic>, channel: &Arc<Channel>) -> io::Result<()> {
        tracing::info!("TOPIC({}): deleting channel {}", topic.name(), channel.name());
        let deleted = channel.delete(&self.engine.workers).await;
        let left = topic.remove_channel(channel);
        self.note_change(channel.is_ephemeral() || topic.is_ephemeral());
        if left == Some(0) && topic.is_ephemeral() {
            self.delete_topic(topic).await?;
        }
        deleted
    }

    /// Deletes a topic with its channels and everything in them.
    ///
    /// # Errors
    /// Those of the file system; it is deleted all the same.
    pub async fn delete_topic(&self, topic: &Arc<Topic>) -> io::Result<()> {
        if !topic.mark_exiting() {
            return Ok(());
        }
        let mut outcome = Ok(());
        for channel in topic.channels() {
            outcome = outcome.and(channel.delete(&self.engine.workers).await);
            topic.remove_channel(&channel);
        }
        outcome = outcome.and(topic.delete_queue(&self.engine.workers).await);
        self.topics.write().remove(topic.name());
        self.note_change(topic.is_ephemeral());
        outcome
    }

    /// Pauses or resumes a topic; persisted before it returns.
    ///
    /// # Errors
    /// Those of the file system: then it is paused or resumed, but a restart may not know it.
    pub async fn pause_topic(&self, topic: &Topic, paused: bool) -> io::Result<()> {
        let mut effects = Effects::default();
        topic.set_paused(paused, &mut effects);
        effects.settle(&self.engine).await?;
        self.save_metadata().await
    }

    /// Pauses or resumes a channel; persisted before it returns.
    ///
    /// # Errors
    /// Those of the file system: then it is paused or resumed, but a restart may not know it.
    pub async fn pause_channel(&self, channel: &Channel, paused: bool) -> io::Result<()> {
        let mut effects = Effects::default();
        channel.set_paused(paused, &mut effects);
        effects.settle(&self.engine).await?;
        self.save_metadata().await
    }

    async fn keep_metadata(&self) {
        loop {
            tokio::select! {
                () = self.metadata_changed.notified() => {}
                () = self.engine.tasks.stopping() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(METADATA_DELAY) => {}
                // The clean stop writes it.
                () = self.engine.tasks.stopping() => return,
            }
            if let Err(e) = self.save_metadata().await {
                tracing::error!("failed to persist metadata - {}", os_text(&e));
            }
        }
    }

    /// Writes what exists and what is paused.
    ///
    /// # Errors
    /// Those of the file system: the file is then as it was.
    pub async fn save_metadata(&self) -> io::Result<()> {
        // One at a time, so that an older picture never replaces a newer one.
        let _writing = self.metadata_writer.lock().await;
        let path: PathBuf = self.options.data_path.join(metadata::FILE_NAME);
        tracing::info!("NSQ: persisting topic/channel metadata to {}", path.display());
        let (content, disk) = (self.metadata().encode(), self.disk.clone());
        let written = self
            .engine
            .workers
            .call(0, move || disk.write_atomic(&path, &content))
            .await;
        written.unwrap_or_else(|| Err(io::Error::other("exiting")))
    }

    fn metadata(&self) -> Metadata {
        let mut topics: Vec<_> = self
            .topics()
            .into_iter()
            .filter(|t| !t.is_ephemeral() && !t.is_exiting())
            .collect();
        topics.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        let entry = |topic: Arc<Topic>| TopicEntry {
            name: topic.name().clone(),
            paused: topic.is_paused(),
            channels: topic
                .channels()
                .iter()
                .filter(|c| !c.is_ephemeral() && !c.is_exiting())
                .map(|c| (c.name().clone(), c.is_paused()))
                .collect(),
        };
        Metadata {
            topics: topics.into_iter().map(entry).collect(),
        }
    }

    /// A picture of every topic that `wanted` selects, in name order, with its channels in name order.
    #[must_use]
    pub fn snapshot(
        &self,
        wanted: impl Fn(&TopicName) -> bool,
    ) -> Vec<(TopicSnapshot, Vec<ChannelSnapshot>)> {
        let mut topics = self.topics();
        topics.retain(|t| wanted(t.name()));
        topics.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        // Topics before their channels: a message on its way is counted in one of them, or in both, never in none.
        topics
            .iter()
            .map(|t| (t.snapshot(), t.channels().iter().map(|c| c.snapshot()).collect()))
            .collect()
    }

    /// The end of a clean stop, when no client is left: metadata and everything in memory is written.
    ///
    /// # Errors
    /// The first failure of the file system; everything was tried.
    pub async fn close(&self) -> io::Result<()> {
        let mut outcome = self.save_metadata().await;
        let mut waiting: FxHashMap<*const Channel, Vec<crate::block::Run>> = FxHashMap::default();
        for (_, timer) in self.engine.timers.extract(|_| true) {
            if let Timer::Deferred(channel, epoch, run) | Timer::Orphan(channel, epoch, _, run) = timer
                && channel.epoch() == epoch
            {
                waiting.entry(Arc::as_ptr(&channel)).or_default().push(run);
            }
        }
        let mut closing = Vec::new();
        for topic in self.topics() {
            for channel in topic.channels() {
                let rest = waiting.remove(&Arc::as_ptr(&channel)).unwrap_or_default();
                closing.push((channel.name().as_str().len(), Closing::Channel(channel, rest)));
            }
            closing.push((topic.name().as_str().len(), Closing::Topic(topic)));
        }
        drop(waiting);
        // All at once: each worker takes its share of the queues.
        let jobs = closing
            .into_iter()
            .map(|(n, what)| self.engine.workers.call(n, move || what.close()));
        for closed in futures_util::future::join_all(jobs).await {
            outcome = outcome.and(closed.unwrap_or(Ok(())));
        }
        outcome
    }
}

enum Closing {
    Topic(Arc<Topic>),
    Channel(Arc<Channel>, Vec<crate::block::Run>),
}

impl Closing {
    fn close(self) -> io::Result<()> {
        match self {
            Self::Topic(topic) => {
                tracing::info!("TOPIC({}): closing", topic.name());
                topic.close()
            }
            Self::Channel(channel, rest) => channel.close(rest),
        }
    }
}

#[cfg(test)]
#[path = "broker_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
