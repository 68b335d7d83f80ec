//! A topic: hands every message to all of its channels, and keeps it itself while it cannot.
//!
//! A topic *flows* when it is started, not paused, has a channel, nothing of its own waits and nobody catches up.
//! There is no pump: a publish goes straight into the channels. What waited meanwhile is moved out in batches by a short
//! task ([`Topic::catch_up`]) as soon as the topic could flow; publishes queue up behind it.

mod moving;

pub use moving::Held;

use crate::block::{BatchBuilder, Run};
use crate::channel::Channel;
use crate::counters::TopicTotals;
use crate::deferrals::split;
use crate::disk_workers::DiskWorkers;
use crate::effects::{Effects, Later, QueueOwner, Spill};
use crate::engine::Engine;
use crate::message_id::{IdFactory, WaitTicks, tick_of};
use crate::places::OwnSeries;
use crate::queue::backlog::LockedBacklog;
use crate::queue::inside::{Correction, Inside};
use crate::queue::{Backlog, MessageQueue};
use nsq_protocol::{ChannelName, TopicName};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

/// Why a publish is not accepted at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// The topic is being deleted.
    Exiting,
    /// Ids ran out: try again after so many ticks.
    Wait(WaitTicks),
}

/// A topic.
pub struct Topic {
    name: TopicName,
    incarnation: u64,
    state: Mutex<TopicState>,
    backlog: Option<Arc<Backlog>>,
    /// Accepted publishes.
    pub message_count: AtomicU64,
    /// Bytes of their bodies.
    pub message_bytes: AtomicU64,
    /// Messages that its own queue, full and ephemeral, had no room for.
    pub overflowed: AtomicU64,
    /// Whether it has metrics of its own.
    pub series: OwnSeries,
    /// Messages in its own queue, on their way into files included.
    inside: Inside,
    engine: Arc<Engine>,
    this: Weak<Self>,
}

#[derive(Debug)]
struct TopicState {
    queue: MessageQueue,
    /// How long messages in the files are held back once a channel has them, in ns, by id.
    delays: FxHashMap<u64, u64>,
    channels: Vec<Arc<Channel>>,
    ids: IdFactory,
    started: bool,
    paused: bool,
    exiting: bool,
    catching_up: bool,
    /// Somebody reads the files to move messages elsewhere.
    moving: bool,
    /// Counts the times its queue was emptied.
    epoch: u64,
}

impl TopicState {
    fn could_flow(&self) -> bool {
        self.started && !self.paused && !self.exiting && !self.channels.is_empty()
    }

    /// Gives every channel a reference to a run of the topic's own queue; what came from the files has its delay from there.
    fn hand_over(&mut self, run: Run, effects: &mut Effects) {
        if self.delays.is_empty() {
            hand_over(&self.channels, run, true, effects);
            return;
        }
        let (channels, delays) = (&self.channels, &self.delays);
        let known = run.delay();
        let delay_of = |id: u64| delays.get(&id).copied().unwrap_or(known);
        let ids: Vec<u64> = run.messages().map(|message| message.head.id).collect();
        split(run, delay_of, |delay, piece| {
            hand_over(channels, piece.held_back(delay), true, effects);
        });
        for id in ids {
            self.delays.remove(&id);
        }
    }

    fn flows(&self) -> bool {
        self.could_flow() && !self.catching_up && self.queue.depth() == 0
    }
}

/// What a publish counted.
#[derive(Debug)]
pub struct Counted {
    messages: u64,
    bytes: u64,
}

/// Wait before the topic looks again at channels that cannot write.
const STUCK: std::time::Duration = std::time::Duration::from_secs(1);

/// What a step of catching up found.
enum Step {
    Moved,
    NeedsRead,
    /// A channel cannot write what it has.
    Stuck,
    Done,
}

