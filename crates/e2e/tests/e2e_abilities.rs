//! What six client libraries can do, through each layer, at Go nsqd and at ours: publish, multi-publish, deferred publish, consume,
//! requeue, touch and back off; in clear, with TLS, snappy, deflate and authorization; discovery, and connecting again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

use nsq_e2e::languages::Library;
use nsq_e2e::reference::Maker;
use nsq_e2e::{eventually, eventually_some, http};
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

/// What is tried at Go nsqd too: pynsq and Go nsqd do not get on through compression, and stall for up to a minute.
fn at_the_reference(library: Library, layers: &str) -> bool {
    library != Library::Pynsq || ["plain", "tls", "auth"].contains(&layers)
}

/// Every client through every layer, at both daemons. gnsq publishes in clear, see its program.
#[test]
fn clients_do_everything_through_each_layer() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = Authority::new().issue("nsqd").write(folder.path());
    let (cert, key) = (
        format!("--tls-cert={}", cert.display()),
        format!("--tls-key={}", key.display()),
    );
    let auth = format!("--auth-http-address={}", auth_server());
    let flags = [
        cert.as_str(),
        key.as_str(),
        "--https-address=127.0.0.1:0",
        "--msg-timeout=2s",
    ];
    for library in Library::ALL {
        for maker in [Maker::Reference, Maker::Ours] {
            // All at once: the time goes into waiting for deferrals and time-outs.
            std::thread::scope(|scope| {
                let tried = |layers: &&str| maker == Maker::Ours || at_the_reference(library, layers);
                for layers in LAYERS.into_iter().filter(tried) {
                    let (flags, auth) = (&flags, auth.as_str());
                    scope.spawn(move || {
                        let auth = layers.contains("auth").then_some(auth);
                        let flags: Vec<&str> = flags.iter().copied().chain(auth).collect();
                        does_everything(library, maker, layers, &flags);
                    });
                }
            });
        }
    }
}

fn does_everything(library: Library, maker: Maker, layers: &str, flags: &[&str]) {
    let data = tempfile::tempdir().unwrap();
    let nsqd = maker.nsqd(data.path(), &[], flags);
    let mut client = library.abilities(layers, &nsqd.tcp);
    // A library that is not offered a layer goes on without it, so the daemon is asked what is there.
    let what = format!("a consumer {library:?} of {maker:?} through {layers}");
    let consumer = eventually_some(BOUND, &what, || {
        let stats = http::json(&nsqd.http, "/stats?format=json&topic=abilities")?;
        let client = &stats["topics"][0]["channels"][0]["clients"][0];
        // Some layers come after SUB is on its way; what is there is there once a message is.
        let is_served = client["message_count"].as_u64().is_some_and(|count| count > 0);
        is_served.then(|| client.clone())
    });
    for (layer, key) in [
        ("tls", "tls"),
        ("snappy", "snappy"),
        ("deflate", "deflate"),
        ("auth", "authed"),
    ] {
        let there = consumer[key].as_bool().unwrap_or(false);
        assert_eq!(there, layers.contains(layer), "{what}: {consumer}");
    }
    assert!(client.wait(BOUND).success(), "{what}: {}", client.errors());
    let mut lines = client.text_lines();
    lines.sort();
    assert_eq!(lines, FINISHED, "{what}");
}

/// All at once, each with a channel of its own: they find the nsqd through nsqlookupd, and find it again after a restart.
#[test]
fn clients_find_nsqd_and_find_it_again_after_a_restart() {
    let lookupd = Maker::Ours.nsqlookupd(&[]);
    let data = tempfile::tempdir().unwrap();
    let nsqd = Maker::Ours.nsqd(data.path(), &[&lookupd.tcp], &[]);
    let again = [
        format!("--tcp-address={}", nsqd.tcp),
        format!("--http-address={}", nsqd.http),
    ];
    let post = |target: &str, body: &str| {
        eventually(BOUND, target, || {
            http::post(&nsqd.http, target, body).is_some_and(|(status, _)| status == 200)
        });
    };
    post("/topic/create?topic=found", "");
    for library in Library::ALL {
        post(&format!("/channel/create?topic=found&channel={library:?}"), "");
    }
    let consumers = Library::ALL.map(|library| {
        let channel = format!("{library:?}");
        (
            library,
            library.consume("found", &channel, std::slice::from_ref(&lookupd.http)),
        )
    });
    let all_have = |line: &str| {
        for (library, consumer) in &consumers {
            let what = format!("{library:?} has {line}: {}", consumer.errors());
            eventually(BOUND, &what, || consumer.text_lines().contains(&line.to_owned()));
        }
    };
    post("/pub?topic=found", "before");
    all_have("before");
    let mut first = nsqd.process;
    first.terminate(BOUND);
    let flags: Vec<&str> = again.iter().map(String::as_str).collect();
    let _second = Maker::Ours.nsqd(data.path(), &[&lookupd.tcp], &flags);
    post("/pub?topic=found", "after");
    all_have("after");
}
