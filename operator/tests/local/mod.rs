//! A `nsq-operator local` of its own for each test: its folder, its manifest, what it printed.
//!
//! The daemons are those beside the program under test, or those of `NSQ_BIN_DIR` (the Go ones, for example).
#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of several test programs, each uses a part of it"
)]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nsq_testkit::eventually;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long a cluster may take for what it is expected to do: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Clusters of one test program run one after another: each wants the usual ports first.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A running `local`.
pub struct Local {
    pub child: Child,
    pub home: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// Waits until no other cluster of this test program runs.
pub fn turn() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The program under test.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_nsq-operator"))
}

/// Folder of the daemons.
pub fn bin_dir() -> PathBuf {
    let beside = || program().parent().map(Path::to_owned);
    let folder = std::env::var_os("NSQ_BIN_DIR")
        .map(PathBuf::from)
        .or_else(beside)
        .unwrap();
    for name in ["nsqd", "nsqlookupd", "nsqadmin"] {
        let path = folder.join(name);
        assert!(
            path.is_file(),
            "{} is missing; run: cargo build -p nsqd -p nsqlookupd -p nsqadmin",
            path.display()
        );
    }
    folder
}

/// Whether the daemons are the Go ones.
pub fn is_upstream() -> bool {
    let output = Command::new(bin_dir().join("nsqd"))
        .arg("--version")
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).contains("built w/go")
}

/// A manifest of one cluster with these counts; `more` are lines of the nsqd block, indented by four.
pub fn manifest(nsqd: i32, lookupd: i32, more: &str) -> String {
    let flavor = if is_upstream() { "Upstream" } else { "Native" };
    format!(
        "apiVersion: nsq.rs/v1alpha1
kind: NsqCluster
metadata:
  name: demo
spec:
  flavor: {flavor}
  nsqd:
    replicas: {nsqd}
    joinTimeout: 2s
    drain: {{settle: 1s, evacuate: Never}}
    update: {{minReadySeconds: 0}}
{more}  lookupd: {{replicas: {lookupd}, removalDelay: 1s}}
"
    )
}

/// The same with a document behind it.
pub fn with_document(manifest: &str, document: &str) -> String {
    format!("{manifest}---\n{document}")
}

impl Local {
    /// Starts it on a manifest and waits until the cluster runs.
    pub fn running(manifest: &str) -> Self {
        let mut local = Self::start(manifest, &[]);
        local.await_phase("Running");
        local
    }

