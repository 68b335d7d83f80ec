//! What an install needs of a Kubernetes cluster, and what was seen there before it. Pure: [`kubeworld::survey`] looks,
//! `nsq check --pre` judges. Source: operator spec 1.2, 2.6, 4.9, 9.4.
//!
//! [`kubeworld::survey`]: crate::kubeworld::survey

use std::collections::BTreeSet;

use crate::api::Kind;
use crate::install::{DEFINITION_RULE, Install, LEASE_RULES, RULES, Rule, objects};

/// Oldest Kubernetes: major and minor version.
pub const OLDEST: (u32, u32) = (1, 30);

/// Something that whoever installs has to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// API group; empty is the core.
    pub group: String,
    /// Plural, with a subresource as `pods/eviction`.
    pub resource: String,
    /// Verb of RBAC.
    pub verb: String,
    /// Where; none is the whole cluster.
    pub namespace: Option<String>,
}

impl Right {
    fn new(group: &str, resource: &str, verb: &str, namespace: Option<&str>) -> Self {
        Self {
            group: group.to_owned(),
            resource: resource.to_owned(),
            verb: verb.to_owned(),
            namespace: namespace.map(str::to_owned),
        }
    }

    /// Everything: who has it needs to be asked nothing else.
    #[must_use]
    pub fn everything() -> Self {
        Self::new("*", "*", "*", None)
    }

    /// To give away what one does not have: the rights of the operator need not be one's own then.
    #[must_use]
    pub fn escalate() -> Self {
        Self::new("rbac.authorization.k8s.io", "clusterroles", "escalate", None)
    }
}

/// To apply the definitions and the objects of this install.
#[must_use]
pub fn to_apply(install: &Install) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    let mut apply = |group: &str, plural: &str, namespace: Option<&str>| {
        // Server-side apply asks for both.
        for verb in ["create", "patch"] {
            rights.insert(Right::new(group, plural, verb, namespace));
        }
    };
    apply(DEFINITION_RULE.group, "customresourcedefinitions", None);
    for object in objects(install) {
        let text = |path: &str| object.pointer(path).and_then(|value| value.as_str());
        let group = text("/apiVersion").and_then(|version| version.split_once('/'));
        let plural = text("/kind").unwrap_or_default().to_lowercase() + "s";
        apply(
            group.map_or("", |(group, _)| group),
            &plural,
            text("/metadata/namespace"),
        );
    }
    rights
}

/// To give the operator its rights: nobody can grant more than what he has.
#[must_use]
pub fn to_grant(install: &Install) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    let mut grant = |rules: &[Rule], namespace: Option<&str>| {
        for rule in rules {
            for resource in rule.resources {
                let each = rule.verbs.iter();
                rights.extend(each.map(|verb| Right::new(rule.group, resource, verb, namespace)));
            }
        }
    };
    grant(LEASE_RULES, Some(&install.namespace));
    if install.watch_namespaces.is_empty() {
        grant(RULES, None);
        grant(&[DEFINITION_RULE], None);
    }
    for watched in &install.watch_namespaces {
        grant(RULES, Some(watched));
    }
    rights
}

/// What was seen. What could not be read is a text that says why.
#[derive(Clone, Debug)]
pub struct Facts {
    /// As the server tells it, `v1.34.1`.
    pub version: String,
    /// Rights that were asked for.
    pub asked: usize,
    /// Of them, those that are missing.
    pub denied: Vec<Right>,
    /// Every storage class.
    pub classes: Result<Vec<Class>, String>,
    /// The definition of each of our kinds, by its name.
    pub definitions: Vec<(&'static str, Result<Definition, String>)>,
    /// The operator's namespace and those that it watches.
    pub namespaces: Vec<(String, Result<Place, String>)>,
}

/// A storage class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// For claims that name none.
    pub is_default: bool,
    /// Its volumes can grow.
    pub grows: bool,
}

/// A definition of one of our kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// Not installed.
    Absent,
    /// As this release has it.
    Same,
    /// As another release has it, or somebody else.
    Other,
}

impl Definition {
    /// A definition that says this of its schema.
    #[must_use]
    pub fn of(kind: Kind, schema_hash: Option<&str>) -> Self {
        if schema_hash == Some(&crate::crd::schema_hash(kind)) {
            Self::Same
        } else {
            Self::Other
        }
    }
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It will be made.
    Absent,
    /// It is being deleted.
    Ending,
    /// It is there, with this level of Pod security if one is enforced.
    There(Option<String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(watched: &[&str]) -> Install {
        Install {
            namespace: "nsq-system".to_owned(),
            image: "i".to_owned(),
            watch_namespaces: watched.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn what_is_applied_and_granted_is_asked_for() {
        let everywhere = to_apply(&install(&[]));
        for right in [
            Right::new("", "namespaces", "create", None),
            Right::new("", "serviceaccounts", "patch", Some("nsq-system")),
            Right::new("apps", "deployments", "create", Some("nsq-system")),
            Right::new("rbac.authorization.k8s.io", "clusterrolebindings", "patch", None),
            Right::new(
                "apiextensions.k8s.io",
                "customresourcedefinitions",
                "create",
                None,
            ),
        ] {
            assert!(everywhere.contains(&right), "{right:?}");
        }
        let granted = to_grant(&install(&[]));
        assert!(granted.contains(&Right::new("", "pods/eviction", "create", None)));
        assert!(granted.contains(&Right::new(
            "coordination.k8s.io",
            "leases",
            "update",
            Some("nsq-system")
        )));
    }

    #[test]
    fn with_some_namespaces_watched_nothing_is_asked_for_everywhere_but_what_has_no_namespace() {
        let install = install(&["a", "b"]);
        let granted = to_grant(&install);
        assert!(granted.iter().all(|right| right.namespace.is_some()));
        assert!(granted.contains(&Right::new("", "pods", "patch", Some("b"))));
        let without: BTreeSet<String> = to_apply(&install)
            .into_iter()
            .filter(|right| right.namespace.is_none())
            .map(|right| right.resource)
            .collect();
        assert_eq!(
            without.into_iter().collect::<Vec<_>>(),
            ["clusterroles", "customresourcedefinitions", "namespaces"]
        );
    }
}
