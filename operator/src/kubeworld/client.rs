//! The client of the API server, with every request counted.

use std::pin::Pin;
use std::task::{Context, Poll};

use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::Service;
use tower::layer::layer_fn;

use super::metrics::Metrics;

/// Connects with the in-cluster account, else as the kubeconfig says.
///
/// # Errors
/// Neither is there, or it cannot be used.
pub(super) async fn connect(metrics: &Metrics) -> Result<(Client, Config), String> {
    let config = Config::infer().await.map_err(|error| {
        format!("no way to the API server: {error}; run inside of a cluster or set KUBECONFIG")
    })?;
    let builder = ClientBuilder::try_from(config.clone()).map_err(|error| format!("API server: {error}"))?;
    let metrics = metrics.clone();
    let counted = layer_fn(move |inner| Counted {
        inner,
        metrics: metrics.clone(),
    });
    Ok((builder.with_layer(&counted).build(), config))
}

/// Counts what goes through.
#[derive(Clone)]
struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, R> Service<http::Request<Body>> for Counted<S>
where
    S: Service<http::Request<Body>, Response = http::Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let uri = request.uri();
        let (verb, resource) = sort(
            request.method().as_str(),
            uri.path(),
            uri.query().unwrap_or_default(),
        );
        let metrics = self.metrics.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = answer.as_ref().map_or_else(
                |_| "none".to_owned(),
                |answer| answer.status().as_u16().to_string(),
            );
            metrics.requested(verb, &resource, &code);
            answer
        })
    }
}

/// Verb and resource of a request, in the words of RBAC.
fn sort(method: &str, path: &str, query: &str) -> (&'static str, String) {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let after_version = match parts.first() {
        Some(&"api") => 2,
        Some(&"apis") => 3,
        _ => parts.len(),
    };
    let rest = parts.get(after_version..).unwrap_or_default();
    let rest = match rest {
        ["namespaces", _, more @ ..] if !more.is_empty() => more,
        all => all,
    };
    let resource = match rest {
        [] => "discovery".to_owned(),
        [plural] | [plural, _] => (*plural).to_owned(),
        [plural, _, sub, ..] => format!("{plural}/{sub}"),
    };
    let verb = match (method, rest.len()) {
        ("GET", 1) if query.contains("watch=true") => "watch",
        ("GET", 1) => "list",
        ("GET", _) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", _) => "delete",
        _ => "other",
    };
    (verb, resource)
}

#[cfg(test)]
mod tests {
    use super::sort;

    #[test]
    fn requests_are_sorted_in_the_words_of_rbac() {
        for (method, path, query, verb, resource) in [
            ("GET", "/api/v1/namespaces/ns/pods", "watch=true", "watch", "pods"),
            ("GET", "/api/v1/pods", "limit=500", "list", "pods"),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/ns/statefulsets/c-nsqd",
                "",
                "patch",
                "statefulsets",
            ),
            (
                "PATCH",
                "/apis/nsq.rs/v1alpha1/namespaces/ns/nsqclusters/c/status",
                "",
                "patch",
                "nsqclusters/status",
            ),
            ("GET", "/api/v1/namespaces/ns", "", "get", "namespaces"),
            ("GET", "/apis/monitoring.coreos.com/v1", "", "get", "discovery"),
        ] {
            assert_eq!(sort(method, path, query), (verb, resource.to_owned()), "{path}");
        }
    }
}
