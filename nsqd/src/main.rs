//! nsqd: flags, start, wait for a signal, end.

use nsq_service::clock::SystemClock;
use nsq_service::flags::Values;
use nsq_service::signals::Signals;
use nsq_service::{build_info, exit, log};
use nsq_storage::{Disk as _, RealDisk};
use nsqd::{Env, Nsqd, cores, options};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

const DEFAULT_PREFIX: &str = "[nsqd] ";

fn main() -> ExitCode {
    let values = match options::parse(std::env::args().skip(1)) {
        Ok(values) => values,
        Err(exit) => return exit.finish(),
    };
    log::start(values.string("log-prefix"), values.level("log-level"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(values)),
        Err(error) => exit::fatal(DEFAULT_PREFIX, &format!("cannot start the runtime - {error}")),
    }
}

/// As many as there are processors to use.
fn workers() -> usize {
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    let mut quota = [0; cores::QUOTA_BYTES];
    let read = RealDisk
        .open_read(Path::new(cores::QUOTA_FILE))
        .and_then(|file| file.read_at(0, &mut quota));
    // No such file, no quota.
    let text = quota.get(..read.unwrap_or(0)).unwrap_or_default();
    let text = std::str::from_utf8(text).unwrap_or_default();
    cores::workers(usable, text)
}

async fn run(values: Values) -> ExitCode {
    let env = Env {
        clock: Arc::new(SystemClock::new()),
        disk: Arc::new(RealDisk),
    };
    tracing::info!("{}", build_info::version_line("nsqd"));
    tracing::info!("ID: {}", values.int("node-id"));
    let mut signals = match Signals::install().and_then(Signals::with_hangup) {
        Ok(signals) => signals,
        Err(error) => return exit::fatal(DEFAULT_PREFIX, &format!("cannot catch signals - {error}")),
    };
    let mut nsqd = match Nsqd::start(values, env).await {
        Ok(nsqd) => nsqd,
        Err(text) => return exit::fatal(DEFAULT_PREFIX, &text),
    };
    let failed = tokio::select! {
        _ = signals.next() => None,
        failed = nsqd.failed() => Some(failed),
    };
    let stopped = nsqd.stop().await;
    if let Err(error) = &stopped {
        tracing::error!("failed to write everything before the end - {error}");
    }
    tracing::info!("NSQ: bye");
    match failed {
        Some(text) => exit::fatal(DEFAULT_PREFIX, &text),
        None if stopped.is_err() => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    }
}
