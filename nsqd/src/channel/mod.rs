//! A channel: a queue whose messages go to one of its consumers each.
//!
//! Passive: no task. Each method locks, takes a step of [`state::ChannelState`], unlocks and leaves the rest in [`Effects`].
//! Lock order: topic, channel, in-flight table of a consumer, timer wheel.

mod counts;
pub mod in_flight;
mod moving;
pub mod returned;
pub mod state;

pub use counts::{ChannelCounters, ChannelCounts, Gauges};
pub use moving::Held;

use crate::block::Run;
use crate::client::{Client, Locality};
use crate::deferrals::split;
use crate::disk_workers::DiskWorkers;
use crate::effects::{Effects, QueueOwner, Spill};
use crate::latency::{Finished, Latencies};
use crate::parked::Parked;
use crate::places::OwnSeries;
use crate::queue::backlog::LockedBacklog;
use crate::queue::inside::Correction;
use crate::queue::{Backlog, MessageQueue};
use crate::timers::{Holder, Timer, Timers, Waiting, Why};
use nsq_protocol::{ChannelName, TopicName};
use parking_lot::Mutex;
use state::ChannelState;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};

/// Why a consumer cannot subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscribeRefused {
    /// The channel is being deleted.
    Exiting,
    /// It has as many consumers as it may.
    TooMany(usize),
}

/// Why a message cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYours {
    /// Nobody holds it.
    NotInFlight,
    /// Somebody else holds it, or did until the connection ended.
    Another,
}

impl NotYours {
    /// The text of the error frame.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotInFlight => "ID not in flight",
            Self::Another => "client does not own message",
        }
    }
}

/// A channel of a topic.
pub struct Channel {
    topic: TopicName,
    name: ChannelName,
    incarnation: u64,
    state: Mutex<ChannelState>,
    backlog: Option<Arc<Backlog>>,
    epoch: AtomicU32,
    /// What happened so far.
    pub counters: ChannelCounters,
    /// How long its messages take.
    pub latencies: Latencies,
    /// Whether it has metrics of its own.
    pub series: OwnSeries,
    timers: Arc<Timers>,
    this: Weak<Self>,
}

impl Channel {
    /// A channel with its queue; without files it is ephemeral. Not paused, without consumers.
    #[must_use]
    pub fn new(
        topic: TopicName,
        name: ChannelName,
        incarnation: u64,
        queue: MessageQueue,
        latencies: Latencies,
        series: OwnSeries,
        timers: Arc<Timers>,
    ) -> Arc<Self> {
        let backlog = queue.backlog().cloned();
        Arc::new_cyclic(|this| Self {
            topic,
            name,
            incarnation,
            state: Mutex::new(ChannelState::new(queue)),
            backlog,
            epoch: AtomicU32::new(0),
            counters: ChannelCounters::default(),
            latencies,
            series,
            timers,
            this: this.clone(),
        })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &ChannelName {
        &self.name
    }

    /// A number that no other channel of this process has, also not one of the same name.
    #[must_use]
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Name of its topic.
    #[must_use]
    pub const fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// Whether it goes with its last consumer.
    #[must_use]
    pub fn is_ephemeral(&self) -> bool {
        self.name.is_ephemeral()
    }

    /// How often it was emptied.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Relaxed)
    }

    /// The counts of the current epoch.
    #[must_use]
    pub fn gauges(&self) -> Arc<Gauges> {
        self.state.lock().gauges.clone()
    }

    /// Takes a run from the topic; `accepted` ones were the topic's before.
    pub fn publish(&self, run: Run, accepted: bool, effects: &mut Effects) {
        let count = run.len();
        let mut state = self.state.lock();
        if state.exiting {
            return;
        }
        self.counters.messages.fetch_add(count as u64, Relaxed);
        state.gauges.inside.enter(&run);
        if run.delay() > 0 {
            state.gauges.deferred.fetch_add(signed(count), Relaxed);
            let delay = run.delay();
            self.defer(&state, delay, run, effects);
            return;
        }
        self.enqueue(&mut state, run, accepted, effects);
    }

