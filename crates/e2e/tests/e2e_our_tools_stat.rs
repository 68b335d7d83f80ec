//! Our `nsq_stat` against Go NSQ and against our daemons: cases of the tools specification.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::time::Duration;

use nsq_e2e::our_tools::{Pair, fails_with, run, start, with_both};
use nsq_e2e::reference::Maker;
use nsq_e2e::{eventually, eventually_some, free_address, http};
use rustix::process::Signal;

const BOUND: Duration = Duration::from_secs(30);
const TITLES: &str =
    "------rate------+----------------depth----------------+--------------metadata---------------";
const NAMES: &str =
    "ingress  egress |   total     mem    disk inflt   def |     req     t-o         msgs clients";

/// The pair has topic `stat` with channel `c`, and the nsqlookupd knows.
fn create(pair: &Pair) {
    for path in ["/topic/create?topic=stat", "/channel/create?topic=stat&channel=c"] {
        assert_eq!(http::post(&pair.nsqd.http, path, "").unwrap().0, 200);
    }
    eventually(BOUND, "it is registered", || {
        let (status, _) = http::get(&pair.lookupd.http, "/lookup?topic=stat").unwrap();
        status == 200
    });
}

fn nsqd(pair: &Pair) -> String {
    format!("-nsqd-http-address={}", pair.nsqd.http)
}

