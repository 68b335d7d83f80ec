//! Our command-line tools against Go NSQ and against our daemons: cases of the tools specification.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::time::{Duration, Instant};

use nsq_e2e::our_tools::{Ended, both_fail_with, fails_with, run, run_of, start, with_both};
use nsq_e2e::reference::Maker;
use nsq_e2e::{eventually, eventually_ok, free_address, http};

const BOUND: Duration = Duration::from_secs(30);
const TOOLS: [&str; 6] = [
    "to_nsq",
    "nsq_tail",
    "nsq_stat",
    "nsq_to_file",
    "nsq_to_http",
    "nsq_to_nsq",
];

#[test]
fn nt_001_versions_and_help() {
    for name in TOOLS {
        let version = run(name, &["-version"], "");
        assert_eq!(
            (version.code, version.stdout.as_str()),
            (Some(0), format!("{name} v1.3.0\n").as_str())
        );
        let help = run(name, &["-h"], "");
        assert_eq!(help.code, Some(0));
        assert!(
            help.stderr.contains(&format!("Usage of {name}:\n")),
            "{}",
            help.stderr
        );
        assert!(help.stderr.contains("\nExample:\n"), "{}", help.stderr);
        if name != "to_nsq" {
            let theirs = run_of(Maker::Reference, name, &["-version"], "");
            let word = |ended: &Ended| {
                ended
                    .stdout
                    .split_whitespace()
                    .take(2)
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            assert_eq!((theirs.code, word(&theirs)), (version.code, word(&version)));
        }
    }
}

#[test]
fn nt_002_an_unknown_flag_is_a_usage_error() {
    for name in TOOLS {
        for maker in [Maker::Ours, Maker::Reference] {
            let unknown = run_of(maker, name, &["-bogus"], "");
            assert_eq!(unknown.code, Some(2));
            let text = "flag provided but not defined: -bogus\n";
            assert!(unknown.stderr.starts_with(text), "{maker:?}: {}", unknown.stderr);
        }
    }
}

/// Names and flags with which a consuming tool needs nothing but addresses.
const CONSUMERS: [(&str, &[&str]); 4] = [
    ("nsq_tail", &["-topic=t"]),
    ("nsq_to_file", &["-topic=t"]),
    ("nsq_to_http", &["-topic=t", "-post=http://h/"]),
    ("nsq_to_nsq", &["-topic=t", "-destination-nsqd-tcp-address=h:1"]),
];

#[test]
fn nt_003_nt_004_one_kind_of_address_is_required() {
    for (name, flags) in CONSUMERS {
        let stop = if name == "nsq_to_file" { "." } else { "" };
        let text = format!("--nsqd-tcp-address or --lookupd-http-address required{stop}");
        both_fail_with(name, flags, &text);
        let both = [flags, &["-nsqd-tcp-address=h:1", "-lookupd-http-address=h:2"]].concat();
        let text = "use --nsqd-tcp-address or --lookupd-http-address not both";
        both_fail_with(name, &both, text);
    }
    let stat = ["-topic=t", "-channel=c"];
    let text = "--nsqd-http-address or --lookupd-http-address required";
    both_fail_with("nsq_stat", &stat, text);
    let both = [
        &stat[..],
        &["-nsqd-http-address=h:1", "-lookupd-http-address=h:2"],
    ]
    .concat();
    let text = "use --nsqd-http-address or --lookupd-http-address not both";
    both_fail_with("nsq_stat", &both, text);
    both_fail_with("to_nsq", &["-topic=t"], "--nsqd-tcp-address required");
}

/// Go's `nsq_to_file` ignores them; here it is as the others.
#[test]
fn nt_005_nt_006_wrong_options_are_usage_errors() {
    let to_nsq = ("to_nsq", "-producer-opt");
    let consumers = CONSUMERS.map(|(name, _)| (name, "-consumer-opt"));
    for (name, flag) in consumers.into_iter().chain([to_nsq]) {
        for (option, text) in [
            ("bogus,1", "invalid option bogus"),
            ("lookupd_poll_interval,1000", "missing unit"),
        ] {
            for maker in [Maker::Ours, Maker::Reference] {
                if (name, maker) == ("nsq_to_file", Maker::Reference) {
                    continue;
                }
                let ended = run_of(maker, name, &[flag, option], "");
                assert_eq!(ended.code, Some(2), "{name}");
                assert!(ended.stderr.contains(text), "{maker:?}: {}", ended.stderr);
            }
        }
    }
}

#[test]
fn nt_007_heartbeats_are_more_frequent_than_the_read_timeout() {
    let option = "-consumer-opt=heartbeat_interval,90s";
    let text = "HeartbeatInterval 1m30s must be less than ReadTimeout 1m0s";
    for (name, flags) in CONSUMERS {
        let args = [flags, &["-nsqd-tcp-address=h:1", option]].concat();
        fails_with(name, &args, text);
        if name == "nsq_to_file" {
            // Go's says it of each topic, and runs idle.
            continue;
        }
        let theirs = run_of(Maker::Reference, name, &args, "");
        assert_eq!(theirs.code, Some(1));
        assert!(theirs.stderr.contains("HeartbeatInterval"), "{}", theirs.stderr);
    }
}

#[test]
fn nsq_tail_wants_a_topic_and_names() {
    both_fail_with("nsq_tail", &["-nsqd-tcp-address=h:1"], "--topic required");
    let names = ["-nsqd-tcp-address=h:1", "-topic=t", "-channel=no good"];
    fails_with("nsq_tail", &names, "invalid channel name");
}

#[test]
fn nt_022_a_negative_window_is_refused() {
    let ended = run(
        "nsq_tail",
        &["-topic=t", "-nsqd-tcp-address=h:1", "-max-in-flight=-4"],
        "",
    );
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn nt_017_three_messages_are_three_lines() {
    with_both(|pair| {
        pair.publish("tail", &["one", "two", "three"]);
        let args = ["-topic=tail", "-channel=c", "-n=3", &pair.nsqd_flag()];
        let ended = run("nsq_tail", &args, "");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let mut lines: Vec<&str> = ended.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["one", "three", "two"]);
        // The last one is finished too: nothing comes again.
        eventually(BOUND, "all is finished", || {
            let channel = pair.channel("tail").unwrap();
            channel["depth"] == 0 && channel["in_flight_count"] == 0 && channel["requeue_count"] == 0
        });
    });
}

#[test]
fn nt_018_nt_019_topics_are_printed() {
    with_both(|pair| {
        pair.publish("first", &["1"]);
        pair.publish("second", &["2"]);
        let lookupd = format!("-lookupd-http-address={}", pair.lookupd.http);
        let args = [
            "-topic=first",
            "-topic=second",
            "-channel=c",
            "-print-topic",
            &lookupd,
        ];
        let mut tail = start("nsq_tail", &args);
        eventually(BOUND, "both are printed", || tail.text_lines().len() == 2);
        let mut lines = tail.text_lines();
        lines.sort();
        assert_eq!(lines, ["first | 1", "second | 2"]);
        tail.terminate(BOUND);
    });
}

#[test]
fn nt_020_the_default_channel_is_random_and_vanishes() {
    with_both(|pair| {
        pair.publish("random", &["one"]);
        let mut tail = start("nsq_tail", &["-topic=random", &pair.nsqd_flag()]);
        eventually(BOUND, "it is printed", || tail.text_lines() == ["one"]);
        let name = pair.channel("random").unwrap()["channel_name"]
            .as_str()
            .unwrap()
            .to_owned();
        let digits = name
            .strip_prefix("tail")
            .and_then(|rest| rest.strip_suffix("#ephemeral"));
        let digits = digits.unwrap_or_else(|| panic!("{name}"));
        assert!(
            digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()),
            "{name}"
        );
        tail.terminate(BOUND);
        eventually(BOUND, "the channel is gone", || pair.channel("random").is_none());
    });
}