impl Topic {
    /// A topic with its own queue; without files it is ephemeral. It does not flow before [`Self::start`].
    #[must_use]
    pub fn new(
        name: TopicName,
        incarnation: u64,
        queue: MessageQueue,
        ids: IdFactory,
        series: OwnSeries,
        engine: Arc<Engine>,
    ) -> Arc<Self> {
        let backlog = queue.backlog().cloned();
        Arc::new_cyclic(|this| Self {
            name,
            incarnation,
            inside: Inside::new(queue.depth(), queue.backend_bytes()),
            overflowed: AtomicU64::new(0),
            series,
            state: Mutex::new(TopicState {
                queue,
                delays: FxHashMap::default(),
                channels: Vec::new(),
                ids,
                started: false,
                paused: false,
                exiting: false,
                catching_up: false,
                moving: false,
                epoch: 0,
            }),
            backlog,
            message_count: AtomicU64::new(0),
            message_bytes: AtomicU64::new(0),
            engine,
            this: this.clone(),
        })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &TopicName {
        &self.name
    }

    /// A number that no other topic of this process has, also not one of the same name.
    #[must_use]
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Whether it goes with its last channel.
    #[must_use]
    pub fn is_ephemeral(&self) -> bool {
        self.name.is_ephemeral()
    }

    /// Accepts a batch: gives ids and the time, and hands it on. `delay` in ns holds each channel's copy back.
    /// The builder is empty afterwards, unless the batch was not accepted.
    ///
    /// # Errors
    /// [`NotNow`]; nothing was accepted.
    pub fn publish(
        &self,
        batch: &mut BatchBuilder,
        delay: u64,
        unix_nanos: i64,
        effects: &mut Effects,
    ) -> Result<Counted, NotNow> {
        let mut state = self.state.lock();
        if state.exiting {
            return Err(NotNow::Exiting);
        }
        let ids = state
            .ids
            .next(batch.len(), tick_of(unix_nanos))
            .map_err(NotNow::Wait)?;
        let block = Arc::new(batch.publish(ids, unix_nanos));
        let counted = Counted {
            messages: u64::from(block.len()),
            bytes: block.bytes() as u64,
        };
        self.message_count.fetch_add(counted.messages, Relaxed);
        self.message_bytes.fetch_add(counted.bytes, Relaxed);
        let run = Run::deferred(block, delay);
        if state.flows() {
            hand_over(&state.channels, run, false, effects);
        } else {
            self.store(&mut state, run, effects);
        }
        Ok(counted)
    }

    /// Takes back that messages were accepted: a queue could not store them.
    pub fn refuse(&self, counted: &Counted) {
        self.message_count.fetch_sub(counted.messages, Relaxed);
        self.message_bytes.fetch_sub(counted.bytes, Relaxed);
    }

    fn store(&self, state: &mut TopicState, run: Run, effects: &mut Effects) {
        self.inside.enter(&run);
        let Some(overflow) = state.queue.push(run, 0) else {
            return;
        };
        match self.owner() {
            Some(owner) if self.backlog.is_some() => {
                if overflow.delay() > 0 {
                    let ids = overflow.messages().map(|message| message.head.id);
                    state.delays.extend(ids.map(|id| (id, overflow.delay())));
                }
                effects.spills.push(Spill {
                    owner,
                    run: overflow,
                    accepted: false,
                });
            }
            // An ephemeral queue that is full drops, silently as the reference does.
            _ => {
                self.inside.leave(&overflow);
                self.overflowed.fetch_add(overflow.len() as u64, Relaxed);
            }
        }
    }

    fn owner(&self) -> Option<Arc<dyn QueueOwner>> {
        self.this.upgrade().map(|this| this as Arc<dyn QueueOwner>)
    }

    /// Lets messages flow: all channels that should exist do.
    pub fn start(&self, effects: &mut Effects) {
        let mut state = self.state.lock();
        state.started = true;
        self.catch_up_if_needed(&mut state, effects);
    }

    /// Stops or resumes handing over.
    pub fn set_paused(&self, paused: bool, effects: &mut Effects) {
        let mut state = self.state.lock();
        state.paused = paused;
        self.catch_up_if_needed(&mut state, effects);
    }

    fn catch_up_if_needed(&self, state: &mut TopicState, effects: &mut Effects) {
        if state.could_flow()
            && !state.catching_up
            && !state.queue.is_held()
            && state.queue.depth() > 0
            && let Some(this) = self.this.upgrade()
        {
            state.catching_up = true;
            effects.later.push(this.catch_up());
        }
    }

    /// Whether handing over is stopped.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.state.lock().paused
    }

    /// Whether it is being deleted.
    #[must_use]
    pub fn is_exiting(&self) -> bool {
        self.state.lock().exiting
    }

    /// Its channels in name order.
    #[must_use]
    pub fn channels(&self) -> Vec<Arc<Channel>> {
        self.state.lock().channels.clone()
    }

