//! Start and end of the real process, nsqadmin spec 14, cases 1, 2, 5, 6 and 7.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests work with real processes"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nsqadmin"))
}

fn run(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

#[test]
fn na_001_na_002_na_005_na_006_failed_starts_and_version() {
    for (args, text) in [
        (&[][..], "--nsqd-http-address or --lookupd-http-address required"),
        (
            &["--nsqd-http-address=a:1", "--lookupd-http-address=b:1"],
            "use --nsqd-http-address or --lookupd-http-address not both",
        ),
        (
            &["-nsqd-http-address", "http://h:1"],
            "failed to resolve --nsqd-http-address (http://h:1) - ",
        ),
        (
            &["--nsqd-http-address=a:1", "--http-address=192.0.2.1:0"],
            "listen (192.0.2.1:0) failed - ",
        ),
    ] {
        let output = run(args);
        let text = format!("FATAL: failed to instantiate nsqadmin - {text}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(&text), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
    }
    let version = run(&["-version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(version.stdout.starts_with(b"nsqadmin v1.3.0 (built w/"));
}

#[test]
fn na_007_sigterm_ends_the_process_cleanly() {
    let mut child = command()
        .args(["--lookupd-http-address=127.0.0.1:1", "--http-address=127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(lines.any(|line| line.contains("INFO: HTTP: listening on 127.0.0.1:")));
    assert!(
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    assert!(lines.any(|line| line.contains("INFO: HTTP: closing 127.0.0.1:")));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
