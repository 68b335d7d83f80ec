//! op_210: `nsq-operator check` against a cluster of ours, against Go NSQ, and against what it is there to find.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::process::Command;

use nsq_e2e::local::LocalCluster;
use nsq_e2e::reference::{Daemon, Maker};
use nsq_e2e::{eventually, http, program};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(30);

/// Exit code and output of a check.
fn check(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(program("nsq-operator"))
        .arg("check")
        .args(args)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    (output.status.code(), text)
}

fn wait_registered(lookupd: &str, count: usize) {
    eventually(BOUND, &format!("{count} nsqd at {lookupd}"), || {
        let nodes = http::json(lookupd, "/nodes");
        nodes.is_some_and(|nodes| {
            nodes["producers"]
                .as_array()
                .is_some_and(|list| list.len() == count)
        })
    });
}

fn assert_ok(lookupds: &[String], nsqds: usize) {
    let mut args = vec!["--lookupd-http-address"];
    args.extend(lookupds.iter().map(String::as_str));
    let (code, text) = check(&args);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.lines().last().unwrap().starts_with("ok: 100 of 100 in "),
        "{text}"
    );
    assert_eq!(
        text.lines().filter(|l| l.starts_with("nsqd ")).count(),
        nsqds,
        "{text}"
    );
    for lookupd in lookupds {
        let topics = http::json(lookupd, "/topics").unwrap();
        assert!(
            !topics.to_string().contains("nsq-check"),
            "the topic was deleted: {topics}"
        );
    }
}

#[test]
fn op_210_a_local_cluster_is_ok() {
    let cluster =
        LocalCluster::start("  nsqd: {replicas: 2}\n  lookupd: {replicas: 2}\n  admin: {enabled: false}\n");
    assert_ok(&cluster.lookupds(), 2);
    cluster.stop();
}

#[test]
fn op_210_go_nsq_is_ok() {
    let lookupd = Maker::Reference.nsqlookupd(&[]);
    let folder = tempfile::tempdir().unwrap();
    let nsqd = Maker::Reference.nsqd(folder.path(), &[&lookupd.tcp], &[]);
    wait_registered(&lookupd.http, 1);
    assert_ok(std::slice::from_ref(&lookupd.http), 1);
    // Also by way of the publish address.
    let (code, text) = check(&[
        "--lookupd-http-address",
        &lookupd.http,
        "--publish-http-address",
        &nsqd.http,
        "--messages=5",
    ]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("ok: 5 of 5"), "{text}");
}

#[test]
fn op_210_a_wrong_broadcast_address_is_named() {
    let lookupd = Maker::Ours.nsqlookupd(&[]);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let _right = Maker::Ours.nsqd(folders[0].path(), &[&lookupd.tcp], &[]);
    // It listens on 127.0.0.1 only.
    let wrong: Daemon = Maker::Ours.nsqd(
        folders[1].path(),
        &[&lookupd.tcp],
        &["--broadcast-address=127.0.0.77"],
    );
    wait_registered(&lookupd.http, 2);
    let (code, text) = check(&["--lookupd-http-address", &lookupd.http]);
    assert_eq!(code, Some(1), "{text}");
    let told = wrong.tcp.replace("127.0.0.1", "127.0.0.77");
    let line =
        format!("missing: nsqd {told} is registered, but not reachable from here: connect to {told}: ");
    assert!(text.lines().any(|l| l.starts_with(&line)), "{text}");
    assert!(
        text.contains("failed: 100 of 100"),
        "what can be reached still works: {text}"
    );
}

#[test]
fn op_210_an_nsqlookupd_that_is_down_is_named() {
    let lookupd = Maker::Ours.nsqlookupd(&[]);
    // Its process ends with the rest of the value.
    let down = Maker::Ours.nsqlookupd(&[]).http;
    let folder = tempfile::tempdir().unwrap();
    let _nsqd = Maker::Ours.nsqd(folder.path(), &[&lookupd.tcp], &[]);
    wait_registered(&lookupd.http, 1);
    let (code, text) = check(&["--lookupd-http-address", &lookupd.http, &down]);
    assert_eq!(code, Some(1), "{text}");
    let line = format!("missing: nsqlookupd {down} does not answer: ");
    assert!(text.lines().any(|l| l.starts_with(&line)), "{text}");
}
