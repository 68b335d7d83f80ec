//! nsqadmin: a look at the whole cluster for people and scripts.
//!
//! | module | owns | refuses to know |
//! |---|---|---|
//! | `main.rs` | the process: flags, signals, exit code | everything else |
//! | [`options`] | flag table, [`Options`] | |
//! | `router` | every path, in one table | what stands behind them |
//! | `upstream` | asks nsqlookupds and nsqds in parallel, bounded; unreachable is a value | what the answers mean |
//! | `model` | merging answers into one picture. Pure | HTTP, HTML, the clock |
//! | `api` | the reference's JSON API | HTML |
//! | `web` | pages: view models, templates, assets, headers | upstreams |
//!
//! Invariants: rendering does no I/O; what a node did not say is shown as unknown, never as 0; text from outside
//! reaches a page only through the templates' escaping.

mod api;
mod model;
pub mod options;
mod router;
mod upstream;
mod web;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nsq_service::clock::Clock;
use nsq_service::http::Limits;
use nsq_service::listen::Listener;
use nsq_service::program::Daemon;
use nsq_service::tasks::Tasks;
pub use options::{Options, Sources};
use tokio::sync::oneshot;
use upstream::Upstream;

/// Longest wait for connections at the end. Requests in progress get 5 s of it.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(6);

/// What all endpoints share.
struct Shared {
    upstream: Upstream,
    base_path: String,
}

/// A failure that prevents the start or ends the process.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address cannot be bound.
    #[error("listen ({address}) failed - {source}")]
    Listen {
        /// The configured address.
        address: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The listener broke while running.
    #[error("accept failed - {0}")]
    Accept(io::Error),
}

/// A running nsqadmin.
pub struct Admin {
    tasks: Tasks,
    failed: oneshot::Receiver<Failure>,
    http_port: i32,
}

impl Admin {
    /// Binds the listener and serves it. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`Failure::Listen`].
    pub async fn start(options: Options, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let listener = Listener::bind(&options.http_address)
            .await
            .map_err(|source| Failure::Listen {
                address: options.http_address.clone(),
                source,
            })?;
        let http_port = listener.port();
        let upstream = Upstream::new(
            options.sources,
            options.connect_timeout,
            options.request_timeout,
            clock,
        );
        let shared = Arc::new(Shared {
            upstream,
            base_path: options.base_path,
        });
        let router = Arc::new(router::router(shared));
        let tasks = Tasks::new();
        let (tell, failed) = oneshot::channel();
        let serve = nsq_service::http::serve(listener, router, tasks.clone(), Limits::default());
        tasks.spawn(async move {
            if let Err(error) = serve.await {
                let _ = tell.send(Failure::Accept(error));
            }
        });
        Ok(Self {
            tasks,
            failed,
            http_port,
        })
    }

    /// The bound port; -1 for a Unix socket.
    #[must_use]
    pub fn http_port(&self) -> i32 {
        self.http_port
    }
}

impl Daemon for Admin {
    async fn failed(&mut self) -> String {
        match (&mut self.failed).await {
            Ok(failure) => failure.to_string(),
            // the listener ended because of a stop, which whoever waits here has asked for
            Err(_) => std::future::pending().await,
        }
    }

    /// Closes the listener and waits for requests in progress, at most six seconds.
    async fn stop(self) -> Result<(), ()> {
        self.tasks.stop();
        let left = self.tasks.join(SHUTDOWN_LIMIT).await;
        if left > 0 {
            tracing::warn!("exiting with {left} open connections");
        }
        Ok(())
    }
}
