//! The process: options, then the life of a daemon.

use std::process::ExitCode;
use std::sync::Arc;

use nsq_service::clock::SystemClock;
use nsq_service::{log, program};
use tokio::runtime::Builder;

use crate::{Admin, Options};

/// Runs nsqadmin with these arguments, without the program's name, until a signal ends it.
#[must_use]
pub fn main(args: impl IntoIterator<Item = String>) -> ExitCode {
    let options = match Options::from_args(args) {
        Ok(options) => options,
        Err(exit) => return exit.finish(),
    };
    log::start(&options.log);
    // one thread is enough: the work is waiting for upstreams and rendering small pages
    program::run("nsqadmin", &mut Builder::new_current_thread(), async || {
        let started = Admin::start(options, Arc::new(SystemClock::new())).await;
        started.map_err(|error| format!("failed to instantiate nsqadmin - {error}"))
    })
}
