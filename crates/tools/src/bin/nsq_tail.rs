//! The program; what it does is in `nsq_tools::tail`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nsq_tools::ending::finish(nsq_tools::tail::run(std::env::args().skip(1)))
}
