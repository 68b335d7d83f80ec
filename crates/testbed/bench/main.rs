//! `nsq-scale`: the operator with a thousand clusters. `cargo xtask scale` builds and runs it in a network namespace of its own.
//! Cases OP-220 to OP-225 and the footprint of the operator specification, 9.6.
//!
//! No pod runs. The control plane is real; this program writes what kubelets and storage would write, and answers for every
//! daemon.
//!
//! | module | owns |
//! |---|---|
//! | `plane` | the control plane and the client of its API |
//! | `daemons` | the HTTP contract of every nsqd and nsqlookupd |
//! | `pods` | the status of pods and claims |
//! | `clusters` | manifests, and what their statuses say |
//! | `process` | what the operator costs: memory, processor time, requests |
//! | `cases`, `drain`, `change` | what is measured |
//! | `report` | the table |
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for measurements works with real sockets, processes and clocks, and breaks off by a panic"
)]

mod cases;
mod change;
mod clusters;
mod daemons;
mod drain;
mod plane;
mod pods;
mod process;
mod report;

use std::time::Duration;

use clap::Parser;

/// The operator with many clusters, measured.
#[derive(Debug, Parser)]
struct Args {
    /// Clusters of three nsqd, two nsqlookupd and one nsqadmin
    #[arg(long, default_value_t = 1000)]
    clusters: usize,
    /// Seconds in which nothing may be written
    #[arg(long, default_value_t = 600)]
    idle: u64,
    /// Runs of what is short
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Changes a second of other clusters while one is measured
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Only these parts, in the usual order; converge comes before those that need its clusters
    #[arg(long, value_enum, value_delimiter = ',')]
    cases: Vec<Case>,
}

/// A part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Case {
    /// Memory without a cluster
    Empty,
    /// OP-223: memory with unrelated Secrets and ConfigMaps
    Secrets,
    /// OP-220: new clusters
    Converge,
    /// OP-221: nothing to do
    Idle,
    /// OP-222: a restart
    Restart,
    /// A change reaches its child
    Change,
    /// OP-225: the same while other clusters change
    Load,
    /// OP-224: 50 of 200 nodes go
    Drain,
}

const ORDER: [Case; 8] = [
    Case::Empty,
    Case::Secrets,
    Case::Converge,
    Case::Restart,
    Case::Idle,
    Case::Change,
    Case::Load,
    Case::Drain,
];

fn main() {
    let args = Args::parse();
    // A connection for each change that waits for its answer, and those to the daemons.
    nsq_testkit::allow_open_files(20_000);
    let wanted = |case: &Case| args.cases.is_empty() || args.cases.contains(case);
    let mut run = cases::Run::new(&args);
    for case in ORDER.into_iter().filter(wanted) {
        eprintln!("---- {case:?}");
        match case {
            Case::Empty => run.empty(),
            Case::Secrets => run.secrets(),
            Case::Converge => run.converge(),
            Case::Idle => run.idle(Duration::from_secs(args.idle)),
            Case::Restart => run.restart(),
            Case::Change => run.change(),
            Case::Load => run.load(),
            Case::Drain => run.drain(),
        }
    }
    run.finish();
}
