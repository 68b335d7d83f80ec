//! The one place that spawns. Whoever starts a daemon makes one [`Tasks`], hands clones of it down, and at the end
//! calls [`Tasks::stop`] and waits for [`Tasks::join`]; no task outlives that unnoticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, watch};

/// Handle to the tracked tasks of one daemon. Clones share them.
#[derive(Clone, Debug)]
pub struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    running: AtomicUsize,
    ended: Notify,
    stopping: watch::Sender<bool>,
}

impl Tasks {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        let stopping = watch::Sender::new(false);
        Self {
            shared: Arc::new(Shared {
                running: AtomicUsize::new(0),
                ended: Notify::new(),
                stopping,
            }),
        }
    }

    /// Runs `task` to its end on the current runtime. The task is not cancelled by anyone: it should end soon after
    /// [`Tasks::stopping`] resolves.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let running = Running::count(Arc::clone(&self.shared));
        #[allow(clippy::disallowed_methods, reason = "the one place that spawns")]
        // Not an async block: that would have room for the task twice, as what it captured and as what it waits for.
        tokio::spawn(task.map(move |()| drop(running)));
    }

    /// Runs blocking `work` on a thread of its own and counts it like a task. It must end by itself.
    pub fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        let running = Running::count(Arc::clone(&self.shared));
        #[allow(clippy::disallowed_methods, reason = "the one place that spawns")]
        tokio::task::spawn_blocking(move || {
            work();
            drop(running);
        });
    }

    /// Tells every task to end. Idempotent.
    pub fn stop(&self) {
        self.shared.stopping.send_replace(true);
    }

    /// True after [`Tasks::stop`].
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.shared.stopping.borrow()
    }

    /// Waits until [`Tasks::stop`] was called. Cancel safe; at once if it already was.
    pub async fn stopping(&self) {
        let mut stopping = self.shared.stopping.subscribe();
        // the sender lives in `self`, so this cannot fail
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Number of tasks that have not ended.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.running.load(Ordering::Acquire)
    }

    /// Waits until no task is left, at most `limit`. Yields how many are left.
    pub async fn join(&self, limit: Duration) -> usize {
        let all_ended = async {
            loop {
                let ended = self.shared.ended.notified();
                if self.count() == 0 {
                    return;
                }
                ended.await;
            }
        };
        let _ = tokio::time::timeout(limit, all_ended).await;
        self.count()
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts one task until it is dropped, also when the task panics.
struct Running(Arc<Shared>);

impl Running {
    fn count(shared: Arc<Shared>) -> Self {
        shared.running.fetch_add(1, Ordering::AcqRel);
        Self(shared)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn join_waits_for_every_task_and_counts_the_rest() {
        let tasks = Tasks::new();
        let inner = tasks.clone();
        tasks.spawn(async move { inner.stopping().await });
        let (tx, rx) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(async move {
            let _ = rx.await;
        });
        tasks.stop();
        assert_eq!(tasks.join(Duration::from_millis(20)).await, 1);
        drop(tx);
        assert_eq!(tasks.join(Duration::from_secs(10)).await, 0);
    }
}
