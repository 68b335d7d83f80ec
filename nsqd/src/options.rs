//! Flags and config keys (nsqd spec 7.2), converted once into [`Options`]. Pure.

use nsq_service::exit::Exit;
use nsq_service::flags::{Flag, Program, Values};
use nsq_service::log::Level;
use nsq_service::{build_info, duration};
use std::time::Duration;

const PROGRAM: &str = "nsqd";

/// The flag table. What is not here does not exist yet: an option that would do nothing is refused.
pub const FLAGS: &[Flag] = &[
    Flag::version(),
    Flag::config(),
    Flag::level(
        "log-level",
        "INFO",
        "set log verbosity: debug, info, warn, error, or fatal",
    ),
    Flag::string("log-prefix", "[nsqd] ", "log message prefix"),
    Flag::bool("verbose", false, "[deprecated] has no effect, use --log-level").flag_only(),
    Flag::int(
        "node-id",
        "0",
        "unique part for message IDs, (int) in range [0,1024) (default is hash of hostname)",
    )
    .key("id"),
    Flag::bool("worker-id", false, "[deprecated] use --node-id").flag_only(),
    Flag::string(
        "tcp-address",
        "0.0.0.0:4150",
        "address to listen on for TCP clients (<addr>:<port> or <path>)",
    ),
    Flag::string(
        "http-address",
        "0.0.0.0:4151",
        "address to listen on for HTTP clients (<addr>:<port> or <path>)",
    ),
    // Without a certificate, which cannot be given yet, nothing listens there: as in the reference.
    Flag::string(
        "https-address",
        "0.0.0.0:4152",
        "address to listen on for HTTPS clients (<addr>:<port>), used with a certificate only",
    ),
    Flag::string(
        "broadcast-address",
        "",
        "address that will be registered with lookupd (defaults to the OS hostname)",
    ),
    Flag::int(
        "broadcast-tcp-port",
        "0",
        "TCP port that will be registered with lookupd (defaults to the TCP port that this nsqd is listening on)",
    ),
    Flag::int(
        "broadcast-http-port",
        "0",
        "HTTP port that will be registered with lookupd (defaults to the HTTP port that this nsqd is listening on)",
    ),
    Flag::strings(
        "lookupd-tcp-address",
        "lookupd TCP address (may be given multiple times)",
    )
    .key("nsqlookupd_tcp_addresses"),
    Flag::duration("http-client-connect-timeout", "2s", "timeout for HTTP connect"),
    Flag::duration("http-client-request-timeout", "5s", "timeout for HTTP request"),
    Flag::string(
        "topology-region",
        "",
        "a region represents a larger domain, made up of one or more zones",
    ),
    Flag::string("topology-zone", "", "a zone represents a logical failure domain"),
    Flag::string("data-path", "", "path to store disk-backed messages"),
    Flag::int(
        "mem-queue-size",
        "10000",
        "number of messages to keep in memory (per topic/channel)",
    ),
    Flag::int(
        "max-bytes-per-file",
        "104857600",
        "number of bytes per diskqueue file before rolling",
    ),
    Flag::int("sync-every", "2500", "number of messages per diskqueue fsync"),
    Flag::duration("sync-timeout", "2s", "duration of time per diskqueue fsync"),
    Flag::int(
        "queue-scan-worker-pool-max",
        "4",
        "has no effect: timers are exact and need no scan",
    ),
    Flag::int(
        "queue-scan-selection-count",
        "20",
        "has no effect: timers are exact and need no scan",
    ),
    Flag::duration(
        "msg-timeout",
        "1m0s",
        "default duration to wait before auto-requeing a message",
    ),
    Flag::duration(
        "max-msg-timeout",
        "15m0s",
        "maximum duration before a message will timeout",
    ),
    Flag::int(
        "max-msg-size",
        "1048576",
        "maximum size of a single message in bytes",
    ),
    Flag::duration(
        "max-req-timeout",
        "1h0m0s",
        "maximum requeuing timeout for a message",
    ),
    Flag::int(
        "max-body-size",
        "5242880",
        "maximum size of a single command body",
    ),
    Flag::duration(
        "max-heartbeat-interval",
        "1m0s",
        "maximum client configurable duration of time between client heartbeats",
    ),
    Flag::int("max-rdy-count", "2500", "maximum RDY count for a client"),
    Flag::int(
        "max-output-buffer-size",
        "65536",
        "maximum client configurable size (in bytes) for a client output buffer",
    ),
    Flag::duration(
        "max-output-buffer-timeout",
        "30s",
        "maximum client configurable duration of time between flushing to a client",
    ),
    Flag::duration(
        "min-output-buffer-timeout",
        "25ms",
        "minimum client configurable duration of time between flushing to a client",
    ),
    Flag::duration(
        "output-buffer-timeout",
        "250ms",
        "default duration of time between flushing data to clients",
    ),
    Flag::int(
        "max-channel-consumers",
        "0",
        "maximum channel consumer connection count per nsqd instance (default 0, i.e., unlimited)",
    ),
    Flag::int(
        "max-deflate-level",
        "6",
        "max deflate compression level a client can negotiate (> values == > nsqd CPU usage)",
    ),
    Flag::duration(
        "magic-timeout",
        "5m0s",
        "time a client may take to send its first 4 bytes (0 for ever)",
    ),
    Flag::duration(
        "join-timeout",
        "0s",
        "time a node without topics waits for consumers of the channels it copies from nsqlookupd (0 off)",
    ),
];

