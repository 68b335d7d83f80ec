//! Whole-system tests: real clients of three languages, the reference daemons of Go NSQ v1.3.0, and the cluster that
//! `nsq-operator local` runs. This library is the harness, the tests are in `tests/`.
//!
//! It starts programs and talks to them over sockets; it knows nothing of their inside. `cargo xtask test` builds and installs
//! what it needs and names the places in `NSQ_BIN_DIR` (our programs) and `NSQ_TEST_TOOLS` (the others).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::missing_errors_doc,
    reason = "a test harness: real files, sockets and clocks, and a failure is a panic"
)]

pub mod corpus;
pub mod http;
pub mod languages;
pub mod local;
pub mod operator;
pub mod our_tools;
pub mod process;
pub mod prometheus;
pub mod reference;
pub mod sink;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Waits until the condition holds, asking every 20 ms.
///
/// # Panics
/// The condition did not hold within `bound`.
pub fn eventually(bound: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + bound;
    while !condition() {
        assert!(Instant::now() < end, "not within {bound:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until there is a value, asking every 20 ms.
///
/// # Panics
/// There was none within `bound`.
pub fn eventually_some<T>(bound: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    eventually(bound, what, || {
        found = ask();
        found.is_some()
    });
    found.unwrap()
}

/// Waits until there is a value, asking every 20 ms.
///
/// # Panics
/// There was none within `bound`; the message has what was told last.
pub fn eventually_ok<T>(bound: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + bound;
    loop {
        match ask() {
            Ok(value) => return value,
            Err(told) => assert!(Instant::now() < end, "not within {bound:?}: {told}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `127.0.0.1` with a port that was free just now, for programs that do not say which one they took.
///
/// # Panics
/// No port is free.
#[must_use]
pub fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Our program of that name.
///
/// # Panics
/// It was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let beside_tests = || {
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().to_path_buf()
    };
    let path = std::env::var_os("NSQ_BIN_DIR")
        .map_or_else(beside_tests, PathBuf::from)
        .join(name);
    assert!(
        path.is_file(),
        "{} is missing: `cargo xtask test build` builds it",
        path.display()
    );
    path
}

/// A file that `cargo xtask test tools` installs, as a path below the folder of tools.
///
/// # Panics
/// It was not installed.
#[must_use]
pub fn tool(path: &str) -> PathBuf {
    let beside_tests = || {
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(3).unwrap().join("test-tools")
    };
    let path = std::env::var_os("NSQ_TEST_TOOLS")
        .map_or_else(beside_tests, PathBuf::from)
        .join(path);
    assert!(
        path.exists(),
        "{} is missing: `cargo xtask test tools` installs it",
        path.display()
    );
    path
}

/// A file of this package.
#[must_use]
pub fn own_file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
