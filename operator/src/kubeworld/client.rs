//! The client of the API server, with every request counted.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use kube::client::{Body, ClientBuilder};
use kube::core::Status;
use kube::core::response::StatusDetails;
use kube::{Client, Config};
use tower::layer::layer_fn;
use tower::{BoxError, Service};

use super::metrics::Metrics;

/// Connects with the in-cluster account, else as the kubeconfig says.
///
/// # Errors
/// Neither is there, or it cannot be used.
pub(super) async fn connect(metrics: &Metrics) -> Result<(Client, Config), String> {
    let mut config = Config::infer().await.map_err(|error| {
        format!("no way to the API server: {error}; run inside of a cluster or set KUBECONFIG")
    })?;
    // What failed is tried again by the next pass, by its own rules; tries hidden in here would hold the pass up.
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config.clone()).map_err(|error| format!("API server: {error}"))?;
    let metrics = metrics.clone();
    let counted = layer_fn(move |inner| Counted {
        inner,
        metrics: metrics.clone(),
    });
    Ok((builder.with_layer(&counted).build(), config))
}

/// Counts what goes through, and reads how long a server that has too much to do wants to be left alone.
#[derive(Clone)]
struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, R> Service<http::Request<Body>> for Counted<S>
where
    S: Service<http::Request<Body>, Response = http::Response<R>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
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
            let answer = answer.await.map_err(Into::into);
            let code = answer.as_ref().map_or_else(
                |_| "none".to_owned(),
                |answer| answer.status().as_u16().to_string(),
            );
            metrics.requested(verb, &resource, &code);
            match answer {
                Ok(answer) if answer.status() == StatusCode::TOO_MANY_REQUESTS => {
                    Err(BoxError::from(throttled(answer.headers())))
                }
                answer => answer,
            }
        })
    }
}

/// Too many requests as an error with its time. The server's filter puts it into a header alone, and a body that is no status.
fn throttled(headers: &HeaderMap) -> kube::Error {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let details = StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(0),
    };
    let status = Status::failure("too many requests", "TooManyRequests");
    kube::Error::Api(status.with_code(429).with_details(details).boxed())
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
    use super::*;
    use crate::kubeworld::problem::Problem;

    #[test]
    fn the_time_of_too_many_requests_stands_in_a_header() {
        let of = |headers: HeaderMap| Problem::from(throttled(&headers));
        let seconds = std::time::Duration::from_secs;
        let header = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static("7"))]);
        assert_eq!(of(header), Problem::Throttled(Some(seconds(7))));
        assert_eq!(of(HeaderMap::new()), Problem::Throttled(None));
    }

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
