//! What is measured, in the order of a run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use serde_json::json;

use crate::Args;
use crate::clusters::{self, Clusters, Key};
use crate::daemons::Daemons;
use crate::plane::Plane;
use crate::pods::{self, OURS};
use crate::process::Measured;
use crate::report::Report;

/// Longest wait for anything. A machine that needs longer measures nothing of use.
pub(crate) const LONG: Duration = Duration::from_secs(1800);
/// Time without a write after which nothing follows any more: longer than every wait of a cluster that is not at rest.
const QUIET: Duration = Duration::from_secs(35);
/// The same where nothing was changed.
const SHORT_QUIET: Duration = Duration::from_secs(3);
/// Unrelated objects of each kind.
const UNRELATED: usize = 1000;
/// Bytes of each.
const UNRELATED_BYTES: usize = 100 << 10;

/// A run: what is measured works on what the parts before left.
pub(crate) struct Run {
    pub(crate) report: Report,
    /// Ends before the control plane does.
    operator: Option<Measured>,
    pub(crate) clusters: Arc<Clusters>,
    pub(crate) daemons: Arc<Daemons>,
    pub(crate) keys: Vec<Key>,
    pub(crate) runs: usize,
    /// Changes a second of other clusters.
    pub(crate) rate: u32,
    pub(crate) plane: Plane,
}

impl Run {
    pub(crate) fn new(args: &Args) -> Self {
        let plane = Plane::start();
        let daemons = Daemons::start(&plane.runtime);
        let client = plane.client.clone();
        plane
            .runtime
            .spawn(pods::run_pods(client.clone(), Arc::clone(&daemons)));
        plane.runtime.spawn(pods::run_claims(client));
        Self {
            report: Report::default(),
            operator: None,
            clusters: Clusters::start(&plane),
            daemons,
            keys: clusters::keys(args.clusters),
            runs: args.runs.max(1),
            rate: args.rate.max(1),
            plane,
        }
    }

    /// The operator that works on the clusters.
    pub(crate) fn operator(&mut self) -> &Measured {
        let cluster = &self.plane.cluster;
        self.operator.get_or_insert_with(|| Measured::start(cluster))
    }

