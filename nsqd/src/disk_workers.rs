//! The threads that serve queue files: read ahead, mark as read, sync, and write when a connection should not.

use crate::effects::{Effects, QueueOwner, Spill};
use crate::health::{Health, Operation};
use crate::queue::Backlog;
use crate::queue::backlog::LockedBacklog;
use crate::timers::{Timer, Timers};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Two: one queue's slow sync does not hold up every other's reads, and more would not write any faster.
const WORKERS: usize = 2;
/// Jobs that wait for one worker; whoever has one more waits.
const JOBS: usize = 1024;
/// A write to the page cache takes microseconds; from here on connections no longer write themselves.
const SLOW_WRITE_NS: u64 = 200_000;

type Call = Box<dyn FnOnce() + Send>;

enum Job {
    Append(Spill, oneshot::Sender<io::Result<()>>),
    Serve(Arc<dyn QueueOwner>),
    Call(Call),
}

/// When files are synced.
#[derive(Clone, Copy, Debug)]
pub struct SyncRules {
    /// Reads and writes after which they are.
    pub every: u64,
    /// Nanoseconds after the first read or write.
    pub timeout: u64,
}

/// Handle of the disk workers. The threads end when it is dropped, after the jobs they have.
pub struct DiskWorkers {
    mailboxes: Vec<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

struct Shared {
    timers: Arc<Timers>,
    health: Arc<Health>,
    rules: SyncRules,
}

impl DiskWorkers {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system has no thread for them.
    pub fn start(timers: Arc<Timers>, health: Arc<Health>, rules: SyncRules) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            timers,
            health,
            rules,
        });
        let (mut mailboxes, mut threads) = (Vec::new(), Vec::new());
        for n in 0..WORKERS {
            let (tx, mut rx) = mpsc::channel(JOBS);
            let shared = shared.clone();
            let body = move || {
                while let Some(job) = rx.blocking_recv() {
                    shared.run(job);
                }
            };
            threads.push(
                std::thread::Builder::new()
                    .name(format!("disk-{n}"))
                    .spawn(body)?,
            );
            mailboxes.push(tx);
        }
        Ok(Self {
            mailboxes,
            threads,
            shared,
        })
    }

    /// Ends the threads after the jobs they have. Blocks until then.
    pub fn stop(mut self) {
        self.mailboxes.clear();
        for thread in self.threads.drain(..) {
            // A worker that panicked has aborted the process already.
            let _ = thread.join();
        }
    }

    async fn send(&self, worker: usize, job: Job) {
        // The receiver lives as long as its sender: a send cannot fail.
        let _ = self.mailboxes[worker % WORKERS].send(job).await;
    }

    /// Writes a run to its owner's files: here and now if they are quick and free, else on their worker.
    ///
    /// # Errors
    /// Those of the file system, for messages that were not accepted before. The owner has heard of them.
    pub async fn append(&self, spill: Spill, effects: &mut Effects) -> io::Result<()> {
        let Spill { owner, run, accepted } = &spill;
        let Some(backlog) = owner.backlog() else {
            return Ok(());
        };
        let written = match self.shared.try_append(&spill, backlog) {
            Some(written) => written,
            None => {
                let (done, written) = oneshot::channel();
                self.send(backlog.worker, Job::Append(spill.clone(), done)).await;
                written.await.unwrap_or_else(|_| Err(io::Error::other("exiting")))
            }
        };
        match written {
            Ok(()) => owner.spilled(effects),
            Err(_) if *accepted => owner.keep(run.clone(), effects),
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Asks for a service of the owner's files, once until it has happened.
    pub async fn serve(&self, owner: Arc<dyn QueueOwner>) {
        let Some(backlog) = owner.backlog() else { return };
        if !backlog.scheduled.swap(true, Relaxed) {
            let worker = backlog.worker;
            self.send(worker, Job::Serve(owner)).await;
        }
    }

    /// Serves the owner's files and returns when that is done.
    pub async fn serve_now(&self, owner: &Arc<dyn QueueOwner>) {
        let Some(backlog) = owner.backlog() else { return };
        let (shared, owner) = (self.shared.clone(), owner.clone());
        self.call(backlog.worker, move || shared.serve(&owner)).await;
    }

    /// Runs something on a worker, in order with the other jobs of that worker, and returns its result.
    /// `None` when the workers have ended.
    pub async fn call<T: Send + 'static>(
        &self,
        worker: usize,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let call: Call = Box::new(move || {
            // Nobody waits any longer: the work was done all the same.
            let _ = done.send(f());
        });
        self.send(worker, Job::Call(call)).await;
        result.await.ok()
    }

    /// Runs something with the owner's files locked, on their worker. `None` when it has no files.
    pub async fn with_files<T: Send + 'static>(
        &self,
        owner: &Arc<dyn QueueOwner>,
        f: impl FnOnce(&mut LockedBacklog<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let backlog = owner.backlog()?.clone();
        self.call(backlog.worker, move || f(&mut backlog.lock())).await
    }
}

