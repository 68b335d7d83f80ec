//! `nsq check` names what is wrong in a cluster of real daemons: one row, one fault.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests drive the real program with real files, sockets and clocks, and wait with a bound"
)]

mod support;

use std::any::Any;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nsq_testkit::tls::Authority;
use nsq_testkit::{BOUND, Conn, eventually};
use rustix::process::Signal;
use serde_json::Value;
use support::{Daemon, Ended, Folder, registered};

/// Rows at the same time: most of their time is waiting.
const WORKERS: usize = 6;
/// Checks of one row, until one names it.
const LOOKS: usize = 3;
/// Of the rows, at least so many must be named.
const NAMED: usize = 28;

/// A cluster with a fault in it.
struct Broken {
    folder: Folder,
    /// Flags that lead to it.
    flags: Vec<String>,
    /// What the finding is about: part of its subject or text.
    about: String,
    /// What must live as long as the check.
    _alive: Vec<Box<dyn Any + Send>>,
}

/// Built up daemon by daemon.
struct Cluster {
    folder: Folder,
    lookupd: Daemon,
    alive: Vec<Box<dyn Any + Send>>,
    more: Vec<String>,
    count: usize,
}

impl Cluster {
    fn new() -> Self {
        let folder = Folder::new();
        Self {
            lookupd: folder.daemon("nsqlookupd", &[]),
            folder,
            alive: Vec::new(),
            more: Vec::new(),
            count: 0,
        }
    }

    /// One more nsqd, registered.
    fn nsqd(&mut self, flags: &[&str]) -> Daemon {
        let lookupd = format!("--lookupd-tcp-address={}", self.lookupd.tcp);
        let mut all = vec![lookupd.as_str()];
        all.extend(flags);
        let daemon = self.folder.daemon("nsqd", &all);
        self.count += 1;
        registered(&self.lookupd, self.count);
        daemon
    }

    fn keep(&mut self, what: impl Any + Send) {
        self.alive.push(Box::new(what));
    }

    fn flag(&mut self, flag: impl Into<String>) {
        self.more.push(flag.into());
    }

    fn broken(mut self, about: impl Into<String>) -> Broken {
        let mut flags = std::mem::take(&mut self.more);
        if !flags
            .iter()
            .any(|flag| flag.starts_with("--lookupd") || flag.starts_with("--context"))
        {
            flags.push(format!("--lookupd={}", self.lookupd.http));
        }
        self.alive.push(Box::new(self.lookupd));
        Broken {
            folder: self.folder,
            flags,
            about: about.into(),
            _alive: self.alive,
        }
    }

