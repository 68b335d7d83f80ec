//! `/metrics` (extensions spec 3.7). What nsqds count is not shown again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nsq_http_api::client::{Cause, Error};
use nsq_service::http::{Failure, Reply, Request};
use nsq_service::metrics::{Endpoint, HttpMetrics, Kind, Page, REQUEST_TIMES, process, program};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts};

use crate::Shared;

/// Upstreams that are remembered as unreachable; beyond that the number shown is too low.
const MAX_UNREACHABLE: usize = 4096;

/// Nodes with series of their own; the others are `*`.
const MAX_NODES: usize = 200;

/// What is only known when somebody asks.
#[derive(Clone, Copy, Debug, Default)]
struct Now {
    streams: usize,
    history_bytes: usize,
    evictions: u64,
}

#[allow(clippy::cast_precision_loss, reason = "the bounds are far below 2^53")]
fn times(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(REQUEST_TIMES.map(|ns| ns as f64 / 1e9).to_vec())
}

/// What this nsqadmin counts.
pub(crate) struct Metrics {
    /// Requests to it.
    pub(crate) http: Arc<HttpMetrics>,
    endpoint: Endpoint,
    requests: IntCounterVec,
    seconds: HistogramVec,
    actions: IntCounterVec,
    rounds: Histogram,
    poll_bytes: IntCounterVec,
    poll_errors: IntCounterVec,
    /// Nodes with series of their own.
    polled: Mutex<BTreeSet<String>>,
    /// Milliseconds between rounds.
    interval: AtomicU64,
    renders: HistogramVec,
    patches: IntCounter,
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

    fn make(start_time: i64) -> Result<Self, prometheus::Error> {
        let requests = Opts::new(
            "nsqadmin_upstream_requests_total",
            "Questions to nsqds and nsqlookupds by how they ended.",
        );
        let actions = Opts::new("nsqadmin_actions_total", "Actions by how they ended.");
        let seconds = times(
            "nsqadmin_upstream_seconds",
            "How long questions to nsqds and nsqlookupds took, also those without an answer.",
        );
        Ok(Self {
            http: Arc::new(HttpMetrics::new("nsqadmin", "route")?),
            endpoint: Endpoint::default(),
            requests: IntCounterVec::new(requests, &["kind", "result"])?,
            seconds: HistogramVec::new(seconds, &["kind"])?,
            actions: IntCounterVec::new(actions, &["action", "result"])?,
            rounds: Histogram::with_opts(times(
                "nsqadmin_poll_seconds",
                "How long a round of questions to everybody took.",
            ))?,
            poll_bytes: IntCounterVec::new(
                Opts::new(
                    "nsqadmin_poll_bytes_total",
                    "Bytes of /stats that nsqds answered.",
                ),
                &["node"],
            )?,
            poll_errors: IntCounterVec::new(
                Opts::new("nsqadmin_poll_errors_total", "Questions for /stats that failed."),
                &["node"],
            )?,
            polled: Mutex::default(),
            interval: AtomicU64::new(0),
            renders: HistogramVec::new(
                times(
                    "nsqadmin_page_render_seconds",
                    "How long pages took to make, without packing; those of channels ask for clients.",
                ),
                &["page"],
            )?,
            patches: IntCounter::new("nsqadmin_patches_total", "Patches that were sent to open pages.")?,
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

    /// Counts an answer of a node to the question for its numbers.
    pub(crate) fn polled(&self, node: &str, bytes: usize, is_error: bool) {
        let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        if polled.len() < MAX_NODES && !polled.contains(node) {
            polled.insert(node.to_owned());
        }
        let label = if polled.contains(node) { node } else { "*" };
        self.poll_bytes.with_label_values(&[label]).inc_by(bytes as u64);
        self.poll_errors
            .with_label_values(&[label])
            .inc_by(u64::from(is_error));
    }

    /// Counts a round, after which they come every `interval`.
    pub(crate) fn round(&self, took: Duration, interval: Duration) {
        self.rounds.observe(took.as_secs_f64());
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        self.interval.store(millis, Ordering::Relaxed);
    }

    /// Counts a page of a route.
    pub(crate) fn rendered(&self, page: &str, took: Duration) {
        self.renders
            .with_label_values(&[page])
            .observe(took.as_secs_f64());
    }

    /// Counts a patch.
    pub(crate) fn patched(&self) {
        self.patches.inc();
    }

    /// Counts an action.
    pub(crate) fn acted(&self, action: &str, result: &str) {
        self.actions.with_label_values(&[action, result]).inc();
    }

    #[allow(clippy::cast_precision_loss, reason = "the number is bounded")]
    fn render(&self, mut page: Page, now: &Now) -> Page {
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
        page.collect(&self.rounds);
        page.collect(&self.poll_bytes);
        page.collect(&self.poll_errors);
        page.collect(&self.renders);
        page.collect(&self.patches);
        let interval = self.interval.load(Ordering::Relaxed) as f64 / 1e3;
        let help = "Seconds between two rounds, which are more when answers are large; 0 without any.";
        page.family(Kind::Gauge, "nsqadmin_poll_interval_seconds", help)
            .value(&[], interval);
        page.family(Kind::Gauge, "nsqadmin_streams", "Open pages that get patches.")
            .value(&[], now.streams as f64);
        page.family(
            Kind::Gauge,
            "nsqadmin_history_bytes",
            "Memory of what the numbers were.",
        )
        .value(&[], now.history_bytes as f64);
        let help = "Series of history that lost points for want of memory.";
        page.family(Kind::Counter, "nsqadmin_history_evictions_total", help)
            .value(&[], now.evictions as f64);
        page
    }
}

/// `GET /metrics`
pub(crate) async fn page(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let metrics = &shared.metrics;
    let view = shared.board.latest();
    let now = view.map_or_else(Now::default, |view| {
        let history = view.history.read();
        Now {
            streams: 0,
            history_bytes: history.bytes(),
            evictions: history.evictions(),
        }
    });
    let now = Now {
        streams: shared.live.open(),
        ..now
    };
    let render = |page| async { metrics.render(page, &now) };
    Ok(metrics.endpoint.answer(request, render).await)
}
