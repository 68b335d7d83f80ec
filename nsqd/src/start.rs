//! The start of a daemon: options, lock, listeners, data, then everything that serves. And its end.

use crate::auth::AuthServers;
use crate::broker::Broker;
use crate::lifecycle::Lifecycle;
use crate::lookup::Lookup;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::session::Security;
use crate::{evacuation, http, join, server, statsd};
use nsq_http_api::client::{Client, Tls};
use nsq_protocol::v1::PeerInfo;
use nsq_service::build_info;
use nsq_service::clock::Clock;
use nsq_service::flags::{Value, Values};
use nsq_service::listen::Listener;
use nsq_service::metrics::{Endpoint, HttpMetrics};
use nsq_service::program::Daemon;
use nsq_service::tasks::Tasks;
use nsq_service::tls::{ClientTls, ServerTls};
use nsq_storage::{Disk, Lock, os_text};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

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
    failures: mpsc::Receiver<String>,
    _data_path: Lock,
}

/// The bound listeners.
struct Bound {
    tcp: Listener,
    http: Option<Listener>,
    https: Option<Listener>,
    ops: Option<Listener>,
    tls: Option<Arc<ServerTls>>,
    /// For what this nsqd asks of others over https.
    outgoing: Arc<ClientTls>,
}

async fn bind(address: &str) -> Result<Listener, String> {
    Listener::bind(address)
        .await
        .map_err(|e| format!("listen ({address}) failed - {}", os_text(&e)))
}

async fn bind_if_wanted(address: &str) -> Result<Option<Listener>, String> {
    if address.is_empty() {
        return Ok(None);
    }
    bind(address).await.map(Some)
}

impl Bound {
    async fn new(options: &Options) -> Result<Self, String> {
        let tls = match options.tls.clone().map(ServerTls::load) {
            None => None,
            Some(loaded) => Some(loaded.map_err(|why| format!("failed to build TLS config - {why}"))?),
        };
        let outgoing = ClientTls::load(options.tls_root_ca.clone(), options.tls_min_version)
            .map_err(|why| format!("failed to build client TLS config - {why}"))?;
        let tcp = bind(&options.tcp_address).await?;
        let http = bind_if_wanted(&options.http_address).await?;
        let https = match &tls {
            Some(_) => bind_if_wanted(&options.https_address).await?,
            None => None,
        };
        let ops = bind_if_wanted(&options.ops_address).await?;
        Ok(Self {
            tcp,
            http,
            https,
            ops,
            tls,
            outgoing,
        })
    }

    fn identity(&self, options: &Options) -> PeerInfo {
        let or_real = |set: i64, real: i32| if set == 0 { i64::from(real.max(0)) } else { set };
        PeerInfo {
            broadcast_address: options.broadcast_address.clone(),
            hostname: build_info::hostname(),
            http_port: or_real(
                options.broadcast_http_port,
                self.http.as_ref().map_or(0, Listener::port),
            ),
            tcp_port: or_real(options.broadcast_tcp_port, self.tcp.port()),
            topology_region: options.topology_region.clone(),
            topology_zone: options.topology_zone.clone(),
            version: build_info::VERSION.to_owned(),
        }
    }
}

impl Nsqd {
    /// Locks the data path, binds, opens what is there and serves. `values` are what the options were made of.
    ///
    /// # Errors
    /// The text of the start-up failure, as the last line of the log shows it.
    pub async fn start(values: Values, env: Env) -> Result<Self, String> {
        let (options, lock, bound) = prepare(&values, &*env.disk)
            .await
            .map_err(|text| format!("failed to instantiate nsqd - {text}"))?;
        let identity = bound.identity(&options);
        let addresses = options.lookupd_tcp_addresses.clone();
        let tasks = Tasks::new();
        let broker = Broker::open(options, env.disk, env.clock, tasks.clone()).await?;
        let http_client = http_client(&broker.options, bound.outgoing.clone());
        let outgoing = http_client.clone();
        let lookup = Lookup::start(&broker, identity.clone(), addresses, http_client);
        broker.set_channel_source(lookup.clone());
        let now_ms = broker.engine.clock.unix_nanos() / 1_000_000;
        let lifecycle = Arc::new(Lifecycle::new(broker.clone(), now_ms));
        begin_join(&broker, &lookup, &lifecycle, now_ms);
        let moving = evacuation::sender::run(lifecycle.clone(), broker.clone(), outgoing);
        tasks.spawn(moving);
        // One place for each listener, so that saying so never waits.
        let (failed, failures) = mpsc::channel(4);
        let mut shown = values;
        shown.set("broadcast_tcp_port", Value::Int(identity.tcp_port));
        shown.set("broadcast_http_port", Value::Int(identity.http_port));
        let prefix = statsd::prefix(
            shown.string("statsd-prefix"),
            &identity.broadcast_address,
            identity.http_port,
        );
        shown.set("statsd_prefix", Value::String(prefix.clone()));
        if let Some(settings) = broker.options.statsd.clone() {
            tasks.spawn(statsd::push(broker.clone(), settings, prefix));
        }
        let facts = http::Facts {
            hostname: identity.hostname,
            http_port: bound.http.as_ref().map_or(0, Listener::port),
            tcp_port: bound.tcp.port(),
            start_time: now_ms / 1000,
        };
        let values = parking_lot::Mutex::new(shown);
        let metrics = Metrics {
            broker: broker.clone(),
            lifecycle: lifecycle.clone(),
            lookup: lookup.clone(),
            http: http_metrics().map_err(|e| format!("failed to set up metrics - {e}"))?,
            tls: bound.tls.clone(),
            outgoing: bound.outgoing.clone(),
            start_time: facts.start_time,
            endpoint: Endpoint::default(),
        };
        let state = http::State {
            broker: broker.clone(),
            values,
            lookup,
            lifecycle,
            metrics,
            facts,
        };
        serve(bound, state, &failed);
        Ok(Self {
            broker,
            tasks,
            failures,
            _data_path: lock,
        })
    }
}

