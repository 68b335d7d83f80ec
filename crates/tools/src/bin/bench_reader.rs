//! The program; what it does is in `nsq_tools::bench::reader`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nsq_tools::ending::finish(nsq_tools::bench::reader::run(std::env::args().skip(1)))
}
