//! What can go wrong between a client and a daemon.

use std::io;
use std::time::Duration;

use nsq_protocol::v2::FrameError;

/// A failed call. `address` is always the one that was tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No TCP connection.
    #[error("connect to {address}: {source}")]
    Connect {
        /// `host:port` as given or discovered.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// No answer within the limit of the configuration.
    #[error("{address} did not answer {asked} within {limit:?}")]
    TimedOut {
        /// `host:port`.
        address: String,
        /// What was asked, for example `IDENTIFY`.
        asked: &'static str,
        /// The limit that passed.
        limit: Duration,
    },
    /// The connection broke.
    #[error("connection to {address}: {source}")]
    Io {
        /// `host:port`.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon closed the connection, or this side gave it up; the call may or may not have been carried out.
    #[error("connection to {address} was lost: {why}")]
    Lost {
        /// `host:port`.
        address: String,
        /// Closed by the peer, silent for too long, or the error of the connection.
        why: String,
    },
    /// The handshake of TLS failed.
    #[error("TLS with {address}: {source}")]
    Tls {
        /// `host:port`.
        address: String,
        /// Which certificate or version was not accepted, and by whom.
        source: io::Error,
    },
    /// The daemon did not agree to a layer that the configuration asks for, or asks for what it does not have.
    #[error("{address} {text}")]
    Disagreed {
        /// `host:port`.
        address: String,
        /// What was asked for and what to do.
        text: &'static str,
    },
    /// The bytes of the daemon are no frames.
    #[error("{address} does not speak the NSQ protocol: {source}")]
    Frame {
        /// `host:port`.
        address: String,
        /// Size or type that no frame has.
        source: FrameError,
    },
    /// The daemon answered with an error frame, or with something else than the command is answered with.
    #[error("{address} refused {asked}: {text}")]
    Refused {
        /// `host:port`.
        address: String,
        /// The command.
        asked: &'static str,
        /// The text of the frame, beginning with the wire code, for example `E_BAD_TOPIC`.
        text: String,
    },
}

impl Error {
    /// True if trying the same call again can help: the daemon did not refuse it.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        !matches!(
            self,
            Self::Refused { .. } | Self::Frame { .. } | Self::Disagreed { .. }
        )
    }
}
