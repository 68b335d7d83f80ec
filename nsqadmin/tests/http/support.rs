//! Scripted nsqlookupds and nsqds, and an nsqadmin that asks them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nsq_service::clock::ManualClock;
use nsq_service::http::{Failure, Limits, Method, Reply, Request, Route, Router, StatusCode, serve};
use nsq_service::listen::Listener;
use nsq_service::program::Daemon as _;
use nsq_service::tasks::Tasks;
use nsqadmin::{Admin, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::queue::Queue;

/// An upstream that answers what it was told, and counts.
pub(crate) struct Fake {
    pub(crate) address: String,
    state: Arc<Script>,
    tasks: Tasks,
}

/// Markup without tooltips and the keys of patches: what a person reads, and where.
pub(crate) fn bare(page: &str) -> String {
    let mut page = page.to_owned();
    for attribute in [" data-k=\"", " title=\""] {
        let mut out = String::new();
        for (at, part) in page.split(attribute).enumerate() {
            let kept = if at == 0 {
                part
            } else {
                part.split_once('"').map_or("", |(_, rest)| rest)
            };
            out.push_str(kept);
        }
        page = out;
    }
    page
}

#[derive(Default)]
pub(crate) struct Script {
    answers: Mutex<HashMap<String, String>>,
    asked: Mutex<Vec<String>>,
    posted: Mutex<Vec<String>>,
    bodies: Mutex<Vec<String>>,
    last: Mutex<String>,
    headers: Mutex<HashMap<&'static str, String>>,
    /// Of one that can be looked into.
    queue: Mutex<Option<Queue>>,
}

async fn play(script: Arc<Script>, mut request: Request) -> Result<Reply, Failure> {
    let topic = request
        .query()?
        .get("topic")
        .map(|topic| format!("?topic={topic}"))
        .unwrap_or_default();
    let key = format!("{}{topic}", request.path());
    let answer = script.answers.lock().unwrap().get(&key).cloned();
    let query = request.query()?;
    if let Some(queue) = script.queue.lock().unwrap().as_mut()
        && let Some(reply) = queue.play(request.method(), request.path(), &query, request.raw_query())
    {
        return reply;
    }
    if *request.method() == Method::POST {
        let target = format!("{}?{}", request.path(), request.raw_query());
        script.posted.lock().unwrap().push(target);
        let body = request.body.read(1 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        script.bodies.lock().unwrap().push(text);
        return match answer {
            None => Ok(Reply::empty()),
            Some(text) if text.starts_with("403 ") => Ok(refusal(&text)),
            Some(missing) => Err(Failure::new(StatusCode::NOT_FOUND, missing)),
        };
    }
    script.asked.lock().unwrap().push(key.clone());
    *script.last.lock().unwrap() = request.raw_query().to_owned();
    for name in ["host", "x-forwarded-for", "authorization"] {
        let value = request.header(name).unwrap_or_default().to_owned();
        script.headers.lock().unwrap().insert(name, value);
    }
    match answer {
        Some(text) if text.starts_with("403 ") => Ok(refusal(&text)),
        Some(json) => Ok(Reply::json_bytes(json)),
        None => Err(Failure::not_found("TOPIC_NOT_FOUND")),
    }
}

/// `403 <body>` as an answer.
fn refusal(text: &str) -> Reply {
    Reply::json_bytes(text[4..].to_owned()).status(StatusCode::FORBIDDEN)
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    pub(crate) async fn start_at(address: &str) -> Self {
        let listener = Listener::bind(address).await.unwrap();
        let address = format!("127.0.0.1:{}", listener.port());
        let state = Arc::new(Script::default());
        let router = Router::new(Arc::clone(&state))
            .route(Route::v1(Method::GET, "/*path", play))
            .route(Route::v1(Method::POST, "/*path", play).reads_body());
        let tasks = Tasks::new();
        let server = serve(listener, Arc::new(router), tasks.clone(), Limits::default());
        tasks.spawn(async move { server.await.unwrap() });
        Self {
            address,
            state,
            tasks,
        }
    }

    pub(crate) fn answers(&self, path: &str, json: impl Into<String>) {
        self.state
            .answers
            .lock()
            .unwrap()
            .insert(path.to_owned(), json.into());
    }

    /// It can be looked into from now on.
    pub(crate) fn has_queue(&self, queue: Queue) {
        *self.state.queue.lock().unwrap() = Some(queue);
        let info = format!(
            r#"{{"version":"1.3.0","hostname":"h","broadcast_address":"127.0.0.1","http_port":{},"tcp_port":4150,
            "extensions":["messages","policy"]}}"#,
            self.port()
        );
        self.answers("/info", info);
    }

    /// Its queue.
    pub(crate) fn queue<T>(&self, look: impl FnOnce(&mut Queue) -> T) -> T {
        look(self.state.queue.lock().unwrap().as_mut().unwrap())
    }

    pub(crate) fn forgets(&self, path: &str) {
        self.state.answers.lock().unwrap().remove(path);
    }

    pub(crate) fn asked(&self) -> usize {
        self.state.asked.lock().unwrap().len()
    }

    /// Path and query of each POST since the last call.
    pub(crate) fn posted(&self) -> Vec<String> {
        std::mem::take(&mut self.state.posted.lock().unwrap())
    }

    /// The query of the last GET, as it was sent.
    pub(crate) fn last_query(&self) -> String {
        self.state.last.lock().unwrap().clone()
    }

    /// A header of the last GET.
    pub(crate) fn last_header(&self, name: &str) -> String {
        self.state
            .headers
            .lock()
            .unwrap()
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    /// Bodies of all POSTs.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.state.bodies.lock().unwrap().clone()
    }

    pub(crate) fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }

    pub(crate) async fn stop(&self) {
        self.tasks.stop();
        assert_eq!(self.tasks.join(Duration::from_secs(10)).await, 0);
    }

    /// This fake as an nsqlookupd lists it.
    pub(crate) fn node(&self, host: &str, topics: &str) -> String {
        let port = self.port();
        format!(
            r#"{{"remote_address":"127.0.0.1:9","hostname":"{host}","broadcast_address":"127.0.0.1","tcp_port":1{port},
            "http_port":{port},"version":"1.3.0","tombstones":[],"topics":{topics}}}"#
        )
    }
}

