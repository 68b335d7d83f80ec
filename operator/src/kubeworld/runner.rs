//! Which cluster gets a pass when: triggers into the queue, passes out of it, a bounded number at once, never two of one
//! cluster. Source: operator spec 5.4, 5.5.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::child::ClusterKey;
use super::memory::Remembered;
use super::options::Options;
use super::orphans;
use super::queue::Queue;
use super::serve::{Health, Loop};
use super::store::Entry;
use super::world::{KubeWorld, Shared};
use crate::api::NsqCluster;
use crate::daemon::Daemons;
use crate::plan::{Life, Plan};
use crate::series::{ClusterFacts, node_state};
use crate::world::pass;

/// The loop makes a step at least this often, so that a stuck one is seen.
const STEP: Duration = Duration::from_secs(10);
/// Wait until an own write is seen.
const UNSEEN: Duration = Duration::from_secs(1);
/// Time that passes get when the process ends.
const GRACE: Duration = Duration::from_secs(10);

/// How a pass ended.
struct Done {
    key: ClusterKey,
    remembered: Remembered,
    next: Next,
}

enum Next {
    /// Again after this.
    After(Duration),
    /// The cluster is gone.
    Never,
}

/// Runs passes.
pub(super) struct Runner<D> {
    shared: Arc<Shared<D>>,
    queue: Queue<ClusterKey>,
    remembered: HashMap<ClusterKey, Remembered>,
    running: JoinSet<Done>,
    concurrency: usize,
    resync: Duration,
}

impl<D: Daemons + 'static> Runner<D> {
    /// Nothing is queued yet.
    #[must_use]
    pub(super) fn new(options: &Options, shared: Arc<Shared<D>>) -> Self {
        Self {
            shared,
            queue: Queue::new(options.debounce),
            remembered: HashMap::new(),
            running: JoinSet::new(),
            concurrency: usize::from(options.concurrency),
            resync: options.resync,
        }
    }

    /// Runs until `stop` says so; passes in progress get a grace then.
    pub(super) async fn run(
        mut self,
        mut changes: mpsc::Receiver<ClusterKey>,
        mut stop: watch::Receiver<bool>,
        health: &Health,
    ) {
        loop {
            health.step(Loop::Passes);
            let now = self.shared.clock.monotonic();
            self.begin(now);
            self.shared.metrics.queue_depth(self.queue.depth(now));
            let room = self.running.len() < self.concurrency;
            let wait = self
                .queue
                .next_at()
                .filter(|_| room)
                .map_or(STEP, |at| at.saturating_sub(now).min(STEP));
            tokio::select! {
                Some(key) = changes.recv() => {
                    self.queue.trigger(&key, self.shared.clock.monotonic());
                }
                Some(done) = self.running.join_next(), if !self.running.is_empty() => self.ended(done),
                () = tokio::time::sleep(wait) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        let rest = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            tracing::warn!("passes in progress were cut off after {}s", GRACE.as_secs());
        }
    }

    /// Starts passes that are due, once everything is known that a plan is made from.
    fn begin(&mut self, now: Duration) {
        if !self.shared.store.unsynced().is_empty() {
            return;
        }
        while self.running.len() < self.concurrency {
            let Some(key) = self.queue.take(now) else { return };
            let remembered = self.remembered.remove(&key).unwrap_or_default();
            let (shared, resync) = (Arc::clone(&self.shared), self.resync);
            self.running
                .spawn(async move { one(&shared, key, remembered, resync).await });
        }
    }

    fn ended(&mut self, done: Result<Done, tokio::task::JoinError>) {
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                // Only where a panic does not end the process, which it does in a release.
                tracing::error!("a pass broke off: {error}");
                return;
            }
        };
        let now = self.shared.clock.monotonic();
        match done.next {
            Next::After(wait) => {
                self.remembered.insert(done.key.clone(), done.remembered);
                self.queue.done(&done.key, now, wait);
            }
            Next::Never => self.queue.forget(&done.key),
        }
    }
}

/// One pass over one cluster.
async fn one<D: Daemons>(
    shared: &Shared<D>,
    key: ClusterKey,
    mut remembered: Remembered,
    resync: Duration,
) -> Done {
    let began = shared.clock.monotonic();
    let entry = shared.store.snapshot(&key);
    let cluster = entry
        .cluster
        .clone()
        .filter(|cluster| cluster.metadata.deletion_timestamp.is_none());
    let Some(cluster) = cluster else {
        shared.metrics.cluster(&key, None);
        shared.slots.release(&key);
        let next = orphans::tell(shared, &key, &entry)
            .await
            .map_or(Next::Never, Next::After);
        return Done {
            key,
            remembered,
            next,
        };
    };
    if !remembered.is_settled(&entry.children, began) {
        tracing::debug!(
            namespace = key.namespace,
            name = key.name,
            "own writes are not seen yet; again in {}s",
            UNSEEN.as_secs()
        );
        let next = Next::After(UNSEEN);
        return Done {
            key,
            remembered,
            next,
        };
    }
    shared.metrics.pass_began();
    let (wait, result) = reconcile(shared, &key, cluster, entry, &mut remembered).await;
    let spread = if wait >= resync {
        resync.mul_f64(0.9 + 0.2 * shared.random())
    } else {
        wait
    };
    shared
        .metrics
        .pass_ended(result, shared.clock.monotonic().saturating_sub(began));
    Done {
        key,
        remembered,
        next: Next::After(spread),
    }
}

async fn reconcile<D: Daemons>(
    shared: &Shared<D>,
    key: &ClusterKey,
    cluster: Arc<NsqCluster>,
    entry: Entry,
    remembered: &mut Remembered,
) -> (Duration, &'static str) {
    let mut world = KubeWorld::new(shared, key, cluster, entry, remembered).await;
    let (plan, _) = pass(&mut world).await;
    shared.metrics.cluster(key, Some(facts(&world, key, &plan)));
    match world.retry() {
        Some(retry) if retry < plan.wake_after => (retry, "requeue"),
        _ => (plan.wake_after, "ok"),
    }
}

/// What metrics tell about the cluster.
fn facts<D: Daemons>(world: &KubeWorld<'_, D>, key: &ClusterKey, plan: &Plan) -> ClusterFacts {
    let mut nodes = BTreeMap::new();
    for (name, life) in world.lives() {
        let draining = plan.status.drain.as_ref();
        let draining = draining.and_then(|drain| drain.nodes.iter().find(|node| node.pod == *name));
        let state = match (draining, life) {
            (Some(node), _) => node_state(&node.state.to_string().to_lowercase()),
            (None, Life::Ready(_)) => "active",
            (None, Life::NotReady(why)) if why.contains("joining") => "joining",
            (None, _) => "unready",
        };
        *nodes.entry(state).or_insert(0) += 1;
    }
    ClusterFacts::of(&key.namespace, &key.name, &plan.status, nodes)
}
