//! The long run: a mixed load, and whether anything grows.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Soak;
use crate::daemon::Running;
use crate::driver::Session;
use crate::load::meter::{Found, Target};
use crate::load::soak::{Shared, left, start};
use crate::outcome::Outcome;
use crate::record::Record;
use crate::report::number;
use crate::scenario::{Aim, Goal, Repeat, Scenario, Timetable, Work};
use crate::summary::{Spread, slope};
use crate::svg::Lines;
use crate::usage::{self, Usage};

/// Messages per second of the timetable.
const RATE: f64 = 2000.0;
/// Longest wait until what is left has come, and until what was opened is closed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Resident memory may grow by so many percent in an hour.
const SLOPE: f64 = 1.0;
/// The median of p99.9 in the last third may be so many times that in the first.
const DRIFT: f64 = 1.25;
/// What grows in the first minutes are tables that fill.
const WARM_UP: f64 = 600.0;

/// What the end has to show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct End {
    /// Messages that nobody got.
    messages: u64,
    open_files: u64,
    threads: u64,
}

/// Runs the load on each daemon, one after the other.
///
/// # Errors
/// A daemon failed, or something grew.
pub(crate) fn run(args: &Soak) -> Outcome {
    let work = Timetable {
        rate: RATE,
        seconds: args.minutes as f64 * 60.0,
        ..Timetable::default()
    };
    let scenario = Scenario {
        name: "soak".to_owned(),
        flags: Vec::new(),
        work: Work::Timetable(work.clone()),
        share: None,
        goals: ["rss_mib_after", "end_to_end.p999", "open_files"]
            .map(|figure| Goal {
                figure,
                aim: Aim::Less,
            })
            .to_vec(),
        repeat: Repeat::Once,
        quick: false,
    };
    let mut session = Session::open(&args.common)?;
    let mut text = format!(
        "{RATE} messages per second, {} minutes.\n\n| daemon | figure | measured | at most | |\n|---|---|---|---|---|\n",
        args.minutes
    );
    let (mut series, mut is_steady) = (Vec::new(), true);
    for number in 0..session.names().len() {
        let end = one(&mut session, &scenario, &work, number)?;
        let name = session.names()[number].to_owned();
        let of_this = session.records.iter().filter(|record| record.daemon == name);
        let samples: Vec<&Record> = of_this.collect();
        is_steady &= judge(&mut text, &name, &samples, end);
        for (what, figure) in [("resident MiB", "rss_mib_after"), ("p99.9 ms", "p999_ms")] {
            series.push((format!("{name}, {what}"), over_time(&samples, figure)));
        }
    }
    print!("{text}");
    crate::write(session.folder(), "soak.md", &text)?;
    let picture = Lines {
        title: "Mixed load: resident memory and latency of first deliveries".to_owned(),
        x: "seconds since the start".to_owned(),
        y: String::new(),
        series,
        marks: Vec::new(),
    };
    if let Some(picture) = picture.svg() {
        crate::write(session.folder(), "soak.svg", &picture)?;
    }
    if is_steady {
        Ok(())
    } else {
        Err("something grew that must not: see the table".to_owned())
    }
}

fn one(session: &mut Session, scenario: &Scenario, work: &Timetable, number: usize) -> Outcome<End> {
    let folder = tempfile::tempdir().map_err(|why| format!("make a data folder: {why}"))?;
    let daemon = Running::start(session.binary(number)?, &[], folder.path())?;
    let target = daemon.target();
    let before = usage::of(target.pid)?;
    let shared = Shared::default();
    let (first, messages) = thread::scope(|scope| {
        let done = start(scope, &shared, work, target)
            .and_then(|()| watch(session, scenario, work, number, &shared, target));
        // Whatever happened: the scope waits for its threads.
        shared.end();
        done
    })?;
    let after = settled(target, before)?;
    daemon.stop()?;
    Ok(End {
        messages,
        open_files: after.open_files.saturating_sub(before.open_files),
        threads: after.threads.saturating_sub(first.threads),
    })
}

/// Samples until the timetable is over, then waits for the rest. The usage at the first sample, and what was left.
fn watch(
    session: &mut Session,
    scenario: &Scenario,
    work: &Timetable,
    number: usize,
    shared: &Shared,
    target: Target,
) -> Outcome<(Usage, u64)> {
    let began = Instant::now();
    let every = Duration::from_secs_f64((work.seconds / 60.0).clamp(1.0, 30.0));
    let mut first = None;
    while began.elapsed().as_secs_f64() < work.seconds {
        thread::sleep(every);
        let usage = usage::of(target.pid)?;
        let first = first.get_or_insert(usage);
        let mut found = Found::default();
        found.set("rss_mib_after", usage.resident_bytes as f64 / f64::from(1 << 20));
        found.set("open_files", usage.open_files as f64);
        found.set("threads", usage.threads as f64);
        found.set("cpu_seconds", (usage.cpu - first.cpu).as_secs_f64());
        if let Some(latencies) = shared.take_latencies() {
            found.set("p999_ms", latencies.value_at_quantile(0.999) as f64 / 1e6);
            found.latency("end_to_end", &latencies);
        }
        let failure = shared.failure();
        let failed = failure.is_some();
        let sample = failure.map_or(Ok(found), Err);
        session.record(
            scenario,
            &scenario.work,
            0,
            number,
            Some(began.elapsed().as_secs_f64()),
            sample,
        )?;
        if failed {
            return Err("the load ended early: see the last record".to_owned());
        }
    }
    shared.end_churn();
    let waited = Instant::now();
    let mut messages = left(target)?;
    while messages > 0 && waited.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(100));
        messages = left(target)?;
    }
    let first = first.ok_or("a run of no time has no sample")?;
    Ok((first, messages))
}

