//! nsqlookupd: tells consumers where the producers of a topic are.
//!
//! | module | owns | refuses to know |
//! |---|---|---|
//! | [`program`] | the process: flags, signals, exit code | everything else |
//! | [`options`] | flag table, [`Options`] | |
//! | [`registry`] | who announced what; tombstones, inactivity. Pure: `now` is an argument | sockets, HTTP, the clock |
//! | `session` | one TCP connection of an nsqd, protocol V1 | HTTP |
//! | `http` | the HTTP endpoints | TCP |
//! | `metrics` | what is counted, and the page that shows it | |
//!
//! State lives in memory only: a restart starts empty and is refilled by the nsqds that reconnect. One lock, the
//! registry's; it is never held across an await.

mod http;
mod metrics;
pub mod options;
pub mod program;
pub mod registry;
mod session;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use metrics::Metrics;
use nsq_protocol::v1::LookupInfo;
use nsq_service::build_info;
use nsq_service::clock::Clock;
use nsq_service::http::Limits;
use nsq_service::listen::{Listener, is_temporary};
use nsq_service::program::Daemon;
use nsq_service::tasks::Tasks;
pub use options::Options;
use parking_lot::Mutex;
use registry::{Now, Policy, ProducerId, Registry};
use tokio::sync::mpsc;

/// TCP connections at one time; a further one is closed at once. Each nsqd holds one.
const MAX_CONNECTIONS: usize = 4096;

/// Pause after a failed accept that may work later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Longest wait for connections at the end. HTTP requests in progress get 5 s of it.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(6);

/// A TCP peer that says nothing for this long is gone: nsqd pings every 15 s. With a longer
/// `inactive-producer-timeout` it is three of those.
const MIN_IDLE_LIMIT: Duration = Duration::from_secs(15 * 60);

/// What connections and endpoints share.
struct Shared {
    registry: Mutex<Registry>,
    clock: Arc<dyn Clock>,
    /// The answer to IDENTIFY.
    info: LookupInfo,
    next_id: AtomicU64,
    connections: AtomicUsize,
    idle_limit: Duration,
    metrics: Metrics,
}

impl Shared {
    fn new(
        options: &Options,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        tcp_port: i32,
        http_port: i32,
    ) -> Self {
        let policy = Policy {
            inactive_producer_timeout: options.inactive_producer_timeout,
            tombstone_lifetime: options.tombstone_lifetime,
        };
        Self {
            registry: Mutex::new(Registry::new(policy)),
            clock,
            info: LookupInfo {
                broadcast_address: options.broadcast_address.clone(),
                hostname: build_info::hostname(),
                http_port: i64::from(http_port),
                tcp_port: i64::from(tcp_port),
                version: build_info::VERSION.to_owned(),
            },
            next_id: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            metrics,
            idle_limit: MIN_IDLE_LIMIT.max(options.inactive_producer_timeout.saturating_mul(3)),
        }
    }

    fn now(&self) -> Now {
        Now {
            unix_nanos: self.clock.unix_nanos(),
            monotonic: self.clock.monotonic(),
        }
    }

    fn next_id(&self) -> ProducerId {
        ProducerId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }
}

/// A failure that prevents the start or ends the process.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An address cannot be bound.
    #[error("listen ({address}) failed - {source}")]
    Listen {
        /// The configured address.
        address: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// A listener broke while running.
    #[error("accept failed - {0}")]
    Accept(io::Error),
    /// The metrics have names that cannot be shown.
    #[error("failed to set up metrics - {0}")]
    Metrics(String),
}

/// A running nsqlookupd.
pub struct Lookupd {
    tasks: Tasks,
    failures: mpsc::Receiver<Failure>,
    tcp_port: i32,
    http_port: i32,
}

