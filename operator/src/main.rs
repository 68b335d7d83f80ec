//! `nsq-operator`. All it does stands in the library.

fn main() -> std::process::ExitCode {
    nsq_operator::cli::main()
}
