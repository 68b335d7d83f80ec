//! The test clients in `clients/`, one for each library.

use std::fmt;
use std::process::Command;

use crate::process::Process;
use crate::{own_file, tool};

/// A client library by its language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// pynsq
    Python,
    /// go-nsq
    Go,
    /// nsqjs
    Node,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Python => "pynsq",
            Self::Go => "go-nsq",
            Self::Node => "nsqjs",
        })
    }
}

impl Language {
    fn command(self) -> Command {
        match self {
            Self::Python => {
                let mut command = Command::new(tool("pynsq/bin/python"));
                command.arg(own_file("clients/pynsq/client.py"));
                command
            }
            Self::Go => Command::new(tool("go-nsq/go-nsq")),
            Self::Node => {
                let mut command = Command::new("node");
                command
                    .env("NSQJS", tool("nsqjs"))
                    .arg(own_file("clients/nsqjs/client.js"));
                command
            }
        }
    }

    /// A program that publishes each line of its standard input to one of the nsqds (TCP addresses).
    #[must_use]
    pub fn publish(self, topic: &str, nsqds: &[String]) -> Process {
        let mut command = self.command();
        command.args(["publish", "--topic", topic, "--nsqd", &nsqds.join(",")]);
        Process::start(&format!("{self} publisher"), &mut command)
    }

    /// A program that prints each message of the channel, found through the nsqlookupds (HTTP addresses), until SIGTERM.
    #[must_use]
    pub fn consume(self, topic: &str, channel: &str, lookupds: &[String]) -> Process {
        let mut command = self.command();
        command.args([
            "consume",
            "--topic",
            topic,
            "--channel",
            channel,
            "--lookupd",
            &lookupds.join(","),
        ]);
        Process::start(&format!("{self} consumer"), &mut command)
    }
}

/// A scenario of `clients/go-nsq/scenarios.go` at the address of an nsqd.
#[must_use]
pub fn go_scenario(name: &str, address: &str) -> Process {
    let mut command = Language::Go.command();
    command.args(["scenario", "--nsqd", address, name]);
    Process::start(&format!("go-nsq scenario {name}"), &mut command)
}

/// A client library with a program of its own in `clients/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// The official library of Go.
    GoNsq,
    /// The official library of Python.
    Pynsq,
    /// Another one of Python, on gevent.
    Gnsq,
    /// JavaScript.
    Nsqjs,
    /// Rust.
    TokioNsq,
    /// Java.
    NsqJ,
}

impl Library {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::GoNsq,
        Self::Pynsq,
        Self::Gnsq,
        Self::Nsqjs,
        Self::TokioNsq,
        Self::NsqJ,
    ];

    fn java() -> Command {
        let folder = tool("nsq-j");
        let classes = format!("{0}:{0}/*", folder.display());
        let mut command = Command::new("java");
        command.args([
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            &classes,
            "Client",
        ]);
        command
    }

    /// Does everything that it can at an nsqd through these layers, such as `tls+snappy`, and prints what was finished.
    #[must_use]
    pub fn abilities(self, layers: &str, address: &str) -> Process {
        let mut command = match self {
            Self::GoNsq => {
                let mut command = Language::Go.command();
                command.args(["abilities", "--nsqd", address, layers]);
                return Process::start(&format!("{self:?} through {layers}"), &mut command);
            }
            Self::Pynsq => {
                let mut command = Command::new(tool("pynsq/bin/python"));
                command.arg(own_file("clients/pynsq/abilities.py"));
                command
            }
            Self::Gnsq => gnsq(["abilities"]),
            Self::Nsqjs => {
                let mut command = Command::new("node");
                command
                    .env("NSQJS", tool("nsqjs"))
                    .arg(own_file("clients/nsqjs/abilities.js"));
                command
            }
            Self::TokioNsq => {
                let mut command = Command::new(tool("tokio-nsq/tokio-nsq-client"));
                command.arg("abilities");
                command
            }
            Self::NsqJ => {
                let mut command = Self::java();
                command.arg("abilities");
                command
            }
        };
        command.args([address, layers]);
        Process::start(&format!("{self:?} through {layers}"), &mut command)
    }

    /// Prints each message of the channel, found through the nsqlookupds (HTTP addresses), until it is ended.
    #[must_use]
    pub fn consume(self, topic: &str, channel: &str, lookupds: &[String]) -> Process {
        let addresses = lookupds.join(",");
        let mut command = match self {
            Self::GoNsq => return Language::Go.consume(topic, channel, lookupds),
            Self::Pynsq => return Language::Python.consume(topic, channel, lookupds),
            Self::Nsqjs => return Language::Node.consume(topic, channel, lookupds),
            Self::Gnsq => gnsq([
                "consume",
                "--topic",
                topic,
                "--channel",
                channel,
                "--lookupd",
                &addresses,
            ]),
            Self::TokioNsq => {
                let mut command = Command::new(tool("tokio-nsq/tokio-nsq-client"));
                command.args(["consume", topic, channel, &addresses]);
                command
            }
            Self::NsqJ => {
                let mut command = Self::java();
                command.args(["consume", topic, channel, &addresses]);
                command
            }
        };
        Process::start(&format!("{self:?} consumer"), &mut command)
    }
}

fn gnsq<const N: usize>(args: [&str; N]) -> Command {
    let mut command = Command::new(tool("gnsq/bin/python"));
    command.arg(own_file("clients/gnsq/client.py")).args(args);
    command
}
