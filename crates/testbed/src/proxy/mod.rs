//! A proxy between an operator and the API server that does harm on request, and keeps what was asked.
//!
//! The operator reaches it over plain HTTP on loopback; the proxy holds the credentials. What it should do to a call is a
//! closure over the [`Call`], so that a test says in Rust which verb, resource, name and number it means.

mod call;
mod forward;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub use call::Call;
use forward::Upstream;

use crate::{BOUND, Cluster};

/// Calls that are kept; a test that makes more asks too much.
const KEPT: usize = 200_000;

/// What happens to a call that is not simply forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this code.
    Answer(u16),
    /// It is answered with 429 and `Retry-After` of so many seconds.
    Throttle(u32),
    /// A watch begins with the news that its version is too old.
    Gone,
    /// It is forwarded so much later.
    Delay(Duration),
    /// The connection ends before the server hears of it.
    CutBefore,
    /// The connection ends when the server has done it and before the client hears of that.
    CutAfter,
    /// The server never hears of it, nor of anything later, until [`Proxy::thaw`].
    FreezeBefore,
    /// The server does it, the client never hears of that, and nothing later gets through until [`Proxy::thaw`].
    FreezeAfter,
}

/// A call and what came of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The call.
    pub call: Call,
    /// What it was answered with; none without an answer.
    pub code: Option<u16>,
    /// The server heard of it.
    pub forwarded: bool,
}

impl Seen {
    /// The server changed something because of it, or at least said that it was fine.
    #[must_use]
    pub fn wrote(&self) -> bool {
        self.forwarded && self.call.is_write() && self.code.is_some_and(|code| code < 300)
    }
}

type Decide = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    decide: Option<Decide>,
    seen: Vec<Seen>,
}

/// What connections and watches wait for.
#[derive(Clone, Debug, Default)]
struct Gates {
    /// Watches that began under another number are cut.
    dropped: u64,
    /// Watches are cut again and again.
    breaking: bool,
    /// Watches of these resources show nothing new.
    held: BTreeSet<String>,
    /// No call gets through.
    frozen: bool,
    /// The call that froze the rest has got as far as it should.
    reached: bool,
    /// Every connection is closed at once.
    away: bool,
}

struct Shared {
    upstream: Upstream,
    state: Mutex<State>,
    gates: watch::Sender<Gates>,
    began: Instant,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a call and says what happens to it.
    fn decide(&self, call: Call) -> (usize, Option<Fault>) {
        let mut state = self.state();
        let fault = state.decide.as_mut().and_then(|decide| decide(&call));
        assert!(state.seen.len() < KEPT, "more than {KEPT} calls");
        state.seen.push(Seen {
            call,
            code: None,
            forwarded: false,
        });
        (state.seen.len() - 1, fault)
    }

    fn answered(&self, number: usize, code: u16, forwarded: bool) {
        if let Some(seen) = self.state().seen.get_mut(number) {
            seen.code = Some(code);
            seen.forwarded = forwarded;
        }
    }
}

/// A running proxy. It ends with the test.
pub struct Proxy {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    _folder: tempfile::TempDir,
    runtime: Runtime,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").finish_non_exhaustive()
    }
}

impl Proxy {
    /// One in front of the cluster's API server that speaks as its administrator.
    #[must_use]
    pub fn start(cluster: &Cluster) -> Self {
        Self::start_as(cluster, cluster.kubeconfig())
    }

    /// One that speaks as the user of a kubeconfig.
    #[must_use]
    pub fn start_as(cluster: &Cluster, kubeconfig: &Path) -> Self {
        let upstream = Upstream::of(kubeconfig, &cluster.authority());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::default(),
            gates: watch::Sender::new(Gates::default()),
            began: Instant::now(),
        });
        runtime.spawn(forward::accept(listener, Arc::clone(&shared)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, config(address)).unwrap();
        Self {
            shared,
            kubeconfig: path,
            _folder: folder,
            runtime,
        }
    }

    /// For the operator.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What happens to calls from now on, instead of what happened to them before.
    pub fn fault(&self, decide: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        self.shared.state().decide = Some(Box::new(decide));
    }

    /// Calls are forwarded from now on.
    pub fn heal(&self) {
        self.shared.state().decide = None;
        self.shared.gates.send_modify(|gates| {
            gates.held.clear();
            gates.breaking = false;
            gates.away = false;
        });
    }

    /// Ends every watch as a lost connection does.
    pub fn drop_watches(&self) {
        self.shared.gates.send_modify(|gates| gates.dropped += 1);
    }

    /// The same again and again, until [`heal`](Self::heal).
    pub fn drop_watches_every(&self, period: Duration) {
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move {
            loop {
                tokio::time::sleep(period).await;
                if shared.gates.borrow().breaking {
                    shared.gates.send_modify(|gates| gates.dropped += 1);
                }
            }
        });
        self.shared.gates.send_modify(|gates| gates.breaking = true);
    }

    /// Watches of a resource show nothing that happens from now on, until [`heal`](Self::heal).
    pub fn hold_watches(&self, resource: &str) {
        self.shared.gates.send_modify(|gates| {
            gates.held.insert(resource.to_owned());
        });
    }

    /// There is no API server any more until [`heal`](Self::heal): what is open is cut, what comes is closed at once.
    pub fn go_away(&self) {
        self.shared.gates.send_modify(|gates| {
            gates.away = true;
            gates.dropped += 1;
        });
    }

    /// Waits until a call that freezes has got as far as it should. False when `done` came true before that.
    #[track_caller]
    pub fn await_frozen_or(&self, mut done: impl FnMut() -> bool) -> bool {
        let mut frozen = false;
        nsq_testkit::eventually(BOUND, || {
            frozen = self.shared.gates.borrow().reached;
            frozen || done()
        });
        frozen
    }

    /// Calls get through again, those of before never do.
    pub fn thaw(&self) {
        self.shared.gates.send_modify(|gates| {
            gates.frozen = false;
            gates.reached = false;
        });
    }

    /// Every call so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// Every change so far that the server accepted, without the renewals of a lease.
    #[must_use]
    pub fn writes(&self) -> Vec<Call> {
        let state = self.shared.state();
        let wrote = state.seen.iter().filter(|seen| seen.wrote());
        wrote
            .map(|seen| seen.call.clone())
            .filter(|call| !call.is_lease())
            .collect()
    }

    /// What the server has at a path now: an object, a list or a refusal. It is not a call that was seen.
    #[must_use]
    pub fn read(&self, path: &str) -> Value {
        let read = self.shared.upstream.read(path);
        self.runtime.block_on(read).unwrap()
    }

    /// Time since the start, as it stands in calls.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.began.elapsed()
    }
}

/// A kubeconfig without credentials.
fn config(address: SocketAddr) -> String {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody", "namespace": "default"}}],
    })
    .to_string()
}
