//! The local world: a cluster of processes, as the plan wants to see it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use nsq_http_api::client::authority;
use nsq_service::clock::Clock;

use super::error::StartError;
use super::folder::{Programs, State};
use super::ident::Ident;
use super::launch::Launch;
use super::manifest::Declared;
use super::supervisor::Supervisor;
use crate::api::{Flavor, NsqClusterSpec, NsqClusterStatus, NsqdStatus};
use crate::daemon::Daemons;
use crate::plan::{Memory, Wanted};
use crate::render::DEFAULT_IMAGE;

/// Paths of the three programs.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    nsqd: PathBuf,
    nsqlookupd: PathBuf,
    nsqadmin: PathBuf,
}

impl Paths {
    /// Finds all three, so that a missing one is told before anything runs.
    pub(super) fn find(programs: &Programs) -> Result<Self, StartError> {
        Ok(Self {
            nsqd: programs.find("nsqd")?,
            nsqlookupd: programs.find("nsqlookupd")?,
            nsqadmin: programs.find("nsqadmin")?,
        })
    }
}

/// A cluster on this machine.
pub(super) struct LocalWorld<D> {
    pub(super) supervisor: Supervisor,
    pub(super) declared: Declared,
    pub(super) daemons: Arc<D>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) paths: Paths,
    pub(super) host: String,
    pub(super) manifest_dir: PathBuf,
    pub(super) memory: Memory,
    pub(super) refused: Vec<String>,
    state: State,
}

impl<D: Daemons> LocalWorld<D> {
    /// A world in which nothing runs yet.
    pub(super) fn new(parts: Parts<D>, state: State) -> Self {
        let mut declared = parts.declared;
        declared.cluster.metadata.generation = Some(1);
        declared.cluster.status = state.stopped_from.map(|from| NsqClusterStatus {
            nsqd: Some(NsqdStatus {
                stopped_from: Some(from),
                ..NsqdStatus::default()
            }),
            ..NsqClusterStatus::default()
        });
        Self {
            supervisor: parts.supervisor,
            declared,
            daemons: parts.daemons,
            clock: parts.clock,
            paths: parts.paths,
            host: parts.host,
            manifest_dir: parts.manifest_dir,
            memory: Memory::default(),
            refused: Vec::new(),
            state,
        }
    }

    /// The wall clock, as the plan wants it.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_nanosecond(i128::from(self.clock.unix_nanos())).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Takes a new version of the manifest.
    pub(super) fn declare(&mut self, mut new: Declared) {
        let old = &self.declared.cluster;
        let changed = i64::from(old.spec != new.cluster.spec);
        new.cluster.metadata.generation = old.metadata.generation.map(|generation| generation + changed);
        new.cluster.status = old.status.clone();
        self.declared = new;
    }

    pub(super) fn spec(&self) -> &NsqClusterSpec {
        &self.declared.cluster.spec
    }

    /// Image by whose name the flavor is told; nothing is pulled.
    pub(super) fn flavor(&self) -> Flavor {
        let image = self.spec().image.as_deref().unwrap_or(DEFAULT_IMAGE);
        self.spec().flavor_for(image)
    }

    /// What a daemon would be started from now.
    pub(super) fn launch(&self, ident: Ident, lookupds: Vec<String>, reads: Vec<i32>) -> Launch {
        let program = match ident {
            Ident::Lookupd(_) => &self.paths.nsqlookupd,
            Ident::Nsqd(_) => &self.paths.nsqd,
            Ident::Admin => &self.paths.nsqadmin,
        };
        Launch {
            program: program.clone(),
            spec: self.spec().clone(),
            flavor: self.flavor(),
            manifest_dir: self.manifest_dir.clone(),
            host: self.host.clone(),
            lookupds,
            reads,
        }
    }

    /// Revisions that new processes would have.
    pub(super) fn wanted(&self) -> Wanted {
        let revision = |ident| self.launch(ident, Vec::new(), Vec::new()).revision(ident);
        Wanted {
            nsqd: revision(Ident::Nsqd(0)),
            lookupd: revision(Ident::Lookupd(0)),
            admin: revision(Ident::Admin),
        }
    }

    /// Address of a daemon's HTTP API.
    pub(super) fn http(&self, ident: Ident) -> String {
        let port = self
            .supervisor
            .daemons
            .get(&ident)
            .map_or(0, |daemon| daemon.ports.http);
        authority(&self.host, i64::from(port))
    }

    /// Address of a daemon's TCP protocol.
    pub(super) fn tcp(&self, ident: Ident) -> String {
        let port = self
            .supervisor
            .daemons
            .get(&ident)
            .map_or(0, |daemon| daemon.ports.tcp);
        authority(&self.host, i64::from(port))
    }

    /// Path at which a daemon says whether it is ready.
    pub(super) fn ready_path(&self, ident: Ident) -> String {
        match ident {
            Ident::Nsqd(_) if self.flavor() == Flavor::Native => "/ready".to_owned(),
            Ident::Nsqd(_) | Ident::Lookupd(_) => "/ping".to_owned(),
            Ident::Admin => {
                let base = self.spec().admin.options.base_path.as_deref().unwrap_or("/");
                let base = base.trim_matches('/');
                if base.is_empty() {
                    "/ping".to_owned()
                } else {
                    format!("/{base}/ping")
                }
            }
        }
    }

    /// Time a daemon gets to end.
    pub(super) fn grace(&self, ident: Ident) -> Duration {
        /// Registries and consoles have nothing to write.
        const OTHERS: Duration = Duration::from_secs(10);
        match ident {
            Ident::Nsqd(_) => {
                let seconds = self.spec().nsqd.termination_grace_period_seconds;
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
            }
            Ident::Lookupd(_) | Ident::Admin => OTHERS,
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Changes what must survive, and writes it if it did change.
    pub(super) fn remember(&mut self, change: impl FnOnce(&mut State)) {
        let before = self.state.clone();
        change(&mut self.state);
        if self.state != before
            && let Err(error) = self.supervisor.folder.write_json("state.json", &self.state)
        {
            self.supervisor.say(format!("state.json not written: {error}"));
        }
    }
}

/// What a world is made of.
pub(super) struct Parts<D> {
    pub(super) supervisor: Supervisor,
    pub(super) declared: Declared,
    pub(super) daemons: Arc<D>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) paths: Paths,
    pub(super) host: String,
    pub(super) manifest_dir: PathBuf,
}