#[test]
fn nt_021_an_unknown_topic_is_waited_for() {
    with_both(|pair| {
        let lookupd = format!("-lookupd-http-address={}", pair.lookupd.http);
        let often = "-consumer-opt=lookupd_poll_interval,50ms";
        let mut tail = start(
            "nsq_tail",
            &["-topic=later", "-channel=c", "-n=1", often, &lookupd],
        );
        eventually(BOUND, "it looks", || {
            tail.errors().contains("Adding consumer for topic: later")
        });
        pair.publish("later", &["now"]);
        assert!(tail.wait(BOUND).success(), "{}", tail.errors());
        assert_eq!(tail.text_lines(), ["now"]);
    });
}

#[test]
fn an_nsqd_that_refuses_ends_nsq_tail() {
    let nobody = format!("-nsqd-tcp-address={}", free_address());
    let ended = run("nsq_tail", &["-topic=t", &nobody], "");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("connect to 127.0.0.1:"), "{}", ended.stderr);
}

#[test]
fn nt_054_nt_055_lines_are_published_whole() {
    with_both(|pair| {
        for (topic, input) in [("with", "a\nbb\n\nccc\n"), ("without", "a\nbb\n\nccc")] {
            let ended = run("to_nsq", &[&format!("-topic={topic}"), &pair.nsqd_flag()], input);
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            let mut seen = pair.drain(topic, 3);
            seen.sort();
            assert_eq!(seen, ["a", "bb", "ccc"]);
        }
    });
}

