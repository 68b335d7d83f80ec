//! `cargo xtask crash`: nsqd ends under load many times, with release programs. The script is `crates/e2e/tests/e2e_crash.rs`.
//! `cargo xtask crash-archive`: `nsq_to_file` ends under load many times. The script is `crates/e2e/tests/e2e_archive_crash.rs`.
//! `cargo xtask crash-operator`: the operator dies at each of its writes. The script is
//! `crates/testbed/tests/kube_faults/crash.rs`.
//! `cargo xtask crash-drain`: operator and nsqd die during scale-downs. The script is
//! `crates/testbed/tests/kube_nodes/deaths.rs`.

use crate::kube;
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

/// Kills `nsq_to_file` so many times in each form of its files, and prints a line of a table for each.
///
/// # Errors
/// A build failed, or a message that it finished was in no file.
pub(crate) fn archive(rounds: usize) -> Outcome {
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
    println!("| files | rounds | messages | lost | twice in files |\n|---|---|---|---|---|");
    process::run(
        cargo()
            .args(["test", "--locked", "-p", "nsq-e2e", "--test", "e2e_archive_crash"])
            .args(["what_is_finished", "--", "--nocapture"])
            .env("NSQ_CRASH_ROUNDS", rounds.to_string())
            .env("NSQ_BIN_DIR", target_dir().join("release")),
    )
}

/// Runs a life of a cluster for each number of a write of the operator and each side of it.
///
/// # Errors
/// Kubernetes cannot run here, a build failed, or a cluster was not as it should be in the end.
pub(crate) fn operator() -> Outcome {
    on_nodes("kube_faults", "op_173", &[("NSQ_CRASH_EACH", "1".to_owned())])
}

/// Scales clusters down under load until operator and nodes have died so many times.
///
/// # Errors
/// Kubernetes cannot run here, a build failed, or an acknowledged message was lost.
pub(crate) fn drain(deaths: usize, messages: usize) -> Outcome {
    let settings = [
        ("NSQ_DRAIN_DEATHS", deaths.to_string()),
        ("NSQ_DRAIN_MESSAGES", messages.to_string()),
    ];
    on_nodes("kube_nodes", "whatever_dies", &settings)
}

/// One test of the Kubernetes layer with settings of its own, on a cluster that is started for it.
fn on_nodes(program: &str, test: &str, settings: &[(&str, String)]) -> Outcome {
    if let Some(obstacle) = kube::obstacle() {
        return Err(obstacle);
    }
    process::run(cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    kube::cluster(kube::Action::Up)?;
    let mut command = cargo();
    command
        .args(["test", "--locked", "-p", "nsq-testbed", "--test", program, test])
        .args(["--", "--nocapture"])
        .env("NSQ_BIN_DIR", target_dir().join("debug"))
        .envs(settings.iter().map(|(name, value)| (name, value)));
    kube::tell(&mut command, None);
    let done = process::run(&mut command);
    kube::cluster(kube::Action::Down)?;
    done
}
