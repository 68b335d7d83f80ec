//! Limits and names of a client.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use nsq_http_api::client::Tls;
use nsq_protocol::identify::IdentifyRequest;

/// What lies on a connection, if the daemon agrees; a daemon that does not refuses the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Fast.
    Snappy,
    /// Smaller.
    Deflate {
        /// 1 (fast) to 9 (small); the daemon cuts it to its limit.
        level: u8,
    },
}

/// A text that shows itself to nobody but the daemon.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// How a connection introduces itself and how long it waits. `Config::default()` suits most programs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Short name shown in the daemon's statistics. Default `nsq-client`.
    pub client_id: String,
    /// Host name shown in the daemon's statistics. Default empty.
    pub hostname: String,
    /// Library and version shown in the daemon's statistics.
    pub user_agent: String,
    /// The daemon sends a heartbeat this often; twice as long without a frame ends the connection. Default 15 s. Daemons accept
    /// 1 s to 60 s by default.
    pub heartbeat_interval: Duration,
    /// When a delivered message counts as not handled. `None` leaves it to the daemon (60 s by default).
    pub msg_timeout: Option<Duration>,
    /// Without a frame for this long the connection is given up. `None`, the default, is twice the heartbeat interval.
    pub read_timeout: Option<Duration>,
    /// Limit of one write. Default 10 s.
    pub write_timeout: Duration,
    /// Region of this client, for daemons that feed near consumers first. Default empty.
    pub topology_region: String,
    /// Zone of this client. Default empty.
    pub topology_zone: String,
    /// Percent of the messages to receive, 1 to 99; 0, the default, for all.
    pub sample_rate: u8,
    /// Bytes that the daemon gathers before it sends. `None` leaves it to the daemon (16 KiB by default).
    pub output_buffer_size: Option<i64>,
    /// How long the daemon gathers at most. `None` leaves it to the daemon (250 ms by default).
    pub output_buffer_timeout: Option<Duration>,
    /// Ask for TLS, and verify the daemon this way; a daemon without TLS refuses the connection. Default none. nsqlookupds that
    /// want https are asked over it as well.
    pub tls: Option<Tls>,
    /// Ask for compression. Default none.
    pub compression: Option<Compression>,
    /// Sent with `AUTH` if the daemon asks for it. Default none.
    pub auth_secret: Option<Secret>,
    /// Connect from this address. Default none: the system chooses.
    pub local_addr: Option<SocketAddr>,
    /// Limit of a TCP connect. Default 5 s.
    pub connect_timeout: Duration,
    /// Limit of an answer to a command, and of one look-up. Default 10 s.
    pub command_timeout: Duration,
    /// Largest frame that is read, in bytes. Default 8 MiB; nsqd accepts messages of 1 MiB by default.
    pub max_frame_bytes: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            client_id: "nsq-client".to_owned(),
            hostname: String::new(),
            user_agent: concat!("nsq-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            heartbeat_interval: Duration::from_secs(15),
            msg_timeout: None,
            read_timeout: None,
            write_timeout: Duration::from_secs(10),
            topology_region: String::new(),
            topology_zone: String::new(),
            sample_rate: 0,
            output_buffer_size: None,
            output_buffer_timeout: None,
            tls: None,
            compression: None,
            auth_secret: None,
            local_addr: None,
            connect_timeout: Duration::from_secs(5),
            command_timeout: Duration::from_secs(10),
            max_frame_bytes: 8 << 20,
        }
    }
}

impl Config {
    /// The request that these values make.
    pub(crate) fn identify(&self) -> IdentifyRequest {
        IdentifyRequest {
            client_id: self.client_id.clone(),
            hostname: self.hostname.clone(),
            user_agent: self.user_agent.clone(),
            feature_negotiation: true,
            heartbeat_interval: millis(self.heartbeat_interval),
            msg_timeout: self.msg_timeout.map_or(0, millis),
            topology_region: self.topology_region.clone(),
            topology_zone: self.topology_zone.clone(),
            sample_rate: self.sample_rate.into(),
            output_buffer_size: self.output_buffer_size.unwrap_or(0),
            output_buffer_timeout: self.output_buffer_timeout.map_or(0, millis),
            tls_v1: self.tls.is_some(),
            snappy: self.compression == Some(Compression::Snappy),
            deflate: matches!(self.compression, Some(Compression::Deflate { .. })),
            deflate_level: match self.compression {
                Some(Compression::Deflate { level }) => level.into(),
                _ => 0,
            },
        }
    }

    /// After this long without a frame the peer is gone.
    pub(crate) fn silence(&self) -> Duration {
        self.read_timeout.unwrap_or(self.heartbeat_interval * 2)
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
