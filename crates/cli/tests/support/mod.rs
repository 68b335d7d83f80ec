//! The one file in a folder of its own, and daemons that are it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of several test programs, each uses a part of it"
)]

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nsq_testkit::{BOUND, eventually};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A folder with `nsq` and nothing else.
pub struct Folder {
    folder: TempDir,
}

/// What a verb left behind.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Folder {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nsq");
        // The file itself, not a link to a folder with others beside it.
        if fs::hard_link(env!("CARGO_BIN_EXE_nsq"), &file).is_err() {
            fs::copy(env!("CARGO_BIN_EXE_nsq"), &file).unwrap();
        }
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `nsq` with these arguments, prepared.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.path().join("nsq"));
        command
            .args(args)
            .current_dir(self.path())
            .env("NSQ_HOME", self.path().join("home"))
            .env_remove("NSQ_LOOKUPD")
            .env_remove("NSQ_NSQD")
            .env_remove("NSQ_CONTEXT")
            .stdin(Stdio::null());
        command
    }

    /// Runs a verb to its end.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ended {
        ended(&mut self.command(args))
    }

    /// Runs a verb that must succeed, and gives what it printed.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        ended.stdout
    }

    /// Starts `nsq local` and waits until it says that it runs.
    #[track_caller]
    pub fn local(&self) -> Running {
        let mut running = Running::start(self.command(&["local"]), &self.path().join("local.out"));
        running.await_text("   Running   nsqd 1/1   nsqlookupd 1/1   nsqadmin 1/1");
        running
    }

    /// Starts a daemon: this file under its name.
    #[track_caller]
    pub fn daemon(&self, name: &str, args: &[&str]) -> Daemon {
        let link = self.path().join(name);
        if !link.exists() {
            std::os::unix::fs::symlink("nsq", &link).unwrap();
        }
        Daemon::start(&link, &self.path().join("logs"), args)
    }
}

#[track_caller]
pub fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("the program runs");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A process whose output goes to a file.
pub struct Running {
    pub child: Child,
    output: PathBuf,
}

impl Running {
    #[track_caller]
    pub fn start(mut command: Command, output: &Path) -> Self {
        let file = File::create(output).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Self {
            child: command.spawn().expect("the program starts"),
            output: output.to_owned(),
        }
    }

    pub fn text(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    #[track_caller]
    pub fn await_text(&mut self, text: &str) {
        eventually(BOUND, || {
            let ended = self.child.try_wait().expect("its state");
            assert!(
                ended.is_none() || self.text().contains(text),
                "ended {ended:?}: {}",
                self.text()
            );
            self.text().contains(text)
        });
    }

    pub fn signal(&self, signal: Signal) {
        // One that is gone gets nothing.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Ends it and gives its exit code.
    #[track_caller]
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        let mut code = None;
        eventually(BOUND + Duration::from_secs(20), || {
            code = self.child.try_wait().expect("its state");
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::CONT);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A daemon on free ports of this machine, unless flags name some.
pub struct Daemon {
    pub process: Running,
    pub tcp: String,
    pub http: String,
}

impl Daemon {
    #[track_caller]
    pub fn start(program: &Path, logs: &Path, args: &[&str]) -> Self {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        fs::create_dir_all(logs).unwrap();
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null());
        for flag in ["--tcp-address=", "--http-address=", "--broadcast-address="] {
            if !args.iter().any(|arg| arg.starts_with(flag)) {
                let port = if flag.starts_with("--broadcast") { "" } else { ":0" };
                command.arg(format!("{flag}127.0.0.1{port}"));
            }
        }
        if program.ends_with("nsqd") && !args.iter().any(|arg| arg.starts_with("--data-path=")) {
            let data = logs.join(format!("data-{count}"));
            fs::create_dir_all(&data).unwrap();
            command.arg(format!("--data-path={}", data.display()));
        }
        let mut process = Running::start(command, &logs.join(format!("{count}.log")));
        let mut address = |text: &str| {
            process.await_text(text);
            let log = process.text();
            let rest = log.split(text).nth(1).unwrap_or_default();
            let ends = |c: char| !(c.is_ascii_digit() || c == '.' || c == ':');
            rest.split(ends).next().unwrap_or_default().to_owned()
        };
        Self {
            tcp: address("TCP: listening on "),
            http: address("HTTP: listening on "),
            process,
        }
    }

    /// POST that must answer 200.
    #[track_caller]
    pub fn post(&self, target: &str, body: &[u8]) {
        let reply = nsq_testkit::request(self.socket(), "POST", target, body);
        assert_eq!(reply.status, 200, "POST {target}: {}", reply.text());
    }

    pub fn socket(&self) -> SocketAddr {
        self.http.parse().unwrap()
    }
}

/// A cluster of one nsqlookupd and one nsqd that is registered there.
pub fn small(folder: &Folder) -> (Daemon, Daemon) {
    let lookupd = folder.daemon("nsqlookupd", &[]);
    let nsqd = folder.daemon("nsqd", &[&format!("--lookupd-tcp-address={}", lookupd.tcp)]);
    registered(&lookupd, 1);
    (lookupd, nsqd)
}

/// Waits until an nsqlookupd names so many nsqds.
#[track_caller]
pub fn registered(lookupd: &Daemon, count: usize) {
    eventually(BOUND, || {
        let nodes = nsq_testkit::request(lookupd.socket(), "GET", "/nodes", b"").json();
        nodes["producers"].as_array().map_or(0, Vec::len) == count
    });
}
