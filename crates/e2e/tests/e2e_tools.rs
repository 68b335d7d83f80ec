//! The programs that come with Go NSQ, against our daemons and against its own: whoever has scripts around them keeps them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::process::Command;
use std::time::Duration;

use nsq_e2e::process::{Process, feed};
use nsq_e2e::reference::{Daemon, Maker};
use nsq_e2e::{eventually, eventually_some, http, tool};

const BOUND: Duration = Duration::from_secs(30);

/// One nsqlookupd and one nsqd.
struct Pair {
    lookupd: Daemon,
    nsqd: Daemon,
    folder: tempfile::TempDir,
}

fn with_both(test: impl Fn(&Pair)) {
    for maker in [Maker::Reference, Maker::Ours] {
        test(&Pair::new(maker, maker));
    }
}

impl Pair {
    fn new(lookupd: Maker, nsqd: Maker) -> Self {
        let lookupd = lookupd.nsqlookupd(&[]);
        let folder = tempfile::tempdir().unwrap();
        let nsqd = nsqd.nsqd(folder.path(), &[&lookupd.tcp], &[]);
        Self {
            lookupd,
            nsqd,
            folder,
        }
    }
}

fn start(name: &str, args: &[&str]) -> Process {
    Process::start(
        name,
        Command::new(tool(&format!("go-nsq-daemons/{name}"))).args(args),
    )
}

#[test]
fn to_nsq_publishes_and_nsq_tail_prints() {
    with_both(|pair| {
        let lines: Vec<Vec<u8>> = (0..500).map(|i| format!("line {i}").into_bytes()).collect();
        let mut to_nsq = start(
            "to_nsq",
            &["--topic=tools", &format!("--nsqd-tcp-address={}", pair.nsqd.tcp)],
        );
        feed(&mut to_nsq.take_stdin(), &lines);
        assert!(to_nsq.wait(BOUND).success(), "{}", to_nsq.errors());

        let lookupd = format!("--lookupd-http-address={}", pair.lookupd.http);
        let mut tail = start(
            "nsq_tail",
            &["--topic=tools", "--channel=tail", "--n=500", &lookupd],
        );
        assert!(tail.wait(BOUND).success(), "{}", tail.errors());
        let mut seen = tail.lines();
        seen.sort();
        let mut wanted = lines;
        wanted.sort();
        assert_eq!(seen, wanted);
    });
}

#[test]
fn nsq_to_file_keeps_every_message() {
    with_both(|pair| {
        let out = pair.folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        let body: String = (0..100).map(|i| format!("message {i}\n")).collect();
        assert_eq!(
            http::post(&pair.nsqd.http, "/mpub?topic=archive", &body)
                .unwrap()
                .0,
            200
        );
        let dir = format!("--output-dir={}", out.display());
        let lookupd = format!("--lookupd-http-address={}", pair.lookupd.http);
        let mut to_file = start(
            "nsq_to_file",
            &[
                "--topic=archive",
                "--channel=file",
                "--sync-interval=200ms",
                &dir,
                &lookupd,
            ],
        );
        eventually(BOUND, "all is finished", || {
            let stats = http::json(&pair.nsqd.http, "/stats?format=json&topic=archive").unwrap();
            let channel = &stats["topics"][0]["channels"][0];
            channel["message_count"] == 100 && channel["depth"] == 0 && channel["in_flight_count"] == 0
        });
        to_file.terminate(BOUND);
        let mut written = String::new();
        for entry in std::fs::read_dir(&out).unwrap() {
            written.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
        }
        let mut lines: Vec<&str> = written.lines().collect();
        lines.sort_unstable();
        let mut wanted: Vec<&str> = body.lines().collect();
        wanted.sort_unstable();
        assert_eq!(lines, wanted);
    });
}

