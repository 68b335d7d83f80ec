//! Kubernetes quantities. Volume sizes are plain strings, so that CEL's `quantity()` takes them;
//! resource amounts may also be integers, as everywhere in Kubernetes.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// Longest text of a quantity, in characters.
const MAX_LENGTH: usize = 32;
/// What the API server accepts as a quantity.
const PATTERN: &str =
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]{1,3}))?$";

/// A volume size such as `10Gi`, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

/// A resource amount such as `100m` or `1`; integers are kept as their decimal text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ResourceQuantity(pub String);

impl Quantity {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The size in bytes, rounded up to a whole byte; `None` when the text is no quantity that is
    /// zero or more and fits 128 bits.
    #[must_use]
    pub fn bytes(&self) -> Option<u128> {
        let text = self.0.strip_prefix('+').unwrap_or(&self.0);
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let (multiplier, divisor) = scale(suffix)?;
        let digits = format!("{whole}{fraction}").parse::<u128>().ok()?;
        let places = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        Some(
            digits
                .checked_mul(multiplier)?
                .div_ceil(places.checked_mul(divisor)?),
        )
    }
}

/// Multiplier and divisor of a quantity's suffix.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    let scaled = |base: u128, power| base.checked_pow(power).map(|factor| (factor, 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1_000)),
        "k" => scaled(1000, 1),
        "M" => scaled(1000, 2),
        "G" => scaled(1000, 3),
        "T" => scaled(1000, 4),
        "P" => scaled(1000, 5),
        "E" => scaled(1000, 6),
        "Ki" => scaled(1024, 1),
        "Mi" => scaled(1024, 2),
        "Gi" => scaled(1024, 3),
        "Ti" => scaled(1024, 4),
        "Pi" => scaled(1024, 5),
        "Ei" => scaled(1024, 6),
        exponent => {
            let power = exponent.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
            let factor = 10_u128.checked_pow(power.unsigned_abs())?;
            Some(if power < 0 { (1, factor) } else { (factor, 1) })
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": MAX_LENGTH})
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum IntOrString {
    Int(i64),
    Text(String),
}

impl<'de> Deserialize<'de> for ResourceQuantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match IntOrString::deserialize(deserializer)? {
            IntOrString::Int(number) => number.to_string(),
            IntOrString::Text(text) => text,
        }))
    }
}

impl JsonSchema for ResourceQuantity {
    fn schema_name() -> Cow<'static, str> {
        "ResourceQuantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": MAX_LENGTH,
            "pattern": PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_bytes_of_every_suffix_form() {
        let cases = [
            ("10Gi", Some(10 << 30)),
            ("1.5Gi", Some(3 << 29)),
            ("1G", Some(1_000_000_000)),
            ("1e3", Some(1000)),
            ("1500m", Some(2)),
            ("100", Some(100)),
            ("-1Gi", None),
            ("", None),
            ("ten", None),
            ("1.2.3", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(Quantity(text.to_owned()).bytes(), bytes, "{text}");
        }
    }
}