fn numbers(row: &str) -> Vec<i64> {
    row.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[test]
fn nt_009_topic_and_channel_are_required() {
    let text = "--topic and --channel are required";
    fails_with("nsq_stat", &["-topic=t", "-nsqd-http-address=h:1"], text);
    fails_with("nsq_stat", &["-channel=c", "-nsqd-http-address=h:1"], text);
}

#[test]
fn nt_010_counts_and_intervals_are_positive() {
    let with = |flag| ["-topic=t", "-channel=c", "-nsqd-http-address=h:1", flag];
    fails_with("nsq_stat", &with("-count=0"), "--count should be positive");
    fails_with("nsq_stat", &with("-interval=0"), "--interval should be positive");
    let wrong = run("nsq_stat", &with("-count=x"), "");
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
}

#[test]
fn nt_014_addresses_have_no_scheme() {
    let names = ["-topic=t", "-channel=c"];
    for flag in ["nsqd-http-address", "lookupd-http-address"] {
        let address = format!("-{flag}=http://h:1");
        let text = format!("--{flag} error - address should not contain scheme");
        fails_with("nsq_stat", &[names[0], names[1], &address], &text);
    }
    let text = "--nsqd-http-address or --lookupd-http-address required";
    fails_with("nsq_stat", &names, text);
    let both = [
        names[0],
        names[1],
        "-nsqd-http-address=h:1",
        "-lookupd-http-address=h:2",
    ];
    let text = "use --nsqd-http-address or --lookupd-http-address not both";
    fails_with("nsq_stat", &both, text);
}

#[test]
fn nt_011_two_rows_below_two_lines_of_header() {
    with_both(|pair| {
        create(pair);
        pair.publish("stat", &["one", "two", "three"]);
        eventually(BOUND, "the channel has them", || {
            pair.channel("stat").unwrap()["depth"] == 3
        });
        let lookupd = format!("-lookupd-http-address={}", pair.lookupd.http);
        for address in [nsqd(pair), lookupd] {
            let args = [
                "-topic=stat",
                "-channel=c",
                "-count=2",
                "-interval=500ms",
                &address,
            ];
            let ended = run("nsq_stat", &args, "");
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            let row = "      0       0 |       3       3       0     0     0 |       0       0            3       0";
            let lines: Vec<&str> = ended.stdout.lines().collect();
            assert_eq!(lines, [TITLES, NAMES, row, row]);
        }
    });
}

/// Twenty messages within an interval of two seconds are ten a second, in whichever interval they are seen.
#[test]
fn nt_012_messages_are_a_rate() {
    with_both(|pair| {
        create(pair);
        let args = ["-topic=stat", "-channel=c", "-interval=2s", &nsqd(pair)];
        let mut stat = start("nsq_stat", &args);
        eventually(BOUND, "the first round is over", || stat.line_count() >= 2);
        pair.publish("stat", &["x"; 20]);
        let rows = eventually_some(BOUND, "they are counted", || {
            let lines = stat.text_lines();
            let rows: Vec<Vec<i64>> = lines.iter().skip(2).map(|row| numbers(row)).collect();
            (rows.last()?[9] == 20).then_some(rows)
        });
        // A round may fall between two of them; then each part is rounded.
        let ingress: i64 = rows.iter().map(|row| row[0]).sum();
        assert!((9..=10).contains(&ingress), "{rows:?}");
        assert!(rows.iter().all(|row| row[1] == 0), "{rows:?}");
        assert_eq!(rows.last().unwrap()[2..], [20, 20, 0, 0, 0, 0, 0, 20, 0]);
        stat.terminate(BOUND);
    });
}

#[test]
fn nt_013_what_is_not_there_is_an_error() {
    let nobody = free_address();
    with_both(|pair| {
        create(pair);
        let lookupd = format!("-lookupd-http-address={}", pair.lookupd.http);
        for address in [nsqd(pair), lookupd] {
            let text = "ERROR: failed to find channel(none) in stats metadata for topic(stat)";
            fails_with("nsq_stat", &["-topic=stat", "-channel=none", &address], text);
            let text = "ERROR: failed to get nsqd stats - failed to query any nsqd: ";
            fails_with("nsq_stat", &["-topic=none", "-channel=c", &address], text);
        }
        for (flag, living) in [
            ("nsqd-http-address", &pair.nsqd),
            ("lookupd-http-address", &pair.lookupd),
        ] {
            let (dead, living) = (format!("-{flag}={nobody}"), format!("-{flag}={}", living.http));
            let ended = run("nsq_stat", &["-topic=stat", "-channel=c", &living, &dead], "");
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            let text = "ERROR: failed to get topic producers - ";
            assert_eq!(&ended.stderr[20..20 + text.len()], text);
            assert!(ended.stderr.contains(&nobody), "{}", ended.stderr);
        }
    });
}

#[test]
fn nt_015_the_header_comes_again_before_row_25() {
    with_both(|pair| {
        create(pair);
        let args = [
            "-topic=stat",
            "-channel=c",
            "-count=25",
            "-interval=10ms",
            &nsqd(pair),
        ];
        let ended = run("nsq_stat", &args, "");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let lines: Vec<&str> = ended.stdout.lines().collect();
        assert_eq!(lines.len(), 2 + 24 + 2 + 1);
        assert_eq!(lines[26..28], [TITLES, NAMES]);
        assert!(numbers(lines[25]).len() == 11 && numbers(lines[28]).len() == 11);
    });
}

#[test]
fn nt_016_signals_end_it_well() {
    with_both(|pair| {
        create(pair);
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let mut stat = start("nsq_stat", &["-topic=stat", "-channel=c", &nsqd(pair)]);
            eventually(BOUND, "it runs", || stat.line_count() >= 2);
            stat.signal(signal);
            assert_eq!(stat.wait(BOUND).code(), Some(0), "{signal:?}: {}", stat.errors());
        }
    });
}

#[test]
fn an_nsqd_that_goes_away_is_asked_again_while_someone_watches() {
    let folder = tempfile::tempdir().unwrap();
    let nsqd = Maker::Ours.nsqd(folder.path(), &[], &[]);
    for path in ["/topic/create?topic=stat", "/channel/create?topic=stat&channel=c"] {
        assert_eq!(http::post(&nsqd.http, path, "").unwrap().0, 200);
    }
    let address = format!("-nsqd-http-address={}", nsqd.http);
    let watching = ["-topic=stat", "-channel=c", "-interval=50ms", &address];
    let mut stat = start("nsq_stat", &watching);
    let counting = [watching[0], watching[1], watching[2], &address, "-count=1000000"];
    let mut counted = start("nsq_stat", &counting);
    eventually(BOUND, "both run", || {
        stat.line_count() > 2 && counted.line_count() > 2
    });
    drop(nsqd);
    // Who counts wants an answer.
    assert_eq!(counted.wait(BOUND).code(), Some(1), "{}", counted.errors());
    eventually(BOUND, "it asks again", || {
        stat.errors().matches("(asking again in 50ms)").count() > 1
    });
    stat.terminate(BOUND);
}
