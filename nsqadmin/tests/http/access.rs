//! Who may look, by what name, and over what.

use std::path::PathBuf;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use base64::Engine as _;
use nsq_testkit::tls::{Identity, client};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{COOKIE, Cluster, Fake, TOKEN, has, nothing_was_posted};

/// A file in a folder of its own.
fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("nsqadmin-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

/// Cheap to verify, as a test has no secret.
fn hash(password: &str) -> String {
    let params = Params::new(8, 1, 1, None).unwrap();
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon.hash_password_with_salt(password.as_bytes(), b"saltsalt");
    hash.unwrap().to_string()
}

fn login(name: &str, password: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    format!("Authorization: Basic {text}")
}

async fn status(cluster: &Cluster, path: &str, headers: &[&str]) -> String {
    let (head, _) = cluster.send("GET", path, headers, "").await;
    head.split(' ').nth(1).unwrap().to_owned()
}

/// Console spec 11; that groups map to roles and the highest wins is `the_highest_role_of_user_and_groups_wins`.
#[tokio::test]
async fn ui_123_logins_of_a_file() {
    let path = file(
        "logins",
        &format!("ann:admin:{}\nvera:viewer:{}\n", hash("right"), hash("look")),
    );
    let flags = [
        format!("--basic-auth-file={}", path.display()),
        "--default-role=none".to_owned(),
        "--operator-user=olga".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let cluster = Cluster::start_flags("", true, &flags).await;
    let right = login("ann", "right");
    for path in [
        "/",
        "/topics/t1",
        "/api/topics",
        "/config/log_level",
        "/stream?view=%2F",
        "/static/app.css",
        "/info",
    ] {
        let (head, _) = cluster.get(path).await;
        has(
            &head,
            &["HTTP/1.1 401 ", "\r\nWww-Authenticate: Basic realm=\"nsqadmin\""],
        );
    }
    for path in ["/ping", "/livez", "/ready", "/metrics"] {
        assert_eq!(status(&cluster, path, &[]).await, "200", "{path}");
    }
    let (_, page) = cluster.send("GET", "/topics/t1", &[&right], "").await;
    has(
        &page,
        &[r#" data-role="admin" "#, "ann · admin", "?confirm=delete"],
    );
    let (_, page) = cluster
        .send("GET", "/topics/t1", &[&login("vera", "look")], "")
        .await;
    has(&page, &[r#" data-role="viewer" "#]);
    // a header of a proxy is another way in, but not beside wrong credentials
    assert_eq!(status(&cluster, "/", &["X-Forwarded-User: olga"]).await, "200");
    let wrong = login("ann", "wrong");
    for credentials in [&wrong, &login("nobody", "right"), &wrong] {
        assert_eq!(
            status(&cluster, "/", &[credentials, "X-Forwarded-User: olga"]).await,
            "401"
        );
    }
    for _ in 0..2 {
        assert_eq!(status(&cluster, "/", &[&wrong]).await, "401");
    }
    assert_eq!(status(&cluster, "/", &[&wrong]).await, "429");
    // credentials that were right go on, and a minute later so do others
    assert_eq!(status(&cluster, "/", &[&right]).await, "200");
    cluster.pass(61);
    assert_eq!(status(&cluster, "/", &[&wrong]).await, "401");
    // the file is read anew
    std::fs::write(
        &path,
        format!("ann:operator:{}\n# vera left the company\n", hash("new")),
    )
    .unwrap();
    cluster.pass(2);
    assert_eq!(status(&cluster, "/", &[&right]).await, "401");
    assert_eq!(status(&cluster, "/", &[&login("vera", "look")]).await, "401");
    let (_, page) = cluster.send("GET", "/", &[&login("ann", "new")], "").await;
    has(&page, &[r#" data-role="operator" "#]);
    // what is not understood changes nothing
    std::fs::write(&path, "ann:king:secret").unwrap();
    cluster.pass(2);
    assert_eq!(status(&cluster, "/", &[&login("ann", "new")]).await, "200");
    std::fs::remove_file(&path).unwrap();
    for (role, expected) in [
        ("none", "403"),
        ("viewer", "200"),
        ("operator", "200"),
        ("admin", "200"),
    ] {
        let cluster = Cluster::start_flags("", true, &[&format!("--default-role={role}")]).await;
        let (head, page) = cluster.get("/").await;
        has(&head, &[&format!("HTTP/1.1 {expected} ")]);
        assert_eq!(page.contains(&format!(r#" data-role="{role}" "#)), role != "none");
    }
}

/// Console spec 11: these tests come from 127.0.0.1.
#[tokio::test]
async fn ui_122_headers_of_strangers_are_nobody() {
    let admin = "X-Forwarded-User: ann";
    let flags = [
        "--admin-user=ann",
        "--acl-groups-http-header=X-Groups",
        "--admin-group=root",
    ];
    for (net, role) in [("10.0.0.0/8", "viewer"), ("127.0.0.0/8", "admin")] {
        let mut flags = flags.to_vec();
        let net = format!("--trusted-proxy-cidr={net}");
        flags.push(&net);
        let cluster = Cluster::start_flags("", true, &flags).await;
        for header in [admin, "X-Groups: root"] {
            let (_, page) = cluster.send("GET", "/topics/t1", &[header], "").await;
            has(&page, &[&format!(r#" data-role="{role}" "#)]);
            assert_eq!(page.contains("?confirm=delete"), role == "admin");
            let (head, _) = cluster.send("DELETE", "/api/topics/dead", &[header], "").await;
            assert_eq!(head.starts_with("HTTP/1.1 403 "), role == "viewer", "{head}");
        }
    }
}

/// Console spec 11: the fakes are asked as `Host: x`.
#[tokio::test]
async fn ui_125_other_sites_and_other_names_are_refused() {
    let pause = r#"{"action":"pause"}"#;
    let flags = ["--allowed-origin=https://admin.example"];
    let cluster = Cluster::start_flags("", true, &flags).await;
    for headers in [
        ["Sec-Fetch-Site: cross-site", "Accept: */*"],
        ["Origin: https://evil.example", "Accept: */*"],
    ] {
        let (head, _) = cluster.send("POST", "/api/topics/t1", &headers, pause).await;
        has(&head, &["HTTP/1.1 403 "]);
    }
    nothing_was_posted(&cluster);
    let allowed = ["Origin: https://admin.example", "Sec-Fetch-Site: cross-site"];
    for headers in [&allowed[..], &[]] {
        let (head, _) = cluster.send("POST", "/api/topics/t1", headers, pause).await;
        has(&head, &["HTTP/1.1 200 "]);
        assert_eq!(cluster.nsqds[0].posted(), ["/topic/pause?topic=t1"]);
    }
    for (host, expected) in [("x", "200"), ("admin.example", "421")] {
        let cluster = Cluster::start_flags("", true, &[&format!("--allowed-host={host}")]).await;
        for path in ["/", "/api/topics", "/static/app.css", "/stream?once=1&view=%2F"] {
            let got = status(&cluster, path, &[]).await;
            assert!(
                got == expected || expected == "200" && path.starts_with("/stream"),
                "{host} {path}: {got}"
            );
        }
        let (head, _) = cluster.send("DELETE", "/api/topics/t1", &[], "").await;
        has(&head, &[&format!("HTTP/1.1 {expected} ")]);
        assert_eq!(cluster.nsqds[0].posted().is_empty(), expected == "421");
        assert_eq!(status(&cluster, "/ping", &[]).await, "200");
    }
}

/// nsqadmin spec 14.
#[tokio::test]
async fn na_060_graphite_is_asked_through_the_console() {
    let graphite = Fake::start().await;
    graphite.answers("/render", r#"[{"target":"a"}]"#);
    let url = format!("--graphite-url=http://user:secret@{}/ignored", graphite.address);
    for base in ["", "/adm/in"] {
        let cluster = Cluster::start_flags(base, true, &[&url, "--proxy-graphite"]).await;
        let query = "target=sumSeries(a.*)&from=-2min&format=json";
        let headers = ["X-Forwarded-For: 10.0.0.1"];
        let (head, body) = cluster
            .send("GET", &format!("/render?{query}"), &headers, "")
            .await;
        has(&head, &["HTTP/1.1 200 ", "\r\nContent-Type: application/json"]);
        assert_eq!(body, r#"[{"target":"a"}]"#);
        assert_eq!(graphite.last_query(), query);
        assert_eq!(graphite.last_header("x-forwarded-for"), "10.0.0.1, 127.0.0.1");
        assert_eq!(graphite.last_header("host"), "x");
        assert_eq!(graphite.last_header("authorization"), "Basic dXNlcjpzZWNyZXQ=");
    }
    let without = Cluster::start_flags("", true, &[&url]).await;
    assert_eq!(status(&without, "/render?target=a", &[]).await, "404");
    graphite.stop().await;
    let cluster = Cluster::start_flags("", true, &[&url, "--proxy-graphite"]).await;
    assert_eq!(status(&cluster, "/render?target=a", &[]).await, "502");
}

/// nsqadmin spec 14; console spec: every route is a page of its own, whichever is opened first.
#[tokio::test]
async fn na_063_every_route_is_a_page() {
    for base in ["", "/adm/in"] {
        let cluster = Cluster::start_with(base, true).await;
        let node = format!("/nodes/{}", cluster.nsqds[0].address);
        let root = if base.is_empty() { "/" } else { "" };
        for path in [
            root,
            "/topics",
            "/topics/t1",
            "/topics/t1/c1",
            "/nodes",
            &node,
            "/counter",
            "/lookup",
        ] {
            let (head, page) = cluster.get(path).await;
            has(
                &head,
                &["HTTP/1.1 200 ", "\r\nContent-Type: text/html; charset=utf-8"],
            );
            has(&page, &["</html>", r#"<main id="main">"#]);
        }
    }
}

/// Extensions spec 11.1: the same pages over TLS, and a cookie that stays there.
#[tokio::test]
async fn pages_come_over_tls_too() {
    let folder = std::env::temp_dir().join(format!("nsqadmin-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (cert, key) = Identity::self_signed("localhost").write(&folder);
    let flags = [
        "--https-address=127.0.0.1:0".to_owned(),
        format!("--tls-cert={}", cert.display()),
        format!("--tls-key={}", key.display()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let cluster = Cluster::start_flags("", true, &flags).await;
    let port = u16::try_from(cluster.https_port()).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&client()));
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    let ask = b"GET /lookup HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut bytes = Vec::new();
    // the peer may end without a farewell of TLS
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    has(
        &text,
        &["HTTP/1.1 200 ", "nsqadmin_csrf=", "; Secure\r\n", "</html>"],
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Console spec 6.1: who may not do it is told why, on a page.
#[tokio::test]
async fn a_refusal_is_a_page_that_says_why() {
    let cluster = Cluster::start_flags("", true, &["--admin-user=ann", "--operator-user=olga"]).await;
    let form = format!("{TOKEN}&do=delete&name=t1");
    for (headers, text) in [
        (vec![COOKIE], "This needs the role operator. You are viewer."),
        (
            vec![COOKIE, "X-Forwarded-User: olga"],
            "This needs the role admin. olga is operator.",
        ),
        (
            vec![COOKIE, "X-Forwarded-User: ann", "Sec-Fetch-Site: cross-site"],
            "sent by a page of another site",
        ),
    ] {
        let (head, page) = cluster.send("POST", "/topics/t1", &headers, &form).await;
        has(&head, &["HTTP/1.1 403 "]);
        has(&page, &[text]);
    }
    nothing_was_posted(&cluster);
}
