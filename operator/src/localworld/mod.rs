//! Local mode: the cluster of a manifest as processes on this machine. Source: operator spec 8.5.
//!
//! | part | owns |
//! |---|---|
//! | `world`, `observe`, `apply` | the world of the plan: what is seen, what is carried out |
//! | `supervisor`, `process`, `backoff` | the processes: start, watch, restart, end |
//! | `folder`, `ports`, `launch` | files, ports, command lines |
//! | `manifest` | where the wishes come from, and whether they changed |
//! | `screen`, `table`, `view`, `serve` | what is shown |
//! | `notice` | where the running cluster is, for other programs |
//! | `stop`, `signals` | the end |
//!
//! It decides nothing about nodes: that is [`plan`](crate::plan).

mod apply;
mod backoff;
mod error;
mod folder;
mod ident;
mod launch;
mod manifest;
mod notice;
mod observe;
mod options;
mod ports;
mod process;
mod screen;
mod serve;
mod signals;
mod stop;
mod supervisor;
mod table;
mod view;
mod world;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use nsq_service::clock::{Clock, SystemClock};
use nsq_service::listen::Listener;
use nsq_service::tasks::Tasks;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub use error::StartError;
pub use manifest::BUILT_IN;
pub use options::{Options, Output};
pub use process::{HELPER, become_child};

use crate::api::{ConditionType, Mode};
use crate::daemon::HttpDaemons;
use crate::plan::Plan;
use crate::world::{Applied, pass};
use folder::{Folder, Programs};
use manifest::Source;
use notice::Notice;
pub use notice::Whereabouts;
use process::Ended;
use screen::Screen;
use signals::{Signal, Signals};
use supervisor::Supervisor;
use world::{LocalWorld, Parts, Paths};

/// The manifest is read again this often: a change is seen within a second.
const READ_EVERY: Duration = Duration::from_millis(500);
/// Passes while something starts, drains or is restarted.
const BUSY: Duration = Duration::from_millis(500);
/// Passes while something lacks that comes by itself, such as a registration.
const UNSETTLED: Duration = Duration::from_secs(1);
/// Passes while nothing goes on: what the daemons do by themselves is seen within this.
const CALM: Duration = Duration::from_secs(10);
/// A daemon that is not ready after this long is looked at less often.
const STARTING: Duration = Duration::from_secs(30);
/// Ends of processes that wait to be read.
const ENDS: usize = 64;
/// Time the last tasks get.
const JOIN: Duration = Duration::from_secs(2);

/// The process as `main` found it.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Path of this program.
    pub own: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<std::ffi::OsString>,
    /// This program is a daemon as well when it is called by a daemon's name.
    pub is_whole: bool,
    /// File that tells other programs where the running cluster is; none to tell nobody.
    pub notice: Option<PathBuf>,
}

