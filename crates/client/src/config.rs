//! Limits and names of a client.

use std::time::Duration;

use nsq_protocol::identify::IdentifyRequest;

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
            ..IdentifyRequest::default()
        }
    }

    /// After this long without a frame the peer is gone.
    pub(crate) fn silence(&self) -> Duration {
        self.heartbeat_interval * 2
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
