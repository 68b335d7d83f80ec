//! `cargo xtask bench`: nsqd beside the nsqd of Go NSQ v1.3.0. The program is `crates/bench`.

use std::path::PathBuf;

use crate::process::{self, Outcome, answers, cargo, command, target_dir};
use crate::tools::{self, Tool};

/// Commands of the program that measure no daemon.
const WITHOUT_DAEMON: [&str; 3] = ["list", "report", "--help"];

/// Builds nsqd and the program that measures, in release, and runs it on nsqd and the reference.
///
/// # Errors
/// A build failed, the reference cannot be had, or nothing could be measured.
pub(crate) fn run(args: &[String]) -> Outcome {
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "-p", "nsq-bench", "-p", "nsqd"]);
    process::run(&mut build)?;
    let programs = target_dir().join("release");
    let mut measure = command(&programs.join("nsq-bench").to_string_lossy());
    let (first, rest) = match args.split_first() {
        // An option belongs to the usual command.
        Some((first, rest)) if first == "--help" || !first.starts_with('-') => (first.as_str(), rest),
        _ => ("run", args),
    };
    measure.arg(first);
    if !WITHOUT_DAEMON.contains(&first) {
        measure.arg(format!("--daemon=go={}", reference()?.display()));
        measure.arg(format!("--daemon=ours={}", programs.join("nsqd").display()));
    }
    process::run(measure.args(rest))
}

/// Programs that count what nsqd does.
///
/// # Errors
/// The list of those that are missing.
pub(crate) fn counters_present() -> Outcome {
    let missing: Vec<&str> = ["valgrind", "strace"]
        .into_iter()
        .filter(|program| !answers(program, "--version"))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("not installed: {}", missing.join(", ")))
    }
}

/// Counts and ratios against their bounds. A busy machine changes neither by as much as the bounds allow.
///
/// # Errors
/// Something is worse than its bound, or could not be measured.
pub(crate) fn gate() -> Outcome {
    run(&["gate".to_owned(), "--force".to_owned()])
}

/// The program that `NSQD_REFERENCE` names, else one that is built from Go's modules.
fn reference() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("NSQD_REFERENCE") {
        return Ok(PathBuf::from(path));
    }
    Tool::Reference.install()?;
    Ok(tools::folder().join(Tool::REFERENCE).join("nsqd"))
}
