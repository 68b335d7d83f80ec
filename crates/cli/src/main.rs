//! The program; what it does is in the library.

fn main() -> std::process::ExitCode {
    nsq_cli::main()
}
