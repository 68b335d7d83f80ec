//! A daemon as a process of its own, on ports that were free a moment ago.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::load::meter::Target;
use crate::outcome::Outcome;
use crate::pin;

/// Longest wait until it listens, and until it has ended: a million messages may have to be read or written.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks; a start is measured to this.
const LOOK: Duration = Duration::from_micros(200);
/// What is shown of what it said, in bytes.
const SAID: u64 = 2000;

/// A daemon that listens. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    target: Target,
    said: File,
}

impl Running {
    /// Starts it with its data in this folder. It says errors alone, so that no log line is measured.
    ///
    /// # Errors
    /// It does not start, or ends before it listens; the text has the end of what it said.
    pub(crate) fn start(binary: &Path, flags: &[&str], data: &Path) -> Outcome<Self> {
        Self::start_under(&[], binary, flags, data)
    }

    /// The same by a program that counts what it does. The child has to be the daemon itself in the end.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub(crate) fn start_under(
        counter: &[String],
        binary: &Path,
        flags: &[&str],
        data: &Path,
    ) -> Outcome<Self> {
        let shown = binary.display();
        let [tcp, http, https] = free_ports()?;
        let said =
            tempfile::tempfile().map_err(|why| format!("make a file for the log of {shown}: {why}"))?;
        let log = said
            .try_clone()
            .map_err(|why| format!("share the log of {shown}: {why}"))?;
        let mut command = match counter {
            [] => Command::new(binary),
            [program, args @ ..] => {
                let mut command = Command::new(program);
                command.args(args).arg(binary);
                command
            }
        };
        command
            .arg("--log-level=error")
            .arg(format!("--data-path={}", data.display()))
            .arg(format!("--tcp-address={tcp}"))
            .arg(format!("--http-address={http}"))
            .arg(format!("--https-address={https}"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = pin::started(|| command.spawn())?
            .map_err(|why| format!("start {}: {why}", command.get_program().display()))?;
        let target = Target {
            tcp,
            http,
            pid: child.id(),
        };
        let mut running = Self { child, target, said };
        for port in [tcp, http] {
            running.await_port(port).map_err(|why| format!("{shown} {why}"))?;
        }
        Ok(running)
    }

    pub(crate) const fn target(&self) -> Target {
        self.target
    }

    fn await_port(&mut self, port: SocketAddr) -> Outcome {
        let began = Instant::now();
        while TcpStream::connect(port).is_err() {
            let ended = self.child.try_wait().map_err(|why| format!("is lost: {why}"))?;
            if let Some(status) = ended {
                return Err(format!("ended with {status} at its start: {}", self.last_words()));
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("does not listen at {port}: {}", self.last_words()));
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The end of what it said.
    fn last_words(&mut self) -> String {
        let size = self.said.seek(SeekFrom::End(0)).unwrap_or_default();
        let mut words = Vec::new();
        // Words that cannot be read are no more than missing.
        let _ = self.said.seek(SeekFrom::Start(size.saturating_sub(SAID)));
        let _ = self.said.by_ref().take(SAID).read_to_end(&mut words);
        String::from_utf8_lossy(&words).trim().to_owned()
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// It did not, or said with its code that something failed.
    pub(crate) fn stop(mut self) -> Outcome {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|why| format!("ask the daemon to end: {why}"))?;
        let began = Instant::now();
        loop {
            let ended = self.child.try_wait();
            match ended.map_err(|why| format!("wait for the end of the daemon: {why}"))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the daemon ended with {status}: {}", self.last_words())),
                None if began.elapsed() > PATIENCE => {
                    return Err(format!("the daemon did not end within {PATIENCE:?}"));
                }
                None => thread::sleep(LOOK),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports that nobody has: all are held until the last is known, so that they differ.
fn free_ports() -> Outcome<[SocketAddr; 3]> {
    let failed = |why| format!("find a free port: {why}");
    let mut held = Vec::new();
    let mut ports = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); 3];
    for port in &mut ports {
        let listener = TcpListener::bind(*port).map_err(failed)?;
        *port = listener.local_addr().map_err(failed)?;
        held.push(listener);
    }
    Ok(ports)
}
