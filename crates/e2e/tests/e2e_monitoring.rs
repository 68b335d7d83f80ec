//! Dashboards and alerts as their users have them (OP-205): what Grafana reads, what promtool says, and what a Prometheus that
//! scrapes a loaded cluster answers to every query.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs and files"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nsq_e2e::local::LocalCluster;
use nsq_e2e::operator::Operator;
use nsq_e2e::prometheus::Prometheus;
use nsq_e2e::reference::Maker;
use nsq_e2e::{eventually_ok, free_address, http, own_file, tool};
use nsq_testkit::tls::Authority;
use nsq_testkit::{Conn, Delivery, Next};
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(60);
const DASHBOARDS: [&str; 3] = ["nsq-cluster", "nsq-topic", "nsq-operator"];
const ALERTS: usize = 18;

fn charted(path: &str) -> PathBuf {
    own_file("../../charts/nsq-operator/files").join(path)
}

fn rules() -> PathBuf {
    charted("rules/nsq.yaml")
}

fn dashboard_file(name: &str) -> PathBuf {
    charted("dashboards").join(format!("{name}.json"))
}

fn dashboard(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(dashboard_file(name)).unwrap()).unwrap()
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// The configuration of Prometheus that a page shows.
fn configuration(page: &str) -> String {
    let text = fs::read_to_string(own_file("../../docs").join(page)).unwrap();
    let mut blocks = text
        .split("```yaml\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap());
    blocks
        .find(|block| block.contains("scrape_configs:"))
        .unwrap()
        .to_owned()
}

#[track_caller]
fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn op_205_promtool_accepts_the_rules_and_each_alert_fires_and_is_silent() {
    let promtool = || Command::new(tool("prometheus/promtool"));
    succeeds(promtool().args(["check", "rules", "--lint-fatal"]).arg(rules()));
    succeeds(
        promtool()
            .args(["test", "rules"])
            .arg(own_file("monitoring/rules_test.yaml")),
    );
    let names = |path: PathBuf, start: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .filter_map(|line| line.trim_start().strip_prefix(start))
            .map(str::to_owned)
            .collect()
    };
    let alerts = names(rules(), "- alert: ");
    assert_eq!(alerts.len(), ALERTS, "{alerts:?}");
    let tested = names(own_file("monitoring/rules_test.yaml"), "- name: ");
    assert!(
        alerts.is_subset(&tested),
        "no test of {:?}",
        alerts.difference(&tested)
    );
    let explained = names(own_file("../../docs/operating/alerts.md"), "### ");
    assert_eq!(
        alerts, explained,
        "each alert has a section, and each section an alert"
    );
}

#[test]
fn op_205_the_pages_show_configurations_that_prometheus_takes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    let promtool = || Command::new(tool("prometheus/promtool"));
    fs::write(&file, configuration("operating/dashboards.md")).unwrap();
    succeeds(promtool().args(["check", "config", "--syntax-only"]).arg(&file));

    // What Prometheus finds out about two pods, only one of which has annotations; Debian's has no Kubernetes in it.
    let pods = r#"static_configs:
      - targets: ['10.1.2.3:4150']
        labels:
          __meta_kubernetes_namespace: mq
          __meta_kubernetes_pod_name: demo-nsqd-0
          __meta_kubernetes_pod_annotation_prometheus_io_scrape: "true"
          __meta_kubernetes_pod_annotation_prometheus_io_port: "4151"
          __meta_kubernetes_pod_annotation_prometheus_io_path: /path
          __meta_kubernetes_pod_label_app_kubernetes_io_instance: demo
          __meta_kubernetes_pod_label_app_kubernetes_io_component: nsqd
      - targets: ['10.1.2.4:80']"#;
    let shown = configuration("kubernetes.md");
    let found = "kubernetes_sd_configs: [{role: pod}]";
    assert!(shown.contains(found), "{shown}");
    fs::write(&file, shown.replace(found, pods)).unwrap();
    let output = promtool()
        .args(["check", "service-discovery", "--timeout=3s"])
        .arg(&file)
        .arg("nsq")
        .output()
        .unwrap();
    let targets: Value = serde_json::from_slice(&output.stdout).unwrap();
    // In no order.
    let all = targets.as_array().unwrap();
    let is_kept = |target: &&Value| {
        target["labels"]
            .as_object()
            .is_some_and(|labels| !labels.is_empty())
    };
    let kept: Vec<&Value> = all.iter().filter(is_kept).collect();
    assert_eq!((kept.len(), all.len()), (1, 2), "{targets:#}");
    let labels = &kept[0]["labels"];
    for (label, expected) in [
        ("__address__", "10.1.2.3:4151"),
        ("__metrics_path__", "/path"),
        ("namespace", "mq"),
        ("pod", "demo-nsqd-0"),
        ("nsq_cluster", "demo"),
        ("nsq_component", "nsqd"),
    ] {
        assert_eq!(labels[label], expected, "{label}");
    }
}

