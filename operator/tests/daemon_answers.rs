//! What daemons answer, and what they make of the files that are written for them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real daemons, sockets and files"
)]

mod clusters;
mod local;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use clusters::{build, find};
use nsq_operator::build::ObjectKind;
use nsq_operator::daemon::{Daemons as _, HttpDaemons};
use nsq_operator::plan::Facts;
use nsq_testkit::Launch;
use serde_json::json;

/// An nsqd that answers `/stats` with this head and body, and everything else as it should.
fn nsqd(stats: &'static str, body: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let body = body.clone();
            std::thread::spawn(move || serve(connection, stats, &body));
        }
    });
    at
}

/// One request; a client that goes away in the middle of an answer is none of ours to report.
fn serve(mut connection: TcpStream, stats: &str, body: &[u8]) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut request = String::new();
    let _ = reader.read_line(&mut request);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        line.clear();
    }
    let answer = |text: &str| {
        let length = text.len();
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}")
    };
    let path = request.split_whitespace().nth(1).unwrap_or_default();
    let sent = match path.split('?').next().unwrap_or_default() {
        "/stats" => connection
            .write_all(stats.as_bytes())
            .and_then(|()| connection.write_all(body)),
        "/info" => connection.write_all(answer(r#"{"version":"1.3.0","broadcast_address":"n0"}"#).as_bytes()),
        "/config/log_level" => connection.write_all(answer("2").as_bytes()),
        _ => connection.write_all(answer("[]").as_bytes()),
    };
    if sent.is_ok() {
        // Nothing is cut off by a close with unread bytes.
        let _ = connection.shutdown(std::net::Shutdown::Write);
        let _ = connection.read(&mut [0]);
    }
}

fn facts(stats: &'static str, body: Vec<u8>) -> Result<Facts, String> {
    let at = nsqd(stats, body).to_string();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(HttpDaemons::default().facts(&at))
}

const OPEN: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

/// An error here is the fact "unreachable" of the plan: a node that cannot be asked is never empty.
#[test]
fn op_181_answers_are_bounded_and_read_leniently() {
    const LARGE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 41943040\r\n\r\n";
    for head in [LARGE, OPEN] {
        let error = facts(head, vec![b' '; 40 << 20]).unwrap_err();
        assert!(error.contains("33554432"), "{error}");
    }
    let error = facts(OPEN, b"{\"topics\":".to_vec()).unwrap_err();
    assert!(error.contains("/stats"), "{error}");
    let none = facts(OPEN, br#"{"version":"1.3.0","topics":null}"#.to_vec()).unwrap();
    assert!(none.stats.topics.unwrap_or_default().is_empty());
    let more = br#"{"version":"1.3.0","novel":{"a":[1]},"topics":[{"topic_name":"t","depth":7,"novel":1,"channels":[]}]}"#;
    let found = facts(OPEN, more.to_vec()).unwrap();
    assert_eq!(found.stats.topics.unwrap()[0].depth, 7);
}

/// The file of a spec in which every option of nsqd is set, read by nsqd itself and asked for one by one.
#[test]
fn op_026_every_option_of_the_file_arrives_with_its_value() {
    let objects = build(&json!({"nsqd": {
        "options": {
            "memQueueSize": 17, "maxBytesPerFile": 2_000_000, "syncEvery": 3, "syncTimeout": "1500ms",
            "msgTimeout": "30s", "maxMsgTimeout": "1h", "maxReqTimeout": "24h", "maxMsgSize": 2000, "maxBodySize": 30000,
            "maxRdyCount": 5000, "maxChannelConsumers": 100, "e2eProcessingLatencyPercentiles": ["0.99", "1"],
            "logLevel": "debug", "statsd": {"address": "127.0.0.1:8125", "prefix": "a.b.", "interval": "30s"},
        },
        "extraOptions": {"max_heartbeat_interval": "40s", "deflate": "false", "max_deflate_level": "3"},
    }}));
    let map = objects
        .iter()
        .find(|object| object.kind == ObjectKind::ConfigMap && object.name.starts_with("c-nsqd-"))
        .unwrap();
    assert!(find(&objects, ObjectKind::ConfigMap, &map.name).object["data"].is_object());
    let text = map.object["data"]["nsqd.cfg"].as_str().unwrap();
    let file: toml::Table = text.parse().unwrap();
    let expected = [
        ("mem_queue_size", "17"),
        ("max_bytes_per_file", "2000000"),
        ("sync_every", "3"),
        ("sync_timeout", "1500000000"),
        ("msg_timeout", "30000000000"),
        ("max_msg_timeout", "3600000000000"),
        ("max_req_timeout", "86400000000000"),
        ("max_msg_size", "2000"),
        ("max_body_size", "30000"),
        ("max_rdy_count", "5000"),
        ("max_channel_consumers", "100"),
        ("e2e_processing_latency_percentiles", "[1,0.99]"),
        ("log_level", "1"),
        ("statsd_address", "127.0.0.1:8125"),
        ("statsd_prefix", "a.b."),
        ("statsd_interval", "30000000000"),
        ("max_heartbeat_interval", "40000000000"),
        ("deflate", "false"),
        ("max_deflate_level", "3"),
        (
            "nsqlookupd_tcp_addresses",
            r#"["c-nsqlookupd-0.ns.svc.cluster.local:4160","c-nsqlookupd-1.ns.svc.cluster.local:4160"]"#,
        ),
    ];
    let mut keys: Vec<&str> = expected.iter().map(|(key, _)| *key).collect();
    keys.extend(["log_format", "log_output"]);
    keys.sort_unstable();
    assert_eq!(file.keys().map(String::as_str).collect::<Vec<_>>(), keys);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nsqd.cfg");
    // The test reads where it listens from standard error.
    std::fs::write(
        &path,
        text.replace("\"stdout\"", "\"stderr\"")
            .replace("\"json\"", "\"text\""),
    )
    .unwrap();
    let daemon = Launch::new(local::bin_dir().join("nsqd"))
        .flag(format!("--config={}", path.display()))
        .start();
    for (key, value) in expected {
        let got = daemon.get(&format!("/config/{key}"));
        got.expect(200, value);
    }
    assert!(
        first_line_on_stdout(text).starts_with('{'),
        "JSON, and on standard output"
    );
}

/// What an nsqd with this file says first on standard output.
fn first_line_on_stdout(file: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("nsqd.cfg"), file).unwrap();
    let mut child = std::process::Command::new(local::bin_dir().join("nsqd"))
        .args(["--config=nsqd.cfg", "--data-path=."])
        .args(["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
    child.kill().unwrap();
    child.wait().unwrap();
    read.unwrap();
    line
}
