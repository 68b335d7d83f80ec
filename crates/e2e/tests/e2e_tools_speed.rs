//! Processor time of our tools beside Go's: the same messages from the same nsqd, one tool after the other, in pairs.
//!
//! `cargo xtask speed-tools` runs this with release programs and many messages; among the other tests it is short, and says only
//! that both move everything. Each row is a median of pairs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests, whose numbers are for people"
)]

use std::time::Duration;

use nsq_e2e::our_tools::start_of;
use nsq_e2e::reference::{Daemon, Maker};
use nsq_e2e::{eventually, http};
use nsq_testkit::cpu_time;
use tempfile::TempDir;

const BOUND: Duration = Duration::from_secs(300);
/// Sets the number of messages of a run, and with it that this is a measurement.
const MESSAGES: &str = "NSQ_SPEED_MESSAGES";
/// Pairs of a measurement.
const PAIRS: usize = 5;
/// Of one HTTP publish.
const BATCH: usize = 2000;

fn messages() -> Option<usize> {
    let text = std::env::var(MESSAGES).ok()?;
    Some(text.parse().expect("a number of messages"))
}

/// Text of a log: no two lines are the same, and each has 200 bytes.
fn fill(nsqd: &Daemon, count: usize) {
    for path in [
        "/topic/create?topic=speed",
        "/channel/create?topic=speed&channel=c",
    ] {
        assert_eq!(http::post(&nsqd.http, path, "").unwrap().0, 200);
    }
    for first in (0..count).step_by(BATCH) {
        let lines = (first..count.min(first + BATCH)).map(|n| {
            let head = format!(
                "2026-11-26T17:00:00Z INFO request {n} took {} us ",
                n * 7919 % 10_007
            );
            format!("{head:x<200}")
        });
        let body: Vec<String> = lines.collect();
        assert_eq!(
            http::post(&nsqd.http, "/mpub?topic=speed", &body.join("\n"))
                .unwrap()
                .0,
            200
        );
    }
}

/// Processor time of the tool for these messages.
fn measure(maker: Maker, name: &str, flags: &[&str], count: usize) -> Duration {
    let (data, out, elsewhere) = (
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
    );
    let memory = "--mem-queue-size=10000000";
    let nsqd = Maker::Ours.nsqd(data.path(), &[], &[memory]);
    let other = Maker::Ours.nsqd(elsewhere.path(), &[], &[memory]);
    fill(&nsqd, count);
    let from = format!("-nsqd-tcp-address={}", nsqd.tcp);
    let to = match name {
        "nsq_to_nsq" => format!("-destination-nsqd-tcp-address={}", other.tcp),
        _ => format!("-output-dir={}", out.path().display()),
    };
    let mut args = vec!["-topic=speed", "-channel=c", &from, &to];
    args.extend(flags);
    let mut tool = start_of(maker, name, &args);
    eventually(BOUND, "all went through", || {
        let stats = http::json(&nsqd.http, "/stats?format=json&topic=speed").unwrap();
        let channel = &stats["topics"][0]["channels"][0];
        channel["depth"] == 0 && channel["in_flight_count"] == 0
    });
    let took = cpu_time(tool.pid());
    tool.terminate(BOUND);
    took
}

#[test]
fn tools_move_messages_for_less_processor_time_than_those_of_go() {
    let (count, pairs) = messages().map_or((2000, 1), |count| (count, PAIRS));
    for (name, flags) in [
        ("nsq_to_nsq", &["-max-in-flight=200", "-status-every=0"][..]),
        ("nsq_to_file", &["-max-in-flight=200", "-sync-interval=1s"]),
        ("nsq_to_file", &["-max-in-flight=2500", "-sync-interval=1s"]),
        (
            "nsq_to_file",
            &["-max-in-flight=2500", "-sync-interval=1s", "-gzip"],
        ),
    ] {
        let mut seen: Vec<(f64, f64, f64)> = (0..pairs)
            .map(|_| {
                let per_million =
                    |maker| measure(maker, name, flags, count).as_secs_f64() / count as f64 * 1e6;
                let (theirs, ours) = (per_million(Maker::Reference), per_million(Maker::Ours));
                (theirs / ours, theirs, ours)
            })
            .collect();
        seen.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (least, most) = (seen[0].0, seen[pairs - 1].0);
        let (ratio, theirs, ours) = seen[pairs / 2];
        let flags = flags.join(" ");
        eprintln!(
            "| `{name} {flags}` | {theirs:.2} s/M | {ours:.2} s/M | {ratio:.1}× ({least:.1}–{most:.1}) |"
        );
        // The goal; a short run has too few ticks for it.
        assert!(messages().is_none() || ratio >= 2.0, "{name} {flags}: {ratio:.2}");
    }
}