impl Lookupd {
    /// Binds both listeners and serves them. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`Failure::Listen`]; [`Failure::Metrics`] cannot happen with the names there are.
    pub async fn start(options: Options, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let tcp = bind(&options.tcp_address).await?;
        let http = bind(&options.http_address).await?;
        let (tcp_port, http_port) = (tcp.port(), http.port());
        let ops = match options.ops_address.as_str() {
            "" => None,
            address => Some(bind(address).await?),
        };
        let metrics = Metrics::new(clock.unix_nanos() / 1_000_000_000).map_err(Failure::Metrics)?;
        let shared = Arc::new(Shared::new(&options, clock, metrics, tcp_port, http_port));
        let tasks = Tasks::new();
        // one slot per listener, so that sending never waits
        let (failed, failures) = mpsc::channel(3);
        let router = Arc::new(http::router(Arc::clone(&shared)));
        let serve = nsq_service::http::serve(http, router, tasks.clone(), Limits::default());
        watch(&tasks, serve, failed.clone());
        if let Some(ops) = ops {
            let router = Arc::new(http::ops_router(Arc::clone(&shared)));
            let serve = nsq_service::http::serve_ops(ops, router, tasks.clone(), Limits::default());
            watch(&tasks, serve, failed.clone());
        }
        let accept = accept(tcp, shared, tasks.clone());
        watch(&tasks, accept, failed);
        Ok(Self {
            tasks,
            failures,
            tcp_port,
            http_port,
        })
    }

    /// The bound port for nsqds; -1 for a Unix socket.
    #[must_use]
    pub fn tcp_port(&self) -> i32 {
        self.tcp_port
    }

    /// The bound HTTP port; -1 for a Unix socket.
    #[must_use]
    pub fn http_port(&self) -> i32 {
        self.http_port
    }
}

impl Daemon for Lookupd {
    async fn failed(&mut self) -> String {
        match self.failures.recv().await {
            Some(failure) => failure.to_string(),
            // both listeners ended because of a stop, which whoever waits here has asked for
            None => std::future::pending().await,
        }
    }

    /// Closes listeners and connections and waits for them, at most six seconds.
    async fn stop(self) -> Result<(), ()> {
        self.tasks.stop();
        let left = self.tasks.join(SHUTDOWN_LIMIT).await;
        if left > 0 {
            tracing::warn!("exiting with {left} open connections");
        }
        Ok(())
    }
}

/// Runs a listener and says so when it breaks.
fn watch(
    tasks: &Tasks,
    serving: impl Future<Output = io::Result<()>> + Send + 'static,
    failed: mpsc::Sender<Failure>,
) {
    tasks.spawn(async move {
        if let Err(error) = serving.await {
            let _ = failed.try_send(Failure::Accept(error));
        }
    });
}

async fn bind(address: &str) -> Result<Listener, Failure> {
    let bound = Listener::bind(address).await;
    bound.map_err(|source| Failure::Listen {
        address: address.to_owned(),
        source,
    })
}

async fn accept(listener: Listener, shared: Arc<Shared>, tasks: Tasks) -> io::Result<()> {
    tracing::info!("TCP: listening on {listener}");
    let mut stopping = std::pin::pin!(tasks.stopping());
    let result = loop {
        let accepted = tokio::select! {
            () = &mut stopping => break Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((_, peer)) if shared.connections.load(Ordering::Relaxed) >= MAX_CONNECTIONS => {
                tracing::warn!("TCP: closing client({peer}) - {MAX_CONNECTIONS} connections are open");
            }
            Ok((stream, peer)) => {
                tracing::info!("TCP: new client({peer})");
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let (shared, inner) = (Arc::clone(&shared), tasks.clone());
                tasks.spawn(async move {
                    tokio::select! {
                        () = session::run(stream, peer, &shared) => {}
                        () = inner.stopping() => {}
                    }
                    shared.connections.fetch_sub(1, Ordering::Relaxed);
                });
            }
            Err(error) if is_temporary(&error) => {
                tracing::warn!("TCP: temporary accept failure - {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Err(error) => break Err(error),
        }
    };
    tracing::info!("TCP: closing {listener}");
    result
}
