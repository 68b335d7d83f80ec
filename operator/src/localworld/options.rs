//! The flags of `local`. Source: operator spec 8.5.

use std::path::PathBuf;

/// Where the cluster comes from, where it lives, what is shown.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Manifest: one NsqCluster, any number of NsqTopic and NsqChannel; absent is a built-in one
    #[arg(short = 'f', long = "file", env = "NSQ_OPERATOR_FILE", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write the built-in manifest to FILE and use it
    #[arg(long, env = "NSQ_OPERATOR_SAVE", value_name = "FILE", conflicts_with = "file")]
    pub save: Option<PathBuf>,
    /// Folder of the data [default: ./nsq-data/<name of the cluster>]
    #[arg(long, env = "NSQ_OPERATOR_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Keep data in a temporary folder that is removed at the end
    #[arg(
        long,
        env = "NSQ_OPERATOR_EPHEMERAL",
        value_parser = clap::builder::BoolishValueParser::new(),
        conflicts_with = "data_dir"
    )]
    pub ephemeral: bool,
    /// Folder of nsqd, nsqlookupd and nsqadmin [default: folder of this program, then PATH]
    #[arg(long, env = "NSQ_OPERATOR_BIN_DIR", value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
    /// Address to listen on and to announce
    #[arg(
        long,
        env = "NSQ_OPERATOR_HOST",
        value_name = "HOST",
        default_value = "127.0.0.1"
    )]
    pub host: String,
    /// Address for /metrics and for /sd, the targets as Prometheus HTTP service discovery
    #[arg(long, env = "NSQ_OPERATOR_HTTP_ADDRESS", value_name = "HOST:PORT")]
    pub http_address: Option<String>,
    /// Do not read the manifest again when it changes
    #[arg(long, env = "NSQ_OPERATOR_NO_WATCH", value_parser = clap::builder::BoolishValueParser::new())]
    pub no_watch: bool,
    /// Form of the output: table, or json with one status document per change
    #[arg(
        long,
        env = "NSQ_OPERATOR_OUTPUT",
        value_enum,
        default_value = "table",
        hide_possible_values = true
    )]
    pub output: Output,
    /// Show the daemons' logs on standard error too, each line after the name of its daemon
    #[arg(long, env = "NSQ_OPERATOR_LOGS", value_parser = clap::builder::BoolishValueParser::new())]
    pub logs: bool,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A table for people.
    #[default]
    Table,
    /// One status document per change, one line each.
    Json,
}
