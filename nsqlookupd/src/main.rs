//! nsqlookupd: flags, start, wait for a signal, end.

use std::process::ExitCode;
use std::sync::Arc;

use nsq_service::clock::SystemClock;
use nsq_service::signals::{Signal, Signals};
use nsq_service::{build_info, exit, log};
use nsqlookupd::{Lookupd, Options};

const DEFAULT_PREFIX: &str = "[nsqlookupd] ";

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(exit) => return exit.finish(),
    };
    log::start(&options.log_prefix, options.log_level);
    // one thread is enough: the work is answering small questions from memory
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::fatal(DEFAULT_PREFIX, &format!("cannot start the runtime - {error}")),
    };
    runtime.block_on(run(options))
}

async fn run(options: Options) -> ExitCode {
    tracing::info!("{}", build_info::version_line("nsqlookupd"));
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return exit::fatal(DEFAULT_PREFIX, &format!("cannot catch signals - {error}")),
    };
    let mut lookupd = match Lookupd::start(options, Arc::new(SystemClock::new())).await {
        Ok(lookupd) => lookupd,
        Err(error) => return exit::fatal(DEFAULT_PREFIX, &error.to_string()),
    };
    let failed = tokio::select! {
        Signal::Terminate | Signal::Hangup = signals.next() => None,
        failed = lookupd.failed() => Some(failed),
    };
    lookupd.shutdown().await;
    match failed {
        None => ExitCode::SUCCESS,
        Some(error) => exit::fatal(DEFAULT_PREFIX, &error.to_string()),
    }
}
