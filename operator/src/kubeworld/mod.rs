//! Kubernetes: clusters as objects of an API server. Source: operator spec 5.
//!
//! | part | owns |
//! |---|---|
//! | `child`, `trim`, `store`, `watches`, `foreign` | what is known of the API server's objects, by cluster |
//! | `queue`, `runner` | which cluster gets a pass when |
//! | `world`, `observe`, `resolve`, `apis`, `slots` | what a pass sees |
//! | `apply`, `requests`, `deletes`, `status`, `writer`, `problem`, `memory` | what a pass does, and what it remembers for the next one |
//! | `lease` | who may do anything |
//! | `definitions` | whether our kinds are installed, and as this release knows them |
//! | `survey` | what an API server is like before an install |
//! | `client`, `serve`, `metrics`, `log`, `options` | the process around it |
//!
//! It decides nothing about nodes: that is [`plan`](crate::plan). Nothing is written but through `writer`.

mod apis;
mod apply;
mod child;
mod client;
mod definitions;
mod deletes;
mod foreign;
mod lease;
mod log;
mod memory;
mod metrics;
mod observe;
mod options;
mod orphans;
mod problem;
mod queue;
mod requests;
mod resolve;
mod runner;
mod serve;
mod slots;
mod status;
mod store;
pub mod survey;
mod trim;
mod watches;
mod world;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use kube::{Client, Config};
use nsq_service::clock::{Clock, SystemClock};
use nsq_service::listen::Listener;
use nsq_service::signals::Signals;
use nsq_service::tasks::Tasks;
use tokio::sync::{mpsc, watch};

pub use options::Options;

use crate::daemon::HttpDaemons;
use apis::OptionalApis;
use lease::{Election, Leadership};
use metrics::Metrics;
use resolve::Surroundings;
use runner::Runner;
use serve::{Health, Loop, State};
use slots::Slots;
use store::Store;
use watches::Watcher;
use world::Shared;
use writer::Writer;

/// Exit code after the lease was lost.
const LOST: u8 = 5;
/// Changed clusters that wait to be queued; more hold the watches back.
const CHANGES: usize = 1024;
/// Time between steps of a lease that does not exist.
const BEAT: Duration = Duration::from_secs(10);
/// Time the last tasks get.
const JOIN: Duration = Duration::from_secs(2);

/// What `main` read from the process's surroundings.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Name of the pod, or of the machine.
    pub host: String,
}

/// Runs the operator until a signal or the loss of the lease ends it; yields the exit code.
///
/// # Errors
/// It cannot start; the text says why.
pub async fn run(options: &Options, identity: &Identity) -> Result<u8, String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    log::start(options.log_format, options.log_level, Arc::clone(&clock));
    let metrics = Metrics::new().map_err(|error| error.to_string())?;
    let (client, config) = client::connect(&metrics).await?;
    let tasks = Tasks::new();
    let health = Arc::new(Health::new(Arc::clone(&clock), metrics.clone()));
    let listener = Listener::bind(&options.http_address).await.map_err(|error| {
        format!(
            "cannot listen on --http-address {}: {error}",
            options.http_address
        )
    })?;
    tracing::info!(
        "nsq-operator {} listening on {listener}",
        env!("CARGO_PKG_VERSION")
    );
    serve::start(listener, Arc::clone(&health), &tasks);
    let mut signals = Signals::install().map_err(|error| format!("cannot catch signals: {error}"))?;
    let stop = watch::Sender::new(false);
    let process = Process {
        options: options.clone(),
        clock,
        metrics,
        client,
        config,
        health,
        me: me(identity),
    };
    let working = process.lead(stop.subscribe());
    tokio::pin!(working);
    let code = tokio::select! {
        code = &mut working => code,
        _ = signals.next() => {
            tracing::info!("asked to end");
            stop.send_replace(true);
            working.await
        }
    };
    tasks.stop();
    tasks.join(JOIN).await;
    Ok(code)
}

/// One process among those that may lead: host and something no other process has.
fn me(identity: &Identity) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let host = if identity.host.is_empty() {
        "nsq-operator"
    } else {
        &identity.host
    };
    format!("{host}_{:08x}", RandomState::new().hash_one(host) >> 32)
}

struct Process {
    options: Options,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    client: Client,
    config: Config,
    health: Arc<Health>,
    me: String,
}

