//! The flags of `run`. Source: operator spec 8.2.

use std::time::Duration;

use crate::api;
use crate::render::DEFAULT_IMAGE;

/// What is watched, who leads, how fast.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Namespaces to watch, separated by commas; empty is all of them
    #[arg(
        long,
        env = "NSQ_OPERATOR_WATCH_NAMESPACES",
        value_name = "LIST",
        default_value = "",
        hide_default_value = true
    )]
    pub watch_namespaces: String,
    /// Label selector of the NsqClusters, NsqTopics and NsqChannels this operator works on
    #[arg(
        long,
        env = "NSQ_OPERATOR_SELECTOR",
        default_value = "",
        hide_default_value = true
    )]
    pub selector: String,
    /// Image of clusters that name none
    #[arg(long, env = "NSQ_OPERATOR_DEFAULT_IMAGE", default_value = DEFAULT_IMAGE)]
    pub default_image: String,
    /// Work only while holding the lease
    #[arg(
        long,
        env = "NSQ_OPERATOR_LEADER_ELECT",
        default_value = "true",
        num_args = 0..=1,
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    pub leader_elect: bool,
    /// Name of the lease
    #[arg(long, env = "NSQ_OPERATOR_LEASE_NAME", default_value = "nsq-operator")]
    pub lease_name: String,
    /// Namespace of the lease [default: the operator's own]
    #[arg(long, env = "NSQ_OPERATOR_LEASE_NAMESPACE", value_name = "NS")]
    pub lease_namespace: Option<String>,
    /// Address of /livez, /readyz and /metrics
    #[arg(
        long,
        env = "NSQ_OPERATOR_HTTP_ADDRESS",
        value_name = "HOST:PORT",
        default_value = ":8080"
    )]
    pub http_address: String,
    /// Passes at once
    #[arg(long, env = "NSQ_OPERATOR_CONCURRENCY", default_value = "8", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
    /// How long a change waits for others before a pass
    #[arg(long, env = "NSQ_OPERATOR_DEBOUNCE", default_value = "1s", value_parser = duration)]
    pub debounce: Duration,
    /// Time between passes of a cluster in which nothing happens
    #[arg(long, env = "NSQ_OPERATOR_RESYNC", default_value = "5m", value_parser = duration)]
    pub resync: Duration,
    /// Clusters whose nodes are replaced at the same time
    #[arg(long, env = "NSQ_OPERATOR_MAX_ROLLOUTS", default_value = "2", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub max_rollouts: u16,
    /// Time for one request to a daemon
    #[arg(long, env = "NSQ_OPERATOR_DAEMON_TIMEOUT", default_value = "2s", value_parser = duration)]
    pub daemon_timeout: Duration,
    /// Namespace allowed in network policies [default: the operator's own; none outside of a cluster]
    #[arg(long, env = "NSQ_OPERATOR_OPERATOR_NAMESPACE", value_name = "NS")]
    pub operator_namespace: Option<String>,
    /// Form of the log
    #[arg(long, env = "NSQ_OPERATOR_LOG_FORMAT", value_enum, default_value = "json")]
    pub log_format: LogFormat,
    /// Least important lines to log
    #[arg(long, env = "NSQ_OPERATOR_LOG_LEVEL", value_enum, default_value = "info")]
    pub log_level: LogLevel,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Lines for people.
    Text,
}

/// Importance of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Every write and transition.
    Info,
    /// What may need a look.
    Warn,
    /// What failed.
    Error,
}

impl Options {
    /// Namespaces that are watched; empty is all.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        let names = self.watch_namespaces.split(',').map(str::trim);
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = api::Span::try_from(text.to_owned());
    parsed
        .map(|duration| duration.get())
        .map_err(|_| "use numbers with ms, s, m or h, such as 90s or 1m30s".to_owned())
}
