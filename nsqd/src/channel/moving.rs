//! Messages that leave a channel for another nsqd, and those that come from one (operator spec 6.3).

use super::{Channel, Gauges, signed};
use crate::block::Run;
use crate::deferrals::split;
use crate::disk_workers::DiskWorkers;
use crate::effects::Effects;
use crate::evacuation::records::Parcel;
use crate::queue::Taken;
use crate::timers::{Timer, Waiting, Why};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Messages held out of delivery until it is known whether another nsqd has them. Those from files stay in the files.
#[derive(Debug)]
pub struct Held {
    /// The messages, cut where their due times change: monotonic ns, none for now.
    pub runs: Vec<(Option<u64>, Run)>,
    taken: Taken,
    gauges: Arc<Gauges>,
}

impl Channel {
    /// Holds messages from the front of its queue, at most so many with so many bytes of bodies. None if nothing can be taken
    /// at the moment.
    #[must_use]
    pub fn hold(&self, max_messages: usize, max_bytes: usize) -> Option<Held> {
        let mut state = self.state.lock();
        if state.exiting {
            return None;
        }
        let mut whole = Vec::new();
        let taken = state.queue.hold(max_messages, max_bytes, &mut whole);
        if taken.count() == 0 {
            return None;
        }
        state.book.expire(self.timers.now());
        let mut runs = Vec::new();
        for run in whole {
            split(run, |id| state.book.due(id), |due, piece| runs.push((due, piece)));
        }
        Some(Held {
            runs,
            taken,
            gauges: state.gauges.clone(),
        })
    }

    /// Reads ahead from the files. Whether there is something to be held now.
    pub async fn read_more(&self, workers: &DiskWorkers) -> bool {
        if self.backlog.as_ref().is_none_or(|backlog| backlog.depth() == 0) {
            return false;
        }
        if let Some(owner) = self.owner() {
            workers.serve_now(&owner).await;
        }
        self.state.lock().queue.has_ready()
    }

    /// Another nsqd has them: they leave, also from the files.
    ///
    /// # Errors
    /// Those of the file system: after a crash they may be here again.
    pub async fn let_go(&self, held: Held, workers: &DiskWorkers) -> io::Result<()> {
        {
            let mut state = self.state.lock();
            if state.gauges.epoch != held.gauges.epoch {
                return Ok(());
            }
            for message in held.runs.iter().flat_map(|(_, run)| run.messages()) {
                state.book.remove(message.head.id);
                state.returned.remove(message.head.id);
            }
            state.queue.let_go(held.taken);
            held.runs
                .iter()
                .for_each(|(_, run)| state.gauges.inside.leave(run));
        }
        let Some(owner) = self.owner().filter(|_| held.taken.disk > 0) else {
            return Ok(());
        };
        let gone = workers.with_files(&owner, |files| files.consume_taken().and_then(|()| files.sync()));
        gone.await.unwrap_or(Ok(()))
    }

    /// Nobody took them: they are at the front of the queue again.
    pub fn give_back(&self, held: Held, effects: &mut Effects) {
        let mut state = self.state.lock();
        if state.gauges.epoch != held.gauges.epoch {
            return;
        }
        let count = held.taken.count();
        state
            .queue
            .give_back(held.runs.into_iter().map(|(_, run)| run), held.taken);
        state.wake_for(count, effects);
    }

    /// Takes the deferred messages that are due later than `after`, in monotonic ns, out of the timers.
    #[must_use]
    pub fn hold_deferred(&self, after: u64) -> Vec<(u64, Run)> {
        let epoch = self.epoch();
        // The wheel does not show due times to the predicate: what is too early goes back.
        let ours = |timer: &Timer| matches!(timer, Timer::Message(m) if m.why == Why::Deferred && m.epoch == epoch && self.is(&m.holder));
        let (mut held, mut early) = (Vec::new(), Vec::new());
        for (due, timer) in self.timers.extract(ours) {
            match timer {
                Timer::Message(Waiting { run, .. }) if due > after => held.push((due, run.into_run())),
                timer => early.push((due, timer)),
            }
        }
        let mut effects = Effects::default();
        for (due, timer) in early {
            self.timers.insert(due, timer, &mut effects);
        }
        self.timers.wake(&mut effects);
        held
    }

    /// Another nsqd has these deferred messages.
    pub fn let_deferred_go(&self, runs: impl IntoIterator<Item = Run>) {
        let mut state = self.state.lock();
        for run in runs {
            state.gauges.deferred.fetch_sub(signed(run.len()), Relaxed);
            state.gauges.inside.leave(&run);
            state.forget_returned(&run);
        }
    }

    /// Nobody took these deferred messages: they wait for their time again.
    pub fn give_deferred_back(&self, held: Vec<(u64, Run)>) {
        let mut effects = Effects::default();
        let epoch = self.epoch();
        for (due, run) in held {
            self.park(due, epoch, Why::Deferred, run, &mut effects);
        }
        self.timers.wake(&mut effects);
    }

    /// Takes messages of another nsqd; `due` are those that wait, by id, in monotonic ns. They are in the files and synced when
    /// this returns.
    ///
    /// # Errors
    /// Those of the file system; none of them is here then.
    pub async fn receive(
        &self,
        parcel: Parcel,
        due: Vec<(u64, u64)>,
        workers: &DiskWorkers,
        effects: &mut Effects,
    ) -> io::Result<()> {
        let Some(owner) = self.owner().filter(|_| self.backlog.is_some()) else {
            return Err(io::Error::other("an ephemeral channel keeps nothing"));
        };
        let count = parcel.run.len();
        let gauges = {
            let mut state = self.state.lock();
            if state.exiting {
                return Err(io::Error::other("exiting"));
            }
            // Before the messages: nobody may read one from the files and not find its due time.
            due.iter().for_each(|(id, due)| state.book.insert(*id, *due));
            state.gauges.inside.enter(&parcel.run);
            state.gauges.clone()
        };
        let run = parcel.run.clone();
        let stored = workers.with_files(&owner, move |files| {
            files.append(&run).and_then(|()| files.sync())
        });
        let stored = stored.await.unwrap_or_else(|| Err(io::Error::other("exiting")));
        let mut state = self.state.lock();
        if stored.is_err() {
            for (id, _) in &due {
                state.book.remove(*id);
            }
            gauges.inside.leave(&parcel.run);
            return stored;
        }
        self.counters.messages.fetch_add(count as u64, Relaxed);
        self.ask_for_service(&state, effects);
        Ok(())
    }
}
