//! The manifests of an install without Helm: what the operator may do, and the Deployment that runs it. The rules of this
//! module are the only source; `operator/deploy/` holds its output. Source: operator spec 9.4, 9.5.

use serde_json::{Value, json};

use crate::api::{GROUP, Kind};
use crate::canonical::to_yaml;

/// What the operator may do with the resources of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// API group; empty is the core.
    pub group: &'static str,
    /// Resources, with subresources as `pods/eviction`.
    pub resources: &'static [&'static str],
    /// Verbs.
    pub verbs: &'static [&'static str],
}

const READ: &[&str] = &["get", "list", "watch"];
const OWN: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// In every namespace that is watched.
pub const RULES: &[Rule] = &[
    Rule {
        group: "nsq.rs",
        resources: &["nsqclusters", "nsqtopics", "nsqchannels"],
        verbs: READ,
    },
    Rule {
        group: "nsq.rs",
        resources: &["nsqclusters/status", "nsqtopics/status", "nsqchannels/status"],
        verbs: &["patch"],
    },
    // The finalizer of a deletion policy.
    Rule {
        group: "nsq.rs",
        resources: &["nsqtopics", "nsqchannels"],
        verbs: &["patch"],
    },
    // An owner reference that blocks the owner's deletion needs it where that admission is on.
    Rule {
        group: "nsq.rs",
        resources: &["nsqclusters/finalizers"],
        verbs: &["update"],
    },
    Rule {
        group: "apps",
        resources: &["statefulsets", "deployments"],
        verbs: OWN,
    },
    Rule {
        group: "",
        resources: &[
            "services",
            "configmaps",
            "serviceaccounts",
            "persistentvolumeclaims",
        ],
        verbs: OWN,
    },
    // The fence label.
    Rule {
        group: "",
        resources: &["pods"],
        verbs: &["get", "list", "watch", "patch"],
    },
    // A pod that has to start anew for its volume.
    Rule {
        group: "",
        resources: &["pods/eviction"],
        verbs: &["create"],
    },
    Rule {
        group: "policy",
        resources: &["poddisruptionbudgets"],
        verbs: OWN,
    },
    Rule {
        group: "networking.k8s.io",
        resources: &["networkpolicies", "ingresses"],
        verbs: OWN,
    },
    Rule {
        group: "gateway.networking.k8s.io",
        resources: &["httproutes"],
        verbs: &["get", "create", "patch", "delete"],
    },
    Rule {
        group: "monitoring.coreos.com",
        resources: &["podmonitors"],
        verbs: &["get", "create", "patch", "delete"],
    },
    Rule {
        group: "events.k8s.io",
        resources: &["events"],
        verbs: &["create"],
    },
];

/// Of the definitions of our kinds, and of no other: whether they are those of this release. Only where all namespaces are watched.
pub const DEFINITION_RULE: Rule = Rule {
    group: "apiextensions.k8s.io",
    resources: &["customresourcedefinitions"],
    verbs: &["get"],
};

/// In the operator's own namespace.
pub const LEASE_RULES: &[Rule] = &[Rule {
    group: "coordination.k8s.io",
    resources: &["leases"],
    verbs: &["get", "create", "update"],
}];

/// Name of everything that belongs to the operator.
const NAME: &str = "nsq-operator";

/// Where and how the operator runs.
#[derive(Clone, Debug)]
pub struct Install {
    /// Its namespace.
    pub namespace: String,
    /// Its image.
    pub image: String,
    /// Namespaces it watches; empty is all of them.
    pub watch_namespaces: Vec<String>,
}

/// All objects as one stream of YAML documents, in the order to apply them in.
#[must_use]
pub fn manifests(install: &Install) -> String {
    let documents = objects(install);
    documents
        .iter()
        .map(|object| format!("---\n{}", to_yaml(object)))
        .collect()
}