impl Daemon for Nsqd {
    async fn failed(&mut self) -> String {
        match self.failures.recv().await {
            Some(text) => text,
            None => std::future::pending().await,
        }
    }

    /// Connections are closed, everything in memory is written.
    async fn stop(self) -> Result<(), ()> {
        tracing::info!("NSQ: stopping");
        self.tasks.stop();
        for client in self.broker.clients() {
            client.close();
        }
        let left = self.tasks.join(STOP_LIMIT).await;
        if left > 0 {
            tracing::warn!("{left} tasks did not end in time");
        }
        let closed = self.broker.close().await;
        if let Err(error) = &closed {
            tracing::error!("failed to write everything before the end - {}", os_text(error));
        }
        tracing::info!("NSQ: bye");
        closed.map_err(|_| ())
    }
}

/// What comes before the data are read: checks the options, locks the data path and binds.
async fn prepare(values: &Values, disk: &dyn Disk) -> Result<(Options, Lock, Bound), String> {
    let options = Options::try_from(values)?;
    let lock = disk
        .lock_dir(&options.data_path)
        .map_err(|e| format!("failed to lock data-path: {e}"))?;
    let bound = Bound::new(&options).await?;
    Ok((options, lock, bound))
}

/// Requests by path, code and time.
fn http_metrics() -> Result<Arc<HttpMetrics>, String> {
    let counted = HttpMetrics::new("nsqd", "path").and_then(|counted| counted.timed("nsqd", "path"));
    counted.map(Arc::new).map_err(|e| e.to_string())
}

fn begin_join(broker: &Arc<Broker>, lookup: &Arc<Lookup>, lifecycle: &Arc<Lifecycle>, now_ms: i64) {
    let timeout = broker.options.join_timeout;
    if timeout.is_zero() || lookup.addresses().is_empty() || !broker.topics().is_empty() {
        return;
    }
    let deadline = now_ms.saturating_add(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
    lifecycle.begin_joining(deadline, now_ms);
    let joining = join::join(broker.clone(), lookup.clone(), lifecycle.clone(), timeout);
    let tasks = broker.engine.tasks.clone();
    broker.engine.tasks.spawn(async move {
        tokio::select! {
            () = joining => {}
            () = tasks.stopping() => {}
        }
    });
}

/// Asks others over HTTP, and over https where they want that.
fn http_client(options: &Options, tls: Arc<ClientTls>) -> Client {
    Client {
        connect_timeout: options.http_client_connect_timeout,
        request_timeout: options.http_client_request_timeout,
        tls: Some(Tls::new(move || tls.config())),
        ..Client::default()
    }
}

/// Serves all listeners; whichever breaks says so.
fn serve(bound: Bound, state: http::State, failed: &mpsc::Sender<String>) {
    let broker = state.broker.clone();
    let tasks = broker.engine.tasks.clone();
    // Clients were let in by the system since the bind; from here on they are served.
    tracing::info!("TCP: listening on {}", bound.tcp);
    let state = Arc::new(state);
    let limits = nsq_service::http::Limits::default();
    if let Some(listener) = bound.ops {
        let router = Arc::new(http::ops_router(state.clone()));
        let serving = nsq_service::http::serve_ops(listener, router, tasks.clone(), limits);
        tasks.spawn(watch("ops listener failed", serving, failed.clone()));
    }
    if let Some(listener) = bound.http {
        let https_port = bound.https.as_ref().map_or(0, Listener::port);
        let router = http::router_in_clear(state.clone(), https_port);
        let serving = nsq_service::http::serve(listener, Arc::new(router), tasks.clone(), limits);
        tasks.spawn(watch("http listener failed", serving, failed.clone()));
    }
    if let Some(tls) = &bound.tls {
        if broker.options.tls_version_raised {
            tracing::warn!(
                "TLS: the oldest version that is spoken is 1.2; --tls-min-version is raised to it"
            );
        }
        tasks.spawn(tls.clone().watch(tasks.clone()));
    }
    if let (Some(listener), Some(tls)) = (bound.https, &bound.tls) {
        let router = Arc::new(http::router(state));
        let serving = nsq_service::http::serve_tls(listener, tls.clone(), router, tasks.clone(), limits);
        tasks.spawn(watch("https listener failed", serving, failed.clone()));
    }
    let security = Arc::new(Security {
        auth: auth_servers(&broker, bound.outgoing),
        tls: bound.tls,
    });
    let accepting = server::accept(broker, security, bound.tcp);
    tasks.spawn(watch("listener.Accept()", accepting, failed.clone()));
}

/// The auth servers, if there are any.
fn auth_servers(broker: &Broker, tls: Arc<ClientTls>) -> Option<AuthServers> {
    let options = &broker.options;
    let addresses = options.auth_http_addresses.clone();
    let client = http_client(options, tls);
    // Which one is asked first differs from start to start.
    let start = broker.engine.clock.unix_nanos().unsigned_abs() / 1000;
    let start = usize::try_from(start).unwrap_or(0);
    (!addresses.is_empty()).then(|| {
        AuthServers::new(
            addresses,
            options.auth_by,
            client,
            start,
            broker.engine.counters.clone(),
        )
    })
}

async fn watch(
    what: &'static str,
    serving: impl Future<Output = std::io::Result<()>>,
    failed: mpsc::Sender<String>,
) {
    if let Err(error) = serving.await {
        // Full: somebody said so before.
        let _ = failed.try_send(format!("{what} - {error}"));
    }
}
