//! Network policies: above all, nobody else's nsqd may register. Source: operator spec 4.8.

use serde_json::{Value, json};

use super::object::{Desired, Draft, ObjectKind, selector};
use super::resolved::Resolved;
use crate::api::{Component, Peer};

pub(super) fn build(cluster: &Resolved) -> Vec<Desired> {
    if !cluster.spec.network_policy.enabled {
        return Vec::new();
    }
    let mut policies = vec![
        policy(cluster, Component::Nsqd, &nsqd(cluster)),
        policy(cluster, Component::Lookupd, &lookupd(cluster)),
    ];
    if cluster.spec.admin.enabled {
        policies.push(policy(
            cluster,
            Component::Admin,
            &[json!({"ports": ports(&[4171])})],
        ));
    }
    policies
}

fn policy(cluster: &Resolved, component: Component, ingress: &[Value]) -> Desired {
    let body = json!({"spec": {
        "podSelector": {"matchLabels": selector(cluster, Some(component))},
        "policyTypes": ["Ingress"],
        "ingress": ingress,
    }});
    let name = cluster.names().of(component);
    Draft::new(cluster, ObjectKind::NetworkPolicy, name, Some(component), body).finish()
}

fn nsqd(cluster: &Resolved) -> Vec<Value> {
    let mut rules = clients(cluster, &[4150, 4151, 4152]);
    let mut own = vec![pods(cluster, Component::Nsqd), pods(cluster, Component::Admin)];
    own.extend(operator(cluster));
    rules.push(json!({"ports": ports(&[4151]), "from": own}));
    rules
}

fn lookupd(cluster: &Resolved) -> Vec<Value> {
    let mut registrars = vec![pods(cluster, Component::Nsqd)];
    registrars.extend(cluster.spec.network_policy.registrars.iter().flatten().map(peer));
    let mut readers = vec![pods(cluster, Component::Nsqd), pods(cluster, Component::Admin)];
    readers.extend(operator(cluster));
    let mut rules = vec![json!({"ports": ports(&[4160]), "from": registrars})];
    rules.extend(clients(cluster, &[4161]));
    rules.push(json!({"ports": ports(&[4161]), "from": readers}));
    rules
}

/// Absent clients are anybody. An empty list is nobody, and so is no rule: a rule with an empty `from`
/// would let everybody in.
fn clients(cluster: &Resolved, to: &[u16]) -> Vec<Value> {
    match &cluster.spec.network_policy.clients {
        None => vec![json!({"ports": ports(to)})],
        Some(clients) if clients.is_empty() => Vec::new(),
        Some(clients) => {
            let from: Vec<Value> = clients.iter().map(peer).collect();
            vec![json!({"ports": ports(to), "from": from})]
        }
    }
}

fn ports(ports: &[u16]) -> Value {
    ports
        .iter()
        .map(|port| json!({"protocol": "TCP", "port": port}))
        .collect()
}

fn pods(cluster: &Resolved, component: Component) -> Value {
    json!({"podSelector": {"matchLabels": selector(cluster, Some(component))}})
}

fn operator(cluster: &Resolved) -> Option<Value> {
    let namespace = cluster.operator_namespace.as_ref()?;
    Some(json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}))
}

fn peer(peer: &Peer) -> Value {
    // The block has the same fields as the object.
    serde_json::to_value(peer).unwrap_or_default()
}
