//! The operator as a process of this machine that looks at one namespace.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nsq_testkit::{Reply, Scrape, eventually, request};
use rustix::process::{Pid, Signal, kill_process};

use crate::{BOUND, Namespace};

/// Names the folder of the programs of this repository.
const BIN_DIR: &str = "NSQ_BIN_DIR";
/// Names the folder of the operator of the release before.
const PREVIOUS_DIR: &str = "NSQ_PREVIOUS_DIR";
/// Name of its program.
const NAME: &str = "nsq-operator";

/// A running operator. It is killed with the test.
#[derive(Debug)]
pub struct Operator {
    child: Child,
    folder: tempfile::TempDir,
    /// Where its endpoints are, as it said.
    http: Option<SocketAddr>,
}

impl Operator {
    /// Starts one for a namespace.
    #[track_caller]
    #[must_use]
    pub fn start(namespace: &Namespace) -> Self {
        Self::start_with(namespace, &[])
    }

    /// Starts the one of the release before; none where it was not built.
    #[track_caller]
    #[must_use]
    pub fn start_previous(namespace: &Namespace) -> Option<Self> {
        let folder = std::env::var_os(PREVIOUS_DIR)?;
        let program = Command::new(Path::new(&folder).join(NAME));
        let kubeconfig = namespace.cluster().kubeconfig();
        Some(Self::start_program(
            program,
            kubeconfig,
            &with_usual(namespace, &[]),
        ))
    }

    /// Starts one with further flags.
    #[track_caller]
    #[must_use]
    pub fn start_with(namespace: &Namespace, flags: &[&str]) -> Self {
        Self::start_as(namespace, namespace.cluster().kubeconfig(), flags)
    }

    /// Starts one that may do what the user of a kubeconfig may.
    #[track_caller]
    #[must_use]
    pub fn start_as(namespace: &Namespace, kubeconfig: &Path, flags: &[&str]) -> Self {
        Self::start_program(program(), kubeconfig, &with_usual(namespace, flags))
    }

    /// Starts one with these flags alone: it looks at every namespace and does nothing sooner than for a user.
    #[track_caller]
    #[must_use]
    pub fn start_everywhere(kubeconfig: &Path, flags: &[&str]) -> Self {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::start_program(program(), kubeconfig, &flags)
    }

    #[track_caller]
    fn start_program(mut command: Command, kubeconfig: &Path, flags: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        command.arg("run").args(flags);
        if !flags.iter().any(|flag| flag == "--http-address") {
            command.args(["--http-address", "127.0.0.1:0"]);
        }
        let child = command
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut operator = Self {
            child,
            folder,
            http: None,
        };
        eventually(BOUND, || {
            operator.http = listening(&operator.log());
            operator.http.is_some()
        });
        operator
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What one of its endpoints answers.
    #[track_caller]
    #[must_use]
    pub fn ask(&self, target: &str) -> Reply {
        request(self.http.unwrap(), "GET", target, b"")
    }

    /// Its metrics.
    #[track_caller]
    #[must_use]
    pub fn metrics(&self) -> Scrape {
        Scrape::of(self.ask("/metrics").text())
    }

    /// How often it wrote to the API server.
    #[track_caller]
    #[must_use]
    pub fn writes(&self) -> f64 {
        let metrics = self.metrics();
        metrics
            .containing("nsq_operator_api_writes_total{")
            .map(|(_, value)| value)
            .sum()
    }

    /// How many passes it made.
    #[track_caller]
    #[must_use]
    pub fn passes(&self) -> f64 {
        let metrics = self.metrics();
        metrics
            .containing("nsq_operator_reconcile_total{")
            .map(|(_, value)| value)
            .sum()
    }

    /// Waits until it made so many passes.
    #[track_caller]
    pub fn await_passes(&self, count: u32) {
        eventually(BOUND, || self.passes() >= f64::from(count));
    }

    /// Waits until it made so many passes more than `before`.
    #[track_caller]
    pub fn await_passes_beyond(&self, before: f64, count: u32) {
        eventually(BOUND, || self.passes() >= before + f64::from(count));
    }

    /// Waits until it has not written anything over two passes of each of its clusters.
    #[track_caller]
    pub fn await_quiet(&self) {
        let clusters = self
            .metrics()
            .value(r#"nsq_operator_store_objects{kind="NsqCluster"}"#);
        let mut seen = (self.writes(), self.passes());
        eventually(BOUND, || {
            let (writes, passes) = (self.writes(), self.passes());
            if writes > seen.0 {
                seen = (writes, passes);
            }
            passes >= seen.1 + 2.0 * clusters
        });
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Asks it to end and gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.child.wait().unwrap().code()
    }

    /// Waits until it ends by itself and gives its exit code.
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        let mut status = None;
        eventually(BOUND, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listening(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains("HTTP: listening on "))?;
    let address = line.split("listening on ").nth(1)?;
    address.split(['"', ' ']).next()?.parse().ok()
}

/// The program.
#[track_caller]
fn program() -> Command {
    let bin = std::env::var_os(BIN_DIR)
        .unwrap_or_else(|| panic!("{BIN_DIR} is not set; run: cargo xtask test kube"));
    Command::new(PathBuf::from(bin).join(NAME))
}

/// These flags, and those of an operator for one namespace that does everything quickly.
fn with_usual(namespace: &Namespace, flags: &[&str]) -> Vec<String> {
    let name = namespace.name();
    let usual = [
        ("--debounce", "200ms"),
        ("--watch-namespaces", name),
        ("--lease-namespace", name),
    ];
    let missing = usual.into_iter().filter(|(flag, _)| !flags.contains(flag));
    let all = flags.iter().copied();
    all.chain(missing.flat_map(|(flag, value)| [flag, value]))
        .map(str::to_owned)
        .collect()
}

/// What a subcommand of it prints.
#[track_caller]
#[must_use]
pub fn printed(args: &[&str]) -> String {
    let output = program().args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Drop for Operator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[allow(clippy::print_stderr, reason = "a failed test shows what the operator did")]
            {
                eprintln!("{}", self.log());
            }
        }
        self.kill();
    }
}
