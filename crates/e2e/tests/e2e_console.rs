//! The pages of nsqadmin over real daemons, ours and Go's: what they show, and what they do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs and sockets"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use nsq_e2e::process::Process;
use nsq_e2e::reference::{Daemon, Maker};
use nsq_e2e::{eventually, eventually_some, http, program};
use nsq_testkit::Conn;

const BOUND: Duration = Duration::from_secs(30);

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// An nsqlookupd, two nsqds, and the console that looks at them.
struct Cluster {
    nsqds: [Daemon; 2],
    lookupd: Daemon,
    console: String,
    _folders: [tempfile::TempDir; 2],
    _process: Process,
}

impl Cluster {
    fn start(maker: Maker) -> Self {
        let lookupd = maker.nsqlookupd(&[]);
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let nsqds = [&folders[0], &folders[1]].map(|folder| maker.nsqd(folder.path(), &[&lookupd.tcp], &[]));
        let process = Process::start(
            "nsqadmin",
            Command::new(program("nsqadmin")).args([
                "--http-address=127.0.0.1:0",
                "--stats-poll-interval=200ms",
                &format!("--lookupd-http-address={}", lookupd.http),
            ]),
        );
        let console = eventually_some(BOUND, "nsqadmin listens", || {
            let lines = process.error_lines();
            let line = lines
                .iter()
                .find_map(|line| line.split_once("HTTP: listening on "));
            line.map(|(_, address)| address.trim().to_owned())
        });
        Self {
            nsqds,
            lookupd,
            console,
            _folders: folders,
            _process: process,
        }
    }

    fn get(&self, path: &str) -> (u16, String) {
        http::get(&self.console, path).unwrap()
    }

    /// The page once it has all of `parts`.
    fn shows(&self, path: &str, parts: &[&str]) -> String {
        let what = format!("{path} shows {parts:?}");
        eventually_some(BOUND, &what, || {
            let (status, page) = self.get(path);
            (status == 200 && parts.iter().all(|part| page.contains(part))).then_some(page)
        })
    }

    /// Sends a form as a browser does, and yields the page that it leads to.
    fn send(&self, path: &str, form: &str) -> String {
        let body = format!("csrf={TOKEN}&{form}");
        let mut stream = TcpStream::connect(&self.console).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nOrigin: http://{}\r\nSec-Fetch-Site: same-origin\r\nCookie: nsqadmin_csrf={TOKEN}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.console,
            self.console,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 303 "), "{path} {form}: {text}");
        let location = text
            .lines()
            .find_map(|line| line.strip_prefix("Location: "))
            .unwrap();
        let (status, page) = self.get(location);
        assert_eq!(status, 200, "{page}");
        page
    }
}

fn depth(nsqd: &Daemon, channel: &str) -> Option<i64> {
    let stats = http::json(&nsqd.http, "/stats?format=json&topic=t1")?;
    let channels = stats["topics"][0]["channels"].as_array()?.clone();
    let own = channels.iter().find(|own| own["channel_name"] == channel)?;
    own["depth"].as_i64()
}

fn pages_and_actions(maker: Maker) {
    let cluster = Cluster::start(maker);
    cluster.shows("/", &["There are no topics yet"]);
    for (nsqd, count) in cluster.nsqds.iter().zip([8, 1]) {
        http::post(&nsqd.http, "/topic/create?topic=t1", "").unwrap();
        http::post(&nsqd.http, "/channel/create?topic=t1&channel=c1", "").unwrap();
        for _ in 0..count {
            http::post(&nsqd.http, "/pub?topic=t1", "hello").unwrap();
        }
    }
    let mut consumer = Conn::connect(cluster.nsqds[0].tcp.parse().unwrap());
    consumer.send(b"  V2");
    consumer.subscribe("t1", "c1");

    // every page, and what it is made of
    let [first, second] = &cluster.nsqds;
    cluster.shows("/", &["t1", "c1", "2/2"]);
    cluster.shows("/topics", &[">9</td>", r#"value="t1""#]);
    let topic = cluster.shows("/topics/t1", &[&first.http, &second.http, "<tfoot>", "</svg>"]);
    assert!(topic.contains(">9</td>"), "{topic}");
    cluster.shows("/topics/t1/c1", &["Clients (1)", "takes nothing now"]);
    cluster.shows("/topics/t1/c1?tab=clients", &["all 1", "takes nothing now"]);
    cluster.shows("/topics/t1?tab=messages", &["nsq_tail"]);
    cluster.shows("/nodes", &[&first.http, "1/1"]);
    let node = format!("/nodes/{}", first.http.replace(':', "%3A"));
    cluster.shows(&node, &["t1/c1", "registered"]);
    cluster.shows("/cluster", &[&cluster.lookupd.http, "registered"]);
    cluster.shows("/lookup", &["Create a topic or a channel"]);
    cluster.shows("/counter", &["Messages processed"]);
    cluster.shows("/search?q=t", &["t1/c1"]);
    for path in [
        "/audit",
        "/settings",
        "/help",
        "/topics?format=csv",
        "/topics/t1?format=json",
    ] {
        assert_eq!(cluster.get(path).0, 200, "{path}");
    }
    assert_eq!(cluster.get("/topics/nope").0, 404);

    // what they do
    let key = first.http.replace(':', "%3A");
    let page = cluster.send("/topics/t1/c1", &format!("do=pause&node={key}"));
    assert!(page.contains("Done: one upstream did it."), "{page}");
    cluster.shows("/topics/t1/c1", &["paused on 1 of 2 nodes"]);
    let page = cluster.send("/topics/t1/c1", "do=unpause");
    assert!(page.contains("Done: all 2 upstreams did it."), "{page}");
    let page = cluster.send("/topics/t1/c1", &format!("do=empty&node={key}&name=t1%2Fc1"));
    assert!(page.contains("Done: one upstream did it."), "{page}");
    eventually(BOUND, "only one node is empty", || {
        (depth(first, "c1"), depth(second, "c1")) == (Some(0), Some(1))
    });
    let page = cluster.send(
        "/topics/t1",
        &format!("do=publish&node={key}&lines=on&body=one%0D%0Atwo"),
    );
    assert!(page.contains("2 messages, 7 B"), "{page}");
    eventually(BOUND, "two messages are there", || depth(first, "c1") == Some(2));
    consumer.command("RDY 2");
    for expected in [b"one", b"two"] {
        let message = consumer.message();
        assert_eq!(message.body, expected);
        consumer.finish(&message);
    }
    let page = cluster.send("/lookup", "topic=made&channel=");
    assert!(page.contains("Done: one upstream did it."), "{page}");
    cluster.shows("/lookup", &[r#"href="/topics/made">made</a>"#]);
    let page = cluster.send("/topics", "do=delete&topic=t1&topic=made&name=delete+2+topics");
    assert!(page.contains("upstreams did it."), "{page}");
    for nsqd in &cluster.nsqds {
        let stats = http::json(&nsqd.http, "/stats?format=json").unwrap();
        assert_eq!(stats["topics"], serde_json::json!([]), "{stats}");
    }
    cluster.shows("/", &["There are no topics yet"]);
    let audit = cluster.shows("/audit", &["pause channel", "delete topic", "publish"]);
    assert!(!audit.contains("failed</span>"), "{audit}");
}

#[test]
fn pages_and_actions_over_our_daemons() {
    pages_and_actions(Maker::Ours);
}

#[test]
fn pages_and_actions_over_the_daemons_of_go() {
    pages_and_actions(Maker::Reference);
}
