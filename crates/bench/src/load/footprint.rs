//! What costs while nothing happens: connections, topics, and the pages that show them.

use std::thread;
use std::time::{Duration, Instant};

use super::conn::{Conn, Wish};
use super::consume::subscribed;
use super::http::Http;
use super::meter::{Found, Meter, Target};
use super::sent::create;
use crate::outcome::Outcome;
use crate::usage;

/// Time in which what was begun ends, and then for how long idleness is measured.
const SETTLE: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(5);

pub(super) fn connections(count: usize, subscribed_too: bool, target: Target) -> Outcome<Found> {
    create(target, 1, 1)?;
    let wish = Wish {
        small: true,
        ..Wish::default()
    };
    let meter = Meter::start(target)?;
    let before = usage::of(target.pid)?;
    let mut conns = Vec::with_capacity(count);
    for _ in 0..count {
        conns.push(if subscribed_too {
            let mut conn = subscribed(target, wish, 0, 0)?;
            conn.ready(1)?;
            conn
        } else {
            Conn::open(target.tcp, wish)?
        });
    }
    let opened = meter.elapsed().as_secs_f64();
    let idle = idle(target)?;
    let after = usage::of(target.pid)?;
    let mut found = meter.finish(count as u64)?;
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    found.set("kib_each", grown as f64 / 1024.0 / count as f64);
    found.set("per_second", count as f64 / opened);
    found.set("idle_percent", idle);
    drop(conns);
    Ok(found)
}

pub(super) fn topics(count: usize, target: Target) -> Outcome<Found> {
    let meter = Meter::start(target)?;
    let before = usage::of(target.pid)?;
    create(target, count, 1)?;
    let created = meter.elapsed().as_secs_f64();
    let idle = idle(target)?;
    let after = usage::of(target.pid)?;
    let mut found = meter.finish(count as u64)?;
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    found.set("kib_each", grown as f64 / 1024.0 / count as f64);
    found.set("create_seconds", created);
    for (name, path) in [("stats", "/stats?format=json"), ("metrics", "/metrics")] {
        // Go's nsqd has no metrics.
        if let Ok((time, cpu)) = page(path, target) {
            found.set(&format!("{name}_ms"), time);
            found.set(&format!("{name}_cpu_ms"), cpu);
        }
    }
    found.set("idle_percent", idle);
    Ok(found)
}

/// Percent of a processor that the daemon takes with nothing to do.
fn idle(target: Target) -> Outcome<f64> {
    thread::sleep(SETTLE);
    let (before, began) = (usage::of(target.pid)?, Instant::now());
    thread::sleep(IDLE);
    let used = usage::of(target.pid)?.cpu - before.cpu;
    Ok(100.0 * used.as_secs_f64() / began.elapsed().as_secs_f64())
}

/// What it costs to ask for a page: milliseconds, and those of the daemon's processor time.
fn page(path: &str, target: Target) -> Outcome<(f64, f64)> {
    /// The first may make what later ones use again.
    const TIMES: u32 = 3;
    let mut http = Http::connect(target.http)?;
    let (before, began) = (usage::of(target.pid)?, Instant::now());
    for _ in 0..TIMES {
        http.ask("GET", path, b"")?;
    }
    let each = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(TIMES);
    Ok((
        each(began.elapsed()),
        each(usage::of(target.pid)?.cpu - before.cpu),
    ))
}
