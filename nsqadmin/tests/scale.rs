//! nsqadmin over a large cluster (console spec 5.5 and 8): time and bytes of pages, memory, streams. Every topic is on every node and
//! every counter counts. CI runs a small one and checks twice the budgets; the whole one is
//!
//! ```console
//! $ NSQADMIN_SCALE=100x1000x10 cargo test --release -p nsqadmin --test scale -- --nocapture
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that works with a real process and prints what it measures"
)]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nsq_service::http::{Failure, Limits, Method, Reply, Request, Route, Router, serve};
use nsq_service::listen::Listener;
use nsq_service::tasks::Tasks;
use nsq_testkit::cpu_time;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bound of every wait.
const PATIENCE: Duration = Duration::from_secs(300);

/// Digits of a counter in an answer, which are written over for each.
const DIGITS: usize = 10;

/// Nodes, topics on each, channels in each.
#[derive(Clone, Copy)]
struct Scale {
    nodes: usize,
    topics: usize,
    channels: usize,
}

impl Scale {
    fn of_environment() -> Self {
        let text = std::env::var("NSQADMIN_SCALE").unwrap_or_else(|_| "8x50x4".to_owned());
        let parts: Vec<usize> = text.split('x').map(|part| part.parse().unwrap()).collect();
        let [nodes, topics, channels] = parts[..] else {
            panic!("NSQADMIN_SCALE is <nodes>x<topics>x<channels>, not {text}");
        };
        Self {
            nodes,
            topics,
            channels,
        }
    }

    fn is_whole(self) -> bool {
        self.nodes * self.topics * self.channels >= 1_000_000
    }
}

/// What every nsqd answers: one text, with the places of its counters.
struct Template {
    text: Vec<u8>,
    counters: Vec<usize>,
}

