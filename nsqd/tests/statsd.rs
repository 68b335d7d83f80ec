//! statsd: cases 283 to 287 of the nsqd specification.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test; it is the statsd server"
)]

use nsq_testkit::{BOUND, Daemon, Launch, Stopwatch, nsqd_binary};
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;

/// A statsd server that remembers nothing.
struct Server(UdpSocket);

impl Server {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(BOUND)).unwrap();
        Self(socket)
    }

    fn launch(&self, interval: &str) -> Launch {
        Launch::new(nsqd_binary(env!("CARGO_BIN_EXE_nsqd")))
            .flag(format!("--statsd-address={}", self.0.local_addr().unwrap()))
            .flag(format!("--statsd-interval={interval}"))
            .flag("--broadcast-address=127.0.0.1")
            .flag("--broadcast-http-port=4151")
    }

    fn datagram(&self) -> Vec<u8> {
        let mut bytes = [0; 65536];
        let length = self.0.recv(&mut bytes).expect("a datagram in time");
        bytes[..length].to_vec()
    }

    /// The lines up to one that ends a push: it contains `last`.
    fn push(&self, last: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while !lines.iter().any(|line| line.contains(last)) {
            let datagram = String::from_utf8(self.datagram()).unwrap();
            lines.extend(datagram.lines().map(str::to_owned));
        }
        lines
    }
}

/// Names with their values, which are `<number>|<kind>`.
fn values(lines: &[String]) -> BTreeMap<&str, &str> {
    lines.iter().map(|line| line.split_once(':').unwrap()).collect()
}

fn with_messages(launch: Launch) -> Daemon {
    let daemon = launch.start();
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=c");
    daemon.post("/pub?topic=t", b"12345");
    daemon.post("/pub?topic=t", b"12345");
    daemon
}

#[test]
fn nd_283_a_push_comes_every_interval_in_small_datagrams_over_all_but_a_second() {
    let server = Server::new();
    let watch = Stopwatch::start();
    let daemon = server.launch("3s").start();
    for topic in ["one", "two", "three"] {
        daemon.act(&format!("/topic/create?topic={topic}"));
        daemon.act(&format!("/channel/create?topic={topic}&channel=a"));
    }
    let first = server.datagram();
    watch.expect_ms(2900, 4500);
    let spread = Stopwatch::start();
    let mut count = 1;
    let mut datagram = first;
    loop {
        assert!(
            datagram.len() <= 508 && datagram.ends_with(b"\n"),
            "{}",
            datagram.len()
        );
        let text = String::from_utf8(datagram).unwrap();
        assert!(
            text.lines()
                .all(|line| line.starts_with("nsq.") && line.contains('|')),
            "{text}"
        );
        if text.contains("mem.gc_runs") {
            break;
        }
        datagram = server.datagram();
        count += 1;
    }
    assert!(count >= 4, "{count}");
    // The last of n leaves after (n - 1) / n of the two seconds.
    spread.expect_ms(1000, 2600);
}

