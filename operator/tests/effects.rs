//! op_018: every spec field has an effect in the table, and flipping it changes exactly that.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap fails the test")]

use std::collections::BTreeMap;

use nsq_operator::api::{Component, EFFECTS, Effect, Kind, NsqCluster, effect_of, validate};
use nsq_operator::build::{Apis, Desired, ObjectKind, Resolved, TEMPLATE_HASH, objects};
use serde_json::{Value, json};

/// Fields that need company: path, what stands in the spec before, what is merged into it.
fn special() -> BTreeMap<&'static str, (Value, Value)> {
    let expose = |extra: Value| {
        merged(
            json!({"nsqd": {"expose": {
                "type": "StaticNames", "hostTemplate": "a{ordinal}", "serviceType": "LoadBalancer",
            }}}),
            extra,
        )
    };
    let ingress = json!({"admin": {"route": {"type": "Ingress", "hosts": ["a"]}}});
    let gateway =
        json!({"admin": {"route": {"type": "HTTPRoute", "hosts": ["a"], "parentRefs": [{"name": "a"}]}}});
    let tls = json!({"tls": {"mode": "Required", "secretName": "a"}});
    let statsd = json!({"nsqd": {"options": {"statsd": {"address": "a"}}}});
    BTreeMap::from([
        ("mode", (json!({}), json!({"mode": "Stopped"}))),
        ("image", (json!({}), json!({"image": "r.example/other:2"}))),
        ("flavor", (json!({}), json!({"flavor": "Upstream"}))),
        (
            "nsqd.storage.size",
            (json!({}), json!({"nsqd": {"storage": {"size": "20Gi"}}})),
        ),
        (
            "nsqd.drain.onTimeout",
            (
                json!({"nsqd": {"drain": {"timeout": "1h"}}}),
                json!({"nsqd": {"drain": {"onTimeout": "Force"}}}),
            ),
        ),
        (
            "nsqd.options.statsd.address",
            (
                statsd.clone(),
                json!({"nsqd": {"options": {"statsd": {"address": "b"}}}}),
            ),
        ),
        (
            "nsqd.options.statsd.prefix",
            (
                statsd.clone(),
                json!({"nsqd": {"options": {"statsd": {"prefix": "b"}}}}),
            ),
        ),
        (
            "nsqd.options.statsd.interval",
            (
                statsd,
                json!({"nsqd": {"options": {"statsd": {"interval": "7s"}}}}),
            ),
        ),
        (
            "nsqd.expose.type",
            (
                json!({}),
                json!({"nsqd": {"expose": {"type": "StaticNames", "hostTemplate": "a{ordinal}"}}}),
            ),
        ),
        (
            "nsqd.expose.hostTemplate",
            (
                expose(json!({})),
                json!({"nsqd": {"expose": {"hostTemplate": "b{ordinal}"}}}),
            ),
        ),
        (
            "nsqd.expose.serviceType",
            (
                expose(json!({})),
                json!({"nsqd": {"expose": {"serviceType": "ClusterIP"}}}),
            ),
        ),
        (
            "nsqd.expose.annotations",
            (
                expose(json!({})),
                json!({"nsqd": {"expose": {"annotations": {"x": "{ordinal}"}}}}),
            ),
        ),
        (
            "nsqd.expose.loadBalancerClass",
            (
                expose(json!({})),
                json!({"nsqd": {"expose": {"loadBalancerClass": "x"}}}),
            ),
        ),
        (
            "nsqd.expose.sourceRanges",
            (
                expose(json!({})),
                json!({"nsqd": {"expose": {"sourceRanges": ["::/0"]}}}),
            ),
        ),
        (
            "admin.route.type",
            (
                json!({"admin": {"route": {"hosts": ["a"]}}}),
                json!({"admin": {"route": {"type": "Ingress"}}}),
            ),
        ),
        (
            "admin.route.hosts",
            (ingress.clone(), json!({"admin": {"route": {"hosts": ["b"]}}})),
        ),
        (
            "admin.route.className",
            (ingress.clone(), json!({"admin": {"route": {"className": "b"}}})),
        ),
        (
            "admin.route.tlsSecretName",
            (
                ingress.clone(),
                json!({"admin": {"route": {"tlsSecretName": "b"}}}),
            ),
        ),
        (
            "admin.route.annotations",
            (ingress, json!({"admin": {"route": {"annotations": {"x": "y"}}}})),
        ),
        (
            "admin.route.parentRefs",
            (
                gateway,
                json!({"admin": {"route": {"parentRefs": [{"name": "b"}]}}}),
            ),
        ),
        (
            "tls.mode",
            (json!({}), json!({"tls": {"mode": "Optional", "secretName": "a"}})),
        ),
        (
            "tls.secretName",
            (tls.clone(), json!({"tls": {"secretName": "b"}})),
        ),
        (
            "tls.caSecretName",
            (tls.clone(), json!({"tls": {"caSecretName": "b"}})),
        ),
        (
            "tls.clientAuth",
            (tls.clone(), json!({"tls": {"clientAuth": "Require"}})),
        ),
        ("tls.minVersion", (tls, json!({"tls": {"minVersion": "TLS13"}}))),
        (
            "auth.requestMethod",
            (
                json!({"auth": {"httpAddresses": ["a"]}}),
                json!({"auth": {"requestMethod": "post"}}),
            ),
        ),
        (
            "networkPolicy.clients",
            (
                json!({}),
                json!({"networkPolicy": {"clients": [{"podSelector": {}}]}}),
            ),
        ),
        (
            "networkPolicy.registrars",
            (
                json!({}),
                json!({"networkPolicy": {"registrars": [{"podSelector": {}}]}}),
            ),
        ),
        (
            "monitoring.podMonitorLabels",
            (
                json!({"monitoring": {"podMonitor": true}}),
                json!({"monitoring": {"podMonitorLabels": {"x": "y"}}}),
            ),
        ),
    ])
}

