//! How cost grows with work: the same work at several amounts, once on each daemon, and what grows faster than it should.

use std::fmt::Write as _;

use crate::args::Curves;
use crate::driver::Session;
use crate::load::conn::Wish;
use crate::outcome::Outcome;
use crate::record::Record;
use crate::report::{number, unit};
use crate::scenario::{Aim, Both, Consume, Deferred, Goal, Publish, Repeat, Scenario, Work};
use crate::summary::growth;
use crate::svg::Lines;

/// Noise of single runs: an exponent above what is wanted by more than this is told.
const TOLERANCE: f64 = 0.15;

/// How a figure may grow with the amount.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Growth {
    /// It costs the same for each message, however much there is.
    Flat,
    /// Twice as much costs twice as much.
    Linear,
}

impl Growth {
    const fn exponent(self) -> f64 {
        match self {
            Self::Flat => 0.0,
            Self::Linear => 1.0,
        }
    }
}

/// One curve.
struct Curve {
    name: &'static str,
    /// What there is more and more of.
    over: &'static str,
    amounts: &'static [usize],
    flags: &'static [&'static str],
    work: fn(usize) -> Work,
    figures: &'static [(&'static str, Growth)],
}

const MEMORY: &[&str] = &["--mem-queue-size=3000000"];
const DISK: &[&str] = &["--mem-queue-size=0"];

const CURVES: &[Curve] = &[
    Curve {
        name: "connections",
        over: "publishers that wait for each answer",
        amounts: &[1, 10, 100, 1000, 10_000],
        flags: MEMORY,
        work: |connections| {
            Work::Publish(Publish {
                wish: Wish {
                    small: true,
                    ..Wish::default()
                },
                connections,
                count: 100_000,
                size: 100,
                warm_up: 10_000,
                ..Publish::default()
            })
        },
        figures: &[("cpu_s_per_m", Growth::Flat), ("rss_mib_before", Growth::Linear)],
    },
    Curve {
        name: "topics",
        over: "topics with a channel each",
        amounts: &[1, 10, 100, 1000, 10_000],
        flags: MEMORY,
        work: |topics| {
            Work::Publish(Publish {
                window: 64,
                topics,
                channels: 1,
                count: 200_000,
                ..Publish::default()
            })
        },
        figures: &[("cpu_s_per_m", Growth::Flat), ("rss_mib_before", Growth::Linear)],
    },
    Curve {
        name: "channels",
        over: "channels of a topic, with a consumer each",
        amounts: &[1, 3, 10, 30, 100],
        flags: &[],
        work: |channels| {
            Work::Both(Both {
                publish: Publish {
                    batch: 200,
                    channels,
                    count: (300_000 / channels).max(20_000),
                    ..Publish::default()
                },
                consumers: 1,
                window: 2500,
                at_most: Some(8000),
            })
        },
        figures: &[("cpu_s_per_m", Growth::Linear), ("rss_mib_peak", Growth::Linear)],
    },
    Curve {
        name: "body",
        over: "bytes of a message",
        amounts: &[16, 128, 1024, 8192, 65_536, 1 << 20],
        flags: MEMORY,
        work: |size| {
            Work::Publish(Publish {
                size,
                batch: (1_000_000 / size).clamp(1, 200),
                // A gibibyte at most.
                count: ((1 << 30) / size).min(1_000_000),
                ..Publish::default()
            })
        },
        figures: &[("cpu_s_per_m", Growth::Linear)],
    },
    Curve {
        name: "backlog",
        over: "messages on the disk, then drained",
        amounts: &[10_000, 100_000, 1_000_000, 10_000_000],
        flags: DISK,
        work: |count| {
            Work::Consume(Consume {
                wish: Wish::default(),
                connections: 1,
                count,
                size: 100,
                window: 2500,
                at_once: u64::MAX,
            })
        },
        figures: &[("cpu_s_per_m", Growth::Flat), ("rss_mib_peak", Growth::Flat)],
    },
    Curve {
        name: "deferred",
        over: "deferred messages of 100 bytes",
        amounts: &[1000, 10_000, 100_000, 1_000_000],
        flags: MEMORY,
        work: |count| {
            Work::Deferred(Deferred {
                count,
                delay_ms: (600_000, 900_000),
                consume: false,
            })
        },
        figures: &[
            ("publish_cpu_s_per_m", Growth::Flat),
            ("bytes_per_message", Growth::Flat),
        ],
    },
];

impl Curve {
    /// Its runs are those of a scenario.
    fn scenario(&self, amount: usize) -> Scenario {
        Scenario {
            name: format!("curve-{}", self.name),
            flags: self.flags.to_vec(),
            work: (self.work)(amount),
            share: None,
            goals: self
                .figures
                .iter()
                .map(|(figure, _)| Goal {
                    figure,
                    aim: Aim::Less,
                })
                .collect(),
            repeat: Repeat::Once,
            quick: false,
        }
    }
}

