#![allow(clippy::disallowed_methods, reason = "tests talk to real sockets")]

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Answers the next connection with `answer` as it stands, after the request head; yields that head.
async fn serve_once(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
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
