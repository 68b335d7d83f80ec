//! `cargo xtask speed-tools`: what the command-line tools cost beside Go's. The script is `crates/e2e/tests/e2e_tools_speed.rs`.

use crate::process::{self, Outcome, cargo, target_dir};
use crate::tools::{self, Tool};

/// Moves so many messages with each tool, in pairs, and prints a line of a table for each.
///
/// # Errors
/// A build failed, or a tool of ours needs more than half the time of Go's.
pub(crate) fn run(messages: usize) -> Outcome {
    Tool::Reference.install()?;
    process::run(cargo().args([
        "build",
        "--release",
        "--locked",
        "-p",
        "nsqd",
        "-p",
        "nsqlookupd",
        "-p",
        "nsq-tools",
    ]))?;
    println!("| tool | Go NSQ v1.3.0 | here | processor time |\n|---|---|---|---|");
    process::run(
        cargo()
            .args(["test", "--locked", "-p", "nsq-e2e", "--test", "e2e_tools_speed"])
            .args(["--", "--nocapture"])
            .env("NSQ_SPEED_MESSAGES", messages.to_string())
            .env("NSQ_BIN_DIR", target_dir().join("release"))
            .env("NSQ_TEST_TOOLS", tools::folder()),
    )
}
