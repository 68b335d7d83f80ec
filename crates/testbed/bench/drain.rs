//! OP-224: one large cluster gives a quarter of its nodes back.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cases::{LONG, Run};
use crate::clusters::{self, SIZE};

const NODES: i32 = 200;
const LEFT: i32 = 150;
/// Time in which nothing is taken out of the nodes that go, so that the status is as large as it gets.
const BUSY: Duration = Duration::from_secs(40);

impl Run {
    pub(crate) fn drain(&mut self) {
        self.plane.hurry();
        let key = ("large".to_owned(), "large".to_owned());
        let spec = json!({
            "image": "nsq-rs/nsq:scale",
            "nsqd": {"replicas": NODES, "storage": {"size": SIZE}, "drain": {"settle": "2s"}},
        });
        self.operator();
        let keys = [key.clone()];
        let began = Instant::now();
        clusters::create(&self.plane, &keys, &spec);
        self.clusters.wait(&keys, LONG, |seen| seen.phase == "Running");
        let ready = began.elapsed().as_secs_f64();
        self.operator().settle(Duration::from_secs(10), LONG);
        let before = Passes::of(&self.operator().operator.metrics());
        let processor = self.operator().look().processor;
        self.daemons.busy(true);
        let began = Instant::now();
        let fewer = json!({"nsqd": {"replicas": LEFT}});
        self.plane
            .runtime
            .block_on(clusters::change(&self.plane.client, &key, &fewer))
            .unwrap();
        self.clusters.wait(&keys, LONG, |seen| seen.phase == "Draining");
        crate::process::every(Duration::from_secs(1), LONG, || began.elapsed() >= BUSY);
        self.daemons.busy(false);
        let went = Instant::now();
        self.clusters.wait(&keys, LONG, |seen| {
            seen.phase == "Running" && seen.observed == seen.generation
        });
        let pods = self
            .plane
            .count("Pod", "nsq.rs/cluster=large,app.kubernetes.io/component=nsqd");
        let took = went.elapsed().as_secs_f64();
        let after = Passes::of(&self.operator().operator.metrics());
        let look = self.operator().look();
        #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
        let (largest, pods) = (self.clusters.largest() as f64 / 1024.0, pods as f64);
        self.report
            .at_most("drain 200 to 150: largest status", 64.0, "KiB", &[largest]);
        self.report.at_most(
            "drain 200 to 150: longer than 5 s",
            0.0,
            "passes",
            &[after.beyond_5 - before.beyond_5],
        );
        self.report.at_most(
            "drain 200 to 150: left at the end",
            f64::from(LEFT),
            "nodes",
            &[pods],
        );
        self.report.note(format!(
            "drain: 200 nodes ready in {ready:.0} s; gone {took:.0} s after they were empty; {:.0} passes, {:.0} of more than 1 s, {:.1} s of processor time; peak RSS {:.1} MiB; last status {} bytes",
            after.all - before.all,
            after.beyond_1 - before.beyond_1,
            look.processor - processor,
            look.peak,
            self.clusters.of(&key).bytes,
        ));
    }
}

/// Passes so far, and those that took longer than so many seconds.
struct Passes {
    all: f64,
    beyond_1: f64,
    beyond_5: f64,
}

impl Passes {
    fn of(metrics: &nsq_testkit::Scrape) -> Self {
        let of = |what: &str| metrics.value(&format!("nsq_operator_reconcile_seconds_{what}"));
        let all = of("count{kind=\"NsqCluster\"}");
        Self {
            all,
            beyond_1: all - of("bucket{kind=\"NsqCluster\",le=\"1\"}"),
            beyond_5: all - of("bucket{kind=\"NsqCluster\",le=\"5\"}"),
        }
    }
}
