//! Tests that the documents name as guards must exist, or the promise that they guard is only words.

use std::collections::HashSet;

use super::paths::blanked;

/// Documents whose claims name tests.
pub(super) const GUARDED: [&str; 2] = ["docs/architecture.md", "docs/compatibility.md"];

/// Adds the names of all functions of one source file.
pub(super) fn collect_functions(source: &str, names: &mut HashSet<String>) {
    let code = blanked(source);
    for (at, _) in code.match_indices("fn ") {
        let name: String = code[at + 3..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        if !name.is_empty() {
            names.insert(name);
        }
    }
}

/// Names in backticks that look like a test (lower case, three underscores or more) and are no function of any source.
pub(super) fn check(path: &str, content: &str, functions: &HashSet<String>) -> Vec<String> {
    let mut refused = Vec::new();
    for (number, line) in content.lines().enumerate() {
        for name in line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| is_test_name(word))
        {
            // A case may be named by its number alone: `nd_017` for `nd_017_the_bytes_of_ok`.
            let start = format!("{name}_");
            if !functions.contains(name) && !functions.iter().any(|f| f.starts_with(&start)) {
                refused.push(format!("{path}:{}: there is no test `{name}`", number + 1));
            }
        }
    }
    refused
}

fn is_test_name(word: &str) -> bool {
    let plain = word
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    plain && word.matches('_').count() >= 3
}

#[cfg(test)]
mod tests {
    use super::{check, collect_functions};
    use std::collections::HashSet;

    #[test]
    fn a_guard_that_does_not_exist_is_refused() {
        let mut names = HashSet::new();
        collect_functions(
            "#[test]\nfn a_lock_is_never_held() {}\n// fn only_in_a_comment() {}\n",
            &mut names,
        );
        assert!(
            check(
                "docs/a.md",
                "kept by `a_lock_is_never_held`, `max_rdy_count` and `Topic`\n",
                &names
            )
            .is_empty()
        );
        assert_eq!(
            check("docs/a.md", "x\n`only_in_a_comment`\n", &names),
            ["docs/a.md:2: there is no test `only_in_a_comment`"]
        );
    }
}
