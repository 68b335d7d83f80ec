//! nsqd: receives, queues and delivers messages.
//!
//! | module | owns | refuses to know |
//! |---|---|---|
//! | [`session`] | one client connection: bytes in, commands, bytes out | other connections |
//! | [`broker`] | the topic map; create, delete, pause, publish, subscribe | sockets, HTTP, JSON of the wire |
//! | [`topic`] | fan-out to channels; what waits while it cannot flow | consumers |
//! | [`channel`] | who gets a message, what is in flight, deferred or timed out | files, frames |
//! | [`queue`] | memory first, files after; the disk workers | what a message is for |
//! | [`block`] | messages in memory | where they are queued |
//! | [`wheel`], [`timers`] | when something is due | what it is |
//! | [`effects`], [`engine`] | what is left to do outside the locks, and who does it | why |
//!
//! Lock order: topic map, topic, channel, in-flight table, timer wheel; a file lock is taken with none of them held, and
//! an owner's lock may be taken under it. No lock is held across an await or a system call other than that of a file lock.

pub mod block;
pub mod broker;
pub mod channel;
pub mod client;
pub mod effects;
pub mod engine;
pub mod health;
pub mod lifecycle;
pub mod message_id;
pub mod metadata;
pub mod options;
pub mod queue;
pub mod server;
pub mod session;
pub mod timers;
pub mod topic;
pub mod wheel;

use broker::Broker;
use nsq_service::clock::Clock;
use nsq_service::listen::Listener;
use nsq_service::tasks::Tasks;
use nsq_storage::{Disk, Lock};
use options::Options;
use std::sync::Arc;
use std::time::Duration;

/// How long tasks may take to end at a clean stop.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What a daemon takes from outside: nothing else in this crate names a clock or a disk of the system.
#[derive(Clone)]
pub struct Env {
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Every file.
    pub disk: Arc<dyn Disk>,
}

/// A running nsqd.
pub struct Nsqd {
    /// Its topics.
    pub broker: Arc<Broker>,
    tasks: Tasks,
    _data_path: Lock,
}

impl Nsqd {
    /// Opens the data path and serves TCP clients on a bound listener.
    ///
    /// # Errors
    /// The text of the start-up failure, without `failed to instantiate nsqd - `.
    pub async fn start(options: Options, env: Env, tcp: Listener) -> Result<Self, String> {
        let lock = env
            .disk
            .lock_dir(&options.data_path)
            .map_err(|e| format!("failed to lock data-path: {e}"))?;
        let tasks = Tasks::new();
        let broker = Broker::open(options, env.disk, env.clock, tasks.clone()).await?;
        let serving = broker.clone();
        tasks.spawn(async move {
            server::accept(serving, tcp).await;
        });
        Ok(Self {
            broker,
            tasks,
            _data_path: lock,
        })
    }

    /// The clean stop: connections are closed, everything in memory is written.
    ///
    /// # Errors
    /// The first failure to write.
    pub async fn stop(self) -> std::io::Result<()> {
        self.tasks.stop();
        for client in self.broker.clients() {
            client.close();
        }
        let left = self.tasks.join(STOP_LIMIT).await;
        if left > 0 {
            tracing::warn!("{left} tasks did not end in time");
        }
        self.broker.close().await
    }
}
