//! What carries out effects: the timer wheel, the disk workers, the task tracker.

use crate::health::Health;
use crate::queue::DiskWorkers;
use crate::queue::workers::SyncRules;
use crate::timers::Timers;
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
        let timers = Arc::new(Timers::new(clock.clone()));
        let workers = DiskWorkers::start(timers.clone(), health, rules)?;
        let engine = Arc::new(Self {
            timers,
            workers,
            tasks,
            clock,
        });
        let turning = engine.clone();
        engine.tasks.spawn(async move {
            tokio::select! {
                () = turning.timers.run(&turning) => {}
                () = turning.tasks.stopping() => {}
            }
        });
        Ok(engine)
    }
}
