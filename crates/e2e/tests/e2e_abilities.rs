//! What the go-nsq library can do, through each layer, at Go nsqd and at ours: publish, multi-publish, deferred publish, consume,
//! requeue, touch and back off; in clear, with TLS, snappy, deflate and authorization.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

use nsq_e2e::languages::go_abilities;
use nsq_e2e::reference::Maker;
use nsq_e2e::{eventually_some, http};
use nsq_testkit::tls::Authority;

const BOUND: Duration = Duration::from_secs(60);

const LAYERS: [&str; 8] = [
    "plain",
    "tls",
    "snappy",
    "deflate",
    "tls+snappy",
    "tls+deflate",
    "auth",
    "tls+snappy+auth",
];

/// Each body with the delivery that was finished: the second one of what was put back, the first one of all else.
const FINISHED: [&str; 7] = [
    "backoff 2",
    "deferred 1",
    "multi-1 1",
    "multi-2 1",
    "publish 1",
    "requeue 2",
    "touch 1",
];

/// An auth server that allows everything to whoever asks, as long as the test runs; its `host:port`.
fn auth_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let all = r#"{"ttl":60,"identity":"test","identity_url":"","authorizations":[{"topic":".*","channels":[".*"],"permissions":["publish","subscribe"]}]}"#;
    let length = all.len();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            // One that has gone needs no answer.
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{all}"
            );
        }
    });
    address
}

#[test]
fn go_nsq_does_everything_through_each_layer() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = Authority::new().issue("nsqd").write(folder.path());
    let (cert, key) = (
        format!("--tls-cert={}", cert.display()),
        format!("--tls-key={}", key.display()),
    );
    let auth = format!("--auth-http-address={}", auth_server());
    let flags = [cert.as_str(), key.as_str(), "--https-address=127.0.0.1:0"];
    for maker in [Maker::Reference, Maker::Ours] {
        // All at once: the time goes into waiting for deferrals and time-outs.
        std::thread::scope(|scope| {
            for layers in LAYERS {
                let (flags, auth) = (&flags, auth.as_str());
                scope.spawn(move || {
                    let auth = layers.contains("auth").then_some(auth);
                    let flags: Vec<&str> = flags.iter().copied().chain(auth).collect();
                    does_everything(maker, layers, &flags);
                });
            }
        });
    }
}

fn does_everything(maker: Maker, layers: &str, flags: &[&str]) {
    let data = tempfile::tempdir().unwrap();
    let nsqd = maker.nsqd(data.path(), &[], flags);
    let mut client = go_abilities(layers, &nsqd.tcp);
    // A library that is not offered a layer goes on without it, so the daemon is asked what is there.
    let consumer = eventually_some(
        BOUND,
        &format!("a consumer of {maker:?} through {layers}"),
        || {
            let stats = http::json(&nsqd.http, "/stats?format=json&topic=abilities")?;
            let client = &stats["topics"][0]["channels"][0]["clients"][0];
            client.is_object().then(|| client.clone())
        },
    );
    for (layer, key) in [
        ("tls", "tls"),
        ("snappy", "snappy"),
        ("deflate", "deflate"),
        ("auth", "authed"),
    ] {
        let there = consumer[key].as_bool().unwrap_or(false);
        assert_eq!(there, layers.contains(layer), "{maker:?} {layers}: {consumer}");
    }
    assert!(
        client.wait(BOUND).success(),
        "{maker:?} {layers}: {}",
        client.errors()
    );
    let mut lines = client.text_lines();
    lines.sort();
    assert_eq!(lines, FINISHED, "{maker:?} {layers}");
}
