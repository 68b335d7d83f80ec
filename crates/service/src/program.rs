//! The life of a daemon's process: log, runtime, signals, start, wait for the end, clean stop, exit code. A program's `main`
//! reads its options and hands the rest to [`run`].

use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::signals::Signals;
use crate::{build_info, exit};

/// A daemon that has started.
pub trait Daemon: Sized {
    /// Resolves when it cannot go on, with why; never while all is well.
    fn failed(&mut self) -> impl Future<Output = String>;

    /// The clean stop.
    ///
    /// # Errors
    /// What could not be done before the end; it is in the log already.
    fn stop(self) -> impl Future<Output = Result<(), ()>>;
}

/// Runs the daemon that `start` starts until a signal or a failure ends it. `name` is that of the program; the log has
/// been started. The limit of open files is raised to the hard one. SIGTERM, SIGINT and SIGHUP end it cleanly with exit code 0; a start that fails, a failure and a stop that
/// could not do everything end it with 1.
pub fn run<D: Daemon>(
    name: &'static str,
    runtime: &mut Builder,
    start: impl AsyncFnOnce() -> Result<D, String>,
) -> ExitCode {
    raise_file_limit();
    match runtime.enable_all().build() {
        Ok(runtime) => runtime.block_on(live(name, start)),
        Err(error) => fatal(name, &format!("cannot start the runtime - {error}")),
    }
}

/// As many open files as the system allows this process: Go's runtime does it too, and service managers count on it when they
/// give a small soft limit and a large hard one. Without effect on a system that refuses.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let all = Rlimit {
            current: maximum,
            maximum,
        };
        let _ = setrlimit(Resource::Nofile, all);
    }
}

async fn live<D: Daemon>(name: &'static str, start: impl AsyncFnOnce() -> Result<D, String>) -> ExitCode {
    tracing::info!("{}", build_info::version_line(name));
    let mut signals = match Signals::install().and_then(Signals::with_hangup) {
        Ok(signals) => signals,
        Err(error) => return fatal(name, &format!("cannot catch signals - {error}")),
    };
    let mut daemon = match start().await {
        Ok(daemon) => daemon,
        Err(text) => return fatal(name, &text),
    };
    let failed = tokio::select! {
        _ = signals.next() => None,
        failed = daemon.failed() => Some(failed),
    };
    let stopped = daemon.stop().await;
    match failed {
        Some(text) => fatal(name, &text),
        None if stopped.is_err() => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    }
}

/// With the program's default prefix: a start may fail before another one is known.
fn fatal(name: &str, text: &str) -> ExitCode {
    exit::fatal(&format!("[{name}] "), text)
}
