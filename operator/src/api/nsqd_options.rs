//! Options of nsqd that have a field of their own. Absent = nothing rendered, the daemon's own default.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::Span;

/// Options of nsqd; each maps to the config key of the same words in snake case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NsqdOptions {
    /// Messages kept in memory per topic and per channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub mem_queue_size: Option<i64>,
    /// Size at which a queue file is closed, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_048_576))]
    pub max_bytes_per_file: Option<i64>,
    /// Disk operations per fsync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub sync_every: Option<i64>,
    /// Longest time between two fsyncs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_timeout: Option<Span>,
    /// In-flight time after which a message is delivered again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg_timeout: Option<Span>,
    /// Cap of the in-flight time a client may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_msg_timeout: Option<Span>,
    /// Cap of the delay of REQ and DPUB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_req_timeout: Option<Span>,
    /// Largest message, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_msg_size: Option<i64>,
    /// Largest body of one command, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_body_size: Option<i64>,
    /// Largest RDY a consumer may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_rdy_count: Option<i64>,
    /// Consumers per channel; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_channel_consumers: Option<i64>,
    /// Percentiles of the processing latency to keep, such as "0.99".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub e2e_processing_latency_percentiles: Option<Vec<String>>,
    /// Log level; applied without restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
    /// Push of metrics to statsd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statsd: Option<Statsd>,
}

/// Log level of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Normal operation.
    Info,
    /// Something needs attention soon.
    Warn,
    /// Something failed.
    Error,
    /// Only what ends the process.
    Fatal,
}

impl LogLevel {
    /// The daemons' name of the level.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

/// Push of metrics to statsd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statsd {
    /// UDP address, host:port.
    #[schemars(length(min = 1))]
    pub address: String,
    /// Prefix of the metric names; `%s` is the node's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Time between two pushes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
}
