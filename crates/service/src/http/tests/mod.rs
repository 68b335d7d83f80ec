//! The stack as a client sees it, over real sockets.
#![allow(clippy::disallowed_methods, reason = "tests talk to real sockets")]

mod limits;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::listen::Listener;
use crate::tasks::Tasks;

struct Server {
    port: u16,
    tasks: Tasks,
}

async fn echo(_: Arc<()>, mut request: Request) -> Result<Reply, Failure> {
    let body = request.body.read(16).await.map_err(|error| match error {
        BodyError::TooLarge(_) => Failure::too_large("MSG_TOO_BIG"),
        other => Failure::internal(&other),
    })?;
    Ok(Reply::text(String::from_utf8_lossy(&body)))
}

async fn option(_: Arc<()>, request: Request) -> Result<Reply, Failure> {
    Reply::json(&[
        request.param("opt"),
        request.query()?.require("x", "MISSING_ARG_X")?,
    ])
}

async fn ping(_: Arc<()>, _: Request) -> Result<Reply, Failure> {
    Ok(Reply::text("OK"))
}

async fn fail(_: Arc<()>, _: Request) -> Result<Reply, Failure> {
    Err(Failure::unavailable("DRAINING")
        .retry_after(1)
        .detail("a <sentence>"))
}

async fn nothing(_: Arc<()>, _: Request) -> Result<Reply, Failure> {
    Ok(Reply::empty())
}

async fn parts(_: Arc<()>, _: Request) -> Result<Reply, Failure> {
    let parts = (0..3).map(|part| Ok(Bytes::from(format!("part {part}\n"))));
    Ok(Reply::stream("text/plain; charset=utf-8", stream::iter(parts)))
}

async fn start(limits: Limits) -> Server {
    let router = Router::new(Arc::new(()))
        .route(Route::plain(Method::GET, "/ping", ping).logged_at_debug())
        .route(Route::plain(Method::PUT, "/plain", fail))
        .route(Route::v1(Method::POST, "/echo", echo).reads_body().not_logged())
        .route(Route::v1(Method::GET, "/config/:opt", option))
        .route(Route::v1(Method::PUT, "/config/:opt", fail))
        .route(Route::v1(Method::POST, "/topic/create", nothing))
        .route(Route::v1(Method::GET, "/parts", parts));
    start_router(router, limits).await
}

async fn start_router(router: Router<()>, limits: Limits) -> Server {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let port = u16::try_from(listener.port()).unwrap();
    let tasks = Tasks::new();
    let server = serve(listener, Arc::new(router), tasks.clone(), limits);
    tasks.spawn(async move { server.await.unwrap() });
    Server { port, tasks }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// Sends `bytes` and reads until the server closes.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        rest(&mut stream).await
    }

    /// Sends a request without a body that asks for the end of the connection.
    async fn ask(&self, line: &str) -> String {
        self.exchange(format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
            .await
    }
}

/// What comes until the end, or the reset, of the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

/// One response with a `Content-Length` from a connection that stays open.
async fn one(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() >= length.unwrap().parse().unwrap() {
                return text;
            }
        }
        let mut piece = [0; 512];
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&piece[..count]).unwrap());
    }
}

