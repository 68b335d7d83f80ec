//! One value on a page: what is shown, how it looks, the whole truth, and how it is sorted.

use std::cmp::Ordering;
use std::time::Duration;

use super::chart::Svg;
use super::fmt;
use crate::model::{Rates, Sum};

/// A value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Td {
    pub(super) text: String,
    /// Where the text leads; empty for nowhere.
    pub(super) url: String,
    /// Words of the fixed list of the stylesheet.
    pub(super) class: &'static str,
    /// For the tooltip.
    pub(super) title: String,
    pub(super) note: String,
    /// More that the row leads to: words and places.
    pub(super) links: Vec<(&'static str, String)>,
    /// A chip: its class and its icon.
    pub(super) chip: Option<(&'static str, &'static str)>,
    pub(super) rank: Rank,
    /// A line beside the text.
    pub(super) svg: Svg,
    /// Of a patch; empty for a value that does not change by itself.
    pub(super) key: String,
}

/// What a table is sorted by. Unknown values come last, in both directions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Rank {
    #[default]
    Unknown,
    Number(f64),
    Text(String),
}

impl Rank {
    pub(super) fn order(&self, other: &Self, is_descending: bool) -> Ordering {
        let order = match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Unknown, Self::Unknown) => Ordering::Equal,
            (Self::Unknown, _) => return Ordering::Greater,
            (_, Self::Unknown) => return Ordering::Less,
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        };
        if is_descending { order.reverse() } else { order }
    }
}

impl Td {
    /// Text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            rank: Rank::Text(text.clone()),
            text,
            ..Self::default()
        }
    }

    /// A name that leads to its page.
    pub(super) fn link(text: impl Into<String>, url: String) -> Self {
        Self {
            url,
            ..Self::text(text)
        }
    }

    /// A word with an icon.
    pub(super) fn chip(class: &'static str, icon: &'static str, text: impl Into<String>) -> Self {
        Self {
            chip: Some((class, icon)),
            ..Self::text(text)
        }
    }

    /// The same with a tooltip.
    pub(super) fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// A number that is known.
    #[allow(clippy::cast_precision_loss, reason = "only sorted by it")]
    pub(super) fn number(value: i64) -> Self {
        Self {
            text: fmt::count(value),
            class: if value == 0 { "number zero" } else { "number" },
            title: value.to_string(),
            rank: Rank::Number(value as f64),
            ..Self::default()
        }
    }

    /// A number that is not known, and why.
    pub(super) fn unknown(reason: &str) -> Self {
        Self {
            text: "–".to_owned(),
            class: "number unknown",
            title: format!("unknown: {reason}"),
            ..Self::default()
        }
    }

    /// The same as what the nodes of `sum` that answer say: unknown if none of them did, marked if some did not.
    pub(super) fn covering(self, sum: Sum) -> Self {
        match sum {
            Sum { nodes: 0, .. } => Self::unknown("no node has it"),
            Sum { answered: 0, .. } => Self::unknown("its nodes do not answer"),
            Sum { nodes, answered, .. } if answered < nodes => Self {
                class: "number partial",
                title: format!(
                    "{} on {answered} of {nodes} nodes; the others do not answer",
                    self.title
                ),
                note: format!("{answered}/{nodes} nodes"),
                ..self
            },
            Sum { .. } => self,
        }
    }

    /// A speed, which is not a number while it is not known.
    pub(super) fn rate(value: f32, is_derived: bool) -> Self {
        let value = f64::from(value);
        if value.is_nan() {
            return Self::unknown("needs two answers of the same process");
        }
        let (sign, words) = if is_derived {
            ("≈ ", ", derived from other counters")
        } else {
            ("", "")
        };
        Self {
            text: format!("{sign}{}", fmt::rate(value)),
            class: if value < 0.005 { "number zero" } else { "number" },
            title: format!("{value:.6} per second{words}"),
            rank: Rank::Number(value),
            ..Self::default()
        }
    }

    /// How fast messages are finished.
    pub(super) fn done(rates: &Rates) -> Self {
        Self::rate(rates.done, rates.is_derived)
    }

    #[allow(clippy::cast_precision_loss, reason = "only sorted by it")]
    pub(super) fn bytes(value: u64) -> Self {
        Self {
            text: fmt::bytes(value),
            class: if value == 0 { "number zero" } else { "number" },
            title: format!("{value} bytes"),
            rank: Rank::Number(value as f64),
            ..Self::default()
        }
    }

    pub(super) fn took(value: Duration) -> Self {
        Self {
            text: fmt::duration(value),
            class: "number",
            title: format!("{} s", value.as_secs_f64()),
            rank: Rank::Number(value.as_secs_f64()),
            ..Self::default()
        }
    }

    /// Seconds that passed.
    #[allow(clippy::cast_precision_loss, reason = "only sorted by it")]
    pub(super) fn age(seconds: i64) -> Self {
        Self {
            text: fmt::seconds(seconds),
            class: "number",
            title: format!("{seconds} s"),
            rank: Rank::Number(seconds as f64),
            ..Self::default()
        }
    }

    /// Memory and disk of a depth.
    #[allow(clippy::cast_precision_loss, reason = "only sorted by it")]
    pub(super) fn split(memory: i64, disk: i64) -> Self {
        Self {
            text: format!("{} + {}", fmt::count(memory), fmt::count(disk)),
            class: "number",
            title: format!("{memory} in memory, {disk} on disk"),
            rank: Rank::Number(disk as f64),
            ..Self::default()
        }
    }

    /// How many there are.
    pub(super) fn many(many: usize) -> Self {
        Self::number(i64::try_from(many).unwrap_or(i64::MAX))
    }

    /// The value as a machine reads it: a number without commas, or the text.
    pub(super) fn exact(&self) -> String {
        match &self.rank {
            Rank::Number(value) => value.to_string(),
            Rank::Text(text) => text.clone(),
            Rank::Unknown => String::new(),
        }
    }
}

impl From<i64> for Td {
    fn from(value: i64) -> Self {
        Self::number(value)
    }
}

impl From<u32> for Td {
    fn from(value: u32) -> Self {
        Self::number(i64::from(value))
    }
}

impl From<u64> for Td {
    fn from(value: u64) -> Self {
        Self::number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_never_zero() {
        let sum = |value, nodes, answered| Td::number(value).covering(Sum { nodes, answered });
        assert_eq!(sum(0, 0, 0).text, "–");
        assert_eq!(sum(0, 2, 0).text, "–");
        assert_eq!(Td::rate(f32::NAN, false).text, "–");
        assert_eq!(
            (sum(0, 2, 2).text.as_str(), sum(0, 2, 2).class),
            ("0", "number zero")
        );
        assert_eq!(
            (sum(7, 2, 1).note.as_str(), sum(7, 2, 1).class),
            ("1/2 nodes", "number partial")
        );
    }

    #[test]
    fn unknown_values_come_last_in_both_directions() {
        let mut ranks = [Rank::Unknown, Rank::Number(1.0), Rank::Number(3.0)];
        for is_descending in [false, true] {
            ranks.sort_by(|a, b| a.order(b, is_descending));
            assert_eq!(ranks.last(), Some(&Rank::Unknown));
        }
        assert_eq!(ranks.first(), Some(&Rank::Number(3.0)));
    }
}