    fn enqueue(&self, state: &mut ChannelState, run: Run, accepted: bool, effects: &mut Effects) {
        let Some(overflow) = state.enqueue(run, effects) else {
            return;
        };
        if overflow.is_returned() {
            state.forget_returned(&overflow);
        }
        match self.owner() {
            Some(owner) if self.backlog.is_some() => effects.spills.push(Spill {
                owner,
                run: overflow,
                accepted,
            }),
            // An ephemeral queue that is full drops, silently as the reference does.
            _ => {
                state.gauges.inside.leave(&overflow);
                self.counters.overflowed.fetch_add(overflow.len() as u64, Relaxed);
            }
        }
    }

    fn defer(&self, state: &ChannelState, delay: u64, run: Run, effects: &mut Effects) {
        let due = self.timers.now().saturating_add(delay);
        self.park(due, state.gauges.epoch, Why::Deferred, run, effects);
    }

    /// Leaves messages to the timers until `due`, in monotonic ns.
    fn park(&self, due: u64, epoch: u32, why: Why, run: Run, effects: &mut Effects) {
        if let Some(holder) = self.this.upgrade() {
            let waiting = Waiting {
                holder,
                epoch,
                why,
                run: Parked::from(run),
            };
            self.timers.insert(due, Timer::Message(waiting), effects);
        }
    }

    fn owner(&self) -> Option<Arc<dyn QueueOwner>> {
        self.this.upgrade().map(|this| this as Arc<dyn QueueOwner>)
    }

    /// Adds a consumer.
    ///
    /// # Errors
    /// [`SubscribeRefused`]; `max_consumers` 0 is no limit.
    pub fn subscribe(
        &self,
        client: &Arc<Client>,
        max_consumers: usize,
    ) -> Result<Arc<Gauges>, SubscribeRefused> {
        let mut state = self.state.lock();
        if state.exiting {
            return Err(SubscribeRefused::Exiting);
        }
        if max_consumers > 0 && state.consumers.len() >= max_consumers {
            return Err(SubscribeRefused::TooMany(max_consumers));
        }
        state.add(client);
        Ok(state.gauges.clone())
    }

    /// Removes a consumer that is gone. What it holds stays in flight until its deadlines. Whether others are left.
    pub fn unsubscribe(&self, client: &Arc<Client>, gauges: &Gauges, effects: &mut Effects) -> bool {
        let mut state = self.state.lock();
        let others = state.remove(client, effects);
        let held = client.in_flight.lock().drain();
        if state.gauges.epoch != gauges.epoch || state.exiting {
            return others;
        }
        for (deadline, run) in held {
            let run = state.mark_returned(run);
            state.orphans.extend(run.messages().map(|m| m.head.id));
            self.park(deadline, gauges.epoch, Why::Orphan, run, effects);
        }
        others
    }

    /// Takes messages for a consumer that may hold `window` more, in runs, and counts them in flight. The gauges are those of
    /// their epoch. When there are fewer than the window the consumer waits in line and is woken.
    pub fn take(
        &self,
        client: &Arc<Client>,
        window: usize,
        out: &mut Vec<Run>,
        effects: &mut Effects,
    ) -> (usize, Arc<Gauges>) {
        let mut state = self.state.lock();
        let mut count = 0;
        loop {
            let from = out.len();
            let taken = state.take(client, window - count, out, effects);
            count += taken.count();
            if taken.memory > 0 {
                let count = match client.locality() {
                    Locality::Zone => &self.counters.zone_local,
                    Locality::Region => &self.counters.region_local,
                    Locality::Elsewhere => &self.counters.from_memory,
                };
                count.fetch_add(taken.memory as u64, Relaxed);
            }
            if taken.disk == 0 || state.book.is_empty() {
                break;
            }
            let early = self.set_aside(&mut state, from, out, effects);
            count -= early;
            // What is not due made room for others; a take that finds nothing puts the consumer into the line.
            if early == 0 {
                break;
            }
        }
        state.gauges.in_flight.fetch_add(signed(count), Relaxed);
        self.ask_for_service(&state, effects);
        (count, state.gauges.clone())
    }