    pub(crate) fn stop_operator(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.stop();
        }
    }

    /// Memory of an operator that has nothing to do.
    fn idle_memory(&self) -> f64 {
        let operator = Measured::start(&self.plane.cluster);
        let resident = operator.settle(SHORT_QUIET, LONG).resident;
        operator.stop();
        resident
    }

    pub(crate) fn empty(&mut self) {
        let values: Vec<f64> = (0..self.runs).map(|_| self.idle_memory()).collect();
        self.report.at_most("RSS, 0 clusters", 12.0, "MiB", &values);
    }

    pub(crate) fn secrets(&mut self) {
        let running = Measured::start(&self.plane.cluster);
        let before = running.settle(SHORT_QUIET, LONG);
        self.unrelated();
        let after = running.settle(SHORT_QUIET, LONG);
        running.stop();
        let growth = after.resident - before.resident;
        let restarted = self.idle_memory() - before.resident;
        let name = format!(
            "RSS growth by {UNRELATED} Secrets and {UNRELATED} ConfigMaps of 100 KiB: while it runs, and after a restart"
        );
        self.report.at_most(&name, 1.0, "MiB", &[growth, restarted]);
        for kind in ["Secret", "ConfigMap"] {
            let params = (
                DeleteParams::default(),
                ListParams::default().labels("app=unrelated"),
            );
            let api = self.plane.api(kind, Some("default"));
            let gone = self
                .plane
                .runtime
                .block_on(api.delete_collection(&params.0, &params.1));
            assert!(gone.is_ok(), "{kind}: {gone:?}");
        }
    }

    /// Objects that are none of the operator's business.
    fn unrelated(&self) {
        let text = "x".repeat(UNRELATED_BYTES);
        let one = |(kind, number): (&'static str, usize)| {
            let content = if kind == "Secret" { "stringData" } else { "data" };
            let object: DynamicObject = serde_json::from_value(json!({
                "apiVersion": "v1", "kind": kind, content: {"content": text},
                "metadata": {"name": format!("unrelated-{number}"), "labels": {"app": "unrelated"}},
            }))
            .unwrap();
            let api = self.plane.api(kind, Some("default"));
            async move { api.create(&PostParams::default(), &object).await.map(drop) }
        };
        let all = ["Secret", "ConfigMap"]
            .into_iter()
            .flat_map(|kind| (0..UNRELATED).map(move |n| (kind, n)));
        let creates = stream::iter(all.map(one)).buffer_unordered(8);
        let results: Vec<_> = self.plane.runtime.block_on(creates.collect());
        assert!(
            results.iter().all(Result::is_ok),
            "unrelated objects were refused"
        );
    }

    pub(crate) fn converge(&mut self) {
        let keys = self.keys.clone();
        let count = keys.len();
        let before = self.operator().look();
        let began = Instant::now();
        clusters::create(&self.plane, &keys, &clusters::usual());
        let created = began.elapsed();
        self.clusters.wait(&keys, LONG, |seen| {
            seen.observed.is_some() && seen.observed == seen.generation
        });
        let took = began.elapsed().as_secs_f64();
        let after = self.operator().look();
        let each = |total: f64| total / f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        self.report
            .at_most(&format!("converge {count} new clusters"), 120.0, "s", &[took]);
        self.report.note(format!(
            "converge: made in {:.1} s; per cluster {:.1} requests, {:.1} writes, {:.2} passes, {:.1} ms of processor time of the operator; RSS {:.1} MiB, peak {:.1} MiB; controllers with their usual limits",
            created.as_secs_f64(),
            each(after.requests - before.requests),
            each(after.writes - before.writes),
            each(after.passes - before.passes),
            each(after.processor - before.processor) * 1000.0,
            after.resident,
            after.peak,
        ));
        self.become_ready(&keys);
    }

    /// Waits until every pod runs and nothing is written any more.
    fn become_ready(&mut self, keys: &[Key]) {
        let began = Instant::now();
        self.plane.hurry();
        self.clusters.wait(keys, LONG, |seen| seen.phase == "Running");
        let look = self.operator().settle(QUIET, LONG);
        let name = format!("RSS, {} clusters, as they were made", keys.len());
        self.report.at_most(&name, 64.0, "MiB", &[look.resident]);
        let kinds = [
            "Pod",
            "StatefulSet",
            "Deployment",
            "Service",
            "PersistentVolumeClaim",
        ];
        let counts = kinds.map(|kind| format!("{} {kind}", self.plane.count(kind, OURS)));
        self.report.note(format!(
            "all {} clusters Running after {:.0} s more, with {}; peak RSS {:.1} MiB, processor time {:.1} s since the start",
            keys.len(),
            began.elapsed().as_secs_f64(),
            counts.join(", "),
            look.peak,
            look.processor,
        ));
    }

    pub(crate) fn restart(&mut self) {
        let count = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let (mut times, mut writes, mut memory, mut peak) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut processor = Vec::new();
        for _ in 0..self.runs {
            self.stop_operator();
            let operator = self.operator();
            let mut look = operator.look();
            crate::process::every(Duration::from_millis(200), LONG, || {
                look = operator.look();
                look.passes >= f64::from(count) && look.waiting < 0.5
            });
            times.push(look.at.as_secs_f64());
            processor.push(look.processor);
            let rest = operator.settle(SHORT_QUIET, LONG);
            writes.push(rest.writes);
            memory.push(rest.resident);
            peak.push(rest.peak);
        }
        self.report.at_most(
            &format!("restart with {count} clusters: every one looked at and idle"),
            60.0,
            "s",
            &times,
        );
        self.report.at_most("restart", 0.0, "writes", &writes);
        self.report.at_most(
            &format!("RSS, {count} clusters, after a restart"),
            64.0,
            "MiB",
            &memory,
        );
        self.report.note(format!(
            "restart: peak RSS {peak:.1?} MiB, processor time {processor:.2?} s"
        ));
    }

    pub(crate) fn idle(&mut self, time: Duration) {
        let count = self.keys.len();
        let operator = self.operator();
        let before = operator.settle(QUIET, LONG);
        let end = Instant::now() + time;
        // Somebody scrapes, as Prometheus does.
        crate::process::every(Duration::from_secs(15), time + LONG, || {
            let _ = operator.look();
            Instant::now() >= end
        });
        let after = operator.look();
        let seconds = (after.at - before.at).as_secs_f64();
        let passes = after.passes - before.passes;
        let share = (after.processor - before.processor) / seconds;
        let requests = if passes > 0.0 {
            (after.requests - before.requests) / passes
        } else {
            0.0
        };
        self.report.at_most(
            &format!("idle for {seconds:.0} s"),
            0.0,
            "writes",
            &[after.writes - before.writes],
        );
        self.report.at_most(
            "idle: API requests per cluster and pass",
            5.0,
            "requests",
            &[requests],
        );
        self.report.at_most(
            &format!("idle: processor, {count} clusters"),
            0.15,
            "core",
            &[share],
        );
        self.report
            .at_most("idle: RSS at the end", 64.0, "MiB", &[after.resident]);
        self.report.note(format!(
            "idle: {passes:.0} passes, {:.0} requests to daemons, peak RSS {:.1} MiB; scraped every 15 s",
            after.daemon_requests - before.daemon_requests,
            after.peak,
        ));
    }

    /// Prints the table; panics where a target was missed, so that the exit code says so.
    pub(crate) fn finish(mut self) {
        self.stop_operator();
        let runs = format!(
            "{} clusters, {} runs of what is short",
            self.keys.len(),
            self.runs
        );
        let missed = self.report.print(&runs).join("; ");
        drop(self.plane);
        if !missed.is_empty() {
            eprintln!("missed: {missed}");
            std::process::exit(1);
        }
    }
}