/// Runs the cluster until a signal ends it; yields the exit code. Must run on the main thread of a current-thread runtime:
/// the children live as long as the thread that started them.
///
/// # Errors
/// The cluster cannot be started; nothing runs then.
pub async fn run(options: &Options, surroundings: &Surroundings) -> Result<u8, StartError> {
    let mut source = match &options.save {
        Some(file) => Source::save(file)?,
        None => Source::new(options.file.clone()),
    };
    let declared = source.read()?;
    let programs = Programs::new(options.bin_dir.as_deref(), surroundings);
    let paths = Paths::find(&programs)?;
    let name = declared.cluster.metadata.name.clone().unwrap_or_default();
    let temporary = options
        .ephemeral
        .then(|| tempfile::Builder::new().prefix("nsq-local-").tempdir())
        .transpose()
        .map_err(|error| StartError::System("cannot make a temporary folder", error))?;
    let data = data_dir(options, &name, temporary.as_ref().map(tempfile::TempDir::path));
    let (folder, state) = Folder::open(&data, &name)?;
    let signals = Signals::install().map_err(|error| StartError::System("cannot catch signals", error))?;
    let tasks = Tasks::new();
    let shown = serve::Shared::default();
    if let Some(address) = &options.http_address {
        let bound = Listener::bind(address).await;
        let listener = bound.map_err(|error| StartError::System("cannot listen on --http-address", error))?;
        serve::start(listener, Arc::clone(&shown), &tasks);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (ended_tx, ended) = mpsc::channel(ENDS);
    let parts = Parts {
        supervisor: Supervisor::new(
            folder,
            options.host.clone(),
            Arc::clone(&clock),
            tasks.clone(),
            ended_tx,
        )?,
        declared,
        daemons: Arc::new(HttpDaemons::default()),
        clock,
        paths,
        host: options.host.clone(),
        manifest_dir: source.folder(),
    };
    let mut local = Local {
        world: LocalWorld::new(parts, state),
        source,
        ended,
        signals,
        screen: Screen::new(options.output),
        shown,
        data: data.display().to_string(),
        kept: !options.ephemeral,
        watch: !options.no_watch,
        logs: options.logs.then(std::collections::BTreeMap::new),
        notice: surroundings.notice.clone().map(Notice::new),
    };
    local.note_ignored();
    local.world.supervisor.await_ports().await;
    let code = local.run().await;
    tasks.stop();
    tasks.join(JOIN).await;
    Ok(code)
}

fn data_dir(options: &Options, name: &str, temporary: Option<&Path>) -> PathBuf {
    match (temporary, &options.data_dir) {
        (Some(path), _) => path.to_owned(),
        (None, Some(path)) => path.clone(),
        (None, None) => Path::new("./nsq-data").join(name),
    }
}

/// A running `local`.
struct Local {
    world: LocalWorld<HttpDaemons>,
    source: Source,
    ended: mpsc::Receiver<Ended>,
    signals: Signals,
    screen: Screen,
    shown: serve::Shared,
    data: String,
    kept: bool,
    watch: bool,
    /// How far each log was shown; none if logs are not shown.
    logs: Option<std::collections::BTreeMap<ident::Ident, u64>>,
    notice: Option<Notice>,
}

/// Why the loop goes on.
enum Next {
    Pass,
    Stop,
}

impl Local {
    async fn run(&mut self) -> u8 {
        loop {
            let mut hung_up = false;
            let passed = tokio::select! {
                passed = pass(&mut self.world) => Some(passed),
                () = stop_signal(&mut self.signals, &mut hung_up) => None,
            };
            let Some((plan, applied)) = passed else { break };
            self.show(&plan);
            let changed = hung_up && self.reread();
            let pause = match applied {
                Applied::ObserveAnew => Duration::ZERO,
                Applied::Done if changed => Duration::ZERO,
                Applied::Done => self.pause(&plan),
            };
            if let Next::Stop = self.wait(pause).await {
                break;
            }
        }
        self.notice = None;
        stop::stop(
            &mut self.world,
            &mut self.signals,
            &mut self.ended,
            &mut self.screen,
        )
        .await
    }

    /// Everything people see after a pass.
    fn show(&mut self, plan: &Plan) {
        self.tell_lines();
        for event in &plan.events {
            self.screen.say(&format!("{}: {}", event.reason, event.note));
        }
        self.show_logs();
        let mut view = self.world.view(&self.data, self.kept);
        if let Some(notice) = &mut self.notice {
            view.one_command = true;
            if let Err(error) = notice.tell(&self.world.whereabouts()) {
                self.screen.warn(&error);
            }
        }
        self.screen
            .show(view, self.world.declared.cluster.status.as_ref());
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = serve::Shown::of(&self.world);
    }

    fn tell_lines(&mut self) {
        for line in self.world.supervisor.take_lines() {
            self.screen.say(&line);
        }
    }

    /// How long nothing needs to be looked at.
    fn pause(&self, plan: &Plan) -> Duration {
        let now = self.world.supervisor.now();
        let daemons = self.world.supervisor.daemons.values();
        let starting = daemons
            .filter(|daemon| daemon.ready.is_err() && daemon.pid().is_some())
            .any(|daemon| daemon.age(now) < STARTING);
        let moving = plan
            .status
            .drain
            .as_ref()
            .is_some_and(|drain| drain.aborted_generation.is_none())
            || plan.status.rollout.is_some()
            || !plan.node_actions.is_empty();
        let settled = !plan.status.is_true(ConditionType::Reconciling)
            && (plan.status.is_true(ConditionType::Ready) || self.world.spec().mode != Mode::Managed);
        let usual = if starting || moving {
            BUSY
        } else if settled {
            CALM
        } else {
            UNSETTLED
        };
        usual.min(plan.wake_after)
    }

    /// Waits until the next pass is due; meanwhile follows processes, the manifest and signals.
    async fn wait(&mut self, pause: Duration) -> Next {
        let due = Instant::now() + pause;
        let mut read = Instant::now() + READ_EVERY;
        loop {
            let supervised = self
                .world
                .supervisor
                .next_due()
                .map(|at| at.saturating_sub(self.world.supervisor.now()));
            let tick = supervised.map_or(due, |left| Instant::now() + left);
            tokio::select! {
                Some(end) = self.ended.recv() => {
                    self.world.supervisor.ended(&end);
                    self.world.supervisor.tick();
                    return Next::Pass;
                }
                signal = self.signals.next() => match signal {
                    Signal::Interrupt | Signal::Terminate => return Next::Stop,
                    Signal::Hangup => if self.reread() { return Next::Pass },
                },
                () = tokio::time::sleep_until(read) => {
                    read = Instant::now() + READ_EVERY;
                    self.show_logs();
                    if self.watch && self.reread() {
                        return Next::Pass;
                    }
                }
                () = tokio::time::sleep_until(tick), if tick < due => {
                    self.world.supervisor.tick();
                    return Next::Pass;
                }
                () = tokio::time::sleep_until(due) => {
                    self.world.supervisor.tick();
                    return Next::Pass;
                }
            }
        }
    }

    /// Reads the manifest; true if there is something new to do. A broken one is told and changes nothing.
    fn reread(&mut self) -> bool {
        match self.source.changed(&self.world.declared.cluster) {
            None => false,
            Some(Ok(declared)) => {
                self.world.declare(declared);
                self.note_ignored();
                true
            }
            Some(Err(error)) => {
                self.screen.warn(&error.to_string());
                self.screen.warn("the cluster stays as it is");
                true
            }
        }
    }

    /// Says once per manifest which of its fields mean nothing here.
    fn note_ignored(&mut self) {
        let ignored = launch::ignored(self.world.spec());
        if !ignored.is_empty() {
            self.screen
                .warn(&format!("note: not used in local mode: {}", ignored.join(", ")));
        }
    }

    /// Copies what the daemons logged since the last time.
    fn show_logs(&mut self) {
        let Some(shown) = &mut self.logs else { return };
        for ident in self.world.supervisor.daemons.keys() {
            let folder = &self.world.supervisor.folder;
            let from = *shown.entry(*ident).or_insert(0);
            if let Ok((text, next)) = folder.log_since(*ident, from) {
                shown.insert(*ident, next);
                for line in text.lines() {
                    self.screen.warn(&format!("{ident} | {line}"));
                }
            }
        }
    }
}

/// Waits for the signal that ends `local`. A hangup that comes meanwhile is noted.
async fn stop_signal(signals: &mut Signals, hung_up: &mut bool) {
    while signals.next().await == Signal::Hangup {
        *hung_up = true;
    }
}