    /// Defers what was taken from the files before it is due. How many messages that are.
    fn set_aside(
        &self,
        state: &mut ChannelState,
        from: usize,
        out: &mut Vec<Run>,
        effects: &mut Effects,
    ) -> usize {
        let now = self.timers.now();
        state.book.expire(now);
        let mut early = 0;
        for run in out.split_off(from) {
            let ids: Vec<u64> = run.messages().map(|message| message.head.id).collect();
            let mut pieces = Vec::new();
            split(
                run,
                |id| state.book.due(id),
                |due, piece| pieces.push((due, piece)),
            );
            for id in ids {
                state.book.remove(id);
            }
            for (due, piece) in pieces {
                let Some(due) = due else {
                    out.push(piece);
                    continue;
                };
                early += piece.len();
                state.gauges.deferred.fetch_add(signed(piece.len()), Relaxed);
                self.defer(state, due.saturating_sub(now), piece, effects);
            }
        }
        early
    }

    /// Holds messages that lie in its files back until they are due, in monotonic ns.
    pub fn restore_due(&self, due: impl IntoIterator<Item = (u64, u64)>) {
        let mut state = self.state.lock();
        due.into_iter().for_each(|(id, due)| state.book.insert(id, due));
    }

    /// Messages in its files that are not due, with their due times in monotonic ns.
    #[must_use]
    pub fn not_due(&self) -> Vec<(u64, u64)> {
        let mut state = self.state.lock();
        state.book.expire(self.timers.now());
        state.book.iter().collect()
    }

    fn ask_for_service(&self, state: &ChannelState, effects: &mut Effects) {
        let Some(backlog) = &self.backlog else { return };
        if state.queue.wants_more() || (backlog.has_taken() && state.queue.backend_depth() == 0) {
            effects.serve.extend(self.owner());
        }
    }

    /// Passes on a wake that its consumer had no use for.
    pub fn pass_on(&self, effects: &mut Effects) {
        self.state.lock().pass_on(effects);
    }

    /// Puts messages that were in flight at the end of the queue, unless they were emptied away.
    pub fn put_back(&self, gauges: &Gauges, runs: impl IntoIterator<Item = Run>, effects: &mut Effects) {
        let mut state = self.state.lock();
        if state.gauges.epoch != gauges.epoch || state.exiting {
            return;
        }
        for run in runs {
            state.gauges.in_flight.fetch_sub(signed(run.len()), Relaxed);
            let run = state.mark_returned(run);
            self.enqueue(&mut state, run, true, effects);
        }
    }

    /// Holds a message that was in flight back for `delay` ns, unless it was emptied away.
    pub fn put_back_later(&self, gauges: &Gauges, run: Run, delay: u64, effects: &mut Effects) {
        let mut state = self.state.lock();
        if state.gauges.epoch == gauges.epoch && !state.exiting {
            state.gauges.in_flight.fetch_sub(signed(run.len()), Relaxed);
            state.gauges.deferred.fetch_add(signed(run.len()), Relaxed);
            let run = state.mark_returned(run);
            self.defer(&state, delay, run, effects);
        }
    }

    /// Notes that messages which came back before were finished now, and from when on each of them counts.
    pub fn finish_returned(&self, finished: &mut [Finished]) {
        let mut state = self.state.lock();
        for message in finished.iter_mut().filter(|message| message.returned) {
            if let Some(time) = state.returned.remove(message.id) {
                message.reference = time;
            }
        }
    }

    /// Takes messages that were taken and not sent out of the channel for good.
    pub fn drop_taken(&self, gauges: &Gauges, runs: &[Run]) {
        let mut state = self.state.lock();
        for run in runs {
            gauges.in_flight.fetch_sub(signed(run.len()), Relaxed);
            gauges.inside.leave(run);
            if run.is_returned() {
                state.forget_returned(run);
            }
        }
    }

