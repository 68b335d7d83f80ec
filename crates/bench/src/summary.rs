//! Medians, ratios of pairs and verdicts. Pure.

use std::fmt;

use crate::record::Record;
use crate::scenario::{Aim, Goal};

/// The median of some values, with the smallest and the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) count: usize,
}

impl Spread {
    /// None of nothing; what is no number does not count.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (&least, &most) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self {
            median,
            least,
            most,
            count: sorted.len(),
        })
    }
}

/// Whether a target is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    /// The median misses it, a pair reaches it.
    MissedWithinSpread,
    Missed,
    /// There is no target.
    None,
    /// There is one, and nothing to hold against it.
    NotMeasured,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::MissedWithinSpread => "**missed** (within the spread)",
            Self::Missed => "**missed**",
            Self::None => "–",
            Self::NotMeasured => "not measured",
        })
    }
}

/// One figure of one scenario on both daemons.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) goal: Goal,
    pub(crate) reference: Option<Spread>,
    pub(crate) ours: Option<Spread>,
    /// How many times better ours is, of each pair: less where less is better, else more.
    pub(crate) ratio: Option<Spread>,
    pub(crate) verdict: Verdict,
}

/// Holds the runs of one scenario against a goal. Runs that failed do not count, and a pair needs both.
pub(crate) fn compare(reference: &[&Record], ours: &[&Record], goal: Goal) -> Comparison {
    let figure = |record: &Record| record.figure(goal.figure).filter(|_| record.error.is_none());
    let of = |records: &[&Record]| Spread::of(records.iter().filter_map(|record| figure(record)));
    let less_is_better = !matches!(goal.aim, Aim::TimesMore(_) | Aim::More);
    let ratios = reference.iter().filter_map(|theirs| {
        let mine = ours.iter().find(|record| record.pair == theirs.pair)?;
        let (theirs, mine) = (figure(theirs)?, figure(mine)?);
        Some(if less_is_better {
            theirs / mine
        } else {
            mine / theirs
        })
    });
    let ratio = Spread::of(ratios);
    let ours = of(ours);
    Comparison {
        goal,
        reference: of(reference),
        ours,
        ratio,
        verdict: verdict(goal.aim, ours, ratio),
    }
}

fn verdict(aim: Aim, ours: Option<Spread>, ratio: Option<Spread>) -> Verdict {
    let reached = |median: bool, best: bool| match (median, best) {
        (true, _) => Verdict::Met,
        (false, true) => Verdict::MissedWithinSpread,
        (false, false) => Verdict::Missed,
    };
    match (aim, ours, ratio) {
        (Aim::Less | Aim::More, ..) => Verdict::None,
        (Aim::TimesLess(times) | Aim::TimesMore(times), _, Some(ratio)) => {
            reached(ratio.median >= times, ratio.most >= times)
        }
        (Aim::AtMost(most), Some(ours), _) => reached(ours.median <= most, ours.least <= most),
        _ => Verdict::NotMeasured,
    }
}

/// How fast something grows: the exponent between two points, 1 for linear. None where one of them is nothing.
pub(crate) fn growth((x0, y0): (f64, f64), (x1, y1): (f64, f64)) -> Option<f64> {
    let exponent = (y1 / y0).ln() / (x1 / x0).ln();
    exponent.is_finite().then_some(exponent)
}