#[track_caller]
fn check(answer: &str, status: &str, headers: &[&str], body: &str) {
    let (head, own_body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no head in {answer:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    for header in headers {
        match header.strip_prefix('!') {
            Some(absent) => assert!(!head.contains(absent), "{answer}"),
            None => assert!(
                head.contains(&format!("\r\n{header}")),
                "{header:?} not in {answer}"
            ),
        }
    }
    assert_eq!(own_body, body, "{answer}");
}

const V1: &str = "X-Nsq-Content-Type: nsq; version=1.0";
const TYPE_JSON: &str = "Content-Type: application/json; charset=utf-8";
const TYPE_TEXT: &str = "Content-Type: text/plain; charset=utf-8";

#[tokio::test]
async fn answers_have_the_headers_of_their_kind() {
    let server = start(Limits::default()).await;
    check(
        &server.ask("GET /ping").await,
        "200",
        &[TYPE_TEXT, "Content-Length: 2", "!X-Nsq"],
        "OK",
    );
    let answer = server.ask("GET /config/a%2Bb?x=1+2&x=3").await;
    check(&answer, "200", &[TYPE_JSON, V1], r#"["a+b","1 2"]"#);
    check(
        &server.ask("POST /topic/create").await,
        "200",
        &[V1, "Content-Length: 0", "!\r\nContent-Type"],
        "",
    );
    check(
        &server.ask("GET /config/a").await,
        "400",
        &[TYPE_JSON, V1],
        r#"{"message":"MISSING_ARG_X"}"#,
    );
    check(
        &server.ask("GET /config/a?x=%zz").await,
        "400",
        &[V1],
        r#"{"message":"INVALID_REQUEST"}"#,
    );
    let detail = r#"{"message":"DRAINING","detail":"a \u003csentence\u003e"}"#;
    check(
        &server.ask("PUT /config/a").await,
        "503",
        &[TYPE_JSON, V1, "Retry-After: 1"],
        detail,
    );
    check(
        &server.ask("PUT /plain").await,
        "503",
        &[TYPE_TEXT, "!X-Nsq"],
        "DRAINING",
    );
}

#[tokio::test]
async fn unknown_paths_methods_and_options() {
    let server = start(Limits::default()).await;
    let not_allowed = r#"{"message":"METHOD_NOT_ALLOWED"}"#;
    check(
        &server.ask("GET /nope").await,
        "404",
        &[TYPE_JSON, V1],
        r#"{"message":"NOT_FOUND"}"#,
    );
    check(
        &server.ask("OPTIONS /nope").await,
        "404",
        &[],
        r#"{"message":"NOT_FOUND"}"#,
    );
    check(
        &server.ask("POST /ping").await,
        "405",
        &["Allow: GET, OPTIONS", V1],
        not_allowed,
    );
    check(
        &server.ask("GET /topic/create").await,
        "405",
        &["Allow: OPTIONS, POST"],
        not_allowed,
    );
    check(
        &server.ask("POST /config/x").await,
        "405",
        &["Allow: GET, OPTIONS, PUT"],
        not_allowed,
    );
    check(
        &server.ask("HEAD /ping").await,
        "405",
        &["Allow: GET, OPTIONS"],
        "",
    );
    check(
        &server.ask("OPTIONS /config/x").await,
        "200",
        &["Allow: GET, OPTIONS, PUT", "!X-Nsq"],
        "",
    );
}

#[tokio::test]
async fn paths_are_led_to_their_canonical_form() {
    let server = start(Limits::default()).await;
    for (line, status, location) in [
        ("GET /ping/", "301", "/ping"),
        ("GET /PING?a=b%20c", "301", "/ping?a=b%20c"),
        ("POST /topic//create/?topic=a", "307", "/topic/create?topic=a"),
        ("GET /Config/Log_Level/", "301", "/config/Log_Level"),
    ] {
        let answer = server.ask(line).await;
        check(&answer, status, &[&format!("Location: {location}\r\n")], "");
    }
    // a known path in the wrong case with the wrong method is unknown
    check(
        &server.ask("POST /PING").await,
        "404",
        &[],
        r#"{"message":"NOT_FOUND"}"#,
    );
    check(
        &server.ask("GET /config/").await,
        "404",
        &[],
        r#"{"message":"NOT_FOUND"}"#,
    );
}

#[tokio::test]
async fn a_base_path_stands_before_every_path() {
    let router = Router::new(Arc::new(()))
        .base("/adm/in")
        .route(Route::plain(Method::GET, "/", ping))
        .route(Route::plain(Method::GET, "/ping", ping));
    let server = start_router(router, Limits::default()).await;
    check(&server.ask("GET /adm/in").await, "200", &[], "OK");
    check(
        &server.ask("GET /adm/in/").await,
        "301",
        &["Location: /adm/in\r\n"],
        "",
    );
    check(&server.ask("GET /adm/in/ping").await, "200", &[], "OK");
    check(
        &server.ask("GET /ping").await,
        "404",
        &[],
        r#"{"message":"NOT_FOUND"}"#,
    );
}

#[tokio::test]
async fn bodies_are_read_with_a_cap() {
    let server = start(Limits::default()).await;
    let chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(
        &server
            .exchange(format!("{chunked}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
            .await,
        "200",
        &[V1],
        "abcde",
    );
    let too_big = r#"{"message":"MSG_TOO_BIG"}"#;
    let long = "0123456789".repeat(2);
    check(
        &server
            .exchange(format!("{chunked}14\r\n{long}\r\n0\r\n\r\n"))
            .await,
        "413",
        &[],
        too_big,
    );

    // refused on its announcement: nothing of the body is sent, the connection ends
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n")
        .await
        .unwrap();
    check(&rest(&mut stream).await, "413", &["Connection: close"], too_big);

    // a body that is not wanted is read and ignored, the connection stays
    let mut stream = server.connect().await;
    for _ in 0..2 {
        let head = b"POST /topic/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        stream.write_all(&[b'x'; 100_000]).await.unwrap();
        check(&one(&mut stream).await, "200", &["!Connection: close"], "");
    }
}

#[tokio::test]
async fn expect_continue_is_answered_when_the_body_is_wanted() {
    let server = start(Limits::default()).await;
    let mut stream = server.connect().await;
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hi").await.unwrap();
    check(&rest(&mut stream).await, "200", &[], "hi");
}

#[tokio::test]
async fn connections_are_kept_alive_and_may_be_pipelined() {
    let server = start(Limits::default()).await;
    let request = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answers = server.exchange(format!("{request}{request}{last}")).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3);
    let old = server.exchange("GET /ping HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 OK") && old.ends_with("OK"), "{old}");
}

#[tokio::test]
async fn a_streamed_body_arrives_whole() {
    let server = start(Limits::default()).await;
    let answer = server.ask("GET /parts").await;
    assert!(answer.contains("Transfer-Encoding: chunked"), "{answer}");
    for part in 0..3 {
        assert!(answer.contains(&format!("part {part}\n")), "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_request_gets_400_and_the_end() {
    let server = start(Limits::default()).await;
    for bytes in [
        "GARBAGE\r\n\r\n",
        "GET /ping HTTP/9.9\r\n\r\n",
        "GET /ping HTTP/1.1\r\nHost x\r\n\r\n",
    ] {
        check(
            &server.exchange(bytes).await,
            "400 Bad Request",
            &["Connection: close"],
            "",
        );
    }
    check(
        &server.ask("GET /%zz").await,
        "400 Bad Request",
        &["Connection: close"],
        "400 Bad Request",
    );
    let huge = format!(
        "GET /ping HTTP/1.1\r\nHost: x\r\nX-Pad: {}\r\n\r\n",
        "a".repeat(70_000)
    );
    check(&server.exchange(huge).await, "431", &["Connection: close"], "");
    check(&server.ask("GET /ping").await, "200", &[], "OK");
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_frees_the_port() {
    let server = start(Limits::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    one(&mut idle).await;
    server.tasks.stop();
    assert_eq!(server.tasks.join(Duration::from_secs(10)).await, 0);
    assert_eq!(rest(&mut idle).await, "");
    assert!(TcpStream::connect(("127.0.0.1", server.port)).await.is_err());
}
