//! The config file: TOML text to values, with the coercions of the reference. Pure.

use toml::{Table, Value as Toml};

use super::table::Kind;
use super::value::{Source, Value, Values, parse_bool, parse_floats};
use crate::duration;

/// Reads TOML.
pub(super) fn table(text: &str) -> Result<Table, String> {
    text.parse::<Table>()
        .map_err(|error| error.to_string().replace('\n', " ").trim().to_owned())
}

/// Puts the file's values in place of defaults. Unknown keys are ignored. Options of a closed set are checked first,
/// as the reference validates them before anything else.
pub(super) fn apply(values: &mut Values, table: &Table) -> Result<(), String> {
    let closed = |kind: Kind| matches!(kind, Kind::Level | Kind::Custom { .. });
    for pass in [true, false] {
        for row in values.rows.iter_mut().filter(|row| closed(row.flag.kind) == pass) {
            let Some(key) = row.flag.config_key() else {
                continue;
            };
            let Some(toml) = table.get(&key) else { continue };
            let value = coerce(row.flag.kind, toml).map_err(|reason| {
                let shown = shown(toml);
                if pass {
                    format!("failed parsing {key} {shown}")
                } else {
                    format!("Resolve failed to coerce value {shown} for option {key} - {reason}")
                }
            })?;
            // checked even where the command line wins, so that a bad file does not hide behind a flag
            if row.source < Source::Flag {
                row.source = Source::File;
                row.value = value;
            }
        }
    }
    Ok(())
}

pub(super) fn coerce(kind: Kind, toml: &Toml) -> Result<Value, String> {
    let wrong = || Err(format!("{} is not accepted here", toml.type_str()));
    match (kind, toml) {
        (Kind::Bool, Toml::Boolean(value)) => Ok(Value::Bool(*value)),
        (Kind::Bool, Toml::String(text)) => parse_bool(text)
            .map(Value::Bool)
            .ok_or_else(|| "not a boolean".to_owned()),
        // the reference reads 0 as true and everything else as false
        (Kind::Bool, Toml::Integer(_)) => Err("an integer is not a boolean, write true or false".to_owned()),
        (Kind::Int, Toml::Integer(number)) => Ok(Value::Int(*number)),
        (Kind::Duration, Toml::Integer(ms)) => milliseconds(*ms),
        (Kind::Duration, Toml::String(text)) => match text.parse::<i64>() {
            Ok(ms) if text.bytes().all(|b| b.is_ascii_digit()) => milliseconds(ms),
            _ => duration::parse(text).map(Value::Duration),
        },
        (Kind::Size, Toml::Integer(bytes)) => u64::try_from(*bytes)
            .map(Value::Size)
            .map_err(|_| "a size is not negative".to_owned()),
        (Kind::Strings, Toml::String(text)) => Ok(Value::Strings(if text.is_empty() {
            Vec::new()
        } else {
            text.split(',').map(|part| part.trim().to_owned()).collect()
        })),
        (Kind::Strings, Toml::Array(list)) => list
            .iter()
            .map(|item| {
                item.as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| "not a list of strings".to_owned())
            })
            .collect::<Result<_, _>>()
            .map(Value::Strings),
        (Kind::Floats, Toml::String(text)) if text.is_empty() => Ok(Value::Floats(Vec::new())),
        (Kind::Floats, Toml::String(text)) => parse_floats(text).map(Value::Floats),
        (Kind::Floats, Toml::Array(list)) => list
            .iter()
            .map(number)
            .collect::<Result<_, _>>()
            .map(Value::Floats),
        (Kind::Custom { switch: true, .. }, Toml::Boolean(value)) => Value::parse(kind, &value.to_string()),
        (Kind::String | Kind::Int | Kind::Size | Kind::Level | Kind::Custom { .. }, Toml::String(text)) => {
            Value::parse(kind, text)
        }
        _ => wrong(),
    }
}

fn milliseconds(ms: i64) -> Result<Value, String> {
    ms.checked_mul(1_000_000)
        .map(Value::Duration)
        .ok_or_else(|| "too many milliseconds".to_owned())
}

#[allow(clippy::cast_precision_loss, reason = "percentiles are small")]
fn number(item: &Toml) -> Result<f64, String> {
    match item {
        Toml::Float(value) => Ok(*value),
        Toml::Integer(value) => Ok(*value as f64),
        _ => Err("not a list of numbers".to_owned()),
    }
}

/// A value as the error line shows it.
fn shown(toml: &Toml) -> String {
    match toml {
        Toml::String(text) => text.clone(),
        Toml::Integer(number) => number.to_string(),
        Toml::Float(number) => number.to_string(),
        Toml::Boolean(value) => value.to_string(),
        Toml::Datetime(time) => time.to_string(),
        Toml::Array(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Toml::Table(_) => "{...}".to_owned(),
    }
}