/// Also the layout, which no type tells.
#[test]
fn op_205_dashboards_are_what_grafana_reads() {
    succeeds(
        Command::new("node")
            .arg(own_file("dashboards/check.js"))
            .arg(tool("dashboards"))
            .args(DASHBOARDS.map(dashboard_file)),
    );
    let built_in = ["row", "stat", "table", "timeseries", "state-timeline"];
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        assert_eq!(dashboard["uid"], name);
        assert_eq!(dashboard["tags"][0], "nsq");
        assert_eq!(
            dashboard["links"][0]["tags"][0], "nsq",
            "{name}: links to the others"
        );
        let variables: Vec<&str> = variables(&dashboard)
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert_eq!(variables[0], "datasource", "{name}");
        assert!(
            variables.contains(&"namespace") && variables.contains(&"nsq_cluster"),
            "{name}"
        );
        assert_eq!(panels(&dashboard)[0]["title"], "State", "{name}: state first");
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        let mut before = (0, 0);
        for panel in panels(&dashboard) {
            let what = format!("{name}: {}", panel["title"]);
            assert!(
                built_in.contains(&panel["type"].as_str().unwrap()),
                "{what}: a plugin"
            );
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{what}: an id twice");
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(x + w <= 24 && (y, x) >= before, "{what}: out of place");
            before = (y, x);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{what}: on another panel");
            }
            if panel["type"] != "row" {
                assert_eq!(panel["datasource"]["uid"], "${datasource}", "{what}");
                let told = panel["description"].as_str().unwrap_or_default();
                assert!(told.len() > 40, "{what}: says too little of what to do");
            }
        }
    }
}

/// Words of a text that are names of metrics, without what histograms add.
fn metric_names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let kinds = ["nsqd_", "nsqlookupd_", "nsqadmin_", "nsq_operator_", "process_"];
    text.split(|c| !is_part(c))
        .filter(|word| kinds.iter().any(|kind| word.starts_with(kind)))
        .map(|word| {
            let cut = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| word.strip_suffix(end));
            cut.unwrap_or(word).to_owned()
        })
        .collect()
}

