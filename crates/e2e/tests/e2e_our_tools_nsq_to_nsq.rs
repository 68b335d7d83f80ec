//! Our `nsq_to_nsq` against Go NSQ and against our daemons: cases of the tools specification.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::time::Duration;

use nsq_e2e::our_tools::{Pair, fails_with, start, with_both};
use nsq_e2e::process::Process;
use nsq_e2e::reference::Maker;
use nsq_e2e::{eventually, free_address, http};

const BOUND: Duration = Duration::from_secs(30);

/// From topic `in` of the pair, by its nsqd.
fn forward(pair: &Pair, to: &str, more: &[&str]) -> Process {
    let to = format!("-destination-nsqd-tcp-address={to}");
    let from = pair.nsqd_flag();
    let mut args = vec![
        "-topic=in",
        &from,
        &to,
        "-consumer-opt=default_requeue_delay,0s",
        "-consumer-opt=max_backoff_duration,0s",
    ];
    args.extend(more);
    start("nsq_to_nsq", &args)
}

fn count_of(address: &str, topic: &str) -> u64 {
    let stats = http::json(address, &format!("/stats?format=json&topic={topic}")).unwrap();
    stats["topics"][0]["message_count"].as_u64().unwrap_or(0)
}

/// Sends the bodies through with these flags: what comes out in topic `out` of the same nsqd, sorted, is this and no more.
#[track_caller]
fn comes_out(bodies: &[&str], flags: &[&str], wanted: &[&str]) {
    with_both(|pair| {
        pair.publish("in", bodies);
        let mut flags = flags.to_vec();
        flags.push("-destination-topic=out");
        let mut tool = forward(pair, &pair.nsqd.tcp, &flags);
        eventually(BOUND, "all went through", || pair.is_through("in", bodies.len()));
        tool.terminate(BOUND);
        assert_eq!(
            count_of(&pair.nsqd.http, "out"),
            wanted.len() as u64,
            "{}",
            tool.errors()
        );
        if !wanted.is_empty() {
            let mut seen = pair.drain("out", wanted.len());
            seen.sort();
            assert_eq!(seen, wanted);
        }
    });
}

#[test]
fn wrong_usage_is_named() {
    let from = "-nsqd-tcp-address=h:1";
    let required = "--topic and --channel are required";
    fails_with("nsq_to_nsq", &[from], required);
    fails_with("nsq_to_nsq", &["-topic=t", "-channel=", from], required);
    fails_with("nsq_to_nsq", &["-topic=no good", from], "--topic is invalid");
    fails_with(
        "nsq_to_nsq",
        &["-topic=t", "-channel=no good"],
        "--channel is invalid",
    );
    let topic = "-destination-topic=no good";
    fails_with(
        "nsq_to_nsq",
        &["-topic=t", topic],
        "--destination-topic is invalid",
    );
    let text = "--nsqd-tcp-address or --lookupd-http-address required";
    fails_with("nsq_to_nsq", &["-topic=t"], text);
    let text = "--destination-nsqd-tcp-address required";
    fails_with("nsq_to_nsq", &["-topic=t", from], text);
}

