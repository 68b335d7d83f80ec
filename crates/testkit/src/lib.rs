//! What the conformance tests speak with: a daemon as a process, a raw TCP client, a raw HTTP client and a scripted nsqlookupd.
//!
//! Everything here is plain and blocking, reads bytes as they are on the wire and gives up after a bound, so that a test
//! reads like the sentence of the specification that it proves. A failed expectation panics with what came instead.
//! This crate is a dev dependency only; nothing in a `src` folder of a daemon knows it.
//!
//! The same tests run against the reference: set `NSQD_REFERENCE` to the path of a Go nsqd (see [`nsqd_binary`]).
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a tool for tests works with real sockets, files and clocks, and fails a test by a panic"
)]

mod conn;
mod daemon;
mod http;
mod layers;
mod lookupd;
mod process;
mod scrape;
pub mod tls;
mod wait;

pub use conn::{Conn, Delivery, Frame, Next, batch, body};
pub use daemon::{Daemon, Launch};
pub use http::{Reply, request, request_tls, request_tls_with};
pub use layers::Compression;
pub use lookupd::{Answer, FakeLookupd, Seen};
pub use process::{Ended, allow_open_files, cpu_time, run_to_end};
pub use scrape::Scrape;
pub use wait::{BOUND, Stopwatch, eventually};

use std::path::PathBuf;

/// The variable that names a reference nsqd to run the tests against.
const REFERENCE: &str = "NSQD_REFERENCE";

/// The nsqd to test: the program of `NSQD_REFERENCE` if that is set, else `ours`, which is `env!("CARGO_BIN_EXE_nsqd")`.
pub fn nsqd_binary(ours: &str) -> PathBuf {
    std::env::var_os(REFERENCE).map_or_else(|| PathBuf::from(ours), PathBuf::from)
}

/// Starts the nsqd under test with these flags, for a test in `nsqd/tests`; without flags it has the default options.
#[macro_export]
macro_rules! nsqd {
    ($($flag:expr),* $(,)?) => {
        $crate::Launch::new($crate::nsqd_binary(env!("CARGO_BIN_EXE_nsqd")))$(.flag($flag))*.start()
    };
}

/// Whether the tests run against the reference.
pub(crate) fn on_reference() -> bool {
    std::env::var_os(REFERENCE).is_some()
}

/// Whether the tests run against the reference and this one has to return at once, because the two differ on purpose: as the
/// row of docs/compatibility.md with this subject says. `cargo xtask tidy` refuses a subject without a row, so that what a run
/// against the reference leaves out is on that page; it is printed too.
#[allow(
    clippy::print_stderr,
    reason = "the reader of a run against the reference must see what was left out"
)]
pub fn ours_only(row: &str) -> bool {
    let reference = on_reference();
    if reference {
        eprintln!("NOT COMPARED WITH THE REFERENCE: {row}");
    }
    reference
}
