//! Whether the disk works: what `/ping`, `/ready` and `/stats` say.
//!
//! Health is a set of causes, one for each queue and kind of operation that failed. A cause goes with a success of the
//! same thing, or when the data path passes the test that the broker makes while one stands: so one queue that works does
//! not hide another that fails, and health returns without a publish (extensions spec 7.6).

use nsq_storage::os_text;
use parking_lot::Mutex;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::sync::Notify;

/// Causes that are kept apart by queue; further queues share one cause, which only a test takes away.
const MAX_CAUSES: usize = 1024;

/// What was done with a queue's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Messages were written.
    Write,
    /// What was written was synced.
    Sync,
}

#[derive(Debug)]
struct Cause {
    operation: Operation,
    /// Empty for the queues that share one.
    queue: String,
    text: String,
    /// Number of its last failure.
    failure: u64,
}

/// The causes of the present state of the disk.
#[derive(Debug, Default)]
pub struct Health {
    /// Whether there are causes: all that a success looks at while there are none.
    failing: AtomicBool,
    causes: Mutex<Causes>,
    began_to_fail: Notify,
}

#[derive(Debug, Default)]
struct Causes {
    /// The oldest first.
    list: Vec<Cause>,
    /// Failures so far.
    failures: u64,
}

impl Causes {
    fn find(&mut self, operation: Operation, queue: &str) -> Option<&mut Cause> {
        self.list
            .iter_mut()
            .find(|cause| cause.operation == operation && cause.queue == queue)
    }

    fn add(&mut self, operation: Operation, queue: &str, text: String) {
        self.failures += 1;
        let failure = self.failures;
        let full = self.list.len() >= MAX_CAUSES;
        let queue = if full && self.find(operation, queue).is_none() {
            ""
        } else {
            queue
        };
        match self.find(operation, queue) {
            Some(known) => {
                known.text = text;
                known.failure = failure;
            }
            None => self.list.push(Cause {
                operation,
                queue: queue.to_owned(),
                text,
                failure,
            }),
        }
    }
}

impl Health {
    /// Notes how an operation on a queue's files went.
    pub fn report(&self, operation: Operation, queue: &str, done: &io::Result<()>) {
        match done {
            Ok(()) if !self.failing.load(Relaxed) => {}
            Ok(()) => self.retain(|cause| cause.operation != operation || cause.queue != queue),
            Err(error) => {
                let mut causes = self.causes.lock();
                causes.add(operation, queue, os_text(error));
                if !self.failing.swap(true, Relaxed) {
                    self.began_to_fail.notify_one();
                }
            }
        }
    }

    fn retain(&self, keep: impl Fn(&Cause) -> bool) {
        let mut causes = self.causes.lock();
        causes.list.retain(keep);
        self.failing.store(!causes.list.is_empty(), Relaxed);
    }

    /// Returns while there is a cause. Cancel safe.
    pub async fn failing(&self) {
        while self.is_ok() {
            self.began_to_fail.notified().await;
        }
    }

    /// Failures so far: what a test that begins now can speak for.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.causes.lock().failures
    }

    /// Notes that the data path passed a test that began after so many failures: the causes up to there are gone.
    pub fn passed_test(&self, failures: u64) {
        self.retain(|cause| cause.failure > failures);
    }

    /// Whether there is no cause.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        !self.failing.load(Relaxed)
    }

    /// `NOK - ` and the text of the oldest cause, if there is one.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        if self.is_ok() {
            return None;
        }
        let causes = self.causes.lock();
        causes.list.first().map(|oldest| format!("NOK - {}", oldest.text))
    }

    /// `OK`, or [`Self::cause`].
    #[must_use]
    pub fn text(&self) -> String {
        self.cause().unwrap_or_else(|| "OK".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> io::Result<()> {
        Err(io::Error::other(text.to_owned()))
    }

    #[test]
    fn a_cause_goes_with_a_success_of_the_same_thing_alone() {
        let health = Health::default();
        health.report(Operation::Write, "a", &Ok(()));
        assert_eq!(health.text(), "OK");
        health.report(Operation::Write, "a", &failed("first"));
        health.report(Operation::Sync, "a", &failed("second"));
        health.report(Operation::Write, "b", &failed("third"));
        assert_eq!(health.text(), "NOK - first");
        health.report(Operation::Write, "c", &Ok(()));
        health.report(Operation::Sync, "b", &Ok(()));
        assert_eq!(health.text(), "NOK - first");
        health.report(Operation::Write, "a", &failed("again"));
        assert_eq!(health.text(), "NOK - again", "it keeps its age");
        health.report(Operation::Write, "a", &Ok(()));
        assert_eq!(health.text(), "NOK - second");
        health.report(Operation::Sync, "a", &Ok(()));
        assert!(!health.is_ok());
        health.report(Operation::Write, "b", &Ok(()));
        assert_eq!((health.is_ok(), health.text().as_str()), (true, "OK"));
    }

    #[test]
    fn a_test_speaks_for_what_failed_before_it_began() {
        let health = Health::default();
        health.report(Operation::Write, "a", &failed("a"));
        health.report(Operation::Write, "b", &failed("b"));
        let began = health.failures();
        health.report(Operation::Write, "a", &failed("meanwhile"));
        health.passed_test(began);
        assert_eq!(health.text(), "NOK - meanwhile");
        health.passed_test(health.failures());
        assert!(health.is_ok());
    }

    #[test]
    fn causes_have_a_bound_and_none_is_forgotten() {
        let health = Health::default();
        for queue in 0..2 * MAX_CAUSES {
            health.report(Operation::Write, &queue.to_string(), &failed("full"));
        }
        assert_eq!(health.causes.lock().list.len(), MAX_CAUSES + 1);
        for queue in 0..2 * MAX_CAUSES {
            health.report(Operation::Write, &queue.to_string(), &Ok(()));
        }
        assert_eq!(health.text(), "NOK - full");
        health.passed_test(health.failures());
        assert!(health.is_ok());
    }
}
