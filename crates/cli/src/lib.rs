//! `nsq`: one command with which a person starts, uses, watches and checks a cluster. Called by the name of a daemon, of the
//! operator or of a tool it is that program, so one file is the whole system.
//!
//! | module | owns | does not know |
//! |---|---|---|
//! | [`programs`] | which program a name stands for | what it does |
//! | [`verbs`] | subcommands, their flags and examples | how they work |
//! | [`cli`] | runs the verb that was asked for, ends with an exit code | how it works |
//! | [`problem`], [`codes`] | how an error looks, its code and exit code | |
//! | [`place`] | where the cluster is: flag, environment, context, running `local`, this machine. Pure | files, sockets |
//! | [`context`] | the file of contexts | which one is used |
//! | [`cluster`] | what is asked of the daemons, all at the same time | what the answers mean |
//! | [`listing`] | tables, JSON, YAML, names | what is listed |
//! | [`publish`], [`tail`], [`topics`], [`nodes`], [`top`] | a verb each | |
//! | [`validate`], [`contexts`], [`completion`], [`man`] | verbs that need no cluster, or can do without | |
//! | [`check`] | what is wrong in a cluster | |
//!
//! Data go to standard output, everything else to standard error. Everything works against Go NSQ as well.

pub mod check;
pub mod cli;
pub mod cluster;
pub mod codes;
pub mod completion;
pub mod context;
pub mod contexts;
pub mod listing;
mod local;
pub mod man;
pub mod messages;
pub mod nodes;
pub mod place;
pub mod problem;
pub mod programs;
pub mod publish;
pub mod tail;
pub mod top;
pub mod topics;
pub mod validate;
pub mod verbs;

use std::process::ExitCode;

/// Runs the program that the first argument of the process names.
#[must_use]
pub fn main() -> ExitCode {
    let called = std::env::args().next().unwrap_or_default();
    match programs::named(&called) {
        Some(program) => program(),
        None => cli::main(),
    }
}
