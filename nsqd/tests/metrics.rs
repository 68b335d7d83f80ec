//! `/metrics`, ages, and the keys of `/stats` that the reference does not have: EX-005, EX-024 to EX-031, EX-033, EX-034 of the
//! extensions specification, OP-160 of the operator's. What promtool and Prometheus say of the page is in the e2e tests.
#![allow(clippy::unwrap_used, reason = "a test")]

use flate2::read::GzDecoder;
use nsq_testkit::{BOUND, Conn, Daemon, Reply, Scrape, Stopwatch, eventually, nsqd, ours_only};
use serde_json::{Value, json};
use std::io::Read;
use std::time::Duration;

const METRICS: &str = "X `/metrics` and the ops listener";
const KEYS: &str = "X keys of topics and channels in `/stats`";

/// The answer to a scrape with these headers.
#[track_caller]
fn scrape(daemon: &Daemon, headers: &str) -> Reply {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    let reply = daemon.request_raw(request.as_bytes());
    assert_eq!(reply.status, 200);
    reply
}

fn of_channel(family: &str, channel: &str) -> String {
    format!("nsqd_channel_{family}{{topic=\"t\",channel=\"{channel}\"}}")
}

fn with_channel(daemon: Daemon) -> Daemon {
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=c");
    daemon
}

fn consumer(daemon: &Daemon, ready: u64) -> Conn {
    let mut conn = daemon.subscribe("t", "c");
    conn.command(&format!("RDY {ready}"));
    conn
}

fn age(daemon: &Daemon) -> f64 {
    daemon
        .metrics()
        .value(&of_channel("oldest_message_age_seconds", "c"))
}

/// Waits until the oldest message of the channel has this age in seconds.
#[track_caller]
fn expect_age(daemon: &Daemon, seconds: f64) {
    eventually(Duration::from_secs(20), || age(daemon) >= seconds);
}

#[test]
fn ex_005_keys_beyond_the_reference_come_last() {
    if ours_only(KEYS) {
        return;
    }
    let daemon = with_channel(nsqd!());
    let body = daemon.get("/stats?format=json").text();
    let picture: Value = serde_json::from_str(&body).unwrap();
    let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let mut top = keys(&picture);
    top.sort();
    assert_eq!(
        top,
        ["health", "memory", "producers", "start_time", "topics", "version"]
    );
    let order = |text: &str, keys: &[&str]| {
        let places: Vec<usize> = keys
            .iter()
            .map(|key| {
                text.find(&format!("\"{key}\":"))
                    .unwrap_or_else(|| panic!("no {key} in {text}"))
            })
            .collect();
        assert!(places.is_sorted(), "{text}");
    };
    let channel = &body[body.find("{\"channel_name\"").unwrap()..body.find("],\"depth\"").unwrap()];
    order(
        channel,
        &[
            "channel_name",
            "depth",
            "backend_depth",
            "in_flight_count",
            "deferred_count",
            "message_count",
            "requeue_count",
            "timeout_count",
            "client_count",
            "clients",
            "paused",
            "e2e_processing_latency",
            "backlog_bytes",
            "oldest_age_ms",
            "finish_count",
            "dead_letter_count",
            "drop_count",
        ],
    );
    let topic = &body[body.find("],\"depth\"").unwrap()..];
    order(
        topic,
        &[
            "depth",
            "backend_depth",
            "message_count",
            "message_bytes",
            "paused",
            "e2e_processing_latency",
            "backlog_bytes",
            "oldest_age_ms",
            "durability",
            "read_only",
        ],
    );
}