/// The set-up of the spec: two nsqlookupds, two nsqds, `t1/c1` on both, `dead/dc` only at the nsqlookupds.
pub(crate) struct Cluster {
    pub(crate) lookupds: [Fake; 2],
    pub(crate) nsqds: [Fake; 2],
    clock: Arc<ManualClock>,
    port: i32,
    /// Stands before every path that is asked for.
    pub(crate) base: &'static str,
    admin: Admin,
}

pub(crate) fn stats(depth: i64, backend: i64) -> String {
    format!(
        r#"{{"version":"1.3.0","health":"OK","topics":[{{"topic_name":"t1","depth":0,"backend_depth":0,
        "message_count":{depth},"channels":[{{"channel_name":"c1","depth":{depth},"backend_depth":{backend},
        "in_flight_count":1,"client_count":1,"clients":null}}]}}],"producers":null}}"#
    )
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::start_with("", true).await
    }

    pub(crate) async fn start_with(base: &'static str, by_lookupd: bool) -> Self {
        Self::start_flags(base, by_lookupd, &[]).await
    }

    /// With more flags.
    pub(crate) async fn start_flags(base: &'static str, by_lookupd: bool, more: &[&str]) -> Self {
        let lookupds = [Fake::start().await, Fake::start().await];
        let nsqds = [Fake::start().await, Fake::start().await];
        let nodes = format!(
            r#"{{"producers":[{},{}]}}"#,
            nsqds[1].node("d2", r#"["t1"]"#),
            nsqds[0].node("d1", r#"["t1"]"#)
        );
        for lookupd in &lookupds {
            lookupd.answers("/topics", r#"{"topics":["t1","dead"]}"#);
            lookupd.answers("/nodes", nodes.clone());
            lookupd.answers("/lookup?topic=dead", r#"{"channels":["dc"],"producers":[]}"#);
            let producers = [nsqds[1].node("d2", "[]"), nsqds[0].node("d1", "[]")].join(",");
            lookupd.answers(
                "/lookup?topic=t1",
                format!(r#"{{"channels":["c1"],"producers":[{producers}]}}"#),
            );
        }
        for (nsqd, (depth, backend)) in nsqds.iter().zip([(8, 3), (1, 0)]) {
            nsqd.answers("/stats", stats(depth, backend));
            nsqd.answers("/stats?topic=t1", stats(depth, backend));
            let (port, info) = (
                nsqd.port(),
                r#""version":"1.3.0","hostname":"h","broadcast_address":"127.0.0.1""#,
            );
            nsqd.answers(
                "/info",
                format!(r#"{{{info},"http_port":{port},"tcp_port":4150}}"#),
            );
        }
        let (flag, sources) = if by_lookupd {
            ("--lookupd-http-address", &lookupds)
        } else {
            ("--nsqd-http-address", &nsqds)
        };
        let mut args = vec![
            "--http-address=127.0.0.1:0".to_owned(),
            format!("--base-path={base}"),
        ];
        if !more.iter().any(|flag| flag.starts_with("--stats-poll-interval=")) {
            // each page asks, so that it shows what was just scripted
            args.push("--stats-poll-interval=0".to_owned());
        }
        args.extend(sources.iter().map(|fake| format!("{flag}={}", fake.address)));
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        let options = Options::from_args(args).unwrap();
        let clock = Arc::new(ManualClock::new(0));
        let admin = Admin::start(options, Arc::clone(&clock) as _).await.unwrap();
        Self {
            lookupds,
            nsqds,
            clock,
            port: admin.http_port(),
            base,
            admin,
        }
    }

    /// Of these nsqds alone, whatever they are; the others are not asked.
    pub(crate) async fn start_of(nsqds: &[&str], more: &[&str]) -> Self {
        let mut args = vec!["--http-address=127.0.0.1:0".to_owned()];
        args.extend(
            nsqds
                .iter()
                .map(|address| format!("--nsqd-http-address={address}")),
        );
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        let clock = Arc::new(ManualClock::new(0));
        let options = Options::from_args(args).unwrap();
        let admin = Admin::start(options, Arc::clone(&clock) as _).await.unwrap();
        Self {
            lookupds: [Fake::start().await, Fake::start().await],
            nsqds: [Fake::start().await, Fake::start().await],
            clock,
            port: admin.http_port(),
            base: "",
            admin,
        }
    }

    pub(crate) fn https_port(&self) -> i32 {
        self.admin.https_port()
    }

    /// Status line and headers, and the body.
    pub(crate) async fn get(&self, path: &str) -> (String, String) {
        self.send("GET", path, &[], "").await
    }

    /// Any request.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> (String, String) {
        let (head, body) = self.send_bytes(method, path, headers, body).await;
        (head, String::from_utf8(body).unwrap())
    }

    /// The same with any bytes in the answer.
    pub(crate) async fn send_bytes(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.port))
            .await
            .unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.base,
            body.len()
        );
        // who is refused before the body is read may find the connection closed while writing
        let _ = stream.write_all(request.as_bytes()).await;
        let mut bytes = Vec::new();
        tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        (head, bytes.split_off(end + 4))
    }

    /// Expects this status, and yields the body.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str, status: u16) -> String {
        let (head, text) = self.send(method, path, &[], body).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(
            head.starts_with(&expected),
            "{method} {path} {body}: {head} {text}"
        );
        text
    }

    pub(crate) async fn body(&self, path: &str) -> String {
        let (head, body) = self.get(path).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head} {body}");
        body
    }

    /// Lets time pass for nsqadmin.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Asks for `path` until `fits` says so of the page.
    pub(crate) async fn until(&self, path: &str, fits: impl Fn(&str) -> bool) -> String {
        for _ in 0..600 {
            let (_, page) = self.get(path).await;
            if fits(&page) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path} never fits: {}", self.get(path).await.1);
    }

    /// The page as another nsqadmin of the same cluster shows it.
    pub(crate) async fn on_another_replica(&self, path: &str) -> String {
        let mut args = vec![
            "--http-address=127.0.0.1:0".to_owned(),
            "--stats-poll-interval=0".to_owned(),
        ];
        args.extend(
            self.lookupds
                .iter()
                .map(|fake| format!("--lookupd-http-address={}", fake.address)),
        );
        let clock = Arc::clone(&self.clock) as _;
        let other = Admin::start(Options::from_args(args).unwrap(), clock)
            .await
            .unwrap();
        let address = format!("127.0.0.1:{}", other.http_port()).parse().unwrap();
        let path = path.to_owned();
        let asking =
            tokio::task::spawn_blocking(move || nsq_testkit::request(address, "GET", &path, b"").text());
        let page = asking.await.unwrap();
        other.stop().await.unwrap();
        page
    }

    /// The connection of a stream of patches.
    pub(crate) async fn stream(&self, view: &str) -> TcpStream {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.port))
            .await
            .unwrap();
        let request = format!("GET {}/stream?view={view} HTTP/1.1\r\nHost: x\r\n\r\n", self.base);
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Tells nsqadmin to end.
    pub(crate) async fn end(self) {
        self.admin.stop().await.unwrap();
    }

    /// The page, read anew.
    pub(crate) async fn page(&self) -> (String, String) {
        self.pass(2);
        self.get(if self.base.is_empty() { "/" } else { "" }).await
    }
}

pub(crate) const COOKIE: &str = "Cookie: nsqadmin_csrf=0123456789abcdef0123456789abcdef";
pub(crate) const TOKEN: &str = "csrf=0123456789abcdef0123456789abcdef";

pub(crate) async fn post(cluster: &Cluster, path: &str, form: &str) -> (String, String) {
    let form = format!("{TOKEN}&{form}");
    cluster.send("POST", path, &[COOKIE], &form).await
}

pub(crate) fn has(text: &str, parts: &[&str]) {
    let text = bare(text);
    for part in parts {
        assert!(text.contains(part), "{part} not in {text}");
    }
}

/// The page that a form leads to.
pub(crate) async fn result_of(cluster: &Cluster, head: &str) -> String {
    has(head, &["HTTP/1.1 303 "]);
    let line = head.lines().find_map(|line| line.strip_prefix("Location: "));
    let path = line.unwrap();
    assert!(path.starts_with("/audit/"), "{head}");
    cluster.body(path).await
}

pub(crate) fn nothing_was_posted(cluster: &Cluster) {
    assert!(cluster.nsqds.iter().all(|nsqd| nsqd.posted().is_empty()));
    assert!(cluster.lookupds.iter().all(|lookupd| lookupd.posted().is_empty()));
}
