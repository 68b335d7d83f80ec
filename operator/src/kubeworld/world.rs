//! One pass over one cluster: the [`World`] that Kubernetes is. Looking is here, carrying out in `apply`.
//! Source: operator spec 5.1.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use nsq_service::clock::Clock;

use super::apis::OptionalApis;
use super::child::ClusterKey;
use super::memory::{Remembered, Trouble, What};
use super::metrics::Metrics;
use super::observe::{self, Blueprint};
use super::problem::{Problem, TELL_AFTER};
use super::resolve::{self, Surroundings};
use super::slots::Slots;
use super::store::{Entry, Store};
use super::writer::Writer;
use crate::api::{NsqCluster, Reason, validate};
use crate::build::Resolved;
use crate::daemon::Daemons;
use crate::plan::{Life, Memory, Observed, Plan};
use crate::world::{Applied, World};

/// Wait before a pass that had to leave something for the next one.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// What all passes share.
pub(super) struct Shared<D> {
    /// What is watched.
    pub store: Arc<Store>,
    /// The only way to change anything.
    pub writer: Writer,
    /// The daemons.
    pub daemons: D,
    /// What is the same for all clusters.
    pub around: Surroundings,
    /// Which optional APIs there are.
    pub apis: OptionalApis,
    /// Who may replace nodes.
    pub slots: Slots,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Metrics,
}

impl<D> Shared<D> {
    /// Wall time.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_nanosecond(i128::from(self.clock.unix_nanos())).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// A number in 0..1, to spread what many clusters do at the same time.
    pub(super) fn random(&self) -> f64 {
        let bits = RandomState::new().hash_one(self.clock.monotonic()) >> 32;
        f64::from(u32::try_from(bits).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

/// A cluster during a pass.
pub(super) struct KubeWorld<'a, D> {
    pub(super) shared: &'a Shared<D>,
    pub(super) key: &'a ClusterKey,
    pub(super) cluster: Arc<NsqCluster>,
    pub(super) entry: Entry,
    pub(super) remembered: &'a mut Remembered,
    pub(super) resolved: Resolved,
    /// Optional APIs the cluster asks for and that are not there.
    pub(super) missing: Option<String>,
    /// Something failed: the longest wait until it is tried again.
    pub(super) retry: Option<Duration>,
    /// The nodes as they were seen.
    lives: Vec<(String, Life)>,
}

impl<'a, D: Daemons> KubeWorld<'a, D> {
    /// The world of `cluster` as `entry` shows it.
    pub(super) async fn new(
        shared: &'a Shared<D>,
        key: &'a ClusterKey,
        cluster: Arc<NsqCluster>,
        entry: Entry,
        remembered: &'a mut Remembered,
    ) -> Self {
        let (apis, missing) = shared.apis.of(&cluster.spec).await;
        let resolved = resolve::resolve(&cluster, &entry, apis, &shared.around);
        Self {
            shared,
            key,
            cluster,
            entry,
            remembered,
            resolved,
            missing,
            retry: None,
            lives: Vec::new(),
        }
    }

    /// The next pass comes after `wait` at the latest.
    pub(super) fn retry_in(&mut self, wait: Duration) {
        self.retry = Some(self.retry.map_or(wait, |known| known.min(wait)));
    }

    /// When something that failed is tried again; none if nothing failed.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// The nodes as they were seen.
    pub(super) fn lives(&self) -> &[(String, Life)] {
        &self.lives
    }

    async fn look(&mut self) -> Observed {
        let mut answers = observe::ask(
            &self.shared.daemons,
            &self.entry.children,
            self.resolved.flavor,
            &self.shared.metrics,
        )
        .await;
        let now = self.shared.now();
        let mut cluster = (*self.cluster).clone();
        cluster.status = self.remembered.status(&self.entry);
        let blueprint = Blueprint::new(&self.resolved);
        let lookupds = observe::lookupds(&self.entry, &mut answers, &blueprint);
        let nodes = observe::nodes(&self.entry, &mut answers, &blueprint);
        self.lives = nodes
            .iter()
            .map(|node| (node.name.clone(), node.life.clone()))
            .collect();
        Observed {
            now,
            invalid: validate(&cluster, None),
            default_image: self.resolved.image.clone(),
            told: resolve::nodes(&self.entry.children, &self.key.name).map(|(_, nodes)| nodes.replicas),
            nodes,
            claims: observe::claims(&self.entry, &self.resolved),
            admin: observe::admin(&self.entry, &cluster, &self.resolved, now),
            endpoints: observe::endpoints(&self.resolved, &lookupds),
            lookupds,
            wanted: blueprint.wanted(),
            refused: self.remembered.refused.clone(),
            stuck: self.stuck(),
            settled: resolve::nodes(&self.entry.children, &self.key.name)
                .is_none_or(|(_, set)| set.is_settled),
            partition: observe::partition(&self.entry, &blueprint),
            may_roll: self.shared.slots.has_room(self.key),
            topics: self
                .entry
                .topics
                .values()
                .map(|topic| (**topic).clone())
                .collect(),
            channels: self
                .entry
                .channels
                .values()
                .map(|channel| (**channel).clone())
                .collect(),
            memory: self
                .remembered
                .plan
                .clone()
                .unwrap_or_else(|| Memory::recalled(cluster.status.as_ref())),
            cluster,
        }
    }

    /// What a person has to mend, of all that is wrong the first by kind and name.
    fn stuck(&self) -> Option<(Reason, String)> {
        let troubles = self.remembered.troubles.iter();
        let told = troubles.filter_map(|((kind, name), trouble)| {
            let object = format!("{} {name}", kind.as_str());
            let (reason, text) = stuck_by(&object, trouble)?;
            // A claim that exists is only ever asked to grow.
            let grows = resolve::claim(&self.entry.children, name).is_some();
            let unsupported = grows && matches!(reason, Reason::Forbidden | Reason::ImmutableField);
            Some((
                if unsupported {
                    Reason::ResizeUnsupported
                } else {
                    reason
                },
                text,
            ))
        });
        let missing = self
            .missing
            .iter()
            .map(|what| (Reason::CapabilityMissing, what.clone()));
        told.chain(missing).next()
    }
}

fn stuck_by(object: &str, trouble: &Trouble) -> Option<(Reason, String)> {
    match &trouble.what {
        What::Foreign => Some((
            Reason::NameConflict,
            format!("{object} exists and belongs to somebody else; rename the cluster or remove it"),
        )),
        What::Refused(Problem::Immutable(text)) => {
            Some((Reason::ImmutableField, format!("{object}: {text}")))
        }
        What::Refused(Problem::Forbidden(text) | Problem::Invalid(text)) => {
            Some((Reason::Forbidden, format!("{object}: {text}")))
        }
        What::Refused(problem) if trouble.attempts >= TELL_AFTER => {
            tracing::warn!("{object} cannot be applied: {problem}");
            None
        }
        What::Refused(_) => None,
    }
}

impl<D: Daemons> World for KubeWorld<'_, D> {
    async fn observe(&mut self) -> Observed {
        self.look().await
    }

    async fn apply(&mut self, plan: &Plan) -> Applied {
        self.carry_out(plan).await;
        Applied::Done
    }
}