#[test]
fn ex_024_the_format_is_what_was_asked_for() {
    if ours_only(METRICS) {
        return;
    }
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let daemon = with_channel(nsqd!());
    for (accept, expected) in [
        ("", TEXT),
        ("Accept: */*\r\n", TEXT),
        ("Accept: application/json\r\n", TEXT),
        ("Accept: application/openmetrics-text;q=0.1,text/plain\r\n", TEXT),
        (
            "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n",
            OPEN,
        ),
    ] {
        let reply = scrape(&daemon, accept);
        assert_eq!(reply.header("Content-Type"), Some(expected), "{accept}");
        assert_eq!(reply.header("X-NSQ-Content-Type"), None);
        assert_eq!(reply.header("Vary"), Some("Accept-Encoding"));
        assert_eq!(reply.text().ends_with("\n# EOF\n"), expected == OPEN, "{accept}");
    }
    let open = scrape(&daemon, "Accept: application/openmetrics-text\r\n").text();
    assert!(
        open.contains("# TYPE nsqd_topic_messages counter\nnsqd_topic_messages_total{"),
        "{open}"
    );
    let packed = scrape(&daemon, "Accept-Encoding: gzip\r\n");
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&packed.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(Scrape::of(text).value("nsqd_healthy") > 0.0);
    assert!(!daemon.log().contains("/metrics"), "a scrape is logged at DEBUG");
}

#[test]
fn ex_025_counters_are_those_of_stats() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = with_channel(nsqd!());
    for body in [b"one".as_slice(), b"three", b"5"] {
        daemon.post("/pub?topic=t", body);
    }
    let mut consumer = consumer(&daemon, 3);
    let (first, second, third) = (consumer.message(), consumer.message(), consumer.message());
    consumer.command("RDY 0");
    consumer.finish(&first);
    consumer.finish(&second);
    consumer.requeue(&third, 0);
    daemon.expect_channel("t", "c", &[("requeue_count", 1), ("in_flight_count", 0)]);
    let stats = daemon.channel("t", "c");
    let topic = daemon.topic("t");
    for accept in ["", "Accept: application/openmetrics-text\r\n"] {
        let page = Scrape::of(scrape(&daemon, accept).text());
        let value = |family: &str| page.value(&of_channel(family, "c"));
        assert_eq!(value("delivered_total"), 3.0);
        for (family, key, expected) in [
            ("finished_total", "finish_count", 2.0),
            ("requeued_total", "requeue_count", 1.0),
            ("messages_total", "message_count", 3.0),
            ("timed_out_total", "timeout_count", 0.0),
            ("depth", "depth", 1.0),
            ("in_flight", "in_flight_count", 0.0),
            ("clients", "client_count", 1.0),
            ("backlog_bytes", "backlog_bytes", 1.0),
        ] {
            assert_eq!(
                (value(family), stats[key].as_f64()),
                (expected, Some(expected)),
                "{family}"
            );
        }
        let of_topic = |family: &str| page.value(&format!("nsqd_topic_{family}{{topic=\"t\"}}"));
        assert_eq!(
            (of_topic("messages_total"), &topic["message_count"]),
            (3.0, &json!(3))
        );
        assert_eq!(
            (of_topic("message_bytes_total"), &topic["message_bytes"]),
            (9.0, &json!(9))
        );
        assert_eq!(page.value("nsqd_clients{kind=\"consumer\"}"), 1.0);
    }
}

#[test]
fn ex_026_the_age_grows_until_the_oldest_message_is_finished() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = with_channel(nsqd!());
    assert_eq!(age(&daemon), 0.0);
    let watch = Stopwatch::start();
    daemon.post("/pub?topic=t", b"m");
    expect_age(&daemon, 3.0);
    assert!(watch.elapsed() >= Duration::from_secs(3));
    let mut consumer = consumer(&daemon, 1);
    let message = consumer.message();
    let delivered = age(&daemon);
    assert!(delivered >= 3.0);
    expect_age(&daemon, delivered + 0.5);
    let stats = daemon.channel("t", "c")["oldest_age_ms"].as_u64().unwrap();
    assert!(stats >= 3500, "{stats}");
    consumer.finish(&message);
    daemon.expect_metric(&of_channel("oldest_message_age_seconds", "c"), 0.0);
}

#[test]
fn ex_026_a_message_in_files_ages_too() {
    if ours_only(METRICS) {
        return;
    }
    let mut daemon = with_channel(nsqd!("--mem-queue-size=0"));
    for _ in 0..100 {
        daemon.post("/pub?topic=t", b"m");
    }
    expect_age(&daemon, 1.0);
    daemon.restart();
    daemon.expect_channel("t", "c", &[("depth", 100), ("backlog_bytes", 100)]);
    expect_age(&daemon, 1.5);
}

