//! Our `nsq_to_file` against Go NSQ and against our daemons, and Go's against ours: cases of the tools specification.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nsq_e2e::our_tools::{
    Pair, both_fail_with, fails_with, gunzip, run, start_of, with_all, with_both, with_go_tool,
};
use nsq_e2e::process::Process;
use nsq_e2e::reference::Maker;
use nsq_e2e::{eventually, free_address};
use rustix::process::Signal;
use tempfile::TempDir;

const BOUND: Duration = Duration::from_secs(30);
/// Go nsqd delivers what a client that is gone had when its time-out passes.
const SOON_AGAIN: &str = "-consumer-opt=msg_timeout,1s";

/// The tool on topic `log` of the pair, by its nsqd; it writes into the folder.
fn archive(pair: &Pair, maker: Maker, folder: &Path, more: &[&str]) -> Process {
    let to = format!("-output-dir={}", folder.display());
    let from = pair.nsqd_flag();
    let soon = "-sync-interval=50ms";
    let mut args = vec!["-topic=log", &from, &to, "-host-identifier=h", soon];
    args.extend(more);
    start_of(maker, "nsq_to_file", &args)
}

/// Files below the folder, by their name, with what is in them.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(
                files(&path)
                    .into_iter()
                    .map(|(inner, body)| (format!("{name}/{inner}"), body)),
            );
        } else {
            // One that moves meanwhile is seen at its next place.
            found.extend(fs::read(&path).ok().map(|body| (name, body)));
        }
    }
    found
}

fn texts(folder: &Path) -> Vec<(String, String)> {
    let text = |body: Vec<u8>| String::from_utf8(body).unwrap();
    files(folder)
        .into_iter()
        .map(|(name, body)| (name, text(body)))
        .collect()
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// Publishes to `log`, and waits until that many messages in all are finished.
fn publish(pair: &Pair, bodies: &[&str], in_all: usize) {
    pair.publish("log", bodies);
    eventually(BOUND, "all is finished", || pair.is_through("log", in_all));
}

#[test]
fn wrong_usage_is_named() {
    let name = "nsq_to_file";
    let from = "-nsqd-tcp-address=h:1";
    let text = "--nsqd-tcp-address or --lookupd-http-address required.";
    both_fail_with(name, &["-topic=t"], text);
    let text = "use --nsqd-tcp-address or --lookupd-http-address not both";
    both_fail_with(name, &["-topic=t", from, "-lookupd-http-address=h:2"], text);
    both_fail_with(name, &["-topic=t", from, "-channel="], "--channel is required");
    let text = "invalid --gzip-level value (10), should be 1-9";
    both_fail_with(name, &["-topic=t", from, "-gzip-level=10"], text);
    both_fail_with(name, &[from], "--topic or --topic-pattern required");
    let text = "--lookupd-http-address must be specified when no --topic specified";
    both_fail_with(name, &["-topic-pattern=a", from], text);
    for limit in ["http-client-connect-timeout", "http-client-request-timeout"] {
        let text = format!("--{limit} should be positive");
        both_fail_with(name, &["-topic=t", from, &format!("-{limit}=0")], &text);
    }
    both_fail_with(
        name,
        &["-topic=t", from, "-log-level=loud"],
        "--log-level is invalid",
    );
    both_fail_with(name, &["-topic=t", from, "a", "b"], "unknown arguments: [a b]");
    // Go's never matches anything then.
    let ended = run(name, &["-topic-pattern=(", "-lookupd-http-address=h:1"], "");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("--topic-pattern is invalid"),
        "{}",
        ended.stderr
    );
    let zero = ["-topic=t", from, "-sync-interval=0s"];
    fails_with(name, &zero, "--sync-interval should be positive");
}

