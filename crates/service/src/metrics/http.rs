//! Requests of an HTTP API.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

use super::histogram::REQUEST_TIMES;
use super::page::Page;
use crate::http::StatusCode;

/// What a path that is no route counts as.
pub(crate) const OTHER: &str = "other";

/// Counts by route and status code, shared by all listeners of a program.
#[derive(Debug)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    seconds: Option<HistogramVec>,
}

impl HttpMetrics {
    /// `PREFIX_http_requests_total` by `label` (the route pattern, or `other`) and `code`.
    ///
    /// # Errors
    /// The names cannot stand in a page.
    pub fn new(prefix: &str, label: &str) -> Result<Self, prometheus::Error> {
        let name = format!("{prefix}_http_requests_total");
        let opts = Opts::new(name, "HTTP requests by route and status code.");
        Ok(Self {
            requests: IntCounterVec::new(opts, &[label, "code"])?,
            seconds: None,
        })
    }

    /// And `PREFIX_http_request_seconds` by `label`.
    ///
    /// # Errors
    /// The names cannot stand in a page.
    #[allow(clippy::cast_precision_loss, reason = "the bounds are far below 2^53")]
    pub fn timed(self, prefix: &str, label: &str) -> Result<Self, prometheus::Error> {
        let name = format!("{prefix}_http_request_seconds");
        let opts = HistogramOpts::new(name, "Time from the head of a request to its answer.")
            .buckets(REQUEST_TIMES.map(|ns| ns as f64 / 1e9).to_vec());
        Ok(Self {
            seconds: Some(HistogramVec::new(opts, &[label])?),
            ..self
        })
    }

    pub(crate) fn observe(&self, route: &str, code: StatusCode, took: Duration) {
        self.requests.with_label_values(&[route, code.as_str()]).inc();
        if let Some(seconds) = &self.seconds {
            seconds.with_label_values(&[route]).observe(took.as_secs_f64());
        }
    }

    /// Writes the families.
    pub fn write(&self, page: &mut Page) {
        page.collect(&self.requests);
        if let Some(seconds) = &self.seconds {
            page.collect(seconds);
        }
    }
}