#[test]
fn ex_027_a_deferred_publish_counts_from_its_due_time() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = with_channel(nsqd!());
    let mut conn = daemon.connect();
    let watch = Stopwatch::start();
    conn.command_with("DPUB t 1500", b"later");
    conn.expect_ok();
    daemon.expect_channel("t", "c", &[("deferred_count", 1)]);
    while daemon.channel("t", "c")["deferred_count"] == 1 {
        // Due between the two pictures: then it counts already.
        let age = age(&daemon);
        assert!(age < 0.5, "{age}");
    }
    expect_age(&daemon, 2.0);
    let age = age(&daemon);
    let since_publish = watch.elapsed().as_secs_f64();
    assert!(age <= since_publish - 1.4, "{age} of {since_publish}");
    let mut consumer = consumer(&daemon, 1);
    let message = consumer.message();
    consumer.finish(&message);
    daemon.expect_metric(&of_channel("oldest_message_age_seconds", "c"), 0.0);
    let page = daemon.metrics();
    let below = |bound: &str| {
        let labels = format!("{{topic=\"t\",channel=\"c\",le=\"{bound}\"}}");
        page.value(&format!("nsqd_channel_publish_to_finish_seconds_bucket{labels}"))
    };
    assert_eq!((below("0.5"), below("60")), (0.0, 1.0), "from the due time on");
    assert!(page.value("nsqd_timer_lateness_seconds_count") >= 1.0);
}

#[test]
fn ex_028_a_requeued_message_keeps_its_age_while_it_waits() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = with_channel(nsqd!());
    daemon.post("/pub?topic=t", b"m");
    expect_age(&daemon, 1.0);
    let mut consumer = consumer(&daemon, 1);
    let message = consumer.message();
    consumer.requeue(&message, 60_000);
    daemon.expect_channel("t", "c", &[("deferred_count", 1), ("in_flight_count", 0)]);
    let deferred = age(&daemon);
    assert!(deferred >= 1.0, "{deferred}");
    expect_age(&daemon, deferred + 1.0);
    daemon.act("/channel/empty?topic=t&channel=c");
    assert_eq!(age(&daemon), 0.0);
}

/// Nor does a time-out, or the end of the consumer, make a message younger.
#[test]
fn a_message_whose_consumer_is_gone_keeps_its_age() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = with_channel(nsqd!("--msg-timeout=1s"));
    daemon.post("/pub?topic=t", b"m");
    let mut first = consumer(&daemon, 1);
    first.message();
    daemon.expect_channel("t", "c", &[("timeout_count", 1), ("in_flight_count", 1)]);
    assert!(age(&daemon) >= 1.0);
    drop(first);
    daemon.expect_channel("t", "c", &[("client_count", 0), ("in_flight_count", 1)]);
    assert!(age(&daemon) >= 1.0);
    daemon.expect_channel("t", "c", &[("timeout_count", 2), ("depth", 1)]);
    assert!(age(&daemon) >= 2.0);
    let mut second = consumer(&daemon, 1);
    let message = second.message();
    second.finish(&message);
    daemon.expect_metric(&of_channel("oldest_message_age_seconds", "c"), 0.0);
}

#[test]
fn ex_029_times_from_publish_and_from_delivery_are_counted_apart() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = with_channel(nsqd!());
    daemon.post("/pub?topic=t", b"m");
    expect_age(&daemon, 1.0);
    let mut consumer = consumer(&daemon, 1);
    let message = consumer.message();
    expect_age(&daemon, 3.0);
    consumer.finish(&message);
    daemon.expect_channel("t", "c", &[("finish_count", 1)]);
    let page = daemon.metrics();
    let below = |family: &str, bound: &str| {
        page.value(&format!(
            "nsqd_channel_{family}_seconds_bucket{{topic=\"t\",channel=\"c\",le=\"{bound}\"}}"
        ))
    };
    assert_eq!(below("publish_to_finish", "2.5"), 0.0);
    assert_eq!(below("publish_to_finish", "10"), 1.0);
    assert_eq!(below("deliver_to_finish", "2.5"), 1.0);
    let sum = page.value(&of_channel("publish_to_finish_seconds_sum", "c"));
    assert!((3.0..10.0).contains(&sum), "{sum}");
}

