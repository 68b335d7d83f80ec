//! The processes of one cluster: started, watched, restarted, ended. It follows orders and knows no plan.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use nsq_service::clock::Clock;
use nsq_service::tasks::Tasks;
use rustix::process::Signal;
use tokio::sync::mpsc;

use super::backoff::Backoff;
use super::error::StartError;
use super::folder::Folder;
use super::ident::Ident;
use super::launch::Launch;
use super::ports::{self, Ports, Table};
use super::process::{self, Ended, Handle};

/// Lines of its log that are shown when a daemon loops.
const LOOP_LINES: usize = 5;
/// Times a daemon that could not bind gets other ports.
const MAX_BIND_FAILURES: u8 = 3;

/// One daemon of the cluster.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) ports: Ports,
    /// Why a port is not the usual one; empty if it is.
    pub(super) port_note: String,
    /// What it runs from.
    pub(super) launch: Launch,
    pub(super) state: State,
    /// Since when it answers that it is ready, or what it answers instead.
    pub(super) ready: Result<Timestamp, String>,
    /// Publishers are kept away: what the plan says of a label in Kubernetes.
    pub(super) fenced: bool,
    life: u64,
    started: Duration,
    backoff: Backoff,
    bind_failures: u8,
    then: Then,
}

/// What a process does.
#[derive(Debug)]
pub(super) enum State {
    /// It runs.
    Running(Handle),
    /// It was asked to end and is killed at that time.
    Stopping(Handle, Duration),
    /// It is started at that time; why it does not run.
    Waiting(Duration, String),
}

/// What follows the end of a process.
#[derive(Clone, Debug, PartialEq)]
enum Then {
    /// It is started again after a pause: nobody asked it to end.
    Restart,
    /// It is started at once from this.
    Start(Box<Launch>),
    /// It is forgotten; its data too if true.
    Forget(bool),
}

impl Daemon {
    /// Its process id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        match &self.state {
            State::Running(handle) | State::Stopping(handle, _) => Some(handle.pid),
            State::Waiting(..) => None,
        }
    }

    /// It runs and nobody asked it to end.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// It was asked to end and has not ended.
    pub(super) fn is_stopping(&self) -> bool {
        matches!(self.state, State::Stopping(..))
    }

    /// It ends again and again.
    pub(super) fn is_looping(&self) -> bool {
        self.backoff.is_loop() && !self.is_stopping() && self.ready.is_err()
    }

    /// Time since its process was started.
    pub(super) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.started)
    }
}

/// All daemons of one cluster.
pub(super) struct Supervisor {
    pub(super) folder: Folder,
    pub(super) daemons: BTreeMap<Ident, Daemon>,
    host: String,
    ports: Table,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    ended: mpsc::Sender<Ended>,
    lives: u64,
    lines: Vec<String>,
}

impl Supervisor {
    /// No daemon yet. Ends of processes arrive at the receiver of `ended` and are to be handed to [`Self::ended`].
    pub(super) fn new(
        folder: Folder,
        host: String,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        ended: mpsc::Sender<Ended>,
    ) -> Result<Self, StartError> {
        let ports = folder.read_json("ports.json")?.unwrap_or_default();
        Ok(Self {
            folder,
            daemons: BTreeMap::new(),
            host,
            ports,
            clock,
            tasks,
            ended,
            lives: 0,
            lines: Vec::new(),
        })
    }

