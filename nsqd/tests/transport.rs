//! TLS and compression: cases 138, 139, 141, 145 to 159, 293 and 294 of the nsqd specification, and certificates that change.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test; certificates are written to real files"
)]

use nsq_testkit::tls::{self, Authority, Identity};
use nsq_testkit::{
    BOUND, Compression, Conn, Daemon, Launch, Next, Stopwatch, eventually, nsqd_binary, ours_only,
    request_tls,
};
use rustls::ClientConfig;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

fn launch() -> Launch {
    Launch::new(nsqd_binary(env!("CARGO_BIN_EXE_nsqd")))
}

/// Files of a server: its certificate, its key, the CA.
struct Files {
    folder: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.issue("nsqd").write(folder.path());
        std::fs::write(folder.path().join("ca.crt"), authority.cert()).unwrap();
        Self { folder, authority }
    }

    fn launch(&self) -> Launch {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        launch()
            .flag(format!("--tls-cert={}", file("tls.crt")))
            .flag(format!("--tls-key={}", file("tls.key")))
            .flag("--https-address=127.0.0.1:0")
    }

    fn root_ca(&self) -> String {
        format!(
            "--tls-root-ca-file={}",
            self.folder.path().join("ca.crt").display()
        )
    }
}

/// A connection that has said what it wants, and the server's answer.
fn identified(daemon: &Daemon, wishes: &Value) -> (Conn, Value) {
    let mut wanted = json!({"feature_negotiation": true});
    wanted
        .as_object_mut()
        .unwrap()
        .extend(wishes.as_object().unwrap().clone());
    let mut conn = daemon.connect();
    conn.identify(&wanted.to_string());
    let frame = conn.frame();
    assert_eq!(frame.kind, 0, "{:?}", frame.text());
    let answer = serde_json::from_slice(&frame.data).unwrap();
    (conn, answer)
}

/// The same with TLS, whose `OK` was read.
fn secured(daemon: &Daemon, config: &Arc<ClientConfig>) -> Conn {
    let (mut conn, answer) = identified(daemon, &json!({"tls_v1": true}));
    assert_eq!(answer["tls_v1"], true);
    conn.start_tls(config).unwrap();
    conn.expect_ok();
    conn
}

fn compressed(daemon: &Daemon, compression: Compression) -> Conn {
    let wish = match compression {
        Compression::Snappy => json!({"snappy": true}),
        Compression::Deflate => json!({"deflate": true}),
    };
    let (mut conn, _) = identified(daemon, &wish);
    conn.start_compression(compression);
    conn.expect_ok();
    conn
}

/// Everything a client does, through whatever lies on the connection. Gives the consumer back.
fn works(mut publisher: Conn, mut consumer: Conn, topic: &str) -> Conn {
    consumer.subscribe(topic, "ch");
    consumer.command("RDY 10");
    for body in [&b"small"[..], &vec![b'x'; 128_000], &random(128_000)] {
        publisher.publish(topic, body);
        let delivery = consumer.expect_message(body);
        consumer.finish(&delivery);
    }
    publisher.publish_many(topic, &[b"one", b"two"]);
    consumer.expect_message(b"one");
    consumer.expect_message(b"two");
    publisher.command("PUB not,a,name");
    publisher.expect_fatal("E_BAD_TOPIC PUB topic name \"not,a,name\" is not valid");
    consumer
}

