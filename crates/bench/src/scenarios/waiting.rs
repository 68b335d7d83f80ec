//! Latency by a timetable, timers, what costs while nothing happens, starts and ends.

use super::{DEFAULT, DISK, MEMORY, goal, scenario};
use crate::load::conn::Wish;
use crate::scenario::{Aim, Deferred, Goal, Scenario, Timetable, Work};

pub(super) fn open_loop() -> Vec<Scenario> {
    let unbuffered = Wish {
        unbuffered: true,
        ..Wish::default()
    };
    let at = |name: &str, work: Timetable, goals: Vec<Goal>| {
        let mut goals = goals;
        goals.extend([
            goal("end_to_end.p99", Aim::Less),
            goal("end_to_end.p999", Aim::Less),
            goal("answer.p99", Aim::Less),
            goal("cpu_s_per_m", Aim::Less),
        ]);
        scenario(name, DEFAULT, Work::Timetable(work), goals)
    };
    let median = |aim| vec![goal("end_to_end.p50", aim)];
    let promptly = |rate| Timetable {
        wish: unbuffered,
        rate,
        ..Timetable::default()
    };
    let default = |rate| Timetable {
        rate,
        ..Timetable::default()
    };
    let mut all = Vec::new();
    for (name, rate) in [("rate-1k", 1e3), ("rate-10k", 1e4), ("rate-30k", 3e4)] {
        all.push(at(name, promptly(rate), median(Aim::Less)));
    }
    for (name, share) in [("rate-50%", 0.5), ("rate-80%", 0.8)] {
        let mut one = at(name, promptly(1e4), median(Aim::Less));
        one.share = Some(share);
        all.push(one);
    }
    for (name, rate, times) in [
        ("rate-100-obt", 1e2, 300.0),
        ("rate-1k-obt", 1e3, 100.0),
        ("rate-10k-obt", 1e4, 15.0),
    ] {
        let one = at(name, default(rate), median(Aim::TimesLess(times)));
        all.push(if rate == 1e3 { one.quick() } else { one });
    }
    for (name, window) in [
        ("rate-1k-obt-rdy1", 1),
        ("rate-1k-obt-rdy10", 10),
        ("rate-1k-obt-rdy100", 100),
    ] {
        let work = Timetable {
            window,
            ..default(1e3)
        };
        all.push(at(name, work, median(Aim::Less)));
    }
    let eight = Timetable {
        connections: 8,
        consumers: 8,
        ..promptly(1e4)
    };
    all.push(at("rate-10k-c8", eight, median(Aim::Less)));
    let ten = Timetable {
        channels: 10,
        ..promptly(1e4)
    };
    all.push(at("rate-10k-1t10c", ten, median(Aim::Less)));
    all
}

pub(super) fn timers() -> Vec<Scenario> {
    let late = || {
        vec![
            goal("late.p50", Aim::AtMost(2000.0)),
            goal("late.p99", Aim::AtMost(5000.0)),
            goal("cpu_s_per_m", Aim::Less),
        ]
    };
    let deferred = |count, delay_ms, consume| {
        Work::Deferred(Deferred {
            count,
            delay_ms,
            consume,
        })
    };
    let bytes = vec![goal("bytes_per_message", Aim::AtMost(200.0))];
    vec![
        scenario("timeout-2k", DEFAULT, Work::Timeouts { count: 2000 }, late()),
        scenario(
            "defer-100k",
            MEMORY,
            deferred(100_000, (8_000, 16_000), true),
            late(),
        )
        .once(),
        scenario(
            "defer-1m",
            MEMORY,
            deferred(1_000_000, (30_000, 60_000), true),
            late(),
        )
        .once(),
        scenario(
            "defer-1m-rss",
            MEMORY,
            deferred(1_000_000, (600_000, 900_000), false),
            bytes,
        )
        .once(),
    ]
}

pub(super) fn footprint() -> Vec<Scenario> {
    let connections = |name: &str, count, subscribed, goals| {
        scenario(name, DEFAULT, Work::IdleConnections { count, subscribed }, goals).once()
    };
    let each = |most| {
        vec![
            goal("kib_each", Aim::AtMost(most)),
            goal("idle_percent", Aim::Less),
        ]
    };
    let topics = vec![
        goal("kib_each", Aim::AtMost(2.0)),
        goal("create_seconds", Aim::AtMost(1.0)),
        goal("idle_percent", Aim::AtMost(0.1)),
        goal("stats_cpu_ms", Aim::AtMost(15.0)),
        // Go's nsqd has no such page.
        goal("metrics_cpu_ms", Aim::Less),
    ];
    vec![
        connections("idle-conns-1k", 1000, false, each(4.0)).quick(),
        connections("idle-conns-10k", 10_000, false, each(4.0)),
        connections("idle-subs-1k", 1000, true, each(4.0)),
        connections("idle-subs-10k", 10_000, true, each(4.0)),
        scenario(
            "idle-topics-10k",
            DEFAULT,
            Work::IdleTopics { count: 10_000 },
            topics,
        )
        .once(),
    ]
}

pub(super) fn life() -> Vec<Scenario> {
    let exit = vec![
        goal("exit_seconds", Aim::AtMost(1.2)),
        goal("rss_mib_peak", Aim::Less),
    ];
    let start = |most| {
        vec![
            goal("start_ms", Aim::AtMost(most)),
            goal("rss_mib_after", Aim::Less),
        ]
    };
    let gibibyte = (1_000_000, 1024);
    let (count, size) = gibibyte;
    vec![
        scenario("exit-1g", MEMORY, Work::Exit { count, size }, exit).once(),
        scenario("restart-1g", DISK, Work::Restart { count, size }, start(6.0)).once(),
        scenario("start-cold", DEFAULT, Work::Start { topics: 0 }, start(10.0)),
        scenario(
            "start-10k-topics",
            DEFAULT,
            Work::Start { topics: 10_000 },
            start(100.0),
        )
        .once(),
    ]
}
