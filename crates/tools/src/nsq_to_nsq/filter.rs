//! Which messages go on, and with what body (tools spec 7.1). Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Number, Value};

/// `-require-json-field`, `-require-json-value` and `-whitelist-json-field`.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Key that must be there; empty for none.
    pub field: String,
    /// What it must be; empty for anything.
    pub value: String,
    /// Keys that go on; empty for all.
    pub whitelist: Vec<String>,
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Goes on as it is.
    Same,
    /// Goes on with this body.
    Body(String),
    /// Is finished and goes nowhere.
    Drop,
    /// The same, because it is no JSON object.
    NoJson,
    /// Fails: the key is missing whose value is asked for.
    Missing,
}

impl Filter {
    /// Judges a body.
    #[must_use]
    pub fn judge(&self, body: &[u8]) -> Verdict {
        if self.field.is_empty() && self.whitelist.is_empty() {
            return Verdict::Same;
        }
        // As Go: bytes that are no text become replacement characters.
        let object = match serde_json::from_str(&String::from_utf8_lossy(body)) {
            Ok(Value::Object(object)) => object,
            Ok(Value::Null) => serde_json::Map::new(),
            _ => return Verdict::NoJson,
        };
        if !self.field.is_empty() {
            match object.get(&self.field) {
                None if self.value.is_empty() => return Verdict::Drop,
                None => return Verdict::Missing,
                Some(found) if !self.value.is_empty() && !is(found, &self.value) => return Verdict::Drop,
                Some(_) => {}
            }
        }
        if self.whitelist.is_empty() {
            return Verdict::Same;
        }
        let kept = self.whitelist.iter().filter_map(|key| object.get_key_value(key));
        let mut text = String::new();
        write_object(&mut text, kept);
        Verdict::Body(text)
    }
}

/// A text is the same text; a number is the same number; nothing else is anything.
fn is(found: &Value, wanted: &str) -> bool {
    match found {
        Value::String(text) => text == wanted,
        Value::Number(number) => {
            let wanted: Option<f64> = wanted.parse().ok();
            let order = wanted.and_then(|wanted| number.as_f64()?.partial_cmp(&wanted));
            order.is_some_and(std::cmp::Ordering::is_eq)
        }
        _ => false,
    }
}

/// As Go prints JSON: sorted, compact, without characters that mean something in HTML.
fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_text(out, text),
        Value::Array(values) => {
            out.push('[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(out, value);
            }
            out.push(']');
        }
        Value::Object(object) => write_object(out, object.iter()),
    }
}

fn write_object<'a>(out: &mut String, members: impl Iterator<Item = (&'a String, &'a Value)>) {
    // Sorted and each once.
    let members: BTreeMap<&String, &Value> = members.collect();
    out.push('{');
    for (i, (key, value)) in members.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_text(out, key);
        out.push(':');
        write_value(out, value);
    }
    out.push('}');
}

fn write_number(out: &mut String, number: &Number) {
    if let Some(whole) = number.as_i64() {
        let _ = write!(out, "{whole}");
        return;
    }
    let float = number.as_f64().unwrap_or_default();
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{float:e}");
        let signed = if size >= 1.0 {
            text.replace('e', "e+")
        } else {
            text
        };
        out.push_str(&signed);
    } else {
        let _ = write!(out, "{float}");
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(field: &str, value: &str, whitelist: &[&str]) -> Filter {
        Filter {
            field: field.to_owned(),
            value: value.to_owned(),
            whitelist: whitelist.iter().map(|&key| key.to_owned()).collect(),
        }
    }

    #[test]
    fn a_whitelist_makes_a_new_object() {
        for (body, wanted) in [
            (r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
            (r#"{"b":1}"#, "{}"),
            ("null", "{}"),
            (
                r#"{"z":[1.0,2e3,-0.5,null],"a":{"y":1,"x":true}}"#,
                r#"{"a":{"x":true,"y":1},"z":[1,2000,-0.5,null]}"#,
            ),
            (
                r#"{"a":"<b>&\u0001\n\"\\é"}"#,
                r#"{"a":"\u003cb\u003e\u0026\u0001\n\"\\é"}"#,
            ),
            (
                r#"{"a":12345678901234567890,"z":1e21}"#,
                r#"{"a":12345678901234567000,"z":1e+21}"#,
            ),
            (
                r#"{"a":1e-7,"z":9007199254740993}"#,
                r#"{"a":1e-7,"z":9007199254740993}"#,
            ),
        ] {
            let verdict = filter("", "", &["z", "a", "a"]).judge(body.as_bytes());
            assert_eq!(verdict, Verdict::Body(wanted.to_owned()), "{body}");
        }
        assert_eq!(filter("", "", &["a"]).judge(b"notjson"), Verdict::NoJson);
        assert_eq!(filter("", "", &["a"]).judge(b"[1]"), Verdict::NoJson);
    }

    #[test]
    fn a_field_and_its_value() {
        assert_eq!(filter("", "", &[]).judge(b"notjson"), Verdict::Same);
        assert_eq!(filter("a", "", &[]).judge(br#"{"b":1}"#), Verdict::Drop);
        assert_eq!(filter("a", "", &[]).judge(br#"{"a":null}"#), Verdict::Same);
        assert_eq!(filter("a", "1", &[]).judge(br#"{"b":1}"#), Verdict::Missing);
        for (value, verdict) in [
            ("1", Verdict::Same),
            ("1.0", Verdict::Same),
            (r#""1""#, Verdict::Same),
            ("2", Verdict::Drop),
            ("true", Verdict::Drop),
            (r#""1.0""#, Verdict::Drop),
            (r#""x""#, Verdict::Drop),
            ("[1]", Verdict::Drop),
        ] {
            let body = format!(r#"{{"a":{value}}}"#);
            assert_eq!(filter("a", "1", &[]).judge(body.as_bytes()), verdict, "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_goes_on_is_json(text in "\\PC*", number: f64, whole: i64) {
            let body = serde_json::json!({"a": text, "b": number, "c": whole});
            let verdict = filter("", "", &["a", "b", "c"]).judge(body.to_string().as_bytes());
            let Verdict::Body(new) = verdict else { panic!("{verdict:?}") };
            let read: Value = serde_json::from_str(&new).unwrap();
            assert_eq!(read["a"], body["a"]);
            assert_eq!(read["b"].as_f64(), body["b"].as_f64());
            assert_eq!(read["c"], body["c"]);
        }
    }
}
