//! Durations as users write them: `"90s"`, `"1m30s"`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Longest text of a duration, in characters.
const MAX_LENGTH: usize = 16;
/// The form the schema asks for, in the syntax both the API server and the offline check read.
const PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// A length of time that keeps the text it was written with, because daemons get that text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    text: String,
    value: Duration,
}

/// The text is not a duration of `ms s m h` parts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration of ms, s, m and h parts such as 1m30s")]
pub struct SpanError(String);

impl Span {
    /// The length of time. Parts finer than a nanosecond are cut.
    #[must_use]
    pub fn get(&self) -> Duration {
        self.value
    }

    /// The text as the user wrote it; valid for the daemons' duration options too.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Zero means "off" or "none" for most fields.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.value.is_zero()
    }

    /// A whole number of seconds, written in minutes when that loses nothing.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Self {
        let text = match (seconds / 60, seconds % 60) {
            (minutes, 0) if minutes > 1 => format!("{minutes}m"),
            _ => format!("{seconds}s"),
        };
        Self {
            text,
            value: Duration::from_secs(seconds),
        }
    }

    fn parse(text: &str) -> Option<Duration> {
        if text.is_empty() || text.len() > MAX_LENGTH {
            return None;
        }
        let mut nanos: u128 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let (part, after) = parse_part(rest)?;
            nanos = nanos.checked_add(part)?;
            rest = after;
        }
        let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
        let fraction = u32::try_from(nanos % 1_000_000_000).ok()?;
        Some(Duration::new(seconds, fraction))
    }
}

/// Reads one `<number><unit>`; returns its nanoseconds and the text after it.
fn parse_part(text: &str) -> Option<(u128, &str)> {
    let (whole, mut rest) = split_digits(text)?;
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        (fraction, rest) = split_digits(after)?;
    }
    // "ms" before "m": the longer unit would otherwise never be seen.
    let units: [(&str, u128); 4] = [
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let (unit, after) = units
        .iter()
        .find_map(|(name, nanos)| Some((*nanos, rest.strip_prefix(name)?)))?;
    let mut nanos = whole.parse::<u128>().ok()?.checked_mul(unit)?;
    if !fraction.is_empty() {
        let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        nanos = nanos.checked_add(fraction.parse::<u128>().ok()?.checked_mul(unit)? / scale)?;
    }
    Some((nanos, after))
}

/// Splits leading decimal digits (at least one) from the rest.
fn split_digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        match Self::parse(&text) {
            Some(value) => Ok(Self { text, value }),
            None => Err(SpanError(text)),
        }
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.text
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": MAX_LENGTH, "pattern": PATTERN})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    fn span(text: &str) -> Result<Duration, SpanError> {
        Span::try_from(text.to_owned()).map(|span| span.get())
    }

    #[test]
    fn reads_every_unit_and_their_sums() {
        assert_eq!(span("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(span("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(span("0s"), Ok(Duration::ZERO));
        assert_eq!(
            span("9999999999999h").unwrap().as_secs(),
            9_999_999_999_999 * 3600
        );
    }

    #[test]
    fn refuses_what_the_pattern_refuses() {
        for text in [
            "",
            "5",
            "s",
            "1.s",
            ".5s",
            "-1s",
            "1d",
            "1s ",
            "1 s",
            "00000000000000001s",
        ] {
            assert!(span(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn writes_seconds_the_short_way() {
        let texts = [15, 60, 90, 120, 600].map(|seconds| Span::from_seconds(seconds).to_string());
        assert_eq!(texts, ["15s", "60s", "90s", "2m", "10m"]);
    }
}
