//! `nsq-client` over TLS, snappy, deflate and their combinations, and with authorization: against our nsqd and Go's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nsq_client::{
    ChannelName, Compression, Config, Consumer, ConsumerOptions, Error, Producer, Secret, TopicName,
};
use nsq_e2e::reference::{Daemon, Maker};
use nsq_e2e::{http, program};
use nsq_testkit::tls::{self, Authority};
use tokio::time::timeout;

const BOUND: Duration = Duration::from_secs(30);

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(test);
}

fn with_tls(maker: Maker, folder: &Path, more: &[&str]) -> Daemon {
    let (cert, key) = Authority::new().issue("127.0.0.1").write(folder);
    let cert = format!("--tls-cert={}", cert.display());
    let key = format!("--tls-key={}", key.display());
    maker.nsqd(folder, &[], &[&[cert.as_str(), key.as_str()], more].concat())
}

/// Bodies that end in one chunk, in many, and in more than a read.
fn bodies() -> Vec<Vec<u8>> {
    (0..40_usize)
        .map(|i| {
            (0..i * i * 97)
                .map(|n| (n * i % 251) as u8)
                .chain([b'.'])
                .collect()
        })
        .collect()
}

async fn there_and_back(nsqd: &Daemon, config: Config, topic: &str) {
    let topic: TopicName = topic.parse().unwrap();
    let channel: ChannelName = "c".parse().unwrap();
    let producer = Producer::connect(&nsqd.tcp, config.clone()).await.unwrap();
    producer.publish_many(&topic, &bodies()).await.unwrap();
    let mut options = ConsumerOptions::new(topic, channel);
    options.nsqd_tcp_addresses = vec![nsqd.tcp.clone()];
    options.max_in_flight = 10;
    options.config = config;
    let mut consumer = Consumer::start(options);
    let mut seen = Vec::new();
    for _ in bodies() {
        let delivery = timeout(BOUND, consumer.next()).await.unwrap().unwrap();
        seen.push(delivery.body().to_vec());
        assert!(delivery.finish().await);
    }
    seen.sort_by_key(Vec::len);
    assert!(seen == bodies(), "every body comes as it was");
    consumer.close().await;
    producer.close().await;
}

#[test]
fn messages_go_through_every_layer() {
    for maker in [Maker::Reference, Maker::Ours] {
        let folder = tempfile::tempdir().unwrap();
        let nsqd = with_tls(maker, folder.path(), &[]);
        let compressions = [
            None,
            Some(Compression::Snappy),
            Some(Compression::Deflate { level: 6 }),
        ];
        for (number, compression) in compressions.into_iter().enumerate() {
            for tls in [None, Some(tls::client())] {
                let name = format!("layers_{number}_{}", tls.is_some());
                let config = Config {
                    tls: tls.map(Into::into),
                    compression,
                    ..Config::default()
                };
                run(there_and_back(&nsqd, config, &name));
            }
        }
    }
}

#[test]
fn a_certificate_nobody_vouches_for_and_a_daemon_without_tls_are_errors() {
    let untrusting = nsq_testkit::tls::client_believing(&Authority::new().cert());
    for maker in [Maker::Reference, Maker::Ours] {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            tls: Some(untrusting.clone().into()),
            ..Config::default()
        };
        let nsqd = with_tls(maker, folder.path(), &[]);
        run(async {
            let error = Producer::connect(&nsqd.tcp, config.clone()).await.unwrap_err();
            assert!(matches!(error, Error::Tls { .. }), "{error}");
        });
        let clear = tempfile::tempdir().unwrap();
        let nsqd = maker.nsqd(clear.path(), &[], &["--snappy=false"]);
        run(async {
            let error = Producer::connect(&nsqd.tcp, config).await.unwrap_err();
            assert!(matches!(error, Error::Disagreed { .. }), "{error}");
            let config = Config {
                compression: Some(Compression::Snappy),
                ..Config::default()
            };
            let error = Producer::connect(&nsqd.tcp, config).await.unwrap_err();
            assert!(matches!(error, Error::Disagreed { .. }), "{error}");
        });
    }
}

/// Answers every request with what `who` may do, if its secret is `open`.
fn auth_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked = lines.next().unwrap().unwrap();
            lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .count();
            let may = r#"[{"topic":".*","channels":[".*"],"permissions":["subscribe","publish"]}]"#;
            let body = if asked.contains("secret=open") {
                format!(r#"{{"ttl":3600,"identity":"who","authorizations":{may}}}"#)
            } else {
                r#"{"ttl":3600,"authorizations":[]}"#.to_owned()
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}",
                body.len()
            );
            let _ = write!(stream, "{head}\r\nContent-Type: application/json\r\n\r\n{body}");
        }
    });
    address
}

#[test]
fn a_secret_opens_and_without_one_nothing_goes() {
    let auth = auth_server();
    for maker in [Maker::Reference, Maker::Ours] {
        let folder = tempfile::tempdir().unwrap();
        let nsqd = maker.nsqd(folder.path(), &[], &[&format!("--auth-http-address={auth}")]);
        let with = |secret: &str| Config {
            auth_secret: Some(Secret::new(secret)),
            ..Config::default()
        };
        assert!(!format!("{:?}", with("open")).contains("open"));
        run(there_and_back(&nsqd, with("open"), "auth"));
        run(async {
            let error = Producer::connect(&nsqd.tcp, with("wrong")).await.unwrap_err();
            assert!(matches!(error, Error::Refused { asked: "AUTH", .. }), "{error}");
            let error = Producer::connect(&nsqd.tcp, Config::default()).await.unwrap_err();
            assert!(matches!(error, Error::Disagreed { .. }), "{error}");
        });
    }
}

#[test]
fn op_210_check_goes_through_nsqds_that_require_tls() {
    for maker in [Maker::Reference, Maker::Ours] {
        let lookupd = maker.nsqlookupd(&[]);
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let (cert, key) = authority.issue("127.0.0.1").write(folder.path());
        let ca = folder.path().join("ca.crt");
        std::fs::write(&ca, authority.cert()).unwrap();
        let _nsqd = maker.nsqd(
            folder.path(),
            &[&lookupd.tcp],
            &[
                &format!("--tls-cert={}", cert.display()),
                &format!("--tls-key={}", key.display()),
                "--tls-required=true",
                "--https-address=127.0.0.1:0",
            ],
        );
        nsq_e2e::eventually(BOUND, "the nsqd is registered", || {
            let nodes = http::json(&lookupd.http, "/nodes");
            nodes.is_some_and(|nodes| nodes["producers"].as_array().is_some_and(|list| list.len() == 1))
        });
        let check = |more: &[&str]| {
            let mut command = Command::new(program("nsq-operator"));
            command.args(["check", "--messages=20", "--lookupd-http-address", &lookupd.http]);
            let output = command.args(more).output().unwrap();
            let text = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
            (output.status.code(), text.concat())
        };
        let (code, text) = check(&["--timeout=2s"]);
        assert_eq!(code, Some(1), "{text}");
        let (code, text) = check(&["--tls-ca", ca.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("ok: 20 of 20"), "{text}");
    }
}
