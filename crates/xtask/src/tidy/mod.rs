//! `cargo xtask tidy`: rules of the repository that no compiler checks.
//!
//! - [`crates`]: which package may depend on which (the map of docs/architecture.md), read from cargo's metadata.
//! - [`modules`]: which module may name which path, inside the packages; [`paths`] finds the paths that a file names.
//! - [`docs`]: the tests that documents name as guards exist.
//! - [`differences`]: what tests leave out on the reference is on the page of differences.
//! - [`text`]: file sizes, white space, left-over markers, allowances without a reason.

mod crates;
mod differences;
mod docs;
mod modules;
mod paths;
mod text;

use std::collections::HashSet;
use std::fs;

use crate::process::{Outcome, cargo, command, output, root};

/// Checks everything and lists every violation, not only the first.
///
/// # Errors
/// The number of violations, after they were printed; or git or cargo did not answer.
pub(crate) fn run() -> Outcome {
    let metadata = output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let mut violations = crates::check(&crates::parse(&metadata)?);
    let mut warnings = Vec::new();
    let mut functions = HashSet::new();
    let page = root().join(differences::PAGE);
    let page = fs::read_to_string(&page).map_err(|e| format!("read {}: {e}", page.display()))?;

    // Files that git would commit: tracked ones and new ones that are not ignored.
    let listed = output(command("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    for path in listed.lines() {
        // A file of another encoding is an image or an archive: no rule here is about it. A deleted one is still listed.
        let Ok(content) = fs::read_to_string(root().join(path)) else {
            continue;
        };
        let findings = text::check(path, &content);
        violations.extend(findings.refused);
        warnings.extend(findings.noted);
        if path.ends_with(".rs") {
            violations.extend(modules::check(path, &content));
            violations.extend(differences::check(path, &content, &page));
            docs::collect_functions(&content, &mut functions);
        }
        if path.ends_with("Cargo.toml") {
            violations.extend(crates::check_manifest(path, &content));
        }
    }

    for path in docs::GUARDED {
        let content = fs::read_to_string(root().join(path)).map_err(|e| format!("read {path}: {e}"))?;
        violations.extend(docs::check(path, &content, &functions));
    }

    for line in &warnings {
        println!("note: {line}");
    }
    for line in &violations {
        println!("refused: {line}");
    }
    println!(
        "tidy: {} files, {} refused, {} noted",
        listed.lines().count(),
        violations.len(),
        warnings.len()
    );
    if violations.is_empty() {
        Ok(())
    } else {
        Err(format!("{} violations of the rules above", violations.len()))
    }
}