#[test]
fn nt_048_a_plain_copy_has_the_same_bytes() {
    for maker in [Maker::Reference, Maker::Ours] {
        let folder = tempfile::tempdir().unwrap();
        let other = maker.nsqd(folder.path(), &[], &[]);
        with_both(|pair| {
            let bodies = [" a\tb ", "\u{1}\0é<&>", r#"{"b":1.0,  "a":2}"#];
            pair.publish("in", &bodies);
            let before = count_of(&other.http, "in");
            let mut tool = forward(pair, &other.tcp, &[]);
            eventually(BOUND, "all went through", || pair.is_through("in", 3));
            tool.terminate(BOUND);
            assert_eq!(count_of(&other.http, "in"), before + 3);
            let from = format!("-nsqd-tcp-address={}", other.tcp);
            let mut tail = start("nsq_tail", &["-topic=in", "-channel=c", "-n=3", &from]);
            assert!(tail.wait(BOUND).success(), "{}", tail.errors());
            let mut seen = tail.text_lines();
            seen.sort();
            let mut wanted = bodies;
            wanted.sort_unstable();
            assert_eq!(seen, wanted);
        });
    }
}

#[test]
fn nt_049_another_topic() {
    comes_out(&["one", "two"], &[], &["one", "two"]);
}

#[test]
fn nt_050_a_whitelist_makes_new_objects() {
    let bodies = [r#"{"a":1,"b":2}"#, r#"{"b":1}"#, "notjson", "null"];
    let wanted = [r#"{"a":1}"#, "{}", "{}"];
    comes_out(&bodies, &["-whitelist-json-field=a"], &wanted);
}

#[test]
fn nt_051_without_the_field_it_is_dropped() {
    let bodies = [r#"{"b":1}"#, r#"{"a":"x"}"#];
    comes_out(&bodies, &["-require-json-field=a"], &[r#"{"a":"x"}"#]);
}

#[test]
fn nt_052_the_value_is_compared() {
    let flags = ["-require-json-field=a", "-require-json-value=1"];
    let bodies = [
        r#"{"a":1}"#,
        r#"{"a":"1"}"#,
        r#"{"a":2}"#,
        r#"{"a":true}"#,
        r#"{"a":"1.0"}"#,
        r#"{"a":"x"}"#,
    ];
    comes_out(&bodies, &flags, &[r#"{"a":"1"}"#, r#"{"a":1}"#]);
    with_both(|pair| {
        pair.publish("in", &[r#"{"b":1}"#]);
        let mut tool = forward(
            pair,
            &pair.nsqd.tcp,
            &[flags[0], flags[1], "-destination-topic=out"],
        );
        eventually(BOUND, "it is requeued", || {
            pair.channel("in")
                .is_some_and(|channel| channel["requeue_count"].as_u64() > Some(0))
        });
        let text = "ERROR: missing field to check required value";
        eventually(BOUND, "it is said", || tool.errors().contains(text));
        tool.terminate(BOUND);
        assert_eq!(count_of(&pair.nsqd.http, "out"), 0);
    });
}

#[test]
fn nt_053_a_destination_that_is_down_fails_messages_only() {
    with_both(|pair| {
        pair.publish("in", &["one"]);
        let mut tool = forward(pair, &free_address(), &["-consumer-opt=max_attempts,0"]);
        eventually(BOUND, "it is requeued", || {
            pair.channel("in")
                .is_some_and(|channel| channel["requeue_count"].as_u64() > Some(1))
        });
        assert!(tool.is_running(), "{}", tool.errors());
        tool.terminate(BOUND);
        let left = pair.channel("in").unwrap();
        assert_eq!(left["in_flight_count"], 0, "{left}");
    });
}

/// All that left the source is at the destination, and the rest is still at the source.
#[test]
fn nt_008_sigterm_while_forwarding_loses_nothing() {
    with_both(|pair| {
        let bodies: Vec<String> = (0..2000).map(|i| format!("message {i}")).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        pair.publish("in", &bodies);
        let flags = ["-destination-topic=out", "-status-every=100", "-max-in-flight=20"];
        let mut tool = forward(pair, &pair.nsqd.tcp, &flags);
        eventually(BOUND, "some are told", || {
            tool.errors().contains(" [aggregate]: finished 100 - 99th: ")
        });
        tool.terminate(BOUND);
        let out = count_of(&pair.nsqd.http, "out");
        let left = pair.channel("in").unwrap();
        assert_eq!(left["in_flight_count"], 0, "{left}");
        let left = left["depth"].as_u64().unwrap() + left["deferred_count"].as_u64().unwrap();
        assert_eq!(out + left, 2000);
    });
}
