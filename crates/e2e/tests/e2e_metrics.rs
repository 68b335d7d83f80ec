//! `/metrics` of all daemons as their readers see them: promtool, Prometheus and docs/metrics.md.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs and files"
)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nsq_e2e::operator::Operator;
use nsq_e2e::process::Process;
use nsq_e2e::prometheus::Prometheus;
use nsq_e2e::reference::{Daemon, Maker};
use nsq_e2e::{eventually, eventually_some, http, own_file, program, tool};
use nsq_testkit::tls::Authority;
use nsq_testkit::{Conn, Scrape};

const BOUND: Duration = Duration::from_secs(20);

/// One of each daemon, with everything on that has metrics, and some traffic.
struct Cluster {
    lookupd: Daemon,
    nsqd: Daemon,
    admin: Process,
    admin_http: String,
    _folder: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lookupd = Maker::Ours.nsqlookupd(&[]);
        let authority = Authority::new();
        let (cert, key) = authority.issue("localhost").write(folder.path());
        let (cert, key) = (
            format!("--tls-cert={}", cert.display()),
            format!("--tls-key={}", key.display()),
        );
        let more = [
            cert.as_str(),
            key.as_str(),
            "--https-address=127.0.0.1:0",
            "--e2e-processing-latency-percentile=0.5,0.99",
        ];
        let nsqd = Maker::Ours.nsqd(folder.path(), &[&lookupd.tcp], &more);
        let admin = Process::start(
            "nsqadmin",
            Command::new(program("nsqadmin")).args([
                "--http-address=127.0.0.1:0",
                "--base-path=/adm",
                &format!("--lookupd-http-address={}", lookupd.http),
            ]),
        );
        let admin_http = eventually_some(BOUND, "nsqadmin listens", || {
            let lines = admin.error_lines();
            let line = lines
                .iter()
                .find_map(|line| line.split_once("HTTP: listening on "));
            line.map(|(_, address)| address.trim().to_owned())
        });
        let cluster = Self {
            lookupd,
            nsqd,
            admin,
            admin_http,
            _folder: folder,
        };
        cluster.use_everything();
        cluster
    }

    /// So that every family has a sample that can have one.
    fn use_everything(&self) {
        let connect = || {
            let mut conn = Conn::connect(self.nsqd.tcp.parse().unwrap());
            conn.send(b"  V2");
            conn
        };
        let mut consumer = connect();
        consumer.subscribe("t", "c");
        consumer.command("RDY 1");
        let mut sampled = connect();
        sampled.identify(r#"{"sample_rate":1}"#);
        sampled.expect_ok();
        sampled.subscribe("t", "c#ephemeral");
        sampled.command("RDY 100");
        let mut publisher = connect();
        for _ in 0..50 {
            publisher.publish("t", b"m");
        }
        let message = consumer.message();
        consumer.finish(&message);
        let mut refused = connect();
        refused.command_with("PUB a,b", b"m");
        drop(refused.frame());
        eventually(BOUND, "the topic is known", || {
            http::get(&self.lookupd.http, "/lookup?topic=t").is_some_and(|(status, _)| status == 200)
        });
        assert!(http::get(&self.lookupd.http, "/lookup?topic=unknown").is_some());
        assert!(http::get(&self.admin_http, "/adm/api/nodes").is_some());
        assert!(http::post(&self.admin_http, "/adm/api/topics", r#"{"topic":"made"}"#).is_some());
        assert!(http::get(&self.admin_http, "/adm").is_some());
        eventually(BOUND, "nsqadmin has asked the nsqd", || {
            let page = http::get(&self.admin_http, "/metrics");
            page.is_some_and(|(_, page)| page.contains("nsqadmin_poll_bytes_total{"))
        });
    }

    fn pages(&self) -> [(&'static str, String); 3] {
        [
            ("nsqd", &self.nsqd.http),
            ("nsqlookupd", &self.lookupd.http),
            ("nsqadmin", &self.admin_http),
        ]
        .map(|(name, address)| {
            let (status, page) = http::get(address, "/metrics").unwrap();
            assert_eq!(status, 200, "{page}");
            (name, page)
        })
    }

    fn logs(&self) -> String {
        [
            self.nsqd.process.errors(),
            self.lookupd.process.errors(),
            self.admin.errors(),
        ]
        .concat()
    }
}

/// Name, type and help of every family of a page.
fn families(page: &str) -> BTreeSet<(String, String, String)> {
    let mut lines = page.lines();
    let mut found = BTreeSet::new();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            let kind = lines.next().unwrap().rsplit_once(' ').unwrap().1;
            found.insert((name.to_owned(), kind.to_owned(), help.to_owned()));
        }
    }
    found
}

/// The type, the header without `X-NSQ-Content-Type` and the format are in `nsqd/tests/metrics.rs`.
#[test]
fn ex_023_promtool_has_nothing_to_say() {
    let cluster = Cluster::start();
    for (name, page) in cluster.pages() {
        check_page(name, &page);
        assert!(!cluster.logs().contains("/metrics"), "a scrape is no INFO line");
    }
    let operator = Operator::start();
    check_page("nsq-operator", &http::get(&operator.http, "/metrics").unwrap().1);
    check_page("leading nsq-operator", &Operator::page_of_a_leader());
}

fn check_page(name: &str, page: &str) {
    let mut promtool = Command::new(tool("prometheus/promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success() && said.is_empty(),
        "{name}: {}\n{page}",
        String::from_utf8_lossy(&said)
    );
}

/// Also those of the other daemons, in both formats: Prometheus asks for OpenMetrics.
#[test]
fn prometheus_scrapes_all_daemons() {
    let cluster = Cluster::start();
    let targets: String = [&cluster.nsqd.http, &cluster.lookupd.http, &cluster.admin_http]
        .iter()
        .map(|address| format!("      - targets: ['{address}']\n"))
        .collect();
    let jobs = format!("  - job_name: nsq\n    static_configs:\n{targets}");
    let prometheus = Prometheus::start(&jobs, &[]);
    prometheus.wait_targets(3);
    for (query, expected) in [
        ("nsqd_channel_finished_total{channel=\"c\"}", 1.0),
        ("nsqd_topic_messages_total", 50.0),
        ("nsqlookupd_producers", 1.0),
        ("count({__name__=~\"nsq.*_build_info\"})", 3.0),
        ("count(process_resident_memory_bytes)", 3.0),
    ] {
        eventually(BOUND, query, || prometheus.value(query) == Some(expected));
    }
    let below = "histogram_quantile(1, nsqd_channel_publish_to_finish_seconds_bucket{channel=\"c\"})";
    assert!(prometheus.value(below).is_some_and(|seconds| seconds <= 10.0));
    prometheus.wait_targets(3);
}

#[test]
fn ex_035_the_other_daemons_show_their_names() {
    let cluster = Cluster::start();
    // The ephemeral channel went with its consumer.
    eventually(BOUND, "one channel is left", || {
        cluster.pages()[1].1.contains("\nnsqlookupd_channels 1\n")
    });
    let [_, (_, lookupd), (_, admin)] = cluster.pages();
    let names =
        |page: &str| -> BTreeSet<String> { families(page).into_iter().map(|family| family.0).collect() };
    for name in [
        "build_info",
        "start_time_seconds",
        "producers",
        "inactive_producers",
        "topics",
        "channels",
        "tombstones",
        "tcp_connections",
        "commands_total",
        "lookups_total",
        "http_requests_total",
    ] {
        assert!(names(&lookupd).contains(&format!("nsqlookupd_{name}")), "{name}");
    }
    for name in [
        "build_info",
        "start_time_seconds",
        "http_requests_total",
        "upstream_requests_total",
        "upstream_seconds",
        "upstreams_unreachable",
    ] {
        assert!(names(&admin).contains(&format!("nsqadmin_{name}")), "{name}");
    }
    let lookupd = Scrape::of(lookupd);
    for (sample, expected) in [
        ("nsqlookupd_producers", 1.0),
        ("nsqlookupd_inactive_producers", 0.0),
        // The published one, and the one that was made over nsqadmin.
        ("nsqlookupd_topics", 2.0),
        ("nsqlookupd_channels", 1.0),
        ("nsqlookupd_tcp_connections", 1.0),
        (
            "nsqlookupd_commands_total{command=\"identify\",result=\"ok\"}",
            1.0,
        ),
        ("nsqlookupd_lookups_total{result=\"not_found\"}", 1.0),
    ] {
        assert_eq!(lookupd.get(sample).unwrap_or_default(), expected, "{sample}");
    }
    let admin = Scrape::of(admin);
    assert!(admin.value("nsqadmin_upstream_requests_total{kind=\"nsqlookupd\",result=\"ok\"}") >= 1.0);
    assert_eq!(admin.value("nsqadmin_upstreams_unreachable{kind=\"nsqd\"}"), 0.0);
    assert_eq!(
        admin.value("nsqadmin_http_requests_total{code=\"200\",route=\"/api/nodes\"}"),
        1.0
    );
    assert_eq!(http::get(&cluster.admin_http, "/adm/metrics").unwrap().0, 404);
}

/// Rows of the tables of docs/metrics.md: name, type and meaning.
fn documented() -> BTreeSet<(String, String, String)> {
    let text = std::fs::read_to_string(own_file("../../docs/metrics.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, _, help] = cells[..] else {
            panic!("not four cells: {line}")
        };
        (
            name.trim_matches('`').to_owned(),
            kind.to_owned(),
            help.to_owned(),
        )
    })
    .collect()
}

#[test]
fn the_page_of_metrics_lists_what_the_daemons_show() {
    let cluster = Cluster::start();
    let operator = Operator::start();
    let (_, page) = http::get(&operator.http, "/metrics").unwrap();
    let mut shown: BTreeSet<_> = cluster
        .pages()
        .iter()
        .flat_map(|(_, page)| families(page))
        .collect();
    shown.extend(families(&page));
    shown.extend(families(&Operator::page_of_a_leader()));
    let documented = documented();
    let missing: Vec<_> = shown.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&shown).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "not in docs/metrics.md: {missing:#?}\nnot shown: {gone:#?}"
    );
}