/// All objects.
#[must_use]
pub fn objects(install: &Install) -> Vec<Value> {
    let namespace = install.namespace.as_str();
    let mut objects = vec![namespace_object(namespace), account(namespace)];
    objects.push(role(
        "Role",
        &format!("{NAME}-lease"),
        Some(namespace),
        &lease_rules(),
    ));
    objects.push(binding(
        "RoleBinding",
        "Role",
        &format!("{NAME}-lease"),
        Some(namespace),
        namespace,
    ));
    if install.watch_namespaces.is_empty() {
        let rules = [namespace_rules(), definition_rules()].concat();
        objects.push(role("ClusterRole", NAME, None, &rules));
        objects.push(binding(
            "ClusterRoleBinding",
            "ClusterRole",
            NAME,
            None,
            namespace,
        ));
    }
    for watched in &install.watch_namespaces {
        objects.push(role("Role", NAME, Some(watched), &namespace_rules()));
        objects.push(binding("RoleBinding", "Role", NAME, Some(watched), namespace));
    }
    objects.extend(for_users());
    objects.push(deployment(install));
    objects
}

fn labels() -> Value {
    json!({"app.kubernetes.io/name": NAME})
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    let mut metadata = json!({"name": name, "labels": labels()});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    metadata
}

fn namespace_object(namespace: &str) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata(namespace, None)});
    object["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted".into();
    object
}

fn account(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(NAME, Some(namespace)),
        "automountServiceAccountToken": false,
    })
}

fn rule(rule: &Rule) -> Value {
    json!({"apiGroups": [rule.group], "resources": rule.resources, "verbs": rule.verbs})
}

/// [`LEASE_RULES`] as a Role has them.
pub(crate) fn lease_rules() -> Vec<Value> {
    LEASE_RULES.iter().map(rule).collect()
}

/// [`RULES`] as a Role has them.
pub(crate) fn namespace_rules() -> Vec<Value> {
    RULES.iter().map(rule).collect()
}

/// [`DEFINITION_RULE`] as a ClusterRole has it.
pub(crate) fn definition_rules() -> Vec<Value> {
    let mut definitions = rule(&DEFINITION_RULE);
    definitions["resourceNames"] = Kind::ALL.map(Kind::definition_name).to_vec().into();
    vec![definitions]
}

/// For users who may see.
pub(crate) fn view_rules() -> Vec<Value> {
    vec![rule(&Rule {
        group: GROUP,
        resources: &["nsqclusters", "nsqtopics", "nsqchannels"],
        verbs: READ,
    })]
}

/// For users who may change, beside what they may see.
pub(crate) fn edit_rules() -> Vec<Value> {
    vec![rule(&Rule {
        group: GROUP,
        resources: &["nsqclusters", "nsqtopics", "nsqchannels", "nsqclusters/scale"],
        verbs: &["create", "delete", "deletecollection", "patch", "update"],
    })]
}

fn role(kind: &str, name: &str, namespace: Option<&str>, rules: &[Value]) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata(name, namespace),
        "rules": rules,
    })
}

fn binding(kind: &str, role: &str, name: &str, namespace: Option<&str>, own: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata(name, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": own}],
    })
}

/// Roles that are part of the usual view, edit and admin: whoever may see or change Deployments may do so with clusters.
fn for_users() -> Vec<Value> {
    let one = |name: &str, into: &[&str], rules: &[Value]| {
        let mut role = role("ClusterRole", name, None, rules);
        for part in into {
            role["metadata"]["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{part}")] =
                "true".into();
        }
        role
    };
    vec![
        one("nsq-view", &["view", "edit", "admin"], &view_rules()),
        one("nsq-edit", &["edit", "admin"], &edit_rules()),
    ]
}

fn deployment(install: &Install) -> Value {
    let mut args = vec!["run".to_owned()];
    if !install.watch_namespaces.is_empty() {
        args.push(format!(
            "--watch-namespaces={}",
            install.watch_namespaces.join(",")
        ));
    }
    let probe =
        |path: &str, period: u32| json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": period});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(NAME, Some(&install.namespace)),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels()},
            "template": {
                "metadata": {"labels": labels()},
                "spec": {
                    "serviceAccountName": NAME,
                    "automountServiceAccountToken": true,
                    "enableServiceLinks": false,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": 65532,
                        "runAsGroup": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [{
                        "name": "operator",
                        "image": install.image,
                        "command": [NAME],
                        "args": args,
                        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "livenessProbe": probe("/livez", 10),
                        "readinessProbe": probe("/readyz", 5),
                        "resources": {
                            "requests": {"cpu": "10m", "memory": "32Mi"},
                            "limits": {"memory": "64Mi"},
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }],
                },
            },
        },
    })
}