/// Bytes that no compression makes smaller.
fn random(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn nd_138_139_both_compressions_are_refused_unless_the_server_has_none() {
    let daemon = launch().start();
    let both = r#"{"feature_negotiation":true,"snappy":true,"deflate":true}"#;
    let mut conn = daemon.connect();
    conn.identify(both);
    conn.expect_fatal("E_IDENTIFY_FAILED cannot enable both deflate and snappy compression");
    let mut conn = daemon.connect();
    conn.identify(r#"{"snappy":true,"deflate":true}"#);
    conn.expect_ok();

    let daemon = launch().flag("--snappy=false").flag("--deflate=false").start();
    let (mut conn, answer) = identified(&daemon, &json!({"snappy": true, "deflate": true}));
    assert_eq!(
        (&answer["snappy"], &answer["deflate"]),
        (&json!(false), &json!(false))
    );
    conn.publish("t", b"in clear");
}

#[test]
fn nd_141_the_level_of_deflate_is_capped() {
    let level = |daemon: &Daemon, wishes: Value| identified(daemon, &wishes).1["deflate_level"].clone();
    let low = launch().flag("--max-deflate-level=3").start();
    assert_eq!(level(&low, json!({"deflate": true})), 3);
    assert_eq!(level(&low, json!({"deflate": true, "deflate_level": 9})), 3);
    let usual = launch().start();
    assert_eq!(level(&usual, json!({"deflate": true, "deflate_level": 9})), 6);
    for none in [-1, 0] {
        assert_eq!(level(&usual, json!({"deflate": true, "deflate_level": none})), 6);
    }
    assert_eq!(level(&usual, json!({"deflate": true, "deflate_level": 2})), 2);
    assert_eq!(level(&usual, json!({"deflate_level": 2})), 6);
}

#[test]
fn nd_145_everything_goes_through_deflate() {
    let daemon = launch().start();
    let deflate = || compressed(&daemon, Compression::Deflate);
    let _consumer = works(deflate(), deflate(), "t");
    assert_eq!(daemon.topic("t")["channels"][0]["clients"][0]["deflate"], true);
}

#[test]
fn nd_146_everything_goes_through_snappy() {
    let daemon = launch().start();
    let (mut conn, answer) = identified(&daemon, &json!({"snappy": true}));
    assert_eq!(answer["snappy"], true);
    // Identifier, then an uncompressed chunk: type, length, checksum, the framed OK.
    let first = conn.bytes(10 + 4 + 4 + 10);
    assert_eq!(first[..10], *b"\xff\x06\0\0sNaPpY");
    assert_eq!(first[10..14], [1, 14, 0, 0]);
    assert_eq!(first[18..], *b"\0\0\0\x06\0\0\0\0OK");
    let snappy = || compressed(&daemon, Compression::Snappy);
    let _consumer = works(snappy(), snappy(), "t");
    assert_eq!(daemon.topic("t")["channels"][0]["clients"][0]["snappy"], true);
}

#[test]
fn nd_146_each_write_may_begin_with_an_identifier() {
    let daemon = launch().start();
    let mut conn = compressed(&daemon, Compression::Snappy);
    // "PUB t\n", length, "m" as a stream of its own, twice.
    let plain = b"PUB t\n\0\0\0\x01m";
    let mut stream = snap::write::FrameEncoder::new(Vec::new());
    std::io::Write::write_all(&mut stream, plain).unwrap();
    let one = stream.into_inner().unwrap();
    conn.send_raw(&[&one[..], &one[..]].concat());
    conn.expect_ok();
    conn.expect_ok();
}

#[test]
fn nd_147_garbage_instead_of_compressed_bytes_closes_the_connection() {
    let daemon = launch().start();
    for (compression, garbage) in [
        (Compression::Snappy, &b"this is no chunk at all"[..]),
        (Compression::Deflate, &[0xff; 64]),
    ] {
        let mut conn = compressed(&daemon, compression);
        conn.send_raw(garbage);
        assert_eq!(conn.next(BOUND), Next::Closed, "{compression:?}");
    }
    daemon.connect().publish("t", b"others are served");
}

#[test]
fn nd_148_149_everything_goes_through_tls() {
    let files = Files::new();
    let daemon = files.launch().start();
    let config = tls::client();
    let _consumer = works(secured(&daemon, &config), secured(&daemon, &config), "t");
    let client = daemon.topic("t")["channels"][0]["clients"][0].clone();
    assert_eq!(client["tls"], true);
    assert_eq!(client["tls_version"], "TLS1.3");
    let suite = client["tls_cipher_suite"].as_str().unwrap();
    assert!(
        ["Unknown 4865", "Unknown 4866", "Unknown 4867"].contains(&suite),
        "{suite}"
    );
    assert_eq!(client["tls_negotiated_protocol"], "");
    assert_eq!(client["tls_negotiated_protocol_is_mutual"], true);

    let old = tls::client_of(&[&rustls::version::TLS12], None);
    let mut consumer = secured(&daemon, &old);
    consumer.subscribe("old", "ch");
    let client = daemon.topic("old")["channels"][0]["clients"][0].clone();
    assert_eq!(client["tls_version"], "TLS1.2");
}

#[test]
fn nd_140_150_compression_lies_on_top_of_tls() {
    let files = Files::new();
    let daemon = files.launch().start();
    for (compression, wish) in [(Compression::Snappy, "snappy"), (Compression::Deflate, "deflate")] {
        let both = || {
            let (mut conn, answer) = identified(&daemon, &json!({"tls_v1": true, wish: true}));
            assert_eq!((&answer["tls_v1"], &answer[wish]), (&json!(true), &json!(true)));
            conn.start_tls(&tls::client()).unwrap();
            conn.expect_ok();
            conn.start_compression(compression);
            conn.expect_ok();
            conn
        };
        works(both(), both(), wish);
    }
    let bare = launch().start();
    let (mut conn, answer) = identified(&bare, &json!({"tls_v1": true}));
    assert_eq!(answer["tls_v1"], false);
    conn.publish("t", b"in clear");
}

#[test]
fn nd_151_plain_text_instead_of_a_handshake_is_answered_in_clear() {
    let files = Files::new();
    let daemon = files.launch().start();
    let (mut conn, _) = identified(&daemon, &json!({"tls_v1": true}));
    conn.command("SUB t ch, which is longer than the head of a record");
    assert_clear_failure(&mut conn);
}

/// `E_IDENTIFY_FAILED IDENTIFY failed …` in clear, after whatever alert came, then the end.
fn assert_clear_failure(conn: &mut Conn) {
    let mut seen = String::new();
    while let Some(bytes) = conn.next_bytes(BOUND) {
        seen.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(seen.contains("E_IDENTIFY_FAILED IDENTIFY failed "), "{seen:?}");
}

#[test]
fn nd_152_a_handshake_may_take_five_seconds() {
    let files = Files::new();
    let daemon = files.launch().start();
    let (mut conn, _) = identified(&daemon, &json!({"tls_v1": true}));
    let watch = Stopwatch::start();
    assert_clear_failure(&mut conn);
    watch.expect_ms(4900, 8000);
}

#[test]
fn nd_153_only_identify_may_come_before_required_tls() {
    let files = Files::new();
    let daemon = files.launch().flag("--tls-required").start();
    for name in ["SUB", "NOP", "BOGUS"] {
        let mut conn = daemon.connect();
        conn.command(&format!("{name} t ch").replace("NOP t ch", "NOP"));
        conn.expect_fatal(&format!(
            "E_INVALID cannot {name} in current state (TLS required)"
        ));
    }
    let (mut conn, answer) = identified(&daemon, &json!({}));
    assert_eq!(answer["tls_v1"], false);
    conn.command("SUB t ch");
    conn.expect_fatal("E_INVALID cannot SUB in current state (TLS required)");
    secured(&daemon, &tls::client()).subscribe("t", "ch");
}

#[test]
fn nd_154_tcp_alone_may_have_to_be_tls() {
    let files = Files::new();
    let daemon = files.launch().flag("--tls-required=tcp-https").start();
    let mut conn = daemon.connect();
    conn.command("SUB t ch");
    conn.expect_fatal("E_INVALID cannot SUB in current state (TLS required)");
    daemon.get("/ping").expect(200, "OK");
    let reply = request_tls(daemon.https(), &tls::client(), "GET", "/ping").unwrap();
    reply.expect(200, "OK");
    daemon.get("/config/tls_required").expect(200, "1");
}

#[test]
fn nd_155_plain_http_may_be_closed() {
    let files = Files::new();
    let daemon = files.launch().flag("--tls-required=true").start();
    let port = daemon.https().port();
    for path in ["/ping", "/stats", "/nowhere"] {
        let reply = daemon.get(path);
        reply.expect(
            403,
            &format!(r#"{{"message": "TLS_REQUIRED", "https_port": {port}}}"#),
        );
        assert_eq!(
            reply.header("Content-Type"),
            Some("application/json; charset=utf-8")
        );
    }
    let pong = request_tls(daemon.https(), &tls::client(), "GET", "/ping").unwrap();
    pong.expect(200, "OK");
}

#[test]
fn a_plain_request_to_the_https_port_is_told_so() {
    let files = Files::new();
    let daemon = files.launch().start();
    let mut conn = Conn::connect(daemon.https());
    conn.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut seen = Vec::new();
    while let Some(bytes) = conn.next_bytes(BOUND) {
        seen.extend(bytes);
    }
    assert_eq!(
        String::from_utf8_lossy(&seen),
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    );
}

/// Whether the server lets a client with this configuration in over TCP.
fn lets_in(daemon: &Daemon, config: &Arc<ClientConfig>) -> bool {
    let (mut conn, _) = identified(daemon, &json!({"tls_v1": true}));
    // With TLS 1.3 a client learns only after its own handshake that it is refused.
    conn.start_tls(config).is_ok() && matches!(conn.next(BOUND), Next::Frame(frame) if frame.text() == "OK")
}

#[test]
fn nd_156_some_certificate_may_be_required() {
    let files = Files::new();
    let daemon = files.launch().flag("--tls-client-auth-policy=require").start();
    assert!(!lets_in(&daemon, &tls::client()));
    assert!(lets_in(
        &daemon,
        &tls::client_with(&Identity::self_signed("someone"))
    ));
    assert_eq!(daemon.get("/ping").status, 403);
}

#[test]
fn nd_157_158_a_certificate_of_the_ca_may_be_required() {
    let files = Files::new();
    let daemon = files
        .launch()
        .flag("--tls-client-auth-policy=require-verify")
        .flag("--tls-required=tcp-https")
        .flag(files.root_ca())
        .start();
    let stranger = tls::client_with(&Identity::self_signed("stranger"));
    let known = tls::client_with(&files.authority.issue("known"));
    assert!(!lets_in(&daemon, &stranger));
    assert!(lets_in(&daemon, &known));
    let https = daemon.https();
    assert!(request_tls(https, &stranger, "GET", "/ping").is_err());
    request_tls(https, &known, "GET", "/ping")
        .unwrap()
        .expect(200, "OK");
    // Plain HTTP stays open, because the requirement was narrowed.
    daemon.get("/ping").expect(200, "OK");
}

#[test]
fn nd_159_older_versions_than_the_minimum_are_refused() {
    let files = Files::new();
    let old = tls::client_of(&[&rustls::version::TLS12], None);
    let newest = files.launch().flag("--tls-min-version=tls1.3").start();
    assert!(!lets_in(&newest, &old));
    assert!(lets_in(&newest, &tls::client()));
    // A hello of TLS 1.1, which no library here speaks any more.
    let daemon = files.launch().flag("--tls-min-version=tls1.2").start();
    let (mut conn, _) = identified(&daemon, &json!({"tls_v1": true}));
    conn.send_raw(&hello_of_tls_1_1());
    assert_clear_failure(&mut conn);
    assert!(lets_in(&daemon, &old));
}

/// A ClientHello with version 3.2 and one suite.
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);
    record
}

#[test]
fn nd_248_249_files_that_do_not_fit_end_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new();
    let run = |flags: &[&str]| {
        let mut all = vec!["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"];
        all.extend(flags);
        let ended = nsq_testkit::run_to_end(&nsqd_binary(env!("CARGO_BIN_EXE_nsqd")), &all, folder.path());
        let last = ended.stderr.lines().last().unwrap_or_default().to_owned();
        (ended.code, last)
    };
    let flag = |name: &str, file: &Path| format!("--{name}={}", file.display());
    let (cert, key) = (
        files.folder.path().join("tls.crt"),
        files.folder.path().join("tls.key"),
    );
    let missing = files.folder.path().join("nowhere");
    for flags in [
        vec![flag("tls-cert", &missing), flag("tls-key", &key)],
        vec![flag("tls-cert", &cert), flag("tls-key", &cert)],
        vec![flag("tls-cert", &cert)],
        vec![
            flag("tls-cert", &cert),
            flag("tls-key", &key),
            flag("tls-root-ca-file", &missing),
        ],
    ] {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let (code, last) = run(&flags);
        assert_eq!(code, Some(1), "{flags:?}: {last}");
        assert!(
            last.contains("FATAL: failed to instantiate nsqd - failed to build TLS config - "),
            "{last}"
        );
    }
    let (code, last) = run(&["--tls-required"]);
    assert_eq!(code, Some(1));
    assert!(
        last.contains("cannot require TLS client connections without TLS key and cert"),
        "{last}"
    );
    assert_eq!(run(&["--tls-required=maybe"]).0, Some(2));
    assert_eq!(run(&["--tls-min-version=ssl3.0"]).0, Some(2));
}

#[test]
fn nd_293_a_client_may_upgrade_step_by_step() {
    let files = Files::new();
    let daemon = files.launch().start();
    let (mut conn, _) = identified(&daemon, &json!({"tls_v1": true, "snappy": true}));
    conn.start_tls(&tls::client()).unwrap();
    conn.expect_ok();
    conn.start_compression(Compression::Snappy);
    conn.expect_ok();
    conn.subscribe("t", "ch");
}

#[test]
fn nd_294_the_level_of_the_answer_is_the_one_that_counts() {
    let daemon = launch().start();
    let (mut conn, answer) = identified(&daemon, &json!({"deflate": true}));
    assert_eq!(
        (&answer["deflate_level"], &answer["msg_timeout"]),
        (&json!(6), &json!(60_000))
    );
    conn.start_compression(Compression::Deflate);
    conn.expect_ok();
    conn.subscribe("t", "ch");
    conn.command("RDY 1");
    daemon.post("/pub?topic=t", b"m");
    let attempts = conn.expect_message(b"m").attempts;
    assert_eq!(i16::try_from(attempts).unwrap(), 1);
}

#[test]
fn what_was_sent_ahead_belongs_to_the_layer() {
    if ours_only("the reference loses what a client sends behind IDENTIFY before it has the answer") {
        return;
    }
    let daemon = launch().start();
    let mut conn = daemon.connect();
    let wishes = r#"{"feature_negotiation":true,"deflate":true}"#;
    let mut packed = Vec::with_capacity(1024);
    let mut deflate = flate2::Compress::new(flate2::Compression::fast(), false);
    deflate
        .compress_vec(b"PUB t\n\0\0\0\x01m", &mut packed, flate2::FlushCompress::Sync)
        .unwrap();
    let line = [&b"IDENTIFY\n"[..], &nsq_testkit::body(wishes.as_bytes()), &packed].concat();
    conn.send(&line);
    assert!(conn.frame().text().contains(r#""deflate":true"#));
    conn.start_compression(Compression::Deflate);
    conn.expect_ok();
    conn.expect_ok();
    daemon.expect_topic("t", &[("message_count", 1)]);
}

#[test]
fn ex_104_a_new_certificate_is_taken_while_the_old_connections_go_on() {
    if ours_only("certificates are read again by ours only") {
        return;
    }
    let files = Files::new();
    let daemon = files.launch().start();
    let seen = || peer_of(&daemon);
    let first = seen();
    let mut before = secured(&daemon, &tls::client());
    swap(&files, |folder| {
        files.authority.issue("renewed").write(folder);
    });
    eventually(Duration::from_secs(13), || seen() != first);
    before.publish("t", b"over the old connection");
    let renewed = seen();
    swap(&files, |folder| {
        std::fs::write(folder.join("tls.crt"), "garbage").unwrap();
    });
    daemon.expect_log("TLS: the old certificate stays");
    assert_eq!(seen(), renewed);
}

/// Replaces the files the way Kubernetes does: a new folder, and one rename of a link to it. The first time, the files
/// themselves become links.
fn swap(files: &Files, write: impl FnOnce(&Path)) {
    let folder = files.folder.path();
    let version = tempfile::tempdir_in(folder).unwrap().keep();
    for name in ["tls.crt", "tls.key"] {
        std::fs::copy(folder.join(name), version.join(name)).unwrap();
    }
    write(&version);
    let (data, next) = (folder.join("..data"), folder.join("..next"));
    std::os::unix::fs::symlink(&version, &next).unwrap();
    std::fs::rename(&next, &data).unwrap();
    for name in ["tls.crt", "tls.key"] {
        let link = folder.join(format!("{name}.link"));
        std::os::unix::fs::symlink(Path::new("..data").join(name), &link).unwrap();
        std::fs::rename(&link, folder.join(name)).unwrap();
    }
}

/// The certificate that a new connection is shown.
fn peer_of(daemon: &Daemon) -> Vec<u8> {
    let conn = secured(daemon, &tls::client());
    conn.peer_certificate().expect("a certificate")
}

#[test]
fn ex_105_a_new_ca_decides_about_new_connections() {
    if ours_only("the CA of the clients is read again by ours only") {
        return;
    }
    let files = Files::new();
    let daemon = files
        .launch()
        .flag("--tls-client-auth-policy=require-verify")
        .flag(files.root_ca())
        .start();
    let old = tls::client_with(&files.authority.issue("old"));
    let authority = Authority::new();
    let new = tls::client_with(&authority.issue("new"));
    assert!(lets_in(&daemon, &old) && !lets_in(&daemon, &new));
    let next = files.folder.path().join("ca.next");
    std::fs::write(&next, authority.cert()).unwrap();
    std::fs::rename(&next, files.folder.path().join("ca.crt")).unwrap();
    eventually(Duration::from_secs(13), || lets_in(&daemon, &new));
    assert!(!lets_in(&daemon, &old));
}
