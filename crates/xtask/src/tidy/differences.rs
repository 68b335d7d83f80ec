//! What the conformance tests leave out on the reference: each such place names a row of the page of differences.

/// The page.
pub(super) const PAGE: &str = "docs/compatibility.md";

/// The function of both test supports that tells whether the reference is tested.
const MARK: &str = "ours_only(";

/// Places of a daemon's tests whose subject is no row of the page.
pub(super) fn check(path: &str, source: &str, page: &str) -> Vec<String> {
    if !(path.starts_with("nsqd/tests/") || path.starts_with("nsqlookupd/tests/")) {
        return Vec::new();
    }
    let mut refused = Vec::new();
    for (at, _) in source.match_indices(MARK) {
        let argument = source[at + MARK.len()..].trim_start();
        // The function itself.
        if argument.starts_with("row:") {
            continue;
        }
        let line = source[..at].matches('\n').count() + 1;
        match subject(argument, source) {
            Some(subject) if page.contains(&format!("\n| {subject} |")) => {}
            Some(subject) => refused.push(format!("{path}:{line}: {PAGE} has no row `{subject}`")),
            None => refused.push(format!("{path}:{line}: the row of {PAGE} is no plain text here")),
        }
    }
    refused
}

/// The text of the argument: a literal, or a constant of the same file.
fn subject<'a>(argument: &'a str, source: &'a str) -> Option<&'a str> {
    if let Some(text) = argument.strip_prefix('"') {
        return text.split('"').next();
    }
    let name = argument.split(')').next()?;
    let (_, value) = source.split_once(&format!("const {name}: &str = \""))?;
    value.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::check;

    const PAGE: &str = "| Subject | Here |\n|---|---|\n| A30 SIGHUP | a clean exit |\n";

    #[test]
    fn a_row_is_named_by_a_literal_or_a_constant() {
        let source = "const HUP: &str = \"A30 SIGHUP\";\nours_only(HUP); ours_only(\n \"A30 SIGHUP\")";
        assert!(check("nsqd/tests/a.rs", source, PAGE).is_empty());
    }

    #[test]
    fn a_subject_without_a_row_is_refused() {
        assert_eq!(
            check("nsqd/tests/a.rs", "\nif ours_only(\"A31\") {}", PAGE),
            ["nsqd/tests/a.rs:2: docs/compatibility.md has no row `A31`"]
        );
        assert_eq!(check("nsqd/tests/a.rs", "ours_only(name())", PAGE).len(), 1);
        assert!(check("nsqd/src/a.rs", "ours_only(\"A31\")", PAGE).is_empty());
    }
}
