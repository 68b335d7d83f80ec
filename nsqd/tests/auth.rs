//! Authorization: cases 266 and 269 to 282 of the nsqd specification, with an auth server made by the test.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test; its auth server is a real one, and certificates are real files"
)]

use nsq_testkit::tls::{self, Authority, Identity};
use nsq_testkit::{Conn, Daemon, Launch, Next, eventually, nsqd_binary, ours_only};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One request that the auth server got.
#[derive(Clone, Debug)]
struct Asked {
    line: String,
    head: String,
    body: String,
}

/// An auth server that answers whatever the test says now.
struct AuthServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    answer: (u16, String),
    asked: Vec<Asked>,
}

impl AuthServer {
    fn new(answer: &serde_json::Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            answer: (200, answer.to_string()),
            asked: Vec::new(),
        }));
        let inner = Arc::clone(&shared);
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer_one(stream, &inner);
            }
        });
        Self { address, shared }
    }

    fn answers(&self, status: u16, body: &str) {
        self.shared.lock().unwrap().answer = (status, body.to_owned());
    }

    fn asked(&self) -> Vec<Asked> {
        self.shared.lock().unwrap().asked.clone()
    }

    fn flag(&self) -> String {
        format!("--auth-http-address={}", self.address)
    }
}

fn answer_one(stream: TcpStream, shared: &Mutex<Shared>) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut head, mut length) = (String::new(), String::new(), 0);
    if reader.read_line(&mut line).is_err() {
        return;
    }
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).is_err() || header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&header);
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let (status, answer) = {
        let mut shared = shared.lock().unwrap();
        shared.asked.push(Asked {
            line: line.trim().to_owned(),
            head: head.to_lowercase(),
            body: String::from_utf8(body).unwrap(),
        });
        shared.answer.clone()
    };
    let reply = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    );
    // A daemon that gave up is no concern of the server.
    let _ = reader.get_mut().write_all(reply.as_bytes());
}

fn launch() -> Launch {
    Launch::new(nsqd_binary(env!("CARGO_BIN_EXE_nsqd")))
}

fn grant(topic: &str, channels: &[&str], permissions: &[&str], ttl: i64) -> serde_json::Value {
    json!({
        "ttl": ttl, "identity": "me", "identity_url": "http://me/",
        "authorizations": [{"topic": topic, "channels": channels, "permissions": permissions}],
    })
}

/// Everything is granted for a minute.
fn all() -> serde_json::Value {
    grant(".*", &[".*"], &["subscribe", "publish"], 60)
}

fn auth(daemon: &Daemon) -> Conn {
    let mut conn = daemon.connect();
    conn.command_with("AUTH", b"secret");
    conn
}

/// A connection that was granted something.
fn let_in(daemon: &Daemon) -> Conn {
    let mut conn = auth(daemon);
    assert_eq!(conn.frame().kind, 0);
    conn
}

