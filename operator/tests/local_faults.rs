//! What happens to a local cluster when processes die (operator spec 8.5).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests drive the real program with real files, sockets and clocks, and wait with a bound"
)]

mod local;

use local::{Local, PATIENCE, await_gone, is_alive, manifest};
use nsq_testkit::eventually;
use rustix::process::{Pid, Signal, kill_process};

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// OP-198, first part: a killed child is started again.
#[test]
fn op_198_killed_child_is_restarted() {
    let mut local = Local::running(&manifest(1, 1, ""));
    for daemon in ["nsqd-0", "nsqlookupd-0", "nsqadmin"] {
        let before = local.pid(daemon);
        kill(before);
        eventually(PATIENCE, || {
            local
                .pids()
                .iter()
                .any(|(name, pid)| name == daemon && *pid != before)
        });
    }
    local.await_said("nsqd-0 ended (signal 9), restart in 1s");
    local.await_status("ready again", |status| {
        status["phase"] == "Running" && status["nsqd"]["readyText"] == "1/1"
    });
    local.stop();
}

/// A port that somebody takes while its daemon is away: the daemon cannot bind, gets other ports, and all goes on.
#[test]
fn a_port_lost_while_a_child_is_away_is_replaced() {
    let mut local = Local::running(&manifest(1, 1, ""));
    let lost = local.port("nsqd-0", "http");
    let before = local.pid("nsqd-0");
    kill(before);
    // within the pause of a second before it is started again
    let mut taken = None;
    eventually(PATIENCE, || {
        taken = std::net::TcpListener::bind(("127.0.0.1", lost)).ok();
        taken.is_some()
    });
    eventually(PATIENCE, || local.port("nsqd-0", "http") != lost);
    local.await_status("ready on another port", |status| {
        status["phase"] == "Running" && status["nsqd"]["readyText"] == "1/1"
    });
    assert_eq!(
        local.http("nsqd-0", "GET", "/ping", "").unwrap(),
        (200, "OK".to_owned())
    );
    local.stop();
}

/// OP-198, second part: a child that cannot start is called a loop with its last lines, and the others run.
#[test]
fn op_198_child_that_cannot_start() {
    let broken = manifest(
        1,
        1,
        "    extraOptions: {node_id_is_no_option: x, max_deflate_level: nonsense}\n",
    );
    let mut local = Local::start(&broken, &[]);
    local.await_said("nsqd-0 does not stay up; its last lines:\n  ");
    let looping = local.status();
    assert!(
        looping["message"]
            .as_str()
            .unwrap()
            .contains("nsqd-0 not ready: CrashLoop"),
        "{looping:#}"
    );
    let mut names: Vec<String> = local.pids().into_iter().map(|(name, _)| name).collect();
    names.retain(|name| name != "nsqd-0");
    assert_eq!(names, ["nsqadmin", "nsqlookupd-0"]);
    assert_eq!(
        local.http("nsqlookupd-0", "GET", "/ping", "").unwrap(),
        (200, "OK".to_owned())
    );
    // repaired by an edit, without waiting for the next try
    local.edit(&manifest(1, 1, ""));
    local.await_phase("Running");
    local.stop();
}

/// OP-199, first part: Ctrl-C ends all children, in order, and exits with 0; what was in memory is there again afterwards.
#[test]
fn op_199_interrupt() {
    let mut local = Local::running(&manifest(2, 1, ""));
    assert_eq!(local.http("nsqd-1", "POST", "/pub?topic=t", "m").unwrap().0, 200);
    let pids = local.pids();
    assert_eq!(pids.len(), 4);
    local.signal(Signal::INT);
    assert_eq!(local.wait().code(), Some(0));
    await_gone(&pids);
    let said = local.stderr();
    let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("{what}: {said}"));
    assert!(at("stopping; press again to kill and lose 1 message in memory") < at("nsqadmin stopped"));
    assert!(
        at("nsqadmin stopped") < at("nsqd-0 stopped") && at("nsqd-1 stopped") < at("nsqlookupd-0 stopped")
    );
    local.start_again(&["-f", "m.yaml", "--output", "json"]);
    local.await_phase("Running");
    let depth = || local.json("nsqd-1", "/stats?format=json&topic=t")["topics"][0]["depth"].as_i64();
    eventually(PATIENCE, || depth() == Some(1));
    local.stop();
}

/// OP-199, second part: a second Ctrl-C kills and exits with 130, and both say what is lost.
#[test]
fn op_199_second_interrupt() {
    let mut local = Local::running(&manifest(1, 1, ""));
    for _ in 0..3 {
        assert_eq!(local.http("nsqd-0", "POST", "/pub?topic=t", "m").unwrap().0, 200);
    }
    let pids = local.pids();
    // a stopped process cannot end, so that the second signal comes in time
    kill_process(Pid::from_raw(local.pid("nsqadmin")).unwrap(), Signal::STOP).unwrap();
    local.signal(Signal::INT);
    local.await_said("stopping; press again to kill and lose 3 messages in memory");
    local.signal(Signal::INT);
    assert_eq!(local.wait().code(), Some(130));
    assert!(
        local
            .stderr()
            .contains("warning: killed; messages in memory are lost")
    );
    await_gone(&pids);
}

/// OP-199, third part: when `local` itself is killed, the children end by their parent-death signal.
#[test]
fn op_199_local_killed() {
    let mut local = Local::running(&manifest(1, 1, ""));
    let pids = local.pids();
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|(_, pid)| is_alive(*pid)));
    let port = local.port("nsqd-0", "tcp");
    local.child.kill().unwrap();
    local.child.wait().unwrap();
    // a new one takes the folder over, and waits for the ports that the old children are about to leave
    local.start_again(&["-f", "m.yaml", "--output", "json"]);
    await_gone(&pids);
    local.await_phase("Running");
    assert_eq!(local.port("nsqd-0", "tcp"), port);
    local.stop();
}
