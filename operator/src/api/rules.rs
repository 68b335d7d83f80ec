//! Shared pieces of the CEL rules. Each rule stands once, on the type it is about; the API server and
//! `validate` evaluate the same text. Source: operator spec 2.3.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::core::{Reason, Rule};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A rule about the node it sits on.
pub(crate) fn rule(expression: &str, message: &str) -> Rule {
    Rule::new(expression)
        .message(message)
        .reason(Reason::FieldValueInvalid)
}

/// A rule where one field below the node is to blame; `path` is like `.size`.
pub(crate) fn rule_at(path: &str, expression: &str, message: &str) -> Rule {
    let mut rule = rule(expression, message);
    rule.field_path = Some(path.to_owned());
    rule
}

/// Immutable although optional: adding and removing it are caught too.
pub(crate) fn immutable_optional(field: &str, message: &str) -> Rule {
    let expression = format!(
        "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    );
    rule_at(&format!(".{field}"), &expression, message)
}

/// V18: config keys that have their own field or that the operator sets itself.
pub(crate) fn owned_options(keys: &[&str], prefixes: &[&str]) -> Rule {
    let keys = keys
        .iter()
        .map(|key| format!("'{key}'"))
        .collect::<Vec<_>>()
        .join(", ");
    let prefixes = prefixes
        .iter()
        .map(|prefix| format!(" && !k.startsWith('{prefix}')"))
        .collect::<String>();
    rule(
        &format!("self.all(k, !(k in [{keys}]){prefixes})"),
        "extraOptions must not set options that have their own field or that the operator owns",
    )
}

/// V19.
pub(crate) fn option_keys() -> Rule {
    rule(
        "self.all(k, k.matches('^[a-z0-9_]{1,64}$'))",
        "extraOptions keys are config file keys: lower case letters, digits, underscores",
    )
}

/// V32.
pub(crate) fn nsq_name() -> Rule {
    rule(
        "self.matches('^[.a-zA-Z0-9_-]{1,64}$')",
        "names are 1 to 64 of . a-z A-Z 0-9 _ - and cannot be ephemeral",
    )
}

/// V33: the object's own name is used, so it has to be short enough for NSQ.
pub(crate) fn default_name() -> Rule {
    rule(
        "has(self.spec.name) || self.metadata.name.size() <= 64",
        "set spec.name: the object name is longer than 64 characters",
    )
}

/// Labels or annotations a user adds; keys of the operator's own prefixes are refused (V20).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExtraKeys(pub BTreeMap<String, String>);

impl ExtraKeys {
    /// `skip_serializing_if` for maps that mean the same when empty and when absent.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl JsonSchema for ExtraKeys {
    fn schema_name() -> Cow<'static, str> {
        "ExtraKeys".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let rule = rule(
            "self.all(k, !k.startsWith('nsq.rs/') && !k.startsWith('app.kubernetes.io/'))",
            "labels and annotations must not use the prefixes nsq.rs/ and app.kubernetes.io/",
        );
        json_schema!({
            "type": "object",
            "additionalProperties": {"type": "string", "maxLength": 1024},
            "maxProperties": 32,
            "x-kubernetes-validations": [rule],
        })
    }
}
