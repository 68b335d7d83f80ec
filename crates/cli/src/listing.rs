//! Listings: a table for people; JSON, YAML and names for programs. Pure but for the last step.

use serde::Serialize;

use crate::codes;
use crate::problem::Problem;

/// Form of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON array.
    Json,
    /// One YAML list.
    Yaml,
    /// One name per line.
    Name,
}

/// A row that people and programs can read.
pub trait Row: Serialize {
    /// Heads of the columns. Those of numbers begin with a space and are set to the right.
    const HEADS: &'static [&'static str];

    /// The name of the row.
    fn name(&self) -> String;

    /// One text for each head.
    fn cells(&self) -> Vec<String>;
}

/// The text of these rows.
///
/// # Errors
/// A row cannot be written, which is a fault of this program.
pub fn text<R: Row>(rows: &[R], format: Format) -> Result<String, Problem> {
    let broken = |error: &dyn std::fmt::Display| {
        let what = format!("the listing cannot be written: {error}");
        Problem::new(codes::SYSTEM_FAILED, what, "use -o table, and report this")
    };
    match format {
        Format::Table => Ok(table(R::HEADS, rows.iter().map(Row::cells))),
        Format::Json => serde_json::to_string_pretty(rows)
            .map(|text| text + "\n")
            .map_err(|error| broken(&error)),
        Format::Yaml => serde_yaml::to_string(rows).map_err(|error| broken(&error)),
        Format::Name => Ok(rows.iter().map(|row| row.name() + "\n").collect()),
    }
}

/// Columns as wide as their widest text, two spaces between.
#[must_use]
pub fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let first = heads.iter().map(|head| head.trim_start().to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(first).chain(rows).collect();
    let width = |column: usize| {
        let texts = all.iter().filter_map(|row| row.get(column));
        texts.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut text = String::new();
    for row in &all {
        let mut line = String::new();
        for ((cell, width), head) in row.iter().zip(&widths).zip(heads) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            if head.starts_with(' ') {
                line.push_str(&format!("{cell:>width$}"));
            } else {
                line.push_str(&format!("{cell:<width$}"));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Prints data. A reader that has seen enough is no error.
///
/// # Errors
/// Standard output takes no more.
pub fn print(text: &str) -> Result<(), Problem> {
    write(text.as_bytes()).map(drop)
}

/// Writes to standard output; false if nobody reads it any more.
///
/// # Errors
/// It takes no more for another reason.
pub fn write(bytes: &[u8]) -> Result<bool, Problem> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            let what = format!("standard output takes no more: {error}");
            Err(Problem::new(
                codes::SYSTEM_FAILED,
                what,
                "see where the output goes",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair(&'static str, u64);

    impl Row for Pair {
        const HEADS: &'static [&'static str] = &["NAME", " COUNT"];

        fn name(&self) -> String {
            self.0.to_owned()
        }

        fn cells(&self) -> Vec<String> {
            vec![self.name(), self.1.to_string()]
        }
    }

    #[test]
    fn four_forms_of_one_listing() {
        let rows = [Pair("orders", 7), Pair("a", 1200)];
        let of = |format| text(&rows, format).unwrap();
        assert_eq!(of(Format::Table), "NAME    COUNT\norders      7\na        1200\n");
        assert_eq!(of(Format::Name), "orders\na\n");
        assert!(of(Format::Json).starts_with("[\n"));
        assert!(of(Format::Yaml).starts_with("- "));
    }
}