/// The slope of the straight line through points, by least squares. None of fewer than two.
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), (x, y)| {
        (over + (x - mean_x) * (y - mean_y), under + (x - mean_x).powi(2))
    });
    let slope = over / under;
    slope.is_finite().then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use proptest::prelude::*;

    fn record(daemon: &str, pair: usize, value: f64) -> Record {
        Record {
            scenario: "s".to_owned(),
            daemon: daemon.to_owned(),
            version: String::new(),
            flags: Vec::new(),
            pair,
            work: String::new(),
            amount: None,
            machine: Machine::default(),
            error: None,
            figures: [("x".to_owned(), value)].into(),
            latencies: Default::default(),
        }
    }

    fn compared(theirs: &[f64], ours: &[f64], aim: Aim) -> Comparison {
        let of = |name, values: &[f64]| -> Vec<Record> {
            let records = values.iter().enumerate();
            records.map(|(pair, value)| record(name, pair, *value)).collect()
        };
        let (theirs, ours) = (of("go", theirs), of("ours", ours));
        let goal = Goal { figure: "x", aim };
        compare(
            &theirs.iter().collect::<Vec<_>>(),
            &ours.iter().collect::<Vec<_>>(),
            goal,
        )
    }

    #[test]
    fn verdicts_follow_the_median_of_the_ratios_of_pairs() {
        for (theirs, ours, aim, verdict) in [
            (
                &[10.0, 20.0, 30.0][..],
                &[1.0, 2.0, 3.0][..],
                Aim::TimesLess(10.0),
                Verdict::Met,
            ),
            (
                &[10.0, 20.0, 30.0],
                &[1.0, 2.5, 4.0],
                Aim::TimesLess(10.0),
                Verdict::MissedWithinSpread,
            ),
            (&[10.0, 20.0], &[2.0, 4.0], Aim::TimesLess(10.0), Verdict::Missed),
            (&[1.0], &[8.0], Aim::TimesMore(8.0), Verdict::Met),
            (&[1.0], &[7.9], Aim::TimesMore(8.0), Verdict::Missed),
            (&[], &[4.0], Aim::AtMost(4.0), Verdict::Met),
            (
                &[],
                &[3.9, 4.1, 4.2],
                Aim::AtMost(4.0),
                Verdict::MissedWithinSpread,
            ),
            (&[1.0], &[], Aim::TimesLess(2.0), Verdict::NotMeasured),
            (&[1.0], &[2.0], Aim::Less, Verdict::None),
        ] {
            let compared = compared(theirs, ours, aim);
            assert_eq!(compared.verdict, verdict, "{theirs:?} {ours:?} {aim:?}");
        }
    }

    #[test]
    fn a_run_that_failed_does_not_count() {
        let theirs = [record("go", 0, 10.0), record("go", 1, 10.0)];
        let mut ours = [record("ours", 0, 1.0), record("ours", 1, 5.0)];
        ours[1].error = Some("stood still".to_owned());
        let goal = Goal {
            figure: "x",
            aim: Aim::TimesLess(10.0),
        };
        let compared = compare(&theirs.each_ref(), &ours.each_ref(), goal);
        assert_eq!(compared.ratio.unwrap().count, 1);
        assert_eq!(compared.verdict, Verdict::Met);
    }

    #[test]
    fn growth_is_the_exponent() {
        for (power, wanted) in [(1, 1.0), (2, 2.0), (0, 0.0)] {
            let point = |x: f64| (x, x.powi(power));
            assert!((growth(point(10.0), point(1000.0)).unwrap() - wanted).abs() < 1e-9);
        }
        assert_eq!(growth((1.0, 0.0), (2.0, 1.0)), None);
        assert_eq!(growth((1.0, 5.0), (1.0, 6.0)), None);
    }

    #[test]
    fn the_slope_of_a_line_is_its_slope() {
        let line: Vec<_> = (0..5).map(|x| (f64::from(x), 3.0 * f64::from(x) + 7.0)).collect();
        assert!((slope(&line).unwrap() - 3.0).abs() < 1e-9);
        assert_eq!(slope(&line[..1]), None);
        assert_eq!(slope(&[]), None);
    }

    proptest! {
        #[test]
        fn the_median_lies_between_the_ends(values in prop::collection::vec(-1e9..1e9_f64, 1..40)) {
            let spread = Spread::of(values.clone()).unwrap();
            prop_assert!(spread.least <= spread.median && spread.median <= spread.most);
            prop_assert_eq!(spread.count, values.len());
            let below = values.iter().filter(|v| **v < spread.median).count();
            let above = values.iter().filter(|v| **v > spread.median).count();
            prop_assert!(below <= values.len() / 2 && above <= values.len() / 2);
        }

        #[test]
        fn better_by_a_factor_is_that_ratio(theirs in prop::collection::vec(0.1..1e6_f64, 1..9), times in 0.5..50.0_f64) {
            let ours: Vec<f64> = theirs.iter().map(|value| value / times).collect();
            let ratio = compared(&theirs, &ours, Aim::TimesLess(1.0)).ratio.unwrap();
            prop_assert!((ratio.median / times - 1.0).abs() < 1e-9);
        }
    }
}