fn merged(mut base: Value, patch: Value) -> Value {
    merge(&mut base, patch);
    base
}

fn merge(base: &mut Value, patch: Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, patch) => *base = patch,
    }
}

/// Leaf fields below a schema: path and schema.
fn leaves<'a>(schema: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
    match schema.get("properties").and_then(Value::as_object) {
        Some(properties) => {
            for (name, inner) in properties {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                leaves(inner, &path, found);
            }
        }
        None => found.push((path.to_owned(), schema)),
    }
}

/// Another value for a field than the one it has.
fn other(schema: &Value, current: &Value) -> Value {
    if let Some(allowed) = schema["enum"].as_array() {
        return allowed
            .iter()
            .rev()
            .find(|value| *value != current)
            .unwrap()
            .clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => json!(!current.as_bool().unwrap_or(false)),
        Some("integer") => json!(current.as_i64().or(schema["minimum"].as_i64()).unwrap_or(0) + 1),
        Some("string") if schema["format"] == "date-time" => json!("2026-01-02T03:04:05Z"),
        Some("string") if schema.get("pattern").is_some() => json!("7m"),
        Some("string") => json!("x"),
        Some("array") if schema["items"].get("properties").is_some() => json!([{"name": "X", "key": "x"}]),
        Some("array") => json!(["x"]),
        Some("object") => {
            json!({"x": if schema.get("additionalProperties").is_some() { json!("3") } else { json!({}) }})
        }
        other => panic!("{other:?}"),
    }
}

fn cluster(spec: &Value) -> NsqCluster {
    serde_json::from_value(json!({
        "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster", "metadata": {"name": "c", "namespace": "ns"}, "spec": spec,
    }))
    .unwrap()
}

fn built(cluster: &NsqCluster, claim_templates: Option<Vec<Value>>) -> Vec<Desired> {
    let mut resolved = Resolved::first(cluster, "ns", "x/nsq:1");
    resolved.apis = Apis {
        pod_monitor: true,
        http_route: true,
    };
    resolved.live.claim_templates = claim_templates;
    objects(&resolved)
}

fn find(objects: &[Desired], kind: ObjectKind, name: &str) -> Option<Desired> {
    objects
        .iter()
        .find(|object| object.kind == kind && object.name.starts_with(name))
        .cloned()
}

