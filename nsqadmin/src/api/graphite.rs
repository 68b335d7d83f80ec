//! `GET /api/graphite` (nsqadmin spec 8.7): the present rate of a counter, asked from graphite for scripts.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use nsq_http_api::client::Target;
use nsq_http_api::client::header::{self, HeaderName};
use nsq_service::http::{Failure, Reply, Request, StatusCode, decode_path, encode_component};
use nsq_service::listen::Peer;
use serde::{Deserialize, Serialize};

use crate::Shared;

/// Where graphite is, and how often counters get there.
#[derive(Clone, Debug)]
pub(crate) struct Graphite {
    pub(crate) url: String,
    /// Seconds.
    pub(crate) interval: u64,
    /// `GET /render` is handed on.
    pub(crate) is_proxied: bool,
}

#[derive(Deserialize)]
struct Series {
    datapoints: Vec<(Option<f64>, f64)>,
}

#[derive(Serialize)]
struct Rate {
    rate: String,
}

/// `GET /api/graphite?metric=rate&target=<expression>`
pub(crate) async fn graphite(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let query = request.query()?;
    if query.get("metric") != Some("rate") {
        return Err(Failure::bad_request("INVALID_ARG_METRIC"));
    }
    let expression = query.require("target", "INVALID_ARG_TARGET")?;
    let url = shared.graphite.rate_url(expression);
    let target = Target::parse(&url);
    let target = target.ok_or_else(|| Failure::internal(&"--graphite-url is not an http or https URL"))?;
    let bytes = shared.upstream.fetch(&target).await;
    let bytes = bytes.map_err(|error| Failure::internal(&error))?;
    let failed = |why: &dyn fmt::Display| Failure::internal(&format!("graphite's answer: {why}"));
    let series: Vec<Series> = serde_json::from_slice(&bytes).map_err(|error| failed(&error))?;
    let first = series.first().and_then(|series| series.datapoints.first());
    let value = first.and_then(|(value, _)| *value);
    let value = value.ok_or_else(|| failed(&"no value"))?;
    Reply::json(&Rate {
        rate: shared.graphite.rate(value),
    })
}

/// `GET /render`: what a page of graphite's asks, handed on (nsqadmin spec 11.3). Only with `--proxy-graphite`.
pub(crate) async fn render(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let graphite = &shared.graphite;
    if !graphite.is_proxied {
        return Err(Failure::not_found("NOT_FOUND"));
    }
    let (root, login) = graphite.root().unwrap_or_default();
    let query = match request.raw_query() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let target = Target::parse(&format!("{root}/render{query}"));
    let target = target.ok_or_else(|| Failure::bad_request("INVALID_REQUEST"))?;
    let peer = match request.peer() {
        Peer::Tcp(address) => address.ip().to_string(),
        Peer::Unix => "@".to_owned(),
    };
    let forwarded = match request.header("x-forwarded-for") {
        None => peer,
        Some(before) => format!("{before}, {peer}"),
    };
    let mut headers = vec![(header::HOST, request.header("host").unwrap_or_default())];
    headers.push((HeaderName::from_static("x-forwarded-for"), &forwarded));
    if let Some(login) = &login {
        headers.push((header::AUTHORIZATION, login));
    }
    if let Some(accept) = request.header("accept") {
        headers.push((header::ACCEPT, accept));
    }
    let answer = shared.upstream.relay(&target, &headers).await;
    let answer = answer.map_err(|error| {
        tracing::error!("graphite: {error}");
        Failure::new(StatusCode::BAD_GATEWAY, "GRAPHITE_UNREACHABLE")
    })?;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = answer
        .content_type
        .as_deref()
        .unwrap_or("application/octet-stream");
    Ok(Reply::bytes(answer.body)
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        // whatever graphite draws, it is not a page of this console
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
}

impl Graphite {
    /// Scheme and host, and the `Authorization` for a name and a password that stand there.
    pub(crate) fn root(&self) -> Option<(String, Option<String>)> {
        let (scheme, rest) = self.url.split_once("://")?;
        let authority = rest.split(['/', '?']).next()?;
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        let login = login.map(|login| {
            let decoded = decode_path(login).unwrap_or_else(|| login.to_owned());
            format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(decoded)
            )
        });
        Target::parse(&format!("{scheme}://{host}"))?;
        Some((format!("{scheme}://{host}"), login))
    }

    fn rate_url(&self, expression: &str) -> String {
        let (url, seconds) = (self.url.trim_end_matches('/'), self.interval);
        let (from, target) = (seconds.saturating_mul(2), encode_component(expression));
        format!("{url}/render?format=json&from=-{from}sec&target={target}&until=-{seconds}sec")
    }

    #[allow(clippy::cast_precision_loss, reason = "seconds of a day or so")]
    fn rate(&self, value: f64) -> String {
        if value < 0.0 {
            "N/A".to_owned()
        } else {
            format!("{:.2}", value / self.interval.max(1) as f64)
        }
    }
}
