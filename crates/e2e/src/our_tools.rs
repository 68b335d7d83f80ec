//! Runs our command-line tools, beside a pair of daemons of either maker.

use std::io::{Seek as _, Write as _};
use std::process::{Command, Stdio};

use crate::http;
use crate::process::Process;
use crate::reference::{Daemon, Maker};

/// One nsqlookupd and one nsqd of a maker.
pub struct Pair {
    /// What the nsqd is registered at.
    pub lookupd: Daemon,
    /// The only nsqd.
    pub nsqd: Daemon,
    _folder: tempfile::TempDir,
}

/// Runs the test against Go NSQ and against our daemons.
pub fn with_both(test: impl Fn(&Pair)) {
    for maker in [Maker::Reference, Maker::Ours] {
        test(&Pair::start(maker));
    }
}

impl Pair {
    /// Starts the two.
    ///
    /// # Panics
    /// One does not start.
    #[must_use]
    pub fn start(maker: Maker) -> Self {
        let lookupd = maker.nsqlookupd(&[]);
        let folder = tempfile::tempdir().unwrap();
        let nsqd = maker.nsqd(folder.path(), &[&lookupd.tcp], &[]);
        Self {
            lookupd,
            nsqd,
            _folder: folder,
        }
    }

    /// `--nsqd-tcp-address=…`.
    #[must_use]
    pub fn nsqd_flag(&self) -> String {
        format!("--nsqd-tcp-address={}", self.nsqd.tcp)
    }

    /// `--lookupd-http-address=…`.
    #[must_use]
    pub fn lookupd_flag(&self) -> String {
        format!("--lookupd-http-address={}", self.lookupd.http)
    }

    /// Whether the topic's first channel has got and lost so many messages, and has none.
    #[must_use]
    pub fn is_through(&self, topic: &str, count: usize) -> bool {
        self.channel(topic).is_some_and(|channel| {
            channel["message_count"] == count
                && ["depth", "in_flight_count", "deferred_count"]
                    .iter()
                    .all(|&key| channel[key] == 0)
        })
    }

    /// Publishes these.
    ///
    /// # Panics
    /// They are refused.
    pub fn publish(&self, topic: &str, bodies: &[&str]) {
        let body = bodies.join("\n");
        let (status, text) = http::post(&self.nsqd.http, &format!("/mpub?topic={topic}"), &body).unwrap();
        assert_eq!(status, 200, "{text}");
    }

    /// The first channel of the topic, if there is one.
    #[must_use]
    pub fn channel(&self, topic: &str) -> Option<serde_json::Value> {
        let stats = http::json(&self.nsqd.http, &format!("/stats?format=json&topic={topic}"))?;
        stats["topics"][0]["channels"].as_array()?.first().cloned()
    }

    /// What waits in the topic's channel `c`, by Go's consumer of the wire: in order of publishing.
    ///
    /// # Panics
    /// It does not end.
    #[must_use]
    pub fn drain(&self, topic: &str, count: usize) -> Vec<String> {
        let (n, topic) = (format!("--n={count}"), format!("--topic={topic}"));
        let args = [
            self.nsqd_flag(),
            topic,
            "--channel=c".to_owned(),
            n,
            "--max-in-flight=1".to_owned(),
        ];
        let ended = run("nsq_tail", &args.each_ref().map(String::as_str), "");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout.lines().map(str::to_owned).collect()
    }
}

/// Runs the test with our tool against Go NSQ and against our daemons, and with Go's tool against ours.
pub fn with_all(test: impl Fn(&Pair, Maker)) {
    with_both(|pair| test(pair, Maker::Ours));
    with_go_tool(test);
}

/// Runs the test with Go's tool against our daemons.
pub fn with_go_tool(test: impl Fn(&Pair, Maker)) {
    test(&Pair::start(Maker::Ours), Maker::Reference);
}

/// How a program ended.
pub struct Ended {
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a tool of ours to its end with this input.
///
/// # Panics
/// It cannot be started.
#[must_use]
pub fn run(name: &str, args: &[&str], input: &str) -> Ended {
    run_of(Maker::Ours, name, args, input)
}

/// Runs a tool of this maker to its end with this input.
///
/// # Panics
/// It cannot be started.
#[must_use]
pub fn run_of(maker: Maker, name: &str, args: &[&str], input: &str) -> Ended {
    let mut child = Command::new(maker.program(name))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A tool that ends early reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Starts a tool of ours.
#[must_use]
pub fn start(name: &str, args: &[&str]) -> Process {
    start_of(Maker::Ours, name, args)
}

/// Starts a tool of this maker.
#[must_use]
pub fn start_of(maker: Maker, name: &str, args: &[&str]) -> Process {
    let shown = format!("{name} ({maker:?})");
    Process::start(&shown, Command::new(maker.program(name)).args(args))
}

/// Exit code 1 and one line, which ends with this text behind its time.
///
/// # Panics
/// It ends otherwise.
#[track_caller]
pub fn fails_with(name: &str, args: &[&str], text: &str) {
    fails_with_of(Maker::Ours, name, args, text);
}

/// The same of ours and of Go's.
///
/// # Panics
/// One ends otherwise.
#[track_caller]
pub fn both_fail_with(name: &str, args: &[&str], text: &str) {
    for maker in [Maker::Ours, Maker::Reference] {
        fails_with_of(maker, name, args, text);
    }
}

#[track_caller]
fn fails_with_of(maker: Maker, name: &str, args: &[&str], text: &str) {
    let ended = run_of(maker, name, args, "");
    assert_eq!(ended.code, Some(1), "{maker:?}: {}", ended.stderr);
    let line = ended.stderr.lines().last().unwrap();
    assert_eq!(line.get(20..), Some(text), "{maker:?}: {line}");
    assert_eq!(&line[4..5], "/", "{maker:?}: {line}");
}

/// What a gzip file holds, as far as it can be read.
///
/// # Panics
/// There is no `gzip`.
#[must_use]
pub fn gunzip(packed: &[u8]) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(packed).unwrap();
    file.rewind().unwrap();
    let mut gzip = Command::new("gzip");
    // It says when a file ends early; what came before is there.
    gzip.arg("-dc").stdin(file).stderr(Stdio::null());
    gzip.output().unwrap().stdout
}