/// Names that dashboards and rules have, and the daemons do not yet: docs/metrics.md lists them.
fn not_yet_exposed() -> BTreeSet<String> {
    let page = fs::read_to_string(own_file("../../docs/metrics.md")).unwrap();
    let section = page.split_once("\n## Not yet exposed\n").unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("- `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

#[test]
fn op_205_every_metric_is_shown_by_what_runs_or_listed_as_not_yet_exposed() {
    let cluster = Loaded::start();
    let operator = Operator::start();
    // The end of a certificate is shown where there is one.
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = Authority::new().issue("localhost").write(folder.path());
    let [cert, key] =
        [("cert", cert), ("key", key)].map(|(what, file)| format!("--tls-{what}={}", file.display()));
    let with_tls = Maker::Ours.nsqd(folder.path(), &[], &[&cert, &key]);
    let nodes = cluster.local.nodes();
    let others = [&cluster.http, &operator.http, &with_tls.http];
    let addresses = nodes.iter().map(|node| &node.http).chain(others);
    let scraped = addresses.map(|address| http::get(address, "/metrics").unwrap().1);
    let mut shown = BTreeSet::new();
    for page in scraped.chain([Operator::page_of_a_leader()]) {
        let heads = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        shown.extend(heads.map(|head| head.split(' ').next().unwrap().to_owned()));
    }
    let mut used = metric_names(&fs::read_to_string(rules()).unwrap());
    for name in DASHBOARDS {
        used.extend(metric_names(&fs::read_to_string(dashboard_file(name)).unwrap()));
    }
    assert!(used.len() > 40, "{used:?}");
    let missing: BTreeSet<String> = used.difference(&shown).cloned().collect();
    assert_eq!(
        missing,
        not_yet_exposed(),
        "left: not shown, right: listed in docs/metrics.md"
    );
}

#[test]
fn op_205_prometheus_answers_every_query() {
    let mut cluster = Loaded::start();
    let operator = Operator::start();
    let leader = serve(Operator::page_of_a_leader());
    let jobs = format!(
        "  - job_name: nsq
    http_sd_configs: [{{url: 'http://{}/sd', refresh_interval: 1s}}]
  - job_name: nsq-operator
    honor_labels: true
    static_configs:
      - {{targets: ['{}'], labels: {{namespace: local, pod: nsq-operator-local}}}}
      - {{targets: ['{}'], labels: {{namespace: nsq-system, pod: nsq-operator-0}}}}
      - {{targets: ['{leader}'], labels: {{namespace: nsq-system, pod: nsq-operator-1}}}}\n",
        cluster.http, cluster.http, operator.http
    );
    let prometheus = Prometheus::start(&jobs, &[&rules()]);
    prometheus.wait_targets(cluster.local.nodes().len() + 3);
    check_rules(&prometheus);

    let absent = not_yet_exposed();
    let mut open = queries();
    assert!(open.len() > 80, "{} queries", open.len());
    for (query, place) in &open {
        let answer = prometheus.query(query);
        assert!(answer.is_ok(), "{place}: {query}: {answer:?}");
    }
    open.retain(|query, _| metric_names(query).is_disjoint(&absent));
    eventually_ok(BOUND, || {
        cluster.use_everything();
        open.retain(|query, place| !is_answered(&prometheus, query, place));
        let told = || format!("queries without an answer: {open:#?}");
        open.is_empty().then_some(()).ok_or_else(told)
    });
    let folder = tempfile::tempdir().unwrap();
    match std::env::var_os("NSQ_PICTURES") {
        Some(folder) => {
            cluster.live(PICTURED);
            draw(&prometheus, PICTURED, folder.as_ref());
        }
        None => draw(&prometheus, Duration::from_secs(5), folder.path()),
    }
}

/// Time that pictures for people show (`cargo xtask pictures`).
const PICTURED: Duration = Duration::from_secs(180);

/// Draws what this time looked like. Not for the operator, whose page stands still here.
fn draw(prometheus: &Prometheus, time: Duration, folder: &Path) {
    for name in ["nsq-cluster", "nsq-topic"] {
        let picture = folder.join(format!("{name}.svg"));
        let variables: BTreeMap<&str, &str> = values(name).into_iter().collect();
        let arguments = [
            prometheus.address(),
            &time.as_secs().to_string(),
            &serde_json::to_string(&variables).unwrap(),
        ];
        succeeds(
            Command::new("node")
                .arg(own_file("dashboards/picture.js"))
                .args(arguments)
                .args([&dashboard_file(name), &picture]),
        );
        let drawn = fs::read_to_string(&picture).unwrap();
        assert!(drawn.matches("<polyline").count() > 5, "{name}: {drawn}");
    }
}

/// True if a query gives a series whose value is a number. Nothing moves on the page of a leader, so quantiles of it are none.
fn is_answered(prometheus: &Prometheus, query: &str, place: &str) -> bool {
    let series = prometheus.query(query).unwrap_or_default();
    let is_number = |one: &Value| one["value"][1] != "NaN" || place.starts_with("nsq-operator");
    series.iter().any(is_number)
}

/// As Prometheus has loaded them: they are evaluated without an error, and their texts say what it is about.
fn check_rules(prometheus: &Prometheus) {
    let loaded = eventually_ok(BOUND, || {
        let groups = prometheus.api("rules?type=alert")?["groups"].take();
        let rules = groups.as_array().unwrap().iter().flat_map(|group| {
            let rules = group["rules"].as_array().unwrap().clone();
            rules.into_iter().map(|rule| (group["name"].clone(), rule))
        });
        let rules: Vec<(Value, Value)> = rules.collect();
        let is_evaluated = |rule: &Value| rule["health"] == "ok";
        let all = rules.iter().all(|(_, rule)| is_evaluated(rule));
        all.then_some(rules).ok_or_else(|| groups.to_string())
    });
    assert_eq!(loaded.len(), ALERTS);
    for (group, rule) in loaded {
        let name = rule["name"].as_str().unwrap();
        let notes = &rule["annotations"];
        let page = format!("docs/operating/alerts.md#{}", name.to_lowercase());
        assert_eq!(notes["runbook"], page, "{name}");
        assert!(
            ["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()),
            "{name}"
        );
        let mut labels = vec!["$labels.namespace"];
        if group != "nsq-operator" {
            labels.push("$labels.nsq_cluster");
        }
        // Nothing is there that could have a label.
        if name == "NsqOperatorDown" {
            labels.clear();
        }
        for label in labels {
            let told = notes["description"].as_str().unwrap();
            assert!(told.contains(label), "{name}: {told}");
        }
        let summary = notes["summary"].as_str().unwrap();
        assert!(
            summary.contains("$labels.") || name == "NsqOperatorDown",
            "{name}: {summary}"
        );
    }
}

fn variables(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["templating"]["list"].as_array().unwrap().iter()
}

/// Every query of the dashboards with the variables filled in, also those of the variables, and where it stands.
fn queries() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        for panel in panels(&dashboard) {
            let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert!(!targets.is_empty() || panel["type"] == "row", "{panel}");
            for target in targets {
                let expression = target["expr"].as_str().unwrap();
                found.insert(filled(expression, name), format!("{name}: {}", panel["title"]));
            }
        }
        for variable in variables(&dashboard).filter(|one| one["type"] == "query") {
            let text = variable["query"]["query"].as_str().unwrap();
            let inside = text
                .strip_prefix("label_values(")
                .unwrap()
                .strip_suffix(')')
                .unwrap();
            let (series, label) = inside.rsplit_once(", ").unwrap();
            let query = format!("group by ({label}) ({})", filled(series, name));
            found.insert(query, format!("{name}: variable {label}"));
        }
    }
    found
}

/// Values of the variables: for the operator's page all clusters are chosen.
fn values(dashboard: &str) -> [(&'static str, &'static str); 6] {
    let of_all = dashboard == "nsq-operator";
    [
        ("__rate_interval", "10s"),
        ("namespace", if of_all { ".*" } else { "local" }),
        ("nsq_cluster", if of_all { ".*" } else { "test" }),
        ("operator", "nsq-system"),
        ("topic", "orders"),
        ("channel", ".*"),
    ]
}

/// As Grafana fills in the variables.
fn filled(query: &str, dashboard: &str) -> String {
    let mut filled = query.to_owned();
    for (name, value) in values(dashboard) {
        filled = filled.replace(&format!("${name}"), value);
    }
    assert!(!filled.contains('$'), "{filled}");
    filled
}

/// Answers every request with this page, until the test program ends.
fn serve(page: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
                head.push(byte[0]);
            }
            let length = page.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
            );
            // The scraper may have gone.
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    address
}

