//! TLS and compression: what is agreed with IDENTIFY, who is let in, and what hostile clients can do through each layer.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test; certificates are written to real files"
)]

mod abuse;
mod backpressure;
mod certificates;
mod compression;
mod handshake;
mod policy;

use nsq_testkit::tls::{self, Authority};
use nsq_testkit::{BOUND, Compression, Conn, Daemon, Launch, Next, nsqd_binary};
use rustls::ClientConfig;
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;

/// What may lie on the stream of a connection.
#[derive(Clone, Copy, Debug)]
struct Layers {
    tls: bool,
    compression: Option<Compression>,
}

impl Layers {
    const ALL: [Self; 6] = [
        Self::new(false, None),
        Self::new(false, Some(Compression::Snappy)),
        Self::new(false, Some(Compression::Deflate)),
        Self::new(true, None),
        Self::new(true, Some(Compression::Snappy)),
        Self::new(true, Some(Compression::Deflate)),
    ];

    const fn new(tls: bool, compression: Option<Compression>) -> Self {
        Self { tls, compression }
    }

    /// A connection through these layers that wished for this besides.
    fn connect(self, daemon: &Daemon, wishes: &Value) -> Conn {
        let mut all = json!({
            "tls_v1": self.tls,
            "snappy": self.compression == Some(Compression::Snappy),
            "deflate": self.compression == Some(Compression::Deflate),
        });
        all.as_object_mut()
            .unwrap()
            .extend(wishes.as_object().unwrap().clone());
        let (mut conn, _) = identified(daemon, &all);
        if self.tls {
            conn.start_tls(&tls::client()).unwrap();
            conn.expect_ok();
        }
        if let Some(compression) = self.compression {
            conn.start_compression(compression);
            conn.expect_ok();
        }
        conn
    }
}

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

/// `E_IDENTIFY_FAILED IDENTIFY failed …` in clear, after whatever alert came, then the end.
fn assert_clear_failure(conn: &mut Conn) {
    let mut seen = String::new();
    while let Some(bytes) = conn.next_bytes(BOUND) {
        seen.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(seen.contains("E_IDENTIFY_FAILED IDENTIFY failed "), "{seen:?}");
}

/// Whether the server lets a client with this configuration in over TCP.
fn lets_in(daemon: &Daemon, config: &Arc<ClientConfig>) -> bool {
    let (mut conn, _) = identified(daemon, &json!({"tls_v1": true}));
    // With TLS 1.3 a client learns only after its own handshake that it is refused.
    conn.start_tls(config).is_ok() && matches!(conn.next(BOUND), Next::Frame(frame) if frame.text() == "OK")
}
