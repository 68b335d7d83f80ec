//! Columns of latencies from publish to FIN, one for each quantile that some node measures.

use super::super::fmt;
use super::super::table::Column;
use super::super::td::{Rank, Td};
use super::columns::Counted;
use crate::model::{LatencyRecord, Percentile};

/// Keys of the columns: as many as are shown.
const KEYS: [&str; 4] = ["e2e", "e2e2", "e2e3", "e2e4"];

/// The quantiles of these, the highest first.
pub(super) fn quantiles<'a>(all: impl Iterator<Item = Option<&'a LatencyRecord>>) -> Vec<f64> {
    let mut quantiles: Vec<f64> = all
        .flatten()
        .flat_map(|latency| latency.percentiles.iter().flatten())
        .map(|own| own.quantile)
        .collect();
    quantiles.sort_by(|a, b| b.total_cmp(a));
    quantiles.dedup();
    quantiles.truncate(KEYS.len());
    quantiles
}

/// A column for each.
pub(super) fn columns<'a, T: Counted>(quantiles: &[f64]) -> Vec<Column<'a, T>> {
    let each = KEYS.into_iter().zip(quantiles.iter().copied());
    each.map(|(key, quantile)| Column {
        heading: Some(format!("e2e {} %", percent(quantile))),
        ..Column::number(
            key,
            "",
            "time from publish to FIN: this part of the messages took at most so long",
            move |thing: &T| cell(thing.latency().and_then(|latency| latency.at(quantile))),
        )
    })
    .collect()
}

/// The mean, weighted by messages; the tooltip has the extremes.
fn cell(percentile: Option<&Percentile>) -> Td {
    match percentile {
        None => Td::unknown("no node measures it"),
        Some(own) if own.count == 0 => Td::unknown("no message was finished within the window"),
        Some(own) => Td {
            text: nanos(own.average),
            class: "number",
            title: format!(
                "lowest {}, highest {}, of {} messages",
                nanos(own.min),
                nanos(own.max),
                fmt::count(own.count)
            ),
            rank: Rank::Number(own.average),
            ..Td::default()
        },
    }
}

fn nanos(value: f64) -> String {
    let seconds = (value / 1e9).clamp(0.0, 1e9);
    fmt::duration(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// 0.99 as `99`, 0.999 as `99.9`.
fn percent(quantile: f64) -> String {
    let text = format!("{:.3}", quantile * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_have_names_of_percent() {
        for (quantile, text) in [(0.99, "99"), (0.999, "99.9"), (0.5, "50"), (1.0, "100")] {
            assert_eq!(percent(quantile), text);
        }
    }
}
