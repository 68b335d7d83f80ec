//! The one door: `cargo xtask` lists what it can do, `cargo xtask test` is what continuous integration runs.
//!
//! Nothing here is part of a product; it calls cargo, the programs of this workspace and, for the whole-system tests, the
//! package managers of the client libraries.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people at a terminal"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a build tool works with real files and the real clock"
)]

mod bench;
mod charts;
mod codegen;
mod crash;
mod fuzz;
mod image;
mod kube;
mod layers;
mod local;
mod pictures;
mod process;
mod repeat;
mod scale;
mod speed;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Everything that is done in this repository")]
struct Args {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Build what is missing and run a cluster on this machine (examples/quickstart.yaml unless -f names another manifest)
    Local {
        /// Further arguments of `nsq-operator local`, for example `--ephemeral` or `-f FILE`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run every check and test; installs and builds what they need under target/
    Test {
        /// Run only these layers, in the usual order
        #[arg(value_enum)]
        layers: Vec<layers::Layer>,
    },
    /// Run the layers in the order of CI, where a layer that cannot run on this machine is a failure
    Ci,
    /// Check the dependency map, module edges, file sizes and other rules of the repository
    Tidy,
    /// Write the generated files (crds/, and what the charts take from the types and from their values)
    Codegen {
        /// Write nothing, fail if a file differs from what would be written
        #[arg(long)]
        check: bool,
    },
    /// End nsqd under a publish load again and again, and count what is lost
    Crash {
        /// Rounds with SIGKILL; a quarter as many with SIGTERM follow
        #[arg(long, default_value_t = 200)]
        rounds: usize,
        /// The nsqd of Go NSQ v1.3.0 instead of ours
        #[arg(long)]
        reference: bool,
    },
    /// Kill nsq_to_file under load again and again, and count what it finished that is in no file
    CrashArchive {
        /// Rounds for each form of its files
        #[arg(long, default_value_t = 100)]
        rounds: usize,
    },
    /// Measure the processor time of nsq_to_nsq and nsq_to_file beside that of Go's
    SpeedTools {
        /// Messages of each run
        #[arg(long, default_value_t = 300_000)]
        messages: usize,
    },
    /// Draw the dashboards of a loaded cluster anew (docs/operating/dashboards)
    Pictures,
    /// Take pictures of every page of the console, in both themes and sizes, for somebody to look at (target/console-pictures)
    ConsolePictures {
        /// Take those of docs/console.md instead, of this console, such as http://127.0.0.1:4171
        #[arg(long)]
        of: Option<String>,
    },
    /// Kill the operator at each of its writes, before and after the API server has heard of it, one per life of a cluster; takes
    /// hours (the layer kube does all of them in one life)
    CrashOperator,
    /// Scale clusters of three nodes down to one under load, and kill operator and nsqd at random times meanwhile; no message may
    /// be lost
    CrashDrain {
        /// How often something dies, over as many clusters as it takes
        #[arg(long, default_value_t = 50)]
        deaths: usize,
        /// Messages that are there before
        #[arg(long, default_value_t = 100_000)]
        messages: usize,
    },
    /// The Kubernetes cluster of the tests on this machine (Linux, root)
    Kube {
        /// What to do with it
        #[arg(value_enum)]
        action: kube::Action,
    },
    /// Measure the operator with a thousand clusters on a control plane of its own (Linux, root)
    Scale {
        /// Measure the static program as it is in an image, and the size of that
        #[arg(long)]
        image: bool,
        /// Arguments of the measuring program, for example `--clusters 20 --idle 60 --cases converge,restart`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure nsqd beside Go's: `--quick` (two minutes), `--full` (an hour) or `--only REGEX`
    Bench {
        /// Arguments of nsq-bench; `run` with both daemons unless they begin with another of its commands
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build the container images of this release into target/images/, without a container engine
    Image,
    /// Run each fuzz target for a while (needs cargo-fuzz)
    Fuzz {
        /// Seconds for each target
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Only this target
        target: Option<String>,
    },
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        None => {
            // The list is the answer, so it is not an error to ask without arguments.
            Args::command()
                .print_help()
                .map_err(|e| format!("print the list: {e}"))
        }
        Some(Task::Local { args }) => local::run(&args),
        Some(Task::Test { layers }) => layers::run(&layers, std::env::var_os("CI").is_some()),
        Some(Task::Ci) => layers::run(&[], true),
        Some(Task::Tidy) => tidy::run(),
        Some(Task::Codegen { check }) => codegen::run(check),
        Some(Task::Crash { rounds, reference }) => crash::run(rounds, reference),
        Some(Task::CrashArchive { rounds }) => crash::archive(rounds),
        Some(Task::SpeedTools { messages }) => speed::run(messages),
        Some(Task::Pictures) => pictures::run(),
        Some(Task::ConsolePictures { of }) => pictures::of_console(of.as_deref()),
        Some(Task::CrashOperator) => crash::operator(),
        Some(Task::CrashDrain { deaths, messages }) => crash::drain(deaths, messages),
        Some(Task::Kube { action }) => kube::cluster(action),
        Some(Task::Image) => image::release(),
        Some(Task::Scale { image, args }) => scale::run(image, &args),
        Some(Task::Bench { args }) => bench::run(&args),
        Some(Task::Fuzz { seconds, target }) => fuzz::run(seconds, target.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}
