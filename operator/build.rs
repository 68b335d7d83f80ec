//! Tells the program which commit it was built from, for `--version`.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=NSQ_GIT_COMMIT");
    let given = std::env::var("NSQ_GIT_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    // the log of HEAD changes with every commit and checkout, also in a work tree
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo:rerun-if-changed={log}");
    }
    let commit = given.or_else(|| git(&["rev-parse", "--short", "HEAD"]));
    println!(
        "cargo:rustc-env=NSQ_GIT_COMMIT={}",
        commit.as_deref().unwrap_or("unknown")
    );
}

/// What git says; none outside of a repository or without git.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