/// A cluster of `nsq-operator local` with everything that happens to messages.
struct Loaded {
    local: LocalCluster,
    /// Endpoints of the operator.
    http: String,
    consumer: Conn,
    publisher: Conn,
    /// Connections that have to stay.
    others: Vec<Conn>,
}

/// Small memory queues, so that files are used.
const SPEC: &str = "  nsqd:
    replicas: 2
    options: {memQueueSize: 10, e2eProcessingLatencyPercentiles: [\"0.5\", \"0.99\"]}
  lookupd: {replicas: 1}
";
/// Messages of a round.
const ROUND: usize = 10;

impl Loaded {
    fn start() -> Self {
        let http = free_address();
        let local = LocalCluster::start_with(SPEC, &["--http-address", &http]);
        let nsqd = local.nsqds().remove(0);
        let create = |target: &str| {
            let (status, body) = http::post(&nsqd.http, target, "").unwrap();
            assert_eq!(status, 200, "{target}: {body}");
        };
        for topic in ["orders", "left", "unread"] {
            create(&format!("/topic/create?topic={topic}"));
        }
        // Nobody consumes it: an alert is pending.
        create("/channel/create?topic=left&channel=nobody");
        let connect = |identify: &str| {
            let mut conn = Conn::connect(nsqd.tcp.parse().unwrap());
            conn.send(b"  V2");
            conn.identify(identify);
            conn.expect_ok();
            conn
        };
        // The longest there is: those that only hold messages say something more often.
        let steady = r#"{"heartbeat_interval":60000}"#;
        let mut consumer = connect(steady);
        consumer.subscribe("orders", "billing");
        consumer.command(&format!("RDY {}", 2 * ROUND));
        // Answers nothing: its one message times out each second, and is delivered again.
        let mut slow = connect(r#"{"heartbeat_interval":60000,"msg_timeout":1000}"#);
        slow.subscribe("orders", "slow");
        slow.command("RDY 1");
        let mut sampled = connect(r#"{"heartbeat_interval":60000,"sample_rate":1}"#);
        sampled.subscribe("orders", "tmp#ephemeral");
        sampled.command("RDY 100");
        let mut cluster = Self {
            publisher: connect(r#"{"heartbeat_interval":-1}"#),
            consumer,
            others: vec![slow, sampled],
            local,
            http,
        };
        cluster.use_everything();
        cluster
    }

    /// Rounds for as long as this, now quicker, now slower.
    fn live(&mut self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            self.use_everything();
            let wave = (began.elapsed().as_secs_f64() / 15.0).sin();
            std::thread::sleep(Duration::from_secs_f64(0.15 + 0.1 * wave));
        }
    }

    fn message(&mut self) -> Delivery {
        loop {
            match self.consumer.next(BOUND) {
                Next::Frame(frame) if frame.is_heartbeat() => {}
                Next::Frame(frame) => return frame.delivery(),
                other => panic!("a message was due, there is {other:?}"),
            }
        }
    }

    /// One round: publishes to topics with and without channels and consumers, deferred and refused ones; finishes and requeues.
    fn use_everything(&mut self) {
        for topic in ["orders", "left", "unread"] {
            for _ in 0..ROUND {
                self.publisher.publish(topic, b"message");
            }
        }
        self.publisher.command_with("DPUB orders 600000", b"later");
        self.publisher.expect_ok();
        let again = self.message();
        self.consumer.requeue(&again, 0);
        for _ in 0..ROUND {
            let message = self.message();
            self.consumer.finish(&message);
        }
        self.others.iter_mut().for_each(|conn| conn.command("NOP"));
        // An error of this kind ends the connection.
        let nsqd = self.local.nsqds().remove(0);
        let mut refused = Conn::connect(nsqd.tcp.parse().unwrap());
        refused.send(b"  V2");
        refused.command_with("PUB a,b", b"m");
        drop(refused.frame());
    }
}
