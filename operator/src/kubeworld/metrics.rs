//! Metrics of the operator. Source: operator spec 9.1.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use super::child::ClusterKey;
use super::store::Store;
use crate::series::{self, ClusterFacts};

const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counters and gauges, shared by all parts.
#[derive(Clone)]
pub(super) struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    leader: IntGauge,
    passes: IntCounterVec,
    pass_seconds: HistogramVec,
    in_flight: IntGauge,
    depth: IntGauge,
    requests: IntCounterVec,
    writes: IntCounterVec,
    daemon_requests: IntCounterVec,
    objects: GaugeVec,
    restarts: IntCounterVec,
    unreadable: IntCounterVec,
    outdated: GaugeVec,
    clusters: Mutex<BTreeMap<ClusterKey, ClusterFacts>>,
}

impl Metrics {
    /// All families, at zero.
    ///
    /// # Errors
    /// Never in practice: all names are constants.
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let number = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let pass_seconds = HistogramVec::new(
            HistogramOpts::new("nsq_operator_reconcile_seconds", "Duration of passes.")
                .buckets(SECONDS.to_vec()),
            &["kind"],
        )?;
        registry.register(Box::new(pass_seconds.clone()))?;
        let objects = GaugeVec::new(
            Opts::new("nsq_operator_store_objects", "Objects known from watches."),
            &["kind"],
        )?;
        registry.register(Box::new(objects.clone()))?;
        let outdated = GaugeVec::new(
            Opts::new(
                "nsq_operator_crd_outdated",
                "1 while the installed definition is of another release.",
            ),
            &["crd"],
        )?;
        registry.register(Box::new(outdated.clone()))?;
        let inner = Inner {
            leader: number("nsq_operator_leader", "1 while this process leads.")?,
            passes: counter(
                "nsq_operator_reconcile_total",
                "Passes by result.",
                &["kind", "result"],
            )?,
            pass_seconds,
            in_flight: number("nsq_operator_reconcile_in_flight", "Passes going on.")?,
            depth: number("nsq_operator_queue_depth", "Clusters whose pass is due.")?,
            requests: counter(
                "nsq_operator_api_requests_total",
                "Requests to the API server.",
                &["verb", "resource", "code"],
            )?,
            writes: counter(
                "nsq_operator_api_writes_total",
                "Writes to the API server.",
                &["kind", "action"],
            )?,
            daemon_requests: counter(
                "nsq_operator_daemon_requests_total",
                "Requests to daemons.",
                &["daemon", "op", "result"],
            )?,
            objects,
            restarts: counter(
                "nsq_operator_watch_restarts_total",
                "Watches begun anew.",
                &["kind"],
            )?,
            unreadable: counter(
                "nsq_operator_unreadable_objects_total",
                "Objects of our kinds that could not be read.",
                &["kind"],
            )?,
            outdated,
            clusters: Mutex::default(),
            registry,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Whether this process leads.
    pub(super) fn leads(&self, leads: bool) {
        self.inner.leader.set(i64::from(leads));
    }

    /// A pass begins.
    pub(super) fn pass_began(&self) {
        self.inner.in_flight.inc();
    }

    /// A pass ended.
    pub(super) fn pass_ended(&self, result: &str, took: Duration) {
        self.inner.in_flight.dec();
        self.inner.passes.with_label_values(&["NsqCluster", result]).inc();
        self.inner
            .pass_seconds
            .with_label_values(&["NsqCluster"])
            .observe(took.as_secs_f64());
    }

    /// Clusters whose pass is due.
    pub(super) fn queue_depth(&self, depth: usize) {
        self.inner.depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// A request to the API server was answered.
    pub(super) fn requested(&self, verb: &str, resource: &str, code: &str) {
        self.inner
            .requests
            .with_label_values(&[verb, resource, code])
            .inc();
    }

    /// Something was written.
    pub(super) fn wrote(&self, kind: &str, action: &str) {
        self.inner.writes.with_label_values(&[kind, action]).inc();
    }

    /// A daemon was asked.
    pub(super) fn asked(&self, daemon: &str, op: &str, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.inner
            .daemon_requests
            .with_label_values(&[daemon, op, result])
            .inc();
    }

    /// A watch began anew after an error.
    pub(super) fn watch_restarted(&self, kind: &str) {
        self.inner.restarts.with_label_values(&[kind]).inc();
    }

    /// An object of ours could not be read.
    pub(super) fn unreadable(&self, kind: &str) {
        self.inner.unreadable.with_label_values(&[kind]).inc();
    }

    /// Whether an installed definition is of another release.
    pub(super) fn outdated(&self, definition: &str, outdated: bool) {
        let gauge = self.inner.outdated.with_label_values(&[definition]);
        gauge.set(if outdated { 1.0 } else { 0.0 });
    }

    /// What the last pass of a cluster found; none when the cluster is gone.
    pub(super) fn cluster(&self, key: &ClusterKey, facts: Option<ClusterFacts>) {
        let mut clusters = self.inner.clusters.lock();
        match facts {
            Some(facts) => clusters.insert(key.clone(), facts),
            None => clusters.remove(key),
        };
    }

    /// The text of a scrape, without its [head](series::head). `now` is in Unix seconds.
    ///
    /// # Errors
    /// The encoder failed.
    pub(super) fn render(&self, store: Option<&Store>, now: i64) -> Result<String, prometheus::Error> {
        self.inner.objects.reset();
        for (kind, count) in store.map(Store::counts).unwrap_or_default() {
            let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            self.inner.objects.with_label_values(&[kind]).set(count);
        }
        let mut page = TextEncoder::new().encode_to_string(&self.inner.registry.gather())?;
        series::write(&mut page, &self.inner.clusters.lock().values(), now);
        Ok(page)
    }
}

#[cfg(test)]
mod tests;
