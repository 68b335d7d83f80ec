//! Verbs that look into queues, against a script of an nsqd that can be looked into (extensions spec 8.1).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests drive the real program with real files, sockets and clocks, and wait with a bound"
)]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use support::Folder;

/// An nsqd as far as these verbs ask it; it notes what it was asked.
struct Script {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn start(messages: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        // It ends with the test program.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(&stream, messages, &notes);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|target| *target != "/info")
            .cloned()
            .collect()
    }
}

fn answer(mut stream: &TcpStream, messages: &str, notes: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap().unwrap();
    while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
    let target = first.split(' ').nth(1).unwrap().to_owned();
    let (status, body) = match target.split('?').next().unwrap() {
        "/info" => (
            "200 OK",
            r#"{"version":"1.3.0","broadcast_address":"127.0.0.1","hostname":"h","http_port":1,"tcp_port":2,"extensions":["messages"]}"#,
        ),
        _ if target.contains("topic=none") => ("404 Not Found", r#"{"message":"TOPIC_NOT_FOUND"}"#),
        _ if target.contains("channel=none") => ("404 Not Found", r#"{"message":"CHANNEL_NOT_FOUND"}"#),
        _ => ("200 OK", messages),
    };
    notes.lock().unwrap().push(target);
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
}

const READY: &str = r#"{"messages":[
{"id":"0123456789abcdef","timestamp":1700000000000000000,"attempts":2,"size":5,"body":"hello"},
{"id":"fedcba9876543210","timestamp":1700000001000000000,"attempts":0,"size":2,"body_base64":"/w8=","truncated":true}],"next":""}"#;

#[test]
fn what_waits_is_shown_where_an_nsqd_can_show_it() {
    let folder = Folder::new();
    let script = Script::start(READY);
    let at = format!("--nsqd={}", script.address);
    let table = folder.ok(&["peek", "orders#ephemeral", "billing", "-n", "5", &at]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("ID"), "{table}");
    assert!(
        lines[1].starts_with("0123456789abcdef  127.0.0.1:2") && lines[1].ends_with("hello"),
        "{table}"
    );
    assert!(lines[2].ends_with("base64 /w8=…"), "{table}");
    let json = folder.ok(&["dead", "orders", "billing", "-o", "json", &at]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["body"], "hello");
    assert_eq!(
        folder.ok(&["peek", "orders", "-o", "name", &at]),
        "0123456789abcdef\nfedcba9876543210\n"
    );
    folder.ok(&["timers", "orders", "billing", &at]);
    assert_eq!(
        script.asked(),
        [
            "/channel/messages?topic=orders%23ephemeral&channel=billing&state=ready&limit=5",
            "/channel/messages?topic=orders&channel=billing&state=dead&limit=20",
            "/topic/messages?topic=orders&limit=20",
            "/channel/messages?topic=orders&channel=billing&state=deferred&limit=20",
        ]
    );
}

#[test]
fn what_is_not_there_is_told() {
    let folder = Folder::new();
    let script = Script::start(READY);
    let at = format!("--nsqd={}", script.address);
    for (topic, channel, code) in [
        ("none", "c", "TOPIC_NOT_FOUND"),
        ("t", "none", "CHANNEL_NOT_FOUND"),
    ] {
        let ended = support::ended(&mut folder.command(&["peek", topic, channel, &at]));
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert!(ended.stderr.contains(code), "{ended:?}");
    }
}
