//! TLS on the TCP port: cases 140, 148 to 152, 159 and 293 of the nsqd specification.

use nsq_testkit::tls;
use nsq_testkit::{Compression, Stopwatch};
use serde_json::json;

use crate::{Files, assert_clear_failure, identified, launch, lets_in, secured, works};

/// With nd_149: the names of what was agreed.
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

/// With nd_150: each compression through TLS.
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
