//! Flags and config keys (nsqd spec 7.2), converted once into [`Options`]. Pure.

mod flags;
mod statsd;

pub use flags::FLAGS;
pub use statsd::Statsd;

use crate::auth::AskBy;
use nsq_service::exit::Exit;
use nsq_service::flags::{Program, Values};
use nsq_service::log::Level;
use nsq_service::tls::{self, ClientAuth, MinVersion};
use nsq_service::{build_info, duration};
use std::path::PathBuf;
use std::time::Duration;

const PROGRAM: &str = "nsqd";

/// Who must come over TLS (nsqd spec 2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsRequired {
    /// Nobody.
    #[default]
    No,
    /// TCP clients; plain HTTP stays open.
    Tcp,
    /// Everybody.
    Everywhere,
}

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
    /// Where the same API is over TLS: used with a certificate only.
    pub https_address: String,
    /// Certificate and policy; none without a certificate.
    pub tls: Option<tls::Settings>,
    /// Who must come over TLS.
    pub tls_required: TlsRequired,
    /// Roots of the servers that are asked over https; none is those of the system.
    pub tls_root_ca: Option<PathBuf>,
    /// The oldest version that is spoken, in both directions.
    pub tls_min_version: MinVersion,
    /// An older version than the oldest that is spoken was asked for.
    pub tls_version_raised: bool,
    /// Clients may ask for snappy.
    pub snappy: bool,
    /// Clients may ask for deflate.
    pub deflate: bool,
    /// Auth servers, `host:port` or whole URLs; with any, clients need their consent.
    pub auth_http_addresses: Vec<String>,
    /// How they are asked.
    pub auth_by: AskBy,
    /// Quantiles of the time from publish to FIN that are kept, each in (0, 1]; none for none.
    pub latency_percentiles: Vec<f64>,
    /// Time over which they are kept.
    pub latency_window: Duration,
    /// Where probes and scrapers are answered without TLS; empty for nowhere.
    pub ops_address: String,
    /// Topics, and channels, that have metrics of their own; 0 is no bound.
    pub metrics_max_channels: usize,
    /// The statsd server, if there is one.
    pub statsd: Option<Statsd>,
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
    /// Longest delay of `REQ`.
    pub max_req_timeout: Duration,
    /// Longest delay of `DPUB` and of `/pub` with `defer`.
    pub max_defer_timeout: Duration,
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
    /// The highest level of deflate a client gets.
    pub max_deflate_level: i64,
    /// Reported to clients.
    pub topology_region: String,
    /// Reported to clients.
    pub topology_zone: String,
    /// Consumers of the same zone, then of the same region, are fed first.
    pub topology_aware: bool,
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
            https_address: "0.0.0.0:4152".into(),
            tls: None,
            tls_required: TlsRequired::No,
            tls_root_ca: None,
            tls_min_version: MinVersion::Tls12,
            tls_version_raised: false,
            snappy: true,
            deflate: true,
            auth_http_addresses: Vec::new(),
            auth_by: AskBy::Get,
            latency_percentiles: Vec::new(),
            latency_window: Duration::from_secs(600),
            statsd: None,
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
            max_defer_timeout: Duration::from_secs(3600),
            ops_address: String::new(),
            metrics_max_channels: 600,
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
            topology_aware: false,
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
            https_address: values.string("https-address").to_owned(),
            tls_required: tls_required(values)?,
            tls_root_ca: path(values, "tls-root-ca-file"),
            tls_min_version: tls_min_version(values),
            tls_version_raised: values.string("tls-min-version") == "tls1.1"
                || (values.string("tls-min-version") == "tls1.0" && values.is_set("tls-min-version")),
            tls: tls_settings(values)?,
            snappy: values.bool("snappy"),
            deflate: values.bool("deflate"),
            auth_http_addresses: values.strings("auth-http-address").to_vec(),
            auth_by: match values.string("auth-http-request-method") {
                "get" => AskBy::Get,
                "post" => AskBy::Post,
                _ => return Err("--auth-http-request-method must be post or get".into()),
            },
            latency_percentiles: percentiles(values)?,
            latency_window: values.duration("e2e-processing-latency-window-time"),
            statsd: Statsd::of(values)?,
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
            max_defer_timeout: max_defer_timeout(values)?,
            ops_address: values.string("ops-address").to_owned(),
            metrics_max_channels: usize::try_from(at_least("metrics-max-channels", 0)?).unwrap_or(usize::MAX),
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
            topology_aware: experiment(values, "topology-aware-consumption"),
            magic_timeout: values.duration("magic-timeout"),
        })
    }
}

impl Options {
    /// The window of latency quantiles, if any are kept.
    #[must_use]
    pub fn latency_window(&self) -> Option<Duration> {
        (!self.latency_percentiles.is_empty()).then_some(self.latency_window)
    }
}