/// All options of one nsqd, checked.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lines below it are dropped.
    pub log_level: Level,
    /// Text before every log line.
    pub log_prefix: String,
    /// Where clients connect: `host:port` or the path of a Unix socket.
    pub tcp_address: String,
    /// Where the HTTP API is: the same, or nothing.
    pub http_address: String,
    /// Announced to nsqlookupd.
    pub broadcast_address: String,
    /// Announced to nsqlookupd; 0 the real port.
    pub broadcast_tcp_port: i64,
    /// Announced to nsqlookupd; 0 the real port.
    pub broadcast_http_port: i64,
    /// `host:port` of the nsqlookupds.
    pub lookupd_tcp_addresses: Vec<String>,
    /// How long a connect to an nsqlookupd's HTTP API may take.
    pub http_client_connect_timeout: Duration,
    /// How long a request to an nsqlookupd's HTTP API may take.
    pub http_client_request_timeout: Duration,
    /// How long a fresh node waits for consumers; zero: not at all.
    pub join_timeout: Duration,
    /// Part of every message id, 0 to 1023.
    pub node_id: u16,
    /// Where `nsqd.dat` and the queue files are.
    pub data_path: std::path::PathBuf,
    /// Messages in memory, per topic and per channel.
    pub mem_queue_size: usize,
    /// Bytes of one queue file.
    pub max_bytes_per_file: u64,
    /// Reads and writes of a queue's files per sync.
    pub sync_every: u64,
    /// Longest time between a read or write of a queue's files and its sync.
    pub sync_timeout: Duration,
    /// How long a consumer may take for a message, unless it asks for something else.
    pub msg_timeout: Duration,
    /// How long a consumer may take with `TOUCH`, and the most it may ask for.
    pub max_msg_timeout: Duration,
    /// Largest message in bytes.
    pub max_msg_size: i64,
    /// Longest delay of `REQ` and `DPUB`.
    pub max_req_timeout: Duration,
    /// Largest body of `IDENTIFY`, `AUTH`, `MPUB` and `/mpub` in bytes.
    pub max_body_size: i64,
    /// Longest heartbeat interval a client may ask for.
    pub max_heartbeat_interval: Duration,
    /// Largest RDY count.
    pub max_rdy_count: i64,
    /// Largest output buffer a client may ask for, in bytes.
    pub max_output_buffer_size: i64,
    /// Longest output buffer time a client may ask for.
    pub max_output_buffer_timeout: Duration,
    /// Shortest output buffer time a client may ask for.
    pub min_output_buffer_timeout: Duration,
    /// Output buffer time of a client that does not ask.
    pub output_buffer_timeout: Duration,
    /// Consumers of one channel; 0 no limit.
    pub max_channel_consumers: usize,
    /// Reported to clients.
    pub max_deflate_level: i64,
    /// Reported to clients.
    pub topology_region: String,
    /// Reported to clients.
    pub topology_zone: String,
    /// How long a connection may take for its first 4 bytes; zero: for ever.
    pub magic_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            log_level: Level::Info,
            log_prefix: "[nsqd] ".into(),
            tcp_address: "0.0.0.0:4150".into(),
            http_address: "0.0.0.0:4151".into(),
            broadcast_address: String::new(),
            broadcast_tcp_port: 0,
            broadcast_http_port: 0,
            lookupd_tcp_addresses: Vec::new(),
            http_client_connect_timeout: Duration::from_secs(2),
            http_client_request_timeout: Duration::from_secs(5),
            join_timeout: Duration::ZERO,
            node_id: 0,
            data_path: ".".into(),
            mem_queue_size: 10_000,
            max_bytes_per_file: 100 * 1024 * 1024,
            sync_every: 2500,
            sync_timeout: Duration::from_secs(2),
            msg_timeout: Duration::from_secs(60),
            max_msg_timeout: Duration::from_secs(15 * 60),
            max_msg_size: 1024 * 1024,
            max_req_timeout: Duration::from_secs(3600),
            max_body_size: 5 * 1024 * 1024,
            max_heartbeat_interval: Duration::from_secs(60),
            max_rdy_count: 2500,
            max_output_buffer_size: 64 * 1024,
            max_output_buffer_timeout: Duration::from_secs(30),
            min_output_buffer_timeout: Duration::from_millis(25),
            output_buffer_timeout: Duration::from_millis(250),
            max_channel_consumers: 0,
            max_deflate_level: 6,
            topology_region: String::new(),
            topology_zone: String::new(),
            magic_timeout: Duration::from_secs(300),
        }
    }
}

