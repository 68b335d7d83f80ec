//! Whether the disk works: what `/ping` and `/stats` say.

use parking_lot::Mutex;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The result of the last disk write anywhere.
#[derive(Debug, Default)]
pub struct Health {
    failing: AtomicBool,
    cause: Mutex<String>,
}

impl Health {
    /// Notes how a write went: the last one counts (nsqd spec 4.10).
    pub fn report(&self, written: &io::Result<()>) {
        match written {
            Ok(()) if !self.failing.load(Relaxed) => {}
            Ok(()) => {
                self.failing.store(false, Relaxed);
                self.cause.lock().clear();
            }
            Err(e) => {
                *self.cause.lock() = e.to_string();
                self.failing.store(true, Relaxed);
            }
        }
    }

    /// Whether the last write succeeded.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        !self.failing.load(Relaxed)
    }

    /// `OK`, or `NOK - ` and the cause.
    #[must_use]
    pub fn text(&self) -> String {
        if self.is_ok() {
            "OK".into()
        } else {
            format!("NOK - {}", self.cause.lock())
        }
    }
}
