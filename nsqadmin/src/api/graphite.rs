//! `GET /api/graphite` (nsqadmin spec 8.7): the present rate of a counter, asked from graphite for scripts.

use std::fmt;
use std::sync::Arc;

use nsq_http_api::client::Target;
use nsq_service::http::{Failure, Reply, Request, encode_component};
use serde::{Deserialize, Serialize};

use crate::Shared;

/// Where graphite is, and how often counters get there.
#[derive(Clone, Debug)]
pub(crate) struct Graphite {
    pub(crate) url: String,
    /// Seconds.
    pub(crate) interval: u64,
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

impl Graphite {
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