impl Process {
    /// Waits for the lease and works as long as it lasts.
    async fn lead(&self, mut stop: watch::Receiver<bool>) -> u8 {
        let options = &self.options;
        let namespace = options
            .lease_namespace
            .as_ref()
            .unwrap_or(&self.config.default_namespace);
        if !options.leader_elect {
            let leadership = Leadership::alone(Arc::clone(&self.clock));
            let beat = Beat::start(&self.health);
            self.work(leadership, stop).await;
            drop(beat);
            return 0;
        }
        let leadership = Leadership::candidate(Arc::clone(&self.clock));
        let mut election = Election::new(
            self.client.clone(),
            namespace,
            &options.lease_name,
            &self.me,
            leadership.clone(),
        );
        self.health.set(State::Candidate);
        tracing::info!(
            "waiting for the lease {namespace}/{} as {}",
            options.lease_name,
            self.me
        );
        let both = || {
            self.health.step(Loop::Lease);
            self.health.step(Loop::Passes);
        };
        tokio::select! {
            () = election.win(both) => {}
            _ = stop.wait_for(|stop| *stop) => return 0,
        }
        tracing::info!("leading");
        // The passes end first, so that the lease is free only when nothing is written any more.
        let (done, mut released) = watch::channel(false);
        let held = election.hold(&mut released, || self.health.step(Loop::Lease));
        let working = async {
            self.work(leadership, stop).await;
            done.send_replace(true);
            std::future::pending::<()>().await;
        };
        let lost = tokio::select! {
            held = held => held,
            () = working => Ok(()),
        };
        match lost {
            Ok(()) => 0,
            Err(why) => {
                tracing::error!("no longer leading: {why}");
                LOST
            }
        }
    }

    /// Watches, and runs passes until `stop` says so.
    async fn work(&self, leadership: Leadership, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = definitions::installed(&self.client, &self.health) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let namespaces = self.options.namespaces();
        let sources = watches::sources(&namespaces);
        let store = Arc::new(Store::new(sources.clone()));
        self.health.set(State::Leading(Arc::clone(&store)));
        let (changed, changes) = mpsc::channel(CHANGES);
        let watcher = Watcher {
            store: Arc::clone(&store),
            changed,
            metrics: self.metrics.clone(),
            selector: self.options.selector.clone(),
            turn: Arc::default(),
        };
        let watching = watcher.start(&self.client, sources);
        let runner = Runner::new(&self.options, Arc::new(self.shared(store, leadership)));
        let comparing = async {
            // They belong to no namespace: whoever may look at some namespaces alone may not look at them.
            if namespaces.is_empty() {
                definitions::compare(&self.client, &self.metrics).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = runner.run(changes, stop, &self.health) => {}
            () = comparing => {}
        }
        drop(watching);
    }

    fn shared(&self, store: Arc<Store>, leadership: Leadership) -> Shared<HttpDaemons> {
        // Outside of a cluster there is no namespace to let in.
        let own = || self.config.default_namespace.clone();
        let inside = std::path::Path::new("/var/run/secrets/kubernetes.io/serviceaccount").exists();
        let operator_namespace = self
            .options
            .operator_namespace
            .clone()
            .or_else(|| inside.then(own));
        Shared {
            writer: Writer::new(self.client.clone(), leadership, &self.me, self.metrics.clone()),
            store,
            daemons: HttpDaemons::with_timeout(self.options.daemon_timeout),
            around: Surroundings {
                default_image: self.options.default_image.clone(),
                operator_namespace: operator_namespace.filter(|namespace| !namespace.is_empty()),
            },
            apis: OptionalApis::new(self.client.clone(), Arc::clone(&self.clock)),
            slots: Slots::new(usize::from(self.options.max_rollouts)),
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
        }
    }
}

/// Without an election nothing renews a lease: the step is made by a timer.
struct Beat(tokio::task::JoinSet<()>);

impl Beat {
    fn start(health: &Arc<Health>) -> Self {
        let health = Arc::clone(health);
        let mut beat = tokio::task::JoinSet::new();
        beat.spawn(async move {
            loop {
                health.step(Loop::Lease);
                tokio::time::sleep(BEAT).await;
            }
        });
        Self(beat)
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.0.abort_all();
    }
}
