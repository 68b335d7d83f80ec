//! Publishing, consuming, and both.

use super::{DEFAULT, MAXIMUM, MEMORY, PUBLISHED_AT_MOST, faster, goal, measured, scenario};
use crate::load::conn::Wish;
use crate::scenario::{Aim, Both, Consume, Publish, PublishHttp, Scenario, Work};

pub(super) fn publish() -> Vec<Scenario> {
    let ack = |connections: usize, size: usize, count| {
        let goals = match (connections, size) {
            (1, 200) => faster(1.4, 1.15),
            (8, 200) => faster(1.0, 1.0),
            (64, 200) => {
                let mut goals = faster(1.2, 1.0);
                goals.push(goal("command.p99", Aim::TimesLess(2.5)));
                goals
            }
            _ => measured(),
        };
        let name = format!("pub-ack-c{connections}-{size}");
        let work = Publish {
            connections,
            size,
            count,
            ..Publish::default()
        };
        scenario(name, MEMORY, Work::Publish(work), goals)
    };
    let pipe = |connections, count, goals| {
        let work = Publish {
            connections,
            count,
            window: 64,
            ..Publish::default()
        };
        scenario(
            format!("pub-pipe64-c{connections}-200"),
            MEMORY,
            Work::Publish(work),
            goals,
        )
    };
    let batches = |connections: usize, size: usize, count| {
        let goals = match (connections, size) {
            (1, 100) => faster(3.0, 1.7),
            (1, 200) => faster(3.0, 2.5),
            (1, 1024) => faster(2.0, 2.0),
            (1, 10240) => faster(1.6, 1.5),
            _ => measured(),
        };
        let work = Publish {
            connections,
            size,
            count,
            batch: 200,
            ..Publish::default()
        };
        let name = format!("mpub200-c{connections}-{size}");
        scenario(name, MEMORY, Work::Publish(work), goals)
    };
    let http = |name: &str, connections, batch, count, goals| {
        let work = PublishHttp {
            connections,
            count,
            size: 200,
            batch,
        };
        scenario(name, MEMORY, Work::PublishHttp(work), goals)
    };
    let mut all = Vec::new();
    for connections in [1, 8, 64] {
        for (size, count) in [(100, 100_000), (200, 100_000), (1024, 100_000), (10240, 40_000)] {
            all.push(ack(connections, size, count));
        }
    }
    all.push(pipe(1, 200_000, faster(10.0, 8.0)).quick());
    all.push(pipe(8, 300_000, faster(10.0, 8.0)));
    for connections in [1, 8, 64] {
        for (size, count) in [
            (100, 1_500_000),
            (200, 1_000_000),
            (1024, 400_000),
            (10240, 60_000),
        ] {
            let one = batches(connections, size, count);
            all.push(if one.name == "mpub200-c1-200" {
                one.quick()
            } else {
                one
            });
        }
    }
    all.push(http("http-pub-c1", 1, 1, 30_000, faster(1.8, 1.6)));
    all.push(http("http-pub-c8", 8, 1, 60_000, faster(1.1, 1.2)));
    all.push(http("http-mpub-c1", 1, 200, 1_000_000, faster(3.0, 2.5)));
    all
}

pub(super) fn consume() -> Vec<Scenario> {
    let drain = |name: &str, connections, window, at_once, count, goals| {
        let work = Consume {
            wish: Wish::default(),
            connections,
            count,
            size: 200,
            window,
            at_once,
        };
        scenario(name, MEMORY, Work::Consume(work), goals)
    };
    let together = u64::MAX;
    vec![
        drain("sub-rdy1-c1", 1, 1, together, 60_000, faster(3.0, 2.2)),
        drain("sub-rdy100-c1", 1, 100, together, 500_000, faster(8.0, 6.0)),
        drain("sub-rdy2500-c1", 1, 2500, together, 600_000, faster(10.0, 8.0)).quick(),
        // One write for each FIN, as go-nsq does.
        drain("sub-rdy2500-c1-fin1", 1, 2500, 1, 400_000, faster(4.0, 2.5)),
        drain("sub-rdy2500-c8", 8, 2500, together, 800_000, faster(10.0, 8.0)),
        drain("sub-rdy100-c64", 64, 100, together, 500_000, faster(10.0, 8.0)),
    ]
}

/// End to end, with no more in the queues than fits.
pub(super) fn both(publish: Publish, consumers: usize, at_most: Option<usize>) -> Work {
    Work::Both(Both {
        publish,
        consumers,
        window: 2500,
        at_most,
    })
}

pub(super) fn end_to_end() -> Vec<Scenario> {
    let publish = |count, batch, size, channels| Publish {
        count,
        batch,
        size,
        channels,
        window: if batch == 1 { 64 } else { 1 },
        ..Publish::default()
    };
    let one = |work| both(work, 1, PUBLISHED_AT_MOST);
    let many = |count, batch| {
        let work = Publish {
            topics: 100,
            connections: 4,
            ..publish(count, batch, 200, 1)
        };
        both(work, 1, Some(100_000))
    };
    let four = Publish {
        connections: 4,
        ..publish(800_000, 200, 200, 1)
    };
    vec![
        scenario(
            "e2e-1t1c-mpub",
            DEFAULT,
            one(publish(600_000, 200, 200, 1)),
            faster(8.0, 7.0),
        )
        .quick(),
        scenario(
            MAXIMUM,
            DEFAULT,
            one(publish(200_000, 1, 200, 1)),
            faster(12.0, 10.0),
        ),
        scenario(
            "e2e-1t1c-p4s4",
            DEFAULT,
            both(four, 4, PUBLISHED_AT_MOST),
            faster(8.0, 5.0),
        ),
        scenario(
            "e2e-1t1c-1k",
            DEFAULT,
            one(publish(400_000, 200, 1024, 1)),
            faster(3.0, 2.5),
        ),
        scenario(
            "e2e-1t10c-mpub",
            DEFAULT,
            one(publish(60_000, 200, 200, 10)),
            faster(10.0, 7.0),
        )
        .quick(),
        scenario(
            "e2e-1t10c-1k",
            DEFAULT,
            one(publish(60_000, 200, 1024, 10)),
            faster(4.0, 3.0),
        ),
        scenario("e2e-100t-mpub", DEFAULT, many(600_000, 200), faster(5.0, 3.0)),
        scenario("e2e-100t-pipe", DEFAULT, many(150_000, 1), faster(2.5, 1.8)),
        // More than the default queue in memory takes: the rest goes over the disk.
        scenario(
            "e2e-overflow",
            DEFAULT,
            both(publish(600_000, 200, 200, 1), 1, None),
            measured(),
        ),
    ]
}