impl Shared {
    fn run(&self, job: Job) {
        match job {
            Job::Append(spill, done) => {
                let Some(backlog) = spill.owner.backlog() else {
                    return;
                };
                // Nobody waits any longer: the run is written all the same.
                let _ = done.send(self.append(&spill, backlog, backlog.lock()));
            }
            Job::Serve(owner) => {
                if let Some(backlog) = owner.backlog() {
                    backlog.scheduled.store(false, Relaxed);
                }
                self.serve(&owner);
            }
            Job::Call(call) => call(),
        }
    }

    /// Writes here and now, unless that may take long.
    fn try_append(&self, spill: &Spill, backlog: &Arc<Backlog>) -> Option<io::Result<()>> {
        if backlog.slow.load(Relaxed) {
            return None;
        }
        let files = backlog.try_lock()?;
        Some(self.append(spill, backlog, files))
    }

    fn append(&self, spill: &Spill, backlog: &Arc<Backlog>, mut files: LockedBacklog<'_>) -> io::Result<()> {
        let Spill { owner, run, accepted } = spill;
        let started = self.timers.now();
        let written = files.append(run);
        backlog
            .slow
            .store(self.timers.now().saturating_sub(started) > SLOW_WRITE_NS, Relaxed);
        if let Err(e) = &written {
            if !accepted && !owner.spill_failed(run) {
                return Ok(());
            }
            tracing::error!("DISKQUEUE({}): failed to write - {e}", backlog.name());
        }
        if files.is_open() {
            self.health.report(Operation::Write, backlog.name(), &written);
        }
        written?;
        if files.unsynced() >= self.rules.every {
            backlog.sync_requested.store(true, Relaxed);
        }
        drop(files);
        self.arm_sync(owner, backlog);
        Ok(())
    }

    fn arm_sync(&self, owner: &Arc<dyn QueueOwner>, backlog: &Backlog) {
        if !backlog.sync_armed.swap(true, Relaxed) {
            self.timers.start(self.rules.timeout, Timer::Sync(owner.clone()));
        }
    }

    /// Marks as read what was taken, reads ahead if wanted and syncs if due.
    fn serve(&self, owner: &Arc<dyn QueueOwner>) {
        let Some(backlog) = owner.backlog() else { return };
        let mut effects = Effects::default();
        let mut files = backlog.lock();
        let mut outcome = files.consume_taken();
        if owner.wants_more() {
            match files.read(|by| owner.corrected(by)) {
                Ok(Some(run)) => owner.read_ahead(run, &mut effects),
                Ok(None) => {}
                Err(e) => outcome = outcome.and(Err(e)),
            }
        }
        if backlog.sync_requested.swap(false, Relaxed) || files.unsynced() >= self.rules.every {
            let synced = files.sync();
            self.health.report(Operation::Sync, backlog.name(), &synced);
            outcome = outcome.and(synced);
        }
        let dirty = files.unsynced() > 0;
        drop(files);
        if let Err(e) = outcome {
            tracing::error!("DISKQUEUE({}): {e}", backlog.name());
        }
        if dirty {
            self.arm_sync(owner, backlog);
        }
        self.timers.wake(&mut effects);
    }
}
