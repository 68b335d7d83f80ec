//! A started cluster without traffic: next to no processor time, little memory.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that measures processes over real time"
)]

use std::fs;
use std::time::{Duration, Instant};

use nsq_e2e::eventually;
use nsq_e2e::local::LocalCluster;
use nsq_testkit::cpu_time;

/// Time over which is measured: several look-up rounds, pings and looks at the manifest.
const WINDOW: Duration = Duration::from_secs(20);
/// Of one core, over all seven processes. Programs of the test profile are not optimized, so there is room.
const MAX_SHARE: f64 = 0.02;
/// Memory of their own, all seven processes together. The pages of the programs are not in it: those of the test profile are many
/// times the release's, and shared.
const MAX_OWN_KIB: u64 = 24 << 10;

fn own_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[test]
fn an_idle_cluster_costs_next_to_nothing() {
    let cluster = LocalCluster::start("  nsqd: {replicas: 3}\n  lookupd: {replicas: 2}\n");
    let mut pids: Vec<u32> = cluster.nodes().iter().map(|node| node.pid).collect();
    pids.push(cluster.process.pid());
    assert_eq!(pids.len(), 7, "{:?}", cluster.nodes());

    let before: f64 = pids.iter().map(|pid| cpu_time(*pid).as_secs_f64()).sum();
    let end = Instant::now() + WINDOW;
    eventually(WINDOW * 2, "the window is over", || Instant::now() >= end);
    let used = pids.iter().map(|pid| cpu_time(*pid).as_secs_f64()).sum::<f64>() - before;
    let share = used / WINDOW.as_secs_f64();
    let own: u64 = pids.iter().map(|pid| own_kib(*pid)).sum();
    println!(
        "idle: {:.2} % of a core, {} KiB of their own in {} processes",
        share * 100.0,
        own,
        pids.len()
    );
    assert!(share < MAX_SHARE, "{:.2} % of a core", share * 100.0);
    assert!(own < MAX_OWN_KIB, "{own} KiB");
    cluster.stop();
}
