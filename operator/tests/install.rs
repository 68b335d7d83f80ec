//! What an install without Helm consists of. The table of rules is in section 9.4 of the operator specification.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::disallowed_methods, reason = "compares a real file of the repository")]

use std::path::Path;

use nsq_operator::install::{Install, RULES, manifests, objects};

fn install(watch: &[&str]) -> Install {
    Install {
        namespace: "nsq-system".to_owned(),
        image: concat!("nsq-rs/nsq-operator:", env!("CARGO_PKG_VERSION")).to_owned(),
        watch_namespaces: watch.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[test]
fn the_checked_in_manifests_are_the_output() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/operator.yaml");
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        there == manifests(&install(&[])),
        "run: nsq-operator install > operator/deploy/operator.yaml"
    );
}

#[test]
fn nothing_is_allowed_with_a_wildcard_and_no_secret_at_all() {
    for rule in RULES {
        let words = rule.verbs.iter().chain(rule.resources);
        assert!(words.clone().all(|word| *word != "*"), "{rule:?}");
        assert!(
            !rule.resources.contains(&"secrets") && !rule.resources.contains(&"nodes"),
            "{rule:?}"
        );
    }
}

#[test]
fn with_a_list_of_namespaces_only_roles_are_needed() {
    let kinds = |watch: &[&str]| {
        let objects = objects(&install(watch));
        let of = |kind: &str| {
            let found = objects.iter().filter(|object| object["kind"] == kind);
            found
                .filter(|object| object["metadata"]["name"] == "nsq-operator")
                .count()
        };
        (
            of("ClusterRole"),
            of("ClusterRoleBinding"),
            of("Role"),
            of("RoleBinding"),
        )
    };
    assert_eq!(kinds(&[]), (1, 1, 0, 0));
    assert_eq!(kinds(&["a", "b"]), (0, 0, 2, 2));
}
