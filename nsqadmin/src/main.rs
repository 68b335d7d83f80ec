//! nsqadmin: flags, start, wait for a signal, end.

use std::process::ExitCode;
use std::sync::Arc;

use nsq_service::clock::SystemClock;
use nsq_service::signals::{Signal, Signals};
use nsq_service::{build_info, exit, log};
use nsqadmin::{Admin, Options};

const DEFAULT_PREFIX: &str = "[nsqadmin] ";

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(exit) => return exit.finish(),
    };
    log::start(&options.log_prefix, options.log_level);
    // one thread is enough: the work is waiting for upstreams and rendering small pages
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::fatal(DEFAULT_PREFIX, &format!("cannot start the runtime - {error}")),
    };
    runtime.block_on(run(options))
}

async fn run(options: Options) -> ExitCode {
    tracing::info!("{}", build_info::version_line("nsqadmin"));
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return exit::fatal(DEFAULT_PREFIX, &format!("cannot catch signals - {error}")),
    };
    let mut admin = match Admin::start(options, Arc::new(SystemClock::new())).await {
        Ok(admin) => admin,
        Err(error) => {
            return exit::fatal(
                DEFAULT_PREFIX,
                &format!("failed to instantiate nsqadmin - {error}"),
            );
        }
    };
    let failed = tokio::select! {
        Signal::Terminate | Signal::Hangup = signals.next() => None,
        failed = admin.failed() => Some(failed),
    };
    admin.shutdown().await;
    match failed {
        None => ExitCode::SUCCESS,
        Some(error) => exit::fatal(DEFAULT_PREFIX, &error.to_string()),
    }
}