#[test]
fn nd_296_nsq_stat_shows_counters_that_only_grow() {
    with_both(|pair| {
        assert_eq!(
            http::post(&pair.nsqd.http, "/channel/create?topic=stat&channel=c", "")
                .unwrap()
                .0,
            404
        );
        assert_eq!(
            http::post(&pair.nsqd.http, "/topic/create?topic=stat", "")
                .unwrap()
                .0,
            200
        );
        assert_eq!(
            http::post(&pair.nsqd.http, "/channel/create?topic=stat&channel=c", "")
                .unwrap()
                .0,
            200
        );
        let address = format!("--nsqd-http-address={}", pair.nsqd.http);
        let mut stat = start(
            "nsq_stat",
            &[
                "--topic=stat",
                "--channel=c",
                "--interval=100ms",
                "--count=10",
                &address,
            ],
        );
        for _ in 0..5 {
            assert_eq!(
                http::post(&pair.nsqd.http, "/pub?topic=stat", "x").unwrap().0,
                200
            );
        }
        assert!(stat.wait(BOUND).success(), "{}", stat.errors());
        // rate in, rate out | depth, memory, disk, in flight, deferred | requeued, timed out, messages, clients
        let lines = stat.text_lines();
        let rows: Vec<Vec<i64>> = lines
            .iter()
            .map(|line| {
                line.split(['|', ' ', '+'])
                    .filter_map(|word| word.parse().ok())
                    .collect()
            })
            .filter(|row: &Vec<i64>| row.len() == 11)
            .collect();
        let messages: Vec<i64> = rows.iter().map(|row| row[row.len() - 2]).collect();
        assert!(rows.len() >= 7, "{lines:?}");
        assert!(messages.is_sorted(), "{lines:?}");
        assert_eq!(messages.last(), Some(&5), "{lines:?}");
    });
}

/// What an operator does in Go nsqadmin, seen at the daemons: all of one maker, and mixed as while a cluster is moved.
#[test]
fn nd_295_go_nsqadmin_creates_pauses_empties_and_deletes() {
    const BOTH: [Maker; 2] = [Maker::Reference, Maker::Ours];
    for (lookupd, nsqd) in BOTH.into_iter().flat_map(|l| BOTH.map(|n| (l, n))) {
        let pair = &Pair::new(lookupd, nsqd);
        let lookupd = format!("--lookupd-http-address={}", pair.lookupd.http);
        let admin = start("nsqadmin", &["--http-address=127.0.0.1:0", &lookupd]);
        let address = eventually_some(BOUND, "nsqadmin listens", || {
            admin
                .error_lines()
                .iter()
                .find_map(|l| Some(l.split_once("HTTP: listening on ")?.1.to_owned()))
        });
        // The topic must be at nsqd for nsqadmin to act on it there.
        assert_eq!(
            http::post(&pair.nsqd.http, "/topic/create?topic=admin", "")
                .unwrap()
                .0,
            200
        );
        let act = |target: &str, body: &str| {
            let (status, text) = http::post(&address, target, body).unwrap();
            assert_eq!(status, 200, "{target} {body}: {text}");
        };
        let topic = || {
            let stats = http::json(
                &pair.nsqd.http,
                "/stats?format=json&topic=admin&include_clients=false",
            )?;
            stats["topics"].as_array()?.first().cloned()
        };
        eventually(BOUND, "nsqlookupd knows the topic", || {
            http::json(&address, "/api/topics")
                .is_some_and(|all| all["topics"] == serde_json::json!(["admin"]))
        });
        act("/api/topics", r#"{"topic":"admin","channel":"one"}"#);
        eventually(BOUND, "the channel is there", || {
            topic().is_some_and(|t| t["channels"][0]["channel_name"] == "one")
        });
        act("/api/topics/admin", r#"{"action":"pause"}"#);
        assert_eq!(topic().unwrap()["paused"], true);
        act("/api/topics/admin", r#"{"action":"unpause"}"#);
        assert_eq!(topic().unwrap()["paused"], false);
        act("/api/topics/admin/one", r#"{"action":"pause"}"#);
        assert_eq!(topic().unwrap()["channels"][0]["paused"], true);
        assert_eq!(
            http::post(&pair.nsqd.http, "/pub?topic=admin", "x").unwrap().0,
            200
        );
        eventually(BOUND, "the message is queued", || {
            topic().is_some_and(|t| t["channels"][0]["depth"] == 1)
        });
        act("/api/topics/admin/one", r#"{"action":"empty"}"#);
        assert_eq!(topic().unwrap()["channels"][0]["depth"], 0);
        act("/api/topics/admin/one", r#"{"action":"unpause"}"#);
        assert_eq!(topic().unwrap()["channels"][0]["paused"], false);

        let page = http::json(&address, "/api/nodes").unwrap();
        assert_eq!(
            format!("127.0.0.1:{}", page["nodes"][0]["http_port"]),
            pair.nsqd.http,
            "{page}"
        );
        assert_eq!(http::delete(&address, "/api/topics/admin/one").unwrap().0, 200);
        assert_eq!(topic().unwrap()["channels"], serde_json::json!([]));
        assert_eq!(http::delete(&address, "/api/topics/admin").unwrap().0, 200);
        assert_eq!(topic(), None);
    }
}
