//! The command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};
use regex::Regex;

use crate::pin::Pin;

#[derive(Parser)]
#[command(
    name = "nsq-bench",
    version,
    about = "Measures nsqd beside another nsqd: load client, driver and tables",
    after_help = "Example:\n  nsq-bench run --daemon go=/usr/bin/nsqd --daemon ours=target/release/nsqd --only '^e2e-'"
)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run scenarios in pairs and write records, table and pictures
    Run(Run),
    /// Run the same work at growing amounts, and tell what grows faster than it should
    Curves(Curves),
    /// Run a mixed load for long, and fail if memory, latency or anything open grows
    Soak(Soak),
    /// Count instructions and system calls for each message (needs valgrind and strace) and compare with bounds
    Gate(Gate),
    /// Name every scenario, its work and its targets
    List,
    /// Make the table and the pictures again from the records of a run
    Report {
        /// Folder with records.jsonl
        folder: PathBuf,
    },
}

#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true).args(["quick", "full", "only"]))]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How often each daemon does each scenario
    #[arg(long, default_value_t = 5)]
    pub(crate) pairs: usize,
    /// Only scenarios whose name matches this regular expression
    #[arg(long)]
    pub(crate) only: Option<Regex>,
    /// Only the few that show most, about two minutes in all with five pairs
    #[arg(long)]
    pub(crate) quick: bool,
    /// Every scenario, about an hour with five pairs
    #[arg(long)]
    pub(crate) full: bool,
}

#[derive(Args)]
pub(crate) struct Curves {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Only curves whose name matches: connections, topics, channels, body, backlog, deferred
    #[arg(long)]
    pub(crate) only: Option<Regex>,
    /// No amount above this
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) most: usize,
}

#[derive(Args)]
pub(crate) struct Soak {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How long
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) minutes: u32,
}

#[derive(Args)]
pub(crate) struct Gate {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The file of bounds
    #[arg(long, default_value = "crates/bench/bounds.json")]
    pub(crate) bounds: PathBuf,
    /// Write what is measured as the new bounds
    #[arg(long)]
    pub(crate) write: bool,
}

/// What every measurement takes.
#[derive(Args)]
pub(crate) struct Common {
    /// A daemon as NAME=PATH. Of two the first is the reference, and ours the second
    #[arg(long = "daemon", value_parser = daemon, required = true)]
    pub(crate) daemons: Vec<Daemon>,
    /// Measure although the machine has something else to do
    #[arg(long)]
    pub(crate) force: bool,
    /// Keep daemons on one core and the load on another, as server=CORE,client=CORE
    #[arg(long)]
    pub(crate) pin: Option<Pin>,
    /// Folder for records, table and pictures; target/bench/SECONDS, named by the time of the start, unless given
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

/// A program to measure, with the name that it has in tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Daemon {
    pub(crate) name: String,
    pub(crate) binary: PathBuf,
}

fn daemon(text: &str) -> Result<Daemon, String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok(Daemon {
            name: name.to_owned(),
            binary: PathBuf::from(path),
        }),
        _ => Err("expected NAME=PATH, for example ours=target/release/nsqd".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_daemon_has_a_name_and_a_path() {
        let parsed = daemon("go=/a=b").unwrap();
        assert_eq!(
            (parsed.name.as_str(), parsed.binary),
            ("go", PathBuf::from("/a=b"))
        );
        for wrong in ["", "go", "=x", "go="] {
            assert!(daemon(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_run_has_its_defaults() {
        let line = ["nsq-bench", "run", "--daemon", "ours=x", "--only", "^a"];
        let Ok(CommandLine {
            command: Command::Run(run),
        }) = CommandLine::try_parse_from(line)
        else {
            panic!("a run");
        };
        assert_eq!(
            (run.pairs, run.quick, run.full, run.common.force),
            (5, false, false, false)
        );
        assert!(run.only.unwrap().is_match("ab"));
        for wrong in [
            &["--full"][..],
            &["--daemon", "a=b"],
            &["--daemon", "a=b", "--quick", "--full"],
        ] {
            let line = ["nsq-bench", "run"].iter().chain(wrong);
            assert!(CommandLine::try_parse_from(line).is_err(), "{wrong:?}");
        }
        assert!(CommandLine::try_parse_from(["nsq-bench", "run", "--daemon", "a=b", "--only", "("]).is_err());
    }
}
