//! From a change of a spec to the first write of a child: alone, and while other clusters change.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::cases::{LONG, Run};
use crate::clusters::{self, Clusters, Key};
use crate::plane::Plane;
use crate::report::p99;

/// Changes that are measured.
const SAMPLES: usize = 100;
/// Of these, at once on an operator that does nothing else.
const TOGETHER: usize = 5;
/// Changes of other clusters that are on their way at most; never two of one cluster, which the server would have to try again
/// and again.
const MOST: usize = 200;
/// Time between two of the changes that are measured under load.
const BETWEEN: Duration = Duration::from_millis(600);

impl Run {
    pub(crate) fn change(&mut self) {
        self.operator();
        let keys = self.keys.clone();
        let mut times = Vec::new();
        for turn in 0..SAMPLES / TOGETHER {
            let chosen = keys
                .iter()
                .cycle()
                .skip(turn * TOGETHER)
                .take(TOGETHER.min(keys.len()));
            let sent: Vec<(Key, Instant)> = chosen
                .map(|key| (key.clone(), change(&self.plane, key)))
                .collect();
            times.extend(sent.iter().map(|sent| arrival(&self.clusters, sent)));
        }
        let name = "spec change to first child write, idle operator, p99";
        self.report.at_most(name, 2.0, "s", &[p99(&times)]);
        self.report.note(spread("idle operator", &times));
    }

    pub(crate) fn load(&mut self) {
        self.operator();
        let before = self.operator().look();
        let (probes, others) = {
            let mut probes = self.keys.clone();
            let others = probes.split_off((probes.len() / 10).max(1));
            (probes, others)
        };
        let load = Load::start(&self.plane, self.rate, others);
        let (mut sent, mut times) = (VecDeque::new(), Vec::new());
        let began = Instant::now();
        for (turn, key) in probes.iter().cycle().take(SAMPLES).enumerate() {
            let due = began + BETWEEN * u32::try_from(turn).unwrap_or(u32::MAX);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            // The budget of this one changes again: what was changed there before must have arrived.
            let before = usize::from(sent.len() == probes.len());
            times.extend(sent.drain(..before).map(|sent| arrival(&self.clusters, &sent)));
            sent.push_back((key.clone(), change(&self.plane, key)));
        }
        let made = load.stop();
        let seconds = began.elapsed().as_secs_f64();
        times.extend(sent.iter().map(|sent| arrival(&self.clusters, sent)));
        let after = self.operator().look();
        self.report.at_most(
            &format!(
                "the same with {} changes a second of other clusters, p99",
                self.rate
            ),
            5.0,
            "s",
            &[p99(&times)],
        );
        self.report.note(spread("under load", &times));
        self.report.note(format!(
            "under load: {:.0} changes a second in {seconds:.0} s, {:.1} passes and {:.1} writes a second, {:.2} core",
            made / seconds,
            (after.passes - before.passes) / seconds,
            (after.writes - before.writes) / seconds,
            (after.processor - before.processor) / seconds,
        ));
        self.operator().settle(Duration::from_secs(10), LONG);
    }
}

fn spread(what: &str, times: &[f64]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: usize| {
        sorted
            .get((sorted.len() * share / 100).min(sorted.len() - 1))
            .copied()
            .unwrap_or(f64::NAN)
    };
    format!(
        "{what}: {} changes, median {:.2} s, p90 {:.2} s, largest {:.2} s",
        times.len(),
        at(50),
        at(90),
        at(100)
    )
}

/// Another spec each time, which reaches one child alone.
fn next() -> Value {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let turn = COUNT.fetch_add(1, Ordering::Relaxed);
    json!({"nsqd": {"pdb": {"maxUnavailable": 2 + turn % 1_000_000}}})
}

fn change(plane: &Plane, key: &Key) -> Instant {
    let at = Instant::now();
    plane
        .runtime
        .block_on(clusters::change(&plane.client, key, &next()))
        .unwrap();
    at
}

/// Seconds until this change was at its child.
fn arrival(clusters: &Clusters, (key, at): &(Key, Instant)) -> f64 {
    let mut seen = None;
    nsq_testkit::eventually(LONG, || {
        seen = clusters.changed_at(key).filter(|seen| seen > at);
        seen.is_some()
    });
    seen.map_or(f64::INFINITY, |seen| (seen - *at).as_secs_f64())
}

/// Changes of other clusters, until it is stopped.
struct Load {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
}

impl Load {
    fn start(plane: &Plane, rate: u32, keys: Vec<Key>) -> Self {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (ends, counts) = (Arc::clone(&stop), Arc::clone(&made));
        let client = plane.client.clone();
        let at_once = keys.len().min(MOST);
        plane.runtime.spawn(async move {
            let every = tokio::time::interval(Duration::from_secs(1) / rate);
            let ticks = stream::unfold(every, async |mut every| {
                every.tick().await;
                Some(((), every))
            });
            ticks
                .zip(stream::iter(keys.into_iter().cycle()))
                .take_while(|_| std::future::ready(!ends.load(Ordering::Relaxed)))
                .for_each_concurrent(at_once, async |((), key)| {
                    // What a server that has too much to do refuses is missing in the rate that is told.
                    if clusters::change(&client, &key, &next()).await.is_ok() {
                        counts.fetch_add(1, Ordering::Relaxed);
                    }
                })
                .await;
        });
        Self { stop, made }
    }

    /// Number of changes that were made.
    fn stop(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        f64::from(u32::try_from(self.made.load(Ordering::Relaxed)).unwrap_or(u32::MAX))
    }
}
