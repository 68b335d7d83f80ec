//! Cases of the specification that need the client library itself. Each runs against our nsqd and against Go nsqd, so that a
//! case that the reference does not pass is a mistake in the test.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use nsq_e2e::languages::go_scenario;
use nsq_e2e::reference::{Daemon, Maker};

const BOUND: Duration = Duration::from_secs(60);

fn with_nsqd(test: impl Fn(&Daemon)) {
    for maker in [Maker::Reference, Maker::Ours] {
        let folder = tempfile::tempdir().unwrap();
        let mut nsqd = maker.nsqd(folder.path(), &[], &[]);
        test(&nsqd);
        nsqd.process.terminate(BOUND);
    }
}

/// What a scenario of the Go client printed.
fn printed(scenario: &str, address: &str) -> Vec<String> {
    let mut process = go_scenario(scenario, address);
    assert!(process.wait(BOUND).success(), "{scenario}: {}", process.errors());
    process.text_lines()
}

#[test]
fn nd_289_go_nsq_consumer_finishes_and_requeues() {
    with_nsqd(|nsqd| {
        let lines = printed("finish-and-requeue", &nsqd.tcp);
        let failed: Vec<&str> = lines
            .iter()
            .filter_map(|l| l.strip_prefix("delivered TOBEFAILED "))
            .collect();
        assert_eq!(failed, ["1", "2", "3", "4", "5"]);
        assert!(lines.contains(&"given up TOBEFAILED 6".to_owned()), "{lines:?}");
        for i in 0..10 {
            let attempts = [1, 2].map(|n| {
                lines
                    .iter()
                    .filter(|l| **l == format!("delivered message-{i} {n}"))
                    .count()
            });
            assert_eq!(attempts, [1, 1], "message-{i}");
            assert_eq!(
                lines
                    .iter()
                    .filter(|l| **l == format!("finished message-{i}"))
                    .count(),
                1
            );
        }
        assert_eq!(lines.last().unwrap(), "stopped", "CLS was answered");
    });
}

#[test]
fn nd_291_go_nsq_producer_with_too_short_a_heartbeat_is_refused() {
    with_nsqd(|nsqd| {
        let lines = printed("heartbeat-too-short", &nsqd.tcp);
        assert_eq!(
            lines,
            ["publish: failed to IDENTIFY - E_BAD_BODY IDENTIFY heartbeat interval (100) is invalid"]
        );
    });
}

#[test]
fn nd_292_a_heartbeat_does_not_disturb_the_answers_of_a_producer() {
    with_nsqd(|nsqd| {
        let lines = printed("publish-after-a-pause", &nsqd.tcp);
        assert_eq!(lines, ["publish: <nil>", "publish: <nil>", "publish: <nil>"]);
    });
}
