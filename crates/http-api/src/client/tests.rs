#![allow(clippy::disallowed_methods, reason = "tests talk to real sockets")]

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::*;

/// Answers the next connection with `answer` as it stands, after the request head; yields that head.
async fn serve_once(listener: &TcpListener, answer: &str) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    serve(stream, answer).await
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8(head).unwrap()
}

/// What the client makes of `answer`, and the head it sent.
async fn ask(client: Client, answer: &str) -> (Result<lookupd::Topics, Error>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::join!(client.lookupd_topics(&address), serve_once(&listener, answer))
}

#[tokio::test]
async fn an_answer_is_read_and_the_request_asks_for_v1() {
    let answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"topics\":[\"t\"]}\r\n0\r\n\r\n";
    let (topics, head) = ask(Client::default(), answer).await;
    assert_eq!(topics.unwrap().topics, ["t"]);
    assert!(head.starts_with("GET /topics HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("accept: application/vnd.nsq; version=1.0\r\n"),
        "{head}"
    );
    let (topics, _) = ask(Client::default(), "HTTP/1.0 200 OK\r\n\r\n{\"topics\":null}").await;
    assert!(topics.unwrap().topics.is_empty());
}

#[tokio::test]
async fn an_error_says_what_was_tried_and_what_came_back() {
    let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 29\r\n\r\n{\"message\":\"TOPIC_NOT_FOUND\"}";
    let error = ask(Client::default(), answer).await.0.unwrap_err();
    assert!(error.is_not_found());
    assert!(error.to_string().starts_with("GET http://127.0.0.1:"), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("/topics: status 404: TOPIC_NOT_FOUND"),
        "{error}"
    );
    let error = ask(
        Client::default(),
        "HTTP/1.1 500 X\r\nContent-Length: 5\r\n\r\nNOK -",
    )
    .await
    .0
    .unwrap_err();
    assert!(error.to_string().ends_with("status 500: NOK -"), "{error}");
}

#[tokio::test]
async fn everything_is_bounded() {
    let long = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}",
        "x".repeat(1000)
    );
    let small = Client {
        max_body: 999,
        ..Client::default()
    };
    assert!(matches!(
        ask(small, &long).await.0.unwrap_err().cause,
        Cause::TooLarge(999)
    ));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let hasty = Client {
        request_timeout: Duration::from_millis(30),
        ..Client::default()
    };
    let error = hasty.lookupd_nodes(&address).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Timeout(_)), "{error}");
    drop(listener);
    let error = Client::default().lookupd_nodes(&address).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Connect(_)), "{error}");
}

#[tokio::test]
async fn what_is_not_http_or_not_json_is_an_error() {
    let garbage = ask(Client::default(), "SSH-2.0-OpenSSH\r\n\r\n")
        .await
        .0
        .unwrap_err();
    assert!(matches!(garbage.cause, Cause::Http(_)), "{garbage}");
    let cut = ask(
        Client::default(),
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"to",
    )
    .await
    .0
    .unwrap_err();
    assert!(matches!(cut.cause, Cause::Http(_)), "{cut}");
    let html = ask(
        Client::default(),
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<p/>",
    )
    .await
    .0
    .unwrap_err();
    assert!(matches!(html.cause, Cause::Decode(_)), "{html}");
}

#[test]
fn an_ipv6_host_gets_brackets() {
    assert_eq!(authority("::1", 4151), "[::1]:4151");
    assert_eq!(authority("[::1]", 4151), "[::1]:4151");
    assert_eq!(authority("host", 4151), "host:4151");
}

/// A server's side and a client that trusts it.
fn pair() -> (TlsAcceptor, Tls) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (made.cert.der().clone(), made.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], PrivateKeyDer::try_from(key).unwrap())
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), Arc::new(client).into())
}

fn trusting(tls: Tls) -> Client {
    Client {
        tls: Some(tls),
        ..Client::default()
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

#[tokio::test]
async fn a_server_that_wants_https_is_asked_there_once_more() {
    let (acceptor, tls) = pair();
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let secure = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap().to_string();
    let body = format!(
        r#"{{"message": "TLS_REQUIRED", "https_port": {}}}"#,
        secure.local_addr().unwrap().port()
    );
    let refusal = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let client = trusting(tls);
    let target = Target::http(&address, "/auth?secret=s");
    let json = Some("application/json");
    let (answer, _, head) = tokio::join!(
        client.fetch(Method::POST, &target, json, Bytes::from_static(b"{}")),
        serve_once(&plain, &refusal),
        async {
            let (stream, _) = secure.accept().await.unwrap();
            serve(acceptor.accept(stream).await.unwrap(), OK).await
        }
    );
    assert_eq!(answer.unwrap(), "OK");
    assert!(head.starts_with("POST /auth?secret=s HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");

    // Without TLS the refusal is the answer.
    let plainly = Client::default();
    let (refused, _) = tokio::join!(
        plainly.get::<String>(&address, "/x"),
        serve_once(&plain, &refusal)
    );
    let refused = refused.unwrap_err();
    assert_eq!(refused.status(), Some(403));
    assert!(
        refused.to_string().ends_with("/x: status 403: TLS_REQUIRED"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_no_request() {
    let ((acceptor, _), (_, other)) = (pair(), pair());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/auth?secret=s", listener.local_addr().unwrap());
    let target = Target::parse(&url).unwrap();
    let client = trusting(other);
    let (answer, handshake) = tokio::join!(client.fetch(Method::GET, &target, None, Bytes::new()), async {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await.map(drop)
    });
    let error = answer.unwrap_err();
    assert!(matches!(error.cause, Cause::Tls(_)), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(handshake.is_err());
    let error = Client::default()
        .fetch(Method::GET, &target, None, Bytes::new())
        .await
        .unwrap_err();
    assert!(
        error.to_string().ends_with("/auth: TLS: is not configured here"),
        "{error}"
    );
}
