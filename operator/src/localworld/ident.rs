//! Which daemon of the cluster is meant.

use std::fmt;

/// One process of a local cluster. Sorted as the table shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ident {
    /// A registry.
    Lookupd(i32),
    /// A node.
    Nsqd(i32),
    /// The console.
    Admin,
}

impl Ident {
    /// Name of its program.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Lookupd(_) => "nsqlookupd",
            Self::Nsqd(_) => "nsqd",
            Self::Admin => "nsqadmin",
        }
    }

    /// Ports of the tutorials: 100 apart, so that a node's port can be written down. None for a port it has not.
    pub(super) fn usual_ports(self) -> (Option<u16>, Option<u16>) {
        let port = |base: i32, index: i32| u16::try_from(base + 100 * index).ok();
        match self {
            Self::Lookupd(index) => (port(4160, index), port(4161, index)),
            Self::Nsqd(ordinal) => (port(4150, ordinal), port(4151, ordinal)),
            Self::Admin => (None, Some(4171)),
        }
    }

    /// Whether it has a TCP port besides the HTTP one.
    pub(super) fn has_tcp(self) -> bool {
        self != Self::Admin
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookupd(index) => write!(f, "nsqlookupd-{index}"),
            Self::Nsqd(ordinal) => write!(f, "nsqd-{ordinal}"),
            Self::Admin => f.write_str("nsqadmin"),
        }
    }
}
