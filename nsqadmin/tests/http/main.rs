//! nsqadmin over HTTP, against scripted nsqlookupds and nsqds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests talk to real sockets"
)]

mod access;
mod actions;
mod audit;
mod config;
mod console;
mod figures;
mod follow;
mod handling;
mod incidents;
mod live;
mod looks;
mod pages;
mod queue;
mod reads;
mod shell;
mod support;
mod text;
mod ui;

use support::{Cluster, stats};

/// nsqadmin spec 14, case 8.
#[tokio::test]
async fn na_008_ping_and_info() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.body("/ping").await, "OK");
    let info = cluster.body("/info").await;
    assert!(
        info.starts_with(r#"{"version":"1.3.0","extensions":["metrics"],"release":""#),
        "{info}"
    );
}

/// Cases 9 and 10.
#[tokio::test]
async fn na_009_na_010_topics_and_inactive_topics() {
    let cluster = Cluster::start().await;
    let all = r#"{"topics":["dead","t1"],"message":""}"#;
    assert_eq!(cluster.body("/api/topics").await, all);
    assert_eq!(cluster.body("/api/topics?inactive=1").await, all);
    assert_eq!(
        cluster.body("/api/topics?inactive=true").await,
        r#"{"topics":{"dead":["dc"]},"message":""}"#
    );
    let (head, body) = cluster.get("/api/topics?inactive=%zz").await;
    assert!(
        head.starts_with("HTTP/1.1 400 ") && body == r#"{"message":"INVALID_REQUEST"}"#,
        "{head} {body}"
    );
}