/// Reads the command line and the config file it names.
///
/// # Errors
/// An end instead of a start: help, version, wrong usage or an unusable file.
pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Values, Exit> {
    let hostname = build_info::hostname();
    Program::new(PROGRAM, FLAGS)
        .default("node-id", default_node_id(&hostname).to_string())
        .default("broadcast-address", hostname)
        .parse(args)
}

/// CRC-32 of the MD5 digest of the host name, modulo 1024: what clusters have in their message ids already.
fn default_node_id(hostname: &str) -> u32 {
    use md5::{Digest, Md5};
    crc32fast::hash(&Md5::digest(hostname.as_bytes())) % 1024
}

impl TryFrom<&Values> for Options {
    type Error = String;

    /// Checks every value. The error is the text of the start-up failure.
    fn try_from(values: &Values) -> Result<Self, String> {
        let level = values.int("max-deflate-level");
        if !(1..=9).contains(&level) {
            return Err("--max-deflate-level must be [1,9]".into());
        }
        let node_id = u16::try_from(values.int("node-id")).ok().filter(|id| *id < 1024);
        let at_least = |name: &str, min: i64| {
            let value = values.int(name);
            if value < min {
                Err(format!("--{name} must be at least {min}, not {value}"))
            } else {
                Ok(value)
            }
        };
        let positive = |name: &str| {
            let value = values.duration(name);
            let text = || format!("--{name} must be greater than 0s, not {}", duration::print(0));
            if value.is_zero() { Err(text()) } else { Ok(value) }
        };
        let data_path = match values.string("data-path") {
            "" => ".".into(),
            path => path.into(),
        };
        Ok(Self {
            log_level: values.level("log-level"),
            log_prefix: values.string("log-prefix").to_owned(),
            tcp_address: values.string("tcp-address").to_owned(),
            http_address: values.string("http-address").to_owned(),
            broadcast_address: values.string("broadcast-address").to_owned(),
            broadcast_tcp_port: values.int("broadcast-tcp-port"),
            broadcast_http_port: values.int("broadcast-http-port"),
            lookupd_tcp_addresses: values.strings("lookupd-tcp-address").to_vec(),
            http_client_connect_timeout: values.duration("http-client-connect-timeout"),
            http_client_request_timeout: values.duration("http-client-request-timeout"),
            join_timeout: values.duration("join-timeout"),
            node_id: node_id.ok_or("--node-id must be [0,1024)")?,
            data_path,
            mem_queue_size: usize::try_from(at_least("mem-queue-size", 0)?).unwrap_or(usize::MAX),
            max_bytes_per_file: at_least("max-bytes-per-file", 1)?.unsigned_abs(),
            sync_every: at_least("sync-every", 1)?.unsigned_abs(),
            sync_timeout: positive("sync-timeout")?,
            msg_timeout: positive("msg-timeout")?,
            max_msg_timeout: positive("max-msg-timeout")?,
            max_msg_size: at_least("max-msg-size", 1)?,
            max_req_timeout: values.duration("max-req-timeout"),
            max_body_size: at_least("max-body-size", 9)?,
            max_heartbeat_interval: values.duration("max-heartbeat-interval"),
            max_rdy_count: at_least("max-rdy-count", 1)?,
            max_output_buffer_size: at_least("max-output-buffer-size", 64)?,
            max_output_buffer_timeout: values.duration("max-output-buffer-timeout"),
            min_output_buffer_timeout: values.duration("min-output-buffer-timeout"),
            output_buffer_timeout: values.duration("output-buffer-timeout"),
            max_channel_consumers: usize::try_from(at_least("max-channel-consumers", 0)?)
                .unwrap_or(usize::MAX),
            max_deflate_level: level,
            topology_region: values.string("topology-region").to_owned(),
            topology_zone: values.string("topology-zone").to_owned(),
            magic_timeout: values.duration("magic-timeout"),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options, String> {
        let values = parse(args.iter().map(ToString::to_string)).map_err(|exit| exit.code.to_string())?;
        Options::try_from(&values)
    }

    #[test]
    fn the_defaults_of_the_table_are_the_defaults_of_the_options() {
        let table = options(&[]).unwrap();
        let expected = Options {
            node_id: table.node_id,
            broadcast_address: build_info::hostname(),
            ..Options::default()
        };
        assert_eq!(format!("{table:?}"), format!("{expected:?}"));
    }

    #[test]
    fn nd_249_values_out_of_range_end_the_start() {
        for (flag, text) in [
            ("--node-id=1024", "--node-id must be [0,1024)"),
            ("--node-id=-1", "--node-id must be [0,1024)"),
            ("--max-deflate-level=0", "--max-deflate-level must be [1,9]"),
            ("--max-deflate-level=10", "--max-deflate-level must be [1,9]"),
            (
                "--mem-queue-size=-1",
                "--mem-queue-size must be at least 0, not -1",
            ),
        ] {
            assert_eq!(options(&[flag]).map(|_| ()), Err(text.to_string()), "{flag}");
        }
    }

    #[test]
    fn nd_248_250_usage() {
        for flag in ["--nope", "--msg-timeout=60", "--log-level=bad", "--worker-id=3"] {
            assert_eq!(options(&[flag]).map(|_| ()), Err("2".to_string()), "{flag}");
        }
        for flag in ["--verbose", "--worker-id"] {
            assert!(options(&[flag]).is_ok(), "{flag}");
        }
    }
}
