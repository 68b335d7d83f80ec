//! Finds the paths (`a::b::c`) that Rust source names, in `use` trees and in code, without a parser of the language: comments and
//! strings are blanked, the rest is words and signs. Good enough for rules about imports; macros that build paths are not seen.

/// A path and the line it stands on, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: String,
    pub(super) line: usize,
}

/// The source with comments, strings and character literals replaced by spaces; line breaks stay.
pub(super) fn blanked(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = skipped(bytes, at);
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment or literal that starts at `at` ends; `at` itself if none starts there.
fn skipped(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return find(bytes, at, b"\n").unwrap_or(bytes.len());
    }
    if rest.starts_with(b"/*") {
        return find(bytes, at + 2, b"*/").map_or(bytes.len(), |i| i + 2);
    }
    let after_word = at > 0 && is_word(bytes[at - 1]);
    if !after_word
        && (rest.starts_with(b"r\"")
            || rest.starts_with(b"r#")
            || rest.starts_with(b"br\"")
            || rest.starts_with(b"br#"))
    {
        let hashes_at = at + rest.iter().position(|b| *b == b'r').unwrap_or(0) + 1;
        let hashes = bytes[hashes_at..].iter().take_while(|b| **b == b'#').count();
        if bytes.get(hashes_at + hashes) == Some(&b'"') {
            let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            return find(bytes, hashes_at + hashes + 1, &close).map_or(bytes.len(), |i| i + close.len());
        }
    }
    match rest[0] {
        b'"' => quoted(bytes, at + 1, b'"'),
        // A character, not a lifetime: 'x' or '\…'.
        b'\'' if rest.get(1) == Some(&b'\\') => quoted(bytes, at + 1, b'\''),
        b'\'' if rest.get(2) == Some(&b'\'') => at + 3,
        _ => at,
    }
}

