//! `/metrics` (extensions spec 3.7). What nsqds count is not shown again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nsq_http_api::client::{Cause, Error};
use nsq_service::http::{Failure, Reply, Request};
use nsq_service::metrics::{Endpoint, HttpMetrics, Kind, Page, REQUEST_TIMES, process, program};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

use crate::Shared;

/// Upstreams that are remembered as unreachable; beyond that the number shown is too low.
const MAX_UNREACHABLE: usize = 4096;

/// What this nsqadmin counts.
pub(crate) struct Metrics {
    /// Requests to it.
    pub(crate) http: Arc<HttpMetrics>,
    endpoint: Endpoint,
    requests: IntCounterVec,
    seconds: HistogramVec,
    actions: IntCounterVec,
    /// Kind and address of those that did not answer the last time.
    unreachable: Mutex<BTreeSet<(&'static str, String)>>,
    /// Unix seconds.
    start_time: i64,
}

impl Metrics {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// A name cannot stand in a page.
    pub(crate) fn new(start_time: i64) -> Result<Self, String> {
        Self::make(start_time).map_err(|error| error.to_string())
    }

    #[allow(clippy::cast_precision_loss, reason = "the bounds are far below 2^53")]
    fn make(start_time: i64) -> Result<Self, prometheus::Error> {
        let requests = Opts::new(
            "nsqadmin_upstream_requests_total",
            "Questions to nsqds and nsqlookupds by how they ended.",
        );
        let actions = Opts::new("nsqadmin_actions_total", "Actions by how they ended.");
        let seconds = HistogramOpts::new(
            "nsqadmin_upstream_seconds",
            "How long questions to nsqds and nsqlookupds took, also those without an answer.",
        );
        let seconds = seconds.buckets(REQUEST_TIMES.map(|ns| ns as f64 / 1e9).to_vec());
        Ok(Self {
            http: Arc::new(HttpMetrics::new("nsqadmin", "route")?),
            endpoint: Endpoint::default(),
            requests: IntCounterVec::new(requests, &["kind", "result"])?,
            seconds: HistogramVec::new(seconds, &["kind"])?,
            actions: IntCounterVec::new(actions, &["action", "result"])?,
            unreachable: Mutex::default(),
            start_time,
        })
    }

    /// Counts a question to an upstream.
    pub(crate) fn asked(&self, kind: &'static str, address: &str, error: Option<&Error>, took: Duration) {
        let result = match error.map(|error| &error.cause) {
            None => "ok",
            Some(Cause::Timeout(_)) => "timeout",
            Some(_) => "error",
        };
        self.requests.with_label_values(&[kind, result]).inc();
        self.seconds
            .with_label_values(&[kind])
            .observe(took.as_secs_f64());
        // Who says that something is wrong can be reached.
        let is_reached = matches!(error.map(|error| &error.cause), None | Some(Cause::Status { .. }));
        let mut unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        if is_reached {
            unreachable.remove(&(kind, address.to_owned()));
        } else if unreachable.len() < MAX_UNREACHABLE {
            unreachable.insert((kind, address.to_owned()));
        }
    }

    /// Counts an action.
    pub(crate) fn acted(&self, action: &str, result: &str) {
        self.actions.with_label_values(&[action, result]).inc();
    }

    #[allow(clippy::cast_precision_loss, reason = "the number is bounded")]
    fn render(&self, mut page: Page) -> Page {
        program(&mut page, "nsqadmin", self.start_time);
        process(&mut page);
        self.http.write(&mut page);
        page.collect(&self.requests);
        page.collect(&self.seconds);
        page.collect(&self.actions);
        let help = "nsqds and nsqlookupds that did not answer the last time.";
        let mut series = page.family(Kind::Gauge, "nsqadmin_upstreams_unreachable", help);
        let unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in ["nsqd", "nsqlookupd"] {
            let count = unreachable.iter().filter(|(of, _)| *of == kind).count();
            series.value(&[("kind", kind)], count as f64);
        }
        drop(unreachable);
        page
    }
}

/// `GET /metrics`
pub(crate) async fn page(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let metrics = &shared.metrics;
    let render = |page| async { metrics.render(page) };
    Ok(metrics.endpoint.answer(request, render).await)
}
