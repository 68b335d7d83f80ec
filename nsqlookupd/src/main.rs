//! The program; what it does is in `nsqlookupd::program`.

fn main() -> std::process::ExitCode {
    nsqlookupd::program::main(std::env::args().skip(1))
}