fn quoted(bytes: &[u8], mut at: usize, close: u8) -> usize {
    while at < bytes.len() && bytes[at] != close {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn find(bytes: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    bytes
        .get(from..)?
        .windows(needle.len())
        .position(|w| w == needle)
        .map(|i| from + i)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The part of blanked source before its unit tests, which may use more than the code (tests stand at the end of a file).
pub(super) fn without_tests(blanked: &str) -> &str {
    let mut from = 0;
    while let Some(found) = blanked[from..].find("#[cfg(test)]") {
        let at = from + found;
        let next = blanked[at + "#[cfg(test)]".len()..].trim_start();
        let module = next.find("mod ").is_some_and(|i| i < 160) && next.contains('{');
        if module
            && next
                .split(['{', ';'])
                .next()
                .is_some_and(|head| head.contains("mod "))
        {
            return &blanked[..at];
        }
        from = at + 1;
    }
    blanked
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// `::`
    Join,
    Sign(char),
}

fn tokens(text: &str) -> Vec<(Token<'_>, usize)> {
    let bytes = text.as_bytes();
    let (mut out, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let byte = bytes[at];
        if is_word(byte) {
            let end = at + bytes[at..].iter().take_while(|b| is_word(**b)).count();
            out.push((Token::Word(&text[at..end]), line));
            at = end;
            continue;
        }
        if bytes[at..].starts_with(b"::") {
            out.push((Token::Join, line));
            at += 2;
            continue;
        }
        line += usize::from(byte == b'\n');
        if !byte.is_ascii_whitespace() {
            out.push((Token::Sign(char::from(byte)), line));
        }
        at += 1;
    }
    out
}

/// Every path of two or more parts, and every single name imported by `use`, with `self` and `super` resolved against `module`
/// (for example `crate::session::commands`).
pub(super) fn named(blanked: &str, module: &str) -> Vec<Named> {
    let tokens = tokens(blanked);
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].0 == Token::Word("use") {
            at = use_tree(&tokens, at + 1, "", &mut out);
            continue;
        }
        let (path, next) = joined(&tokens, at);
        if path.contains("::") {
            out.push(Named {
                path,
                line: tokens[at].1,
            });
        }
        at = next.max(at + 1);
    }
    for found in &mut out {
        found.path = resolved(&found.path, module);
    }
    out
}

/// The words joined by `::` from `at` on, and where they end.
fn joined(tokens: &[(Token<'_>, usize)], mut at: usize) -> (String, usize) {
    let mut parts = Vec::new();
    while let Some((Token::Word(word), _)) = tokens.get(at) {
        parts.push(*word);
        at += 1;
        match (tokens.get(at), tokens.get(at + 1)) {
            (Some((Token::Join, _)), Some((Token::Word(_), _))) => at += 1,
            _ => break,
        }
    }
    (parts.join("::"), at)
}

/// Adds the leaves of one `use` tree; returns where it ends.
fn use_tree(tokens: &[(Token<'_>, usize)], at: usize, prefix: &str, out: &mut Vec<Named>) -> usize {
    let line = tokens.get(at).map_or(0, |t| t.1);
    let start = if tokens.get(at).is_some_and(|t| t.0 == Token::Join) {
        at + 1
    } else {
        at
    };
    let (own, mut at) = joined(tokens, start);
    let path = match (prefix.is_empty(), own.is_empty()) {
        (true, _) => own,
        (false, true) => prefix.to_owned(),
        (false, false) => format!("{prefix}::{own}"),
    };
    if tokens.get(at).is_some_and(|t| t.0 == Token::Join) {
        at += 1;
    }
    if tokens.get(at).is_some_and(|t| t.0 == Token::Sign('{')) {
        at += 1;
        while at < tokens.len() && tokens[at].0 != Token::Sign('}') {
            let next = use_tree(tokens, at, &path, out);
            at = if tokens.get(next).is_some_and(|t| t.0 == Token::Sign(',')) {
                next + 1
            } else {
                next.max(at)
            };
        }
        return at + 1;
    }
    if !path.is_empty() {
        out.push(Named { path, line });
    }
    // A star or a new name ends the leaf.
    while at < tokens.len() && !matches!(tokens[at].0, Token::Sign(',' | '}' | ';')) {
        at += 1;
    }
    at
}

fn resolved(path: &str, module: &str) -> String {
    let mut base: Vec<&str> = module.split("::").collect();
    let mut rest: Vec<&str> = path.split("::").collect();
    match rest.first() {
        Some(&"self") => {
            rest.remove(0);
        }
        Some(&"super") => {
            while rest.first() == Some(&"super") {
                rest.remove(0);
                base.pop();
            }
        }
        _ => return path.to_owned(),
    }
    base.extend(rest);
    base.join("::")
}

#[cfg(test)]
mod tests {
    use super::{blanked, named, without_tests};

    fn paths(source: &str, module: &str) -> Vec<String> {
        named(&blanked(source), module)
            .into_iter()
            .map(|n| n.path)
            .collect()
    }

    #[test]
    fn use_trees_are_taken_apart() {
        let source = "use crate::{topic::Topic, channel::{self, state::*}};\nuse std::fmt as f;\nuse warp;";
        let wanted = [
            "crate::topic::Topic",
            "crate::channel::self",
            "crate::channel::state",
            "std::fmt",
            "warp",
        ];
        assert_eq!(paths(source, "crate"), wanted);
    }

    #[test]
    fn code_names_paths_too() {
        assert_eq!(
            paths("fn a() { tokio::spawn(b::<X>()); }", "crate"),
            ["tokio::spawn"]
        );
    }

    #[test]
    fn relative_paths_are_resolved() {
        assert_eq!(
            paths("use super::topic::Topic;", "crate::channel"),
            ["crate::topic::Topic"]
        );
        assert_eq!(paths("use super::super::http;", "crate::a::b"), ["crate::http"]);
        assert_eq!(
            paths("use self::state::X;", "crate::channel"),
            ["crate::channel::state::X"]
        );
    }

    #[test]
    fn comments_and_strings_name_nothing() {
        let source = "// use warp::Filter;\n/* tokio::spawn */ let a = \"kube::Client\"; let b = r#\"x::y\"#; let c = '\\''; let d = 'x';";
        assert_eq!(paths(source, "crate"), [""; 0]);
    }

    #[test]
    fn lifetimes_are_not_characters() {
        assert_eq!(
            paths("fn f<'a>(x: &'a a::B) -> &'a c::D {}", "crate"),
            ["a::B", "c::D"]
        );
    }

    #[test]
    fn lines_are_counted_across_blanked_text() {
        let found = named(&blanked("/* one\ntwo */\nlet s = \"a\nb\";\nx::y();"), "crate");
        assert_eq!(found[0].line, 5);
    }

    #[test]
    fn unit_tests_are_cut_off() {
        let source = "use a::b;\n#[cfg(test)]\nmod tests {\n use c::d;\n}\n";
        assert_eq!(without_tests(source), "use a::b;\n");
        let other = "#[cfg(test)]\nmod tests;\nuse a::b;\n";
        assert_eq!(without_tests(other), other);
    }
}
