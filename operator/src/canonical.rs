//! One form for each value: sorted keys, so that hashes and files are the same every time.

use std::fmt::Write;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The value with the keys of all its objects in alphabetical order, whatever order they came in.
#[must_use]
pub(crate) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            names
                .into_iter()
                .map(|name| (name.clone(), sorted(&fields[name])))
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of the value's canonical JSON.
#[must_use]
pub(crate) fn hash16(value: &Value) -> String {
    let digest = Sha256::digest(sorted(value).to_string());
    digest
        .iter()
        .take(8)
        .fold(String::with_capacity(16), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The value as one YAML document without a leading `---`, which every YAML reader understands alike.
#[must_use]
pub(crate) fn to_yaml(value: &Value) -> String {
    let mut quoted = Vec::new();
    let marked = mark(&sorted(value), &mut quoted);
    // JSON values have no part that YAML cannot write.
    let text = serde_yaml::to_string(&marked).unwrap_or_default();
    let mut parts = text.split(MARK);
    let mut yaml = parts.next().unwrap_or_default().to_owned();
    while let (Some(index), Some(after)) = (parts.next(), parts.next()) {
        let original = index.parse::<usize>().ok().and_then(|index| quoted.get(index));
        yaml.push_str(&original.cloned().unwrap_or_default().replace(MARK, "\\uf8ff"));
        yaml.push_str(after);
    }
    yaml
}

/// Stands around the number of a text that is quoted afterwards.
const MARK: char = '\u{f8ff}';

/// Replaces each text that needs quotes by a mark and keeps its quoted form. serde_yaml writes YAML 1.2,
/// where `on` is a text; kubectl reads 1.1, where it is true.
fn mark(value: &Value, quoted: &mut Vec<String>) -> Value {
    let text = |text: &str, quoted: &mut Vec<String>| {
        if !needs_quotes(text) {
            return text.to_owned();
        }
        quoted.push(Value::from(text).to_string());
        format!("{MARK}{}{MARK}", quoted.len() - 1)
    };
    match value {
        Value::String(value) => text(value, quoted).into(),
        Value::Array(items) => items.iter().map(|item| mark(item, quoted)).collect(),
        Value::Object(fields) => {
            let marked = fields
                .iter()
                .map(|(key, field)| (text(key, quoted), mark(field, quoted)));
            marked.collect::<Map<_, _>>().into()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Whether YAML 1.1 takes the text for a truth value, a number, a time or a merge.
fn needs_quotes(text: &str) -> bool {
    const WORDS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "=", "<<"];
    let number = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        && (text.contains("0x")
            || text
                .chars()
                .all(|letter| letter.is_ascii_digit() || "_:.+-eEtTzZoObB ".contains(letter)));
    number || WORDS.contains(&text.to_ascii_lowercase().as_str()) || text.contains(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_hash_depends_on_content_only() {
        let one: Value = json!({"b": [1, {"y": null, "x": true}], "a": "ü"});
        assert_eq!(
            hash16(&one),
            hash16(&json!({"a": "ü", "b": [1, {"x": true, "y": null}]}))
        );
        assert_ne!(
            hash16(&one),
            hash16(&json!({"a": "ü", "b": [{"x": true, "y": null}, 1]}))
        );
        // printf '{}' | sha256sum
        assert_eq!(hash16(&json!({})), "44136fa355b3678a");
    }

    #[test]
    fn text_that_looks_like_something_else_is_quoted() {
        let yaml = to_yaml(&json!({"b": "true", "a": "1", "c": "x: y", "d": "on", "y": ["1_000", "10Gi"]}));
        assert_eq!(
            yaml,
            "a: \"1\"\nb: 'true'\nc: 'x: y'\nd: \"on\"\n\"y\":\n- \"1_000\"\n- 10Gi\n"
        );
        for text in [
            "\u{f8ff}0\u{f8ff}",
            "0x1F",
            "1:30",
            "2026-01-02T03:04:05Z",
            "=",
            "~",
            "NO",
            "0777",
            ".5",
        ] {
            let yaml = to_yaml(&json!([text, {text: 1}]));
            assert_eq!(
                serde_yaml::from_str::<Value>(&yaml).ok(),
                Some(json!([text, {text: 1}])),
                "{yaml}"
            );
            assert!(
                yaml.starts_with(['-']) && yaml[2..].starts_with(['"', '\'']),
                "{yaml}"
            );
        }
    }
}
