//! Go's command-line grammar. Pure.

use std::fmt::Write as _;

use super::table::{Flag, Kind};
use super::value::{Source, Value, Values, default_text};

/// Why the command line does not lead to a start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// `-h` or `-help`.
    Help,
    /// Wrong usage, with Go's text.
    Wrong(String),
}

/// Reads flags up to the first argument that is not one; what follows is handed back.
pub(super) fn apply(
    values: &mut Values,
    args: impl IntoIterator<Item = String>,
) -> Result<Vec<String>, Stop> {
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        // a lone "-" is an argument, "--" ends the flags
        if arg == "--" {
            break;
        }
        let flag = arg.strip_prefix('-').filter(|flag| !flag.is_empty());
        let Some(body) = flag else {
            return Ok([arg].into_iter().chain(args).collect());
        };
        let body = body.strip_prefix('-').unwrap_or(body);
        if body.starts_with(['-', '=']) {
            return Err(Stop::Wrong(format!("bad flag syntax: {arg}")));
        }
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        one(values, name, value, &mut args)?;
    }
    Ok(args.collect())
}

fn one(
    values: &mut Values,
    name: &str,
    value: Option<String>,
    rest: &mut impl Iterator<Item = String>,
) -> Result<(), Stop> {
    let Some(row) = values.rows.iter_mut().find(|row| row.flag.name == name) else {
        if name == "h" || name == "help" {
            return Err(Stop::Help);
        }
        return Err(Stop::Wrong(format!("flag provided but not defined: -{name}")));
    };
    let switch = matches!(row.flag.kind, Kind::Bool | Kind::Custom { switch: true, .. });
    let text = match value {
        Some(text) => text,
        None if switch => "true".to_owned(),
        None => rest
            .next()
            .ok_or_else(|| Stop::Wrong(format!("flag needs an argument: -{name}")))?,
    };
    let parsed = Value::parse(row.flag.kind, &text).map_err(|reason| {
        Stop::Wrong(match row.flag.kind {
            Kind::Bool => format!("invalid boolean value {text:?} for -{name}: {reason}"),
            _ => format!("invalid value {text:?} for flag -{name}: {reason}"),
        })
    })?;
    row.value = match (parsed, &mut row.value) {
        // a repeatable flag adds to what the command line said before, not to the default
        (Value::Strings(new), Value::Strings(old)) if row.source == Source::Flag => {
            Value::Strings(old.drain(..).chain(new).collect())
        }
        (Value::Floats(new), Value::Floats(old)) if row.source == Source::Flag => {
            let mut all: Vec<f64> = old.drain(..).chain(new).collect();
            all.sort_by(|a, b| b.total_cmp(a));
            Value::Floats(all)
        }
        (new, _) => new,
    };
    row.source = Source::Flag;
    Ok(())
}

/// The usage text in Go's layout.
pub(super) fn usage(program: &str, flags: &[Flag], overrides: &[(&'static str, String)]) -> String {
    let mut rows: Vec<&Flag> = flags.iter().collect();
    rows.sort_by_key(|flag| flag.name);
    let mut text = format!("Usage of {program}:\n");
    for flag in rows {
        let (word, quoted) = match flag.kind {
            Kind::String => (" string", true),
            Kind::Int => (" int", false),
            Kind::Duration => (" duration", false),
            Kind::Bool => ("", false),
            Kind::Strings | Kind::Floats | Kind::Size | Kind::Level | Kind::Custom { .. } => {
                (" value", false)
            }
        };
        let _ = write!(text, "  -{}{word}\n    \t{}", flag.name, flag.help);
        let default = default_text(flag, overrides);
        let _ = match default {
            "" | "0" | "0s" | "false" => writeln!(text),
            _ if quoted => writeln!(text, " (default {default:?})"),
            _ => writeln!(text, " (default {default})"),
        };
    }
    text
}
