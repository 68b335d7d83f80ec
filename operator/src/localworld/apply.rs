//! Carrying out a plan: registries first, so that nodes find them, then nodes, the console, requests to nodes.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::ident::Ident;
use super::world::LocalWorld;
use crate::api::{DrainState, UpdateType};
use crate::daemon::Daemons;
use crate::plan::{CLEANUP, Counts, NodeRequest, Plan, Shape};
use crate::world::{Applied, World};

impl<D: Daemons + 'static> World for LocalWorld<D> {
    async fn observe(&mut self) -> crate::plan::Observed {
        self.look().await
    }

    async fn apply(&mut self, plan: &Plan) -> Applied {
        self.declared.cluster.status = Some(plan.status.clone());
        self.memory = plan.memory.clone();
        self.member_statuses(plan);
        self.holds(plan);
        let stopped_from = plan.status.nsqd.as_ref().and_then(|nsqd| nsqd.stopped_from);
        self.remember(|state| state.stopped_from = stopped_from);
        let Some(shape) = &plan.shape else {
            return Applied::Done;
        };
        self.registries(shape);
        if !self.shrink(shape).await {
            self.grow(shape);
            self.roll(shape);
            self.console(shape);
            self.requests(plan).await;
            return Applied::Done;
        }
        Applied::ObserveAnew
    }
}

