//! Programs that this file is when it is called by their names.

use std::path::Path;
use std::process::ExitCode;

use nsq_tools::ending::{End, finish};

/// A program's main function; it reads the arguments of the process.
pub type Program = fn() -> ExitCode;

/// Every name but `nsq`, with its program.
pub const PROGRAMS: &[(&str, Program)] = &[
    ("nsqd", || nsqd::program::main(arguments())),
    ("nsqlookupd", || nsqlookupd::program::main(arguments())),
    ("nsqadmin", || nsqadmin::program::main(arguments())),
    ("nsq-operator", nsq_operator::cli::main),
    ("to_nsq", || tool(nsq_tools::to_nsq::run)),
    ("nsq_tail", || tool(nsq_tools::tail::run)),
    ("nsq_stat", || tool(nsq_tools::stat::run)),
    ("nsq_to_file", || tool(nsq_tools::nsq_to_file::run)),
    ("nsq_to_http", || tool(nsq_tools::nsq_to_http::run)),
    ("nsq_to_nsq", || tool(nsq_tools::nsq_to_nsq::run)),
    ("bench_reader", || tool(nsq_tools::bench::reader::run)),
    ("bench_writer", || tool(nsq_tools::bench::writer::run)),
    ("bench_channels", || tool(nsq_tools::bench::channels::run)),
];

/// The program for `called`, a name or a path; none for `nsq` itself and for names of nobody.
#[must_use]
pub fn named(called: &str) -> Option<Program> {
    let name = Path::new(called).file_name()?.to_str()?;
    let found = PROGRAMS.iter().find(|(known, _)| *known == name);
    found.map(|(_, program)| *program)
}

type Arguments = std::iter::Skip<std::env::Args>;

fn arguments() -> Arguments {
    std::env::args().skip(1)
}

fn tool(run: fn(Arguments) -> Result<(), End>) -> ExitCode {
    finish(run(arguments()))
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_path_counts_by_its_last_part() {
        for name in ["nsqd", "/usr/bin/nsqd", "./nsq_tail", "nsq-operator"] {
            assert!(named(name).is_some(), "{name}");
        }
        for name in ["nsq", "", "/", "nsqd2", "/nsqd/nsq"] {
            assert!(named(name).is_none(), "{name}");
        }
    }
}
