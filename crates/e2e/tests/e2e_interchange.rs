//! Go nsqd and ours take turns on one data folder, in the middle of work: whoever moves can move back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real daemons and files"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use nsq_e2e::reference::Maker;
use nsq_testkit::{Conn, Daemon, Delivery, Launch};

/// Published in each turn.
const EACH: usize = 300;

/// Finished by the consumer in each turn; the rest is backlog.
const FINISHED: usize = 120;

/// In flight at the consumer when the daemon stops.
const HELD: usize = 7;

/// Turns of a run: both daemons twice, so that each reads what the other wrote after reading it itself.
const TURNS: usize = 4;

fn start(maker: Maker, folder: &Path) -> Daemon {
    Launch::new(maker.program("nsqd"))
        .data(folder)
        .flag("--mem-queue-size=5")
        .flag("--max-bytes-per-file=3000")
        .flag("--broadcast-address=127.0.0.1")
        .start()
}

/// Half a record behind the newest file of a queue: what a power cut in the middle of a write leaves.
fn half_a_record(folder: &Path, queue: &str) {
    let newest = data_files(folder, queue).pop().expect("the queue has a file");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(folder.join(newest))
        .unwrap();
    file.write_all(&100u32.to_be_bytes()).unwrap();
    file.write_all(b"torn").unwrap();
}

fn data_files(folder: &Path, queue: &str) -> Vec<String> {
    let start = format!("{queue}.diskqueue.");
    let names = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| {
            name.strip_prefix(&start)
                .is_some_and(|rest| rest.ends_with(".dat") && !rest.contains("meta"))
        })
        .collect();
    names.sort();
    names
}

fn bodies(turn: usize) -> Vec<Vec<u8>> {
    (0..EACH)
        .map(|number| format!("turn {turn} message {number}").into_bytes())
        .collect()
}

/// Takes that many messages and answers none.
fn take(conn: &mut Conn, count: usize) -> Vec<Delivery> {
    (0..count).map(|_| conn.message()).collect()
}

/// What a channel holds, taken and finished to its end.
fn drain(daemon: &Daemon, topic: &str, channel: &str, count: usize) -> Vec<Vec<u8>> {
    let mut conn = daemon.subscribe(topic, channel);
    conn.command("RDY 50");
    let mut seen = Vec::new();
    for _ in 0..count {
        let delivery = conn.message();
        conn.finish(&delivery);
        seen.push(delivery.body);
    }
    daemon.expect_channel(topic, channel, &[("depth", 0), ("in_flight_count", 0)]);
    seen.sort();
    seen
}

/// Some are finished, some are put back, some are in flight at the stop.
fn consume_some(daemon: &Daemon, finished: &mut Vec<Vec<u8>>) -> Conn {
    let mut conn = daemon.subscribe("t", "worked");
    conn.command("RDY 1");
    for _ in 0..FINISHED {
        let delivery = conn.message();
        conn.finish(&delivery);
        finished.push(delivery.body);
    }
    let back = conn.message();
    conn.requeue(&back, 0);
    conn.command(&format!("RDY {HELD}"));
    take(&mut conn, HELD);
    conn.command("RDY 0");
    daemon.expect_channel("t", "worked", &[("in_flight_count", HELD as u64)]);
    conn
}

fn turn(daemon: &Daemon, turn: usize, finished: &mut Vec<Vec<u8>>) {
    let mut publisher = daemon.connect();
    for body in bodies(turn) {
        publisher.publish("t", &body);
    }
    for body in bodies(turn).iter().take(20) {
        publisher.publish("held", body);
    }
    let depth = (EACH * (turn + 1)) as u64;
    daemon.expect_channel("t", "paused", &[("depth", depth)]);
    drop(consume_some(daemon, finished));
}