#[test]
fn nt_023_three_messages_are_three_lines_and_a_second_run_appends() {
    with_all(|pair, maker| {
        let folder = TempDir::new().unwrap();
        let to = format!("-output-dir={}", folder.path().display());
        for (run, bodies) in [["1", "2", "3"], ["4", "5", "6"]].iter().enumerate() {
            let args = ["-topic=log", &pair.nsqd_flag(), &to, "-sync-interval=50ms"];
            let mut tool = start_of(maker, "nsq_to_file", &args);
            publish(pair, bodies, 3 * (run + 1));
            tool.terminate(BOUND);
        }
        let files = texts(folder.path());
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let host = host.split('.').next().unwrap();
        for (name, _) in &files {
            let time = name.strip_prefix(&format!("log.{host}."));
            let time = time
                .and_then(|rest| rest.strip_suffix(".log"))
                .unwrap_or_else(|| panic!("{name}"));
            let shape: String = time
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c })
                .collect();
            assert_eq!(shape, "0000-00-00_00");
        }
        let mut lines: Vec<&str> = files.iter().flat_map(|(_, text)| text.lines()).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["1", "2", "3", "4", "5", "6"]);
        // Two if an hour began in between.
        assert!(files.len() <= 2, "{files:?}");
    });
}

#[test]
fn nt_024_gzip_files_have_revisions_and_can_be_read_after_a_kill() {
    with_all(|pair, maker| {
        let folder = TempDir::new().unwrap();
        let flags = ["-gzip", "-datetime-format=now", "-sync-interval=100ms"];
        let mut first = archive(pair, maker, folder.path(), &flags);
        publish(pair, &["1", "2"], 2);
        publish(pair, &["3"], 3);
        first.terminate(BOUND);
        let mut second = archive(pair, maker, folder.path(), &flags);
        publish(pair, &["4", "5"], 5);
        second.signal(Signal::KILL);
        second.wait(BOUND);
        let mut seen: Vec<(String, String)> = Vec::new();
        for (name, packed) in files(folder.path()) {
            seen.push((name, String::from_utf8(gunzip(&packed)).unwrap()));
        }
        for (_, text) in &mut seen {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            *text = lines.join(" ");
        }
        let wanted = [
            ("log.h-000000.now.log.gz", "1 2 3"),
            ("log.h-000001.now.log.gz", "4 5"),
        ];
        assert_eq!(seen, owned(&wanted));
    });
}

#[test]
fn nt_025_gzip_needs_a_revision_in_the_name() {
    with_all(|pair, maker| {
        let folder = TempDir::new().unwrap();
        let mut tool = archive(
            pair,
            maker,
            folder.path(),
            &["-gzip", "-filename-format=<TOPIC>.log"],
        );
        let text = "ERROR: couldn't create logger for new topic log: missing <REV> in --filename-format \
                    when gzip, rotation, or work dir enabled";
        eventually(BOUND, "it is said", || tool.errors().contains(text));
        assert!(tool.is_running());
        tool.terminate(BOUND);
    });
}

#[test]
fn nt_026_a_file_that_is_larger_than_the_limit_is_the_last() {
    with_all(|pair, maker| {
        let folder = TempDir::new().unwrap();
        let flags = ["-rotate-size=5", "-datetime-format=now", "-skip-empty-files"];
        let mut tool = archive(pair, maker, folder.path(), &flags);
        for number in 1..=6 {
            publish(pair, &[&format!("msg{number}")], number);
        }
        tool.terminate(BOUND);
        let wanted = [
            ("log.h-000000.now.log", "msg1\nmsg2\n"),
            ("log.h-000001.now.log", "msg3\nmsg4\n"),
            ("log.h-000002.now.log", "msg5\nmsg6\n"),
        ];
        assert_eq!(texts(folder.path()), owned(&wanted));
    });
}

#[test]
fn nt_027_intervals_without_traffic_leave_empty_files_unless_skipped() {
    with_all(|pair, maker| {
        let (empty, skipped) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let flags = [
            "-rotate-interval=40ms",
            "-sync-interval=20ms",
            "-datetime-format=now",
        ];
        let mut skips = archive(
            pair,
            maker,
            skipped.path(),
            &[&flags[..], &["-skip-empty-files"]].concat(),
        );
        eventually(BOUND, "it subscribes", || {
            pair.channel("log").is_some_and(|c| c["client_count"] == 1)
        });
        let mut tool = archive(pair, maker, empty.path(), &flags);
        eventually(BOUND, "files come", || files(empty.path()).len() > 4);
        assert!(files(skipped.path()).is_empty());
        for tool in [&mut skips, &mut tool] {
            Process::terminate(tool, BOUND);
        }
        assert!(texts(empty.path()).iter().all(|(_, text)| text.is_empty()));
    });
}

