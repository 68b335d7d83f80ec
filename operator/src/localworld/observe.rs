//! Looking at the processes and asking the daemons, all at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use tokio::task::JoinSet;

use super::ident::Ident;
use super::supervisor::{Daemon, State};
use super::world::LocalWorld;
use crate::api::Endpoints;
use crate::daemon::Daemons;
use crate::plan::{Address, Admin, Facts, Life, Lookupd, Node, Observed, Wanted};
use crate::render::DEFAULT_IMAGE;

/// What one daemon answered.
struct Answer {
    ready: Result<(), String>,
    facts: Result<Facts, String>,
    registered: Result<Vec<Address>, String>,
}

impl<D: Daemons + 'static> LocalWorld<D> {
    /// The observation of [`World`](crate::world::World).
    pub(super) async fn look(&mut self) -> Observed {
        let mut answers = self.ask_all().await;
        let now = self.now();
        for (ident, daemon) in &mut self.supervisor.daemons {
            let answer = answers.get(ident);
            daemon.ready = match answer.map(|answer| &answer.ready) {
                Some(Ok(())) => Ok(daemon.ready.as_ref().map_or(now, |since| *since)),
                Some(Err(error)) => Err(error.clone()),
                None => match &daemon.ready {
                    Ok(_) => Err("stopping".to_owned()),
                    Err(why) => Err(why.clone()),
                },
            };
        }
        let wanted = self.wanted();
        Observed {
            now,
            cluster: self.declared.cluster.clone(),
            // an invalid manifest never gets this far: the last good one stays in force
            invalid: Vec::new(),
            default_image: DEFAULT_IMAGE.to_owned(),
            told: self.state().nodes,
            nodes: self.nodes(&mut answers, &wanted),
            lookupds: self.lookupds(&mut answers),
            claims: Vec::new(),
            admin: self.admin(),
            endpoints: self.endpoints(),
            wanted,
            refused: self.refused.clone(),
            stuck: None,
            settled: true,
            partition: None,
            may_roll: true,
            topics: self.declared.topics.clone(),
            channels: self.declared.channels.clone(),
            memory: self.memory.clone(),
        }
    }

    /// Asks every running daemon what the plan wants to know of its kind.
    async fn ask_all(&self) -> BTreeMap<Ident, Answer> {
        let mut questions = JoinSet::new();
        let running = self
            .supervisor
            .daemons
            .iter()
            .filter(|(_, daemon)| daemon.is_running());
        for (ident, _) in running {
            let (ident, at, path) = (*ident, self.http(*ident), self.ready_path(*ident));
            let daemons = Arc::clone(&self.daemons);
            questions.spawn(async move {
                let ready = daemons.ready(&at, &path).await;
                let unasked = || Err("not asked".to_owned());
                let facts = match ident {
                    Ident::Nsqd(_) => daemons.facts(&at).await,
                    Ident::Lookupd(_) | Ident::Admin => unasked(),
                };
                let registered = match ident {
                    Ident::Lookupd(_) => daemons.registered(&at).await,
                    Ident::Nsqd(_) | Ident::Admin => Err("not asked".to_owned()),
                };
                (
                    ident,
                    Answer {
                        ready,
                        facts,
                        registered,
                    },
                )
            });
        }
        questions.join_all().await.into_iter().collect()
    }

    fn nodes(&self, answers: &mut BTreeMap<Ident, Answer>, wanted: &Wanted) -> Vec<Node> {
        let told = 0..self.state().nodes.unwrap_or(0);
        let running = self.supervisor.daemons.keys().filter_map(|ident| match ident {
            Ident::Nsqd(ordinal) => Some(*ordinal),
            Ident::Lookupd(_) | Ident::Admin => None,
        });
        let ordinals: BTreeSet<i32> = told.chain(running).collect();
        let node = |ordinal: i32| {
            let ident = Ident::Nsqd(ordinal);
            let daemon = self.supervisor.daemons.get(&ident);
            let facts = answers.remove(&ident).map(|answer| answer.facts);
            Node {
                ordinal,
                name: ident.to_string(),
                life: life(daemon),
                ran: self.supervisor.folder.has_data(ident),
                made: None,
                revision: daemon.map_or_else(|| wanted.nsqd.clone(), |daemon| daemon.launch.revision(ident)),
                outdated: false,
                fenced: daemon.is_some_and(|daemon| daemon.fenced),
                broadcast: Address {
                    host: self.host.clone(),
                    http_port: daemon.map_or(0, |daemon| i64::from(daemon.ports.http)),
                },
                peer: self.http(ident),
                facts: facts.unwrap_or_else(|| Err("not running".to_owned())),
            }
        };
        ordinals.into_iter().map(node).collect()
    }

    fn lookupds(&self, answers: &mut BTreeMap<Ident, Answer>) -> Vec<Lookupd> {
        let all = self.supervisor.daemons.iter();
        all.filter_map(|(ident, daemon)| {
            let Ident::Lookupd(index) = *ident else {
                return None;
            };
            let registered = answers.remove(ident).map(|answer| answer.registered);
            Some(Lookupd {
                index,
                name: ident.to_string(),
                life: life(Some(daemon)),
                revision: daemon.launch.revision(*ident),
                tcp_address: self.tcp(*ident),
                http_address: self.http(*ident),
                removing_since: self.state().removing.get(&index).copied(),
                registered: registered.unwrap_or_else(|| Err("not running".to_owned())),
            })
        })
        .collect()
    }

    /// Any node will do for publishing: the first that takes messages is named.
    fn endpoints(&self) -> Endpoints {
        let all = || self.supervisor.daemons.iter();
        let takes = all().find(|(ident, daemon)| {
            matches!(ident, Ident::Nsqd(_)) && daemon.is_running() && daemon.ready.is_ok() && !daemon.fenced
        });
        let registry = |ident: &Ident| match ident {
            Ident::Lookupd(index) if !self.state().removing.contains_key(index) => Some(self.http(*ident)),
            Ident::Lookupd(_) | Ident::Nsqd(_) | Ident::Admin => None,
        };
        Endpoints {
            publish_tcp: takes.map(|(ident, _)| self.tcp(*ident)).unwrap_or_default(),
            publish_http: takes.map(|(ident, _)| self.http(*ident)).unwrap_or_default(),
            lookupd_http: all().filter_map(|(ident, _)| registry(ident)).collect(),
        }
    }

    fn admin(&self) -> Option<Admin> {
        let daemon = self.supervisor.daemons.get(&Ident::Admin)?;
        let life = life(Some(daemon));
        let base = self.spec().admin.options.base_path.as_deref().unwrap_or("/");
        let base = base.trim_matches('/');
        let slash = if base.is_empty() { "" } else { "/" };
        Some(Admin {
            ready: i32::from(life.is_ready()),
            life,
            revision: daemon.launch.revision(Ident::Admin),
            lookupds: daemon.launch.reads.clone(),
            url: format!("http://{}/{base}{slash}", self.http(Ident::Admin)),
        })
    }
}

/// What the supervisor knows, in the plan's words.
pub(super) fn life(daemon: Option<&Daemon>) -> Life {
    let Some(daemon) = daemon else {
        return Life::Waiting("not started".to_owned());
    };
    let ready: Result<Timestamp, &str> = daemon.ready.as_ref().map(|since| *since).map_err(String::as_str);
    match (&daemon.state, ready) {
        (State::Stopping(..), _) => Life::Stopping,
        (State::Waiting(_, why), _) => Life::Waiting(why.clone()),
        (State::Running(_), Ok(since)) => Life::Ready(since),
        (State::Running(_), Err(why)) if daemon.is_looping() => Life::Waiting(format!("CrashLoop ({why})")),
        (State::Running(_), Err(why)) => Life::NotReady(why.to_owned()),
    }
}
