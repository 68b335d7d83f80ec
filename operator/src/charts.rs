//! What the Helm charts take from the types: the definitions, the rules of the roles, the schema of a cluster's values. `charts/`
//! holds the output of this module. Source: operator spec 10.

use serde_json::{Value, json};

use crate::api::{Kind, each_schema};
use crate::canonical::{sorted, to_yaml};
use crate::crd;
use crate::generated::File;
use crate::install::{definition_rules, edit_rules, lease_rules, namespace_rules, view_rules};

/// The files, below the folder of the charts.
#[must_use]
pub fn files() -> Vec<File> {
    let definitions = crd::render_all().into_iter().map(|file| File {
        path: format!("nsq-operator/files/crds/{}", file.path),
        ..file
    });
    let rights = File {
        path: "nsq-operator/files/rbac.yaml".to_owned(),
        text: format!(
            "# Rules of the roles, printed by cargo xtask codegen.\n{}",
            to_yaml(&rights())
        ),
    };
    let schema = File {
        path: "nsq-cluster/values.schema.json".to_owned(),
        text: format!("{:#}\n", sorted(&cluster_values())),
    };
    definitions.chain([rights, schema]).collect()
}

/// Rules by the role that they are for.
fn rights() -> Value {
    json!({
        "lease": lease_rules(),
        "namespaces": namespace_rules(),
        "definitions": definition_rules(),
        "view": view_rules(),
        "edit": edit_rules(),
    })
}

/// The values of the chart of a cluster.
fn cluster_values() -> Value {
    let channel = member(Kind::NsqChannel);
    let mut topic = member(Kind::NsqTopic);
    topic["properties"]["channels"] = json!({
        "description": "Channels to keep existing.", "type": "array", "items": channel,
    });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of nsq-cluster",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "global": {"type": "object", "description": "What Helm hands to a chart that is part of another one."},
            "name": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "spec": spec(Kind::NsqCluster),
            "topics": {"type": "array", "items": topic},
            "adminView": {
                "type": "object",
                "additionalProperties": false,
                "properties": {"enabled": {"type": "boolean"}},
            },
            "test": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "enabled": {"type": "boolean"},
                    "image": {"type": "string"},
                    "caSecretName": {"type": "string"},
                },
            },
        },
    })
}

/// The spec of a topic or channel in a list, where its place says which cluster and topic it belongs to.
fn member(kind: Kind) -> Value {
    let mut schema = spec(kind);
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.retain(|name, _| name != "clusterName" && name != "topic");
    }
    schema["required"] = json!(["name"]);
    schema
}

/// The schema of a spec for readers of JSON Schema: what an API server would prune is refused, and what only it understands is
/// left to it.
fn spec(kind: Kind) -> Value {
    let mut spec = kind.schema()["properties"]["spec"].clone();
    each_schema(&mut spec, &mut |node| {
        if node.contains_key("x-kubernetes-int-or-string") {
            node.remove("anyOf");
            node.insert("type".to_owned(), json!(["integer", "string"]));
        }
        let open = node.contains_key("x-kubernetes-preserve-unknown-fields");
        if node.contains_key("properties") && !open {
            node.insert("additionalProperties".to_owned(), false.into());
        }
        // Which formats there are depends on the reader.
        node.retain(|key, _| key != "format" && !key.starts_with("x-kubernetes-"));
    });
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schema that takes what it does not know, and no list of names that may be free.
    fn open(schema: &Value, path: &str, found: &mut Vec<String>) {
        let object = schema["type"] == "object";
        if object && schema["additionalProperties"].is_null() {
            found.push(path.to_owned());
        }
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            open(inner, &format!("{path}.{name}"), found);
        }
        open_inner(&schema["items"], path, found);
    }

    fn open_inner(schema: &Value, path: &str, found: &mut Vec<String>) {
        if schema.is_object() {
            open(schema, &format!("{path}[]"), found);
        }
    }

    #[test]
    fn only_affinities_and_what_is_not_ours_may_have_unknown_keys() {
        let mut found = Vec::new();
        open(&cluster_values(), "", &mut found);
        let free = [
            ".global",
            ".spec.admin.pod.affinity",
            ".spec.lookupd.pod.affinity",
            ".spec.nsqd.pod.affinity",
        ];
        assert_eq!(found, free);
    }

    #[test]
    fn a_member_names_itself_and_nothing_that_its_place_says() {
        let topic = &cluster_values()["properties"]["topics"]["items"];
        let channel = &topic["properties"]["channels"]["items"];
        for member in [topic, channel] {
            assert_eq!(member["required"], json!(["name"]));
            assert!(member["properties"]["clusterName"].is_null() && member["properties"]["topic"].is_null());
        }
    }
}
