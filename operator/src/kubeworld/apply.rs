//! Carrying out a plan: objects in their order, requests to nodes, deletes, then status and events. Nothing here decides
//! anything about nodes. Source: operator spec 5.1 to 5.3.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use super::child::{Child, ClaimDetail, DRAINED, Detail, Kept, LEFT, place};
use super::memory::{ChildName, Trouble, What};
use super::observe;
use super::problem::{Problem, TELL_AFTER};
use super::resolve;
use super::status;
use super::world::{KubeWorld, SOON};
use super::writer::{Written, owner};
use crate::api::WhenScaled;
use crate::build::{
    Desired, HOT_HASH, NSQD_FILE, NodeCount, ObjectKind, SPEC_HASH, TEMPLATE_HASH, objects,
    with_hot_options_of,
};
use crate::daemon::Daemons;
use crate::plan::{Counts, Event, EventReason, NodeRequest, Plan, Shape};

/// Objects of one kind that are applied at once.
const AT_ONCE: usize = 4;

impl<D: Daemons> KubeWorld<'_, D> {
    pub(super) async fn carry_out(&mut self, plan: &Plan) {
        self.remembered.plan = Some(plan.memory.clone());
        let mut events = plan.events.clone();
        if let Some(shape) = &plan.shape {
            if self.may_roll(plan, shape) {
                self.bring_about(plan, shape, &mut events).await;
            } else {
                self.retry_in(SOON);
            }
        }
        status::tell(self, plan, &events).await;
    }

    /// Whether nodes may be replaced as the plan says: others may have taken the last place meanwhile.
    fn may_roll(&self, plan: &Plan, shape: &Shape) -> bool {
        let slots = &self.shared.slots;
        if plan.status.rollout.is_none() {
            slots.release(self.key);
            return true;
        }
        let restarts = plan
            .node_actions
            .iter()
            .any(|action| action.request == NodeRequest::Restart);
        let replaces = restarts || shape.partition < shape.replicas.count();
        !replaces || slots.take(self.key)
    }

    async fn bring_about(&mut self, plan: &Plan, shape: &Shape, events: &mut Vec<Event>) {
        let count = self.shrink(shape, events).await;
        let now = self.shared.now();
        let since: BTreeMap<i32, String> = observe::deployments(&self.entry.children)
            .filter_map(|(_, detail)| Some((detail.index?, detail.removing_since?.to_string())))
            .collect();
        resolve::take_shape(&mut self.resolved, shape, count, |index| {
            since
                .get(&index)
                .cloned()
                .unwrap_or_else(|| status::to_the_second(now).to_string())
        });
        let desired = objects(&self.resolved);
        let failed = self.apply_all(&desired, shape, events).await;
        self.edit_older_files(&desired, events).await;
        self.requests(plan).await;
        self.endings(plan).await;
        if !failed {
            self.delete_orphans(&desired).await;
            self.delete_drained(count, events).await;
        }
    }

    /// Number of nodes after those went whose removal still holds when they are asked once more.
    async fn shrink(&mut self, shape: &Shape, events: &mut Vec<Event>) -> i32 {
        let mut count = shape.replicas.count() + i32::try_from(shape.replicas.removals().len()).unwrap_or(0);
        // The claims of the nodes that go are part of what is built until they have gone.
        self.resolved.nodes = NodeCount::parked(count);
        for removal in shape.replicas.removals() {
            let stats = match self.address(removal.ordinal) {
                Some(at) => self.shared.daemons.stats(&at).await.ok(),
                None => None,
            };
            let messages = stats.map(|stats| u64::try_from(Counts::of(&stats).total()).unwrap_or(0));
            if !removal.holds(messages) {
                self.retry_in(SOON);
                break;
            }
            if let Err(problem) = self.mark_claim(removal, messages).await {
                self.failed(
                    ObjectKind::PersistentVolumeClaim,
                    &self.claim_name(removal.ordinal),
                    problem,
                    events,
                );
                break;
            }
            count = removal.ordinal;
        }
        count
    }

    fn claim_name(&self, ordinal: i32) -> String {
        self.resolved.names().claim(ordinal)
    }

    /// Writes on the claim of a node that goes whether it may be deleted later, or what is left on it.
    async fn mark_claim(&self, removal: &crate::plan::Removal, messages: Option<u64>) -> Result<(), Problem> {
        let name = self.claim_name(removal.ordinal);
        let delete = self.resolved.spec.nsqd.storage.when_scaled == WhenScaled::DeleteIfDrained;
        let mark = match removal.basis() {
            crate::plan::Basis::Forced { left } => {
                let left = messages.map_or(left, |messages| i64::try_from(messages).unwrap_or(i64::MAX));
                Some((LEFT, left.to_string()))
            }
            _ if removal.may_delete_data() && delete => {
                Some((DRAINED, status::to_the_second(self.shared.now()).to_string()))
            }
            _ => None,
        };
        let (Some((key, value)), Some((_, claim))) = (mark, resolve::claim(&self.entry.children, &name))
        else {
            return Ok(());
        };
        // A mark is taken away when its node stays after all, so one that is there is of this removal: it was broken off here.
        let marked = match key {
            DRAINED => claim.drained.is_some(),
            _ => claim.left.as_ref() == Some(&value),
        };
        if marked {
            return Ok(());
        }
        let mut all = objects(&self.resolved);
        let Some(claim) = all
            .iter_mut()
            .find(|desired| desired.kind == ObjectKind::PersistentVolumeClaim && desired.name == name)
        else {
            return Ok(());
        };
        claim.object["metadata"]["annotations"][key] = value.into();
        self.shared
            .writer
            .apply(&self.key.namespace, claim, None, key)
            .await
            .map(drop)
    }

    /// Applies what differs, kind by kind. True if something failed.
    async fn apply_all(&mut self, desired: &[Desired], shape: &Shape, events: &mut Vec<Event>) -> bool {
        let mut failed: Vec<ObjectKind> = Vec::new();
        for group in desired.chunk_by(|a, b| a.kind == b.kind) {
            let Some(kind) = group.first().map(|first| first.kind) else {
                continue;
            };
            let blocks = [ObjectKind::ConfigMap, ObjectKind::PersistentVolumeClaim];
            if kind == ObjectKind::StatefulSet && blocks.iter().any(|kind| failed.contains(kind)) {
                continue;
            }
            let due: Vec<&Desired> = group.iter().filter(|one| self.is_due(one, shape)).collect();
            let this = &*self;
            let applies: Vec<_> = due
                .into_iter()
                .map(|one| async move { (one, this.apply_one(one).await) })
                .collect();
            let done: Vec<(&Desired, Result<Outcome, Problem>)> =
                stream::iter(applies).buffer_unordered(AT_ONCE).collect().await;
            for (one, outcome) in done {
                if !self.note(one, outcome, events) {
                    failed.push(kind);
                }
            }
        }
        // What waits for its turn after a failure is not there either.
        failed.len() + self.remembered.troubles.len() > 0
    }

    /// Brings the hot options in files of older templates up to date: pods that restart before their turn have them.
    async fn edit_older_files(&mut self, desired: &[Desired], events: &mut Vec<Event>) {
        let mut maps = desired.iter().filter(|one| one.kind == ObjectKind::ConfigMap);
        let Some((current, hot)) = maps.find_map(|one| Some((one, one.annotation(HOT_HASH)?))) else {
            return;
        };
        let is_older = |((kept, name), child): (&(Kept, String), &std::sync::Arc<Child>)| {
            let Detail::File(had) = &child.detail else {
                return None;
            };
            let ours = child.owner.as_deref() == self.resolved.uid.as_deref() && !child.deleting;
            let older = *kept == Kept::Object(ObjectKind::ConfigMap) && *name != current.name;
            (ours && older && **had != *hot).then(|| name.clone())
        };
        let older: Vec<String> = self.entry.children.iter().filter_map(is_older).collect();
        for name in older {
            let writer = &self.shared.writer;
            let namespace = &self.key.namespace;
            let edited = match writer.read_file(namespace, &name, NSQD_FILE).await {
                Ok(Some(file)) => with_hot_options_of(&self.resolved, &name, &file),
                Ok(None) => continue,
                Err(problem) => {
                    self.failed(ObjectKind::ConfigMap, &name, problem, events);
                    continue;
                }
            };
            let written = writer.apply(namespace, &edited, None, "hot options").await;
            self.note(&edited, written.map(Outcome::Written), events);
        }
    }

    /// Whether an object has to be looked at in this pass.
    fn is_due(&mut self, one: &Desired, shape: &Shape) -> bool {
        let name: ChildName = (one.kind, one.name.clone());
        let now = self.shared.clock.monotonic();
        if let Some(trouble) = self.remembered.troubles.get(&name)
            && trouble.retry_at > now
        {
            let wait = trouble.retry_at.saturating_sub(now);
            self.retry_in(wait);
            return false;
        }
        let Some(live) = resolve::child(&self.entry.children, one.kind, &one.name) else {
            return self.is_watched(one.kind) || self.resolved.uid.is_some();
        };
        if live.deleting {
            return false;
        }
        if self.is_foreign(one, live) {
            return true;
        }
        if self.waits_for_its_turn(one, live, shape) {
            return false;
        }
        if let Detail::Claim(claim) = &live.detail {
            return claim_differs(one, claim);
        }
        let hash = one.annotation(SPEC_HASH).unwrap_or_default();
        if !live.foreign {
            self.remembered.checked.remove(&name);
        }
        let unchecked =
            self.remembered.checked.get(&name).map(String::as_str) != Some(&*live.resource_version);
        *live.spec_hash != *hash || (live.foreign && unchecked)
    }

    /// It belongs to somebody else, also where it looks exactly as ours would. Claims belong to nobody.
    fn is_foreign(&self, one: &Desired, live: &Child) -> bool {
        one.kind != ObjectKind::PersistentVolumeClaim && live.owner.as_deref() != self.resolved.uid.as_deref()
    }

    fn is_watched(&self, kind: ObjectKind) -> bool {
        !matches!(kind, ObjectKind::HTTPRoute | ObjectKind::PodMonitor)
    }

    /// A registry or console that runs is not replaced before the plan says so.
    fn waits_for_its_turn(&self, one: &Desired, live: &Child, shape: &Shape) -> bool {
        let Detail::Deployment(detail) = &live.detail else {
            return false;
        };
        if one.annotation(TEMPLATE_HASH).unwrap_or_default() == detail.template_hash || detail.wanted == 0 {
            return false;
        }
        match detail.index {
            Some(index) => {
                let registry = shape.lookupds.iter().find(|registry| registry.index == index);
                registry.is_some_and(|registry| !registry.update && !registry.removing)
            }
            None => {
                let reads = observe::registries_read(&self.resolved, &detail.args);
                shape
                    .admin
                    .as_ref()
                    .is_some_and(|admin| !admin.update && admin.lookupds == reads)
            }
        }
    }

    async fn apply_one(&self, one: &Desired) -> Result<Outcome, Problem> {
        let writer = &self.shared.writer;
        let namespace = &self.key.namespace;
        let live = resolve::child(&self.entry.children, one.kind, &one.name);
        let is_claim = one.kind == ObjectKind::PersistentVolumeClaim;
        let Some(live) = live else {
            let found = writer.read(one.kind, namespace, &one.name).await?;
            let strange = found
                .as_ref()
                .is_some_and(|found| place(&found.metadata).is_none());
            if is_claim && strange {
                return writer
                    .apply(namespace, one, None, "adopted")
                    .await
                    .map(Outcome::Adopted);
            }
            if let Some(found) = found.filter(|_| !is_claim) {
                if owner(&found) != self.resolved.uid.as_deref() {
                    return Ok(Outcome::Foreign);
                }
                let hash = found
                    .metadata
                    .annotations
                    .as_ref()
                    .and_then(|all| all.get(SPEC_HASH));
                if hash.map(String::as_str) == one.annotation(SPEC_HASH) {
                    return Ok(Outcome::Same);
                }
            }
            return writer
                .apply(namespace, one, None, "created")
                .await
                .map(Outcome::Written);
        };
        if self.is_foreign(one, live) {
            return Ok(Outcome::Foreign);
        }
        let Detail::Nodes(nodes) = &live.detail else {
            let same = *live.spec_hash == *one.annotation(SPEC_HASH).unwrap_or_default();
            let why = if same { "checked" } else { "changed" };
            let mut applied = writer.apply(namespace, one, None, why).await;
            if live.foreign && matches!(applied, Err(Problem::Invalid(_))) && one.object.get("spec").is_some()
            {
                writer.replace_spec(namespace, one).await?;
                applied = writer.apply(namespace, one, None, why).await;
                if applied.is_ok() {
                    applied = writer.own_by_apply(namespace, one).await;
                }
            }
            return applied.map(Outcome::Written);
        };
        let wanted = one
            .object
            .pointer("/spec/replicas")
            .and_then(serde_json::Value::as_i64);
        if wanted.unwrap_or(0) >= i64::from(nodes.replicas) {
            return writer
                .apply(namespace, one, None, "changed")
                .await
                .map(Outcome::Written);
        }
        // Nodes go for good: only on what is true at this moment.
        writer.may_destroy()?;
        let fresh = writer
            .read(one.kind, namespace, &one.name)
            .await?
            .ok_or(Problem::Missing)?;
        let version = fresh.metadata.resource_version.unwrap_or_default();
        if fresh.metadata.uid.as_deref() != Some(&*live.uid) || *version != *live.resource_version {
            return Err(Problem::Conflict);
        }
        writer
            .apply(namespace, one, Some(&version), "fewer nodes")
            .await
            .map(Outcome::Written)
    }

    /// Keeps what came of an apply. False if it failed.
    fn note(&mut self, one: &Desired, outcome: Result<Outcome, Problem>, events: &mut Vec<Event>) -> bool {
        let name: ChildName = (one.kind, one.name.clone());
        let now = self.shared.clock.monotonic();
        if let Ok(Outcome::Adopted(_)) = &outcome {
            events.push(Event {
                warning: false,
                reason: EventReason::VolumeReused,
                note: format!("{} was there and is used, with what is on it", one.name),
            });
        }
        match outcome {
            Ok(Outcome::Same) => {
                self.remembered.troubles.remove(&name);
                true
            }
            Ok(Outcome::Written(written) | Outcome::Adopted(written)) => {
                self.remembered.troubles.remove(&name);
                let live = resolve::child(&self.entry.children, one.kind, &one.name);
                let same_hash = live
                    .is_some_and(|live| *live.spec_hash == *one.annotation(SPEC_HASH).unwrap_or_default());
                if let Some(live) = live
                    && same_hash
                    && *live.resource_version != *written.resource_version
                    && matches!(live.detail, Detail::Nodes(_) | Detail::Deployment(_))
                {
                    events.push(warning(
                        EventReason::DriftReverted,
                        format!(
                            "{} {} was changed by somebody else and put back",
                            one.kind.as_str(),
                            one.name
                        ),
                    ));
                }
                // Nobody else can have written what was not there.
                if live.is_some() {
                    self.remembered
                        .checked
                        .insert(name.clone(), written.resource_version.clone());
                }
                if self.is_watched(one.kind) {
                    self.remembered.wrote(name, written.resource_version, now);
                    self.retry_in(SOON);
                }
                true
            }
            Ok(Outcome::Foreign) => {
                let first = !self.remembered.troubles.contains_key(&name);
                if first {
                    events.push(warning(
                        EventReason::NameConflict,
                        format!(
                            "{} {} exists and belongs to somebody else",
                            one.kind.as_str(),
                            one.name
                        ),
                    ));
                }
                self.trouble(name, What::Foreign, Duration::from_secs(60));
                false
            }
            Err(problem) => {
                self.failed(one.kind, &one.name, problem, events);
                false
            }
        }
    }

    fn failed(&mut self, kind: ObjectKind, name: &str, problem: Problem, events: &mut Vec<Event>) {
        if matches!(problem, Problem::NotLeader | Problem::Terminating) {
            self.retry_in(problem.wait(1, 1.0));
            return;
        }
        let child: ChildName = (kind, name.to_owned());
        let attempts = self
            .remembered
            .troubles
            .get(&child)
            .map_or(0, |trouble| trouble.attempts)
            + 1;
        tracing::warn!(
            namespace = self.key.namespace,
            name = self.key.name,
            attempts,
            "{} {name} not applied: {problem}",
            kind.as_str()
        );
        let tell_now = problem.needs_person() && attempts == 1;
        if tell_now || attempts == TELL_AFTER {
            let note = format!("{} {name}: {problem}", kind.as_str());
            events.push(warning(EventReason::ApplyFailed, note));
        }
        let wait = problem.wait(attempts, self.shared.random());
        self.trouble(child, What::Refused(problem), wait);
    }

    fn trouble(&mut self, child: ChildName, what: What, wait: Duration) {
        let attempts = self
            .remembered
            .troubles
            .get(&child)
            .map_or(0, |trouble| trouble.attempts)
            + 1;
        let retry_at = self.shared.clock.monotonic() + wait;
        self.remembered.troubles.insert(
            child,
            Trouble {
                attempts,
                retry_at,
                what,
            },
        );
        self.retry_in(wait);
    }
}

/// What came of an apply.
enum Outcome {
    /// It was written.
    Written(Written),
    /// A claim that was there without our labels was written.
    Adopted(Written),
    /// It is as it should be; the watch will show it.
    Same,
    /// It belongs to somebody else.
    Foreign,
}

fn warning(reason: EventReason, note: String) -> Event {
    Event {
        warning: true,
        reason,
        note,
    }
}

/// A claim's spec is written by the binder too: size, class of attributes and labels are compared one by one.
fn claim_differs(one: &Desired, live: &ClaimDetail) -> bool {
    let text = |path: &str| one.object.pointer(path).and_then(serde_json::Value::as_str);
    let size = text("/spec/resources/requests/storage").unwrap_or_default();
    let class = text("/spec/volumeAttributesClassName");
    let labels = one.object["metadata"]["labels"].as_object();
    let labels_differ = labels.is_some_and(|labels| {
        labels
            .iter()
            .any(|(key, value)| !value.as_str().is_some_and(|value| live.labels.has(key, value)))
    });
    size != live.requested
        || class.is_some_and(|class| live.attributes_class_name.as_deref() != Some(class))
        || labels_differ
        || live.drained.is_some()
}
