//! `cargo xtask codegen`: files that are printed from the types and committed.

use crate::process::{self, Outcome, cargo};

/// Where the custom resource definitions live.
const CRDS: &str = "crds";

/// Writes the generated files, or with `check` compares them.
///
/// # Errors
/// A file differs (with `check`), or the program that prints it failed.
pub(crate) fn run(check: bool) -> Outcome {
    let mut operator = cargo();
    operator.args(["run", "--quiet", "--locked", "-p", "nsq-operator", "--", "crd"]);
    operator.arg(if check { "--check" } else { "--dir" }).arg(CRDS);
    process::run(&mut operator).map_err(|e| {
        if check {
            format!("{e}\nhint: `cargo xtask codegen` writes them")
        } else {
            e
        }
    })
}
