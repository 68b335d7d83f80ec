//! Which ports the daemons listen on: the usual ones while they are free, the same ones again after a restart.
#![allow(
    clippy::disallowed_methods,
    reason = "a port is free if it can be bound, and only then"
)]

use std::collections::BTreeMap;
use std::net::TcpListener;

use serde::{Deserialize, Serialize};

use super::ident::Ident;

/// The ports of one daemon; 0 for one it has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ports {
    /// Of the protocol.
    #[serde(default)]
    pub(super) tcp: u16,
    /// Of the HTTP API.
    pub(super) http: u16,
}

/// All allocations, by daemon name: the content of `ports.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Table(BTreeMap<String, Ports>);

/// What an allocation gave, with a sentence for each port that is not the usual one.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) ports: Ports,
    pub(super) note: String,
}

impl Table {
    /// Ports for a daemon that is about to start: the ones it had, else the usual ones, else any free ones.
    /// `is_free` is asked with a port and may be asked twice for it.
    pub(super) fn allocate(
        &mut self,
        ident: Ident,
        is_free: impl Fn(u16) -> bool,
        any: impl Fn() -> u16,
    ) -> Given {
        let known = self.0.get(&ident.to_string()).copied();
        let (usual_tcp, usual_http) = ident.usual_ports();
        let mut busy = Vec::new();
        let mut pick = |known: Option<u16>, usual: Option<u16>| {
            let wanted = known.filter(|port| *port != 0).or(usual);
            match wanted {
                Some(port) if is_free(port) && !self.is_taken(ident, port) => port,
                Some(port) => {
                    busy.push(port.to_string());
                    any()
                }
                None => any(),
            }
        };
        let http = pick(known.map(|ports| ports.http), usual_http);
        let tcp = if ident.has_tcp() {
            pick(known.map(|ports| ports.tcp), usual_tcp)
        } else {
            0
        };
        let ports = Ports { tcp, http };
        self.0.insert(ident.to_string(), ports);
        let note = match busy.as_slice() {
            [] => String::new(),
            [one] => format!("port {one} is busy"),
            many => format!("ports {} are busy", many.join(", ")),
        };
        Given { ports, note }
    }

    /// Forgets what did not work, so that the next allocation takes ports of the operating system.
    pub(super) fn replace(&mut self, ident: Ident, any: impl Fn() -> u16) -> Ports {
        let ports = Ports {
            tcp: if ident.has_tcp() { any() } else { 0 },
            http: any(),
        };
        self.0.insert(ident.to_string(), ports);
        ports
    }

    /// Whether any remembered port cannot be bound now.
    pub(super) fn any_busy(&self, is_free: impl Fn(u16) -> bool) -> bool {
        let ports = self.0.values().flat_map(|ports| [ports.tcp, ports.http]);
        ports.filter(|port| *port != 0).any(|port| !is_free(port))
    }

    /// Another daemon of this cluster has it, started or not.
    fn is_taken(&self, ident: Ident, port: u16) -> bool {
        let name = ident.to_string();
        self.0
            .iter()
            .any(|(other, ports)| *other != name && (ports.tcp == port || ports.http == port))
    }
}

/// Whether the port can be bound on that host.
pub(super) fn is_free(host: &str, port: u16) -> bool {
    TcpListener::bind((host, port)).is_ok()
}

/// A port the operating system has free; 0 if it has none, which the daemon then reports.
pub(super) fn any(host: &str) -> u16 {
    TcpListener::bind((host, 0))
        .and_then(|listener| listener.local_addr())
        .map_or(0, |address| address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_ports_first_then_remembered_ones_then_any() {
        let mut table = Table::default();
        let free = |_: u16| true;
        let given = table.allocate(Ident::Nsqd(1), free, || 50_000);
        assert_eq!(
            given.ports,
            Ports {
                tcp: 4250,
                http: 4251
            }
        );
        let given = table.allocate(Ident::Admin, |port| port != 4171, || 50_001);
        assert_eq!(given.ports, Ports { tcp: 0, http: 50_001 });
        assert_eq!(given.note, "port 4171 is busy");
        // remembered, although the usual one is free again
        let given = table.allocate(Ident::Admin, free, || 50_002);
        assert_eq!((given.ports.http, given.note.as_str()), (50_001, ""));
        assert_eq!(table.replace(Ident::Lookupd(0), || 9), Ports { tcp: 9, http: 9 });
    }

    #[test]
    fn a_port_of_a_sibling_is_not_given_twice() {
        let mut table = Table::default();
        table.replace(Ident::Admin, || 4150);
        let given = table.allocate(Ident::Nsqd(0), |_| true, || 50_000);
        assert_eq!(
            given.ports,
            Ports {
                tcp: 50_000,
                http: 4151
            }
        );
    }
}
