//! A request to the API server, in the words of RBAC.

use std::time::Duration;

/// One request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Time since the proxy was started.
    pub at: Duration,
    /// `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`.
    pub verb: &'static str,
    /// API group; empty is the core.
    pub group: String,
    /// Plural, with the subresource as `pods/eviction`; `discovery` for lists of APIs.
    pub resource: String,
    /// Namespace; none for what has none.
    pub namespace: Option<String>,
    /// Name of the object; none for lists and creates.
    pub name: Option<String>,
    /// Path of the URL.
    pub path: String,
    /// Query of the URL.
    pub query: String,
}

impl Call {
    /// A request as it stands in its first line.
    #[must_use]
    pub fn of(method: &str, path: &str, query: &str, at: Duration) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => ("", &[][..]),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, more @ ..] if !more.is_empty() => (Some((*namespace).to_owned()), more),
            all => (None, all),
        };
        let (resource, name) = match rest {
            [] => ("discovery".to_owned(), None),
            [plural] => ((*plural).to_owned(), None),
            [plural, name] => ((*plural).to_owned(), Some((*name).to_owned())),
            [plural, name, sub, ..] => (format!("{plural}/{sub}"), Some((*name).to_owned())),
        };
        let verb = match (method, &name) {
            ("GET", None) if query.contains("watch=true") => "watch",
            ("GET", None) if !rest.is_empty() => "list",
            ("GET", _) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", _) => "delete",
            _ => "other",
        };
        Self {
            at,
            verb,
            group: group.to_owned(),
            resource,
            namespace,
            name,
            path: path.to_owned(),
            query: query.to_owned(),
        }
    }

    /// It asks for a change.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }

    /// It is about the lease of an election, which is renewed all the time.
    #[must_use]
    pub fn is_lease(&self) -> bool {
        self.resource == "leases"
    }

    /// It has this verb and is about this resource.
    #[must_use]
    pub fn is(&self, verb: &str, resource: &str) -> bool {
        self.verb == verb && self.resource == resource
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_in_the_words_of_rbac() {
        let pods = "/api/v1/namespaces/ns/pods";
        for (method, path, query, told) in [
            ("GET", pods, "watch=true", ("watch", "", "pods", Some("ns"), None)),
            ("GET", pods, "limit=500", ("list", "", "pods", Some("ns"), None)),
            (
                "PATCH",
                "/apis/nsq.rs/v1alpha1/namespaces/ns/nsqclusters/c/status",
                "",
                ("patch", "nsq.rs", "nsqclusters/status", Some("ns"), Some("c")),
            ),
            (
                "GET",
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x",
                "",
                (
                    "get",
                    "apiextensions.k8s.io",
                    "customresourcedefinitions",
                    None,
                    Some("x"),
                ),
            ),
            (
                "GET",
                "/apis/nsq.rs/v1alpha1",
                "",
                ("get", "nsq.rs", "discovery", None, None),
            ),
        ] {
            let call = Call::of(method, path, query, Duration::ZERO);
            let found = (
                call.verb,
                call.group.as_str(),
                call.resource.as_str(),
                call.namespace.as_deref(),
                call.name.as_deref(),
            );
            assert_eq!(found, told, "{path}");
        }
    }
}
