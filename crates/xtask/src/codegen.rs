//! `cargo xtask codegen`: files that are printed from the types, or from other files, and committed.

use std::process::Command;

use crate::charts;
use crate::process::{self, Outcome, cargo, command, target_dir};

/// Where the custom resource definitions live.
const CRDS: &str = "crds";

/// Builds the program that prints the generated files, then writes them or with `check` compares them.
///
/// # Errors
/// A file differs (with `check`), or the program failed.
pub(crate) fn run(check: bool) -> Outcome {
    let operator = || {
        let mut operator = cargo();
        operator.args(["run", "--quiet", "--locked", "-p", "nsq-operator", "--"]);
        operator
    };
    finish(operator, check)
}

/// Compares with the program that the build layer has built: alone it would be built once more, with fewer features.
///
/// # Errors
/// A file differs, or the program failed.
pub(crate) fn check_built() -> Outcome {
    let program = target_dir().join("debug/nsq-operator");
    finish(|| command(&program.to_string_lossy()), true)
}

fn finish(operator: impl Fn() -> Command, check: bool) -> Outcome {
    let (crd, charts): (&[&str], &[&str]) = if check {
        (&["crd", "--check", CRDS], &["charts", charts::FOLDER, "--check"])
    } else {
        (&["crd", "--dir", CRDS], &["charts", charts::FOLDER])
    };
    process::run(operator().args(crd))
        .and_then(|()| process::run(operator().args(charts)))
        .and_then(|()| charts::codegen(check))
        .map_err(|e| {
            if check {
                format!("{e}\nhint: `cargo xtask codegen` writes them")
            } else {
                e
            }
        })
}