    /// Starts it on a manifest, with more flags.
    pub fn start(manifest: &str, flags: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("m.yaml"), manifest).unwrap();
        let mut all = vec!["-f", "m.yaml", "--output", "json"];
        all.extend(flags);
        Self::start_in(home, &all)
    }

    /// Starts it with these flags in that folder.
    pub fn start_in(home: TempDir, flags: &[&str]) -> Self {
        Self::start_in_turn(turn(), home, flags)
    }

    /// The same for a test that had to look at ports first, in its turn.
    pub fn start_in_turn(turn: MutexGuard<'static, ()>, home: TempDir, flags: &[&str]) -> Self {
        let child = command(home.path(), flags);
        Self {
            child,
            home,
            _turn: turn,
        }
    }

    /// Starts it again in the same folder, after it ended.
    pub fn start_again(&mut self, flags: &[&str]) {
        self.child = command(self.home.path(), flags);
    }

    /// What it wrote to standard output.
    pub fn stdout(&self) -> String {
        text(&self.home.path().join("stdout"))
    }

    /// What it wrote to standard error.
    pub fn stderr(&self) -> String {
        text(&self.home.path().join("stderr"))
    }

    /// The last status document.
    pub fn status(&self) -> Value {
        let stdout = self.stdout();
        let whole = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
        serde_json::from_str(whole.lines().last().unwrap_or("null")).unwrap_or(Value::Null)
    }

    /// Waits until a condition on the last status holds.
    #[track_caller]
    pub fn await_status(&mut self, what: &str, mut condition: impl FnMut(&Value) -> bool) {
        let end = std::time::Instant::now() + PATIENCE;
        let mut last = self.status();
        let mut seen = condition(&last);
        while !seen && std::time::Instant::now() < end {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "local ended: {}",
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(20));
            last = self.status();
            seen = condition(&last);
        }
        assert!(seen, "not seen: {what}; last: {last:#}\n{}", self.stderr());
    }

    /// Waits until the cluster is in that phase.
    #[track_caller]
    pub fn await_phase(&mut self, phase: &str) {
        self.await_status(phase, |status| status["phase"] == phase);
    }

    /// Waits until it said something on standard error.
    #[track_caller]
    pub fn await_said(&mut self, what: &str) {
        let end = std::time::Instant::now() + PATIENCE;
        while !self.stderr().contains(what) {
            assert!(
                std::time::Instant::now() < end,
                "not said: {what}; said: {}",
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Replaces the manifest the way editors do.
    pub fn edit(&self, manifest: &str) {
        let new = self.home.path().join("m.yaml.new");
        fs::write(&new, manifest).unwrap();
        fs::rename(new, self.home.path().join("m.yaml")).unwrap();
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("nsq-data/demo")
    }

    /// A port of a daemon as `ports.json` tells it.
    pub fn port(&self, daemon: &str, kind: &str) -> u16 {
        let ports: Value = serde_json::from_str(&text(&self.data().join("ports.json"))).unwrap();
        u16::try_from(ports[daemon][kind].as_u64().unwrap_or(0)).unwrap()
    }

    /// A TCP address.
    pub fn tcp(&self, daemon: &str) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port(daemon, "tcp")))
    }

    /// One request to a daemon's HTTP API; status and body. None if nobody answers.
    pub fn http(&self, daemon: &str, method: &str, target: &str, body: &str) -> Option<(u16, String)> {
        request(self.port(daemon, "http"), method, target, body)
    }

    /// A JSON answer of a daemon.
    pub fn json(&self, daemon: &str, target: &str) -> Value {
        let answer = self.http(daemon, "GET", target, "");
        answer
            .and_then(|(_, body)| serde_json::from_str(&body).ok())
            .unwrap_or(Value::Null)
    }

    /// Process ids of its children by daemon name.
    pub fn pids(&self) -> Vec<(String, i32)> {
        let own = self.child.id();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<i32>().ok())
            else {
                continue;
            };
            let stat = text(&entry.path().join("stat"));
            let parent = stat
                .rsplit(')')
                .next()
                .and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
            if parent == Some(own) {
                let line = text(&entry.path().join("cmdline"));
                let config = line.split('\0').find_map(|arg| arg.strip_prefix("--config="));
                let name = config.and_then(|path| Path::new(path).file_stem()?.to_str().map(str::to_owned));
                found.push((name.unwrap_or_default(), pid));
            }
        }
        found.sort();
        found
    }

    /// Process id of one daemon.
    #[track_caller]
    pub fn pid(&self, daemon: &str) -> i32 {
        let pids = self.pids();
        let found = pids.iter().find(|(name, _)| name == daemon);
        found
            .unwrap_or_else(|| panic!("{daemon} does not run: {pids:?}"))
            .1
    }

    /// Sends a signal to `local` itself.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                std::time::Instant::now() < end,
                "local does not end: {}",
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it cleanly.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal(Signal::INT);
        assert_eq!(self.wait().code(), Some(0), "{}", self.stderr());
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::TERM);
            // the children end with it in any case
            let end = std::time::Instant::now() + Duration::from_secs(10);
            while self.child.try_wait().is_ok_and(|status| status.is_none())
                && std::time::Instant::now() < end
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn command(home: &Path, flags: &[&str]) -> Child {
    Command::new(program())
        .arg("local")
        .args(flags)
        .arg("--bin-dir")
        .arg(bin_dir())
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(File::create(home.join("stdout")).unwrap())
        .stderr(File::create(home.join("stderr")).unwrap())
        .spawn()
        .unwrap()
}

/// The text of a file; empty if there is none.
pub fn text(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// Whether a process is there and is no zombie.
pub fn is_alive(pid: i32) -> bool {
    let exists = Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok());
    let stat = text(Path::new(&format!("/proc/{pid}/stat")));
    exists
        && !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
}

/// Waits until none of these processes is left.
#[track_caller]
pub fn await_gone(pids: &[(String, i32)]) {
    eventually(PATIENCE, || pids.iter().all(|(_, pid)| !is_alive(*pid)));
}

/// One HTTP request.
pub fn request(port: u16, method: &str, target: &str, body: &str) -> Option<(u16, String)> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nAccept: application/vnd.nsq; version=1.0\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// Runs a subcommand that ends by itself.
pub fn run(flags: &[&str], env: &[(&str, &str)], home: &Path) -> Output {
    let output = Command::new(program())
        .args(flags)
        .envs(env.iter().copied())
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What a program that ended left behind.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}
