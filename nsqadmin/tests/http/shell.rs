//! Paths, methods, files and names: what stands around every page.

use crate::support::{Cluster, Fake, has, post, result_of, stats};

/// Console spec 11.
#[tokio::test]
async fn ui_002_paths_are_canonical_and_pages_answer_head() {
    let cluster = Cluster::start_with("/adm/in", true).await;
    let (head, _) = cluster.get("/topics/").await;
    has(&head, &["HTTP/1.1 301 ", "\r\nLocation: /adm/in/topics\r\n"]);
    let (head, _) = cluster.send("HEAD", "/topics/", &[], "").await;
    has(&head, &["HTTP/1.1 301 ", "\r\nLocation: /adm/in/topics\r\n"]);
    let ephemeral = stats(8, 3).replace(r#""t1""#, r##""e#ephemeral""##);
    cluster.nsqds[0].answers("/stats", ephemeral);
    has(
        &cluster.body("/topics/e%23ephemeral").await,
        &["<h1 class=\"title\">e#ephemeral", "/topics/e%23ephemeral/c1"],
    );
    for path in ["/topics", "/topics/t1/c1", "/nodes", "/help", "/static/app.css"] {
        let (full, body) = cluster.get(path).await;
        let (head, nothing) = cluster.send("HEAD", path, &[], "").await;
        let lines = |head: &str| -> Vec<String> {
            let lines = head.lines().filter(|line| !line.starts_with("Date: "));
            let mut lines: Vec<String> = lines.map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!((lines(&head), nothing.as_str()), (lines(&full), ""), "{path}");
        assert!(!body.is_empty());
    }
    let (head, _) = cluster.send("PUT", "/topics", &[], "").await;
    has(
        &head,
        &["HTTP/1.1 405 ", "\r\nAllow: GET, HEAD, OPTIONS, POST\r\n"],
    );
    let (head, body) = cluster.get("/nope").await;
    has(&head, &["HTTP/1.1 404 "]);
    assert_eq!(body, r#"{"message":"NOT_FOUND"}"#);
    let accept = ["Accept: text/html,application/xhtml+xml;q=0.9"];
    let (head, page) = cluster.send("GET", "/nope", &accept, "").await;
    has(
        &head,
        &[
            "HTTP/1.1 404 ",
            "\r\nContent-Type: text/html",
            "\r\nContent-Security-Policy: ",
        ],
    );
    has(&page, &["There is no page “/adm/in/nope”", "<nav"]);
    let (head, body) = cluster.send("POST", "/nope", &accept, "").await;
    has(&head, &["HTTP/1.1 404 "]);
    assert_eq!(body, r#"{"message":"NOT_FOUND"}"#);
}

/// Console spec 11: the API stays what it is beside the pages, whoever asks; its cases are the `na_` tests of this program.
#[tokio::test]
async fn ui_007_the_api_answers_programs_also_when_a_browser_asks() {
    let cluster = Cluster::start().await;
    let browser = ["Accept: text/html", "Sec-Fetch-Mode: navigate"];
    for path in [
        "/ping",
        "/api/topics",
        "/api/topics/t1",
        "/api/topics/t1/c1",
        "/api/nodes",
        "/api/counter",
    ] {
        let plain = cluster.body(path).await;
        let (head, body) = cluster.send("GET", path, &browser, "").await;
        has(&head, &["HTTP/1.1 200 "]);
        assert_eq!(body, plain, "{path}");
        assert!(!body.contains('<'), "{path}: {body}");
    }
}

/// Console spec 11.
#[tokio::test]
async fn ui_038_a_node_with_an_ipv6_address() {
    let cluster = Cluster::start().await;
    let port = cluster.nsqds[0].port().to_owned();
    let six = Fake::start_at(&format!("[::1]:{port}")).await;
    six.answers("/stats", stats(8, 3));
    six.answers("/stats?topic=t1", stats(8, 3));
    let info =
        format!(r#"{{"version":"1.3.0","broadcast_address":"::1","http_port":{port},"tcp_port":4150}}"#);
    six.answers("/info", info);
    let node = cluster.nsqds[0].node("d1", r#"["t1"]"#);
    let node = node.replace(
        r#""broadcast_address":"127.0.0.1""#,
        r#""broadcast_address":"::1""#,
    );
    for lookupd in &cluster.lookupds {
        lookupd.answers("/nodes", format!(r#"{{"producers":[{node}]}}"#));
        lookupd.answers(
            "/lookup?topic=t1",
            format!(r#"{{"channels":["c1"],"producers":[{node}]}}"#),
        );
    }
    let key = format!("[::1]:{port}");
    let url = format!("/nodes/%5B%3A%3A1%5D%3A{port}");
    has(
        &cluster.body("/nodes").await,
        &[&format!(r#"href="{url}">{key}</a>"#)],
    );
    let page = cluster.body(&url).await;
    has(
        &page,
        &[
            r#"href="/topics/t1">t1</a>"#,
            r#"href="/topics/t1/c1">t1/c1</a>"#,
            &format!("/topics/t1?confirm=tombstone&#38;node=%5B%3A%3A1%5D%3A{port}"),
        ],
    );
    let form = format!("do=tombstone&name=t1&node=%5B%3A%3A1%5D%3A{port}");
    let (head, _) = post(&cluster, "/topics/t1", &form).await;
    has(
        &result_of(&cluster, &head).await,
        &["Done: all 3 upstreams did it."],
    );
    for lookupd in &cluster.lookupds {
        assert_eq!(
            lookupd.posted(),
            [format!("/topic/tombstone?topic=t1&node=%5B%3A%3A1%5D%3A{port}")]
        );
    }
    assert_eq!(six.posted(), ["/topic/delete?topic=t1"]);
}

/// Console spec 11.
#[tokio::test]
async fn ui_006_assets_are_kept_for_ever_by_their_hash_and_a_folder_may_replace_them() {
    let cluster = Cluster::start().await;
    let page = cluster.body("/").await;
    let urls: Vec<&str> = page
        .split('"')
        .filter(|text| text.starts_with("/static/"))
        .collect();
    assert_eq!(urls.len(), 3, "{urls:?}");
    for url in &urls {
        let (head, packed) = cluster
            .send_bytes("GET", url, &["Accept-Encoding: gzip"], "")
            .await;
        has(
            &head,
            &[
                "\r\nCache-Control: public, max-age=31536000, immutable",
                "\r\nContent-Encoding: gzip",
            ],
        );
        assert!(packed.starts_with(&[0x1f, 0x8b]));
        let bare = url.split('?').next().unwrap();
        for other in [bare.to_owned(), format!("{bare}?v=000000000000")] {
            let (head, _) = cluster.get(&other).await;
            has(&head, &["HTTP/1.1 200 ", "\r\nCache-Control: no-cache"]);
        }
    }
    let folder = std::env::temp_dir().join(format!("nsqadmin-static-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("app.css"), "/* mine */").unwrap();
    std::fs::write(folder.join("secret.key"), "no").unwrap();
    let flag = format!("--dev-static-dir={}", folder.display());
    let cluster = Cluster::start_flags("", true, &[&flag]).await;
    let (head, body) = cluster.get(urls[0]).await;
    has(
        &head,
        &[
            "\r\nCache-Control: no-cache",
            "\r\nContent-Type: text/css; charset=utf-8",
        ],
    );
    assert_eq!(body, "/* mine */");
    for path in [
        "app.js",
        "secret.key",
        "..%2Fapp.css",
        "%2Fetc%2Fhosts.css",
        ".css",
    ] {
        cluster.ask("GET", &format!("/static/{path}"), "", 404).await;
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