/// Whether an experiment is on; names that are not known are passed over, as in the reference.
fn experiment(values: &Values, name: &str) -> bool {
    let wanted = values.strings("enable-experiment");
    wanted.iter().any(|wanted| wanted == name)
}

/// That of `REQ`, unless it is set (extensions spec 5.2).
fn max_defer_timeout(values: &Values) -> Result<Duration, String> {
    // Ten years: due times stay far from the end of 64 bits.
    const LONGEST: Duration = Duration::from_secs(87_600 * 3600);
    match values.duration("max-defer-timeout") {
        Duration::ZERO => Ok(values.duration("max-req-timeout")),
        set if set <= LONGEST => Ok(set),
        _ => Err("--max-defer-timeout must be at most 87600h0m0s".into()),
    }
}

fn percentiles(values: &Values) -> Result<Vec<f64>, String> {
    let list = values.floats("e2e-processing-latency-percentile");
    match list.iter().find(|q| !(**q > 0.0 && **q <= 1.0)) {
        Some(wrong) => Err(format!("invalid E2E processing latency percentile: {wrong}")),
        None => Ok(list.to_vec()),
    }
}

/// The certificate and what goes with it; none without one.
fn tls_settings(values: &Values) -> Result<Option<tls::Settings>, String> {
    let (cert, key) = match (path(values, "tls-cert"), path(values, "tls-key")) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) => return Ok(None),
        _ => return Err("failed to build TLS config - --tls-cert and --tls-key go together".into()),
    };
    Ok(Some(tls::Settings {
        cert,
        key,
        client_auth: ClientAuth::parse(values.string("tls-client-auth-policy")),
        root_ca: path(values, "tls-root-ca-file"),
        min_version: tls_min_version(values),
    }))
}

/// The file that an option names; none if it is empty.
fn path(values: &Values, name: &str) -> Option<PathBuf> {
    Some(values.string(name))
        .filter(|text| !text.is_empty())
        .map(PathBuf::from)
}

fn tls_min_version(values: &Values) -> MinVersion {
    // 771 is TLS 1.2 on the wire.
    if values.int("tls-min-version") > 771 {
        MinVersion::Tls13
    } else {
        MinVersion::Tls12
    }
}

/// A policy for clients makes TLS required, unless that was said otherwise.
fn tls_required(values: &Values) -> Result<TlsRequired, String> {
    let required = match values.int("tls-required") {
        1 => TlsRequired::Tcp,
        2 => TlsRequired::Everywhere,
        _ if values.string("tls-client-auth-policy").is_empty() => TlsRequired::No,
        _ => TlsRequired::Everywhere,
    };
    if required != TlsRequired::No
        && values.string("tls-cert").is_empty()
        && values.string("tls-key").is_empty()
    {
        return Err("cannot require TLS client connections without TLS key and cert".into());
    }
    Ok(required)
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
            (
                "--e2e-processing-latency-percentile=1.5",
                "invalid E2E processing latency percentile: 1.5",
            ),
            (
                "--auth-http-request-method=put",
                "--auth-http-request-method must be post or get",
            ),
            (
                "--tls-required",
                "cannot require TLS client connections without TLS key and cert",
            ),
            (
                "--tls-client-auth-policy=require",
                "cannot require TLS client connections without TLS key and cert",
            ),
            (
                "--tls-cert=x",
                "failed to build TLS config - --tls-cert and --tls-key go together",
            ),
        ] {
            assert_eq!(options(&[flag]).map(|_| ()), Err(text.to_string()), "{flag}");
        }
    }

    #[test]
    fn deferred_publishes_have_the_bound_of_req_or_their_own() {
        let bound = |args: &[&str]| options(args).map(|options| options.max_defer_timeout.as_secs());
        assert_eq!(bound(&["--max-req-timeout=5s"]), Ok(5));
        assert_eq!(bound(&["--max-req-timeout=5s", "--max-defer-timeout=2s"]), Ok(2));
        assert_eq!(bound(&["--max-defer-timeout=87600h"]), Ok(315_360_000));
        let too_long = bound(&["--max-defer-timeout=87600h1ns"]);
        assert_eq!(
            too_long,
            Err("--max-defer-timeout must be at most 87600h0m0s".into())
        );
    }

    #[test]
    fn nd_248_250_usage() {
        for flag in [
            "--nope",
            "--msg-timeout=60",
            "--log-level=bad",
            "--worker-id=3",
            "--tls-required=maybe",
            "--tls-min-version=ssl3.0",
        ] {
            assert_eq!(options(&[flag]).map(|_| ()), Err("2".to_string()), "{flag}");
        }
        for flag in ["--verbose", "--worker-id"] {
            assert!(options(&[flag]).is_ok(), "{flag}");
        }
    }
}
