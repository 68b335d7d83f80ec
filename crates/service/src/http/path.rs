//! Request paths: decoding, matching against a pattern, and the canonical form. Pure.

use std::borrow::Cow;

/// Undoes percent encoding. None for a bad escape. Bytes that are not UTF-8 become U+FFFD.
pub(super) fn decode(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|b| b == b'%' || (plus_is_space && b == b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Undoes percent encoding of a path that is a value itself. None for a bad escape.
#[must_use]
pub fn decode_path(text: &str) -> Option<String> {
    decode(text, false).map(Cow::into_owned)
}

/// Percent-encodes `text` for one path segment or query value: all but letters, digits and `-._~`.
#[must_use]
pub fn encode_component(text: &str) -> String {
    encode(text, b"-._~")
}

/// Percent-encodes a whole path, keeping what may stand in one.
pub(super) fn encode_path(path: &str) -> String {
    encode(path, b"-._~/:@!$&'()*+,;=")
}

fn encode(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A path pattern: literal segments, `:name` for one non-empty segment, `*name` for the rest.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    has_params: bool,
}

/// What the parameters of a pattern stand for, in the pattern's order.
pub(super) type Params = Vec<(String, String)>;

impl Pattern {
    pub(super) fn new(text: String) -> Self {
        let has_params = text.contains([':', '*']);
        Self { text, has_params }
    }

    /// The parameters if `path` is exactly what the pattern describes.
    pub(super) fn matches(&self, path: &str) -> Option<Params> {
        if !self.has_params {
            return (self.text == path).then(Params::new);
        }
        self.walk(path, |literal, given| literal == given)
            .map(|(params, _)| params)
    }

    /// The canonical path if `path` (already cleaned) differs only in letter case and a trailing slash.
    pub(super) fn canonical(&self, path: &str) -> Option<String> {
        let own_slash = self.text.len() > 1 && self.text.ends_with('/');
        let trimmed = if path.len() > 1 {
            path.trim_end_matches('/')
        } else {
            path
        };
        let path = if own_slash {
            Cow::Owned(format!("{trimmed}/"))
        } else {
            Cow::Borrowed(trimmed)
        };
        self.walk(&path, str::eq_ignore_ascii_case)
            .map(|(_, canonical)| canonical)
    }

    fn walk(&self, path: &str, same: impl Fn(&str, &str) -> bool) -> Option<(Params, String)> {
        let mut params = Params::new();
        let mut canonical = String::with_capacity(path.len());
        let mut rest = path.strip_prefix('/')?;
        let mut segments = self.text.strip_prefix('/')?.split('/').peekable();
        while let Some(segment) = segments.next() {
            canonical.push('/');
            if let Some(name) = segment.strip_prefix('*') {
                params.push((name.to_owned(), rest.to_owned()));
                canonical.push_str(rest);
                return Some((params, canonical));
            }
            let (given, tail) = match rest.split_once('/') {
                Some((given, tail)) => (given, Some(tail)),
                None => (rest, None),
            };
            if let Some(name) = segment.strip_prefix(':') {
                if given.is_empty() {
                    return None;
                }
                params.push((name.to_owned(), given.to_owned()));
                canonical.push_str(given);
            } else if same(segment, given) {
                canonical.push_str(segment);
            } else {
                return None;
            }
            match (tail, segments.peek()) {
                (Some(tail), Some(_)) => rest = tail,
                (None, None) => return Some((params, canonical)),
                _ => return None,
            }
        }
        None
    }
}

/// Resolves `.`, `..` and doubled slashes. The result starts with `/`.
pub(super) fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut out = format!("/{}", kept.join("/"));
    if path.ends_with('/') && out.len() > 1 {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_exactly_and_name_their_parameters() {
        let plain = Pattern::new("/topic/create".to_owned());
        assert!(plain.matches("/topic/create").is_some());
        assert!(plain.matches("/topic/create/").is_none());
        let named = Pattern::new("/topics/:topic/:channel".to_owned());
        assert_eq!(
            named.matches("/topics/a/b").unwrap()[1],
            ("channel".to_owned(), "b".to_owned())
        );
        assert!(named.matches("/topics/a/").is_none());
        assert!(named.matches("/topics/a/b/c").is_none());
        let rest = Pattern::new("/static/*asset".to_owned());
        assert_eq!(rest.matches("/static/a/b.css").unwrap()[0].1, "a/b.css");
    }

    #[test]
    fn canonical_paths_forgive_case_and_trailing_slash_only() {
        let plain = Pattern::new("/topic/create".to_owned());
        assert_eq!(
            plain.canonical(&clean("//Topic///CREATE/")).as_deref(),
            Some("/topic/create")
        );
        assert_eq!(plain.canonical("/topic"), None);
        let named = Pattern::new("/config/:opt".to_owned());
        assert_eq!(
            named.canonical("/CONFIG/Log_Level/").as_deref(),
            Some("/config/Log_Level")
        );
        assert_eq!(
            Pattern::new("/debug/pprof/".to_owned())
                .canonical("/debug/pprof")
                .as_deref(),
            Some("/debug/pprof/")
        );
        assert_eq!(clean("/a/../../b/./c"), "/b/c");
    }

    #[test]
    fn escapes_are_decoded_and_encoded() {
        assert_eq!(decode("e%23ephemeral+x", true).as_deref(), Some("e#ephemeral x"));
        assert_eq!(decode("a+b", false).as_deref(), Some("a+b"));
        assert_eq!(decode("%zz", true), None);
        assert_eq!(decode("%+1", true), None);
        assert_eq!(decode("%4", true), None);
        assert_eq!(encode_component("a b/#é"), "a%20b%2F%23%C3%A9");
    }
}
