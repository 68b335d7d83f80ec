//! `cargo xtask codegen`: files that are printed from the types and committed.

use std::process::Command;

use crate::process::{self, Outcome, cargo, command, target_dir};

/// Where the custom resource definitions live.
const CRDS: &str = "crds";

/// Builds the program that prints the generated files, then writes them or with `check` compares them.
///
/// # Errors
/// A file differs (with `check`), or the program failed.
pub(crate) fn run(check: bool) -> Outcome {
    let mut operator = cargo();
    operator.args(["run", "--quiet", "--locked", "-p", "nsq-operator", "--"]);
    finish(operator, check)
}

/// Compares with the program that the build layer has built: alone it would be built once more, with fewer features.
///
/// # Errors
/// A file differs, or the program failed.
pub(crate) fn check_built() -> Outcome {
    finish(
        command(&target_dir().join("debug/nsq-operator").to_string_lossy()),
        true,
    )
}

fn finish(mut operator: Command, check: bool) -> Outcome {
    operator
        .arg("crd")
        .arg(if check { "--check" } else { "--dir" })
        .arg(CRDS);
    process::run(&mut operator).map_err(|e| {
        if check {
            format!("{e}\nhint: `cargo xtask codegen` writes them")
        } else {
            e
        }
    })
}
