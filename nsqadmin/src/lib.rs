//! nsqadmin: a look at the whole cluster for people and scripts.
//!
//! | module | owns | refuses to know |
//! |---|---|---|
//! | [`program`] | the process: flags, signals, exit code | everything else |
//! | [`options`] | flag table, [`Options`] | |
//! | `metrics` | what is counted, and the page that shows it | |
//! | `router` | every path, in one table | what stands behind them |
//! | `upstream` | asks nsqlookupds and nsqds in parallel, bounded; unreachable is a value | what the answers mean |
//! | `board` | the task that asks the cluster again and again, and what pages are made of | HTML |
//! | `model` | answers as one picture, what is wrong in it, what it was. Pure | HTTP, HTML, the clock |
//! | `fmt` | numbers as people read them. Pure | what they count |
//! | `api` | the reference's JSON API, its actions and `/config` | HTML |
//! | `access` | who may act | what an action does |
//! | `action` | what can be done, and how it is protected. Pure | how it is done |
//! | `handling` | the same of messages that wait. Pure | how it is done |
//! | `perform` | does it, upstream by upstream | forms and JSON |
//! | `audit` | what was done, by whom, and what became of it | |
//! | `notify` | tells another service about actions, one at a time | |
//! | `web` | pages: view models, templates, forms, assets, headers | how upstreams are asked |
//!
//! Invariants: rendering does no I/O; what a node did not say is shown as unknown, never as 0; text from outside
//! reaches a page only through the templates' escaping.

mod access;
mod action;
mod api;
mod audit;
mod board;
mod fmt;
mod handling;
mod metrics;
mod model;
mod notify;
pub mod options;
mod perform;
pub mod program;
mod router;
mod upstream;
mod web;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use access::{Access, Basic};
use audit::{Audit, Sink};
use board::Board;
use ipnet::IpNet;
use metrics::Metrics;
use notify::Notifier;
use nsq_http_api::client::Client;
use nsq_service::clock::Clock;
use nsq_service::flags::Values;
use nsq_service::http::Limits;
use nsq_service::listen::Listener;
use nsq_service::program::Daemon;
use nsq_service::tasks::Tasks;
use nsq_service::tls::ServerTls;
pub use options::{Options, Sources};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use upstream::Upstream;

/// Longest wait for connections at the end. Requests in progress get 5 s of it.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(6);