    /// One of its channels.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<Arc<Channel>> {
        let state = self.state.lock();
        let at = state
            .channels
            .binary_search_by(|c| c.name().as_str().cmp(name))
            .ok()?;
        state.channels.get(at).cloned()
    }

    /// Adds a channel that `make` makes, unless there is one of that name. With whether it is new.
    /// `None` when the topic is being deleted.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get_or_add_channel(
        &self,
        name: &ChannelName,
        make: impl FnOnce() -> io::Result<Arc<Channel>>,
        effects: &mut Effects,
    ) -> io::Result<Option<(Arc<Channel>, bool)>> {
        let mut state = self.state.lock();
        if state.exiting {
            return Ok(None);
        }
        match state.channels.binary_search_by(|c| c.name().cmp(name)) {
            Ok(at) => Ok(Some((state.channels[at].clone(), false))),
            Err(at) => {
                let channel = make()?;
                state.channels.insert(at, channel.clone());
                self.catch_up_if_needed(&mut state, effects);
                Ok(Some((channel, true)))
            }
        }
    }

    /// Takes a channel out, if it is still this one; with how many are left.
    pub fn remove_channel(&self, channel: &Arc<Channel>) -> Option<usize> {
        let mut state = self.state.lock();
        let at = state.channels.iter().position(|c| Arc::ptr_eq(c, channel))?;
        state.channels.remove(at);
        Some(state.channels.len())
    }

    /// Nothing enters any more. Whether this was the first call.
    pub fn mark_exiting(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().exiting, true)
    }

    /// Moves what the topic kept to the channels, until nothing is left or it may not flow any longer.
    fn catch_up(self: Arc<Self>) -> Later {
        Box::pin(async move {
            loop {
                let mut effects = Effects::default();
                let step = self.catch_up_step(&mut effects);
                if let Err(e) = self.engine.settle(&mut effects).await {
                    tracing::error!("TOPIC({}): failed to hand messages over - {e}", self.name);
                }
                match step {
                    Step::Moved => tokio::task::yield_now().await,
                    Step::NeedsRead => {
                        let Some(owner) = self.owner() else { return };
                        self.engine.workers.serve_now(&owner).await;
                    }
                    Step::Stuck => tokio::select! {
                        () = tokio::time::sleep(STUCK) => {}
                        () = self.engine.tasks.stopping() => return,
                    },
                    Step::Done => return,
                }
            }
        })
    }

    fn catch_up_step(&self, effects: &mut Effects) -> Step {
        let mut state = self.state.lock();
        // What is held goes or comes back soon; then the topic catches up again.
        if !state.could_flow() || state.queue.depth() == 0 || state.queue.is_held() {
            state.catching_up = false;
            return Step::Done;
        }
        // What is here is safe; there it would only fill memory.
        if state.channels.iter().any(|channel| channel.is_over_full()) {
            return Step::Stuck;
        }
        let mut runs = Vec::new();
        let taken = state.queue.take(
            crate::channel::state::MAX_TAKE_MESSAGES,
            crate::channel::state::MAX_TAKE_BYTES,
            &mut runs,
        );
        for run in runs {
            state.hand_over(run.clone(), effects);
            self.inside.leave(&run);
        }
        if self.backlog.as_ref().is_some_and(|b| b.has_taken()) && state.queue.backend_depth() == 0 {
            effects.serve.extend(self.owner());
        }
        if taken.count() == 0 {
            Step::NeedsRead
        } else {
            Step::Moved
        }
    }

    /// Discards its own queue; channels keep theirs.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn empty(&self, workers: &DiskWorkers) -> io::Result<()> {
        self.discard(workers, |files| files.empty()).await
    }

    /// Discards its own queue and removes its files.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn delete_queue(&self, workers: &DiskWorkers) -> io::Result<()> {
        self.discard(workers, |files| files.delete()).await
    }

    async fn discard(
        &self,
        workers: &DiskWorkers,
        files_too: impl FnOnce(&mut LockedBacklog<'_>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let Some(this) = self.this.upgrade().filter(|_| self.backlog.is_some()) else {
            self.forget();
            return Ok(());
        };
        let owner: Arc<dyn QueueOwner> = this.clone();
        let step = move |files: &mut LockedBacklog<'_>| {
            this.forget();
            files_too(files)
        };
        workers.with_files(&owner, step).await.unwrap_or(Ok(()))
    }

    fn forget(&self) {
        let mut state = self.state.lock();
        state.queue.clear();
        state.delays.clear();
        state.epoch += 1;
        self.inside.clear();
    }

    /// Holds messages that lie in its files back, once a channel has them. Before it flows.
    pub fn restore_delays(&self, delays: impl IntoIterator<Item = (u64, u64)>) {
        self.state.lock().delays.extend(delays);
    }

    /// How long each of its own messages will be held back: ids and ns.
    #[must_use]
    pub fn delays(&self) -> Vec<(u64, u64)> {
        let state = self.state.lock();
        let mut delays: Vec<(u64, u64)> = state.delays.iter().map(|(id, delay)| (*id, *delay)).collect();
        for run in state.queue.memory().filter(|run| run.delay() > 0) {
            delays.extend(run.messages().map(|message| (message.head.id, run.delay())));
        }
        delays
    }

    /// Ends the topic at a clean stop: what it kept in memory goes to its files. Blocks.
    ///
    /// # Errors
    /// Those of the file system: what could not be written is lost.
    pub fn close(&self) -> io::Result<()> {
        let memory = {
            let mut state = self.state.lock();
            state.exiting = true;
            state.queue.take_memory()
        };
        self.backlog
            .as_ref()
            .map_or(Ok(()), |backlog| backlog.lock().close(memory))
    }

    /// What it counted so far.
    #[must_use]
    pub fn totals(&self) -> TopicTotals {
        TopicTotals {
            messages: self.message_count.load(Relaxed),
            bytes: self.message_bytes.load(Relaxed),
            overflowed: self.overflowed.load(Relaxed),
        }
    }

    /// A picture of it, without its channels.
    #[must_use]
    pub fn snapshot(&self) -> TopicSnapshot {
        let state = self.state.lock();
        TopicSnapshot {
            name: self.name.clone(),
            depth: state.queue.depth(),
            backend_depth: state.queue.backend_depth(),
            inside: self.inside.messages(),
            bytes: self.inside.bytes(),
            oldest: state.queue.oldest(|_| true),
            overflowed: self.overflowed.load(Relaxed),
            message_count: self.message_count.load(Relaxed),
            message_bytes: self.message_bytes.load(Relaxed),
            paused: state.paused,
        }
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({})", self.name)
    }
}

