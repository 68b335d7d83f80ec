//! What a run leaves: one line of JSON. Everything that is shown is made from these lines.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// Numbers by name; the unit is in the name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Percentiles, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) p9999: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// From nanoseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count: histogram.len(),
            mean: histogram.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max() as f64 / 1e3,
        }
    }

    fn percentile(&self, name: &str) -> Option<f64> {
        Some(match name {
            "p50" => self.p50,
            "p90" => self.p90,
            "p99" => self.p99,
            "p999" => self.p999,
            "p9999" => self.p9999,
            "max" => self.max,
            _ => return None,
        })
    }
}

/// One run of one scenario on one daemon.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) scenario: String,
    /// As it was called on the command line.
    pub(crate) daemon: String,
    pub(crate) version: String,
    pub(crate) flags: Vec<String>,
    /// Which pair, from 0.
    pub(crate) pair: usize,
    /// The work as it was done, with its counts.
    pub(crate) work: String,
    /// How much of it there was, where that is what a curve goes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) amount: Option<f64>,
    pub(crate) machine: Machine,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) figures: Figures,
    #[serde(default)]
    pub(crate) latencies: BTreeMap<String, Latency>,
}

impl Record {
    /// A figure, or a percentile of a latency: `cpu_s_per_m`, `end_to_end.p50`.
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        match name.split_once('.') {
            None => self.figures.get(name).copied(),
            Some((latency, percentile)) => self.latencies.get(latency)?.percentile(percentile),
        }
    }
}

/// Reads what runs left. A line that was cut off in writing is named.
///
/// # Errors
/// A line is none of ours.
pub(crate) fn read(text: &str) -> Result<Vec<Record>, String> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line)
                .map_err(|why| format!("line {}: no record of a run: {why}", number + 1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_has_its_figures() {
        let mut histogram = Histogram::new(3).unwrap();
        (1..=100).for_each(|n| histogram.record(n * 1000).unwrap());
        let record = Record {
            scenario: "a".to_owned(),
            daemon: "go".to_owned(),
            version: "1".to_owned(),
            flags: Vec::new(),
            pair: 0,
            work: String::new(),
            amount: None,
            machine: Machine::default(),
            error: None,
            figures: BTreeMap::from([("cpu_s_per_m".to_owned(), 1.5)]),
            latencies: BTreeMap::from([("late".to_owned(), Latency::of(&histogram))]),
        };
        let line = serde_json::to_string(&record).unwrap();
        let back = &read(&format!("{line}\n\n")).unwrap()[0];
        assert_eq!(back.figure("cpu_s_per_m"), Some(1.5));
        let median = back.figure("late.p50").unwrap();
        assert!((median - 50.0).abs() < 0.1, "{median}");
        assert_eq!(back.figure("late.p12"), None);
        assert_eq!(back.figure("nothing"), None);
        assert!(read("{").is_err());
    }
}
