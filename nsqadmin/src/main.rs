//! nsqadmin: options, then the life of a daemon.

use std::process::ExitCode;
use std::sync::Arc;

use nsq_service::clock::SystemClock;
use nsq_service::{log, program};
use nsqadmin::{Admin, Options};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args().skip(1)) {
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
