//! YAML as plain values that remember their lines.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use super::structure::join;

/// One document: its value, and for each path in it the line of its key.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) value: Value,
    lines: BTreeMap<String, u64>,
}

/// The text is not YAML, or a document breaks a limit of the reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    /// Line, from 1; 0 when the reader names none.
    pub(crate) line: u64,
    pub(crate) message: String,
}

impl Document {
    /// Line of the value at `path`, or of what is nearest above it.
    pub(crate) fn line(&self, path: &str) -> u64 {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.lines.get("").copied().unwrap_or(0),
            }
        }
    }
}

/// Reads all documents of a text; empty ones are left out.
pub(crate) fn read(text: &str) -> Vec<Result<Document, YamlError>> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        with_snippet: false,
    };
    let mut bytes = text.as_bytes();
    serde_saphyr::read_with_options::<_, Spanned<Node>>(&mut bytes, options)
        .map(|document| match document {
            Ok(node) => {
                let mut lines = BTreeMap::new();
                let line = node.referenced.line();
                let value = node.value.place("", line, &mut lines);
                Ok(Document { value, lines })
            }
            Err(error) => Err(YamlError {
                line: error.location().map_or(0, |location| location.line()),
                message: error.without_snippet().to_string(),
            }),
        })
        .collect()
}

/// A YAML value whose parts know where they stand.
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl Node {
    /// Turns the node into a value and notes the line of everything in it.
    fn place(self, path: &str, line: u64, lines: &mut BTreeMap<String, u64>) -> Value {
        lines.insert(path.to_owned(), line);
        match self {
            Self::Scalar(value) => value,
            Self::List(items) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| {
                    item.value
                        .place(&format!("{path}[{index}]"), item.referenced.line(), lines)
                })
                .collect(),
            Self::Map(entries) => entries
                .into_iter()
                .map(|(key, entry)| {
                    let value = entry
                        .value
                        .place(&join(path, &key.value), key.referenced.line(), lines);
                    (key.value, value)
                })
                .collect::<Map<_, _>>()
                .into(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        // Numbers JSON cannot say become text, which no number field accepts.
        Ok(Node::Scalar(
            Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number),
        ))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;
    use serde_json::json;

    #[test]
    fn values_keep_their_types_and_lines() {
        let text = "# comment\na: 1\nb:\n  - x\n  - y: 2.5\n    z: \"1\"\nc: null\n---\n---\nd: true\n";
        let documents: Vec<Document> = read(text).into_iter().map(Result::unwrap).collect();
        assert_eq!(
            documents[0].value,
            json!({"a": 1, "b": ["x", {"y": 2.5, "z": "1"}], "c": null})
        );
        let lines = ["a", "b", "b[0]", "b[1].z", "b[1].missing", "c", "nothing"];
        assert_eq!(lines.map(|path| documents[0].line(path)), [2, 3, 4, 6, 5, 7, 2]);
        assert_eq!(documents[1].value, json!({"d": true}));
        assert_eq!(documents[1].line("d"), 10);
    }

    #[test]
    fn what_is_not_yaml_is_an_error_with_its_line() {
        for (text, line) in [("a: 1\nb: [1, 2\n", 2), ("a: 1\na: 2\n", 2), ("a: 1\nb: @x\n", 2)] {
            let errors: Vec<YamlError> = read(text).into_iter().filter_map(Result::err).collect();
            assert_eq!(errors.len(), 1, "{text}");
            assert_eq!(errors[0].line, line, "{errors:?}");
        }
    }
}
