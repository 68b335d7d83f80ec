//! Who must come over TLS, and with which certificate: cases 153 to 158 of the nsqd specification, and of 248 and 249 what is
//! about TLS.

use nsq_testkit::tls::{self, Identity};
use nsq_testkit::{BOUND, Conn, nsqd_binary, request_tls};
use serde_json::json;
use std::path::Path;

use crate::{Files, identified, lets_in, secured};

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

/// With nd_158: HTTP stays open.
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
