//! From the world to what is shown.

use super::ident::Ident;
use super::notice::Whereabouts;
use super::observe::life;
use super::supervisor::Daemon;
use super::table::{Row, View, drain_note};
use super::world::LocalWorld;
use crate::api::DrainState;
use crate::daemon::Daemons;
use crate::plan::Life;

impl<D: Daemons + 'static> LocalWorld<D> {
    /// What the screen shows now. `data` is the folder as the user knows it.
    pub(super) fn view(&self, data: &str, kept: bool) -> View {
        let status = self.declared.cluster.status.clone().unwrap_or_default();
        let spec = self.spec();
        let wants_admin = spec.admin.enabled && spec.admin.replicas > 0;
        let ready = status.admin.as_ref().map_or(0, |admin| admin.ready);
        let endpoints = status.endpoints.clone().unwrap_or_default();
        View {
            cluster: self.declared.cluster.metadata.name.clone().unwrap_or_default(),
            phase: status.phase.map(|phase| phase.to_string()).unwrap_or_default(),
            message: status.message.clone(),
            nsqd: status
                .nsqd
                .as_ref()
                .map(|nsqd| nsqd.ready_text.clone())
                .unwrap_or_default(),
            lookupd: status
                .lookupd
                .as_ref()
                .map(|lookupd| lookupd.ready_text.clone())
                .unwrap_or_default(),
            admin: if wants_admin {
                format!("{ready}/1")
            } else {
                String::new()
            },
            rows: self
                .supervisor
                .daemons
                .iter()
                .map(|(ident, daemon)| self.row(*ident, daemon))
                .collect(),
            publish: endpoints.publish_http,
            // one is enough to find every node
            consume: endpoints.lookupd_http.into_iter().take(1).collect(),
            console: status.admin.map(|admin| admin.url).unwrap_or_default(),
            data: data.to_owned(),
            kept,
            one_command: false,
        }
    }

    /// Where the daemons are, for other programs.
    pub(super) fn whereabouts(&self) -> Whereabouts {
        let of = |wanted: fn(&Ident) -> bool| {
            let idents = self.supervisor.daemons.keys().filter(|ident| wanted(ident));
            idents.map(|ident| self.http(*ident)).collect()
        };
        Whereabouts {
            pid: std::process::id(),
            cluster: self.declared.cluster.metadata.name.clone().unwrap_or_default(),
            lookupd_http_addresses: of(|ident| matches!(ident, Ident::Lookupd(_))),
            nsqd_http_addresses: of(|ident| matches!(ident, Ident::Nsqd(_))),
        }
    }

    fn row(&self, ident: Ident, daemon: &Daemon) -> Row {
        let status = self.declared.cluster.status.as_ref();
        let name = ident.to_string();
        let life = life(Some(daemon));
        let drained = status.and_then(|status| drain_note(status, &name));
        let why = match &life {
            Life::NotReady(why) | Life::Waiting(why) if why != "starting" => why.clone(),
            _ => String::new(),
        };
        let notes = [drained.unwrap_or_default(), why, daemon.port_note.clone()];
        let notes: Vec<&str> = notes
            .iter()
            .map(String::as_str)
            .filter(|note| !note.is_empty())
            .collect();
        Row {
            state: self.state_of(ident, daemon, &life).to_owned(),
            tcp: if ident.has_tcp() {
                self.tcp(ident)
            } else {
                String::new()
            },
            http: self.http(ident),
            pid: daemon.pid().map(|pid| pid.to_string()).unwrap_or_default(),
            note: notes.join("; "),
            name,
        }
    }

    /// One word for the state of a daemon; also the label of the nodes metric in lower case.
    pub(super) fn state_of(&self, ident: Ident, daemon: &Daemon, life: &Life) -> &'static str {
        if daemon.is_looping() {
            return "CrashLoop";
        }
        if let Some(state) = self.drain_state(ident) {
            return match state {
                DrainState::Fenced => "Fenced",
                DrainState::Draining => "Draining",
                DrainState::Sealed => "Sealed",
                DrainState::Removing => "Removing",
            };
        }
        match life {
            Life::Stopping => "Stopping",
            Life::Waiting(_) => "Restarting",
            Life::NotReady(why) if why.contains("joining") => "Joining",
            Life::NotReady(why) if why == "starting" => "Starting",
            Life::NotReady(_) => "Unready",
            Life::Ready(_) if matches!(ident, Ident::Nsqd(_)) => "Active",
            Life::Ready(_) => "Running",
        }
    }
}
