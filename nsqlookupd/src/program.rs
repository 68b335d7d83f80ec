//! The process: options, then the life of a daemon.

use std::process::ExitCode;
use std::sync::Arc;

use nsq_service::clock::SystemClock;
use nsq_service::{log, program};
use tokio::runtime::Builder;

use crate::{Lookupd, Options};

/// Runs nsqlookupd with these arguments, without the program's name, until a signal ends it.
#[must_use]
pub fn main(args: impl IntoIterator<Item = String>) -> ExitCode {
    let options = match Options::from_args(args) {
        Ok(options) => options,
        Err(exit) => return exit.finish(),
    };
    log::start(&options.log);
    // one thread is enough: the work is answering small questions from memory
    program::run("nsqlookupd", &mut Builder::new_current_thread(), async || {
        let started = Lookupd::start(options, Arc::new(SystemClock::new())).await;
        started.map_err(|error| error.to_string())
    })
}