/// The usage when connections are closed, or when that does not happen.
fn settled(target: Target, before: Usage) -> Outcome<Usage> {
    let began = Instant::now();
    loop {
        let usage = usage::of(target.pid)?;
        if usage.open_files <= before.open_files || began.elapsed() > PATIENCE {
            return Ok(usage);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn over_time(samples: &[&Record], figure: &str) -> Vec<(f64, f64)> {
    let points = samples.iter();
    points
        .filter_map(|record| Some((record.amount?, record.figure(figure)?)))
        .collect()
}

/// Adds the rows of a daemon. True if nothing grew. Pure.
fn judge(text: &mut String, daemon: &str, samples: &[&Record], end: End) -> bool {
    let memory = over_time(samples, "rss_mib_after");
    let last = memory.last().map_or(0.0, |point| point.0);
    // A run shorter than an hour has a shorter beginning.
    let from = WARM_UP.min(last / 6.0);
    let later: Vec<_> = memory.into_iter().filter(|point| point.0 >= from).collect();
    let middle = Spread::of(later.iter().map(|point| point.1)).map_or(0.0, |spread| spread.median);
    let growth = slope(&later).map(|slope| slope * 3600.0 / middle * 100.0);
    let slow = over_time(samples, "p999_ms");
    let third = |from: f64, to: f64| {
        let points = slow
            .iter()
            .filter(|point| (from * last..=to * last).contains(&point.0));
        Spread::of(points.map(|point| point.1)).map(|spread| spread.median)
    };
    let drift = third(0.0, 1.0 / 3.0)
        .zip(third(2.0 / 3.0, 1.0))
        .map(|(first, last)| last / first);
    let mut is_steady = true;
    for (figure, value, most) in [
        ("resident memory after the beginning, % per hour", growth, SLOPE),
        ("p99.9 of the last third, times the first", drift, DRIFT),
        ("messages that nobody got", Some(end.messages as f64), 0.0),
        ("open files left", Some(end.open_files as f64), 0.0),
        ("threads left", Some(end.threads as f64), 0.0),
    ] {
        let is_met = value.is_some_and(|value| value <= most);
        is_steady &= is_met;
        let _ = writeln!(
            text,
            "| {daemon} | {figure} | {} | {most} | {} |",
            value.map_or("–".to_owned(), number),
            if is_met { "met" } else { "**missed**" }
        );
    }
    is_steady
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(memory: impl Fn(f64) -> f64, latency: impl Fn(f64) -> f64) -> Vec<Record> {
        let text = r#"{"scenario":"soak","daemon":"d","version":"1","flags":[],"pair":0,"work":"","machine":{"kernel":"k","processor":"p","cores":2}}"#;
        let one = crate::record::read(text).unwrap().remove(0);
        (1..=60)
            .map(|minute| {
                let seconds = f64::from(minute) * 60.0;
                Record {
                    amount: Some(seconds),
                    figures: [
                        ("rss_mib_after".to_owned(), memory(seconds)),
                        ("p999_ms".to_owned(), latency(seconds)),
                    ]
                    .into(),
                    ..one.clone()
                }
            })
            .collect()
    }

    fn judged(samples: &[Record], end: End) -> (bool, String) {
        let mut text = String::new();
        let is_steady = judge(&mut text, "d", &samples.iter().collect::<Vec<_>>(), end);
        (is_steady, text)
    }

    #[test]
    fn what_fills_in_the_first_ten_minutes_does_not_count() {
        let filling = samples(|s| 10.0 + s.min(600.0) / 100.0, |_| 1.0);
        assert!(judged(&filling, End::default()).0);
    }

    #[test]
    fn memory_that_grows_and_latency_that_drifts_are_missed() {
        let (is_steady, text) = judged(&samples(|s| 10.0 + s / 3600.0, |_| 1.0), End::default());
        assert!(!is_steady && text.contains("% per hour | 9."), "{text}");
        let (is_steady, text) = judged(&samples(|_| 10.0, |s| 1.0 + s / 3600.0), End::default());
        assert!(
            !is_steady && text.lines().filter(|row| row.contains("missed")).count() == 1,
            "{text}"
        );
    }

    #[test]
    fn what_is_left_behind_is_missed() {
        let steady = samples(|_| 10.0, |_| 1.0);
        for end in [
            End {
                messages: 1,
                ..End::default()
            },
            End {
                open_files: 1,
                ..End::default()
            },
            End {
                threads: 1,
                ..End::default()
            },
        ] {
            assert!(!judged(&steady, end).0, "{end:?}");
        }
        assert!(!judged(&[], End::default()).0, "without samples nothing is known");
    }
}
