//! Parsed values and their text forms.

use std::time::Duration;

use super::table::{Flag, Kind};
use crate::log::level::Level;
use crate::{duration, json};

/// The value of one option.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    String(String),
    /// Integer.
    Int(i64),
    /// Switch.
    Bool(bool),
    /// Nanoseconds, may be negative.
    Duration(i64),
    /// List of texts.
    Strings(Vec<String>),
    /// List of numbers.
    Floats(Vec<f64>),
    /// Bytes.
    Size(u64),
    /// Log level.
    Level(Level),
    /// Canonical text and number of a closed set.
    Custom(String, i64),
}

/// How `GET /config/:opt` shows a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rendered {
    /// Raw text.
    Text(String),
    /// JSON.
    Json(Vec<u8>),
}

impl Value {
    /// Reads one text of `kind`. Lists are read as they stand on the command line: one element, or comma separated
    /// numbers.
    ///
    /// # Errors
    /// What is wrong, in Go's words.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, String> {
        Ok(match kind {
            Kind::String => Self::String(text.to_owned()),
            Kind::Int => Self::Int(parse_int(text)?),
            Kind::Bool => Self::Bool(parse_bool(text).ok_or("parse error")?),
            Kind::Duration => Self::Duration(duration::parse(text).map_err(|_| "parse error")?),
            Kind::Strings => Self::Strings(vec![text.to_owned()]),
            Kind::Floats => Self::Floats(parse_floats(text)?),
            Kind::Size => Self::Size(parse_size(text)?),
            Kind::Level => Self::Level(Level::parse(text)?),
            Kind::Custom { parse, .. } => parse(text).map(|(text, number)| Self::Custom(text, number))?,
        })
    }

    /// The value as `GET /config/:opt` answers it (nsqd spec 6.6): durations in nanoseconds, levels as a number.
    #[must_use]
    pub fn render(&self) -> Rendered {
        let json = match self {
            Self::String(text) => return Rendered::Text(text.clone()),
            Self::Int(number) | Self::Duration(number) | Self::Custom(_, number) => json::to_vec(number),
            Self::Bool(value) => json::to_vec(value),
            Self::Strings(list) => json::to_vec(list),
            Self::Floats(list) => json::to_vec(list),
            Self::Size(bytes) => json::to_vec(bytes),
            Self::Level(level) => json::to_vec(&level.number()),
        };
        // numbers and texts into memory cannot fail
        Rendered::Json(json.unwrap_or_default())
    }
}

/// The options of a program after all sources were read.
#[derive(Clone, Debug)]
pub struct Values {
    pub(super) rows: Vec<Row>,
    pub(super) rest: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) flag: &'static Flag,
    pub(super) value: Value,
    pub(super) source: Source,
}

/// Where a value comes from. A later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Default,
    File,
    Flag,
}

impl Values {
    /// Arguments behind the flags.
    #[must_use]
    pub fn rest(&self) -> &[String] {
        &self.rest
    }

