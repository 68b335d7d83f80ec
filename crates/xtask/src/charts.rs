//! What the charts say twice: their version is that of the workspace, and their README has a table of their values.

use std::fmt::Write as _;
use std::fs;

use crate::process::{Outcome, root};

/// Where the charts live.
pub(crate) const FOLDER: &str = "charts";
const CHARTS: [&str; 2] = ["nsq-operator", "nsq-cluster"];

/// Lines around the table in a README.
const BEGIN: &str = "<!-- The table is written by cargo xtask codegen from values.yaml. -->\n";
const END: &str = "<!-- Here it ends. -->\n";

/// Writes versions and tables, or with `check` compares them.
///
/// # Errors
/// A file differs (with `check`), cannot be read or written, or has a form that is not understood here.
pub(crate) fn codegen(check: bool) -> Outcome {
    for chart in CHARTS {
        let read = |file: &str| {
            let path = format!("{FOLDER}/{chart}/{file}");
            let text = fs::read_to_string(root().join(&path)).map_err(|e| format!("read {path}: {e}"))?;
            Ok::<_, String>((path, text))
        };
        let (values_path, values) = read("values.yaml")?;
        let (path, old) = read("Chart.yaml")?;
        put(&path, &old, &versioned(&old), check)?;
        let (path, old) = read("README.md")?;
        let table = table(&values).map_err(|e| format!("{values_path}: {e}"))?;
        let new = with_table(&old, &table).ok_or_else(|| format!("{path} has no place for the table"))?;
        put(&path, &old, &new, check)?;
    }
    Ok(())
}

fn put(path: &str, old: &str, new: &str, check: bool) -> Outcome {
    if old == new {
        return Ok(());
    }
    if check {
        return Err(format!("{path} differs"));
    }
    fs::write(root().join(path), new).map_err(|e| format!("write {path}: {e}"))
}

/// A Chart.yaml with the version of the workspace.
fn versioned(chart: &str) -> String {
    let line = |line: &str| {
        let key = ["version", "appVersion"]
            .into_iter()
            .find(|key| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')));
        key.map_or_else(
            || format!("{line}\n"),
            |key| format!("{key}: {}\n", env!("CARGO_PKG_VERSION")),
        )
    };
    chart.lines().map(line).collect()
}

/// A README with this table between its two lines.
fn with_table(readme: &str, table: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

/// One row for each value: its path, its default, and the comment above it.
///
/// # Errors
/// A line that is neither a comment nor `key: value` with two spaces for each level, or a value without a comment.
fn table(values: &str) -> Result<String, String> {
    let mut table = "| value | default | |\n|---|---|---|\n".to_owned();
    let (mut path, mut comment) = (Vec::new(), Vec::new());
    for line in values.lines() {
        let text = line.trim_start();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim());
            continue;
        }
        if text.is_empty() {
            comment.clear();
            continue;
        }
        let (key, value) = text
            .split_once(':')
            .ok_or_else(|| format!("not understood: {line}"))?;
        path.truncate((line.len() - text.len()) / 2);
        path.push(key);
        if !value.is_empty() {
            let name = path.join(".");
            if comment.is_empty() {
                return Err(format!("{name} has no comment"));
            }
            // Writing to a String cannot fail.
            let _ = writeln!(table, "| `{name}` | `{}` | {} |", value.trim(), comment.join(" "));
        }
        comment.clear();
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::{table, versioned, with_table};

    #[test]
    fn each_value_has_a_row_with_its_comment() {
        let values = "# Not about a value.\n\nimage:\n  # Its tag;\n  # may be empty.\n  tag: \"\"\n# How many.\nreplicas: 1\n";
        let rows: Vec<String> = table(values)
            .unwrap()
            .lines()
            .skip(2)
            .map(str::to_owned)
            .collect();
        assert_eq!(
            rows,
            [
                "| `image.tag` | `\"\"` | Its tag; may be empty. |",
                "| `replicas` | `1` | How many. |"
            ]
        );
        assert_eq!(table("a: 1\n"), Err("a has no comment".to_owned()));
        assert!(table("- a\n").is_err());
    }

    #[test]
    fn what_is_around_the_table_stays() {
        let old = format!("before\n{}old\n{}after\n", super::BEGIN, super::END);
        let new = with_table(&old, "rows\n").unwrap();
        assert!(new.starts_with("before\n") && new.contains("\nrows\n") && new.ends_with("after\n"));
        assert!(!new.contains("old"));
        assert_eq!(with_table(&new, "rows\n"), Some(new.clone()));
        assert_eq!(with_table("nothing", ""), None);
    }

    #[test]
    fn both_versions_are_that_of_the_workspace() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            versioned("apiVersion: v2\nversion: 7\nappVersion: 8\n"),
            format!("apiVersion: v2\nversion: {version}\nappVersion: {version}\n")
        );
    }
}
