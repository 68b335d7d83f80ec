//! One topic on its way into files: a message is finished when it is on the disk (tools spec 5.3).

use std::io;
use std::sync::Arc;

use nsq_client::{Consumer, Delivery};
use nsq_service::clock::{Clock as _, SystemClock};
use nsq_service::tasks::Tasks;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, interval_at};

use super::Options;
use super::archive::{Archive, Now};
use crate::ending::End;
use crate::sources;

/// What the process was told, for all topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    /// How often to end all files.
    pub(super) hangups: u64,
    /// End.
    pub(super) stop: bool,
}

/// Why a topic ended that was not told to.
#[derive(Debug)]
pub(super) enum Broken {
    /// It could not begin; it may later.
    Start(String),
    /// Its files cannot be written.
    Files(String),
}

/// What one topic needs.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) options: Arc<Options>,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) clock: Arc<SystemClock>,
    pub(super) tasks: Tasks,
}

impl Topic {
    /// Writes the topic's messages until it is told to stop.
    pub(super) async fn run(mut self) -> Result<(), Broken> {
        let options = Arc::clone(&self.options);
        let rules = options.rules(&self.name).map_err(Broken::Start)?;
        let consumer = options
            .sources
            .consumer(&self.name, &options.channel, &options.consumer)
            .map_err(|end| Broken::Start(end.to_string()))?;
        // A start that waits for an nsqd is given up with the process.
        let started = tokio::select! {
            started = sources::start(consumer) => started,
            Ok(_) = self.orders.wait_for(|orders| orders.stop) => return Ok(()),
        };
        let mut consumer = started.map_err(|end: End| Broken::Start(end.to_string()))?;
        let mut desk = Desk {
            archive: Some(Archive::new(rules)),
            pending: Vec::new(),
            per_nsqd: Vec::new(),
            most: usize::try_from(options.sources.max_in_flight.max(1)).unwrap_or(usize::MAX),
            clock: Arc::clone(&self.clock),
            tasks: self.tasks.clone(),
        };
        let written = self.turns(&mut desk, &mut consumer).await;
        written.map_err(|error| Broken::Files(format!("[{}/{}] {error}", self.name, options.channel)))?;
        sources::stop(consumer).await;
        Ok(())
    }

    async fn turns(&mut self, desk: &mut Desk, consumer: &mut Consumer) -> io::Result<()> {
        let every = self.options.sync_interval;
        let mut ticks = interval_at(Instant::now() + every, every);
        let mut batch = Vec::new();
        loop {
            let room = desk.most - desk.pending.len();
            tokio::select! {
                count = consumer.next_many(&mut batch, room) => {
                    if count == 0 {
                        return Ok(());
                    }
                    batch = desk.write(batch).await?;
                }
                _ = ticks.tick() => {
                    let now = desk.now();
                    desk.on_disk(move |archive| archive.tick(&now)).await?;
                    desk.sync().await?;
                }
                Ok(()) = self.orders.changed() => {
                    desk.sync().await?;
                    desk.on_disk(Archive::close).await?;
                    if self.orders.borrow_and_update().stop {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// The files of a topic, and the messages that are in them and not finished.
struct Desk {
    /// Always there, but while a thread writes.
    archive: Option<Archive>,
    pending: Vec<Delivery>,
    /// How many of them came from each nsqd.
    per_nsqd: Vec<(String, u32)>,
    /// Never more than these.
    most: usize,
    clock: Arc<SystemClock>,
    tasks: Tasks,
}

impl Desk {
    /// Writes these messages, and syncs if it is time to. The empty list comes back.
    async fn write(&mut self, batch: Vec<Delivery>) -> io::Result<Vec<Delivery>> {
        let mut is_starved = false;
        for delivery in &batch {
            is_starved |= self.count(delivery);
        }
        let is_full = self.pending.len() + batch.len() >= self.most;
        let now = self.now();
        let (mut batch, begun) = self
            .on_disk(move |archive| {
                let begun = archive.write(batch.iter().map(Delivery::body), &now)?;
                Ok((batch, begun))
            })
            .await?;
        self.pending.append(&mut batch);
        if begun || is_full || is_starved {
            self.sync().await?;
        }
        Ok(batch)
    }

    /// Counts a message; true if the connection that it came by brings little more before some are finished.
    fn count(&mut self, delivery: &Delivery) -> bool {
        let from = delivery.nsqd();
        let found = self.per_nsqd.iter_mut().find(|(nsqd, _)| nsqd == from);
        let count = match found {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.per_nsqd.push((from.to_owned(), 1));
                1
            }
        };
        u64::from(count) >= u64::from(delivery.window()) * 85 / 100
    }

    /// What was written is on the disk afterwards, and its messages are finished.
    async fn sync(&mut self) -> io::Result<()> {
        let count = self.pending.len();
        if count == 0 {
            return Ok(());
        }
        self.on_disk(move |archive| {
            tracing::info!("[{}] syncing {count} records to disk", archive.label());
            archive.sync()
        })
        .await?;
        for delivery in self.pending.drain(..) {
            // One whose connection is gone comes again.
            delivery.finish().await;
        }
        self.per_nsqd.clear();
        Ok(())
    }

    /// Works on the files on a thread that may wait for the disk, while connections are kept alive here.
    async fn on_disk<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Archive) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let gone = || io::Error::other("write: the thread that writes has ended");
        let mut archive = self.archive.take().ok_or_else(gone)?;
        let (done, result) = oneshot::channel();
        self.tasks.spawn_blocking(move || {
            let result = work(&mut archive);
            // Whoever asked may be gone with the process.
            let _ = done.send((archive, result));
        });
        let (archive, result) = result.await.map_err(|_| gone())?;
        self.archive = Some(archive);
        result
    }

    fn now(&self) -> Now {
        Now {
            wall: crate::log::now(),
            age: self.clock.monotonic(),
        }
    }
}