/// What a topic was at one moment.
#[derive(Clone, Debug)]
pub struct TopicSnapshot {
    /// Its name.
    pub name: TopicName,
    /// Messages of its own queue, in memory and files.
    pub depth: u64,
    /// Those in files.
    pub backend_depth: u64,
    /// Messages of its own queue in any state.
    pub inside: u64,
    /// Bytes of the bodies of those.
    pub bytes: u64,
    /// When the oldest of them was published, in Unix ns.
    pub oldest: Option<i64>,
    /// Messages that its own queue, full and ephemeral, had no room for.
    pub overflowed: u64,
    /// Accepted publishes.
    pub message_count: u64,
    /// Bytes of their bodies.
    pub message_bytes: u64,
    /// Whether handing over is stopped.
    pub paused: bool,
}

/// Gives every channel a reference to the run.
fn hand_over(channels: &[Arc<Channel>], run: Run, accepted: bool, effects: &mut Effects) {
    let Some((last, others)) = channels.split_last() else {
        return;
    };
    for channel in others {
        channel.publish(run.clone(), accepted, effects);
    }
    last.publish(run, accepted, effects);
}

impl QueueOwner for Topic {
    fn backlog(&self) -> Option<&Arc<Backlog>> {
        self.backlog.as_ref()
    }

    fn wants_more(&self) -> bool {
        let state = self.state.lock();
        (state.could_flow() || state.moving) && state.queue.wants_more()
    }

    fn read_ahead(&self, run: Run, _: &mut Effects) {
        self.state.lock().queue.read_ahead(run);
    }

    fn spilled(&self, effects: &mut Effects) {
        // It may have begun to flow while the run was on its way into the files.
        self.catch_up_if_needed(&mut self.state.lock(), effects);
    }

    fn spill_failed(&self, run: &Run) -> bool {
        if run.delay() > 0 {
            let mut state = self.state.lock();
            for message in run.messages() {
                state.delays.remove(&message.head.id);
            }
        }
        self.inside.leave(run);
        true
    }

    fn keep(&self, run: Run, _: &mut Effects) {
        self.state.lock().queue.keep(run);
    }

    fn corrected(&self, by: Correction) {
        self.inside.correct(by);
    }
}
