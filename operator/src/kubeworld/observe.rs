//! From stored children and answers of daemons to what a plan decides from. The second half is pure.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use k8s_openapi::jiff::Timestamp;
use nsq_http_api::client::authority;
use tokio::time::{Instant, timeout_at};

use super::child::{Child, DeploymentDetail, Detail, Kept, NodesDetail, PodDetail, TemplateParts};
use super::metrics::Metrics;
use super::resolve;
use super::store::{Children, Entry};
use crate::api::{Component, Endpoints, ExposeType, Flavor, NsqCluster, Quantity};
use crate::build::{Desired, ObjectKind, POD_HASH, Resolved, TEMPLATE_HASH, objects};
use crate::daemon::Daemons;
use crate::plan::{Address, Admin, Claim, Facts, Growth, Life, Lookupd, Node, Revision, Wanted};

/// What has not answered by then is missing in this pass.
const ASKING: Duration = Duration::from_secs(5);
/// Requests at once for one cluster.
pub(super) const AT_ONCE: usize = 32;
/// Port of nsqd's HTTP API.
pub(super) const NSQD_HTTP: i64 = 4151;
/// Port of nsqlookupd's HTTP API.
pub(super) const LOOKUPD_HTTP: i64 = 4161;

/// What the daemons of a cluster answered, by the UID of the pod.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) facts: BTreeMap<Box<str>, Result<Facts, String>>,
    pub(super) registered: BTreeMap<Box<str>, Result<Vec<Address>, String>>,
    /// What an nsqd said that is not ready.
    pub(super) unready: BTreeMap<Box<str>, String>,
}

enum Answer {
    Nsqd(Box<Result<Facts, String>>, Option<String>),
    Lookupd(Result<Vec<Address>, String>),
}

/// The pods of a cluster that are not being deleted, or all of them.
pub(super) fn pods(children: &Children) -> impl Iterator<Item = (&str, &Child, &PodDetail)> {
    children
        .iter()
        .filter_map(|((kept, name), child)| match &child.detail {
            Detail::Pod(pod) if *kept == Kept::Pod => Some((name.as_str(), &**child, &**pod)),
            _ => None,
        })
}

/// Asks every running nsqd and nsqlookupd at once. What does not answer is a value.
pub(super) async fn ask<D: Daemons>(
    daemons: &D,
    children: &Children,
    flavor: Flavor,
    metrics: &Metrics,
) -> Answers {
    let ready_path = if flavor == Flavor::Native {
        "/ready"
    } else {
        "/ping"
    };
    let questions = pods(children)
        .filter(|(_, _, pod)| pod.running)
        .filter_map(|(_, child, pod)| {
            let ip = pod.ip.clone()?;
            let (uid, unready) = (child.uid.clone(), pod.ready_since.is_none());
            let component = pod.component.clone();
            Some(async move {
                match component.as_str() {
                    "nsqd" => {
                        let at = authority(&ip, NSQD_HTTP);
                        let facts = daemons.facts(&at).await;
                        let said = if unready {
                            daemons.ready(&at, ready_path).await.err()
                        } else {
                            None
                        };
                        Some((uid, Answer::Nsqd(Box::new(facts), said)))
                    }
                    "nsqlookupd" => {
                        let at = authority(&ip, LOOKUPD_HTTP);
                        Some((uid, Answer::Lookupd(daemons.registered(&at).await)))
                    }
                    _ => None,
                }
            })
        });
    let questions: Vec<_> = questions.collect();
    let mut answers = stream::iter(questions).buffer_unordered(AT_ONCE);
    let deadline = Instant::now() + ASKING;
    let mut all = Answers::default();
    // One that hangs costs its own answer alone.
    while let Ok(Some(answer)) = timeout_at(deadline, answers.next()).await {
        let Some((uid, answer)) = answer else { continue };
        match answer {
            Answer::Nsqd(facts, said) => {
                metrics.asked("nsqd", "facts", facts.is_ok());
                if let Some(said) = said {
                    all.unready.insert(uid.clone(), said);
                }
                all.facts.insert(uid, *facts);
            }
            Answer::Lookupd(registered) => {
                metrics.asked("nsqlookupd", "nodes", registered.is_ok());
                all.registered.insert(uid, registered);
            }
        }
    }
    all
}