#[test]
fn nd_284_285_names_order_types_and_differences() {
    let server = Server::new();
    let daemon = with_messages(server.launch("2s").flag("--statsd-prefix=foo.%s.bar.%s"));
    let lines = server.push("mem.gc_runs");
    let prefix = "foo.127_0_0_1_4151.bar.127_0_0_1_4151.";
    let names: Vec<String> = lines
        .iter()
        .map(|line| {
            let (name, value) = line.strip_prefix(prefix).unwrap().split_once(':').unwrap();
            let (number, kind) = value.split_once('|').unwrap();
            number.parse::<i64>().unwrap();
            format!("{name}|{kind}")
        })
        .collect();
    let expected = [
        "topic.t.message_count|c",
        "topic.t.message_bytes|c",
        "topic.t.depth|g",
        "topic.t.backend_depth|g",
        "topic.t.channel.c.message_count|c",
        "topic.t.channel.c.depth|g",
        "topic.t.channel.c.backend_depth|g",
        "topic.t.channel.c.in_flight_count|g",
        "topic.t.channel.c.deferred_count|g",
        "topic.t.channel.c.requeue_count|c",
        "topic.t.channel.c.timeout_count|c",
        "topic.t.channel.c.clients|g",
        "mem.heap_objects|g",
        "mem.heap_idle_bytes|g",
        "mem.heap_in_use_bytes|g",
        "mem.heap_released_bytes|g",
        "mem.gc_pause_usec_100|g",
        "mem.gc_pause_usec_99|g",
        "mem.gc_pause_usec_95|g",
        "mem.next_gc_bytes|g",
        "mem.gc_runs|c",
    ];
    assert_eq!(names, expected);
    let first = values(&lines);
    let value = |all: &BTreeMap<&str, &str>, name: &str| all[format!("{prefix}{name}").as_str()].to_owned();
    assert_eq!(value(&first, "topic.t.message_count"), "2|c");
    assert_eq!(value(&first, "topic.t.message_bytes"), "10|c");
    assert_eq!(value(&first, "topic.t.channel.c.depth"), "2|g");
    let again = server.push("mem.gc_runs");
    let second = values(&again);
    assert_eq!(value(&second, "topic.t.message_count"), "0|c");
    assert_eq!(value(&second, "topic.t.channel.c.depth"), "2|g");
    daemon.get("/config/statsd_prefix").expect(200, prefix);
}

#[test]
fn nd_286_memory_and_ephemeral_names_can_be_left_out() {
    let server = Server::new();
    let daemon = server
        .launch("2s")
        .flag("--statsd-mem-stats=false")
        .flag("--statsd-exclude-ephemeral")
        .start();
    let _keeps_both = daemon.subscribe("lasting", "gone#ephemeral");
    let _keeps_it = daemon.subscribe("gone#ephemeral", "c");
    daemon.act("/channel/create?topic=lasting&channel=z");
    let lines = server.push("topic.lasting.channel.z.clients").join("\n");
    assert!(!lines.contains("mem.") && !lines.contains("ephemeral"), "{lines}");
}

/// The names follow the whole percents.
#[test]
fn nd_287_quantiles_are_gauges_of_nanoseconds() {
    let server = Server::new();
    let daemon = server
        .launch("2s")
        .flag("--e2e-processing-latency-percentile=1.0,0.99")
        .flag("--e2e-processing-latency-percentile=0.95")
        .start();
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 1");
    conn.publish("t", b"m");
    let message = conn.message();
    conn.finish(&message);
    let lines = server.push("mem.gc_runs");
    let all = values(&lines);
    for name in ["topic.t", "topic.t.channel.c"] {
        for percent in [100, 99, 95] {
            let value = all[format!("nsq.127_0_0_1_4151.{name}.e2e_processing_latency_{percent}").as_str()];
            let ns: i64 = value.strip_suffix("|g").unwrap().parse().unwrap();
            assert!((1..20_000_000_000).contains(&ns), "{name} {value}");
        }
    }
    let latency = daemon.topic("t")["channels"][0]["e2e_processing_latency"].clone();
    assert_eq!(latency["count"], 1);
    let quantiles = latency["percentiles"].as_array().unwrap();
    let names: Vec<f64> = quantiles
        .iter()
        .map(|one| one["quantile"].as_f64().unwrap())
        .collect();
    assert_eq!(names, [1.0, 0.99, 0.95]);
    let text = daemon.get("/stats").text();
    let (_, list) = text.split_once("e2e%: ").unwrap();
    assert_eq!(list.lines().next().unwrap().split(", ").count(), 3);
}

#[test]
fn what_is_left_at_the_end_goes_without_delay() {
    let server = Server::new();
    let mut daemon = with_messages(server.launch("20s").flag("--statsd-udp-packet-size=1"));
    // The push is due long after the test: stopping does not wait for it.
    let watch = Stopwatch::start();
    assert_eq!(daemon.stop(), Some(0));
    assert!(watch.elapsed() < Duration::from_secs(10));
}