/// What all endpoints share.
struct Shared {
    upstream: Arc<Upstream>,
    board: Board,
    live: web::Live,
    /// For streams, which live as long as somebody looks.
    tasks: Tasks,
    metrics: Arc<Metrics>,
    notifier: Option<Notifier>,
    access: Access,
    basic: Option<Basic>,
    audit: Audit,
    can_publish: bool,
    static_dir: Option<std::path::PathBuf>,
    config_from: Option<IpNet>,
    graphite: api::Graphite,
    values: Mutex<Values>,
    base_path: String,
    cluster_name: String,
    cluster_colour: &'static str,
    dashboard_url: String,
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
    /// The file of logins cannot be used.
    #[error("failed to read --basic-auth-file ({path}) - {why}")]
    Logins {
        /// The configured file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate or the key cannot be used.
    #[error("failed to build TLS config - {0}")]
    Tls(String),
    /// The file of the audit cannot be opened.
    #[error("failed to open --audit-log-file ({path}) - {source}")]
    Audit {
        /// The configured file.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The metrics have names that cannot be shown.
    #[error("failed to set up metrics - {0}")]
    Metrics(String),
}

/// A running nsqadmin.
pub struct Admin {
    tasks: Tasks,
    failed: mpsc::Receiver<Failure>,
    http_port: i32,
    https_port: i32,
}

impl Admin {
    /// Binds the listener and serves it. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`Failure::Listen`].
    pub async fn start(options: Options, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let listener = bind(&options.http_address).await?;
        let http_port = listener.port();
        let ops = match options.ops_address.as_str() {
            "" => None,
            address => Some(bind(address).await?),
        };
        let https = match options.https {
            None => None,
            Some((address, settings)) => {
                let tls = ServerTls::load(settings).map_err(Failure::Tls)?;
                Some((bind(&address).await?, tls))
            }
        };
        let started = clock.unix_nanos();
        let metrics = Arc::new(Metrics::new(started / 1_000_000_000).map_err(Failure::Metrics)?);
        let client = Client {
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
            max_body: upstream::MAX_ANSWER,
            tls: Some(options.tls),
        };
        let tasks = Tasks::new();
        let notifier = options
            .notify
            .map(|target| Notifier::start(target, client.clone(), Arc::clone(&clock), &tasks));
        let upstream = Upstream::new(options.sources, client, Arc::clone(&clock), Arc::clone(&metrics));
        let upstream = Arc::new(upstream);
        let basic = match options.basic_file {
            None => None,
            Some(path) => {
                let loading = Basic::load(path.clone(), Arc::clone(&clock), tasks.clone());
                let loaded = loading.await;
                Some(loaded.map_err(|why| Failure::Logins {
                    path: path.display().to_string(),
                    why,
                })?)
            }
        };
        if options.access.has_members() && options.access.trusts_all() {
            tracing::warn!(
                "ACCESS: roles are given by headers, and everybody who reaches this port can set them: name the proxies with \
                 --trusted-proxy-cidr"
            );
        }
        let live = web::Live::new(options.max_streams, started);
        let audit_file = Sink::of(&options.audit_file);
        if let Some(file) = &audit_file {
            // an empty write, so that a path that leads nowhere prevents the start
            let opened = file.write(b"").await;
            opened.map_err(|source| Failure::Audit {
                path: options.audit_file.clone(),
                source,
            })?;
        }
        let audit = Audit::new(
            audit_file,
            live.boot().to_owned(),
            Arc::clone(&clock),
            Arc::clone(&metrics),
        );
        let board = Board::start(&options.polling, Arc::clone(&upstream), clock, &tasks);
        let shared = Arc::new(Shared {
            upstream,
            board,
            live,
            tasks: tasks.clone(),
            metrics,
            notifier,
            access: options.access,
            basic,
            audit,
            static_dir: options.static_dir,
            can_publish: options.can_publish,
            config_from: options.config_from,
            graphite: api::Graphite {
                url: options.graphite_url,
                interval: options.statsd_interval.as_secs(),
                is_proxied: options.is_graphite_proxied,
            },
            values: Mutex::new(options.values),
            base_path: options.base_path,
            cluster_name: options.cluster_name,
            cluster_colour: options.cluster_colour,
            dashboard_url: options.dashboard_url,
        });
        // one slot per listener, so that sending never waits
        let (tell, failed) = mpsc::channel(3);
        let router = Arc::new(router::router(Arc::clone(&shared)));
        let https_port = https.as_ref().map_or(0, |(listener, _)| listener.port());
        if let Some((listener, tls)) = https {
            tasks.spawn(Arc::clone(&tls).watch(tasks.clone()));
            let router = Arc::clone(&router);
            let serve = nsq_service::http::serve_tls(listener, tls, router, tasks.clone(), Limits::default());
            watch(&tasks, serve, tell.clone());
        }
        let serve = nsq_service::http::serve(listener, router, tasks.clone(), Limits::default());
        watch(&tasks, serve, tell.clone());
        if let Some(ops) = ops {
            let router = Arc::new(router::ops_router(shared));
            let serve = nsq_service::http::serve_ops(ops, router, tasks.clone(), Limits::default());
            watch(&tasks, serve, tell);
        }
        Ok(Self {
            tasks,
            failed,
            http_port,
            https_port,
        })
    }

    /// The bound port; -1 for a Unix socket.
    #[must_use]
    pub fn http_port(&self) -> i32 {
        self.http_port
    }

    /// The bound port of HTTPS; 0 without one.
    #[must_use]
    pub fn https_port(&self) -> i32 {
        self.https_port
    }
}

/// Runs a listener and says so when it breaks.
fn watch(
    tasks: &Tasks,
    serving: impl Future<Output = io::Result<()>> + Send + 'static,
    tell: mpsc::Sender<Failure>,
) {
    tasks.spawn(async move {
        if let Err(error) = serving.await {
            let _ = tell.try_send(Failure::Accept(error));
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

impl Daemon for Admin {
    async fn failed(&mut self) -> String {
        match self.failed.recv().await {
            Some(failure) => failure.to_string(),
            // the listeners ended because of a stop, which whoever waits here has asked for
            None => std::future::pending().await,
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
