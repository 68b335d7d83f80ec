//! The program; what it does is in `nsq_tools::nsq_to_http`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nsq_tools::ending::finish(nsq_tools::nsq_to_http::run(std::env::args().skip(1)))
}
