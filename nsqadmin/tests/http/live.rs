//! Patches for open pages.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::console::polled;
use crate::support::{Cluster, stats};

/// Reads until `wanted` has come.
async fn until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = vec![0; 64 << 10];
    while !text.contains(wanted) {
        let read = timeout(Duration::from_secs(20), stream.read(&mut buffer)).await;
        let count = read
            .unwrap_or_else(|_| panic!("{wanted} never comes: {text}"))
            .unwrap();
        assert!(count > 0, "{wanted} never comes: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    text
}

#[tokio::test]
async fn a_page_gets_what_changed_and_nothing_else() {
    let cluster = polled().await;
    let page = cluster.until("/topics/t1", |page| page.contains(">c1<")).await;
    assert!(
        page.contains(r#"data-stream="/stream?view=%2Ftopics%2Ft1""#),
        "{page}"
    );
    let mut stream = cluster.stream("%2Ftopics%2Ft1").await;
    let first = until(&mut stream, "event: patch").await;
    for part in [
        "HTTP/1.1 200 ",
        "text/event-stream",
        "no-store, no-transform",
        "event: hello",
        r#""boot":""#,
    ] {
        assert!(first.contains(part), "{part} not in {first}");
    }
    assert!(!first.contains("Content-Encoding"), "{first}");
    cluster.nsqds[0].answers("/stats", stats(777, 3));
    let next = until(&mut stream, "778").await;
    assert!(
        !next.contains("<h1") && next.contains(r#""p":{"gone":0,"new":0,"order":false}"#),
        "{next}"
    );
}

/// Console spec 11.
#[tokio::test]
async fn ui_109_only_pages_that_live_can_be_watched() {
    let cluster = polled().await;
    for view in [
        "",
        "%2Fapi%2Ftopics",
        "%2Fsettings",
        "%2Ftopics%2Ft1%3Fconfirm%3Ddelete",
        "http:%2F%2Fevil%2F",
        "%2F%25zz",
    ] {
        let (head, _) = cluster.get(&format!("/stream?view={view}")).await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{view}: {head}");
    }
    let (head, _) = Cluster::start().await.get("/stream?view=%2F").await;
    assert!(
        head.starts_with("HTTP/1.1 400 "),
        "nothing lives without polling: {head}"
    );
}

/// Console spec 11.
#[tokio::test]
async fn ui_107_a_stream_too_many_is_told_to_come_later_and_asks_once() {
    let cluster =
        Cluster::start_flags("", true, &["--stats-poll-interval=50ms", "--live-max-streams=1"]).await;
    cluster.until("/", |page| page.contains("2/2")).await;
    let mut first = cluster.stream("%2F").await;
    until(&mut first, "event: patch").await;
    let (head, _) = cluster.get("/stream?view=%2F").await;
    assert!(
        head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: 15"),
        "{head}"
    );
    let once = cluster.body("/stream?view=%2F&once=1").await;
    assert!(
        once.contains(r#""f":["#) && once.contains("All rules and thresholds"),
        "{once}"
    );
}

/// Console spec 11.
#[tokio::test]
async fn ui_108_streams_end_with_the_console() {
    let cluster = polled().await;
    cluster.until("/", |page| page.contains("2/2")).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = cluster.stream("%2F").await;
        until(&mut stream, "event: hello").await;
        streams.push(stream);
    }
    timeout(Duration::from_secs(1), cluster.end()).await.unwrap();
    until(&mut streams[0], "event: bye").await;
}

/// Console spec 11: however many look, each nsqd is asked once an interval.
#[tokio::test]
async fn streams_cost_the_cluster_nothing() {
    let cluster = Cluster::start_flags("", true, &["--stats-poll-interval=1s"]).await;
    cluster.until("/", |page| page.contains("2/2")).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = cluster.stream("%2F").await;
        until(&mut stream, "event: patch").await;
        streams.push(stream);
    }
    let before = cluster.nsqds[0].asked();
    cluster.nsqds[0].answers("/stats", stats(777, 3));
    for stream in &mut streams {
        until(stream, "778").await;
    }
    let asked = cluster.nsqds[0].asked() - before;
    assert!(asked <= 3, "{asked} questions for 50 streams");
}
