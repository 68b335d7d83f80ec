//! Which pictures are made of the records of a run. Pure.

use crate::record::{Latency, Record};
use crate::report::Names;
use crate::scenario::{Scenario, Work};
use crate::summary::Spread;
use crate::svg::{Bars, Lines};

/// A file name and its text.
pub(crate) type Picture = (String, String);

/// Throughput, processor time and memory of all scenarios that have them, and latencies of each timetable.
pub(crate) fn all(scenarios: &[Scenario], records: &[Record], names: Names<'_>) -> Vec<Picture> {
    let mut pictures = Vec::new();
    for (file, figure, title) in [
        ("throughput", "per_second", "Messages per second (more is better)"),
        (
            "processor",
            "cpu_s_per_m",
            "Processor seconds of nsqd per million messages (less is better)",
        ),
        (
            "memory",
            "rss_mib_peak",
            "Resident memory of nsqd at most, MiB (less is better)",
        ),
    ] {
        let rows = scenarios
            .iter()
            .filter(|scenario| scenario.goals.iter().any(|goal| goal.figure == figure))
            .map(|scenario| {
                let of = |daemon| median(records, &scenario.name, daemon, |r| r.figure(figure));
                (scenario.name.clone(), vec![of(names.reference), of(names.ours)])
            })
            .filter(|(_, values)| values.iter().any(Option::is_some))
            .collect();
        let bars = Bars {
            title: title.to_owned(),
            names: vec![names.reference.to_owned(), names.ours.to_owned()],
            rows,
        };
        pictures.extend(bars.svg().map(|text| (format!("{file}.svg"), text)));
    }
    for scenario in scenarios.iter().filter(|s| matches!(s.work, Work::Timetable(_))) {
        let text = latencies(scenario, records, names).svg();
        // A name may hold a sign that links do not like.
        let file = format!("latency-{}.svg", scenario.name.replace('%', ""));
        pictures.extend(text.map(|text| (file, text)));
    }
    pictures
}

fn median(
    records: &[Record],
    scenario: &str,
    daemon: &str,
    figure: impl Fn(&Record) -> Option<f64>,
) -> Option<f64> {
    let runs = records.iter().filter(|record| record.error.is_none());
    let runs = runs.filter(|record| record.scenario == scenario && record.daemon == daemon);
    Spread::of(runs.filter_map(figure)).map(|spread| spread.median)
}

/// How many messages are slower than a percentile: what the axis goes by.
type Percentile = (f64, &'static str, fn(&Latency) -> f64);
const PERCENTILES: [Percentile; 5] = [
    (2.0, "p50", |l| l.p50),
    (10.0, "p90", |l| l.p90),
    (100.0, "p99", |l| l.p99),
    (1000.0, "p99.9", |l| l.p999),
    (10_000.0, "p99.99", |l| l.p9999),
];

fn latencies(scenario: &Scenario, records: &[Record], names: Names<'_>) -> Lines {
    let mut series = Vec::new();
    for daemon in [names.reference, names.ours] {
        for (latency, what) in [("end_to_end", "end to end"), ("answer", "to the answer")] {
            let points = PERCENTILES.iter().filter_map(|(x, _, of)| {
                let value = |record: &Record| record.latencies.get(latency).map(of);
                let median = median(records, &scenario.name, daemon, value)?;
                Some((*x, median / 1e3))
            });
            series.push((format!("{daemon}, {what}"), points.collect()));
        }
    }
    Lines {
        title: format!(
            "{}: latency from the time that a message was due, ms",
            scenario.name
        ),
        x: "percentile".to_owned(),
        y: String::new(),
        series,
        marks: PERCENTILES
            .iter()
            .map(|(x, name, _)| (*x, (*name).to_owned()))
            .collect(),
    }
}
