//! What the options say about a statsd server.

use nsq_service::flags::Values;
use std::time::Duration;

/// Where counts are pushed to, how often, and what.
#[derive(Clone, Debug)]
pub struct Statsd {
    /// `host:port` over UDP.
    pub address: String,
    /// Time between pushes.
    pub interval: Duration,
    /// What names begin with; `%s` is the host key.
    pub prefix: String,
    /// Figures of the process too.
    pub mem_stats: bool,
    /// Most bytes of a datagram.
    pub packet_size: usize,
    /// Leaves ephemeral topics and channels out.
    pub exclude_ephemeral: bool,
}

impl Statsd {
    /// None without an address.
    pub(super) fn of(values: &Values) -> Result<Option<Self>, String> {
        let address = values.string("statsd-address");
        let (interval, size) = (
            values.duration("statsd-interval"),
            values.int("statsd-udp-packet-size"),
        );
        if address.is_empty() {
            return Ok(None);
        }
        if interval.is_zero() {
            return Err("--statsd-interval must be greater than 0s".into());
        }
        Ok(Some(Self {
            address: address.to_owned(),
            interval,
            prefix: values.string("statsd-prefix").to_owned(),
            mem_stats: values.bool("statsd-mem-stats"),
            packet_size: usize::try_from(size).unwrap_or(0),
            exclude_ephemeral: values.bool("statsd-exclude-ephemeral"),
        }))
    }
}