/// Cases 17 and 18.
#[tokio::test]
async fn na_017_na_018_nodes_are_merged() {
    let cluster = Cluster::start().await;
    let [l1, l2] = &cluster.lookupds;
    let (d1, d2) = (cluster.nsqds[0].port(), cluster.nsqds[1].port());
    let body = cluster.body("/api/nodes").await;
    let node = |host: &str, port: &str| {
        format!(
            r#"{{"remote_addresses":["{}/127.0.0.1:9","{}/127.0.0.1:9"],"remote_address":"127.0.0.1:9","hostname":"{host}","broadcast_address":"127.0.0.1","tcp_port":1{port},"http_port":{port},"version":"1.3.0","topics":[{{"topic":"t1","tombstoned":false}}],"out_of_date":false}}"#,
            l1.address, l2.address
        )
    };
    assert_eq!(
        body,
        format!(
            r#"{{"nodes":[{},{}],"message":""}}"#,
            node("d1", d1),
            node("d2", d2)
        )
    );
    let old = cluster.nsqds[1].node("d2", "[]").replace("1.3.0", "1.2.1");
    let both = format!(r#"{{"producers":[{},{old}]}}"#, cluster.nsqds[0].node("d1", "[]"));
    l1.answers("/nodes", both.clone());
    l2.answers("/nodes", both);
    assert_eq!(
        cluster
            .body("/api/nodes")
            .await
            .matches(r#""out_of_date":true"#)
            .count(),
        1
    );
}

/// Case 23.
#[tokio::test]
async fn na_023_unknown_paths_methods_and_redirects() {
    let cluster = Cluster::start().await;
    let (head, body) = cluster.get("/api/nope").await;
    assert!(
        head.starts_with("HTTP/1.1 404 ") && body == r#"{"message":"NOT_FOUND"}"#,
        "{head} {body}"
    );
    let (head, _) = cluster.send("PATCH", "/api/topics/t1", &[], "").await;
    assert!(
        head.starts_with("HTTP/1.1 405 ") && head.contains("\r\nAllow: DELETE, GET, OPTIONS, POST"),
        "{head}"
    );
    let (head, _) = cluster.get("/api/topics/").await;
    assert!(
        head.starts_with("HTTP/1.1 301 ") && head.contains("\r\nLocation: /api/topics"),
        "{head}"
    );
}

/// Cases 27 and 29.
#[tokio::test]
async fn na_027_na_029_one_silent_nsqlookupd_is_a_warning_all_are_an_error() {
    let cluster = Cluster::start().await;
    let [l1, l2] = &cluster.lookupds;
    l2.stop().await;
    for path in ["/api/topics", "/api/nodes", "/api/topics/t1"] {
        let body = cluster.body(path).await;
        let warning = format!(r#""message":"WARNING: GET http://{}"#, l2.address);
        assert!(body.contains("t1") && body.contains(&warning), "{body}");
    }
    l1.stop().await;
    for path in ["/api/topics", "/api/nodes"] {
        let (head, body) = cluster.get(path).await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
        assert!(
            body.starts_with(r#"{"message":"UPSTREAM_ERROR: failed to query any nsqlookupd: GET http"#),
            "{body}"
        );
        assert_eq!(body.matches("\\n").count(), 1, "{body}");
    }
}

/// Cases 49 and 50.
#[tokio::test]
async fn na_049_na_050_nsqds_by_address() {
    let cluster = Cluster::start_with("", false).await;
    assert_eq!(
        cluster.body("/api/topics").await,
        r#"{"topics":["t1"],"message":""}"#
    );
    assert_eq!(
        cluster.body("/api/topics?inactive=true").await,
        r#"{"topics":{},"message":""}"#
    );
    let nodes = cluster.body("/api/nodes").await;
    let start = r#"{"nodes":[{"remote_addresses":null,"remote_address":"","hostname":"h","broadcast_address":"127.0.0.1","#;
    assert!(nodes.starts_with(start), "{nodes}");
    cluster.nsqds[1].stop().await;
    assert!(
        cluster
            .body("/api/nodes")
            .await
            .contains(r#""message":"WARNING: GET http"#)
    );
    let (_, page) = cluster.page().await;
    assert!(page.contains("1 of 2 nodes not answering"), "{page}");
}

#[tokio::test]
async fn the_page_shows_topics_channels_and_nodes() {
    let cluster = Cluster::start().await;
    let (head, page) = cluster.page().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for header in [
        "Content-Type: text/html; charset=utf-8",
        "Content-Security-Policy: default-src 'none'; ",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: same-origin",
        "Cache-Control: no-store",
    ] {
        assert!(head.contains(&format!("\r\n{header}")), "{header} not in {head}");
    }
    for text in [
        ">t1<",
        ">c1<",
        ">dead<",
        r#"title="9; 0 in the topic&#39;s own queue""#,
        "2/2",
        "✓",
    ] {
        assert!(page.contains(text), "{text} not in {page}");
    }
    // nobody has messages of "dead", so nothing is said about them
    assert!(page.contains("unknown: no node has it"), "{page}");
    assert!(!page.contains("not answering"), "{page}");
}

#[tokio::test]
async fn many_readers_cost_the_cluster_one_question() {
    let cluster = Cluster::start().await;
    cluster.page().await;
    let asked = cluster.nsqds[0].asked();
    for _ in 0..5 {
        cluster.get("/").await;
    }
    assert_eq!(cluster.nsqds[0].asked(), asked);
    cluster.page().await;
    assert_eq!(cluster.nsqds[0].asked(), asked + 1);
}

#[tokio::test]
async fn a_silent_node_is_unknown_and_never_zero() {
    let cluster = Cluster::start().await;
    cluster.nsqds[0].stop().await;
    let (head, page) = cluster.page().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let silent = format!(
        "1 of 2 nodes not answering: {} · totals are partial",
        cluster.nsqds[0].address
    );
    for text in [
        &silent,
        "connection refused",
        "1/2 nodes",
        "on 1 of 2 nodes; the others do not answer",
    ] {
        assert!(page.contains(text), "{text} not in {page}");
    }
    cluster.nsqds[1].stop().await;
    let (_, page) = cluster.page().await;
    assert!(
        page.contains("unknown: it has not answered yet")
            || page.contains("unknown: its nodes do not answer"),
        "{page}"
    );
    assert!(!page.contains(r#"title="0">0</td>"#), "{page}");
}

#[tokio::test]
async fn an_unhealthy_node_says_why() {
    let cluster = Cluster::start().await;
    let sick = stats(1, 0).replace(r#""health":"OK""#, r#""health":"NOK - no space left on device""#);
    cluster.nsqds[0].answers("/stats", sick);
    assert!(cluster.page().await.1.contains("NOK - no space left on device"));
}

#[tokio::test]
async fn an_empty_cluster_says_how_to_begin() {
    let cluster = Cluster::start().await;
    for lookupd in &cluster.lookupds {
        lookupd.answers("/topics", r#"{"topics":[]}"#);
        lookupd.answers("/nodes", r#"{"producers":[]}"#);
    }
    let (head, page) = cluster.page().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        page.contains("There are no topics yet") && page.contains("No nsqd is registered"),
        "{page}"
    );
}

#[tokio::test]
async fn a_cluster_out_of_reach_is_an_error_page() {
    let cluster = Cluster::start().await;
    for lookupd in &cluster.lookupds {
        lookupd.stop().await;
    }
    let (head, page) = cluster.page().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(
        page.contains("The cluster cannot be reached") && page.contains("connection refused"),
        "{page}"
    );
}

#[tokio::test]
async fn garbage_from_an_upstream_is_a_failed_upstream() {
    let cluster = Cluster::start().await;
    cluster.nsqds[0].answers("/stats", "{\"topics\":");
    let (_, page) = cluster.page().await;
    assert!(page.contains("its answer is not understood"), "{page}");
}

#[tokio::test]
async fn everything_stands_below_the_base_path() {
    let cluster = Cluster::start_with("/adm/in", true).await;
    let (head, page) = cluster.page().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let css = page.split('"').find(|text| text.contains("app.css")).unwrap();
    let (head, body) = cluster.get(css.strip_prefix("/adm/in").unwrap()).await;
    assert!(
        head.contains("\r\nContent-Type: text/css; charset=utf-8"),
        "{head}"
    );
    assert!(
        head.contains("\r\nCache-Control: public, max-age=31536000, immutable"),
        "{head}"
    );
    assert!(body.contains("prefers-color-scheme"));
    let (head, _) = cluster.get("/static/app.css").await;
    assert!(head.contains("\r\nCache-Control: no-cache"), "{head}");
    let (head, _) = cluster.get("/").await;
    assert!(
        head.starts_with("HTTP/1.1 301 ") && head.contains("\r\nLocation: /adm/in\r\n"),
        "{head}"
    );
    let (head, body) = cluster.get("/static/nope.js").await;
    assert!(
        head.starts_with("HTTP/1.1 404 ") && body == "NOT_FOUND",
        "{head} {body}"
    );
    assert!(
        cluster
            .get("/static/..%2Fsrc%2Fmain.rs")
            .await
            .0
            .starts_with("HTTP/1.1 404 ")
    );
}

/// Case 48.
#[tokio::test]
async fn na_048_the_base_path_is_normalised() {
    let mut cluster = Cluster::start_flags("/adm/in", true, &["--base-path=adm/in/"]).await;
    assert_eq!(cluster.body("/ping").await, "OK");
    cluster.body("/api/topics").await;
    let (head, page) = cluster.page().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut links = page.split("href=\"").skip(1);
    let prefixed = |link: &str| link.starts_with("/adm/in") || link.starts_with('#');
    assert!(links.all(prefixed), "{page}");
    let (head, _) = cluster.get("/").await;
    assert!(head.starts_with("HTTP/1.1 301 "), "{head}");
    cluster.base = "";
    cluster.ask("GET", "/ping", "", 404).await;
}

/// Case 24. The body is read back with gzip's own end: its length.
#[tokio::test]
async fn na_024_answers_are_packed_for_who_can_unpack() {
    let cluster = Cluster::start().await;
    let plain = cluster.body("/api/topics").await;
    for (accepted, named) in [("gzip, deflate", "gzip"), ("br, deflate", "deflate")] {
        for path in ["/api/topics", "/", "/api/nope"] {
            let header = format!("Accept-Encoding: {accepted}");
            let (head, body) = cluster.send_bytes("GET", path, &[&header], "").await;
            for line in [&format!("Content-Encoding: {named}"), "Vary: Accept-Encoding"] {
                assert!(head.contains(&format!("\r\n{line}")), "{path}: {head}");
            }
            if named == "gzip" {
                assert!(body.starts_with(&[0x1f, 0x8b]));
                if path == "/api/topics" {
                    let length = u32::try_from(plain.len()).unwrap().to_le_bytes();
                    assert_eq!(&body[body.len() - 4..], length);
                }
            }
        }
    }
    let (head, body) = cluster
        .send("GET", "/api/topics", &["Accept-Encoding: br"], "")
        .await;
    assert!(!head.contains("Content-Encoding") && body == plain, "{head}");
}