    /// Why a consumer cannot answer a message that it does not hold.
    #[must_use]
    pub fn why_not_yours(&self, id: Option<u64>) -> NotYours {
        let Some(id) = id else {
            return NotYours::NotInFlight;
        };
        let state = self.state.lock();
        let held = || state.consumers.iter().any(|c| c.in_flight.lock().contains(id));
        if state.orphans.contains(&id) || held() {
            NotYours::Another
        } else {
            NotYours::NotInFlight
        }
    }

    /// Whether somebody consumes it.
    #[must_use]
    pub fn has_consumers(&self) -> bool {
        !self.state.lock().consumers.is_empty()
    }

    /// Whether it is being deleted.
    #[must_use]
    pub fn is_exiting(&self) -> bool {
        self.state.lock().exiting
    }

    /// Stops or resumes deliveries.
    pub fn set_paused(&self, paused: bool, effects: &mut Effects) {
        let mut state = self.state.lock();
        state.paused = paused;
        let ready = state.queue.ready();
        state.wake_for(ready, effects);
    }

    /// Whether it has more in memory than it should, because its files take nothing.
    #[must_use]
    pub fn is_over_full(&self) -> bool {
        self.state.lock().queue.is_over_full()
    }

    /// Whether deliveries are stopped.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.state.lock().paused
    }

    /// Discards every message, in whatever state.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn empty(&self, workers: &DiskWorkers) -> io::Result<()> {
        self.discard(workers, |files| files.empty()).await
    }

    /// Closes the connections of its consumers, discards everything and removes its files. Nothing enters any more.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn delete(&self, workers: &DiskWorkers) -> io::Result<()> {
        self.mark_exiting();
        self.discard(workers, |files| files.delete()).await
    }

    fn mark_exiting(&self) {
        let mut state = self.state.lock();
        state.exiting = true;
        state.consumers.iter().for_each(|client| client.close());
    }

    async fn discard(
        &self,
        workers: &DiskWorkers,
        files_too: impl FnOnce(&mut LockedBacklog<'_>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let outcome = match self.this.upgrade() {
            Some(this) if self.backlog.is_some() => {
                let owner: Arc<dyn QueueOwner> = this.clone();
                let step = move |files: &mut LockedBacklog<'_>| {
                    this.forget();
                    files_too(files)
                };
                workers.with_files(&owner, step).await.unwrap_or(Ok(()))
            }
            _ => {
                self.forget();
                Ok(())
            }
        };
        let epoch = self.epoch();
        let old =
            |timer: &Timer| matches!(timer, Timer::Message(m) if self.is(&m.holder) && m.epoch != epoch);
        drop(self.timers.extract(old));
        outcome
    }

    fn is(&self, other: &Arc<dyn Holder>) -> bool {
        std::ptr::addr_eq(self, Arc::as_ptr(other))
    }

    /// Begins a new epoch; consumers look at once, so that their windows reopen.
    fn forget(&self) {
        let mut state = self.state.lock();
        state.clear();
        self.epoch.store(state.gauges.epoch, Relaxed);
        state.consumers.iter().for_each(|client| client.wake());
    }

    /// Ends the channel at a clean stop: memory, in flight and deferred go to the files. Its consumers are gone by now.
    /// `waiting` are its timers, taken out of the wheel. Blocks.
    ///
    /// # Errors
    /// Those of the file system: what could not be written is lost.
    pub fn close(&self, waiting: Vec<Parked>) -> io::Result<()> {
        let mut memory = {
            let mut state = self.state.lock();
            state.exiting = true;
            state.queue.take_memory()
        };
        memory.extend(waiting.into_iter().map(Parked::into_run));
        self.backlog
            .as_ref()
            .map_or(Ok(()), |backlog| backlog.lock().close(memory))
    }

    /// A picture of it, taken under its lock.
    #[must_use]
    pub fn snapshot(&self) -> ChannelSnapshot {
        let mut state = self.state.lock();
        if !state.book.is_empty() {
            state.book.expire(self.timers.now());
        }
        // What lies in the files and is not due is deferred, not ready.
        let early = state.book.len() as u64;
        let count = |gauge: &AtomicI64| u64::try_from(gauge.load(Relaxed)).unwrap_or(0);
        ChannelSnapshot {
            name: self.name.clone(),
            depth: state.queue.depth().saturating_sub(early),
            backend_depth: state.queue.backend_depth().saturating_sub(early),
            in_flight: count(&state.gauges.in_flight),
            deferred: count(&state.gauges.deferred) + early,
            inside: state.gauges.inside.messages(),
            bytes: state.gauges.inside.bytes(),
            oldest: state.oldest(),
            counts: self.counters.read(),
            consumers: state.consumers.clone(),
            paused: state.paused,
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({}:{})", self.topic, self.name)
    }
}

