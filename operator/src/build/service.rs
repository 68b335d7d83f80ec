//! Services. Source: operator spec 4.4 to 4.6.

use serde_json::{Map, Value, json};

use super::object::{Desired, Draft, ObjectKind, PUBLISH, lookupd_selector, selector};
use super::resolved::Resolved;
use crate::api::{
    Component, ExposeServiceType, ExposeType, ExtraKeys, IpFamilyPolicy, PublishServiceType, TlsMode,
};

pub(super) fn build(cluster: &Resolved) -> Vec<Desired> {
    let mut services = lookupds(cluster);
    services.extend([headless(cluster), publish(cluster)]);
    services.extend(per_node(cluster));
    if cluster.spec.admin.enabled {
        services.push(admin(cluster));
    }
    services
}

/// One per nsqlookupd, and one over all for people and KEDA, which nsqd is never given: it would split
/// the registry.
fn lookupds(cluster: &Resolved) -> Vec<Desired> {
    let names = cluster.names();
    let one = |index| {
        let spec = spec(
            cluster,
            lookupd_selector(cluster, index),
            &[("tcp", 4160), ("http", 4161)],
            json!({"type": "ClusterIP", "publishNotReadyAddresses": true}),
        );
        draft(
            cluster,
            names.indexed(Component::Lookupd, index),
            Component::Lookupd,
            &spec,
        )
        .index(index)
        .finish()
    };
    let mut services: Vec<Desired> = cluster
        .registries
        .all
        .iter()
        .map(|registry| one(registry.index))
        .collect();
    let all = spec(
        cluster,
        selector(cluster, Some(Component::Lookupd)),
        &[("http", 4161)],
        json!({"type": "ClusterIP"}),
    );
    services.push(draft(cluster, names.of(Component::Lookupd), Component::Lookupd, &all).finish());
    services
}

/// Consumers keep finding joining, draining and unready nodes.
fn headless(cluster: &Resolved) -> Desired {
    let spec = spec(
        cluster,
        selector(cluster, Some(Component::Nsqd)),
        &nsqd_ports(cluster),
        json!({"type": "ClusterIP", "clusterIP": "None", "publishNotReadyAddresses": true}),
    );
    draft(
        cluster,
        cluster.names().of(Component::Nsqd),
        Component::Nsqd,
        &spec,
    )
    .finish()
}

/// Only ready nodes that are not fenced.
fn publish(cluster: &Resolved) -> Desired {
    let service = &cluster.spec.nsqd.publish_service;
    let kind = match service.kind {
        PublishServiceType::ClusterIP => "ClusterIP",
        PublishServiceType::LoadBalancer => "LoadBalancer",
        PublishServiceType::NodePort => "NodePort",
    };
    let mut nodes = selector(cluster, Some(Component::Nsqd));
    nodes.insert(PUBLISH.to_owned(), "enabled".into());
    let spec = spec(cluster, nodes, &nsqd_ports(cluster), json!({"type": kind}));
    draft(cluster, cluster.names().publish(), Component::Nsqd, &spec)
        .annotations(&service.annotations)
        .finish()
}

/// One per node, where nodes have names of their own.
fn per_node(cluster: &Resolved) -> Vec<Desired> {
    let expose = &cluster.spec.nsqd.expose;
    let kind = match (expose.kind, expose.service_type) {
        (ExposeType::Internal, _) | (_, ExposeServiceType::None) => return Vec::new(),
        (ExposeType::StaticNames, ExposeServiceType::ClusterIP) => "ClusterIP",
        (ExposeType::StaticNames, ExposeServiceType::LoadBalancer) => "LoadBalancer",
    };
    let mut extra = json!({"type": kind, "publishNotReadyAddresses": true});
    if expose.service_type == ExposeServiceType::LoadBalancer {
        if let Some(class) = &expose.load_balancer_class {
            extra["loadBalancerClass"] = class.clone().into();
        }
        if !expose.source_ranges.is_empty() {
            extra["loadBalancerSourceRanges"] = expose.source_ranges.clone().into();
        }
    }
    let one = |ordinal: i32| {
        let name = cluster.names().indexed(Component::Nsqd, ordinal);
        let mut pod = selector(cluster, Some(Component::Nsqd));
        pod.insert(
            "statefulset.kubernetes.io/pod-name".to_owned(),
            name.clone().into(),
        );
        let spec = spec(cluster, pod, &[("tcp", 4150), ("http", 4151)], extra.clone());
        let replaced = expose
            .annotations
            .0
            .iter()
            .map(|(key, value)| (key.clone(), value.replace("{ordinal}", &ordinal.to_string())));
        draft(cluster, name, Component::Nsqd, &spec)
            .annotations(&ExtraKeys(replaced.collect()))
            .finish()
    };
    (0..cluster.nodes.desired()).map(one).collect()
}

/// The result page of an action lives in the nsqadmin that did it, hence the affinity.
fn admin(cluster: &Resolved) -> Desired {
    let spec = spec(
        cluster,
        selector(cluster, Some(Component::Admin)),
        &[("http", 4171)],
        json!({"type": "ClusterIP", "sessionAffinity": "ClientIP"}),
    );
    draft(
        cluster,
        cluster.names().of(Component::Admin),
        Component::Admin,
        &spec,
    )
    .finish()
}

fn draft<'a>(cluster: &'a Resolved, name: String, component: Component, spec: &Value) -> Draft<'a> {
    Draft::new(
        cluster,
        ObjectKind::Service,
        name,
        Some(component),
        json!({"spec": spec}),
    )
}

fn spec(cluster: &Resolved, selector: Map<String, Value>, ports: &[(&str, u16)], extra: Value) -> Value {
    let ports: Vec<Value> = ports
        .iter()
        .map(|(name, port)| json!({"name": name, "port": port, "targetPort": name, "protocol": "TCP"}))
        .collect();
    let families = match cluster.spec.ip_family_policy {
        IpFamilyPolicy::SingleStack => "SingleStack",
        IpFamilyPolicy::PreferDualStack => "PreferDualStack",
        IpFamilyPolicy::RequireDualStack => "RequireDualStack",
    };
    let mut spec = extra;
    spec["selector"] = selector.into();
    spec["ports"] = ports.into();
    spec["ipFamilyPolicy"] = families.into();
    spec
}

/// Ports of nsqd as its Services and its container name them.
pub(super) fn nsqd_ports(cluster: &Resolved) -> Vec<(&'static str, u16)> {
    let mut ports = vec![("tcp", 4150), ("http", 4151)];
    if cluster.spec.tls.mode != TlsMode::Disabled {
        ports.push(("https", 4152));
    }
    ports
}