fn template_hash(objects: &[Desired], component: Component) -> Option<String> {
    let (kind, name) = match component {
        Component::Nsqd => (ObjectKind::StatefulSet, "c-nsqd"),
        Component::Lookupd => (ObjectKind::Deployment, "c-nsqlookupd-0"),
        Component::Admin => (ObjectKind::Deployment, "c-nsqadmin"),
    };
    find(objects, kind, name).map(|object| object.annotation(TEMPLATE_HASH).unwrap().to_owned())
}

/// Components whose pods would be replaced.
fn rolled(before: &[Desired], after: &[Desired]) -> Vec<Component> {
    Component::ALL
        .into_iter()
        .filter(|component| {
            match (
                template_hash(before, *component),
                template_hash(after, *component),
            ) {
                (Some(before), Some(after)) => before != after,
                _ => false,
            }
        })
        .collect()
}

fn flip(path: &str, effect: Effect, old: &Value, new: &Value) {
    let (old, new) = (cluster(old), cluster(new));
    assert_ne!(old, new, "{path}: nothing flipped");
    assert_eq!(validate(&old, None), [], "{path}");
    assert_eq!(validate(&new, None), [], "{path}");
    assert_eq!(
        validate(&new, Some(&old)).is_empty(),
        effect != Effect::Immutable,
        "{path}"
    );
    let before = built(&old, None);
    let stateful_set = find(&before, ObjectKind::StatefulSet, "c-nsqd").unwrap().object;
    let claims = stateful_set["spec"]["volumeClaimTemplates"].as_array().cloned();
    let after = built(&new, claims);
    let rolled = rolled(&before, &after);
    match effect {
        Effect::Immutable => {}
        Effect::Roll(components) => {
            let mut components = components.to_vec();
            components.sort_by_key(|component| Component::ALL.iter().position(|other| other == component));
            assert_eq!(rolled, components, "{path}");
        }
        Effect::Objects => assert!(rolled.is_empty() && before != after, "{path}: {rolled:?}"),
        Effect::Decision => assert_eq!(before, after, "{path}"),
        Effect::Hot => {
            let file = |objects| find(objects, ObjectKind::ConfigMap, "c-nsqd-").unwrap();
            assert!(
                rolled.is_empty() && file(&before).name == file(&after).name,
                "{path}"
            );
            assert_ne!(
                file(&before).object["data"],
                file(&after).object["data"],
                "{path}"
            );
        }
        Effect::Scale => {
            let now = find(&after, ObjectKind::StatefulSet, "c-nsqd").unwrap().object;
            assert!(
                rolled.is_empty() && now["spec"]["replicas"] != stateful_set["spec"]["replicas"],
                "{path}"
            );
        }
    }
}

/// op_018
#[test]
fn op_018_each_field_does_what_the_table_says() {
    let mut fields = Vec::new();
    leaves(&Kind::NsqCluster.schema()["properties"]["spec"], "", &mut fields);
    assert!(fields.len() > 120, "{}", fields.len());
    let special = special();
    let defaults = serde_json::to_value(nsq_operator::api::NsqClusterSpec::default()).unwrap();
    for (path, schema) in &fields {
        let effect = effect_of(path).unwrap_or_else(|| panic!("{path} has no effect"));
        let (base, patch) = special.get(path.as_str()).cloned().unwrap_or_else(|| {
            let pointer = format!("/{}", path.replace('.', "/"));
            let value = other(schema, defaults.pointer(&pointer).unwrap_or(&Value::Null));
            let patch = path.rsplit('.').fold(value, |inner, key| json!({ key: inner }));
            (json!({}), patch)
        });
        flip(path, effect, &base, &merged(base.clone(), patch));
    }
    for path in special.keys() {
        assert!(
            fields.iter().any(|(field, _)| field == path),
            "{path} is no field"
        );
    }
    for (entry, _) in EFFECTS {
        let used = fields.iter().any(|(field, _)| {
            field
                .strip_prefix(entry)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        assert!(used, "{entry} stands in the table and is no field");
    }
}
