//! Our benchmark programs against Go NSQ and against our daemons, and Go's against ours: cases of the tools specification.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::process::Command;
use std::time::Duration;

use nsq_e2e::our_tools::{Pair, fails_with, run_of, start, with_all, with_both};
use nsq_e2e::reference::Maker;
use nsq_e2e::{eventually, free_address, http};

const BOUND: Duration = Duration::from_secs(30);

/// Seconds and operations per second of the line that scripts split at `duration:` and ` - `.
fn figures(program: &str, stderr: &str) -> (f64, f64) {
    let line = stderr.lines().last().unwrap();
    let behind = line
        .strip_prefix(&format!("[{program}] "))
        .unwrap_or_else(|| panic!("{line}"));
    let text = behind.split_once("duration: ").unwrap().1;
    let parts: Vec<&str> = text.split(" - ").collect();
    let number =
        |part: usize, unit: &str| -> f64 { parts[part].strip_suffix(unit).unwrap().parse().unwrap() };
    number(1, "mb/s");
    number(3, "us/op");
    let seconds = match parts[0].strip_suffix("ms") {
        Some(millis) => millis.parse::<f64>().unwrap() / 1000.0,
        None => number(0, "s"),
    };
    (seconds, number(2, "ops/s"))
}

fn flag(pair: &Pair) -> String {
    format!("-nsqd-tcp-address={}", pair.nsqd.tcp)
}

fn message_count(pair: &Pair) -> f64 {
    let stats = http::json(&pair.nsqd.http, "/stats?format=json&topic=sub_bench").unwrap();
    stats["topics"][0]["message_count"].as_f64().unwrap()
}

#[test]
fn nt_061_the_writer_counts_what_nsqd_accepted() {
    with_all(|pair, maker| {
        let args = ["-runfor=300ms", "-size=100", "-batch-size=20", &flag(pair)];
        let ended = run_of(maker, "bench_writer", &args, "");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let (seconds, rate) = figures("bench_writer", &ended.stderr);
        assert!(seconds >= 0.3, "{seconds}");
        let count = message_count(pair);
        assert!(
            count > 0.0 && (seconds * rate - count).abs() < 1.0 + count / 1000.0,
            "{count}: {}",
            ended.stderr
        );
    });
}

#[test]
fn nt_062_the_reader_consumes_until_its_time_is_over() {
    with_all(|pair, maker| {
        let wrote = run_of(maker, "bench_writer", &["-runfor=100ms", &flag(pair)], "");
        assert_eq!(wrote.code, Some(0), "{}", wrote.stderr);
        let read = run_of(maker, "bench_reader", &["-runfor=300ms", &flag(pair)], "");
        assert_eq!(read.code, Some(0), "{}", read.stderr);
        let (seconds, rate) = figures("bench_reader", &read.stderr);
        assert!(seconds >= 0.3 && seconds < BOUND.as_secs_f64(), "{seconds}");
        assert!(rate > 0.0);
    });
}

/// What was counted is finished, and what was not waits.
#[test]
fn the_reader_leaves_what_it_did_not_count() {
    with_both(|pair| {
        let wrote = run_of(Maker::Ours, "bench_writer", &["-runfor=200ms", &flag(pair)], "");
        assert_eq!(wrote.code, Some(0), "{}", wrote.stderr);
        let written = message_count(pair);
        let read = run_of(Maker::Ours, "bench_reader", &["-runfor=100ms", &flag(pair)], "");
        let (seconds, rate) = figures("bench_reader", &read.stderr);
        eventually(BOUND, "all is finished or waits", || {
            let channel = pair.channel("sub_bench").unwrap();
            // Go nsqd may send one more behind its answer to CLS: nobody is there to answer that one.
            let left = ["depth", "in_flight_count"].map(|key| channel[key].as_f64().unwrap());
            let finished = written - left.iter().sum::<f64>();
            (finished - seconds * rate).abs() < 1.0 + written / 1000.0
        });
    });
}

#[test]
fn nt_063_a_deadline_is_a_moment_and_a_past_one_is_now() {
    with_all(|pair, maker| {
        for name in ["bench_writer", "bench_reader"] {
            let bad = run_of(maker, name, &["-runfor=10ms", "-deadline=soon", &flag(pair)], "");
            assert_eq!(bad.code, Some(1), "{}", bad.stderr);
            let past = ["-runfor=10ms", "-deadline=2020-01-31 18:00:00", &flag(pair)];
            let past = run_of(maker, name, &past, "");
            assert_eq!(past.code, Some(0), "{}", past.stderr);
            let text = "sleeping until 2020-01-31 18:00:00 +0000 UTC (-";
            assert!(past.stderr.contains(text), "{}", past.stderr);
        }
    });
}

#[test]
fn a_deadline_that_is_to_come_is_the_start() {
    with_both(|pair| {
        let soon = Command::new("date")
            .args(["-u", "-d", "2 seconds", "+%F %T"])
            .output()
            .unwrap();
        let deadline = format!("-deadline={}", String::from_utf8(soon.stdout).unwrap().trim());
        let begun = std::time::Instant::now();
        let ended = run_of(
            Maker::Ours,
            "bench_writer",
            &["-runfor=10ms", &deadline, &flag(pair)],
            "",
        );
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        // The moment has whole seconds.
        assert!(begun.elapsed() > Duration::from_secs(1));
    });
}

#[test]
fn bench_channels_subscribes_to_many_topics() {
    with_both(|pair| {
        let mut load = start("bench_channels", &["-num=20", &flag(pair)]);
        pair.publish("t7", &["1", "2"]);
        eventually(BOUND, "all are there", || {
            let stats = http::json(&pair.nsqd.http, "/stats?format=json").unwrap();
            let topics = stats["topics"].as_array().unwrap().clone();
            let has_client = |topic: &serde_json::Value| topic["channels"][0]["client_count"] == 1;
            topics.len() == 20 && topics.iter().all(has_client)
        });
        eventually(BOUND, "they consume", || pair.is_through("t7", 2));
        load.terminate(BOUND);
    });
}

#[test]
fn an_nsqd_that_is_not_there_is_named() {
    let nobody = format!("-nsqd-tcp-address={}", free_address());
    for name in ["bench_writer", "bench_reader", "bench_channels"] {
        let ended = run_of(Maker::Ours, name, &[&nobody], "");
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("connect to 127.0.0.1:"), "{}", ended.stderr);
    }
    fails_with(
        "bench_writer",
        &["-batch-size=0"],
        "--batch-size must be greater than 0",
    );
    fails_with("bench_reader", &["-topic=no good"], "--topic is invalid");
}