/// The objects as they would be built now, for what they say about revisions.
pub(super) struct Blueprint<'a> {
    pub(super) resolved: &'a Resolved,
    desired: Vec<Desired>,
}

impl<'a> Blueprint<'a> {
    /// Builds them.
    #[must_use]
    pub(super) fn new(resolved: &'a Resolved) -> Self {
        Self {
            resolved,
            desired: objects(resolved),
        }
    }

    fn find(&self, kind: ObjectKind, name: &str) -> Option<&Desired> {
        self.desired
            .iter()
            .find(|desired| desired.kind == kind && desired.name == name)
    }

    fn hash(&self, name: &str) -> String {
        let desired = self.find(ObjectKind::Deployment, name);
        desired
            .and_then(|desired| desired.annotation(TEMPLATE_HASH))
            .unwrap_or_default()
            .to_owned()
    }

    /// What new daemons would be started from.
    #[must_use]
    pub(super) fn wanted(&self) -> Wanted {
        let names = self.resolved.names();
        let image = || self.resolved.image.clone();
        let set = self.find(ObjectKind::StatefulSet, &names.of(Component::Nsqd));
        let text = |path: &str| {
            let value = set.and_then(|set| set.object.pointer(path));
            value
                .and_then(|value| value.as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let of_deployment = |name: String| Revision {
            image: image(),
            template: self.hash(&name),
            ..Revision::default()
        };
        Wanted {
            nsqd: Revision {
                image: image(),
                config: text("/spec/template/spec/volumes/0/configMap/name"),
                template: set
                    .and_then(|set| set.annotation(POD_HASH))
                    .unwrap_or_default()
                    .to_owned(),
                restarted_at: self.resolved.spec.nsqd.restarted_at.clone().unwrap_or_default(),
            },
            lookupd: of_deployment(names.indexed(Component::Lookupd, 0)),
            admin: of_deployment(names.of(Component::Admin)),
        }
    }
}

/// The nodes: every ordinal the StatefulSet is told, and every pod beyond.
#[must_use]
pub(super) fn nodes(entry: &Entry, answers: &mut Answers, blueprint: &Blueprint<'_>) -> Vec<Node> {
    let resolved = blueprint.resolved;
    let set = resolve::nodes(&entry.children, &resolved.name).map(|(_, nodes)| nodes);
    let mut ordinals: Vec<i32> = (0..set.map_or(0, |set| set.replicas)).collect();
    let of_nodes = || pods(&entry.children).filter(|(_, _, pod)| pod.component == Component::Nsqd.as_str());
    ordinals.extend(of_nodes().filter_map(|(_, _, pod)| pod.index));
    ordinals.sort_unstable();
    ordinals.dedup();
    let one = |ordinal: i32| {
        let name = resolved.names().indexed(Component::Nsqd, ordinal);
        let pod = of_nodes().find(|(pod, _, _)| *pod == name);
        let facts = pod.and_then(|(_, child, _)| answers.facts.remove(&child.uid));
        let (revision, outdated) = pod.map_or_else(
            || (blueprint.wanted().nsqd, false),
            |(_, _, pod)| revision(pod, set),
        );
        let bound = resolve::claim(&entry.children, &resolved.names().claim(ordinal))
            .is_some_and(|(_, claim)| claim.bound);
        Node {
            ordinal,
            life: pod.map_or_else(
                || Life::Waiting("no pod yet".to_owned()),
                |(_, child, pod)| life(child, pod, answers.unready.get(&child.uid)),
            ),
            ran: bound || pod.is_some_and(|(_, _, pod)| pod.running),
            made: pod.and_then(|(_, _, pod)| pod.made),
            revision,
            outdated,
            fenced: pod.is_some_and(|(_, _, pod)| pod.fenced),
            broadcast: Address {
                host: host(resolved, ordinal, &name),
                http_port: NSQD_HTTP,
            },
            peer: authority(&resolved.names().node_host(&name), NSQD_HTTP),
            facts: facts.unwrap_or_else(|| Err("not running".to_owned())),
            name,
        }
    };
    ordinals.into_iter().map(one).collect()
}

/// How far the StatefulSet may replace nodes, if its template is the wanted one.
#[must_use]
pub(super) fn partition(entry: &Entry, blueprint: &Blueprint<'_>) -> Option<i32> {
    let (_, set) = resolve::nodes(&entry.children, &blueprint.resolved.name)?;
    let has = parts_revision(&set.template, &set.template.rest);
    (has == blueprint.wanted().nsqd && set.partition < set.replicas).then_some(set.partition)
}

fn host(resolved: &Resolved, ordinal: i32, pod: &str) -> String {
    let expose = &resolved.spec.nsqd.expose;
    match (expose.kind, &expose.host_template) {
        (ExposeType::StaticNames, Some(template)) => template.replace("{ordinal}", &ordinal.to_string()),
        (ExposeType::StaticNames | ExposeType::Internal, _) => resolved.names().node_host(pod),
    }
}

/// What a pod was made from. One of the revision the StatefulSet has now was made from its template; of another one only what
/// stands in the pod is known.
fn revision(pod: &PodDetail, set: Option<&NodesDetail>) -> (Revision, bool) {
    let of = parts_revision;
    let Some(set) = set else {
        return (of(&pod.template, ""), true);
    };
    match &set.update_revision {
        Some(current) if *current == pod.revision => (of(&set.template, &set.template.rest), false),
        Some(_) => (of(&pod.template, &set.template.rest), true),
        // The controller has not looked at the template yet: a moment later it says which pods are of it.
        None => (of(&pod.template, &set.template.rest), false),
    }
}

fn parts_revision(parts: &TemplateParts, rest: &str) -> Revision {
    Revision {
        image: parts.image.clone(),
        config: parts.config.clone(),
        template: rest.to_owned(),
        restarted_at: parts.restarted_at.clone(),
    }
}

fn life(child: &Child, pod: &PodDetail, said: Option<&String>) -> Life {
    if child.deleting {
        return Life::Stopping;
    }
    match (pod.ready_since, pod.running) {
        (Some(since), _) => Life::Ready(since),
        (None, true) => Life::NotReady(said.cloned().unwrap_or_else(|| "not ready".to_owned())),
        (None, false) => Life::Waiting(pod.waiting.clone()),
    }
}

/// Claims of all nodes, also of those that are not there.
#[must_use]
pub(super) fn claims(entry: &Entry, resolved: &Resolved) -> Vec<Claim> {
    let names = resolved.names();
    let one = |((_, name), child): (&(Kept, String), &std::sync::Arc<Child>)| {
        let Detail::Claim(claim) = &child.detail else {
            return None;
        };
        let ordinal = name.rsplit_once('-')?.1.parse().ok()?;
        if *name != names.claim(ordinal) {
            return None;
        }
        let growth = claim.resize.iter().map(|condition| Growth {
            needs_restart: condition.kind == "FileSystemResizePending",
            since: condition.since,
            message: condition.message.clone(),
        });
        Some(Claim {
            name: name.clone(),
            ordinal,
            pod: names.indexed(Component::Nsqd, ordinal),
            actual: Quantity(claim.capacity.clone()),
            growth: growth.max_by_key(|growth| growth.needs_restart),
        })
    };
    let mut claims: Vec<Claim> = entry.children.iter().filter_map(one).collect();
    claims.sort_by_key(|claim| claim.ordinal);
    claims
}

/// Every registry that exists: one Deployment each.
#[must_use]
pub(super) fn lookupds(entry: &Entry, answers: &mut Answers, blueprint: &Blueprint<'_>) -> Vec<Lookupd> {
    let resolved = blueprint.resolved;
    let names = resolved.names();
    let wanted = blueprint.wanted().lookupd;
    let mut found: Vec<Lookupd> = deployments(&entry.children)
        .filter_map(|(name, detail)| {
            let index = detail.index?;
            let pod = pods(&entry.children)
                .filter(|(_, child, pod)| {
                    pod.component == Component::Lookupd.as_str()
                        && pod.index == Some(index)
                        && !child.deleting
                })
                .max_by_key(|(_, _, pod)| pod.ready_since.is_some());
            let registered = pod.and_then(|(_, child, _)| answers.registered.remove(&child.uid));
            let host = names.lookupd_host(index);
            // A Deployment on its way is not of the wanted revision yet, so that they are replaced one at a time.
            let is_wanted = detail.template_hash == blueprint.hash(name);
            Some(Lookupd {
                index,
                name: format!("nsqlookupd-{index}"),
                life: pod.map_or_else(
                    || Life::Waiting("no pod yet".to_owned()),
                    |(_, child, pod)| life(child, pod, None),
                ),
                revision: if is_wanted {
                    wanted.clone()
                } else {
                    Revision {
                        template: detail.template_hash.clone(),
                        ..Revision::default()
                    }
                },
                tcp_address: authority(&host, 4160),
                http_address: authority(&host, LOOKUPD_HTTP),
                removing_since: detail.removing_since,
                registered: registered.unwrap_or_else(|| Err("not running".to_owned())),
            })
        })
        .collect();
    found.sort_by_key(|lookupd| lookupd.index);
    found
}

/// The Deployments of a cluster.
pub(super) fn deployments(children: &Children) -> impl Iterator<Item = (&str, &DeploymentDetail)> {
    children
        .iter()
        .filter_map(|((_, name), child)| match &child.detail {
            Detail::Deployment(detail) => Some((name.as_str(), &**detail)),
            _ => None,
        })
}

/// The consoles, when there are any.
#[must_use]
pub(super) fn admin(
    entry: &Entry,
    cluster: &NsqCluster,
    resolved: &Resolved,
    now: Timestamp,
) -> Option<Admin> {
    let names = resolved.names();
    let name = names.of(Component::Admin);
    let (_, live) = deployments(&entry.children).find(|(found, _)| *found == name)?;
    let reads = registries_read(resolved, &live.args);
    // Its list of registries is no reason to restart it before its turn: compare with the list it has.
    let mut as_it_reads = resolved.clone();
    as_it_reads.registries.read_by_admin.clone_from(&reads);
    let blueprint = Blueprint::new(&as_it_reads);
    let is_wanted = live.template_hash == blueprint.hash(&name);
    let wanted = Blueprint::new(resolved).wanted().admin;
    let base = cluster
        .spec
        .admin
        .options
        .base_path
        .as_deref()
        .unwrap_or("/")
        .trim_matches('/');
    let slash = if base.is_empty() { "" } else { "/" };
    let url = cluster.spec.admin.route.hosts.first().map_or_else(
        || format!("http://{}:4171/{base}{slash}", names.service_host(&name)),
        |host| format!("http://{host}/{base}{slash}"),
    );
    Some(Admin {
        life: if live.ready > 0 {
            Life::Ready(now)
        } else {
            Life::NotReady("no pod is ready".to_owned())
        },
        ready: live.ready,
        revision: if is_wanted {
            wanted
        } else {
            Revision {
                template: live.template_hash.clone(),
                ..Revision::default()
            }
        },
        lookupds: reads,
        url,
    })
}

/// Indexes of the registries that a console with these arguments reads.
#[must_use]
pub(super) fn registries_read(resolved: &Resolved, args: &[String]) -> Vec<i32> {
    let names = resolved.names();
    let flag = |index: i32| {
        format!(
            "--lookupd-http-address={}:{LOOKUPD_HTTP}",
            names.lookupd_host(index)
        )
    };
    (0..MAX_REGISTRIES)
        .filter(|index| args.contains(&flag(*index)))
        .collect()
}

/// Registries a cluster may have, with those on their way out.
const MAX_REGISTRIES: i32 = 64;

/// Where clients go.
#[must_use]
pub(super) fn endpoints(resolved: &Resolved, lookupds: &[Lookupd]) -> Endpoints {
    let names = resolved.names();
    let publish = names.service_host(&names.publish());
    let staying = lookupds.iter().filter(|lookupd| lookupd.removing_since.is_none());
    Endpoints {
        publish_tcp: format!("{publish}:4150"),
        publish_http: format!("{publish}:4151"),
        lookupd_http: staying.map(|lookupd| lookupd.http_address.clone()).collect(),
    }
}