    /// Keeps this nsqd; the fault is about it.
    fn about(mut self, nsqd: Daemon) -> Broken {
        let about = nsqd.tcp.clone();
        self.keep(nsqd);
        self.broken(about)
    }
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

fn consumer(nsqd: &Daemon, topic: &str, channel: &str) -> Conn {
    let mut conn = Conn::connect(nsqd.tcp.parse().unwrap());
    conn.send(b"  V2");
    conn.subscribe(topic, channel);
    conn
}

fn stats(nsqd: &Daemon, topic: &str) -> Value {
    let stats = nsq_testkit::request(nsqd.socket(), "GET", "/stats?format=json", b"").json();
    let topics = stats["topics"].as_array().cloned().unwrap_or_default();
    topics
        .into_iter()
        .find(|of| of["topic_name"] == topic)
        .unwrap_or_default()
}

/// Waits until a number of the first channel of t is at least this.
fn await_count(nsqd: &Daemon, key: &str, least: u64) {
    eventually(BOUND, || {
        stats(nsqd, "t")["channels"][0][key].as_u64() >= Some(least)
    });
}

/// An nsqd with topic t, channel c and these messages.
fn with_messages(cluster: &mut Cluster, count: usize, flags: &[&str]) -> Daemon {
    let nsqd = cluster.nsqd(flags);
    nsqd.post("/topic/create?topic=t", b"");
    nsqd.post("/channel/create?topic=t&channel=c", b"");
    for _ in 0..count {
        nsqd.post("/pub?topic=t", b"x");
    }
    await_count(&nsqd, "depth", count as u64);
    nsqd
}

type Row = (&'static str, &'static str, fn() -> Broken);

const FAULTS: &[Row] = &[
    ("an nsqlookupd that does not run", "LOOKUPD_DOWN", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&[]);
        cluster.keep(nsqd);
        cluster.flag(format!("--lookupd={},127.0.0.1:1", cluster.lookupd.http));
        cluster.broken("127.0.0.1:1")
    }),
    ("an nsqlookupd whose host is unknown", "LOOKUPD_DOWN", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&[]);
        cluster.keep(nsqd);
        cluster.flag(format!("--lookupd={},nowhere.invalid:4161", cluster.lookupd.http));
        cluster.broken("nowhere.invalid")
    }),
    ("an nsqlookupd that stands still", "LOOKUPD_SILENT", || {
        let cluster = Cluster::new();
        cluster.lookupd.process.signal(Signal::STOP);
        let about = cluster.lookupd.http.clone();
        cluster.broken(about)
    }),
    (
        "the TCP port of nsqlookupd for its HTTP port",
        "NOT_NSQLOOKUPD",
        || {
            let mut cluster = Cluster::new();
            cluster.flag(format!("--lookupd={}", cluster.lookupd.tcp));
            let about = cluster.lookupd.tcp.clone();
            cluster.broken(about)
        },
    ),
    ("an nsqd for an nsqlookupd", "NOT_NSQLOOKUPD", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&[]);
        cluster.flag(format!("--lookupd={}", nsqd.http));
        let about = nsqd.http.clone();
        cluster.keep(nsqd);
        cluster.broken(about)
    }),
    ("no nsqd is registered", "NO_NODE", || {
        Cluster::new().broken("no nsqd")
    }),
    ("a node out of one nsqlookupd", "NODE_MISSING", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&[]);
        let other = cluster.folder.daemon("nsqlookupd", &[]);
        cluster.flag(format!("--lookupd={},{}", cluster.lookupd.http, other.http));
        let about = other.http.clone();
        cluster.keep(other);
        cluster.keep(nsqd);
        cluster.broken(about)
    }),
    ("two nodes under one address", "NODE_DOUBLE", || {
        let mut cluster = Cluster::new();
        let first = cluster.nsqd(&[]);
        let second = cluster.nsqd(&[&format!("--broadcast-tcp-port={}", port(&first.tcp))]);
        cluster.keep(second);
        cluster.about(first)
    }),
    ("an HTTP port that is another node's", "NODE_OTHER", || {
        let mut cluster = Cluster::new();
        let first = cluster.nsqd(&[]);
        let second = cluster.nsqd(&[&format!("--broadcast-http-port={}", port(&first.http))]);
        cluster.keep(first);
        cluster.about(second)
    }),
    ("a closed HTTP port", "NODE_HTTP_DOWN", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&["--broadcast-http-port=1"]);
        cluster.about(nsqd)
    }),
    ("a wrong broadcast address", "ADDRESS_UNKNOWN", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&["--broadcast-address=nowhere.invalid"]);
        cluster.keep(nsqd);
        cluster.broken("nowhere.invalid")
    }),
    ("a closed TCP port", "PORT_CLOSED", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&["--broadcast-tcp-port=1"]);
        cluster.keep(nsqd);
        cluster.broken("127.0.0.1:1")
    }),
    ("a TCP port where something else listens", "NOT_NSQD", || {
        let mut cluster = Cluster::new();
        let wrong = port(&cluster.lookupd.http).to_owned();
        let nsqd = cluster.nsqd(&[&format!("--broadcast-tcp-port={wrong}")]);
        cluster.keep(nsqd);
        cluster.broken(wrong)
    }),
    ("a node that stands still", "NODE_SILENT", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&[]);
        nsqd.process.signal(Signal::STOP);
        cluster.about(nsqd)
    }),
    ("a full disk", "NODE_UNHEALTHY", || {
        let mut cluster = Cluster::new();
        let data = cluster.folder.path().join("full");
        std::fs::create_dir(&data).unwrap();
        // Where its queue goes there is never room.
        std::os::unix::fs::symlink("/dev/full", data.join("t.diskqueue.000000.dat")).unwrap();
        let nsqd = cluster.nsqd(&["--mem-queue-size=0", &format!("--data-path={}", data.display())]);
        nsq_testkit::request(nsqd.socket(), "POST", "/pub?topic=t", b"x");
        cluster.about(nsqd)
    }),
    ("a node that is being emptied", "NODE_DRAINING", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&[]);
        let body = br#"{"id":"test","phase":"draining"}"#;
        let reply = nsq_testkit::request(nsqd.socket(), "PUT", "/lifecycle", body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        cluster.about(nsqd)
    }),
    ("TLS is required and not spoken", "TLS_REQUIRED", || {
        let mut cluster = Cluster::new();
        let nsqd = secured(&mut cluster, &Authority::new(), "good", &["--tls-required=true"]);
        cluster.about(nsqd)
    }),
    ("TLS is spoken and not there", "TLS_MISSING", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&[]);
        believe(&mut cluster, &Authority::new());
        cluster.about(nsqd)
    }),
    ("an expired certificate", "TLS_EXPIRED", || {
        let (mut cluster, authority) = (Cluster::new(), Authority::new());
        let nsqd = secured(&mut cluster, &authority, "expired", &[]);
        believe(&mut cluster, &authority);
        cluster.about(nsqd)
    }),
    ("a certificate for another name", "TLS_NAME", || {
        let (mut cluster, authority) = (Cluster::new(), Authority::new());
        let nsqd = secured(&mut cluster, &authority, "other", &[]);
        believe(&mut cluster, &authority);
        cluster.about(nsqd)
    }),
    ("a certificate of another authority", "TLS_AUTHORITY", || {
        let mut cluster = Cluster::new();
        let nsqd = secured(&mut cluster, &Authority::new(), "good", &[]);
        believe(&mut cluster, &Authority::new());
        cluster.about(nsqd)
    }),
    ("a secret is wanted and not given", "AUTH_REQUIRED", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&["--auth-http-address=127.0.0.1:1"]);
        cluster.about(nsqd)
    }),
    ("an auth server that does not run", "AUTH_FAILED", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&["--auth-http-address=127.0.0.1:1"]);
        let home = cluster.folder.path().join("home");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("secret"), "open sesame\n").unwrap();
        let secret = home.join("secret").display().to_string();
        let context = serde_json::json!({"lookupd": [cluster.lookupd.http], "auth_secret_file": secret});
        let contexts = serde_json::json!({"contexts": {"work": context}});
        std::fs::write(home.join("contexts.json"), contexts.to_string()).unwrap();
        cluster.flag("--context=work");
        cluster.about(nsqd)
    }),
    ("a paused topic", "TOPIC_PAUSED", || {
        let mut cluster = Cluster::new();
        let nsqd = with_messages(&mut cluster, 0, &[]);
        nsqd.post("/topic/pause?topic=t", b"");
        cluster.keep(nsqd);
        cluster.broken("topic t")
    }),
    ("a topic without a channel", "TOPIC_NO_CHANNEL", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&[]);
        nsqd.post("/pub?topic=alone", b"x");
        cluster.keep(nsqd);
        cluster.broken("topic alone")
    }),
    ("a tombstone", "TOPIC_HIDDEN", || {
        let mut cluster = Cluster::new();
        let nsqd = with_messages(&mut cluster, 0, &[]);
        let lookup = |cluster: &Cluster| {
            nsq_testkit::request(cluster.lookupd.socket(), "GET", "/lookup?topic=t", b"").text()
        };
        eventually(BOUND, || lookup(&cluster).contains("tcp_port"));
        cluster
            .lookupd
            .post(&format!("/topic/tombstone?topic=t&node={}", nsqd.http), b"");
        cluster.keep(nsqd);
        cluster.broken("topic t")
    }),
    ("a registration without a topic", "TOPIC_STALE", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&[]);
        cluster.lookupd.post("/topic/create?topic=ghost", b"");
        cluster.keep(nsqd);
        cluster.broken("topic ghost")
    }),
    ("a paused channel", "CHANNEL_PAUSED", || {
        let mut cluster = Cluster::new();
        let nsqd = with_messages(&mut cluster, 1, &[]);
        nsqd.post("/channel/pause?topic=t&channel=c", b"");
        cluster.keep(nsqd);
        cluster.broken("t/c")
    }),
    ("no consumers", "NO_CONSUMERS", || {
        let mut cluster = Cluster::new();
        let nsqd = with_messages(&mut cluster, 3, &[]);
        cluster.keep(nsqd);
        cluster.broken("t/c")
    }),
    (
        "consumers that reach one node of two",
        "CONSUMERS_MISS_NODE",
        || {
            let mut cluster = Cluster::new();
            let first = with_messages(&mut cluster, 0, &[]);
            let second = with_messages(&mut cluster, 2, &[]);
            let conn = consumer(&first, "t", "c");
            let about = second.tcp.clone();
            cluster.keep((conn, first, second));
            cluster.broken(about)
        },
    ),
    ("a channel on one node of two", "CHANNEL_MISSING", || {
        let mut cluster = Cluster::new();
        // A topic that is made later asks nsqlookupd for its channels.
        let first = cluster.nsqd(&[]);
        first.post("/topic/create?topic=t", b"");
        let second = with_messages(&mut cluster, 0, &[]);
        cluster.keep((first, second));
        cluster.broken("t/c")
    }),
    ("consumers that are not ready", "CONSUMERS_NOT_READY", || {
        let mut cluster = Cluster::new();
        let nsqd = with_messages(&mut cluster, 2, &[]);
        let conn = consumer(&nsqd, "t", "c");
        cluster.keep((conn, nsqd));
        cluster.broken("t/c")
    }),
    ("consumers that stand still", "CONSUMERS_STUCK", || {
        let mut cluster = Cluster::new();
        let nsqd = with_messages(&mut cluster, 3, &[]);
        let mut conn = consumer(&nsqd, "t", "c");
        conn.command("RDY 1");
        await_count(&nsqd, "in_flight_count", 1);
        cluster.keep((conn, nsqd));
        cluster.broken("t/c")
    }),
    ("messages that time out", "TIMEOUTS", || {
        let mut cluster = Cluster::new();
        let nsqd = with_messages(&mut cluster, 3, &["--msg-timeout=200ms"]);
        let mut conn = consumer(&nsqd, "t", "c");
        conn.command("RDY 1");
        await_count(&nsqd, "timeout_count", 1);
        cluster.keep((conn, nsqd));
        cluster.broken("t/c")
    }),
    ("messages that come back again and again", "REQUEUES", || {
        let mut cluster = Cluster::new();
        let nsqd = with_messages(&mut cluster, 1, &[]);
        let mut conn = consumer(&nsqd, "t", "c");
        conn.command("RDY 1");
        for _ in 0..20 {
            let delivery = conn.message();
            conn.requeue(&delivery, 0);
        }
        await_count(&nsqd, "requeue_count", 10);
        cluster.keep((conn, nsqd));
        cluster.broken("t/c")
    }),
    ("an ephemeral channel without room", "DROPS", || {
        let mut cluster = Cluster::new();
        let nsqd = cluster.nsqd(&["--mem-queue-size=1"]);
        let conn = consumer(&nsqd, "t", "c#ephemeral");
        for _ in 0..5 {
            nsqd.post("/pub?topic=t", b"x");
        }
        await_count(&nsqd, "drop_count", 1);
        cluster.keep((conn, nsqd));
        cluster.broken("t/c#ephemeral")
    }),
    ("more messages than there should be", "DEPTH_HIGH", || {
        let mut cluster = Cluster::new();
        let nsqd = with_messages(&mut cluster, 3, &[]);
        cluster.flag("--max-depth=2");
        cluster.keep(nsqd);
        cluster.broken("t/c")
    }),
    ("a message that is too old", "MESSAGES_OLD", || {
        let mut cluster = Cluster::new();
        let nsqd = with_messages(&mut cluster, 1, &[]);
        cluster.flag("--max-age=1ms");
        cluster.keep(nsqd);
        cluster.broken("t/c")
    }),
];

