//! The checked-in CRDs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap fails the test")]
#![allow(clippy::disallowed_methods, reason = "compares real files of the repository")]

use std::path::Path;

use nsq_operator::api::Kind;
use nsq_operator::crd;
use nsq_operator::generated::differing;

fn checked_in(name: &str) -> Option<String> {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds").join(name)).ok()
}

/// op_001: the files are the output, byte for byte.
#[test]
fn op_001_the_checked_in_files_are_the_output() {
    let differing = differing(&crd::render_all(), checked_in);
    assert!(
        differing.is_empty(),
        "{differing:?} differ: run `nsq-operator crd --dir crds`"
    );
}

/// op_002: size budgets.
#[test]
fn op_002_the_definitions_keep_their_budgets() {
    for kind in Kind::ALL {
        let budget = if kind == Kind::NsqCluster { 120_000 } else { 20_000 };
        let size = crd::render(kind).text.len();
        assert!(size <= budget, "{kind:?} has {size} bytes");
    }
}

/// What an API server asks of a structural schema, and what it warns about.
#[test]
fn the_schemas_are_structural() {
    for kind in Kind::ALL {
        structural(&kind.schema().clone(), kind.as_str());
    }
}

fn structural(schema: &serde_json::Value, path: &str) {
    let open = schema.get("x-kubernetes-int-or-string").is_some();
    assert!(
        open || schema.get("type").is_some_and(serde_json::Value::is_string),
        "{path} has no type"
    );
    for key in [
        "$ref",
        "allOf",
        "oneOf",
        "not",
        "nullable",
        "title",
        "$schema",
        "definitions",
    ] {
        assert!(schema.get(key).is_none(), "{path} has {key}");
    }
    assert!(open || schema.get("anyOf").is_none(), "{path} has anyOf");
    let both = schema.get("properties").is_some() && schema.get("additionalProperties").is_some();
    assert!(!both, "{path} has properties and additionalProperties");
    for (name, inner) in schema
        .get("properties")
        .and_then(|p| p.as_object())
        .into_iter()
        .flatten()
    {
        structural(inner, &format!("{path}.{name}"));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(key) {
            structural(inner, &format!("{path}.{key}"));
        }
    }
}

#[test]
fn names_columns_and_subresources_are_those_of_the_specification() {
    let cluster = crd::definition(Kind::NsqCluster);
    let version = &cluster["spec"]["versions"][0];
    let columns = version["additionalPrinterColumns"].as_array().unwrap();
    let names: Vec<&str> = columns
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "Phase",
            "Ready",
            "Available",
            "Nsqd",
            "Lookupd",
            "Release",
            "Age",
            "Message",
            "Storage",
            "Image",
            "Version",
        ]
    );
    assert_eq!(
        version["subresources"]["scale"]["labelSelectorPath"],
        ".status.nsqd.selector"
    );
    assert_eq!(
        cluster["metadata"]["annotations"][crd::SCHEMA_HASH]
            .as_str()
            .unwrap()
            .len(),
        16
    );
    for (kind, short) in [
        (Kind::NsqCluster, "nsqc"),
        (Kind::NsqTopic, "nsqt"),
        (Kind::NsqChannel, "nsqch"),
    ] {
        let definition = crd::definition(kind);
        assert_eq!(definition["spec"]["names"]["shortNames"][0], short);
        assert_eq!(definition["spec"]["names"]["categories"][0], "nsq");
        assert!(definition["spec"]["versions"][0]["subresources"]["status"].is_object());
        let selectable = &definition["spec"]["versions"][0]["selectableFields"][0]["jsonPath"];
        assert_eq!(selectable.is_null(), kind == Kind::NsqCluster);
    }
}

/// The server evaluates a block's rules on its default as it stands, and refuses a CRD whose defaults lack
/// what a rule reads.
#[test]
fn defaults_of_blocks_are_complete() {
    fn complete(schema: &serde_json::Value, path: &str) {
        for (name, inner) in schema
            .get("properties")
            .and_then(|p| p.as_object())
            .into_iter()
            .flatten()
        {
            let path = format!("{path}.{name}");
            let with_default = inner
                .get("properties")
                .and_then(|p| p.as_object())
                .into_iter()
                .flatten();
            if let Some(default) = inner.get("default").filter(|default| default.is_object()) {
                for (field, field_schema) in with_default {
                    assert_eq!(default.get(field), field_schema.get("default"), "{path}.{field}");
                }
            }
            complete(inner, &path);
        }
    }
    for kind in Kind::ALL {
        complete(kind.schema(), kind.as_str());
    }
}
