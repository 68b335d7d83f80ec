//! The program; what it does is in `nsqadmin::program`.

fn main() -> std::process::ExitCode {
    nsqadmin::program::main(std::env::args().skip(1))
}
