//! What a peer may not do for ever.

use super::*;

/// Limits with one of them so short that a test can wait for it.
fn short(change: impl Fn(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[tokio::test]
async fn a_slow_head_ends_the_connection_but_an_idle_one_may_wait() {
    let server = start(short(|limits| limits.head = Duration::from_millis(30))).await;
    let mut idle = server.connect().await;
    assert_eq!(server.exchange("GET /pi").await, "");
    idle.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    check(&one(&mut idle).await, "200", &[], "OK");
}

#[tokio::test]
async fn idle_connections_end() {
    let server = start(short(|limits| limits.idle = Duration::from_millis(30))).await;
    assert_eq!(server.exchange("").await, "");
    let answer = server.exchange("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").await;
    check(&answer, "200", &[], "OK");
}

#[tokio::test]
async fn a_body_that_stands_still_ends_the_connection() {
    let server = start(short(|limits| limits.body = Duration::from_millis(30))).await;
    let answer = server
        .exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        .await;
    check(
        &answer,
        "500",
        &["Connection: close"],
        r#"{"message":"INTERNAL_ERROR"}"#,
    );
}

#[tokio::test]
async fn one_connection_too_many_gets_503() {
    let server = start(short(|limits| limits.connections = 1)).await;
    let mut first = server.connect().await;
    first
        .write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    one(&mut first).await;
    check(
        &server.exchange("").await,
        "503 Service Unavailable",
        &["Connection: close"],
        "",
    );
    drop(first);
    // the slot comes back as soon as the server has seen the end
    while !server.ask("GET /ping").await.starts_with("HTTP/1.1 200") {
        tokio::task::yield_now().await;
    }
}
