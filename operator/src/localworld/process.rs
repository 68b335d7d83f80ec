//! One child process: started so that it ends when `local` ends, watched until it is gone.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::ident::Ident;
use nsq_service::tasks::Tasks;

/// The subcommand that turns this program into a daemon; not for people.
pub const HELPER: &str = "run-child";
/// Signals waiting for one child: more than stop, kill and one more are never useful.
const SIGNALS: usize = 4;

/// A child that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) ident: Ident,
    /// Which of its lives: a late message about an earlier one is not about this one.
    pub(super) life: u64,
    pub(super) status: io::Result<ExitStatus>,
}

/// A running child.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) pid: u32,
    signals: mpsc::Sender<Signal>,
}

impl Handle {
    /// Asks it to end, or kills it. A child that is gone already gets nothing.
    pub(super) fn signal(&self, signal: Signal) {
        // full means that enough was sent
        let _ = self.signals.try_send(signal);
    }
}

/// How to start a child.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) ident: Ident,
    pub(super) life: u64,
    pub(super) program: &'a Path,
    pub(super) args: &'a [String],
    pub(super) log: std::fs::File,
}

/// Starts a child. Its end is told on `ended`. Must be called on the thread that lives as long as the program: the kernel
/// ties the death signal to the thread that started the child.
pub(super) fn start(start: Start<'_>, tasks: &Tasks, ended: mpsc::Sender<Ended>) -> io::Result<Handle> {
    let own = std::env::current_exe()?;
    let mut command = Command::new(own);
    command
        .arg(HELPER)
        .arg(std::process::id().to_string())
        .arg(start.ident.program())
        .arg(start.program)
        .args(start.args)
        .stdin(Stdio::null())
        .stdout(start.log.try_clone()?)
        .stderr(start.log)
        // Ctrl-C in a terminal goes to the whole group; the children are stopped in order instead
        .process_group(0);
    let child = command.spawn()?;
    let pid = child.id().unwrap_or_default();
    let (signals, waiting) = mpsc::channel(SIGNALS);
    let (ident, life) = (start.ident, start.life);
    tasks.spawn(async move {
        let status = watch(child, waiting).await;
        // nobody listens at the very end
        let _ = ended.send(Ended { ident, life, status }).await;
    });
    Ok(Handle { pid, signals })
}

async fn watch(mut child: Child, mut signals: mpsc::Receiver<Signal>) -> io::Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status,
            Some(signal) = signals.recv() => {
                // the id is gone once the child was waited for, so no other process is ever meant
                if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
                    let _ = kill_process(pid, signal);
                }
            }
        }
    }
}

/// The helper: asks the kernel for SIGTERM when the parent dies, checks that it has not died already, and becomes the
/// daemon, which is called `name` whatever its file is called. Only returns if that failed.
#[must_use]
pub fn become_child(parent: u32, name: &str, program: &Path, args: &[OsString]) -> io::Error {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return error.into();
    }
    let alive = getppid().is_some_and(|pid| pid.as_raw_nonzero().get().cast_unsigned() == parent);
    if !alive {
        return io::Error::other("the parent is gone");
    }
    std::process::Command::new(program).arg0(name).args(args).exec()
}
