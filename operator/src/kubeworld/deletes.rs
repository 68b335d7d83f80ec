//! What goes: objects that are not wanted any more, and claims of nodes that were drained. Source: operator spec 5.3, 5.7.

use super::child::{Child, DRAINED, Detail, Kept};
use super::observe;
use super::problem::Problem;
use super::resolve;
use super::world::{KubeWorld, SOON};
use super::writer::owner;
use crate::api::{Component, WhenScaled};
use crate::build::{Desired, ObjectKind};
use crate::daemon::Daemons;
use crate::plan::{Event, EventReason};

impl<D: Daemons> KubeWorld<'_, D> {
    /// Objects of this cluster that it should not have any more.
    pub(super) async fn delete_orphans(&mut self, desired: &[Desired]) {
        let settled = self.is_of_one_revision();
        let orphans = self.entry.children.iter().filter_map(|((kept, name), child)| {
            let Kept::Object(kind) = *kept else { return None };
            let ours = child.owner.is_some() && child.owner.as_deref() == self.resolved.uid.as_deref();
            let wanted = desired.iter().any(|one| one.kind == kind && one.name == *name);
            let in_use = kind == ObjectKind::ConfigMap && (!settled || self.is_mounted(name));
            let stays = matches!(kind, ObjectKind::PersistentVolumeClaim | ObjectKind::StatefulSet);
            (ours && !wanted && !in_use && !stays && !child.deleting).then_some((kind, name, child))
        });
        let mut problems = Vec::new();
        for (kind, name, child) in orphans {
            let identity = (&*child.uid, None);
            let deleted =
                self.shared
                    .writer
                    .delete(kind, &self.key.namespace, name, identity, "not wanted any more");
            if let Err(problem) = deleted.await {
                tracing::warn!(
                    namespace = self.key.namespace,
                    "{} {name} not deleted: {problem}",
                    kind.as_str()
                );
                problems.push(problem.wait(1, 1.0));
            }
        }
        for wait in problems {
            self.retry_in(wait);
        }
        self.delete_unwatched(desired).await;
    }

    /// Objects of kinds without a watch are looked after once per generation of the spec.
    async fn delete_unwatched(&mut self, desired: &[Desired]) {
        let generation = self.cluster.metadata.generation;
        if self.remembered.unwatched_at == generation {
            return;
        }
        let names = self.resolved.names();
        let candidates = [
            (ObjectKind::PodMonitor, names.shared()),
            (ObjectKind::HTTPRoute, names.of(Component::Admin)),
        ];
        for (kind, name) in candidates {
            let wanted = desired.iter().any(|one| one.kind == kind);
            if wanted || !self.shared.apis.has(kind).await {
                continue;
            }
            let writer = &self.shared.writer;
            let Ok(Some(found)) = writer.read(kind, &self.key.namespace, &name).await else {
                continue;
            };
            if owner(&found) == self.resolved.uid.as_deref() && owner(&found).is_some() {
                let uid = found.metadata.uid.clone().unwrap_or_default();
                let gone = writer.delete(
                    kind,
                    &self.key.namespace,
                    &name,
                    (&uid, None),
                    "not wanted any more",
                );
                if gone.await.is_err() {
                    self.retry_in(SOON);
                    return;
                }
            }
        }
        self.remembered.unwatched_at = generation;
    }

    /// A pod has this ConfigMap, or a template that was seen last: in the pass that changes the template the controller still
    /// counts as settled on the one before.
    fn is_mounted(&self, map: &str) -> bool {
        let set = resolve::nodes(&self.entry.children, &self.key.name);
        set.is_some_and(|(_, set)| set.template.config == map)
            || observe::pods(&self.entry.children).any(|(_, _, pod)| pod.template.config == map)
    }

    /// No pod needs an older ConfigMap any more.
    fn is_of_one_revision(&self) -> bool {
        let Some((_, set)) = resolve::nodes(&self.entry.children, &self.key.name) else {
            return false;
        };
        let Some(current) = &set.update_revision else {
            return false;
        };
        let mut pods = observe::pods(&self.entry.children)
            .filter(|(_, _, pod)| pod.component == Component::Nsqd.as_str());
        set.is_settled && pods.all(|(_, _, pod)| pod.revision == *current)
    }

    /// Claims of nodes that were drained, once their pods are gone, where the spec says so.
    pub(super) async fn delete_drained(&mut self, count: i32, events: &mut Vec<Event>) {
        if self.resolved.spec.nsqd.storage.when_scaled != WhenScaled::DeleteIfDrained {
            return;
        }
        let mut gone: Vec<(String, Child)> = Vec::new();
        for ((kept, name), child) in &self.entry.children {
            let Detail::Claim(claim) = &child.detail else {
                continue;
            };
            if claim.drained.is_none() {
                continue;
            }
            let ordinal = name
                .rsplit_once('-')
                .and_then(|(_, ordinal)| ordinal.parse::<i32>().ok());
            let Some(ordinal) = ordinal.filter(|ordinal| *ordinal >= count) else {
                continue;
            };
            let in_use = observe::pods(&self.entry.children)
                .any(|(_, _, pod)| pod.component == Component::Nsqd.as_str() && pod.index == Some(ordinal));
            if !in_use && !child.deleting && *kept == Kept::Object(ObjectKind::PersistentVolumeClaim) {
                gone.push((name.clone(), (**child).clone()));
            }
        }
        for (name, child) in gone {
            match self.delete_claim(&name, &child).await {
                Ok(()) => events.push(Event {
                    warning: false,
                    reason: EventReason::VolumeDeleted,
                    note: format!("{name} was deleted: its node had been drained"),
                }),
                Err(problem) => {
                    tracing::warn!(
                        namespace = self.key.namespace,
                        "claim {name} not deleted: {problem}"
                    );
                    self.retry_in(problem.wait(1, 1.0));
                }
            }
        }
    }

    async fn delete_claim(&self, name: &str, child: &Child) -> Result<(), Problem> {
        let (writer, kind) = (&self.shared.writer, ObjectKind::PersistentVolumeClaim);
        writer.may_destroy()?;
        let Some(fresh) = writer.read(kind, &self.key.namespace, name).await? else {
            return Ok(());
        };
        let marked = fresh
            .metadata
            .annotations
            .as_ref()
            .is_some_and(|all| all.contains_key(DRAINED));
        if fresh.metadata.uid.as_deref() != Some(&*child.uid) || !marked {
            return Err(Problem::Conflict);
        }
        let version = fresh.metadata.resource_version.as_deref();
        writer
            .delete(kind, &self.key.namespace, name, (&child.uid, version), "drained")
            .await
    }
}