    /// Waits a little for the ports of the last time: when `local` was killed, its daemons may just be ending.
    pub(super) async fn await_ports(&self) {
        const WITHIN: Duration = Duration::from_secs(2);
        const LOOK: Duration = Duration::from_millis(50);
        let end = self.now() + WITHIN;
        while self.now() < end && self.ports.any_busy(|port| ports::is_free(&self.host, port)) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Lines for people since the last call.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Adds a line for people.
    pub(super) fn say(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Time on the clock that all times here are on.
    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Adds a daemon and starts it. `launch` gets the ports of the new daemon.
    pub(super) fn add(&mut self, ident: Ident, launch: Launch) {
        let host = self.host.clone();
        let given = self
            .ports
            .allocate(ident, |port| ports::is_free(&host, port), || ports::any(&host));
        self.save_ports();
        let now = self.now();
        let daemon = Daemon {
            ports: given.ports,
            port_note: given.note,
            launch,
            state: State::Waiting(now, "starting".to_owned()),
            ready: Err("starting".to_owned()),
            fenced: false,
            life: 0,
            started: now,
            backoff: Backoff::default(),
            bind_failures: 0,
            then: Then::Restart,
        };
        self.daemons.insert(ident, daemon);
        self.start(ident);
    }

    /// Ends a daemon and starts it from `launch`.
    pub(super) fn restart(&mut self, ident: Ident, launch: Launch, grace: Duration) {
        self.end(ident, Then::Start(Box::new(launch)), grace);
    }

    /// Ends a daemon for good, with its data if `delete`.
    pub(super) fn remove(&mut self, ident: Ident, delete: bool, grace: Duration) {
        self.end(ident, Then::Forget(delete), grace);
    }

    fn end(&mut self, ident: Ident, then: Then, grace: Duration) {
        let deadline = self.now() + grace;
        let Some(daemon) = self.daemons.get_mut(&ident) else {
            return;
        };
        daemon.then = then;
        match std::mem::replace(&mut daemon.state, State::Waiting(deadline, String::new())) {
            State::Running(handle) => {
                handle.signal(Signal::TERM);
                daemon.state = State::Stopping(handle, deadline);
            }
            stopping @ State::Stopping(..) => daemon.state = stopping,
            State::Waiting(..) => self.follow(ident),
        }
    }

    /// Kills every process that is left.
    pub(super) fn kill_all(&mut self) {
        for daemon in self.daemons.values_mut() {
            daemon.then = Then::Forget(false);
            if let State::Running(handle) | State::Stopping(handle, _) = &daemon.state {
                handle.signal(Signal::KILL);
            }
        }
    }

    /// Starts what is due and kills what takes too long to end.
    pub(super) fn tick(&mut self) {
        let now = self.now();
        let mut due = Vec::new();
        for (ident, daemon) in &self.daemons {
            match &daemon.state {
                State::Waiting(at, _) if *at <= now => due.push(*ident),
                State::Stopping(handle, at) if *at <= now => handle.signal(Signal::KILL),
                State::Running(_) | State::Stopping(..) | State::Waiting(..) => {}
            }
            if daemon.is_running() {
                // a log that cannot be bounded is no reason to stop anything
                let _ = self.folder.bound_log(*ident);
            }
        }
        for ident in due {
            self.start(ident);
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let times = self.daemons.values().filter_map(|daemon| match &daemon.state {
            State::Waiting(at, _) | State::Stopping(_, at) => Some(*at),
            State::Running(_) => None,
        });
        times.min()
    }

    /// A process ended.
    pub(super) fn ended(&mut self, ended: &Ended) {
        let ident = ended.ident;
        let now = self.now();
        let Some(daemon) = self
            .daemons
            .get_mut(&ident)
            .filter(|daemon| daemon.life == ended.life)
        else {
            return;
        };
        daemon.ready = Err("stopped".to_owned());
        if daemon.then != Then::Restart {
            return self.follow(ident);
        }
        let how = describe(ended.status.as_ref().ok().copied());
        let tail = self.folder.last_lines(ident, LOOP_LINES);
        let in_use = tail
            .iter()
            .any(|line| line.to_ascii_lowercase().contains("address already in use"));
        if in_use && daemon.bind_failures < MAX_BIND_FAILURES {
            daemon.bind_failures += 1;
            let host = &self.host;
            let lost = daemon.ports;
            daemon.ports = self.ports.replace(ident, || ports::any(host));
            daemon.port_note = format!("port {} or {} is busy", lost.tcp, lost.http);
            daemon.state = State::Waiting(now, "starting".to_owned());
            self.save_ports();
            return self.start(ident);
        }
        let verdict = daemon.backoff.exited(now, daemon.age(now));
        let pause = verdict.pause.as_secs();
        let why = if daemon.backoff.is_loop() {
            format!("CrashLoop ({how}), next try in {pause}s")
        } else {
            format!("{how}, restart in {pause}s")
        };
        daemon.ready = Err(why.clone());
        daemon.state = State::Waiting(now + verdict.pause, why);
        self.lines
            .push(format!("{ident} ended ({how}), restart in {pause}s"));
        if verdict.became_loop {
            self.lines
                .push(format!("{ident} does not stay up; its last lines:"));
            self.lines
                .extend(tail.into_iter().map(|line| format!("  {line}")));
        }
    }

    /// Does what was to follow the end of a process.
    fn follow(&mut self, ident: Ident) {
        let now = self.now();
        let Some(daemon) = self.daemons.get_mut(&ident) else {
            return;
        };
        match std::mem::replace(&mut daemon.then, Then::Restart) {
            Then::Restart => {}
            Then::Start(launch) => {
                daemon.launch = *launch;
                daemon.backoff = Backoff::default();
                daemon.fenced = false;
                daemon.state = State::Waiting(now, "starting".to_owned());
                self.start(ident);
            }
            Then::Forget(delete) => {
                self.daemons.remove(&ident);
                self.lines.push(format!("{ident} stopped"));
                if delete && let Err(error) = self.folder.delete_data(ident) {
                    self.lines.push(format!("{ident}: data not deleted: {error}"));
                }
            }
        }
    }

    fn start(&mut self, ident: Ident) {
        let now = self.now();
        self.lives += 1;
        let life = self.lives;
        let started = self.spawn(ident, life);
        let Some(daemon) = self.daemons.get_mut(&ident) else {
            return;
        };
        daemon.life = life;
        daemon.started = now;
        match started {
            Ok(handle) => {
                daemon.ready = Err("starting".to_owned());
                daemon.state = State::Running(handle);
            }
            Err(error) => {
                let verdict = daemon.backoff.exited(now, Duration::ZERO);
                let why = format!("cannot start: {error}");
                self.lines.push(format!("{ident} {why}"));
                daemon.state = State::Waiting(now + verdict.pause, why);
            }
        }
    }

    fn spawn(&mut self, ident: Ident, life: u64) -> std::io::Result<Handle> {
        let Some(daemon) = self.daemons.get(&ident) else {
            return Err(std::io::Error::other("no such daemon"));
        };
        let config = std::path::absolute(self.folder.config(ident))?;
        let data: PathBuf = std::path::absolute(self.folder.data(ident))?;
        if matches!(ident, Ident::Nsqd(_)) {
            self.folder.make_data(ident)?;
        }
        self.folder
            .write(format!("conf/{ident}.cfg"), &daemon.launch.config(ident))?;
        let args = daemon.launch.args(ident, daemon.ports, &config, &data);
        process::start(
            process::Start {
                ident,
                life,
                program: &daemon.launch.program,
                args: &args,
                log: self.folder.open_log(ident)?,
            },
            &self.tasks,
            self.ended.clone(),
        )
    }

    fn save_ports(&mut self) {
        if let Err(error) = self.folder.write_json("ports.json", &self.ports) {
            self.lines.push(format!("ports.json not written: {error}"));
        }
    }
}

fn describe(status: Option<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("exit {code}"),
        Some((None, Some(signal))) => format!("signal {signal}"),
        _ => "lost".to_owned(),
    }
}
