//! Rules about the text of files.

use super::paths::blanked;

/// A file of code longer than this is noted: ask what it owns.
const NOTED_LINES: usize = 400;
/// A file of code longer than this is refused.
const REFUSED_LINES: usize = 1_000;

/// A line longer than this was written by a program, or packed by one.
const LONGEST_LINE: usize = 500;

/// What was found in one file.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) refused: Vec<String>,
    pub(super) noted: Vec<String>,
}

/// Files that others wrote or that a program writes: their text is theirs.
fn is_foreign(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.starts_with("crds/")
        || path.contains("/files/crds/")
        || path.contains("/golden/")
        || name.starts_with("LICENSE")
        || matches!(name, "Cargo.lock" | "package-lock.json" | "go.sum")
}

/// Checks one file; `path` is relative to the workspace.
pub(super) fn check(path: &str, content: &str) -> Findings {
    let mut findings = Findings::default();
    if is_foreign(path) {
        return findings;
    }
    check_white_space(path, content, &mut findings.refused);
    check_origin(path, content, &mut findings.refused);
    if path.ends_with(".rs") {
        check_length(path, content, &mut findings);
        check_markers(path, content, &mut findings.refused);
    }
    findings
}

fn check_white_space(path: &str, content: &str, refused: &mut Vec<String>) {
    for (number, line) in content.split('\n').enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            refused.push(format!(
                "{path}:{}: white space at the end of the line",
                number + 1
            ));
        }
    }
    if !content.is_empty() && !content.ends_with('\n') {
        refused.push(format!("{path}: the last line does not end"));
    }
}

/// What is served or built is written here, by hand, and building it needs cargo alone: git only tells the commit.
fn check_origin(path: &str, content: &str, refused: &mut Vec<String>) {
    // pictures are drawn by programs
    if !path.ends_with(".svg") {
        for (number, line) in content.lines().enumerate() {
            let length = line.chars().count();
            if length > LONGEST_LINE {
                refused.push(format!(
                    "{path}:{}: a line of {length} characters, at most {LONGEST_LINE}",
                    number + 1
                ));
            }
        }
    }
    let is_web = [".js", ".mjs", ".css", ".html"]
        .iter()
        .any(|end| path.ends_with(end));
    let banners = ["@license", "@preserve", "/*!"];
    if is_web && let Some(banner) = banners.iter().find(|banner| content.contains(**banner)) {
        refused.push(format!(
            "{path}: `{banner}` is the banner of somebody else's file"
        ));
    }
    let mut programs = content.split("Command::new(").skip(1);
    if path.ends_with("build.rs") && programs.any(|program| !program.starts_with("\"git\")")) {
        refused.push(format!("{path}: a build runs no program but git"));
    }
}

fn check_length(path: &str, content: &str, findings: &mut Findings) {
    let lines = content.lines().count();
    if lines > REFUSED_LINES {
        findings.refused.push(format!(
            "{path}: {lines} lines, at most {REFUSED_LINES}: split it by what owns the state"
        ));
    } else if lines > NOTED_LINES {
        findings.noted.push(format!(
            "{path}: {lines} lines, more than {NOTED_LINES}: what does it own?"
        ));
    }
}

fn check_markers(path: &str, content: &str, refused: &mut Vec<String>) {
    let code = blanked(content);
    let mut refuse = |needle: &str, why: &str| {
        for (at, _) in code.match_indices(needle) {
            // `mytodo!` is another macro.
            let starts_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if starts_word {
                refused.push(format!("{path}:{}: `{needle}`: {why}", line_of(&code, at)));
            }
        }
    };
    refuse("todo!", "finish it or leave it out");
    refuse("unimplemented!", "finish it or leave it out");
    refuse("dbg!", "left over");
    refuse("#[ignore", "a test runs or is deleted");

    for (at, _) in code.match_indices("allow(").chain(code.match_indices("expect(")) {
        let attribute = code[..at].trim_end().ends_with(['[', ',']) && in_attribute(&code, at);
        let inside = code[at..].split(')').next().unwrap_or_default();
        if attribute && !inside.contains("reason") {
            refused.push(format!(
                "{path}:{}: an allowance without a reason",
                line_of(&code, at)
            ));
        }
    }
}

/// True if the position stands inside `#[…]` or `#![…]`.
fn in_attribute(code: &str, at: usize) -> bool {
    let before = &code[..at];
    before.rfind('[').is_some_and(|open| {
        !before[open..].contains(']') && before[..open].trim_end_matches('!').ends_with('#')
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::check;

    /// Console spec 11: no build needs Node, and nothing is vendored or packed; tidy looks at every tracked file.
    #[test]
    fn ui_151_builds_run_nothing_and_no_file_is_foreign_or_packed() {
        let long = "x".repeat(501) + "\n";
        for (path, content, is_refused) in [
            ("nsqadmin/static/app.js", long.as_str(), true),
            ("nsqadmin/static/app.js", "/*! lib v1 */\n", true),
            ("nsqadmin/static/app.css", "/* @license MIT */\n", true),
            (
                "nsqadmin/build.rs",
                "fn main() { std::process::Command::new(\"node\"); }\n",
                true,
            ),
            ("docs/picture.svg", long.as_str(), false),
            ("nsqadmin/static/app.js", "export const one = 1;\n", false),
            ("nsqadmin/build.rs", "fn main() {}\n", false),
        ] {
            assert_eq!(
                !refused(path, content).is_empty(),
                is_refused,
                "{path}: {content}"
            );
        }
    }

    fn refused(path: &str, content: &str) -> Vec<String> {
        check(path, content).refused
    }

    #[test]
    fn white_space_at_the_end_is_refused() {
        assert_eq!(
            refused("a.md", "fine\nnot \n"),
            ["a.md:2: white space at the end of the line"]
        );
        assert_eq!(refused("a.md", "open end"), ["a.md: the last line does not end"]);
        assert_eq!(refused("a.md", "dos\r\n").len(), 1);
        assert!(refused("LICENSE-MIT", "theirs \n").is_empty());
    }

    #[test]
    fn long_files_are_noted_then_refused() {
        let noted = check("nsqd/src/a.rs", &"x();\n".repeat(401));
        assert_eq!((noted.refused.len(), noted.noted.len()), (0, 1));
        assert_eq!(refused("nsqd/src/a.rs", &"x();\n".repeat(1_001)).len(), 1);
        assert!(refused("docs/a.md", &"text\n".repeat(2_000)).is_empty());
    }

    #[test]
    fn left_over_markers_are_refused_in_code_only() {
        assert_eq!(
            refused("a.rs", "fn f() {\n    todo!()\n}\n"),
            ["a.rs:2: `todo!`: finish it or leave it out"]
        );
        assert_eq!(refused("a.rs", "#[ignore = \"slow\"]\nfn t() {}\n").len(), 1);
        assert!(refused("a.rs", "// todo! is a macro\nlet a = \"dbg!\";\n").is_empty());
    }

    #[test]
    fn an_allowance_needs_a_reason() {
        assert_eq!(refused("a.rs", "#[allow(clippy::panic)]\nfn f() {}\n").len(), 1);
        assert_eq!(refused("a.rs", "#![expect(unused)]\n").len(), 1);
        assert!(
            refused(
                "a.rs",
                "#[allow(clippy::panic, reason = \"tests\")]\nfn f() { x.expect(y); set.allow(z) }\n"
            )
            .is_empty()
        );
    }
}
