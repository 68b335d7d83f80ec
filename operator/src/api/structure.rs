//! The structural half of validation: types, enums, ranges, patterns, sizes, required and unknown
//! fields, with the API server's own texts.

use regex::Regex;
use serde_json::{Map, Value};

/// A rule that an object breaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The field to blame, such as `spec.nsqd.storage.size` or `spec.admin.route.hosts[0]`.
    pub path: String,
    /// The text of operator spec 2.3 for our rules, the API server's own text for the others.
    pub message: String,
}

/// Most violations listed for one object; a file that breaks more is broken anyway.
pub(crate) const MAX_VIOLATIONS: usize = 100;

/// Fields every object has without its schema saying so.
const IMPLIED: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Checks `value` against `schema` and appends what is wrong.
pub(crate) fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<Violation>) {
    if found.len() >= MAX_VIOLATIONS {
        return;
    }
    let checker = Node { schema, path };
    if !checker.has_type(value) {
        return found.push(checker.wrong_type(value));
    }
    match value {
        Value::Object(fields) => checker.object(fields, found),
        Value::Array(items) => checker.array(items, found),
        Value::String(text) => checker.string(text, found),
        Value::Number(_) => checker.number(value, found),
        Value::Null | Value::Bool(_) => {}
    }
}

struct Node<'a> {
    schema: &'a Value,
    path: &'a str,
}

impl Node<'_> {
    fn violation(&self, message: String) -> Violation {
        Violation {
            path: self.path.to_owned(),
            message,
        }
    }

    fn limit(&self, key: &str) -> Option<i64> {
        self.schema.get(key).and_then(Value::as_i64)
    }

    fn kind(&self) -> Option<&str> {
        self.schema.get("type").and_then(Value::as_str)
    }

    fn has_type(&self, value: &Value) -> bool {
        if self.schema.get("x-kubernetes-int-or-string").is_some() {
            return value.is_i64() || value.is_u64() || value.is_string();
        }
        match self.kind() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            _ => true,
        }
    }

    fn wrong_type(&self, value: &Value) -> Violation {
        let wanted = self.kind().unwrap_or("integer,string");
        let got = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        self.violation(format!(
            "Invalid value: \"{got}\": {} in body must be of type {wanted}: \"{got}\"",
            self.path
        ))
    }

    fn object(&self, fields: &Map<String, Value>, found: &mut Vec<Violation>) {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        let additional = self.schema.get("additionalProperties");
        let open = self.schema.get("x-kubernetes-preserve-unknown-fields").is_some();
        if let Some(max) = self.limit("maxProperties")
            && exceeds(fields.len(), max)
        {
            found.push(self.violation(format!(
                "Too many: {}: must have at most {max} items",
                fields.len()
            )));
        }
        for name in self
            .schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(name) = name.as_str()
                && !fields.contains_key(name)
            {
                found.push(Violation {
                    path: join(self.path, name),
                    message: "Required value".to_owned(),
                });
            }
        }
        for (name, field) in fields {
            let path = join(self.path, name);
            match properties
                .and_then(|properties| properties.get(name))
                .or(additional)
            {
                Some(inner) => check(inner, field, &path, found),
                None if open || (self.path.is_empty() && IMPLIED.contains(&name.as_str())) => {}
                None => {
                    let known = properties.into_iter().flat_map(Map::keys).map(String::as_str);
                    found.push(Violation {
                        message: unknown_field(&path, name, known),
                        path,
                    });
                }
            }
        }
    }

    fn array(&self, items: &[Value], found: &mut Vec<Violation>) {
        if let Some(max) = self.limit("maxItems")
            && exceeds(items.len(), max)
        {
            found.push(self.violation(format!(
                "Too many: {}: must have at most {max} items",
                items.len()
            )));
        }
        if let Some(inner) = self.schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                check(inner, item, &format!("{}[{index}]", self.path), found);
            }
        }
    }

    fn string(&self, text: &str, found: &mut Vec<Violation>) {
        if let Some(allowed) = self.schema.get("enum").and_then(Value::as_array) {
            if !allowed.iter().any(|value| value == text) {
                let allowed = allowed
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ");
                found.push(self.violation(format!(
                    "Unsupported value: {text:?}: supported values: {allowed}"
                )));
            }
            return;
        }
        if let Some(max) = self.limit("maxLength")
            && exceeds(text.chars().count(), max)
        {
            found.push(self.violation(format!("Too long: may not be more than {max} bytes")));
            return;
        }
        if let Some(min) = self.limit("minLength")
            && !exceeds(text.chars().count(), min - 1)
        {
            found.push(self.violation(format!(
                "Invalid value: {text:?}: {} in body should be at least {min} chars long",
                self.path
            )));
        }
        if let Some(pattern) = self.schema.get("pattern").and_then(Value::as_str)
            && !Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
        {
            found.push(self.violation(format!(
                "Invalid value: {text:?}: {} in body should match '{pattern}'",
                self.path
            )));
        }
        if self.schema.get("format").and_then(Value::as_str) == Some("date-time") && !is_date_time(text) {
            found.push(self.violation(format!(
                "Invalid value: {text:?}: {} in body must be of type date-time: {text:?}",
                self.path
            )));
        }
    }

    fn number(&self, value: &Value, found: &mut Vec<Violation>) {
        let Some(number) = value.as_i64() else {
            return found.push(self.violation(format!(
                "Invalid value: {value}: {} in body must be an integer of 64 bits",
                self.path
            )));
        };
        let is_int32 = self.schema.get("format").and_then(Value::as_str) == Some("int32");
        if let Some(min) = self.limit("minimum").filter(|min| number < *min) {
            found.push(self.violation(format!(
                "Invalid value: {number}: {} in body should be greater than or equal to {min}",
                self.path
            )));
        } else if let Some(max) = self.limit("maximum").filter(|max| number > *max) {
            found.push(self.violation(format!(
                "Invalid value: {number}: {} in body should be less than or equal to {max}",
                self.path
            )));
        } else if is_int32 && i32::try_from(number).is_err() {
            found.push(self.violation(format!(
                "Invalid value: {number}: {} in body must be of type int32: {number}",
                self.path
            )));
        }
    }
}

/// `spec` and `nsqd` as `spec.nsqd`.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn exceeds(length: usize, max: i64) -> bool {
    i64::try_from(length).map_or(true, |length| length > max)
}

fn is_date_time(text: &str) -> bool {
    serde_json::from_value::<super::Time>(Value::String(text.to_owned())).is_ok()
}

fn unknown_field<'a>(path: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown field \"{path}\", did you mean {near}?"),
        None => format!("unknown field \"{path}\""),
    }
}

/// The known name that is at most a third of its letters away, the nearest first.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Longer names are no typing mistakes, and comparing them costs the product of the lengths.
    if name.len() > 64 {
        return None;
    }
    known
        .map(|candidate| {
            (
                distance(&name.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, remove or replace to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not_offered() {
        let known = ["replicas", "restartedAt", "storage"];
        assert_eq!(nearest("replcas", known.into_iter()), Some("replicas"));
        assert_eq!(nearest("Replicas", known.into_iter()), Some("replicas"));
        assert_eq!(nearest("colour", known.into_iter()), None);
        assert_eq!(nearest(&"r".repeat(100_000), known.into_iter()), None);
    }
}
