//! `/metrics` (extensions spec 3.7). There are no series by topic: nsqd has them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use nsq_service::metrics::{Endpoint, HttpMetrics, Page, process, program};
use prometheus::{IntCounterVec, Opts};

use crate::Shared;

/// What this nsqlookupd counts.
pub(crate) struct Metrics {
    /// Requests of the HTTP API.
    pub(crate) http: Arc<HttpMetrics>,
    pub(crate) endpoint: Endpoint,
    commands: IntCounterVec,
    lookups: IntCounterVec,
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
        let commands = Opts::new(
            "nsqlookupd_commands_total",
            "Commands of nsqds by how they were answered.",
        );
        let lookups = Opts::new("nsqlookupd_lookups_total", "Questions for the nsqds of a topic.");
        Ok(Self {
            http: Arc::new(HttpMetrics::new("nsqlookupd", "path")?),
            endpoint: Endpoint::default(),
            commands: IntCounterVec::new(commands, &["command", "result"])?,
            lookups: IntCounterVec::new(lookups, &["result"])?,
            start_time,
        })
    }

    /// Counts a command that was answered.
    pub(crate) fn command(&self, command: &str, is_ok: bool) {
        let result = if is_ok { "ok" } else { "error" };
        self.commands.with_label_values(&[command, result]).inc();
    }

    /// Counts a lookup.
    pub(crate) fn lookup(&self, is_found: bool) {
        let result = if is_found { "found" } else { "not_found" };
        self.lookups.with_label_values(&[result]).inc();
    }
}

/// Writes the page.
#[allow(
    clippy::cast_precision_loss,
    reason = "the registry is bounded far below 2^53"
)]
pub(crate) fn render(shared: &Shared, mut page: Page) -> Page {
    let metrics = &shared.metrics;
    program(&mut page, "nsqlookupd", metrics.start_time);
    process(&mut page);
    let sizes = shared.registry.lock().sizes(shared.now());
    let connections = shared.connections.load(Relaxed);
    for (name, help, value) in [
        (
            "nsqlookupd_producers",
            "nsqds that are connected and said who they are.",
            sizes.producers,
        ),
        (
            "nsqlookupd_inactive_producers",
            "Those of them that were silent for longer than --inactive-producer-timeout.",
            sizes.inactive_producers,
        ),
        ("nsqlookupd_topics", "Topics that are known.", sizes.topics),
        ("nsqlookupd_channels", "Channels that are known.", sizes.channels),
        (
            "nsqlookupd_tombstones",
            "Tombstones that hide an nsqd of a topic at the moment.",
            sizes.tombstones,
        ),
        ("nsqlookupd_tcp_connections", "Open TCP connections.", connections),
    ] {
        page.gauge(name, help, value as f64);
    }
    page.collect(&metrics.commands);
    page.collect(&metrics.lookups);
    metrics.http.write(&mut page);
    page
}
