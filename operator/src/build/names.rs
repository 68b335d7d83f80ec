//! Names and addresses of the children. Source: operator spec 4.1 and 4.7.

use crate::api::Component;

/// Makes names of the children of one cluster.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Name of the cluster.
    pub cluster: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// DNS domain of the Kubernetes cluster.
    pub domain: &'a str,
}

impl Names<'_> {
    /// What all components share: account and PodMonitor.
    #[must_use]
    pub fn shared(&self) -> String {
        format!("{}-nsq", self.cluster)
    }

    /// Objects of a component as a whole.
    #[must_use]
    pub fn of(&self, component: Component) -> String {
        format!("{}-{}", self.cluster, component.as_str())
    }

    /// One of several: the pod of a node, an nsqlookupd.
    #[must_use]
    pub fn indexed(&self, component: Component, index: i32) -> String {
        format!("{}-{index}", self.of(component))
    }

    /// Service of the publishers.
    #[must_use]
    pub fn publish(&self) -> String {
        format!("{}-nsqd-publish", self.cluster)
    }

    /// Claim of a node.
    #[must_use]
    pub fn claim(&self, ordinal: i32) -> String {
        format!("data-{}", self.indexed(Component::Nsqd, ordinal))
    }

    /// DNS name of a Service.
    #[must_use]
    pub fn service_host(&self, service: &str) -> String {
        format!("{service}.{}.svc.{}", self.namespace, self.domain)
    }

    /// DNS name of an nsqlookupd.
    #[must_use]
    pub fn lookupd_host(&self, index: i32) -> String {
        self.service_host(&self.indexed(Component::Lookupd, index))
    }

    /// `host:port` of some nsqlookupd.
    #[must_use]
    pub fn lookupd_addresses(&self, indexes: &[i32], port: u16) -> Vec<String> {
        indexes
            .iter()
            .map(|index| format!("{}:{port}", self.lookupd_host(*index)))
            .collect()
    }

    /// DNS name of a node's pod in the headless Service; `pod` may be a variable reference.
    #[must_use]
    pub fn node_host(&self, pod: &str) -> String {
        format!("{pod}.{}", self.service_host(&self.of(Component::Nsqd)))
    }
}