#[test]
fn nt_028_a_file_is_in_the_output_folder_when_it_is_finished() {
    with_all(|pair, maker| {
        let (work, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let flags = [
            format!("-work-dir={}", work.path().display()),
            "-datetime-format=now".to_owned(),
        ];
        let mut tool = archive(pair, maker, out.path(), &flags.each_ref().map(String::as_str));
        publish(pair, &["1"], 1);
        let file = owned(&[("log.h-000000.now.log", "1\n")]);
        assert_eq!((texts(work.path()), texts(out.path())), (file.clone(), vec![]));
        tool.terminate(BOUND);
        assert_eq!((texts(work.path()), texts(out.path())), (vec![], file));
    });
}

#[test]
fn nt_029_a_name_that_is_taken_is_passed_over() {
    with_all(|pair, maker| {
        let (work, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let flags = [
            format!("-work-dir={}", work.path().display()),
            "-datetime-format=now".to_owned(),
        ];
        // One before the file is begun, one while it is written.
        fs::write(out.path().join("log.h-000000.now.log"), "before").unwrap();
        let mut tool = archive(pair, maker, out.path(), &flags.each_ref().map(String::as_str));
        publish(pair, &["1"], 1);
        fs::write(out.path().join("log.h-000001.now.log"), "meanwhile").unwrap();
        tool.terminate(BOUND);
        let wanted = [
            ("log.h-000000.now.log", "before"),
            ("log.h-000001.now.log", "meanwhile"),
            ("log.h-000002.now.log", "1\n"),
        ];
        assert_eq!(texts(out.path()), owned(&wanted));
        assert!(files(work.path()).is_empty());
    });
}

#[test]
fn nt_030_a_hangup_ends_the_file_and_the_next_message_opens_one() {
    with_all(|pair, maker| {
        let folder = TempDir::new().unwrap();
        let name = folder.path().join("log.h.now.log");
        let mut tool = archive(pair, maker, folder.path(), &["-datetime-format=now"]);
        publish(pair, &["1"], 1);
        fs::rename(&name, folder.path().join("old")).unwrap();
        let opened = |path: &Path| {
            let open = fs::read_dir(format!("/proc/{}/fd", tool.pid())).unwrap();
            open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
                .any(|file| file == path)
        };
        let old = folder.path().join("old").canonicalize().unwrap();
        assert!(opened(&old));
        tool.signal(Signal::HUP);
        eventually(BOUND, "it is closed", || !opened(&old));
        publish(pair, &["2"], 2);
        tool.signal(Signal::HUP);
        let new = name.canonicalize().unwrap();
        eventually(BOUND, "it is closed", || !opened(&new));
        publish(pair, &["3"], 3);
        tool.terminate(BOUND);
        assert_eq!(
            texts(folder.path()),
            owned(&[("log.h.now.log", "2\n3\n"), ("old", "1\n")])
        );
    });
}

/// Go's ends with “file already closed”.
#[test]
fn nt_031_a_hangup_with_a_work_folder_goes_on() {
    with_both(|pair| {
        let (work, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let work_dir = format!("-work-dir={}", work.path().display());
        let flags = [
            &work_dir,
            "-datetime-format=now",
            "-sync-interval=20ms",
            "-skip-empty-files",
        ];
        let mut tool = archive(pair, Maker::Ours, out.path(), &flags);
        for number in 1..=3 {
            publish(pair, &[&number.to_string()], number);
            tool.signal(Signal::HUP);
            eventually(BOUND, "it is moved", || files(out.path()).len() == number);
        }
        tool.terminate(BOUND);
        let wanted = [
            ("log.h-000000.now.log", "1\n"),
            ("log.h-000001.now.log", "2\n"),
            ("log.h-000002.now.log", "3\n"),
        ];
        assert_eq!(texts(out.path()), owned(&wanted));
        assert!(files(work.path()).is_empty());
    });
}

fn registered(pair: &Pair, topics: &[&str]) {
    for topic in topics {
        pair.publish(topic, &["1"]);
        eventually(BOUND, "it is registered", || {
            let found = nsq_e2e::http::get(&pair.lookupd.http, &format!("/lookup?topic={topic}"));
            found.unwrap().0 == 200
        });
    }
}

#[test]
fn nt_032_topics_that_match_a_pattern_are_archived() {
    with_all(|pair, maker| {
        registered(pair, &["apple", "banana"]);
        let folder = TempDir::new().unwrap();
        let to = format!("-output-dir={}", folder.path().display());
        let often = "-topic-refresh=100ms";
        let args = [
            "-topic-pattern=^a",
            often,
            &to,
            &pair.lookupd_flag(),
            "-filename-format=<TOPIC>",
        ];
        let mut tool = start_of(maker, "nsq_to_file", &args);
        eventually(BOUND, "the first is there", || pair.is_through("apple", 1));
        registered(pair, &["avocado"]);
        eventually(BOUND, "a new one too", || pair.is_through("avocado", 1));
        let text = "WARNING: skipping topic banana (doesn't match pattern ^a)";
        eventually(BOUND, "it is said", || tool.errors().contains(text));
        tool.terminate(BOUND);
        assert_eq!(
            texts(folder.path()),
            owned(&[("apple", "1\n"), ("avocado", "1\n")])
        );
        assert!(pair.channel("banana").is_none());
    });
}

/// Go's leaves the whole round out, and begins after one.
#[test]
fn topics_are_looked_up_at_once_and_from_whoever_answers() {
    with_both(|pair| {
        registered(pair, &["apple"]);
        let folder = TempDir::new().unwrap();
        let to = format!("-output-dir={}", folder.path().display());
        let nobody = format!("-lookupd-http-address={}", free_address());
        let args = [
            "-topic-pattern=.",
            &to,
            &nobody,
            &pair.lookupd_flag(),
            "-filename-format=<TOPIC>",
        ];
        let mut tool = start_of(Maker::Ours, "nsq_to_file", &args);
        eventually(BOUND, "it is there", || pair.is_through("apple", 1));
        assert!(
            tool.errors().contains("ERROR: could not retrieve topic list: "),
            "{}",
            tool.errors()
        );
        tool.terminate(BOUND);
    });
}

/// Go's does not try it again.
#[test]
fn a_topic_that_cannot_start_is_tried_again() {
    let address = free_address();
    let folder = TempDir::new().unwrap();
    let to = format!("-output-dir={}", folder.path().display());
    let args = [
        "-topic=log",
        &format!("-nsqd-tcp-address={address}"),
        &to,
        "-topic-refresh=100ms",
    ];
    let mut tool = start_of(Maker::Ours, "nsq_to_file", &args);
    let text = "ERROR: couldn't create logger for new topic log: connect to ";
    eventually(BOUND, "it is said", || tool.errors().contains(text));
    let data = TempDir::new().unwrap();
    let nsqd = Maker::Ours.nsqd(data.path(), &[], &[&format!("--tcp-address={address}")]);
    let publish = || nsq_e2e::http::post(&nsqd.http, "/pub?topic=log", "1").unwrap().0;
    assert_eq!(publish(), 200);
    eventually(BOUND, "it is there", || {
        texts(folder.path()).iter().any(|(_, text)| text == "1\n")
    });
    tool.terminate(BOUND);
}

#[test]
fn nt_033_what_was_not_synced_is_delivered_again_after_a_kill() {
    with_all(|pair, maker| {
        let folder = TempDir::new().unwrap();
        let flags = ["-sync-interval=1h", "-datetime-format=now", SOON_AGAIN];
        let mut tool = archive(pair, maker, folder.path(), &flags);
        // The first message of a file is synced at once.
        publish(pair, &["first"], 1);
        eventually(BOUND, "the window is open", || {
            let stats = nsq_e2e::http::json(&pair.nsqd.http, "/stats?format=json&topic=log").unwrap();
            stats["topics"][0]["channels"][0]["clients"][0]["ready_count"] == 200
        });
        pair.publish("log", &["second"]);
        let file = folder.path().join("log.h.now.log");
        eventually(BOUND, "it is written", || {
            fs::read_to_string(&file).unwrap() == "first\nsecond\n"
        });
        assert_eq!(pair.channel("log").unwrap()["in_flight_count"], 1);
        tool.signal(Signal::KILL);
        tool.wait(BOUND);
        eventually(BOUND, "it waits again", || {
            let channel = pair.channel("log").unwrap();
            channel["in_flight_count"] == 0 && channel["depth"] == 1
        });
    });
}

#[test]
fn nt_034_a_folder_that_cannot_be_written_ends_the_tool_at_the_first_message() {
    with_all(|pair, maker| {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let mut tool = archive(pair, maker, &file.join("inside"), &[SOON_AGAIN]);
        eventually(BOUND, "it subscribes", || {
            pair.channel("log").is_some_and(|c| c["client_count"] == 1)
        });
        assert!(tool.is_running());
        pair.publish("log", &["1"]);
        assert_eq!(tool.wait(BOUND).code(), Some(1));
        assert!(tool.errors().contains(" FATAL: "), "{}", tool.errors());
        eventually(BOUND, "the message waits", || {
            pair.channel("log").unwrap()["depth"] == 1
        });
    });
}

#[test]
fn nt_035_directives_of_the_time_are_replaced() {
    with_all(|pair, maker| {
        let folder = TempDir::new().unwrap();
        let flags = [
            "-datetime-format=%Y%m%d_%H%M%S-%j-%%",
            "-filename-format=<DATETIME>",
        ];
        let mut tool = archive(pair, maker, folder.path(), &flags);
        publish(pair, &["1"], 1);
        tool.terminate(BOUND);
        let files = files(folder.path());
        let (name, _) = files.first_key_value().unwrap();
        let shape: String = name
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "00000000_000000-%j-%");
    });
}

#[test]
fn nt_036_tokens_of_the_host_are_replaced() {
    with_all(|pair, maker| {
        let folder = TempDir::new().unwrap();
        let host = "-host-identifier=<SHORT_HOST>,<HOSTNAME>";
        let mut tool = archive(
            pair,
            maker,
            folder.path(),
            &[host, "-filename-format=<TOPIC>/<HOST>/<PID>"],
        );
        publish(pair, &["1"], 1);
        tool.terminate(BOUND);
        let long = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let short = long.split('.').next().unwrap();
        let name = format!("log/{short},{long}/{}", tool.pid());
        assert_eq!(texts(folder.path()), owned(&[(&name, "1\n")]));
    });
}

/// What a process could not write whole before it was killed is no part of what the next one writes.
#[test]
fn a_half_record_at_the_end_of_a_file_stays_alone() {
    with_both(|pair| {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("log"), "whole\nhal").unwrap();
        let mut tool = archive(pair, Maker::Ours, folder.path(), &["-filename-format=<TOPIC>"]);
        publish(pair, &["1"], 1);
        tool.terminate(BOUND);
        assert_eq!(texts(folder.path()), owned(&[("log", "whole\nhal\n1\n")]));
    });
}

#[test]
fn messages_are_synced_by_number_and_before_a_connection_runs_dry() {
    let synced = |maker: Maker, pair: &Pair| {
        let folder = TempDir::new().unwrap();
        let flags = ["-max-in-flight=20", "-sync-interval=1h"];
        let mut tool = archive(pair, maker, folder.path(), &flags);
        let bodies: Vec<String> = (0..100).map(|i| i.to_string()).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        pair.publish("log", &bodies);
        // 85 % of 20: fewer may wait for the end of the interval.
        eventually(BOUND, "most are finished", || {
            pair.channel("log").is_some_and(|channel| {
                let left = &channel["in_flight_count"];
                channel["message_count"] == 100 && channel["depth"] == 0 && left.as_u64() < Some(17)
            })
        });
        tool.terminate(BOUND);
        eventually(BOUND, "all is finished", || pair.is_through("log", 100));
    };
    with_both(|pair| synced(Maker::Ours, pair));
    with_go_tool(|pair, maker| synced(maker, pair));
}
