//! What carries out effects: the timer wheel, the disk workers, the task tracker.

use crate::counters::Counters;
use crate::disk_workers::{DiskWorkers, SyncRules};
use crate::effects::Effects;
use crate::health::Health;
use crate::timers::{Timer, Timers};
use nsq_service::clock::Clock;
use nsq_service::tasks::Tasks;
use std::io;
use std::sync::Arc;

/// The machinery behind all topics and channels.
pub struct Engine {
    /// Deferred messages, messages without a consumer, syncs.
    pub timers: Arc<Timers>,
    /// Queue files.
    pub workers: DiskWorkers,
    /// Every task of this daemon.
    pub tasks: Tasks,
    /// The daemon's clocks.
    pub clock: Arc<dyn Clock>,
    /// What the node counts.
    pub counters: Arc<Counters>,
}

impl Engine {
    /// Starts the disk workers and the timer task.
    ///
    /// # Errors
    /// When the system has no thread for the workers.
    pub fn start(
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        health: Arc<Health>,
        rules: SyncRules,
    ) -> io::Result<Arc<Self>> {
        let counters = Arc::new(Counters::new(clock.clone()));
        let timers = Arc::new(Timers::new(clock.clone(), counters.clone()));
        let workers = DiskWorkers::start(timers.clone(), health, rules)?;
        let engine = Arc::new(Self {
            timers,
            workers,
            tasks,
            clock,
            counters,
        });
        let turning = engine.clone();
        engine.tasks.spawn(async move { turning.ring().await });
        Ok(engine)
    }

    /// Carries out what was left to do. Every spill is tried, also after one failed.
    ///
    /// # Errors
    /// The first failure to write what was not accepted before: that queue does not have its run.
    pub async fn settle(&self, effects: &mut Effects) -> io::Result<()> {
        self.timers.wake(effects);
        if effects.is_immediate() {
            return Ok(());
        }
        // Whoever waits for files waits long; a connection that never does has no room for it.
        Box::pin(self.settle_files(effects)).await
    }

    async fn settle_files(&self, effects: &mut Effects) -> io::Result<()> {
        let mut outcome = Ok(());
        while !effects.is_immediate() {
            for spill in std::mem::take(&mut effects.spills) {
                let written = self.workers.append(spill, effects).await;
                outcome = outcome.and(written);
            }
            for owner in effects.serve.drain(..) {
                self.workers.serve(owner).await;
            }
            effects.later.drain(..).for_each(|work| self.tasks.spawn(work));
            self.timers.wake(effects);
        }
        outcome
    }

    /// Rings the timers until the daemon stops; what is left then is taken out with [`Timers::extract`]. What rang is carried out
    /// to its end, for nobody else has it.
    async fn ring(&self) {
        loop {
            let due = tokio::select! {
                due = self.timers.due() => due,
                () = self.tasks.stopping() => return,
            };
            let mut effects = Effects::default();
            for timer in due {
                match timer {
                    Timer::Message(waiting) => {
                        let holder = waiting.holder.clone();
                        holder.release(waiting, &mut effects);
                    }
                    Timer::Sync(owner) => {
                        if let Some(backlog) = owner.backlog() {
                            backlog.request_sync();
                            effects.serve.push(owner);
                        }
                    }
                }
            }
            if let Err(e) = self.settle(&mut effects).await {
                tracing::error!("failed to put a message back on its queue - {e}");
            }
        }
    }
}
