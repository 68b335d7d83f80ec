//! The program; what it does is in `nsq_tools::nsq_to_file`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nsq_tools::ending::finish(nsq_tools::nsq_to_file::run(std::env::args().skip(1)))
}