/// With nd_282: HTTP asks nobody.
#[test]
fn nd_266_282_commands_wait_for_auth_and_http_does_not() {
    let server = AuthServer::new(&all());
    let daemon = launch().flag(server.flag()).start();
    let mut conn = daemon.connect();
    conn.identify(r#"{"feature_negotiation":true}"#);
    assert!(conn.frame().text().contains(r#""auth_required":true"#));
    conn.command("SUB t ch");
    conn.expect_fatal("E_AUTH_FIRST AUTH required before SUB");
    for command in ["PUB t", "DPUB t 1000"] {
        let mut conn = daemon.connect();
        conn.command(command);
        conn.expect_silence(Duration::from_millis(100));
        conn.send(&nsq_testkit::body(b"m"));
        let name = command.split(' ').next().unwrap();
        conn.expect_fatal(&format!("E_AUTH_FIRST AUTH required before {name}"));
    }
    let mut conn = daemon.connect();
    conn.command("MPUB t");
    conn.expect_fatal("E_AUTH_FIRST AUTH required before MPUB");
    let mut conn = daemon.connect();
    conn.command_with("PUB t", &vec![b'x'; 100_000]);
    conn.expect_fatal("E_AUTH_FIRST AUTH required before PUB");
    assert_eq!(
        daemon.stats()["topics"],
        json!([]),
        "no topic is made for a refused command"
    );
    daemon.post("/pub?topic=t", b"m").expect(200, "OK");
}

/// With nd_271: the answer.
#[test]
fn nd_269_271_a_query_and_the_answer_to_auth() {
    let server = AuthServer::new(&json!({"ttl": 60, "authorizations": [{"topic": "x"}]}));
    let daemon = launch().flag(server.flag()).start();
    let mut conn = daemon.connect();
    conn.command_with("AUTH", b"a secret&=");
    conn.expect_response(r#"{"identity":"","identity_url":"","permission_count":1}"#);
    let asked = &server.asked()[0];
    assert_eq!(
        asked.line,
        "GET /auth?common_name=&remote_ip=127.0.0.1&secret=a+secret%26%3D&tls=false HTTP/1.1"
    );
    assert!(
        asked
            .head
            .contains("accept: application/vnd.nsq; version=1.0\r\n"),
        "{}",
        asked.head
    );
}

#[test]
fn nd_270_a_query_by_post_to_a_whole_url() {
    if ours_only("`--auth-http-request-method`") {
        return;
    }
    let server = AuthServer::new(&all());
    let daemon = launch()
        .flag(format!("--auth-http-address=http://{}/my/path", server.address))
        .flag("--auth-http-request-method=post")
        .start();
    let_in(&daemon);
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /my/path HTTP/1.1");
    assert!(
        asked.head.contains("content-type: application/json\r\n"),
        "{}",
        asked.head
    );
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(
        body,
        json!({"common_name": [""], "remote_ip": ["127.0.0.1"], "secret": ["secret"], "tls": ["false"]})
    );
}

#[test]
fn nd_272_273_answers_that_grant_nothing() {
    let server = AuthServer::new(&json!({"ttl": 1, "authorizations": []}));
    let daemon = launch()
        .flag(server.flag())
        .flag("--http-client-request-timeout=1s")
        .start();
    auth(&daemon).expect_fatal("E_UNAUTHORIZED AUTH no authorizations found");
    let granted = r#"[{"topic":".*","channels":[".*"],"permissions":["publish"]}]"#;
    for (status, body) in [
        (200, format!(r#"{{"ttl":0,"authorizations":{granted}}}"#)),
        (200, format!(r#"{{"ttl":-1,"authorizations":{granted}}}"#)),
        (200, format!(r#"{{"ttl":1.5,"authorizations":{granted}}}"#)),
        (
            200,
            r#"{"ttl":1,"authorizations":[{"topic":"(","channels":[],"permissions":[]}]}"#.to_owned(),
        ),
        (
            200,
            r#"{"ttl":1,"authorizations":[{"topic":"x","channels":["x"],"permissions":["rule"]}]}"#
                .to_owned(),
        ),
        (200, "no json".to_owned()),
        (403, all().to_string()),
        (500, all().to_string()),
    ] {
        server.answers(status, &body);
        auth(&daemon).expect_fatal("E_AUTH_FAILED AUTH failed");
    }
}

#[test]
fn nd_273_a_server_that_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let daemon = launch()
        .flag(format!("--auth-http-address={}", silent.local_addr().unwrap()))
        .flag("--http-client-request-timeout=500ms")
        .start();
    auth(&daemon).expect_fatal("E_AUTH_FAILED AUTH failed");
}

#[test]
fn nd_274_auth_comes_once() {
    let server = AuthServer::new(&all());
    let daemon = launch().flag(server.flag()).start();
    let mut conn = let_in(&daemon);
    conn.command_with("AUTH", b"secret");
    conn.expect_fatal("E_INVALID AUTH already set");
}

/// With nd_276 and nd_277: permissions, and expressions that are not anchored.
#[test]
fn nd_275_276_277_what_was_granted_decides() {
    let server = AuthServer::new(&all());
    let daemon = launch().flag(server.flag()).start();
    let granted = |answer: serde_json::Value| {
        server.answers(200, &answer.to_string());
        let_in(&daemon)
    };
    let mut conn = granted(grant("t", &["ch"], &["publish"], 60));
    conn.command_with("PUB t", b"m");
    conn.expect_fatal(r#"E_UNAUTHORIZED AUTH failed for PUB on "t" """#);
    let mut conn = granted(grant("t", &[".*"], &["publish"], 60));
    conn.publish("t", b"m");
    conn.publish("xtx", b"m");
    conn.publish_many("t", &[b"a", b"b"]);
    conn.command("SUB t ch");
    conn.expect_fatal(r#"E_UNAUTHORIZED AUTH failed for SUB on "t" "ch""#);
    let mut conn = granted(grant("^t$", &[".*"], &["publish"], 60));
    conn.command_with("PUB xtx", b"m");
    conn.expect_fatal(r#"E_UNAUTHORIZED AUTH failed for PUB on "xtx" """#);
    for command in ["PUB t", "DPUB t 1", "MPUB t"] {
        let mut conn = granted(grant("t", &[".*"], &["subscribe"], 60));
        conn.send(&[command.as_bytes(), b"\n", &nsq_testkit::body(b"m")].concat());
        let name = command.split(' ').next().unwrap();
        match conn.next(nsq_testkit::BOUND) {
            Next::Frame(frame) => {
                assert_eq!(
                    frame.text(),
                    format!(r#"E_UNAUTHORIZED AUTH failed for {name} on "t" """#)
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

/// With nd_279: an idle subscriber goes on.
#[test]
fn nd_278_279_what_has_run_out_is_asked_for_again() {
    let server = AuthServer::new(&grant(".*", &[".*"], &["subscribe", "publish"], 1));
    let daemon = launch().flag(server.flag()).start();
    let mut subscriber = let_in(&daemon);
    subscriber.subscribe("t", "ch");
    subscriber.command("RDY 10");
    let (mut fails, mut empties, mut conn) = (let_in(&daemon), let_in(&daemon), let_in(&daemon));
    let before = server.asked().len();
    // Each publish within the second is covered; the first one after it asks once.
    eventually(Duration::from_secs(5), || {
        conn.publish("t", b"m");
        server.asked().len() > before
    });
    conn.publish("t", b"m");
    assert_eq!(server.asked().len(), before + 1);
    // Its own grant has run out too, and it goes on receiving.
    subscriber.expect_message(b"m");
    server.answers(500, "");
    fails.command_with("PUB t", b"m");
    fails.expect_fatal("E_AUTH_FAILED AUTH failed");
    server.answers(200, r#"{"ttl":1,"authorizations":[]}"#);
    empties.command_with("PUB t", b"m");
    empties.expect_fatal(r#"E_UNAUTHORIZED AUTH failed for PUB on "t" """#);
}

#[test]
fn nd_280_the_next_server_is_asked_when_one_is_dead() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = AuthServer::new(&all());
    let daemon = launch()
        .flag(format!("--auth-http-address={dead}"))
        .flag(server.flag())
        .start();
    for _ in 0..4 {
        let_in(&daemon);
    }
}

#[test]
fn nd_281_the_name_in_the_clients_certificate_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = Authority::new().issue("nsqd").write(folder.path());
    let server = AuthServer::new(&all());
    let daemon = launch()
        .flag(server.flag())
        .flag(format!("--tls-cert={}", cert.display()))
        .flag(format!("--tls-key={}", key.display()))
        .flag("--tls-client-auth-policy=require")
        .flag("--tls-required=tcp-https")
        .flag("--https-address=127.0.0.1:0")
        .start();
    let mut conn = daemon.connect();
    conn.identify(r#"{"feature_negotiation":true,"tls_v1":true}"#);
    assert_eq!(conn.frame().kind, 0);
    let config = tls::client_with(&Identity::self_signed("the name"));
    conn.start_tls(&config).unwrap();
    conn.expect_ok();
    conn.command_with("AUTH", b"secret");
    assert_eq!(conn.frame().kind, 0);
    let line = &server.asked()[0].line;
    assert!(
        line.contains("common_name=the+name&") && line.contains("&tls=true"),
        "{line}"
    );
    conn.subscribe("t", "ch");
    let client = daemon.topic("t")["channels"][0]["clients"][0].clone();
    assert_eq!(
        (
            &client["authed"],
            &client["auth_identity"],
            &client["auth_identity_url"]
        ),
        (&json!(true), &json!("me"), &json!("http://me/"))
    );
}

/// Section 9.2: an https URL, and a server that answers 403 and names its `https_port`.
#[test]
fn auth_servers_may_want_https() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, authority.cert()).unwrap();
    let root_ca = format!("--tls-root-ca-file={}", ca.display());
    let known = tls::serve_https(&authority.issue("auth"), &all().to_string());
    let stranger = tls::serve_https(&Identity::self_signed("auth"), &all().to_string());
    let launch_with = |flag: String| launch().flag(flag).flag(root_ca.clone()).start();

    let daemon = launch_with(format!("--auth-http-address=https://{known}/auth"));
    let_in(&daemon).publish("t", b"m");

    let daemon = launch_with(format!("--auth-http-address=https://{stranger}/auth"));
    auth(&daemon).expect_fatal("E_AUTH_FAILED AUTH failed");

    let plain = AuthServer::new(&json!({}));
    plain.answers(
        403,
        &json!({"message": "TLS_REQUIRED", "https_port": known.port()}).to_string(),
    );
    let daemon = launch_with(plain.flag());
    let_in(&daemon).publish("t", b"m");
}