    pub(super) fn defaults(flags: &'static [Flag], overrides: &[(&'static str, String)]) -> Self {
        let rows = flags.iter().map(|flag| {
            let text = default_text(flag, overrides);
            let value = match (flag.kind, text) {
                (Kind::Strings, "") => Value::Strings(Vec::new()),
                (Kind::Floats, "") => Value::Floats(Vec::new()),
                (kind, text) => Value::parse(kind, text)
                    .unwrap_or_else(|error| unreachable!("default {text:?} of -{}: {error}", flag.name)),
            };
            Row {
                flag,
                value,
                source: Source::Default,
            }
        });
        Self {
            rows: rows.collect(),
            rest: Vec::new(),
        }
    }

    /// True if the table has a flag of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.rows.iter().any(|row| row.flag.name == name)
    }

    /// True if the option was set, on the command line or in the file.
    ///
    /// # Panics
    /// The table has no such flag.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        match self.rows.iter().find(|row| row.flag.name == name) {
            Some(row) => row.source != Source::Default,
            None => unreachable!("no flag -{name} in the table"),
        }
    }

    /// The value of the option with this config key, as `GET /config/:opt` answers it; none for an unknown key.
    #[must_use]
    pub fn render(&self, key: &str) -> Option<Rendered> {
        self.rows
            .iter()
            .find(|row| row.flag.config_key().is_some_and(|own| own == key))
            .map(|row| row.value.render())
    }

    /// Replaces the value of the option with this config key, for options that change or are completed at run time.
    /// Does nothing for an unknown key.
    pub fn set(&mut self, key: &str, value: Value) {
        if let Some(row) = self
            .rows
            .iter_mut()
            .find(|row| row.flag.config_key().is_some_and(|own| own == key))
        {
            row.value = value;
        }
    }

    fn value(&self, name: &str) -> &Value {
        match self.rows.iter().find(|row| row.flag.name == name) {
            Some(row) => &row.value,
            None => unreachable!("no flag -{name} in the table"),
        }
    }

    /// A text.
    ///
    /// # Panics
    /// The table has no such flag, or of another kind; so do all getters below.
    #[must_use]
    pub fn string(&self, name: &str) -> &str {
        match self.value(name) {
            Value::String(text) | Value::Custom(text, _) => text,
            other => unreachable!("-{name} is {other:?}"),
        }
    }

    /// An integer, or the number of a closed set's text.
    #[must_use]
    pub fn int(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Int(number) | Value::Custom(_, number) => *number,
            other => unreachable!("-{name} is {other:?}"),
        }
    }

    /// A switch.
    #[must_use]
    pub fn bool(&self, name: &str) -> bool {
        match self.value(name) {
            Value::Bool(value) => *value,
            other => unreachable!("-{name} is {other:?}"),
        }
    }

    /// A duration; a negative one is zero.
    #[must_use]
    pub fn duration(&self, name: &str) -> Duration {
        match self.value(name) {
            Value::Duration(nanos) => Duration::from_nanos(u64::try_from(*nanos).unwrap_or(0)),
            other => unreachable!("-{name} is {other:?}"),
        }
    }

    /// A list of texts.
    #[must_use]
    pub fn strings(&self, name: &str) -> &[String] {
        match self.value(name) {
            Value::Strings(list) => list,
            other => unreachable!("-{name} is {other:?}"),
        }
    }

    /// A list of numbers.
    #[must_use]
    pub fn floats(&self, name: &str) -> &[f64] {
        match self.value(name) {
            Value::Floats(list) => list,
            other => unreachable!("-{name} is {other:?}"),
        }
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self, name: &str) -> u64 {
        match self.value(name) {
            Value::Size(bytes) => *bytes,
            other => unreachable!("-{name} is {other:?}"),
        }
    }

    /// A log level.
    #[must_use]
    pub fn level(&self, name: &str) -> Level {
        match self.value(name) {
            Value::Level(level) => *level,
            other => unreachable!("-{name} is {other:?}"),
        }
    }
}

/// The default of `flag` as text, looking first at what is known only at run time.
pub(super) fn default_text<'a>(flag: &Flag, overrides: &'a [(&'static str, String)]) -> &'a str {
    overrides
        .iter()
        .find(|(name, _)| *name == flag.name)
        .map_or(flag.default, |(_, value)| value.as_str())
}

/// A bool in one of Go's spellings.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn parse_int(text: &str) -> Result<i64, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        // as in Go and C, a leading zero means octal
        Some(start) if start.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return Err("parse error".to_owned());
    }
    let signed = if negative {
        format!("-{digits}")
    } else {
        digits.to_owned()
    };
    i64::from_str_radix(&signed, base).map_err(|error| match error.kind() {
        PosOverflow | NegOverflow => "value out of range".to_owned(),
        _ => "parse error".to_owned(),
    })
}

/// Comma separated numbers, sorted descending as the reference's flag does.
pub(super) fn parse_floats(text: &str) -> Result<Vec<f64>, String> {
    let parse = |part: &str| {
        part.trim()
            .parse::<f64>()
            .map_err(|_| format!("invalid number {part:?}"))
    };
    let mut list = text.split(',').map(parse).collect::<Result<Vec<_>, _>>()?;
    list.sort_by(|a, b| b.total_cmp(a));
    Ok(list)
}

fn parse_size(text: &str) -> Result<u64, String> {
    let invalid = || format!("invalid size {text:?} (bytes, or a number with k M G T Ki Mi Gi Ti)");
    let body = text.strip_suffix('B').unwrap_or(text);
    let end = body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len());
    let (digits, unit) = body.split_at(end);
    let factor: u64 = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return Err(invalid()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(invalid)
}
