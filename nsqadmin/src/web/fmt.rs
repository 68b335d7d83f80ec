//! Numbers as people read them (console spec 7).

use crate::model::Sum;

/// A number in a table: what is shown, how it looks, and the whole truth for the tooltip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    /// `zero`, `unknown`, `partial` or nothing.
    pub(super) class: &'static str,
    pub(super) title: String,
    /// How many nodes a partial sum covers, such as `1/2 nodes`; empty if it covers all.
    pub(super) note: String,
}

impl Cell {
    /// A number that is known.
    pub(super) fn number(value: i64) -> Self {
        let class = if value == 0 { "zero" } else { "" };
        Self {
            text: count(value),
            class,
            title: value.to_string(),
            note: String::new(),
        }
    }

    /// A number that is not known, and why.
    pub(super) fn unknown(reason: &str) -> Self {
        Self {
            text: "–".to_owned(),
            class: "unknown",
            title: format!("unknown: {reason}"),
            note: String::new(),
        }
    }

    /// A sum over nodes: unknown if none of them answered, marked if some did not.
    pub(super) fn sum(sum: Sum) -> Self {
        match sum {
            Sum { nodes: 0, .. } => Self::unknown("no node has it"),
            Sum { answered: 0, .. } => Self::unknown("its nodes do not answer"),
            Sum {
                value,
                nodes,
                answered,
            } if answered < nodes => Self {
                class: "partial",
                title: format!("{value} on {answered} of {nodes} nodes; the others do not answer"),
                note: format!("{answered}/{nodes} nodes"),
                ..Self::number(value)
            },
            Sum { value, .. } => Self::number(value),
        }
    }
}

/// `9,999,999`, above that `12.3 M` and `4.56 G`.
pub(super) fn count(value: i64) -> String {
    let size = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    match size {
        0..=9_999_999 => format!("{sign}{}", with_commas(size)),
        10_000_000..=999_999_999 => format!("{sign}{} M", three_digits(size, 1_000_000)),
        _ => format!("{sign}{} G", three_digits(size, 1_000_000_000)),
    }
}

/// `5 s`, `4 min`, `2 h 10 min`, `12 d`.
pub(super) fn duration(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3_600 => format!("{} min", s / 60),
        s @ 3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        s => format!("{} d", s / 86_400),
    }
}

fn with_commas(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn three_digits(value: u64, unit: u64) -> String {
    let (whole, below) = (value / unit, value % unit);
    match whole {
        0..=9 => format!("{whole}.{:02}", below * 100 / unit),
        10..=99 => format!("{whole}.{}", below * 10 / unit),
        _ => with_commas(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_readable() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (9_999_999, "9,999,999"),
            (12_345_678, "12.3 M"),
            (345_000_000, "345 M"),
            (4_560_000_000, "4.56 G"),
            (-1_000, "-1,000"),
            (i64::MIN, "-9,223,372,036 G"),
        ] {
            assert_eq!(count(value), text);
        }
    }

    #[test]
    fn durations_are_readable() {
        for (seconds, text) in [
            (-1, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (7_800, "2 h 10 min"),
            (86_400 * 12 + 5, "12 d"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn what_is_not_known_is_never_zero() {
        let sum = |value, nodes, answered| {
            Cell::sum(Sum {
                value,
                nodes,
                answered,
            })
        };
        assert_eq!(sum(0, 0, 0).text, "–");
        assert_eq!(sum(0, 2, 0).text, "–");
        assert_eq!((sum(0, 2, 2).text.as_str(), sum(0, 2, 2).class), ("0", "zero"));
        assert_eq!(
            (sum(7, 2, 1).note.as_str(), sum(7, 2, 1).class),
            ("1/2 nodes", "partial")
        );
    }
}
