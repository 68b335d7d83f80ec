//! Flags and config keys (nsqlookupd spec 2), converted once into [`Options`]. Pure.

use std::time::Duration;

use nsq_service::build_info::hostname;
use nsq_service::exit::Exit;
use nsq_service::flags::{Flag, Program, Values};
use nsq_service::log;

/// The flag table.
pub const FLAGS: &[Flag] = &[
    Flag::config(),
    Flag::version(),
    Flag::level(
        "log-level",
        "INFO",
        "set log verbosity: debug, info, warn, error, or fatal",
    ),
    Flag::string("log-prefix", "[nsqlookupd] ", "log message prefix"),
    log::FORMAT,
    log::OUTPUT,
    Flag::bool("verbose", false, "[deprecated] has no effect, use --log-level").flag_only(),
    Flag::string(
        "tcp-address",
        "0.0.0.0:4160",
        "<addr>:<port> to listen on for TCP clients",
    ),
    Flag::string(
        "http-address",
        "0.0.0.0:4161",
        "<addr>:<port> to listen on for HTTP clients",
    ),
    Flag::string(
        "ops-address",
        "",
        "<addr>:<port> or a path to listen on for probes and scrapers: /ping, /livez, /ready and /metrics (default none)",
    ),
    Flag::string(
        "broadcast-address",
        "",
        "address of this lookupd node, (default to the OS hostname)",
    ),
    Flag::duration(
        "inactive-producer-timeout",
        "5m0s",
        "duration of time a producer will remain in the active list since its last ping",
    ),
    Flag::duration(
        "tombstone-lifetime",
        "45s",
        "duration of time a producer will remain tombstoned if registration remains",
    ),
];

/// What an nsqlookupd runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port` for nsqds, port 0 for any.
    pub tcp_address: String,
    /// `host:port` for HTTP, port 0 for any.
    pub http_address: String,
    /// Where probes and scrapers are answered; empty for nowhere.
    pub ops_address: String,
    /// Host name that nsqds are told to use for this nsqlookupd's HTTP.
    pub broadcast_address: String,
    /// A producer that was not heard of for longer is hidden.
    pub inactive_producer_timeout: Duration,
    /// How long a tombstone hides a producer.
    pub tombstone_lifetime: Duration,
    /// Level, form and stream of the log.
    pub log: log::Settings,
}

impl Options {
    /// Reads the command line and the config file it names.
    ///
    /// # Errors
    /// An end instead of a start, see [`Program::parse`].
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Result<Self, Exit> {
        let program = Program::new("nsqlookupd", FLAGS).default("broadcast-address", hostname());
        Self::of(&program.parse(args)?)
    }

    fn of(values: &Values) -> Result<Self, Exit> {
        Ok(Self {
            tcp_address: values.string("tcp-address").to_owned(),
            http_address: values.string("http-address").to_owned(),
            ops_address: values.string("ops-address").to_owned(),
            broadcast_address: values.string("broadcast-address").to_owned(),
            inactive_producer_timeout: values.duration("inactive-producer-timeout"),
            tombstone_lifetime: values.duration("tombstone-lifetime"),
            log: log::Settings::of(values)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_reference() {
        let options = Options::from_args([]).unwrap();
        assert_eq!(options.tcp_address, "0.0.0.0:4160");
        assert_eq!(options.http_address, "0.0.0.0:4161");
        assert_eq!(options.broadcast_address, hostname());
        assert_eq!(options.inactive_producer_timeout, Duration::from_secs(300));
        assert_eq!(options.tombstone_lifetime, Duration::from_secs(45));
        assert_eq!(
            options.log,
            log::Settings {
                prefix: "[nsqlookupd] ".to_owned(),
                level: log::Level::Info,
                form: log::Form::Text,
                to_stdout: false,
            }
        );
    }
}