#[test]
fn nt_056_another_delimiter() {
    with_both(|pair| {
        let args = ["-topic=comma", "-delimiter=,", &pair.nsqd_flag()];
        assert_eq!(run("to_nsq", &args, "one,two,three\n").code, Some(0));
        let mut seen = pair.drain("comma", 3);
        seen.sort();
        assert_eq!(seen, ["one", "three", "two"]);
        let text = "--delimiter must be a single byte";
        fails_with("to_nsq", &["-topic=t", "-delimiter=ab", &pair.nsqd_flag()], text);
    });
}

#[test]
fn nt_057_every_address_gets_every_message() {
    with_both(|first| {
        let folder = tempfile::tempdir().unwrap();
        let second = Maker::Ours.nsqd(folder.path(), &[], &[]);
        let other = format!("-nsqd-tcp-address={}", second.tcp);
        let args = ["-topic=all", &first.nsqd_flag(), &other];
        assert_eq!(run("to_nsq", &args, "a\nb\n").code, Some(0));
        for address in [&first.nsqd.http, &second.http] {
            let stats = http::json(address, "/stats?format=json&topic=all").unwrap();
            assert_eq!(stats["topics"][0]["message_count"], 2, "{stats}");
        }
    });
}

#[test]
fn nt_058_a_rate_throttles() {
    let folder = tempfile::tempdir().unwrap();
    let nsqd = Maker::Ours.nsqd(folder.path(), &[], &[]);
    let start = Instant::now();
    let args = [
        "-topic=slow",
        "-rate=5",
        &format!("-nsqd-tcp-address={}", nsqd.tcp),
    ];
    let ended = run("to_nsq", &args, &"line\n".repeat(10));
    let took = start.elapsed();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("Throttling messages rate to max:5/second"),
        "{}",
        ended.stderr
    );
    // One at once, nine at 5 a second.
    assert!(took >= Duration::from_millis(1700) && took < BOUND, "{took:?}");
}

#[test]
fn nt_060_nobody_there_and_nothing_to_say() {
    let nobody = format!("-nsqd-tcp-address={}", free_address());
    assert_eq!(run("to_nsq", &["-topic=t", &nobody], "line\n").code, Some(1));
    assert_eq!(run("to_nsq", &["-topic=t", &nobody], "").code, Some(0));
    fails_with("to_nsq", &[&nobody], "--topic required");
    fails_with("to_nsq", &["-topic=t"], "--nsqd-tcp-address required");
}

#[test]
fn nt_059_a_bad_topic_is_named_with_the_code_of_nsqd() {
    with_both(|pair| {
        let ended = run("to_nsq", &["-topic=no good", &pair.nsqd_flag()], "line\n");
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("E_BAD_TOPIC "), "{}", ended.stderr);
    });
}

#[test]
fn nt_008_sigterm_while_consuming_loses_nothing() {
    with_both(|pair| {
        let bodies: Vec<String> = (0..300).map(|i| format!("message {i}")).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        pair.publish("term", &bodies);
        let args = ["-topic=term", "-channel=c", &pair.nsqd_flag()];
        let mut tail = start("nsq_tail", &args);
        eventually(BOUND, "some are printed", || !tail.text_lines().is_empty());
        tail.terminate(BOUND);
        // What it printed last may still be on its way to this test.
        eventually_ok(BOUND, || {
            let printed = tail.text_lines().len();
            let left = pair.channel("term").unwrap();
            let is_whole = left["depth"] == 300 - printed && left["in_flight_count"] == 0;
            is_whole.then_some(()).ok_or(format!("{printed} printed: {left}"))
        });
    });
}