/// An nsqd with a certificate of this kind from this authority.
fn secured(cluster: &mut Cluster, authority: &Authority, kind: &str, flags: &[&str]) -> Daemon {
    let folder = cluster.folder.path().join(kind);
    std::fs::create_dir(&folder).unwrap();
    let identity = match kind {
        "expired" => authority.issue_expired("nsqd"),
        "other" => authority.issue_for(&["elsewhere.example".to_owned()]),
        _ => authority.issue("nsqd"),
    };
    let (cert, key) = identity.write(&folder);
    let (cert, key) = (
        format!("--tls-cert={}", cert.display()),
        format!("--tls-key={}", key.display()),
    );
    let mut all = vec![cert.as_str(), key.as_str(), "--https-address=127.0.0.1:0"];
    all.extend(flags);
    cluster.nsqd(&all)
}

/// The check believes this authority.
fn believe(cluster: &mut Cluster, authority: &Authority) {
    let file = cluster.folder.path().join("ca.pem");
    std::fs::write(&file, authority.cert()).unwrap();
    cluster.flag(format!("--tls-ca={}", file.display()));
}

fn check(folder: &Folder, flags: &[String]) -> (Ended, Value) {
    let mut args = vec!["check", "--messages", "5", "--timeout", "3s", "-o", "json"];
    args.extend(flags.iter().map(String::as_str));
    let ended = folder.run(&args);
    let report = serde_json::from_str(&ended.stdout).unwrap_or_default();
    (ended, report)
}

