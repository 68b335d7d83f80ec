//! The program; what it does is in `nsq_tools::bench::writer`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nsq_tools::ending::finish(nsq_tools::bench::writer::run(std::env::args().skip(1)))
}
