//! `cargo xtask crash`: nsqd ends under load many times, with release programs. The script is `crates/e2e/tests/e2e_crash.rs`.

use crate::process::{self, Outcome, cargo, target_dir};
use crate::tools::{self, Tool};

/// Runs the rounds on our nsqd, or on the reference, and prints a line of a table for each way to end.
///
/// # Errors
/// A build failed, or an acknowledged message was lost that must not be.
pub(crate) fn run(rounds: usize, reference: bool) -> Outcome {
    let test = if reference {
        Tool::Reference.install()?;
        "the_reference"
    } else {
        process::run(cargo().args(["build", "--release", "--locked", "-p", "nsqd"]))?;
        "ours"
    };
    println!(
        "| nsqd | end | rounds | answered with OK | lost | delivered twice |\n|---|---|---|---|---|---|"
    );
    process::run(
        cargo()
            .args(["test", "--locked", "-p", "nsq-e2e", "--test", "e2e_crash", test])
            .args(["--", "--nocapture"])
            .env("NSQ_CRASH_ROUNDS", rounds.to_string())
            .env("NSQ_BIN_DIR", target_dir().join("release"))
            .env("NSQ_TEST_TOOLS", tools::folder()),
    )
}
