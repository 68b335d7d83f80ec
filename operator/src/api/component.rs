//! The three daemons of a cluster.

/// A kind of daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// nsqd.
    Nsqd,
    /// nsqlookupd.
    Lookupd,
    /// nsqadmin.
    Admin,
}

impl Component {
    /// All, in the order they are started in.
    pub const ALL: [Self; 3] = [Self::Lookupd, Self::Nsqd, Self::Admin];

    /// Name of the daemon, its container and its component label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nsqd => "nsqd",
            Self::Lookupd => "nsqlookupd",
            Self::Admin => "nsqadmin",
        }
    }
}
