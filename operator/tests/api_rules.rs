//! The rules of the API, evaluated offline.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;

use nsq_operator::api::{
    Kind, NsqChannel, NsqCluster, NsqTopic, Resource, Violation, parse_manifest, validate,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One row of `cases/rules.yaml`.
#[derive(serde::Deserialize)]
struct Case {
    rule: String,
    kind: String,
    old: Option<Value>,
    accepted: Value,
    refused: Value,
    path: String,
    message: String,
}

fn object(kind: &str, given: &Value) -> Value {
    let mut object = json!({"apiVersion": "nsq.rs/v1alpha1", "kind": kind});
    if given.get("metadata").is_some() {
        object["metadata"] = given["metadata"].clone();
        object["spec"] = given["spec"].clone();
    } else {
        object["metadata"] = json!({"name": "x"});
        object["spec"] = given.clone();
    }
    object
}

fn verdict<R: Resource + DeserializeOwned>(new: &Value, old: Option<&Value>) -> Vec<Violation> {
    let read = |value: &Value| serde_json::from_value::<R>(object(R::KIND.as_str(), value)).unwrap();
    validate(&read(new), old.map(read).as_ref())
}

fn verdict_on(case: &Case, new: &Value) -> Vec<Violation> {
    match Kind::parse(&case.kind).unwrap() {
        Kind::NsqCluster => verdict::<NsqCluster>(new, case.old.as_ref()),
        Kind::NsqTopic => verdict::<NsqTopic>(new, case.old.as_ref()),
        Kind::NsqChannel => verdict::<NsqChannel>(new, case.old.as_ref()),
    }
}

/// op_006: every rule, one accepted and one refused object, with the exact text and path.
#[test]
fn op_006_every_rule_accepts_and_refuses_with_its_text() {
    let cases: Vec<Case> = serde_yaml::from_str(include_str!("cases/rules.yaml")).unwrap();
    for case in &cases {
        let accepted = verdict_on(case, &case.accepted);
        assert!(accepted.is_empty(), "{}: {accepted:?}", case.rule);
        let expected = Violation {
            path: case.path.clone(),
            message: case.message.clone(),
        };
        assert_eq!(verdict_on(case, &case.refused), [expected], "{}", case.rule);
    }
    let covered: BTreeSet<&str> = cases.iter().map(|case| case.rule.as_str()).collect();
    // V03 and V27 to V29 are unused numbers.
    let rules = (1..=33)
        .filter(|rule| ![3, 27, 28, 29].contains(rule))
        .map(|rule| format!("V{rule:02}"));
    assert_eq!(
        rules
            .filter(|rule| !covered.contains(rule.as_str()))
            .collect::<Vec<_>>(),
        [""; 0]
    );
}

/// Types, ranges, enums, patterns and sizes have the API server's texts: these were written down from
/// the validation code of Kubernetes 1.34.
#[test]
fn structural_mistakes_have_the_servers_texts() {
    #[derive(serde::Deserialize)]
    struct Row {
        spec: Value,
        errors: Vec<String>,
    }
    let rows: Vec<Row> = serde_yaml::from_str(include_str!("cases/structure.yaml")).unwrap();
    for Row { spec, errors } in rows {
        let manifest = object("NsqCluster", &spec).to_string();
        let found = parse_manifest("f", &manifest).err().unwrap_or_default();
        let found: Vec<String> = found
            .iter()
            .map(|error| format!("{}: {}", error.path, error.message))
            .collect();
        assert_eq!(found, errors, "{spec}");
    }
}
