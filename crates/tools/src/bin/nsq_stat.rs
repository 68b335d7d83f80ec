//! The program; what it does is in `nsq_tools::stat`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nsq_tools::ending::finish(nsq_tools::stat::run(std::env::args().skip(1)))
}