/// Why a fault was not named; none if it was.
fn missed((name, code, inject): &Row) -> Option<String> {
    let broken = inject();
    let named = |report: &Value| {
        let findings = report["findings"].as_array().cloned().unwrap_or_default();
        findings.iter().any(|finding| {
            let text = format!("{} {}", finding["subject"], finding["what"]);
            finding["code"] == *code && text.contains(&broken.about)
        })
    };
    // On a busy machine a registration may be lost for a moment and come back.
    let mut last = None;
    for _ in 0..LOOKS {
        let (ended, report) = check(&broken.folder, &broken.flags);
        if named(&report) {
            return None;
        }
        last = Some(ended);
    }
    Some(format!("{name}: no {code} about {} in {last:?}", broken.about))
}

/// Of at least thirty faults in a cluster, at least 28 are named; none that is listed here may be missed.
#[test]
fn faults_in_a_cluster_are_named() {
    assert!(FAULTS.len() >= 30);
    let next = AtomicUsize::new(0);
    let all_missed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(row) = FAULTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let missed = std::panic::catch_unwind(|| missed(row));
                    let missed = missed.unwrap_or_else(|_| Some(format!("{}: could not be injected", row.0)));
                    all_missed.lock().unwrap().extend(missed);
                }
            });
        }
    });
    let missed = all_missed.into_inner().unwrap();
    let named = FAULTS.len() - missed.len();
    assert!(named >= NAMED, "{named} of {}", FAULTS.len());
    assert!(
        missed.is_empty(),
        "{named} of {} named; {}",
        FAULTS.len(),
        missed.join("\n")
    );
}

/// In a cluster where all is well nothing is found, the messages come back, and the exit code is 0.
#[test]
fn a_cluster_where_all_is_well_has_no_findings() {
    let mut cluster = Cluster::new();
    let nsqd = with_messages(&mut cluster, 0, &[]);
    let second = with_messages(&mut cluster, 0, &[]);
    let at = format!("--lookupd={}", cluster.lookupd.http);
    let ended = cluster.folder.run(&["check", &at]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("✓ messages     100 of 100 came back"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.ends_with("all is well\n"), "{}", ended.stdout);
    drop((nsqd, second));
}

/// Every code that a check can give has a page.
#[test]
fn every_code_of_a_check_is_explained() {
    let folder = Folder::new();
    for (_, code, _) in FAULTS {
        let page = folder.ok(&["explain", code]);
        assert!(
            page.starts_with(&format!("{code}\n")) && page.lines().count() >= 2,
            "{page}"
        );
    }
    let unknown = folder.run(&["explain", "NO_SUCH"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}
