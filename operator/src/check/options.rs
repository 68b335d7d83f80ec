//! The flags of the subcommand.

use std::path::PathBuf;
use std::time::Duration;

/// More would measure throughput, not reachability.
const MAX_MESSAGES: i64 = 100_000;

/// What to check, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// HTTP address (host:port) of each nsqlookupd
    #[arg(
        long = "lookupd-http-address",
        env = "NSQ_OPERATOR_LOOKUPD_HTTP_ADDRESS",
        value_name = "ADDRESS",
        required = true,
        num_args = 1..,
        value_delimiter = ','
    )]
    pub lookupds: Vec<String>,
    /// HTTP address (host:port) to publish to, instead of the nodes that nsqlookupd names
    #[arg(
        long = "publish-http-address",
        env = "NSQ_OPERATOR_PUBLISH_HTTP_ADDRESS",
        value_name = "ADDRESS"
    )]
    pub publish: Option<String>,
    /// Messages to send
    #[arg(
        long,
        env = "NSQ_OPERATOR_MESSAGES",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=MAX_MESSAGES)
    )]
    pub messages: u32,
    /// Limit of the whole check
    #[arg(long, env = "NSQ_OPERATOR_TIMEOUT", default_value = "60s", value_parser = parse_timeout)]
    pub timeout: Duration,
    /// Speak TLS with nsqd, and https where a daemon wants it; believe the certificates of this PEM file
    #[arg(long, env = "NSQ_OPERATOR_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Of all connections, in place of what the flags say
    #[arg(skip)]
    pub config: Option<nsq_client::Config>,
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let nanos = nsq_service::duration::parse(text)?;
    match u64::try_from(nanos) {
        Ok(nanos) if nanos > 0 => Ok(Duration::from_nanos(nanos)),
        _ => Err("must be longer than zero".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use clap::Parser;
    use std::time::Duration;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn several_nsqlookupds_in_each_way() {
        for line in [
            vec!["check", "--lookupd-http-address", "a:1", "b:2", "--timeout", "5s"],
            vec![
                "check",
                "--lookupd-http-address=a:1",
                "--lookupd-http-address=b:2",
                "--timeout=5s",
            ],
            vec!["check", "--lookupd-http-address=a:1,b:2", "--timeout=5s"],
        ] {
            let options = Args::try_parse_from(line).unwrap().options;
            assert_eq!(options.lookupds, ["a:1", "b:2"]);
            assert_eq!((options.messages, options.timeout), (100, Duration::from_secs(5)));
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for wrong in [
            vec!["check"],
            vec!["check", "--lookupd-http-address=a:1", "--messages=0"],
        ] {
            assert!(Args::try_parse_from(wrong).is_err());
        }
        for timeout in ["0s", "-1s", "soon"] {
            let line = [
                "check",
                "--lookupd-http-address=a:1",
                &format!("--timeout={timeout}"),
            ];
            assert!(Args::try_parse_from(line).is_err(), "{timeout}");
        }
    }
}
