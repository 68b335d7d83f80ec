//! The process: options, then the life of a daemon.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use nsq_service::clock::SystemClock;
use nsq_service::{log, program};
use nsq_storage::{Disk as _, RealDisk};
use tokio::runtime::Builder;

use crate::{Env, Nsqd, cores, options};

/// Runs nsqd with these arguments, without the program's name, until a signal ends it.
#[must_use]
pub fn main(args: impl IntoIterator<Item = String>) -> ExitCode {
    let values = match options::parse(args) {
        Ok(values) => values,
        Err(exit) => return exit.finish(),
    };
    match log::Settings::of(&values) {
        Ok(settings) => log::start(&settings),
        Err(exit) => return exit.finish(),
    }
    let mut runtime = Builder::new_multi_thread();
    program::run("nsqd", runtime.worker_threads(workers()), async || {
        let env = Env {
            clock: Arc::new(SystemClock::new()),
            disk: Arc::new(RealDisk),
        };
        tracing::info!("ID: {}", values.int("node-id"));
        Nsqd::start(values, env).await
    })
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
