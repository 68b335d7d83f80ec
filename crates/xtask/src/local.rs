//! `cargo xtask local`: build what is missing, then become `nsq-operator local`.

use std::os::unix::process::CommandExt;

use crate::process::{self, Outcome, cargo, command, root, target_dir};

/// The programs of a cluster.
pub(crate) const PROGRAMS: [&str; 4] = ["nsqd", "nsqlookupd", "nsqadmin", "nsq-operator"];

/// Builds the release programs and replaces this process with the cluster, so that Ctrl-C reaches it alone.
pub(crate) fn run(args: &[String]) -> Outcome {
    let mut build = cargo();
    build.args(["build", "--release", "--locked"]);
    for program in PROGRAMS {
        build.args(["-p", program]);
    }
    process::run(&mut build)?;

    let mut local = command(&target_dir().join("release/nsq-operator").to_string_lossy());
    local.arg("local");
    if !names_manifest(args) {
        local.args(["-f", "examples/quickstart.yaml"]);
    }
    local.args(args);
    let failure = local.exec();
    Err(format!("start nsq-operator in {}: {failure}", root().display()))
}

/// True if the caller chose a manifest, or the built-in one by `--save`.
fn names_manifest(args: &[String]) -> bool {
    args.iter()
        .any(|a| a.starts_with("-f") || a == "--save" || a.starts_with("--save="))
}

#[cfg(test)]
mod tests {
    use super::names_manifest;

    #[test]
    fn a_chosen_manifest_replaces_the_quickstart() {
        let args = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert!(names_manifest(&args(&["--logs", "-f", "other.yaml"])));
        assert!(names_manifest(&args(&["--save=mine.yaml"])));
        assert!(!names_manifest(&args(&["--ephemeral", "--host", "127.0.0.1"])));
    }
}
