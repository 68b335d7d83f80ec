//! What comes on top: TLS, compression, the disk.

use super::traffic::both;
use super::{CERT, DISK, KEY, MEMORY, PUBLISHED_AT_MOST, SYNC, faster, goal, measured, scenario};
use crate::load::conn::Wish;
use crate::load::stream::Layer;
use crate::scenario::{Aim, Consume, Publish, Scenario, Work};

pub(super) fn layers() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (name, layer, count, cpu, throughput) in [
        ("tls", Layer::Tls, 600_000, 4.0, 3.0),
        ("snappy", Layer::Snappy, 600_000, 3.0, 3.0),
        ("deflate", Layer::Deflate, 150_000, 1.5, 1.3),
    ] {
        let mut flags = MEMORY.to_vec();
        if layer == Layer::Tls {
            flags.extend([CERT, KEY]);
        }
        let wish = Wish {
            layer,
            ..Wish::default()
        };
        let publish = |count, batch, channels| Publish {
            wish,
            count,
            batch,
            channels,
            ..Publish::default()
        };
        let batches = Work::Publish(publish(count, 200, 0));
        all.push(scenario(format!("{name}-mpub-200"), &flags, batches, measured()));
        let whole = both(publish(count, 200, 1), 1, PUBLISHED_AT_MOST);
        all.push(scenario(
            format!("{name}-e2e"),
            &flags,
            whole,
            faster(cpu, throughput),
        ));
        let single = Work::Publish(publish(40_000, 1, 0));
        all.push(scenario(format!("{name}-pub-c1"), &flags, single, measured()));
    }
    all
}

pub(super) fn disk() -> Vec<Scenario> {
    let publish = |connections, count, batch, channels, warm_up| Publish {
        connections,
        count,
        batch,
        channels,
        warm_up,
        ..Publish::default()
    };
    let drain = Consume {
        wish: Wish::default(),
        connections: 1,
        count: 400_000,
        size: 200,
        window: 2500,
        at_once: u64::MAX,
    };
    let whole = both(publish(1, 300_000, 200, 1, 0), 1, PUBLISHED_AT_MOST);
    // There processor time is not what counts.
    let synced = |times| {
        vec![
            goal("per_second", Aim::TimesMore(times)),
            goal("cpu_s_per_m", Aim::Less),
        ]
    };
    let publishing = |work| Work::Publish(work);
    vec![
        scenario(
            "disk-mpub-200",
            DISK,
            publishing(publish(1, 400_000, 200, 1, 2000)),
            faster(8.0, 8.0),
        ),
        scenario(
            "disk-pub-c1",
            DISK,
            publishing(publish(1, 60_000, 1, 0, 2000)),
            faster(3.0, 2.0),
        ),
        scenario("disk-sub-200", DISK, Work::Consume(drain), faster(8.0, 6.0)),
        scenario("disk-e2e-1t1c", DISK, whole, faster(10.0, 8.0)).quick(),
        scenario(
            "sync1-pub-c1",
            SYNC,
            publishing(publish(1, 400, 1, 0, 0)),
            synced(15.0),
        ),
        scenario(
            "sync1-pub-c64",
            SYNC,
            publishing(publish(64, 1920, 1, 0, 0)),
            synced(150.0),
        ),
        scenario(
            "sync1-mpub-200",
            SYNC,
            publishing(publish(1, 4000, 200, 0, 0)),
            synced(1000.0),
        ),
    ]
}