fn takes_turns(makers: [Maker; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let mut finished = Vec::new();
    for number in 0..TURNS {
        let mut daemon = start(makers[number % 2], folder.path());
        if number == 0 {
            daemon.act("/topic/create?topic=t");
            daemon.act("/channel/create?topic=t&channel=worked");
            daemon.act("/channel/create?topic=t&channel=paused");
            daemon.act("/channel/pause?topic=t&channel=paused");
            daemon.act("/topic/create?topic=held");
            daemon.act("/topic/pause?topic=held");
        }
        assert_eq!(
            daemon.topic("held")["paused"],
            true,
            "turn {number} of {makers:?}"
        );
        assert_eq!(
            daemon.topic("held")["depth"],
            20 * number,
            "turn {number} of {makers:?}"
        );
        assert_eq!(
            daemon.channel("t", "paused")["paused"],
            true,
            "turn {number} of {makers:?}"
        );
        assert_eq!(daemon.channel("t", "worked")["paused"], false);
        turn(&daemon, number, &mut finished);
        assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
        assert!(data_files(folder.path(), "t:paused").len() > 2, "several files");
        half_a_record(folder.path(), "t:paused");
    }

    let daemon = start(makers[TURNS % 2], folder.path());
    daemon.act("/channel/unpause?topic=t&channel=paused");
    let mut all: Vec<_> = (0..TURNS).flat_map(bodies).collect();
    all.sort();
    assert!(
        drain(&daemon, "t", "paused", all.len()) == all,
        "each once, {makers:?}"
    );
    finished.extend(drain(&daemon, "t", "worked", all.len() - finished.len()));
    finished.sort();
    assert!(finished == all, "each finished once, {makers:?}");
    daemon.act("/channel/create?topic=held&channel=c");
    daemon.act("/topic/unpause?topic=held");
    let mut held: Vec<_> = (0..TURNS)
        .flat_map(|turn| bodies(turn).into_iter().take(20))
        .collect();
    held.sort();
    assert!(
        drain(&daemon, "held", "c", held.len()) == held,
        "each once, {makers:?}"
    );
}

#[test]
fn nd_204_what_go_nsqd_leaves_goes_on_here_and_back() {
    takes_turns([Maker::Reference, Maker::Ours]);
}

#[test]
fn nd_204_what_we_leave_goes_on_in_go_nsqd_and_back() {
    takes_turns([Maker::Ours, Maker::Reference]);
}

/// Every option that nsqio/nsq v1.3.0 does not know, with a value that is not its default.
const EXTENSIONS: &[(&str, &str)] = &[
    ("auth_http_request_method", "\"post\""),
    ("enable_experiment", "[\"topology-aware-consumption\"]"),
    ("join_timeout", "\"2s\""),
    ("log_format", "\"json\""),
    // The default: the test reads the log there.
    ("log_output", "\"stderr\""),
    ("magic_timeout", "\"1m\""),
    ("max_defer_timeout", "\"2h\""),
    ("metrics_max_channels", "10"),
    ("ops_address", "\"127.0.0.1:0\""),
    ("topology_region", "\"r\""),
    ("topology_zone", "\"z\""),
];

/// The options that a program's usage lists, as keys of the config file.
fn options(maker: Maker) -> BTreeSet<String> {
    let output = Command::new(maker.program("nsqd"))
        .arg("--help")
        .output()
        .unwrap();
    let usage = [output.stdout, output.stderr].concat();
    String::from_utf8(usage)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("  -")?.split_whitespace().next())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[test]
fn ex_007_go_nsqd_passes_over_what_it_does_not_know() {
    let ours: BTreeSet<_> = options(Maker::Ours)
        .difference(&options(Maker::Reference))
        .cloned()
        .collect();
    let listed: BTreeSet<_> = EXTENSIONS.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(ours, listed, "the table of this test has every option of ours");

    let config = tempfile::NamedTempFile::new().unwrap();
    for (key, value) in EXTENSIONS {
        writeln!(&config, "{key} = {value}").unwrap();
    }
    for maker in [Maker::Ours, Maker::Reference] {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("nsqd.policy.json");
        let text = br#"{"version":1,"topics":{"t":{"generation":2,"set":{},"channels":{}}}}"#;
        std::fs::write(&policy, text).unwrap();
        let mut daemon = Launch::new(maker.program("nsqd"))
            .data(folder.path())
            .flag(format!("--config={}", config.path().display()))
            .start();
        daemon.connect().publish("t", b"served");
        assert_eq!(drain(&daemon, "t", "c", 1), [b"served"]);
        assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
        assert_eq!(std::fs::read(&policy).unwrap(), text, "{maker:?}");
    }
}

/// Names, types and defaults of the flags that a program's usage lists.
fn flags(maker: Maker) -> BTreeMap<String, (String, String)> {
    let output = Command::new(maker.program("nsqd"))
        .arg("--help")
        .output()
        .unwrap();
    let usage = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let mut found = BTreeMap::new();
    let mut lines = usage.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(flag) = line.strip_prefix("  -") else {
            continue;
        };
        let mut words = flag.split_whitespace();
        let (name, kind) = (words.next().unwrap(), words.next().unwrap_or("bool"));
        let mut help = String::new();
        while let Some(more) = lines.next_if(|line| !line.starts_with("  -")) {
            help.push_str(more);
        }
        let default = help
            .rsplit_once("(default ")
            .map(|(_, default)| default.trim_end_matches(')'));
        let default = default.unwrap_or_default().to_owned();
        found.insert(name.to_owned(), (kind.to_owned(), default));
    }
    found
}

/// Whoever swaps the program keeps the command line.
#[test]
fn every_flag_of_go_nsqd_is_there_with_its_type_and_default() {
    let (ours, theirs) = (flags(Maker::Ours), flags(Maker::Reference));
    assert!(theirs.len() > 50, "{theirs:?}");
    for (name, (kind, default)) in theirs {
        let (our_kind, our_default) = ours.get(&name).unwrap_or_else(|| panic!("no --{name}"));
        assert_eq!(*our_default, default, "--{name}");
        // A bool with a third value is a value in our usage.
        assert!(
            *our_kind == kind || name == "tls-required",
            "--{name} {our_kind}, not {kind}"
        );
    }
}