impl Template {
    fn new(scale: Scale) -> Self {
        let (mut text, mut counters) = (String::new(), Vec::new());
        text += r#"{"version":"1.3.0","health":"OK","start_time":1700000000,"topics":["#;
        let latency = r#""e2e_processing_latency":{"count":0,"percentiles":null}"#;
        for topic in 0..scale.topics {
            let comma = if topic == 0 { "" } else { "," };
            let _ = write!(text, r#"{comma}{{"topic_name":"topic-{topic:04}","channels":["#);
            for channel in 0..scale.channels {
                let comma = if channel == 0 { "" } else { "," };
                let depth = (topic * 7 + channel) % 50;
                let _ = write!(
                    text,
                    r#"{comma}{{"channel_name":"channel-{channel:02}","depth":{depth},"backend_depth":0,"in_flight_count":2,"deferred_count":0,"message_count":"#
                );
                counters.push(text.len());
                let _ = write!(
                    text,
                    r#"{:DIGITS$},"requeue_count":0,"timeout_count":0,"client_count":2,"clients":[],"paused":false,{latency}}}"#,
                    1
                );
            }
            let _ = write!(text, r#"],"depth":0,"backend_depth":0,"message_count":"#);
            counters.push(text.len());
            let _ = write!(
                text,
                r#"{:DIGITS$},"message_bytes":0,"paused":false,{latency}}}"#,
                1
            );
        }
        text += r#"],"producers":null}"#;
        Self {
            text: text.into_bytes(),
            counters,
        }
    }

    fn at(&self, count: u64) -> Vec<u8> {
        let mut text = self.text.clone();
        for (nth, at) in self.counters.iter().enumerate() {
            // not all at the same speed
            let digits = format!("{:DIGITS$}", 1_000 + count * (nth as u64 % 5 + 1) * 40);
            text[*at..at + DIGITS].copy_from_slice(digits.as_bytes());
        }
        text
    }
}

/// What an upstream answers from.
struct Script {
    scale: Scale,
    template: Template,
    rounds: AtomicU64,
    /// For the nsqlookupd.
    nodes: String,
    port: i32,
}

async fn play(script: Arc<Script>, request: Request) -> Result<Reply, Failure> {
    let query = request.query()?;
    Ok(match (request.path(), query.get("topic")) {
        ("/stats", None) => {
            let count = script.rounds.fetch_add(1, Ordering::Relaxed);
            Reply::json_bytes(script.template.at(count))
        }
        ("/stats", Some(topic)) => {
            let clients: Vec<String> = (0..2)
                .map(|at| format!(r#"{{"client_id":"w{at}","hostname":"w{at}.example","remote_address":"10.0.0.{at}:5","ready_count":25}}"#))
                .collect();
            let channel = query.get("channel").unwrap_or_default();
            Reply::json_bytes(format!(
                r#"{{"version":"1.3.0","health":"OK","topics":[{{"topic_name":"{topic}","channels":[{{"channel_name":"{channel}","depth":5,"client_count":2,"clients":[{}]}}]}}]}}"#,
                clients.join(",")
            ))
        }
        ("/info", _) => Reply::json_bytes(format!(
            r#"{{"version":"1.3.0","hostname":"h","broadcast_address":"127.0.0.1","http_port":{},"tcp_port":4150}}"#,
            script.port
        )),
        ("/nodes", _) => Reply::json_bytes(script.nodes.clone()),
        _ => {
            let names: Vec<String> = (0..script.scale.topics)
                .map(|topic| format!(r#""topic-{topic:04}""#))
                .collect();
            Reply::json_bytes(format!(r#"{{"topics":[{}]}}"#, names.join(",")))
        }
    })
}

async fn upstream(scale: Scale, template: Template, nodes: String, tasks: &Tasks) -> String {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.port();
    let script = Arc::new(Script {
        scale,
        template,
        rounds: AtomicU64::new(0),
        nodes,
        port,
    });
    let router = Router::new(script).route(Route::v1(Method::GET, "/*path", play).not_logged());
    let server = serve(listener, Arc::new(router), tasks.clone(), Limits::default());
    tasks.spawn(async move { server.await.unwrap() });
    format!("127.0.0.1:{port}")
}

/// The console as a process of its own, so that its memory is its own.
struct Console {
    child: Child,
    address: String,
}

impl Console {
    fn start(lookupd: &str, scale: Scale) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nsqadmin"))
            .args([
                "--http-address=127.0.0.1:0",
                "--log-level=info",
                &format!("--lookupd-http-address={lookupd}"),
            ])
            .args(["--http-client-request-timeout=60s"])
            .args((!scale.is_whole()).then_some("--stats-poll-interval=1s"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let line = lines.find(|line| line.contains("HTTP: listening on ")).unwrap();
        let address = line.rsplit(' ').next().unwrap().to_owned();
        std::thread::Builder::new().spawn(move || lines.count()).unwrap();
        Self { child, address }
    }

    async fn ask(&self, path: &str, more: &str) -> (Duration, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
        let began = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        let took = began.elapsed();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        assert!(
            bytes.starts_with(b"HTTP/1.1 200 "),
            "{path}: {}",
            String::from_utf8_lossy(&bytes[..end])
        );
        (took, bytes.split_off(end + 4))
    }

    /// A line of `/proc/<pid>/status`, in MiB.
    fn memory(&self, name: &str) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// Waits until everybody has answered several times.
    async fn settle(&self, nodes: usize) {
        let began = Instant::now();
        let mut whole = 0;
        loop {
            let (_, body) = self.ask("/?format=json", "").await;
            let page: serde_json::Value = serde_json::from_slice(&body).unwrap();
            // the speed is known when everybody has answered twice
            let has_all = page["numbers"]["Nodes"] == nodes && page["numbers"]["In"].as_f64() > Some(0.0);
            if page["partial"] == false && has_all {
                whole += 1;
            }
            if whole >= 4 {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{page}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn percentile(times: &mut [Duration], part: f64) -> f64 {
    times.sort();
    let at = ((times.len() - 1) as f64 * part).round() as usize;
    times[at].as_secs_f64() * 1e3
}

/// Budgets of a page: milliseconds of p99, and KiB packed.
struct Budget {
    name: &'static str,
    path: String,
    millis: f64,
    kib: f64,
}

/// Patches of a stream for a while: how many, and their bytes.
async fn watch(address: String, view: String, lasting: Duration) -> Vec<usize> {
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET /stream?view={view} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut sizes = Vec::new();
    let mut rest = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let end = tokio::time::Instant::now() + lasting;
    while let Ok(Ok(count)) = tokio::time::timeout_at(end, stream.read(&mut buffer)).await {
        if count == 0 {
            break;
        }
        rest.extend_from_slice(&buffer[..count]);
        while let Some(at) = rest.windows(2).position(|window| window == b"\n\n") {
            let event: Vec<u8> = rest.drain(..at + 2).collect();
            if event.windows(12).any(|window| window == b"event: patch") {
                sizes.push(event.len());
            }
        }
    }
    sizes
}

/// With the whole cluster and in release this proves the budgets; without, that everything works at some size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_cluster_stays_within_its_budgets() {
    nsq_testkit::allow_open_files(8192);
    let scale = Scale::of_environment();
    let is_exact = scale.is_whole() && !cfg!(debug_assertions);
    let slack = if is_exact { 1.0 } else { 2.0 };
    let tasks = Tasks::new();
    let (mut nodes, mut listed) = (Vec::new(), Vec::new());
    let topics: Vec<String> = (0..scale.topics)
        .map(|topic| format!(r#""topic-{topic:04}""#))
        .collect();
    let topics = topics.join(",");
    for at in 0..scale.nodes {
        let address = upstream(scale, Template::new(scale), String::new(), &tasks).await;
        let port = address.rsplit(':').next().unwrap();
        listed.push(format!(
            r#"{{"remote_address":"127.0.0.1:9","hostname":"node-{at:03}","broadcast_address":"127.0.0.1","tcp_port":{port},"http_port":{port},"version":"1.3.0","tombstones":[],"topics":[{topics}]}}"#
        ));
        nodes.push(address);
    }
    let none = Scale { topics: 0, ..scale };
    let list = format!(r#"{{"producers":[{}]}}"#, listed.join(","));
    let lookupd = upstream(scale, Template::new(none), list, &tasks).await;
    let console = Console::start(&lookupd, scale);
    let began = Instant::now();
    console.settle(scale.nodes).await;
    println!(
        "{} nodes, {} topics, {} channels each; /stats of a node {:.1} MiB; settled after {:.1} s",
        scale.nodes,
        scale.topics,
        scale.channels,
        Template::new(scale).text.len() as f64 / 1048576.0,
        began.elapsed().as_secs_f64()
    );
    let node = nodes[0].replace(':', "%3A");
    let budgets = [
        Budget {
            name: "overview",
            path: "/".to_owned(),
            millis: 10.0,
            kib: 24.0,
        },
        Budget {
            name: "topics, 100",
            path: "/topics".to_owned(),
            millis: 10.0,
            kib: 36.0,
        },
        Budget {
            name: "topics, 200",
            path: "/topics?per=200&sort=-depth".to_owned(),
            millis: 10.0,
            kib: 36.0,
        },
        Budget {
            name: "topic",
            path: "/topics/topic-0001".to_owned(),
            millis: 10.0,
            kib: 36.0,
        },
        Budget {
            name: "nodes",
            path: "/nodes".to_owned(),
            millis: 10.0,
            kib: 36.0,
        },
        Budget {
            name: "node, 100 of its channels",
            path: format!("/nodes/{node}"),
            millis: 10.0,
            kib: 36.0,
        },
        Budget {
            name: "channel, without its clients",
            path: "/topics/topic-0001/channel-01".to_owned(),
            millis: f64::INFINITY,
            kib: 32.0,
        },
    ];
    let mut failures = Vec::new();
    println!(
        "{:32} {:>9} {:>9} {:>10} {:>10}",
        "page", "p50 ms", "p99 ms", "KiB", "KiB packed"
    );
    for budget in &budgets {
        let mut times = Vec::new();
        let mut size = 0;
        for _ in 0..100 {
            let (took, body) = console.ask(&budget.path, "").await;
            times.push(took);
            size = body.len();
        }
        let (_, packed) = console.ask(&budget.path, "Accept-Encoding: deflate\r\n").await;
        let (p50, p99) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
        let kib = packed.len() as f64 / 1024.0;
        println!(
            "{:32} {p50:9.2} {p99:9.2} {:10.1} {kib:10.1}",
            budget.name,
            size as f64 / 1024.0
        );
        if kib > budget.kib * slack {
            failures.push(format!(
                "{}: {kib:.1} KiB packed, budget {}",
                budget.name, budget.kib
            ));
        }
        if p99 > budget.millis * slack && !cfg!(debug_assertions) {
            failures.push(format!(
                "{}: p99 {p99:.2} ms, budget {}",
                budget.name, budget.millis
            ));
        }
    }
    let lasting = if scale.is_whole() {
        Duration::from_secs(60)
    } else {
        Duration::from_secs(5)
    };
    let used = |before: Duration| {
        (cpu_time(console.child.id()) - before).as_secs_f64() / lasting.as_secs_f64() * 100.0
    };
    let before = cpu_time(console.child.id());
    tokio::time::sleep(lasting).await;
    let alone = used(before);
    let before = cpu_time(console.child.id());
    let mut watching = tokio::task::JoinSet::new();
    for at in 0..200 {
        let view = format!("%2Ftopics%2Ftopic-{:04}", at % 50.min(scale.topics));
        watching.spawn(watch(console.address.clone(), view, lasting));
    }
    let mut sizes = Vec::new();
    while let Some(own) = watching.join_next().await {
        let own = own.unwrap();
        assert!(!own.is_empty(), "a stream without a patch");
        // the first one fills a page that has nothing yet
        sizes.extend(own.into_iter().skip(1));
    }
    let with = used(before);
    sizes.sort_unstable();
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
    println!(
        "processor: {alone:.1} % alone, {with:.1} % with 200 streams on 50 views; {} patches, median {:.1} KiB, largest {:.1} KiB",
        sizes.len(),
        median as f64 / 1024.0,
        sizes.last().copied().unwrap_or(0) as f64 / 1024.0
    );
    let (now, peak) = (console.memory("VmRSS:"), console.memory("VmHWM:"));
    println!("memory: {now:.0} MiB resident, {peak:.0} MiB at most; budget 384 MiB");
    let (_, page) = console.ask("/cluster?format=json", "").await;
    let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
    println!("console: {}", page["numbers"]);
    if peak > 384.0 * slack {
        failures.push(format!("{peak:.0} MiB of memory, budget 384"));
    }
    assert!(failures.is_empty(), "{failures:#?}");
    drop(console);
    tasks.stop();
    tasks.join(Duration::from_secs(10)).await;
}
