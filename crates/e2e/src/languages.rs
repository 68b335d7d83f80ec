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

/// What `clients/go-nsq/abilities.go` does at an nsqd through these layers, such as `tls+snappy`.
#[must_use]
pub fn go_abilities(layers: &str, address: &str) -> Process {
    let mut command = Language::Go.command();
    command.args(["abilities", "--nsqd", address, layers]);
    Process::start(&format!("go-nsq through {layers}"), &mut command)
}
