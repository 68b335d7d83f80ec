//! The verbs of `nsq` on the daemons of Go NSQ.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests drive real programs and wait with a bound"
)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nsq_e2e::program;
use nsq_e2e::reference::Maker;

/// Runs a verb on the cluster of this nsqlookupd; what it printed, and whether it went well.
fn nsq(lookupd: &str, home: &std::path::Path, args: &[&str]) -> (bool, String) {
    let output = Command::new(program("nsq"))
        .args(args)
        .env("NSQ_LOOKUPD", lookupd)
        .env("NSQ_HOME", home)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn every_verb_works_on_go_nsq() {
    let folder = tempfile::tempdir().unwrap();
    let lookupd = Maker::Reference.nsqlookupd(&[]);
    let _nsqd = Maker::Reference.nsqd(folder.path(), &[&lookupd.tcp], &[]);
    let run = |args: &[&str]| {
        let (ok, text) = nsq(&lookupd.http, folder.path(), args);
        assert!(ok, "{args:?}: {text}");
        text
    };
    let end = Instant::now() + Duration::from_secs(20);
    while !nsq(&lookupd.http, folder.path(), &["nodes"]).0 {
        assert!(Instant::now() < end, "the node is not registered");
    }
    run(&["channel", "create", "t", "c"]);
    run(&["pub", "t", "hello"]);
    assert_eq!(
        run(&["tail", "t", "-c", "c", "-n", "1", "--timeout", "10s"]),
        "hello\n"
    );
    run(&["pub", "t", "later", "--delay", "50ms"]);
    assert_eq!(
        run(&["tail", "t", "-c", "c", "-n", "1", "--timeout", "10s"]),
        "later\n"
    );
    assert_eq!(run(&["topic", "list", "-o", "name"]), "t\n");
    run(&["channel", "pause", "t", "c"]);
    assert!(run(&["channel", "list", "t"]).contains("paused"));
    run(&["channel", "unpause", "t", "c"]);
    run(&["pub", "t", "waits"]);
    assert!(
        run(&["top", "--interval", "100ms"]).contains('?'),
        "Go nsqd tells no age"
    );
    run(&["channel", "empty", "t", "c", "--yes", "c"]);
    assert!(run(&["nodes"]).contains("OK"));
    let check = run(&["check", "--messages", "10"]);
    assert!(check.contains("10 of 10 came back"), "{check}");
    run(&["pub", "t", "waits"]);
    let (ok, check) = nsq(&lookupd.http, folder.path(), &["check", "--messages", "0"]);
    assert!(!ok && check.contains("[NO_CONSUMERS]"), "{check}");
    run(&["channel", "delete", "t", "c", "--yes", "c"]);
    run(&["topic", "delete", "t", "--yes", "t"]);
    assert_eq!(run(&["topic", "list", "-o", "name"]), "");
}
