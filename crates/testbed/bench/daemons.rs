//! Every nsqd and nsqlookupd, answered by one process: which one is asked shows in the local address of the connection.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::clusters::Key;

/// Ports of the HTTP APIs of nsqd and nsqlookupd.
const PORTS: [u16; 2] = [4151, 4161];
/// Queues of a busy node. The operator shows the first five.
const QUEUES: usize = 20;

/// Daemons of a cluster.
type Addresses = BTreeMap<Ipv4Addr, Arc<Daemon>>;

/// What a daemon is and how far it is.
struct Daemon {
    cluster: Key,
    /// The name it announces; none for nsqlookupd.
    host: Option<String>,
    state: Mutex<State>,
}

struct State {
    lookupds: Value,
    log_level: Value,
    /// What it was told when its drain began, and when it has been empty since.
    draining: Option<(Value, i64)>,
    empty_since: Option<Instant>,
}

/// All daemons.
#[derive(Default)]
pub(crate) struct Daemons {
    by_address: Mutex<HashMap<Ipv4Addr, Arc<Daemon>>>,
    by_cluster: Mutex<HashMap<Key, Addresses>>,
    /// Nodes that are emptied have messages that nobody takes.
    busy: AtomicBool,
}

impl Daemons {
    /// Starts answering.
    pub(crate) fn start(runtime: &Runtime) -> Arc<Self> {
        let daemons = Arc::new(Self::default());
        for port in PORTS {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            let listener = runtime
                .block_on(TcpListener::bind(address))
                .unwrap_or_else(|error| panic!("{address}: {error}; run: cargo xtask scale"));
            runtime.spawn(serve(Arc::clone(&daemons), listener));
        }
        daemons
    }

    /// A daemon began: an nsqd with the name it announces, or an nsqlookupd.
    pub(crate) fn begin(&self, at: Ipv4Addr, cluster: Key, host: Option<String>, lookupds: Value) {
        let daemon = Arc::new(Daemon {
            cluster: cluster.clone(),
            host,
            state: Mutex::new(State {
                lookupds,
                log_level: level(b"info"),
                draining: None,
                empty_since: None,
            }),
        });
        self.by_address.lock().insert(at, Arc::clone(&daemon));
        self.by_cluster
            .lock()
            .entry(cluster)
            .or_default()
            .insert(at, daemon);
    }

    /// A daemon ended.
    pub(crate) fn end(&self, at: Ipv4Addr) {
        let Some(daemon) = self.by_address.lock().remove(&at) else {
            return;
        };
        if let Some(others) = self.by_cluster.lock().get_mut(&daemon.cluster) {
            others.remove(&at);
        }
    }

    /// Whether nodes that are emptied have messages that nobody takes.
    pub(crate) fn busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// `/nodes` of a registry: the nodes of its cluster that were told to register.
    fn nodes(&self, registry: &Daemon) -> Value {
        let by_cluster = self.by_cluster.lock();
        let all = by_cluster.get(&registry.cluster).into_iter().flatten();
        let registered = all.filter_map(|(at, daemon)| {
            let host = daemon.host.as_ref()?;
            let told = daemon.state.lock().lookupds != json!([]);
            told.then(|| {
                json!({"remote_address": format!("{at}:50000"), "hostname": host, "broadcast_address": host,
                    "tcp_port": 4150, "http_port": 4151, "version": "1.3.0", "tombstones": [], "topics": []})
            })
        });
        json!({"producers": registered.collect::<Vec<Value>>()})
    }

    fn answer(&self, daemon: &Daemon, method: &Method, path: &str, body: &Bytes) -> Option<Value> {
        let put = (*method == Method::PUT).then(|| serde_json::from_slice::<Value>(body).ok());
        let mut state = daemon.state.lock();
        let Some(host) = &daemon.host else {
            drop(state);
            return (path == "/nodes").then(|| self.nodes(daemon));
        };
        match path {
            "/info" => Some(info(host, state.draining.is_some())),
            "/stats" => Some(
                json!({"version": "1.3.0", "health": "OK", "start_time": 1, "topics": [],
                "producers": null}),
            ),
            "/lifecycle" => {
                if let Some(told) = put {
                    state.tell(told?);
                }
                Some(state.lifecycle(self.busy.load(Ordering::Relaxed)))
            }
            "/config/nsqlookupd_tcp_addresses" => {
                if let Some(told) = put {
                    state.lookupds = told?;
                }
                Some(state.lookupds.clone())
            }
            "/config/log_level" => {
                if put.is_some() {
                    state.log_level = level(body);
                }
                Some(state.log_level.clone())
            }
            _ => None,
        }
    }
}

