//! What continuous integration holds nsqd to: counts for each message with bounds, and the ratio to the reference in pairs with a
//! bound that is wide, because the machine may be busy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::args::Gate;
use crate::counts::Count;
use crate::driver::Session;
use crate::load::conn::Wish;
use crate::outcome::Outcome;
use crate::report::number;
use crate::scenario::{Both, Consume, Goal, Publish, Work};
use crate::scenarios;
use crate::summary::compare;

/// What a count may be above its bound, in percent: runs of the same program differ by less.
const TOLERANCE: f64 = 10.0;
/// Pairs of a ratio.
const PAIRS: usize = 3;

/// Counts and ratios that must not get worse, by scenario.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    /// For each message, by the name of the count.
    counts: BTreeMap<String, BTreeMap<String, f64>>,
    /// Processor time of the reference for each message, divided by ours, at least.
    ratios: BTreeMap<String, f64>,
}

/// What is counted: a name, flags, messages, and the work on so many.
type Counted = (&'static str, &'static [&'static str], usize, fn(usize) -> Work);

const MEMORY: &[&str] = &["--mem-queue-size=3000000"];

const COUNTED: &[Counted] = &[
    ("pub-ack", MEMORY, 2000, |count| publish(count, 1, 1)),
    ("pub-pipe64", MEMORY, 20_000, |count| publish(count, 1, 64)),
    ("mpub200", MEMORY, 100_000, |count| publish(count, 200, 1)),
    ("sub-rdy1", MEMORY, 2000, |count| drain(count, 1)),
    ("sub-rdy2500", MEMORY, 50_000, |count| drain(count, 2500)),
    ("e2e-1t1c", &[], 40_000, |count| both(count, 1)),
    ("e2e-1t10c", &[], 6000, |count| both(count, 10)),
    ("disk-mpub200", &["--mem-queue-size=0"], 100_000, |count| {
        publish(count, 200, 1)
    }),
];

fn publish(count: usize, batch: usize, window: usize) -> Work {
    Work::Publish(Publish {
        count,
        batch,
        window,
        channels: 1,
        warm_up: 0,
        ..Publish::default()
    })
}

fn drain(count: usize, window: u32) -> Work {
    Work::Consume(Consume {
        wish: Wish::default(),
        connections: 1,
        count,
        size: 200,
        window,
        at_once: u64::MAX,
    })
}

fn both(count: usize, channels: usize) -> Work {
    Work::Both(Both {
        publish: Publish {
            count,
            batch: 200,
            channels,
            warm_up: 0,
            ..Publish::default()
        },
        consumers: 1,
        window: 2500,
        // One batch after the other: how many meet on their way is a matter of luck.
        at_most: Some(1),
    })
}

/// Counts, measures, and holds both against the file of bounds.
///
/// # Errors
/// Something is above its bound, or could not be measured.
pub(crate) fn run(args: &Gate) -> Outcome {
    let mut session = Session::open(&args.common)?;
    let ours = session.names().len() - 1;
    let mut measured = Bounds::default();
    for (name, flags, count, work) in COUNTED {
        let mut counts = BTreeMap::new();
        for what in Count::ALL {
            let value = what.per_message(session.binary(ours)?, flags, work, *count)?;
            eprintln!("{name}: {} {} for a message", number(value), what.name());
            counts.insert(what.name().to_owned(), value);
        }
        measured.counts.insert((*name).to_owned(), counts);
    }
    if ours > 0 {
        measured.ratios = ratios(&mut session)?;
    }
    if args.write {
        return write(&args.bounds, &measured);
    }
    let text =
        fs::read_to_string(&args.bounds).map_err(|why| format!("read {}: {why}", args.bounds.display()))?;
    let bounds: Bounds =
        serde_json::from_str(&text).map_err(|why| format!("{}: no bounds: {why}", args.bounds.display()))?;
    let (table, missed) = judge(&measured, &bounds);
    print!("{table}");
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "worse than {} allows: {}; if that is meant, `cargo xtask bench gate --write` makes new bounds",
            args.bounds.display(),
            missed.join(", ")
        ))
    }
}

