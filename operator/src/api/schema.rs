//! The schema of each kind: what the derive makes of the types, brought into the form the CRDs have.
//! The offline checks read the same form, so they cannot disagree with the API server.
//!
//! A block's default is written out in full although its fields have theirs too: the server evaluates the
//! rules of a block on its default as it stands, and refuses a CRD whose defaults break or lack what
//! a rule reads.

use std::sync::OnceLock;

use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::{NsqChannel, NsqCluster, NsqTopic};

/// Bounds of what has none of its own, so that the cost of CEL rules stays bounded.
const MAX_LENGTH: u64 = 253;
const MAX_ITEMS: u64 = 64;
const MAX_PROPERTIES: u64 = 64;

/// The three kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `NsqCluster`.
    NsqCluster,
    /// `NsqTopic`.
    NsqTopic,
    /// `NsqChannel`.
    NsqChannel,
}

impl Kind {
    /// All kinds, in the order they are printed.
    pub const ALL: [Self; 3] = [Self::NsqCluster, Self::NsqTopic, Self::NsqChannel];

    /// The kind's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NsqCluster => "NsqCluster",
            Self::NsqTopic => "NsqTopic",
            Self::NsqChannel => "NsqChannel",
        }
    }

    /// Name of its CustomResourceDefinition.
    #[must_use]
    pub fn definition_name(self) -> &'static str {
        match self {
            Self::NsqCluster => "nsqclusters.nsq.rs",
            Self::NsqTopic => "nsqtopics.nsq.rs",
            Self::NsqChannel => "nsqchannels.nsq.rs",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The CustomResourceDefinition as JSON, with its schema in final form and without annotations.
    #[must_use]
    pub fn definition(self) -> Value {
        let derived = match self {
            Self::NsqCluster => serde_json::to_value(NsqCluster::crd()),
            Self::NsqTopic => serde_json::to_value(NsqTopic::crd()),
            Self::NsqChannel => serde_json::to_value(NsqChannel::crd()),
        };
        let mut definition = derived.unwrap_or_default();
        if let Some(schema) = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
            finish(schema);
            if let Some(status) = schema.pointer_mut("/properties/status") {
                open_enums(status);
            }
        }
        definition
    }

    /// The schema of an object of this kind.
    #[must_use]
    pub fn schema(self) -> &'static Value {
        static SCHEMAS: [OnceLock<Value>; 3] = [const { OnceLock::new() }; 3];
        SCHEMAS[self as usize].get_or_init(|| {
            let definition = self.definition();
            definition
                .pointer("/spec/versions/0/schema/openAPIV3Schema")
                .cloned()
                .unwrap_or_default()
        })
    }
}

/// Calls `change` for each schema below this one, this one last.
pub(crate) fn each_schema(schema: &mut Value, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    let Some(node) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Object(properties)) = node.get_mut("properties") {
        properties
            .values_mut()
            .for_each(|property| each_schema(property, change));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = node.get_mut(key) {
            each_schema(inner, change);
        }
    }
    change(node);
}

fn finish(schema: &mut Value) {
    each_schema(schema, &mut |node| {
        // The API server prunes null where it is not allowed, so null means absent everywhere.
        node.remove("nullable");
        node.remove("title");
        shorten_description(node);
        whole_numbers(node);
        bound(node);
    });
}

/// First sentence of a description.
fn shorten_description(node: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = node.get_mut("description") {
        let end = text
            .find(". ")
            .or_else(|| text.find(".\n"))
            .map_or(text.len(), |dot| dot + 1);
        *text = text[..end].split_whitespace().collect::<Vec<_>>().join(" ");
    }
}

/// Bounds as integers: the derive writes them as floats.
fn whole_numbers(node: &mut Map<String, Value>) {
    for key in ["minimum", "maximum"] {
        let Some(number) = node.get(key).and_then(Value::as_f64) else {
            continue;
        };
        #[allow(
            clippy::cast_possible_truncation,
            reason = "bounds of our fields are small integers"
        )]
        node.insert(key.to_owned(), json!(number as i64));
    }
}

/// Gives each string, list and map a greatest size.
fn bound(node: &mut Map<String, Value>) {
    let (key, bound) = match node.get("type").and_then(Value::as_str) {
        Some("string") if !node.contains_key("enum") => ("maxLength", MAX_LENGTH),
        Some("array") => ("maxItems", MAX_ITEMS),
        Some("object") if node.contains_key("additionalProperties") => ("maxProperties", MAX_PROPERTIES),
        _ => return,
    };
    node.entry(key).or_insert_with(|| json!(bound));
}

/// Enums of the status are open: a CRD that is older than the operator must not refuse its words.
fn open_enums(status: &mut Value) {
    each_schema(status, &mut |node| {
        if node.remove("enum").is_some() {
            node.insert("maxLength".to_owned(), json!(64));
        }
    });
}

/// Fills absent fields with the defaults of the schema, as the API server does. `null` counts as absent.
pub(crate) fn apply_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if schema.get("x-kubernetes-preserve-unknown-fields").is_none() {
                fields.retain(|_, field| !field.is_null());
            }
            if let Some(Value::Object(properties)) = schema.get("properties") {
                for (name, property) in properties {
                    if let (None, Some(default)) = (fields.get(name), property.get("default")) {
                        fields.insert(name.clone(), default.clone());
                    }
                    if let Some(field) = fields.get_mut(name) {
                        apply_defaults(property, field);
                    }
                }
            }
            if let Some(inner) = schema.get("additionalProperties") {
                fields.values_mut().for_each(|field| apply_defaults(inner, field));
            }
        }
        Value::Array(items) => {
            if let Some(inner) = schema.get("items") {
                items.iter_mut().for_each(|item| apply_defaults(inner, item));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::super::NsqClusterSpec;
    use super::*;

    #[test]
    fn the_schema_fills_the_same_defaults_as_the_types() {
        let mut object = json!({"spec": {}});
        apply_defaults(Kind::NsqCluster.schema(), &mut object);
        assert_eq!(
            object["spec"],
            serde_json::to_value(NsqClusterSpec::default()).unwrap()
        );
    }

    #[test]
    fn every_string_list_and_map_is_bounded() {
        for kind in Kind::ALL {
            let mut schema = kind.schema().clone();
            each_schema(&mut schema, &mut |node| {
                let before = node.clone();
                bound(node);
                assert_eq!(*node, before, "{kind:?}");
                assert!(
                    !node.contains_key("$ref") && !node.contains_key("nullable"),
                    "{kind:?} {node:?}"
                );
            });
        }
    }
}
