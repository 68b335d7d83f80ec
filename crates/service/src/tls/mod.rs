//! TLS of the listeners: which certificate, which clients, which versions (nsqd spec 2.5), of outgoing requests: which servers,
//! and certificates that are replaced while the program runs (extensions spec 11.2).
//!
//! The library is rustls with ring: TLS 1.2 and 1.3, no older version, no RSA key exchange; it is also what the operator's
//! client of Kubernetes uses, so that there is one in the workspace.

mod certificates;
mod client_settings;
mod clients;
mod outgoing;
mod peek;
mod server;

pub use client_settings::ClientSettings;
pub use clients::ClientAuth;
pub use outgoing::ClientTls;
pub use peek::is_plain_http;
pub use server::{Reload, ServerTls, Settings};

use rustls::server::ServerConnection;
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedProtocolVersion};

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl MinVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static NEWEST_FIRST: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Tls12 => &NEWEST_FIRST,
            Self::Tls13 => &NEWEST_FIRST[..1],
        }
    }
}

/// What was agreed on a connection, as `/stats` shows it (nsqd spec 6.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// `TLS1.2` or `TLS1.3`.
    pub version: &'static str,
    /// Name of a TLS 1.2 suite that the reference knows, else `Unknown <number>`.
    pub cipher_suite: String,
    /// Common name of the client's certificate; empty without one.
    pub common_name: String,
}

impl Agreed {
    /// Reads it from a connection whose handshake is complete.
    #[must_use]
    pub fn of(connection: &ServerConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS1.3",
            _ => "TLS1.2",
        };
        let suite = connection.negotiated_cipher_suite();
        let client = connection.peer_certificates().and_then(<[_]>::first);
        Self {
            version,
            cipher_suite: suite.map_or_else(String::new, |suite| suite_name(suite.suite())),
            common_name: client.map_or_else(String::new, |der| certificates::common_name(der)),
        }
    }
}

/// Suites that the reference has a name for, of those that rustls speaks.
fn suite_name(suite: rustls::CipherSuite) -> String {
    use rustls::CipherSuite as Suite;
    match suite {
        Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned(),
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => {
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".to_owned()
        }
        other => format!("Unknown {}", u16::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::suite_name;
    use rustls::CipherSuite;

    #[test]
    fn suites_without_a_name_in_the_reference_show_their_number() {
        assert_eq!(suite_name(CipherSuite::TLS13_AES_128_GCM_SHA256), "Unknown 4865");
        assert_eq!(
            suite_name(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
        );
    }
}
