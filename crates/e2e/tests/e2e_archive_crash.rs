//! The end of `nsq_to_file` under load, many times: what it finished is in a file that can be read.
//!
//! `cargo xtask crash-archive` runs this with release programs and many rounds; among the other tests it is short. Each run prints
//! a line of a table: rounds, messages, lost, twice in files.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests, whose numbers are for people"
)]

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nsq_e2e::eventually;
use nsq_e2e::our_tools::{Pair, gunzip, start_of};
use nsq_e2e::process::Process;
use nsq_e2e::reference::Maker;
use rustix::process::Signal;
use tempfile::TempDir;

const BOUND: Duration = Duration::from_secs(60);
/// Sets the number of rounds of a run.
const ROUNDS: &str = "NSQ_CRASH_ROUNDS";
/// Rounds among the other tests.
const SHORT: usize = 4;
/// Published before each round.
const MESSAGES: usize = 400;

fn rounds() -> usize {
    std::env::var(ROUNDS).map_or(SHORT, |text| text.parse().expect("a number of rounds"))
}

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Gzip,
    /// Into a folder from which finished files are moved, with a hangup now and then.
    Rotating,
}

struct Folders {
    out: TempDir,
    work: TempDir,
}

impl Folders {
    fn new() -> Self {
        Self {
            out: TempDir::new().unwrap(),
            work: TempDir::new().unwrap(),
        }
    }

    fn flags(&self, form: Form) -> Vec<String> {
        let mut flags = vec![
            "-topic=log".to_owned(),
            "-datetime-format=now".to_owned(),
            "-max-in-flight=50".to_owned(),
            "-sync-interval=50ms".to_owned(),
            // What a tool had that was killed comes again this soon.
            "-consumer-opt=msg_timeout,1s".to_owned(),
            format!("-output-dir={}", self.out.path().display()),
        ];
        match form {
            Form::Plain => {}
            Form::Gzip => flags.push("-gzip".to_owned()),
            Form::Rotating => {
                flags.push(format!("-work-dir={}", self.work.path().display()));
                flags.push("-rotate-size=4000".to_owned());
            }
        }
        flags
    }

    fn start(&self, pair: &Pair, form: Form) -> Process {
        let mut flags = self.flags(form);
        flags.push(pair.nsqd_flag());
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        start_of(Maker::Ours, "nsq_to_file", &flags)
    }

    /// How often each whole line is in a file of either folder.
    fn lines(&self) -> HashMap<String, usize> {
        let mut lines = HashMap::new();
        for folder in [self.out.path(), self.work.path()] {
            for text in fs::read_dir(folder)
                .unwrap()
                .map(|entry| read(&entry.unwrap().path()))
            {
                for line in text.split(|byte| *byte == b'\n') {
                    *lines
                        .entry(String::from_utf8_lossy(line).into_owned())
                        .or_default() += 1;
                }
            }
        }
        lines
    }
}

fn read(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_some_and(|end| end == "gz") {
        gunzip(&bytes)
    } else {
        bytes
    }
}

/// Makes a message as long as one of a log, and hard to pack.
fn padding() -> String {
    (0..6)
        .map(|n| format!("{:x}", RandomState::new().hash_one(n)))
        .collect()
}

fn publish(pair: &Pair, round: usize) -> Vec<String> {
    let bodies: Vec<String> = (0..MESSAGES)
        .map(|n| format!("{round}-{n} {}", padding()))
        .collect();
    pair.publish("log", &bodies.iter().map(String::as_str).collect::<Vec<_>>());
    bodies
}

/// Messages that are not in a file, and those that are there more than once.
fn count(folders: &Folders, wanted: &[String]) -> (usize, usize) {
    let lines = folders.lines();
    let times = |body: &String| lines.get(body).copied().unwrap_or(0);
    let lost = wanted.iter().filter(|body| times(body) == 0).count();
    let twice = wanted.iter().filter(|body| times(body) > 1).count();
    (lost, twice)
}

fn syncs(tool: &Process) -> usize {
    tool.error_lines()
        .iter()
        .filter(|line| line.contains(" syncing "))
        .count()
}

#[test]
fn what_is_finished_is_in_a_file_whatever_ends_the_tool() {
    for form in [Form::Plain, Form::Gzip, Form::Rotating] {
        let rounds = rounds();
        let pair = Pair::start(Maker::Ours);
        let folders = Folders::new();
        let mut wanted = Vec::new();
        for round in 0..rounds {
            wanted.append(&mut publish(&pair, round));
            let mut tool = folders.start(&pair, form);
            let enough = 1 + round * 7919 % 7;
            if form == Form::Rotating && round % 2 == 0 {
                eventually(BOUND, "it writes", || syncs(&tool) > 0);
                tool.signal(Signal::HUP);
            }
            // It may be through with all of them before.
            eventually(BOUND, "it has synced", || {
                syncs(&tool) >= enough || pair.is_through("log", wanted.len())
            });
            tool.signal(Signal::KILL);
            tool.wait(BOUND);
            // Not a single message that nsqd has no more is missing.
            let left = pair.channel("log").unwrap();
            let waits = left["depth"].as_u64().unwrap() + left["in_flight_count"].as_u64().unwrap();
            let (missing, _) = count(&folders, &wanted);
            assert!(missing as u64 <= waits, "{form:?}: {missing} missing, {left}");
        }
        let mut last = folders.start(&pair, form);
        eventually(BOUND, "all is finished", || pair.is_through("log", wanted.len()));
        last.terminate(BOUND);
        let (lost, twice) = count(&folders, &wanted);
        eprintln!("| {form:?} | {rounds} | {} | {lost} | {twice} |", wanted.len());
        assert_eq!(lost, 0, "{form:?}");
    }
}

/// The disk takes a part of a write, and then no more.
#[test]
fn a_disk_that_is_full_loses_nothing() {
    for form in [Form::Plain, Form::Gzip, Form::Rotating] {
        let pair = Pair::start(Maker::Ours);
        let folders = Folders::new();
        let wanted = publish(&pair, 0);
        let mut limited = Command::new("sh");
        // Files of at most 2 KiB, and no signal about it.
        limited
            .args(["-c", "ulimit -f 4; trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(Maker::Ours.program("nsq_to_file"))
            .args(folders.flags(form))
            .arg(pair.nsqd_flag());
        if form == Form::Rotating {
            // Its files would stay below.
            limited.arg("-rotate-size=100000");
        }
        let mut tool = Process::start("nsq_to_file", &mut limited);
        assert_eq!(tool.wait(BOUND).code(), Some(1), "{form:?}: {}", tool.errors());
        let text = " FATAL: [log/nsq_to_file] write ";
        assert!(tool.errors().contains(text), "{}", tool.errors());
        assert!(tool.errors().contains("File too large"), "{}", tool.errors());
        let mut next = folders.start(&pair, form);
        eventually(BOUND, "all is finished", || pair.is_through("log", wanted.len()));
        next.terminate(BOUND);
        let (lost, _) = count(&folders, &wanted);
        assert_eq!(lost, 0, "{form:?}");
    }
}
