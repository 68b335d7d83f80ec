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

/// The value as one YAML document without a leading `---`.
#[must_use]
pub(crate) fn to_yaml(value: &Value) -> String {
    // JSON values have no part that YAML cannot write.
    serde_yaml::to_string(&sorted(value)).unwrap_or_default()
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
        let yaml = to_yaml(&json!({"b": "true", "a": "1", "c": "x: y"}));
        assert_eq!(yaml, "a: '1'\nb: 'true'\nc: 'x: y'\n");
    }
}
