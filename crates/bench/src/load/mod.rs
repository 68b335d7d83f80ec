//! The load client: bare connections of its own, a thread for each or epoll for many, no runtime, so that it costs little beside
//! what is measured.

mod arrived;
mod both;
pub(crate) mod conn;
mod consume;
mod footprint;
mod http;
mod life;
pub(crate) mod meter;
mod publish;
mod sent;
pub(crate) mod soak;
pub(crate) mod stream;
mod timers;
mod timetable;

use crate::outcome::Outcome;
use crate::scenario::Work;
pub(crate) use life::run as run_life;
use meter::{Found, Target};

/// Does this work on a daemon that runs. Works that start and stop the daemon themselves are in [`life`].
///
/// # Errors
/// The daemon refused something, stood still, or sent what it should not.
pub(crate) fn run(work: &Work, target: Target) -> Outcome<Found> {
    match work {
        Work::Publish(work) => publish::over_tcp(work, target),
        Work::PublishHttp(work) => publish::over_http(work, target),
        Work::Consume(work) => consume::run(work, target),
        Work::Both(work) => both::run(work, target),
        Work::Timetable(work) => timetable::run(work, target),
        Work::Deferred(work) => timers::deferred(work, target),
        Work::Timeouts { count } => timers::timeouts(*count, target),
        Work::IdleConnections { count, subscribed } => footprint::connections(*count, *subscribed, target),
        Work::IdleTopics { count } => footprint::topics(*count, target),
        Work::Restart { .. } | Work::Exit { .. } | Work::Start { .. } => {
            Err("this work starts its daemon itself".to_owned())
        }
    }
}
