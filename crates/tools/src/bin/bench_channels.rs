//! The program; what it does is in `nsq_tools::bench::channels`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nsq_tools::ending::finish(nsq_tools::bench::channels::run(std::env::args().skip(1)))
}
