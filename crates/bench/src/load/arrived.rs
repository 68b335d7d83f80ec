//! What has come so far, over all threads of a run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::outcome::Outcome;

/// Counts what arrives, over all threads of a run, and tells them when to end.
#[derive(Default)]
pub(crate) struct Arrived {
    count: AtomicU64,
    stop: AtomicBool,
}

/// Without a message for so long, a run is given up.
const STALL: Duration = Duration::from_secs(90);

impl Arrived {
    pub(crate) fn add(&self, count: u64) {
        if count > 0 {
            self.count.fetch_add(count, Relaxed);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// What a thread does; where that fails, the run ends for all.
    pub(crate) fn or_stop<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        work().inspect_err(|_| self.stop())
    }

    /// Waits until so many have come. Gives messages per second of the first 98 %: the last may wait in the daemon for a timer that
    /// writes them out, which is a matter of latency.
    pub(crate) fn wait(&self, wanted: u64) -> Outcome<f64> {
        let began = Instant::now();
        let mut most = None;
        let (mut last, mut moved) = (0, began);
        loop {
            let count = self.count();
            if most.is_none() && count >= wanted - wanted / 50 {
                most = Some(count as f64 / began.elapsed().as_secs_f64());
            }
            if count >= wanted {
                return Ok(most.unwrap_or_default());
            }
            if self.is_stopped() {
                return Err("a consumer ended before everything had come".to_owned());
            }
            if count != last {
                (last, moved) = (count, Instant::now());
            }
            if moved.elapsed() > STALL {
                return Err(format!(
                    "{count} of {wanted} messages came, then none for {STALL:?}"
                ));
            }
            thread::sleep(Duration::from_micros(500));
        }
    }
}

/// Stops the threads of a run when it is left, by whatever way.
pub(crate) struct StopAtEnd<'a>(pub(crate) &'a Arrived);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What a thread left, or that it panicked.
pub(crate) fn joined<T>(handle: thread::ScopedJoinHandle<'_, Outcome<T>>) -> Outcome<T> {
    handle
        .join()
        .map_err(|_| "a thread of the load client broke off".to_owned())?
}
