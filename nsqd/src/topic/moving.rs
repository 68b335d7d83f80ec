//! Messages that leave a topic's own queue for another nsqd, and those that come from one (operator spec 6.3).

use super::Topic;
use crate::block::Run;
use crate::deferrals::split;
use crate::effects::Effects;
use crate::evacuation::records::Parcel;
use crate::queue::Taken;
use std::io;
use std::sync::atomic::Ordering::Relaxed;

/// Messages held back until it is known whether another nsqd has them. Those from files stay in the files.
#[derive(Debug)]
pub struct Held {
    /// The messages, cut where their delays change: ns, 0 for none.
    pub runs: Vec<(u64, Run)>,
    taken: Taken,
    epoch: u64,
}

impl Topic {
    /// Holds messages from the front of its own queue, unless they are on their way into channels. None if nothing can be taken
    /// at the moment.
    #[must_use]
    pub fn hold(&self, max_messages: usize, max_bytes: usize) -> Option<Held> {
        let mut state = self.state.lock();
        if state.exiting || state.could_flow() || state.catching_up {
            return None;
        }
        let mut whole = Vec::new();
        let taken = state.queue.hold(max_messages, max_bytes, &mut whole);
        if taken.count() == 0 {
            return None;
        }
        let mut runs = Vec::new();
        for run in whole {
            let known = run.delay();
            let delay_of = |id: u64| state.delays.get(&id).copied().unwrap_or(known);
            split(run, delay_of, |delay, piece| runs.push((delay, piece)));
        }
        Some(Held {
            runs,
            taken,
            epoch: state.epoch,
        })
    }

    /// Reads ahead from the files. Whether there is something to be held now.
    pub async fn read_more(&self) -> bool {
        if self.backlog.as_ref().is_none_or(|backlog| backlog.depth() == 0) {
            return false;
        }
        self.state.lock().moving = true;
        if let Some(owner) = self.owner() {
            self.engine.workers.serve_now(&owner).await;
        }
        let mut state = self.state.lock();
        state.moving = false;
        !state.could_flow() && state.queue.has_ready()
    }

    /// Another nsqd has them: they leave, also from the files.
    ///
    /// # Errors
    /// Those of the file system: after a crash they may be here again.
    pub async fn let_go(&self, held: Held, effects: &mut Effects) -> io::Result<()> {
        {
            let mut state = self.state.lock();
            if state.epoch != held.epoch {
                return Ok(());
            }
            for message in held.runs.iter().flat_map(|(_, run)| run.messages()) {
                state.delays.remove(&message.head.id);
            }
            state.queue.let_go(held.taken);
            held.runs.iter().for_each(|(_, run)| self.inside.leave(run));
            self.catch_up_if_needed(&mut state, effects);
        }
        let Some(owner) = self.owner().filter(|_| held.taken.disk > 0) else {
            return Ok(());
        };
        let workers = &self.engine.workers;
        let gone = workers.with_files(&owner, |files| files.consume_taken().and_then(|()| files.sync()));
        gone.await.unwrap_or(Ok(()))
    }

    /// Nobody took them: they are at the front of the queue again.
    pub fn give_back(&self, held: Held, effects: &mut Effects) {
        let mut state = self.state.lock();
        if state.epoch != held.epoch {
            return;
        }
        let runs = held.runs.into_iter().map(|(delay, run)| run.held_back(delay));
        state.queue.give_back(runs, held.taken);
        self.catch_up_if_needed(&mut state, effects);
    }

    /// Takes messages of another nsqd as if they were published; those with a delay are held back once a channel has them. They
    /// are in the files and synced when this returns.
    ///
    /// # Errors
    /// Those of the file system; none of them is here then.
    pub async fn receive(
        &self,
        parcel: Parcel,
        delays: Vec<(u64, u64)>,
        effects: &mut Effects,
    ) -> io::Result<()> {
        let Some(owner) = self.owner().filter(|_| self.backlog.is_some()) else {
            return Err(io::Error::other("an ephemeral topic keeps nothing"));
        };
        let (count, bytes) = (parcel.run.len(), parcel.run.bytes());
        {
            let mut state = self.state.lock();
            if state.exiting {
                return Err(io::Error::other("exiting"));
            }
            // Before the messages: nobody may read one from the files and not find its delay.
            state.delays.extend(delays.iter().copied());
            self.inside.enter(&parcel.run);
        }
        let run = parcel.run.clone();
        let workers = &self.engine.workers;
        let stored = workers.with_files(&owner, move |files| {
            files.append(&run).and_then(|()| files.sync())
        });
        let stored = stored.await.unwrap_or_else(|| Err(io::Error::other("exiting")));
        let mut state = self.state.lock();
        if stored.is_err() {
            for (id, _) in &delays {
                state.delays.remove(id);
            }
            self.inside.leave(&parcel.run);
            return stored;
        }
        self.message_count.fetch_add(count as u64, Relaxed);
        self.message_bytes.fetch_add(bytes as u64, Relaxed);
        self.catch_up_if_needed(&mut state, effects);
        Ok(())
    }
}