impl<D: Daemons + 'static> LocalWorld<D> {
    fn member_statuses(&mut self, plan: &Plan) {
        for topic in &mut self.declared.topics {
            let name = topic.metadata.name.clone().unwrap_or_default();
            let status = plan.topic_statuses.iter().find(|(known, _)| *known == name);
            topic.status = status.map(|(_, status)| status.clone());
        }
        for channel in &mut self.declared.channels {
            let name = channel.metadata.name.clone().unwrap_or_default();
            let status = plan.channel_statuses.iter().find(|(known, _)| *known == name);
            channel.status = status.map(|(_, status)| status.clone());
        }
    }

    /// Without an API server nothing is deleted step by step, so a finalizer is only remembered.
    fn holds(&mut self, plan: &Plan) {
        for hold in &plan.holds {
            let finalizers = hold.held.then(|| vec![CLEANUP.to_owned()]);
            let topics = self
                .declared
                .topics
                .iter_mut()
                .map(|topic| (false, &mut topic.metadata));
            let channels = self
                .declared
                .channels
                .iter_mut()
                .map(|channel| (true, &mut channel.metadata));
            let of = |(is_channel, meta): &(bool, &mut ObjectMeta)| {
                *is_channel == hold.is_channel && meta.name.as_ref() == Some(&hold.name)
            };
            if let Some((_, meta)) = topics.chain(channels).find(of) {
                meta.finalizers = finalizers;
            }
        }
    }

    fn registries(&mut self, shape: &Shape) {
        let now = self.now();
        for wanted in &shape.lookupds {
            let ident = Ident::Lookupd(wanted.index);
            let launch = self.launch(ident, Vec::new(), Vec::new());
            if wanted.removing {
                self.remember(|state| {
                    state.removing.entry(wanted.index).or_insert(now);
                });
                continue;
            }
            self.remember(|state| {
                state.removing.remove(&wanted.index);
            });
            let daemon = self.supervisor.daemons.get(&ident);
            match daemon {
                None => self.supervisor.add(ident, launch),
                Some(daemon) if daemon.is_stopping() => {}
                Some(daemon) if wanted.update && daemon.launch.revision(ident) != launch.revision(ident) => {
                    let grace = self.grace(ident);
                    self.supervisor.restart(ident, launch, grace);
                }
                Some(_) => {}
            }
        }
        let gone: Vec<i32> = self
            .existing_lookupds()
            .into_iter()
            .filter(|index| !shape.lookupds.iter().any(|wanted| wanted.index == *index))
            .collect();
        for index in gone {
            let ident = Ident::Lookupd(index);
            self.remember(|state| {
                state.removing.remove(&index);
            });
            let grace = self.grace(ident);
            self.supervisor.remove(ident, false, grace);
        }
    }

    fn existing_lookupds(&self) -> Vec<i32> {
        let idents = self.supervisor.daemons.keys();
        idents
            .filter_map(|ident| match ident {
                Ident::Lookupd(index) => Some(*index),
                Ident::Nsqd(_) | Ident::Admin => None,
            })
            .collect()
    }

    /// Lets nodes go. Each is read once more: a message that came in between keeps it. True if the count was lowered.
    async fn shrink(&mut self, shape: &Shape) -> bool {
        let mut lowered = false;
        for removal in shape.replicas.removals() {
            let ident = Ident::Nsqd(removal.ordinal);
            let at = self.http(ident);
            let stats = self.daemons.stats(&at).await.ok();
            let messages = stats.map(|stats| u64::try_from(Counts::of(&stats).total()).unwrap_or(0));
            if !removal.holds(messages) {
                break;
            }
            self.remember(|state| state.nodes = Some(removal.ordinal));
            let grace = self.grace(ident);
            self.supervisor.remove(ident, removal.may_delete_data(), grace);
            lowered = true;
        }
        lowered
    }

    /// Starts nodes that should run and do not.
    fn grow(&mut self, shape: &Shape) {
        let told = self.state().nodes.unwrap_or(0);
        // a removal that did not hold leaves the count as it was
        let count = shape.replicas.count().max(told);
        self.remember(|state| state.nodes = Some(count));
        let addresses = self.tcp_of(&shape.register_with);
        for ordinal in 0..count {
            let ident = Ident::Nsqd(ordinal);
            if !self.supervisor.daemons.contains_key(&ident) {
                let launch = self.launch(ident, addresses.clone(), Vec::new());
                self.supervisor.add(ident, launch);
            }
        }
    }

    /// Restarts the nodes the plan lets go on to the wanted revision; hot options reach the files of all of them.
    fn roll(&mut self, shape: &Shape) {
        let addresses = self.tcp_of(&shape.register_with);
        let level = self.spec().nsqd.options.log_level;
        let rolling = self.spec().nsqd.update.kind == UpdateType::Rolling;
        for ordinal in 0..self.state().nodes.unwrap_or(0) {
            let ident = Ident::Nsqd(ordinal);
            let launch = self.launch(ident, addresses.clone(), Vec::new());
            let grace = self.grace(ident);
            let Some(daemon) = self.supervisor.daemons.get_mut(&ident) else {
                continue;
            };
            daemon.launch.lookupds.clone_from(&addresses);
            daemon.launch.spec.nsqd.options.log_level = level;
            let stale = daemon.launch.revision(ident) != launch.revision(ident);
            if !stale || ordinal < shape.partition || daemon.is_stopping() {
                continue;
            }
            if rolling {
                self.supervisor.restart(ident, launch, grace);
            } else if !daemon.is_running() {
                daemon.launch = launch;
            }
        }
    }

    fn console(&mut self, shape: &Shape) {
        let ident = Ident::Admin;
        let grace = self.grace(ident);
        let daemon = self.supervisor.daemons.get(&ident);
        let Some(wanted) = &shape.admin else {
            if daemon.is_some_and(|daemon| !daemon.is_stopping()) {
                self.supervisor.remove(ident, false, grace);
            }
            return;
        };
        let addresses = wanted
            .lookupds
            .iter()
            .map(|index| self.http(Ident::Lookupd(*index)))
            .collect();
        let launch = self.launch(ident, addresses, wanted.lookupds.clone());
        match daemon {
            None => self.supervisor.add(ident, launch),
            Some(daemon) if daemon.is_stopping() => {}
            Some(daemon) => {
                let moved = daemon.launch.lookupds != launch.lookupds;
                let stale = daemon.launch.revision(ident) != launch.revision(ident);
                if moved || (stale && wanted.update) {
                    self.supervisor.restart(ident, launch, grace);
                }
            }
        }
    }

    /// Sends the requests of one node one after another, those of different nodes at once.
    async fn requests(&mut self, plan: &Plan) {
        let mut by_node: std::collections::BTreeMap<i32, Vec<NodeRequest>> =
            std::collections::BTreeMap::new();
        for action in &plan.node_actions {
            if let (NodeRequest::Fence(fenced), Some(daemon)) = (
                &action.request,
                self.supervisor.daemons.get_mut(&Ident::Nsqd(action.ordinal)),
            ) {
                daemon.fenced = *fenced;
                continue;
            }
            by_node
                .entry(action.ordinal)
                .or_default()
                .push(action.request.clone());
        }
        let mut sent = tokio::task::JoinSet::new();
        for (ordinal, requests) in by_node {
            let at = self.http(Ident::Nsqd(ordinal));
            let daemons = Arc::clone(&self.daemons);
            sent.spawn(async move {
                let mut refused = Vec::new();
                for request in requests {
                    let hot = matches!(request, NodeRequest::Lookupds(_) | NodeRequest::LogLevel(_));
                    match daemons.ask(&at, &request).await {
                        Err(error) if hot => refused.push(format!("nsqd-{ordinal}: {error}")),
                        // shows in the next observation
                        Ok(()) | Err(_) => {}
                    }
                }
                refused
            });
        }
        self.refused = sent.join_all().await.into_iter().flatten().collect();
        self.refused.sort();
    }

    fn tcp_of(&self, indexes: &[i32]) -> Vec<String> {
        indexes
            .iter()
            .map(|index| self.tcp(Ident::Lookupd(*index)))
            .collect()
    }

    /// State of a node in a drain, when it is in one.
    pub(super) fn drain_state(&self, ident: Ident) -> Option<DrainState> {
        let drain = self.declared.cluster.status.as_ref()?.drain.as_ref()?;
        let name = ident.to_string();
        drain
            .nodes
            .iter()
            .find(|node| node.pod == name)
            .map(|node| node.state)
    }
}
