//! Route of the console: an Ingress or an HTTPRoute.

use serde_json::{Value, json};

use super::object::{Desired, Draft, ObjectKind};
use super::resolved::Resolved;
use crate::api::{Component, RouteType};

pub(super) fn build(cluster: &Resolved) -> Option<Desired> {
    let route = &cluster.spec.admin.route;
    if !cluster.spec.admin.enabled {
        return None;
    }
    let (kind, spec) = match route.kind {
        RouteType::None => return None,
        RouteType::Ingress => (ObjectKind::Ingress, ingress(cluster)),
        RouteType::HTTPRoute if cluster.apis.http_route => (ObjectKind::HTTPRoute, http_route(cluster)),
        // Left out until the API is there; the plan says so in the status.
        RouteType::HTTPRoute => return None,
    };
    let name = cluster.names().of(Component::Admin);
    let draft = Draft::new(cluster, kind, name, Some(Component::Admin), json!({"spec": spec}));
    Some(draft.annotations(&route.annotations).finish())
}

/// The URL prefix of the console, as nsqadmin understands it: with a leading slash and no trailing one.
pub(super) fn base_path(cluster: &Resolved) -> String {
    let path = cluster
        .spec
        .admin
        .options
        .base_path
        .as_deref()
        .unwrap_or_default();
    format!("/{}", path.trim_matches('/'))
}

fn ingress(cluster: &Resolved) -> Value {
    let route = &cluster.spec.admin.route;
    let backend = json!({"service": {
        "name": cluster.names().of(Component::Admin),
        "port": {"name": "http"},
    }});
    let rules: Vec<Value> = route
        .hosts
        .iter()
        .map(|host| {
            json!({"host": host, "http": {"paths": [{
                "path": base_path(cluster), "pathType": "Prefix", "backend": backend,
            }]}})
        })
        .collect();
    let mut spec = json!({"rules": rules});
    if let Some(class) = &route.class_name {
        spec["ingressClassName"] = class.clone().into();
    }
    if let Some(secret) = &route.tls_secret_name {
        spec["tls"] = json!([{"hosts": route.hosts, "secretName": secret}]);
    }
    spec
}

fn http_route(cluster: &Resolved) -> Value {
    let route = &cluster.spec.admin.route;
    json!({
        "parentRefs": route.parent_refs,
        "hostnames": route.hosts,
        "rules": [{
            "matches": [{"path": {"type": "PathPrefix", "value": base_path(cluster)}}],
            "backendRefs": [{"name": cluster.names().of(Component::Admin), "port": 4171}],
        }],
    })
}