#[test]
fn ex_030_ephemeral_channels_share_series_that_never_fall() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = nsqd!();
    let mut consumers: Vec<Conn> = (0..3)
        .map(|n| {
            let mut conn = daemon.subscribe("t", &format!("e{n}#ephemeral"));
            conn.command("RDY 10");
            conn
        })
        .collect();
    daemon.post("/mpub?topic=t", b"a\nb").expect(200, "OK");
    for consumer in &mut consumers {
        for _ in 0..2 {
            let message = consumer.message();
            consumer.finish(&message);
        }
    }
    let finished = of_channel("finished_total", "#ephemeral");
    daemon.expect_metric(&finished, 6.0);
    let page = daemon.metrics();
    assert_eq!(page.containing("nsqd_channel_finished_total").count(), 1);
    assert_eq!(page.value(&of_channel("clients", "#ephemeral")), 3.0);
    assert_eq!(page.value("nsqd_metrics_truncated"), 0.0);
    drop(consumers);
    eventually(BOUND, || daemon.topic("t")["channels"] == json!([]));
    let page = daemon.metrics();
    assert_eq!(page.value(&finished), 6.0);
    assert_eq!(
        page.value(&of_channel("publish_to_finish_seconds_count", "#ephemeral")),
        6.0
    );
    assert_eq!(page.value(&of_channel("clients", "#ephemeral")), 0.0);
    assert!(page.containing("e0#ephemeral").next().is_none());
}

#[test]
fn ex_031_channels_beyond_the_bound_share_series() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = nsqd!("--metrics-max-channels=2");
    daemon.act("/topic/create?topic=t");
    for channel in ["a", "b", "c"] {
        daemon.act(&format!("/channel/create?topic=t&channel={channel}"));
    }
    daemon.post("/pub?topic=t", b"m");
    let channels = |page: &Scrape| -> Vec<String> {
        let names = page.containing("nsqd_channel_messages_total{");
        names
            .map(|(name, _)| name.split('"').nth(3).unwrap().to_owned())
            .collect()
    };
    let page = daemon.metrics();
    assert_eq!(channels(&page), ["*", "a", "b"]);
    assert_eq!(page.value("nsqd_metrics_truncated"), 1.0);
    daemon.act("/channel/delete?topic=t&channel=a");
    daemon.act("/channel/create?topic=t&channel=d");
    daemon.post("/pub?topic=t", b"m");
    let page = daemon.metrics();
    assert_eq!(channels(&page), ["*", "b", "d"]);
    assert_eq!(
        page.value(&of_channel("messages_total", "*")),
        2.0,
        "c is still there"
    );
    assert_eq!(page.value(&of_channel("messages_total", "d")), 1.0);
    daemon.act("/channel/delete?topic=t&channel=c");
    let page = daemon.metrics();
    assert_eq!(
        page.value(&of_channel("messages_total", "*")),
        2.0,
        "no counter falls"
    );
    assert_eq!(page.value(&of_channel("depth", "*")), 0.0);
    assert_eq!(page.value("nsqd_metrics_truncated"), 0.0);
    // The same for topics; a channel with a place of its own shows the name of a topic without one.
    for topic in ["u", "v"] {
        daemon.act(&format!("/topic/create?topic={topic}"));
        daemon.post(&format!("/pub?topic={topic}"), b"m");
    }
    let page = daemon.metrics();
    assert_eq!(page.value("nsqd_topic_messages_total{topic=\"*\"}"), 1.0);
    daemon.act("/topic/delete?topic=v");
    assert_eq!(
        daemon.metrics().value("nsqd_topic_messages_total{topic=\"*\"}"),
        1.0
    );
}

