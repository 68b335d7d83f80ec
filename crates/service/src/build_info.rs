//! Versions and the host name.

/// The version of the reference whose behaviour is offered. Clients and tools read it, so it does not follow our
/// own releases.
pub const VERSION: &str = "1.3.0";

/// Our own release.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, as `NSQ_COMMIT` said at build time.
pub const COMMIT: &str = match option_env!("NSQ_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// The line that `--version` prints and that starts the log, for example `nsqd v1.3.0 (built w/rust1.95)`.
#[must_use]
pub fn version_line(program: &str) -> String {
    format!(
        "{program} v{VERSION} (built w/rust{})",
        env!("CARGO_PKG_RUST_VERSION")
    )
}

/// The host name as the operating system tells it; empty if it is not UTF-8.
#[must_use]
pub fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_str()
        .unwrap_or_default()
        .to_owned()
}