impl State {
    fn tell(&mut self, told: Value) {
        if told["phase"] == "draining" {
            let since = self.draining.as_ref().map_or_else(unix_ms, |(_, since)| *since);
            self.draining = Some((told, since));
        } else {
            self.draining = None;
            self.empty_since = None;
        }
    }

    fn lifecycle(&mut self, busy: bool) -> Value {
        let Some((told, since)) = &self.draining else {
            return json!({"phase": "active", "since_ms": 1, "join": null, "drain": null});
        };
        if busy {
            self.empty_since = None;
        }
        let empty_ms = if busy {
            0
        } else {
            self.empty_since
                .get_or_insert_with(Instant::now)
                .elapsed()
                .as_millis()
        };
        let blockers: Vec<Value> = (0..QUEUES)
            .filter(|_| busy)
            .map(|queue| {
                json!({"topic": format!("{queue}-{}", "t".repeat(60)), "channel": format!("{queue}-{}", "c".repeat(60)),
                    "reason": "no_consumers", "messages": 1_000_000, "due_ms": 0})
            })
            .collect();
        let depth = if busy { QUEUES * 1_000_000 } else { 0 };
        json!({"phase": "draining", "since_ms": since, "join": null, "drain": {
            "id": told["id"], "publishers": 0, "refused": 0, "depth": depth, "in_flight": 0, "deferred": 0,
            "message_count": 0, "empty": !busy, "empty_ms": u64::try_from(empty_ms).unwrap_or(u64::MAX),
            "evacuate": told.get("evacuate").cloned().unwrap_or("never".into()), "after_ms": 30000,
            "peers": told.get("peers").cloned().unwrap_or(json!([])), "evacuating": false, "evacuated": 0,
            "last_error": "", "blockers": blockers}})
    }
}

fn info(host: &str, draining: bool) -> Value {
    json!({"version": "1.3.0", "broadcast_address": host, "hostname": host, "http_port": 4151, "tcp_port": 4150,
        "start_time": 1, "max_heartbeat_interval": 60_000_000_000_u64, "max_output_buffer_size": 65536,
        "max_output_buffer_timeout": 30_000_000_000_u64, "max_deflate_level": 6, "topology_zone": "",
        "topology_region": "", "extensions": ["lifecycle", "evacuate", "join", "ready"],
        "phase": if draining { "draining" } else { "active" }, "release": "0.1.0"})
}

/// As nsqd shows it: the number of a name.
fn level(name: &[u8]) -> Value {
    let names: [&[u8]; 5] = [b"debug", b"info", b"warn", b"error", b"fatal"];
    let at = names.iter().position(|known| *known == name);
    at.map_or(Value::Null, |at| (at + 1).into())
}

fn unix_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

async fn serve(daemons: Arc<Daemons>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let Ok(SocketAddr::V4(here)) = stream.local_addr() else {
            continue;
        };
        let daemons = Arc::clone(&daemons);
        tokio::spawn(async move {
            let service = service_fn(|request| reply(&daemons, *here.ip(), request));
            // A client that went away is its own affair.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn reply(
    daemons: &Daemons,
    at: Ipv4Addr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let daemon = daemons.by_address.lock().get(&at).cloned();
    let path = head.uri.path();
    if daemon.is_some() && matches!(path, "/ping" | "/ready") {
        return Ok(Response::new(Full::from("OK")));
    }
    let answer = daemon.and_then(|daemon| daemons.answer(&daemon, &head.method, path, &body));
    let (status, text) = match answer {
        Some(value) => (StatusCode::OK, value.to_string()),
        None => (
            StatusCode::NOT_FOUND,
            format!("{{\"message\":\"NOT_FOUND {}\"}}", IpAddr::from(at)),
        ),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    Ok(response)
}
