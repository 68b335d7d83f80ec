//! `nsq validate`: every mistake of manifests and of the daemons' configuration files, with line and column.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nsq_operator::api::{nearest, parse_manifest};
use nsq_service::flags::{Flag, Mistake, check};

use crate::problem::Problem;
use crate::{codes, context};

/// Largest file, as for `nsq-operator`.
const MAX_FILE: u64 = 4 << 20;

/// The flags of the verb.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Manifests (.yaml, .yml, .json), and files named after nsqd, nsqlookupd or nsqadmin
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// What the files are, whatever their names: manifest, nsqd, nsqlookupd, nsqadmin
    #[arg(long = "as", value_enum, value_name = "KIND", hide_possible_values = true)]
    pub kind: Option<Kind>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Objects for the operator and `local`.
    Manifest,
    /// Options of nsqd.
    Nsqd,
    /// Options of nsqlookupd.
    Nsqlookupd,
    /// Options of nsqadmin.
    Nsqadmin,
}

/// The mistakes of all files.
#[derive(Debug)]
pub struct Mistakes {
    /// One per line.
    pub text: String,
    count: usize,
}

impl Mistakes {
    /// How the verb ends.
    ///
    /// # Errors
    /// There are mistakes.
    pub fn end(&self) -> Result<ExitCode, Problem> {
        let noun = if self.count == 1 { "mistake" } else { "mistakes" };
        if self.count == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        let what = format!("{} {noun}, each listed with its line", self.count);
        Err(Problem::new(
            codes::INVALID_FILE,
            what,
            "mend them and validate again",
        ))
    }
}

/// Reads the files.
///
/// # Errors
/// A file cannot be read, or its name does not tell what it is.
pub fn run(options: &Options) -> Result<Mistakes, Problem> {
    let mut lines = Vec::new();
    for file in &options.files {
        let kind = options.kind.or_else(|| of_name(file)).ok_or_else(|| {
            let what = format!("the name of {} does not tell what it is", file.display());
            Problem::new(
                codes::USAGE,
                what,
                "say it: --as manifest, nsqd, nsqlookupd or nsqadmin",
            )
        })?;
        let text = context::text(file, MAX_FILE).map_err(|error| {
            let what = format!("cannot read {}: {error}", file.display());
            Problem::new(codes::FILE_FAILED, what, "name a file that is there")
        })?;
        lines.extend(mistakes(kind, &file.display().to_string(), &text));
    }
    Ok(Mistakes {
        count: lines.len(),
        text: lines.iter().map(|line| format!("{line}\n")).collect(),
    })
}

fn of_name(file: &Path) -> Option<Kind> {
    let is = |ends: &[&str]| {
        let end = file.extension().and_then(|end| end.to_str());
        end.is_some_and(|end| ends.contains(&end))
    };
    if is(&["yaml", "yml", "json"]) {
        return Some(Kind::Manifest);
    }
    let name = file.file_name()?.to_str()?;
    let kinds = [
        ("nsqlookupd", Kind::Nsqlookupd),
        ("nsqadmin", Kind::Nsqadmin),
        ("nsqd", Kind::Nsqd),
    ];
    kinds
        .into_iter()
        .find(|(part, _)| name.contains(part))
        .map(|(_, kind)| kind)
}

/// The mistakes of a text, `file:line:column: what`. Pure.
fn mistakes(kind: Kind, file: &str, text: &str) -> Vec<String> {
    let flags = match kind {
        Kind::Manifest => return of_manifest(file, text),
        Kind::Nsqd => nsqd::options::FLAGS,
        Kind::Nsqlookupd => nsqlookupd::options::FLAGS,
        Kind::Nsqadmin => nsqadmin::options::FLAGS,
    };
    let found = check(flags, text).into_iter();
    found
        .map(|mistake| {
            let (line, column) = place(text, mistake.offset);
            format!("{file}:{line}:{column}: {}", said(flags, &mistake))
        })
        .collect()
}

fn said(flags: &[Flag], mistake: &Mistake) -> String {
    let key = &mistake.key;
    match &mistake.reason {
        Some(reason) if key.is_empty() => format!("no TOML: {reason}"),
        Some(reason) => format!("{key}: {reason}"),
        None => {
            let keys: Vec<String> = flags.iter().filter_map(Flag::config_key).collect();
            match nearest(key, keys.iter().map(String::as_str)) {
                Some(near) => format!("{key}: no such option, did you mean {near}?"),
                None => format!("{key}: no such option"),
            }
        }
    }
}

fn of_manifest(file: &str, text: &str) -> Vec<String> {
    let Err(errors) = parse_manifest(file, text) else {
        return Vec::new();
    };
    let lines: Vec<&str> = text.lines().collect();
    let located = errors.into_iter().map(|error| {
        let index = usize::try_from(error.line).unwrap_or(0);
        let line = index
            .checked_sub(1)
            .and_then(|index| lines.get(index))
            .copied()
            .unwrap_or_default();
        let column = column(line, &error.path);
        let parts = [&error.object, &error.path, &error.message];
        let parts: Vec<&str> = parts
            .into_iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        format!("{file}:{}:{column}: {}", error.line, parts.join(": "))
    });
    located.collect()
}

/// Where the field of this path begins in its line; the first letter if it is not there by name. From 1, in characters.
fn column(line: &str, path: &str) -> usize {
    let field = path.rsplit('.').next().unwrap_or_default();
    let field = field.split('[').next().unwrap_or_default();
    let named = line.find(field).filter(|_| !field.is_empty());
    let byte = named.unwrap_or_else(|| line.len() - line.trim_start().len());
    line.get(..byte).unwrap_or_default().chars().count() + 1
}

/// Line and column of a byte, from 1, in characters.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_of_a_configuration_have_line_column_and_what_was_meant() {
        let text = "mem_queue_size = \"many\"\n  msg_timeuot = \"1m\"\n";
        let found = mistakes(Kind::Nsqd, "nsqd.cfg", text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("nsqd.cfg:1:1: mem_queue_size: "),
            "{found:?}"
        );
        assert_eq!(
            found[1],
            "nsqd.cfg:2:3: msg_timeuot: no such option, did you mean msg_timeout?"
        );
    }

    #[test]
    fn all_mistakes_of_a_manifest_have_line_and_column() {
        let text = "apiVersion: nsq.rs/v1alpha1\nkind: NsqCluster\nmetadata:\n  name: demo\nspec:\n  nsqd:\n    replics: 3\n";
        let found = mistakes(Kind::Manifest, "c.yaml", text);
        assert!(
            found
                .iter()
                .any(|line| line.starts_with("c.yaml:7:5: ") && line.contains("replicas?")),
            "{found:?}"
        );
        assert_eq!(
            mistakes(Kind::Manifest, "c.yaml", nsq_operator::localworld::BUILT_IN),
            Vec::<String>::new()
        );
    }

    #[test]
    fn names_tell_what_files_are() {
        let of = |name: &str| of_name(Path::new(name));
        assert_eq!(of("x/nsqd.cfg"), Some(Kind::Nsqd));
        assert_eq!(of("nsqlookupd-0.toml"), Some(Kind::Nsqlookupd));
        assert_eq!(of("nsqd.yaml"), Some(Kind::Manifest));
        assert_eq!(of("other.cfg"), None);
    }
}
