//! The beginning and the end of a broker, and the metadata in between.

use super::Broker;
use crate::channel::Channel;
use crate::disk_workers::SyncRules;
use crate::effects::Effects;
use crate::engine::Engine;
use crate::health::Health;
use crate::latency::Latencies;
use crate::message_id::{IdFactory, tick_of};
use crate::metadata::{self, Metadata, TopicEntry};
use crate::options::Options;
use crate::parked::Parked;
use crate::places::OwnSeries;
use crate::queue::{Backlog, Folder, MessageQueue};
use crate::series::SeriesBook;
use crate::timers::Timer;
use crate::topic::Topic;
use nsq_protocol::message::HEADER_BYTES;
use nsq_protocol::{ChannelName, TopicName};
use nsq_service::clock::Clock;
use nsq_service::tasks::Tasks;
use nsq_storage::{Disk, QueueOptions, os_text};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// A burst of changes is one write of the metadata.
const METADATA_DELAY: Duration = Duration::from_millis(100);
/// Ticks that a previous run may have borrowed for ids, and one.
const RESTART_TICKS: u64 = 65;

/// The limits of queue files.
fn limits(options: &Options) -> QueueOptions {
    let largest = u32::try_from(options.max_msg_size).unwrap_or(u32::MAX - 64);
    let header = u32::try_from(HEADER_BYTES).unwrap_or(0);
    QueueOptions {
        max_bytes_per_file: options.max_bytes_per_file,
        max_record: largest.saturating_add(header),
        // No publish is without a body.
        min_record: header + 1,
        // The workers count and sync, so that no connection waits for one.
        sync_every: u64::MAX,
    }
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
        let metrics_max_channels = options.metrics_max_channels;
        let timeout = u64::try_from(options.sync_timeout.as_nanos()).unwrap_or(u64::MAX);
        let rules = SyncRules {
            every: options.sync_every.max(1),
            timeout,
        };
        let engine = Engine::start(clock.clone(), tasks, health.clone(), rules)
            .map_err(|e| format!("failed to start disk workers - {e}"))?;
        let (known, fresh) = Self::load(disk.as_ref(), &options.data_path.join(metadata::FILE_NAME))?;
        let now = tick_of(clock.unix_nanos());
        let folder = Arc::new(Folder {
            disk: disk.clone(),
            path: options.data_path.clone(),
            options: limits(&options),
            counters: engine.counters.disk.clone(),
        });
        let broker = Arc::new(Self {
            first_tick: if fresh { now } else { now + RESTART_TICKS },
            options,
            engine,
            health,
            draining: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            received: AtomicU64::new(0),
            series: SeriesBook::new(metrics_max_channels),
            disk,
            folder,
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
        let testing = broker.clone();
        broker.engine.tasks.spawn(async move {
            tokio::select! {
                () = testing.keep_healthy() => {}
                () = testing.engine.tasks.stopping() => {}
            }
        });
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
            self.topics.write().insert(entry.name, topic);
        }
        self.restore_deferrals();
        for topic in self.topics() {
            topic.start(&mut effects);
        }
        self.engine.settle(&mut effects).await
    }

    fn queue(&self, name: &str, ephemeral: bool) -> io::Result<MessageQueue> {
        let memory = self.options.mem_queue_size;
        if ephemeral {
            return Ok(MessageQueue::new(memory, None));
        }
        let files = Backlog::open(self.folder.clone(), name)?;
        Ok(MessageQueue::new(memory, Some(files)))
    }

    pub(super) fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Relaxed)
    }

    pub(super) fn make_topic(&self, name: &TopicName) -> io::Result<Arc<Topic>> {
        let queue = self.queue(name.as_str(), name.is_ephemeral())?;
        let lasting = !name.is_ephemeral();
        let series = lasting.then(|| self.series.topics.take()).flatten();
        let ids = IdFactory::new(self.options.node_id, self.first_tick);
        Ok(Topic::new(
            name.clone(),
            self.number(),
            queue,
            ids,
            OwnSeries::new(series),
            self.engine.clone(),
        ))
    }

    pub(super) fn make_channel(&self, topic: &Topic, name: &ChannelName) -> io::Result<Arc<Channel>> {
        // A lasting channel has files also below an ephemeral topic: only what is named ephemeral may drop messages.
        let ephemeral = name.is_ephemeral();
        let queue = self.queue(&format!("{}:{name}", topic.name()), ephemeral)?;
        let timers = self.engine.timers.clone();
        let lasting = !ephemeral && !topic.is_ephemeral();
        let series = lasting.then(|| self.series.channels.take()).flatten();
        Ok(Channel::new(
            topic.name().clone(),
            name.clone(),
            self.number(),
            queue,
            Latencies::new(self.options.latency_window(), timers.now()),
            OwnSeries::new(series),
            timers,
        ))
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
        let closed = self.metadata_writer.lock().await;
        if *closed {
            return Ok(());
        }
        self.write_metadata().await
    }

    async fn write_metadata(&self) -> io::Result<()> {
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

    /// The end of a clean stop, when no client is left: metadata and everything in memory is written.
    ///
    /// # Errors
    /// The first failure of the file system; everything was tried.
    pub async fn close(&self) -> io::Result<()> {
        let mut outcome = {
            let mut closed = self.metadata_writer.lock().await;
            // From here on topics end one by one: no later picture may replace this one.
            *closed = true;
            self.write_metadata().await
        };
        let timers = self.engine.timers.extract(|_| true);
        // Before the messages: an entry without its message does no harm, a message without its entry is early.
        outcome = outcome.and(self.write_deferrals(self.held_back(&timers)).await);
        let mut waiting: FxHashMap<*const (), Vec<Parked>> = FxHashMap::default();
        for (_, timer) in timers {
            if let Timer::Message(message) = timer
                && message.is_current()
            {
                let channel = Arc::as_ptr(&message.holder).cast();
                waiting.entry(channel).or_default().push(message.run);
            }
        }
        let mut closing = Vec::new();
        for topic in self.topics() {
            for channel in topic.channels() {
                let rest = waiting.remove(&Arc::as_ptr(&channel).cast()).unwrap_or_default();
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
    Channel(Arc<Channel>, Vec<Parked>),
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
