//! The program; what it does is in `nsqd::program`.

fn main() -> std::process::ExitCode {
    nsqd::program::main(std::env::args().skip(1))
}
