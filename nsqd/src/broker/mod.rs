//! The topics of one nsqd: creates, deletes, pauses, publishes. Knows no socket, no HTTP and no JSON of the wire.

mod deferred;
mod life;
mod receive;
mod self_test;
mod subscribe;

pub use subscribe::{CannotSubscribe, Subscription};

use crate::block::BatchBuilder;
use crate::channel::{Channel, ChannelSnapshot};
use crate::client::Client;
use crate::counters::PublishError;
use crate::effects::{Effects, QueueOwner};
use crate::engine::Engine;
use crate::health::Health;
use crate::message_id::WaitTicks;
use crate::options::Options;
use crate::queue::{Backlog, Folder};
use crate::series::SeriesBook;
use crate::topic::{NotNow, Topic, TopicSnapshot};
use nsq_protocol::{ChannelName, TopicName};
use nsq_storage::{Disk, os_text};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};

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

impl From<&Refused> for PublishError {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::Exiting => Self::Exiting,
            Refused::Draining => Self::Draining,
            Refused::Storage(_) => Self::Disk,
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
    /// Messages that other nodes handed over.
    pub received: AtomicU64,
    /// Who has metrics of its own.
    pub series: SeriesBook,
    disk: Arc<dyn Disk>,
    /// Where queues keep their files.
    folder: Arc<Folder>,
    topics: RwLock<FxHashMap<TopicName, Arc<Topic>>>,
    first_tick: u64,
    changes: watch::Sender<u64>,
    metadata_changed: Notify,
    /// Held while the metadata is written; true once the last picture of a clean stop was.
    metadata_writer: tokio::sync::Mutex<bool>,
    source: OnceLock<Arc<dyn ChannelSource>>,
    clients: Mutex<FxHashMap<u64, Arc<Client>>>,
    next_number: AtomicU64,
}

impl Broker {
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
        self.engine.settle(&mut effects).await?;
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
        self.engine.settle(&mut effects).await?;
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
        let counted = loop {
            match topic.publish(batch, delay, self.engine.clock.unix_nanos(), effects) {
                Ok(counted) => break counted,
                Err(NotNow::Exiting) => return Err(Refused::Exiting),
                // A tick is a little more than a millisecond.
                Err(NotNow::Wait(WaitTicks(ticks))) => {
                    tokio::time::sleep(Duration::from_millis(ticks + 1)).await;
                }
            }
        };
        let stored = self.engine.settle(effects).await;
        Ok(stored.inspect_err(|_| topic.refuse(&counted))?)
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
        let left = self
            .series
            .channel_goes(topic, channel, || topic.remove_channel(channel));
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
            self.series
                .channel_goes(topic, &channel, || topic.remove_channel(&channel));
        }
        outcome = outcome.and(topic.delete_queue(&self.engine.workers).await);
        self.series
            .topic_goes(topic, || self.topics.write().remove(topic.name()));
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
        self.engine.settle(&mut effects).await?;
        self.save_metadata().await
    }

    /// Pauses or resumes a channel; persisted before it returns.
    ///
    /// # Errors
    /// Those of the file system: then it is paused or resumed, but a restart may not know it.
    pub async fn pause_channel(&self, channel: &Channel, paused: bool) -> io::Result<()> {
        let mut effects = Effects::default();
        channel.set_paused(paused, &mut effects);
        self.engine.settle(&mut effects).await?;
        self.save_metadata().await
    }

    /// Bytes of the data files of all queues. Walks all of them.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        let of = |backlog: Option<&Arc<Backlog>>| backlog.map_or(0, |backlog| backlog.stored_bytes());
        let topics = self.topics();
        let of_channels =
            |topic: &Arc<Topic>| -> u64 { topic.channels().iter().map(|c| of(c.backlog())).sum() };
        topics
            .iter()
            .map(|topic| of(topic.backlog()).saturating_add(of_channels(topic)))
            .sum()
    }

    /// Bytes that are free on the file system of the data path.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn free_space(&self) -> io::Result<u64> {
        self.disk.free_space(&self.options.data_path)
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
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