/// What a scrape costs has nothing to do with how much lies in a queue. The times are those of the daemon's processor, the best of
/// several, so that a busy machine does not matter.
#[test]
fn ex_033_a_scrape_costs_the_same_with_ten_million_messages() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = with_channel(nsqd!("--mem-queue-size=100000000"));
    let cost = |daemon: &Daemon| {
        let scrapes = || {
            let before = daemon.cpu_time();
            (0..20).for_each(|_| drop(daemon.metrics()));
            daemon.cpu_time() - before
        };
        (0..5).map(|_| scrapes()).min().unwrap()
    };
    for _ in 0..10 {
        daemon.post("/pub?topic=t", b"x");
    }
    let with_ten = cost(&daemon);
    let batch: Vec<u8> = std::iter::repeat_n(*b"x\n", 1_000_000).flatten().collect();
    for _ in 0..10 {
        daemon.post("/mpub?topic=t", &batch).expect(200, "OK");
    }
    daemon.expect_channel("t", "c", &[("depth", 10_000_010), ("backlog_bytes", 10_000_010)]);
    let with_many = cost(&daemon);
    // The clock of the processor ticks every 10 ms.
    assert!(
        with_many <= with_ten * 2 + Duration::from_millis(20),
        "{with_many:?}, {with_ten:?}"
    );
}

#[test]
fn ex_034_deliveries_that_client_libraries_discard_are_counted() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = with_channel(nsqd!());
    daemon.post("/pub?topic=t", b"m");
    let mut consumer = consumer(&daemon, 1);
    for attempt in 1..=7 {
        let message = consumer.message();
        assert_eq!(message.attempts, attempt);
        consumer.requeue(&message, 0);
    }
    consumer.command("RDY 0");
    let page = daemon.metrics();
    let excess = page.value(&of_channel("excess_attempts_total", "c"));
    let delivered = page.value(&of_channel("delivered_total", "c"));
    // The seventh answer may have brought an eighth delivery before RDY 0 was read.
    assert_eq!(excess, delivered - 5.0);
    assert!(delivered >= 7.0);
}