/// Medians of the ratios of processor time.
fn ratios(session: &mut Session) -> Outcome<BTreeMap<String, f64>> {
    const OF: [&str; 3] = ["pub-pipe64-c1-200", "e2e-1t1c-mpub", "disk-e2e-1t1c"];
    let all = scenarios::all();
    let mut ratios = BTreeMap::new();
    for scenario in all.iter().filter(|scenario| OF.contains(&scenario.name.as_str())) {
        session.measure(scenario, PAIRS)?;
        let names = session.names();
        let of = |name: &str| {
            let runs = session
                .records
                .iter()
                .filter(|record| record.scenario == scenario.name);
            runs.filter(|record| record.daemon == name).collect::<Vec<_>>()
        };
        let goal = Goal {
            figure: "cpu_s_per_m",
            aim: crate::scenario::Aim::Less,
        };
        let ratio = compare(&of(names[0]), &of(names[1]), goal).ratio;
        let ratio = ratio.ok_or_else(|| format!("{} failed, see the records", scenario.name))?;
        ratios.insert(scenario.name.clone(), ratio.median);
    }
    Ok(ratios)
}

/// New bounds: counts as they are, and half of the ratios.
fn write(path: &Path, measured: &Bounds) -> Outcome {
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    let counts = measured.counts.iter().map(|(name, counts)| {
        let counts = counts
            .iter()
            .map(|(count, value)| (count.clone(), rounded(*value)));
        (name.clone(), counts.collect())
    });
    let bounds = Bounds {
        counts: counts.collect(),
        ratios: measured
            .ratios
            .iter()
            .map(|(name, ratio)| (name.clone(), (ratio / 2.0).round()))
            .collect(),
    };
    let text = serde_json::to_string_pretty(&bounds).map_err(|why| format!("write bounds: {why}"))?;
    fs::write(path, text + "\n").map_err(|why| format!("write {}: {why}", path.display()))
}

/// The table, and what is worse than its bound. What has no bound is: a bound that is forgotten holds nothing. Pure.
fn judge(measured: &Bounds, bounds: &Bounds) -> (String, Vec<String>) {
    let mut table = "| what | measured | bound | |\n|---|---|---|---|\n".to_owned();
    let mut missed = Vec::new();
    let mut row = |what: String, value: f64, bound: Option<(f64, bool)>| {
        let is_met = bound.is_some_and(|(_, is_met)| is_met);
        let _ = writeln!(
            table,
            "| {what} | {} | {} | {} |",
            number(value),
            bound.map_or("none".to_owned(), |(bound, _)| number(bound)),
            if is_met { "met" } else { "**missed**" }
        );
        if !is_met {
            missed.push(what);
        }
    };
    for (name, counts) in &measured.counts {
        for (count, value) in counts {
            let bound = bounds.counts.get(name).and_then(|counts| counts.get(count));
            let bound = bound.map(|bound| bound * (1.0 + TOLERANCE / 100.0));
            row(
                format!("{name}: {count} for a message"),
                *value,
                bound.map(|b| (b, *value <= b)),
            );
        }
    }
    for (name, ratio) in &measured.ratios {
        let bound = bounds.ratios.get(name);
        let what = format!("{name}: times less processor time than the reference");
        row(what, *ratio, bound.map(|bound| (*bound, ratio >= bound)));
    }
    (table, missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(instructions: f64, ratio: f64) -> Bounds {
        let counts = BTreeMap::from([("instructions".to_owned(), instructions)]);
        Bounds {
            counts: BTreeMap::from([("a".to_owned(), counts)]),
            ratios: BTreeMap::from([("b".to_owned(), ratio)]),
        }
    }

    #[test]
    fn more_instructions_and_a_smaller_ratio_are_missed() {
        for (instructions, ratio, missed) in [
            (100.0, 5.0, 0),
            (109.0, 9.0, 0),
            (111.0, 5.0, 1),
            (100.0, 4.9, 1),
            (200.0, 1.0, 2),
        ] {
            let (table, names) = judge(&bounds(instructions, ratio), &bounds(100.0, 5.0));
            assert_eq!(names.len(), missed, "{table}");
        }
    }

    #[test]
    fn what_has_no_bound_is_missed() {
        let (table, missed) = judge(&bounds(1.0, 1.0), &Bounds::default());
        assert_eq!(missed.len(), 2);
        assert!(table.contains("| none | **missed** |"));
    }

    #[test]
    fn the_bounds_of_this_repository_are_those_of_what_is_counted() {
        let bounds: Bounds = serde_json::from_str(include_str!("../bounds.json")).unwrap();
        let counted: Vec<_> = COUNTED.iter().map(|(name, ..)| *name).collect();
        let mut bound: Vec<_> = bounds.counts.keys().map(String::as_str).collect();
        bound.sort_by_key(|name| counted.iter().position(|counted| counted == name));
        assert_eq!(bound, counted);
        assert_eq!(bounds.ratios.len(), 3);
    }
}