/// What a channel was at one moment.
#[derive(Clone, Debug)]
pub struct ChannelSnapshot {
    /// Its name.
    pub name: ChannelName,
    /// Messages to be taken, in memory and files.
    pub depth: u64,
    /// Those in files.
    pub backend_depth: u64,
    /// Delivered and not answered.
    pub in_flight: u64,
    /// Held back.
    pub deferred: u64,
    /// In any state.
    pub inside: u64,
    /// Bytes of the bodies of those.
    pub bytes: u64,
    /// From when on the oldest message counts that is not deferred by its publisher, in Unix ns.
    pub oldest: Option<i64>,
    /// What happened so far.
    pub counts: ChannelCounts,
    /// Its consumers.
    pub consumers: Vec<Arc<Client>>,
    /// Whether deliveries are stopped.
    pub paused: bool,
}

impl Holder for Channel {
    fn names(&self) -> (TopicName, ChannelName) {
        (self.topic.clone(), self.name.clone())
    }

    fn epoch(&self) -> u32 {
        Self::epoch(self)
    }

    fn release(&self, waiting: Waiting, effects: &mut Effects) {
        let mut state = self.state.lock();
        if state.gauges.epoch != waiting.epoch || state.exiting {
            return;
        }
        let mut run = waiting.run.into_run();
        match waiting.why {
            Why::Deferred => {
                state.gauges.deferred.fetch_sub(signed(run.len()), Relaxed);
                let now = self.timers.unix_now();
                run.messages()
                    .for_each(|message| state.returned.insert(message.head.id, now));
                run = run.returned();
            }
            Why::Orphan => {
                run.messages().for_each(|message| {
                    state.orphans.remove(&message.head.id);
                });
                state.gauges.in_flight.fetch_sub(signed(run.len()), Relaxed);
                self.counters.timed_out.fetch_add(run.len() as u64, Relaxed);
            }
        }
        self.enqueue(&mut state, run, true, effects);
    }
}

impl QueueOwner for Channel {
    fn backlog(&self) -> Option<&Arc<Backlog>> {
        self.backlog.as_ref()
    }

    fn wants_more(&self) -> bool {
        self.state.lock().queue.wants_more()
    }

    fn read_ahead(&self, run: Run, effects: &mut Effects) {
        let mut state = self.state.lock();
        let count = run.len();
        state.queue.read_ahead(run);
        state.wake_for(count, effects);
    }

    fn spilled(&self, effects: &mut Effects) {
        let state = self.state.lock();
        self.ask_for_service(&state, effects);
    }

    fn spill_failed(&self, run: &Run) -> bool {
        let state = self.state.lock();
        state.gauges.inside.leave(run);
        !state.exiting
    }

    fn keep(&self, run: Run, effects: &mut Effects) {
        let mut state = self.state.lock();
        if state.exiting {
            state.gauges.inside.leave(&run);
            return;
        }
        let count = run.len();
        state.queue.keep(run);
        state.wake_for(count, effects);
    }

    fn corrected(&self, by: Correction) {
        self.state.lock().gauges.inside.correct(by);
    }
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