/// Measures the wanted curves.
///
/// # Errors
/// None is wanted, or nothing could be measured.
pub(crate) fn run(args: &Curves) -> Outcome {
    let is_wanted = |curve: &&Curve| args.only.as_ref().is_none_or(|only| only.is_match(curve.name));
    let wanted: Vec<&Curve> = CURVES.iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        let names: Vec<_> = CURVES.iter().map(|curve| curve.name).collect();
        return Err(format!(
            "no curve has such a name; there are {}",
            names.join(", ")
        ));
    }
    let mut session = Session::open(&args.common)?;
    for curve in &wanted {
        for &amount in curve.amounts.iter().filter(|amount| **amount <= args.most) {
            let scenario = curve.scenario(amount);
            for number in 0..session.names().len() {
                session.run(&scenario, &scenario.work, 0, number, Some(amount as f64))?;
            }
        }
    }
    let names: Vec<String> = session.names().iter().map(|name| (*name).to_owned()).collect();
    let (table, pictures) = told(&session.records, &names);
    let text = format!("{}\n{table}", crate::report::heading(&session.records));
    print!("{text}");
    crate::write(session.folder(), "curves.md", &text)?;
    for (name, text) in pictures {
        crate::write(session.folder(), &name, &text)?;
    }
    eprintln!(
        "records, table and pictures are in {}",
        session.folder().display()
    );
    Ok(())
}

/// The table, and the pictures with their file names. Pure.
fn told(records: &[Record], daemons: &[String]) -> (String, Vec<(String, String)>) {
    let mut table =
        "| over | figure | daemon | measured | exponent, wanted | |\n|---|---|---|---|---|---|\n".to_owned();
    let mut pictures = Vec::new();
    for curve in CURVES {
        for &(figure, wanted) in curve.figures {
            let mut series = Vec::new();
            for daemon in daemons {
                let points = points(records, curve, figure, daemon);
                if points.is_empty() {
                    continue;
                }
                let _ = writeln!(table, "{}", row(curve, figure, wanted, daemon, &points));
                series.push((daemon.clone(), points));
            }
            let picture = Lines {
                title: format!("{} over {}", unit(figure).0, curve.over),
                x: curve.over.to_owned(),
                y: String::new(),
                series,
                marks: Vec::new(),
            };
            let file = format!("curve-{}-{figure}.svg", curve.name);
            pictures.extend(picture.svg().map(|text| (file, text)));
        }
    }
    (table, pictures)
}

fn points(records: &[Record], curve: &Curve, figure: &str, daemon: &str) -> Vec<(f64, f64)> {
    let name = format!("curve-{}", curve.name);
    let runs = records
        .iter()
        .filter(|record| record.scenario == name && record.daemon == daemon);
    runs.filter_map(|record| Some((record.amount?, record.figure(figure)?)))
        .collect()
}

fn row(curve: &Curve, figure: &str, wanted: Growth, daemon: &str, points: &[(f64, f64)]) -> String {
    let measured: Vec<String> = points
        .iter()
        .map(|(amount, value)| format!("{}: {}", number(*amount), number(*value)))
        .collect();
    let exponent = steepest(points);
    let mark = match exponent {
        Some(exponent) if exponent > wanted.exponent() + TOLERANCE => "**grows faster**",
        Some(_) => "as wanted",
        None => "–",
    };
    format!(
        "| {} | {} | {daemon} | {} | {}, {} | {mark} |",
        curve.over,
        unit(figure).0,
        measured.join("; "),
        exponent.map_or("–".to_owned(), |exponent| format!("{exponent:.2}")),
        wanted.exponent(),
    )
}

/// The exponent over the upper half of the points, where what grows too fast shows and what is there anyway does not.
fn steepest(points: &[(f64, f64)]) -> Option<f64> {
    let last = points.last()?;
    let middle = points.get((points.len() - 1) / 2)?;
    growth(*middle, *last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn records(daemon: &str, values: &[(f64, f64)]) -> Vec<Record> {
        let text = r#"{"scenario":"curve-backlog","daemon":"","version":"1","flags":[],"pair":0,"work":"","machine":{"kernel":"k","processor":"p","cores":2}}"#;
        let one = crate::record::read(text).unwrap().remove(0);
        values
            .iter()
            .map(|(amount, value)| Record {
                daemon: daemon.to_owned(),
                amount: Some(*amount),
                figures: [("cpu_s_per_m".to_owned(), *value)].into(),
                ..one.clone()
            })
            .collect()
    }

    #[test]
    fn what_grows_faster_than_it_should_is_marked() {
        let mut all = records("go", &[(1e4, 1.0), (1e5, 1.0), (1e6, 10.0)]);
        all.extend(records("ours", &[(1e4, 5.0), (1e5, 1.0), (1e6, 1.1)]));
        let (table, pictures) = told(&all, &["go".to_owned(), "ours".to_owned()]);
        let rows: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| messages on the disk, then drained | processor, s/M | go | 10,000: 1.00; 100,000: 1.00; 1,000,000: 10.0 | 1.00, 0 | **grows faster** |",
                "| messages on the disk, then drained | processor, s/M | ours | 10,000: 5.00; 100,000: 1.00; 1,000,000: 1.10 | 0.04, 0 | as wanted |",
            ]
        );
        assert_eq!(pictures.len(), 1);
        assert_eq!(pictures[0].0, "curve-backlog-cpu_s_per_m.svg");
    }

    #[test]
    fn a_single_point_has_no_exponent() {
        assert_eq!(steepest(&[(1.0, 2.0)]), None);
        assert_eq!(steepest(&[]), None);
        let (table, _) = told(&records("go", &[(1e4, 1.0)]), &["go".to_owned()]);
        assert!(table.ends_with("| –, 0 | – |\n"), "{table}");
    }

    #[test]
    fn names_are_unique_and_amounts_grow() {
        let names: BTreeSet<_> = CURVES.iter().map(|curve| curve.name).collect();
        assert_eq!(names.len(), CURVES.len());
        assert!(CURVES.iter().all(|curve| curve.amounts.is_sorted()));
    }
}
