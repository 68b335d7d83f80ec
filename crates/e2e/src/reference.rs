//! The daemons of Go NSQ v1.3.0, on ports that the system picks, and ours on their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::{eventually_some, program, tool};

/// Starting takes this long at most.
const START: Duration = Duration::from_secs(20);

/// Whose program to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// This project.
    Ours,
    /// Go NSQ.
    Reference,
}

/// One daemon and where it listens.
pub struct Daemon {
    /// The process.
    pub process: Process,
    /// `host:port` of the TCP protocol.
    pub tcp: String,
    /// `host:port` of HTTP.
    pub http: String,
}

impl Maker {
    /// Starts an nsqd with its data in `folder`, registered at the nsqlookupds (TCP addresses).
    #[must_use]
    pub fn nsqd(self, folder: &Path, lookupds: &[&str], more: &[&str]) -> Daemon {
        let mut command = self.command("nsqd");
        command
            .arg(format!("--data-path={}", folder.display()))
            .args(more);
        for address in lookupds {
            command.arg(format!("--lookupd-tcp-address={address}"));
        }
        self.start("nsqd", &mut command)
    }

    /// Starts an nsqlookupd.
    #[must_use]
    pub fn nsqlookupd(self, more: &[&str]) -> Daemon {
        let mut command = self.command("nsqlookupd");
        command.args(more);
        self.start("nsqlookupd", &mut command)
    }

    /// The file of a daemon's program.
    #[must_use]
    pub fn program(self, name: &str) -> PathBuf {
        match self {
            Self::Ours => program(name),
            Self::Reference => tool(&format!("go-nsq-daemons/{name}")),
        }
    }

    fn command(self, name: &str) -> Command {
        let mut command = Command::new(self.program(name));
        command.args([
            "--tcp-address=127.0.0.1:0",
            "--http-address=127.0.0.1:0",
            "--broadcast-address=127.0.0.1",
        ]);
        command
    }

    fn start(self, name: &str, command: &mut Command) -> Daemon {
        let process = Process::start(&format!("{name} ({self:?})"), command);
        let (tcp, http) = eventually_some(START, &format!("{name} ({self:?}) listens"), || {
            let lines = process.error_lines();
            Some((
                listening(&lines, "TCP: listening on ")?,
                listening(&lines, "HTTP: listening on ")?,
            ))
        });
        Daemon { process, tcp, http }
    }
}

/// The address behind the text that the reference's test tools look for in the log as well.
fn listening(lines: &[String], text: &str) -> Option<String> {
    let rest = lines.iter().find_map(|line| line.split_once(text))?.1;
    Some(
        rest.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'))
            .next()?
            .to_owned(),
    )
}
