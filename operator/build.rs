//! Tells the program which commit it was built from, for `--version`, and packs the addresses that a static program has to correct
//! when it starts.

use std::path::Path;
use std::process::Command;

fn main() {
    // Their usual form takes 1.2 MB, all of which is read at the start and stays resident. Shared C libraries before glibc 2.36 do
    // not know the packed form; a static program brings its own.
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|libc| libc == "musl") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
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
