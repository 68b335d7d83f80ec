//! The flags and config keys of nsqd (nsqd spec 7.2), as a table.

use nsq_service::flags::Flag;
use nsq_service::log;

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
    log::FORMAT,
    log::OUTPUT,
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
    Flag::strings(
        "auth-http-address",
        "<addr>:<port> or a full url to query auth server (may be given multiple times)",
    )
    .key("auth_http_addresses"),
    Flag::string(
        "auth-http-request-method",
        "get",
        "HTTP method to use for auth server requests (get or post)",
    ),
    Flag::duration("http-client-connect-timeout", "2s", "timeout for HTTP connect"),
    Flag::duration("http-client-request-timeout", "5s", "timeout for HTTP request"),
    Flag::string(
        "topology-region",
        "",
        "a region represents a larger domain, made up of one or more zones",
    ),
    Flag::string("topology-zone", "", "a zone represents a logical failure domain"),
    Flag::strings(
        "enable-experiment",
        "enable experimental feature (may be given multiple times) (valid options: topology-aware-consumption)",
    ),
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
    Flag::duration(
        "max-defer-timeout",
        "0s",
        "maximum delay of a deferred publish, up to 87600h (default 0, i.e., --max-req-timeout)",
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
    Flag::floats(
        "e2e-processing-latency-percentile",
        "message processing time percentiles (as float (0, 1.0]) to track (can be specified multiple times or comma separated '1.0,0.99,0.95', default none)",
    )
    .key("e2e_processing_latency_percentiles"),
    Flag::duration(
        "e2e-processing-latency-window-time",
        "10m0s",
        "calculate end to end latency quantiles for this duration of time (ie: 60s would only show quantile calculations from the past 60 seconds)",
    ),
    Flag::string(
        "statsd-address",
        "",
        "UDP <addr>:<port> of a statsd daemon for pushing stats",
    ),
    Flag::duration("statsd-interval", "1m0s", "duration between pushing to statsd"),
    Flag::bool("statsd-mem-stats", true, "toggle sending memory and GC stats to statsd"),
    Flag::string(
        "statsd-prefix",
        "nsq.%s",
        "prefix used for keys sent to statsd (%s for host replacement)",
    ),
    Flag::string(
        "ops-address",
        "",
        "<addr>:<port> or a path to listen on for probes and scrapers: /ping, /livez, /ready and /metrics, never with TLS \
         (default none)",
    ),
    Flag::int(
        "metrics-max-channels",
        "600",
        "topics, and channels, that have metrics of their own; further ones share those labeled * (0 for no bound)",
    ),
    Flag::int("statsd-udp-packet-size", "508", "the size in bytes of statsd UDP packets"),
    Flag::bool(
        "statsd-exclude-ephemeral",
        false,
        "Skip ephemeral topics and channels when sending stats to statsd",
    ),
    Flag::string("tls-cert", "", "path to certificate file"),
    Flag::string("tls-key", "", "path to key file"),
    Flag::string(
        "tls-client-auth-policy",
        "",
        "client certificate auth policy ('require' or 'require-verify')",
    ),
    Flag::string("tls-root-ca-file", "", "path to certificate authority file"),
    Flag::custom(
        "tls-required",
        "false",
        parse_tls_required,
        true,
        "require TLS for client connections (true, false, tcp-https)",
    ),
    Flag::custom(
        "tls-min-version",
        "tls1.0",
        parse_tls_min_version,
        false,
        "minimum TLS version ('tls1.0', 'tls1.1', 'tls1.2' or 'tls1.3'; the oldest that is spoken is 1.2)",
    ),
    Flag::bool(
        "deflate",
        true,
        "enable deflate feature negotiation (client compression)",
    ),
    Flag::bool(
        "snappy",
        true,
        "enable snappy feature negotiation (client compression)",
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

/// `/config` shows these numbers, which are those of the reference.
fn parse_tls_required(text: &str) -> Result<(String, i64), String> {
    let number = match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => 2,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => 0,
        other if other.eq_ignore_ascii_case("tcp-https") => 1,
        _ => return Err("parse error".to_owned()),
    };
    Ok((text.to_owned(), number))
}

fn parse_tls_min_version(text: &str) -> Result<(String, i64), String> {
    let text = text.to_ascii_lowercase();
    let number = match text.as_str() {
        "tls1.0" | "" => 769,
        "tls1.1" => 770,
        "tls1.2" => 771,
        "tls1.3" => 772,
        _ => return Err(format!("unknown tlsVersionOption {text:?}")),
    };
    Ok((text, number))
}