#[test]
fn op_160_a_drain_shows_on_both_sides() {
    if ours_only(METRICS) {
        return;
    }
    let (source, target) = (with_channel(nsqd!()), nsqd!());
    for _ in 0..7 {
        source.post("/pub?topic=t", b"m");
    }
    let mut conn = source.connect();
    conn.command_with("DPUB t 600000", b"later");
    conn.expect_ok();
    let phase = |daemon: &Daemon, phase: &str| {
        daemon
            .metrics()
            .value(&format!("nsqd_phase{{phase=\"{phase}\"}}"))
    };
    assert_eq!((phase(&source, "active"), phase(&source, "draining")), (1.0, 0.0));
    assert_eq!(source.metrics().value("nsqd_drain_remaining_messages"), 0.0);
    let put = |request: &Value| {
        let reply = source.request("PUT", "/lifecycle", request.to_string().as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    put(&json!({"phase": "draining", "id": "x", "evacuate": "never"}));
    assert_eq!((phase(&source, "active"), phase(&source, "draining")), (0.0, 1.0));
    assert_eq!(source.metrics().value("nsqd_drain_remaining_messages"), 8.0);
    assert_eq!(source.metrics().value("nsqd_ready"), 1.0);
    let peer = target.http().to_string();
    put(&json!({"phase": "draining", "id": "x", "evacuate": "always", "after_ms": 0, "peers": [peer]}));
    source.expect_metric("nsqd_drain_remaining_messages", 0.0);
    assert_eq!(source.metrics().value("nsqd_evacuated_messages_total"), 8.0);
    assert_eq!(
        target.metrics().value("nsqd_received_evacuated_messages_total"),
        8.0
    );
    assert_eq!(phase(&target, "active"), 1.0);
    assert_eq!(target.metrics().value("nsqd_timers"), 1.0);
}

#[test]
fn traffic_errors_and_requests_are_counted() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = with_channel(nsqd!("--max-msg-size=100"));
    let mut conn = daemon.connect();
    conn.publish("t", b"hello");
    let mut refused = daemon.connect();
    refused.command_with("PUB t", &[0; 101]);
    refused.expect_fatal("E_BAD_MESSAGE PUB message too big 101 > 100");
    let mut wrong = daemon.connect();
    wrong.command_with("PUB a,b", b"m");
    wrong.expect_fatal("E_BAD_TOPIC PUB topic name \"a,b\" is not valid");
    let mut bad = daemon.connect_raw();
    bad.send(b"HTTP");
    bad.expect_fatal("E_BAD_PROTOCOL");
    assert_eq!(daemon.post("/pub?topic=a,b", b"m").status, 400);
    assert_eq!(daemon.get("/nothing").status, 404);
    let page = daemon.metrics();
    for (sample, expected) in [
        ("nsqd_connections_total", 4.0),
        ("nsqd_connections_refused_total{reason=\"magic\"}", 1.0),
        ("nsqd_protocol_errors_total{code=\"E_BAD_MESSAGE\"}", 1.0),
        ("nsqd_protocol_errors_total{code=\"E_BAD_PROTOCOL\"}", 1.0),
        ("nsqd_publish_errors_total{reason=\"too_big\"}", 1.0),
        ("nsqd_publish_errors_total{reason=\"bad_topic\"}", 2.0),
        ("nsqd_publish_seconds_count{durability=\"memory\"}", 1.0),
        ("nsqd_http_requests_total{code=\"400\",path=\"/pub\"}", 1.0),
        ("nsqd_http_requests_total{code=\"404\",path=\"other\"}", 1.0),
        ("nsqd_topics", 1.0),
        ("nsqd_channels", 1.0),
    ] {
        assert_eq!(page.value(sample), expected, "{sample}");
    }
    // "  V2", PUB and its body, and the magic of the others.
    assert!(page.value("nsqd_tcp_received_bytes_total") >= 4.0 + 20.0);
    assert!(page.value("nsqd_tcp_sent_bytes_total") >= 10.0);
    assert!(page.value("nsqd_disk_free_bytes") > 0.0);
    assert!(page.value("nsqd_log_messages_total{level=\"error\"}") >= 3.0);
}

#[test]
fn what_goes_to_files_and_comes_back_is_counted() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = with_channel(nsqd!("--mem-queue-size=0", "--sync-every=1"));
    for _ in 0..10 {
        daemon.post("/pub?topic=t", &[b'x'; 100]);
    }
    daemon.expect_metric("nsqd_disk_written_bytes_total", 1300.0);
    daemon.expect_metric("nsqd_disk_read_bytes_total", 1300.0);
    daemon.expect_metric("nsqd_disk_bytes", 1300.0);
    let page = daemon.metrics();
    assert!(page.value("nsqd_disk_sync_seconds_count") >= 1.0);
    assert_eq!(page.value("nsqd_disk_write_errors_total"), 0.0);
    assert_eq!(page.value(&of_channel("backlog_bytes", "c")), 1000.0);
    let mut consumer = consumer(&daemon, 10);
    for _ in 0..10 {
        let message = consumer.message();
        consumer.finish(&message);
    }
    daemon.expect_metric(&of_channel("backlog_bytes", "c"), 0.0);
}

/// Nothing but its four endpoints, and those always in clear.
#[test]
fn the_ops_listener_answers_probes_and_scrapers_alone() {
    if ours_only(METRICS) {
        return;
    }
    let daemon = nsqd!("--ops-address=127.0.0.1:0");
    for target in ["/ping", "/livez", "/ready"] {
        daemon.ask_ops("GET", target).expect(200, "OK");
        daemon.get(target).expect(200, "OK");
    }
    assert!(Scrape::of(daemon.ask_ops("GET", "/metrics").text()).value("nsqd_healthy") > 0.0);
    for (method, target) in [
        ("GET", "/stats"),
        ("GET", "/ping/"),
        ("GET", "/"),
        ("POST", "/ping"),
        ("OPTIONS", "/metrics"),
        ("HEAD", "/ping"),
    ] {
        assert_eq!(daemon.ask_ops(method, target).status, 404, "{method} {target}");
    }
}
