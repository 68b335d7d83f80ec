//! Where messages come from: the flags that all consuming tools share, and a consumer that has started.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use nsq_client::{Consumer, ConsumerOptions, Delivery, NsqdStatus, Tls};
use nsq_http_api::client::Client;
use nsq_service::flags::{Flag, Program, Values};
use nsq_service::signals::Signals;
use nsq_service::tls::ClientSettings;

use crate::ending::End;
use crate::log;
use crate::options::Settings;

/// How long messages in flight may take to be answered when a tool stops.
pub(crate) const STOP: Duration = Duration::from_secs(30);

/// `-nsqd-tcp-address`.
pub const NSQD: Flag = Flag::strings(
    "nsqd-tcp-address",
    "nsqd TCP address (may be given multiple times)",
);
/// `-lookupd-http-address`.
pub const LOOKUPD: Flag = Flag::strings(
    "lookupd-http-address",
    "lookupd HTTP address (may be given multiple times)",
);
/// `-consumer-opt`.
pub const CONSUMER_OPT: Flag = Flag::strings(
    "consumer-opt",
    "option to passthrough to nsq.Consumer (may be given multiple times)",
);
/// `-max-in-flight`.
pub const MAX_IN_FLIGHT: Flag = Flag::int(
    "max-in-flight",
    "200",
    "max number of messages to allow in flight",
);

/// The command line of a tool.
#[must_use]
pub fn program(name: &'static str, flags: &'static [Flag], example: &'static str) -> Program {
    let version = nsq_service::build_info::VERSION;
    Program::new(name, flags)
        .version_line(format!("{name} v{version}"))
        .example(example)
}

/// Reads `-consumer-opt` or `-producer-opt`.
///
/// # Errors
/// Wrong usage, as for a flag whose value is wrong.
pub fn settings(program: &Program, tool: &str, flag: &str, values: &Values) -> Result<Settings, End> {
    let mut settings = Settings::new(tool);
    for text in values.strings(flag) {
        let set = settings.set(text);
        set.map_err(|why| program.wrong(&format!("invalid value {text:?} for flag -{flag}: {why}")))?;
    }
    for name in &settings.without_effect {
        log::line(&format!("option {name} has no effect in this client"));
    }
    Ok(settings)
}

/// The addresses of a consuming tool.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Of nsqds, to connect to in any case.
    pub nsqds: Vec<String>,
    /// Of nsqlookupds, to ask.
    pub lookupds: Vec<String>,
    /// Most messages in flight, per topic.
    pub max_in_flight: u32,
}

impl Sources {
    /// Reads the shared flags.
    ///
    /// # Errors
    /// None or both kinds of addresses, one that is no address, or a number of messages below 0.
    pub fn of(values: &Values) -> Result<Self, End> {
        let nsqds = values.strings("nsqd-tcp-address").to_vec();
        let lookupds = values.strings("lookupd-http-address").to_vec();
        match (nsqds.is_empty(), lookupds.is_empty()) {
            (true, true) => return Err("--nsqd-tcp-address or --lookupd-http-address required".into()),
            (false, false) => {
                return Err("use --nsqd-tcp-address or --lookupd-http-address not both".into());
            }
            _ => {}
        }
        if let Some(wrong) = lookupds.iter().find(|address| !has_port(address)) {
            return Err(format!("address {wrong}: missing port in address").into());
        }
        let max_in_flight = u32::try_from(values.int("max-in-flight"));
        let max_in_flight = max_in_flight
            .map_err(|_| format!("invalid max_in_flight ! {} < 0", values.int("max-in-flight")))?;
        Ok(Self {
            nsqds,
            lookupds,
            max_in_flight,
        })
    }

    /// Options of a consumer of these names with these settings.
    ///
    /// # Errors
    /// A name that is none, or settings that cannot be used.
    pub fn consumer(&self, topic: &str, channel: &str, settings: &Settings) -> Result<ConsumerOptions, End> {
        let topic = topic.parse().map_err(|_| "invalid topic name")?;
        let channel = channel.parse().map_err(|_| "invalid channel name")?;
        let mut options = ConsumerOptions::new(topic, channel);
        settings.apply(&mut options)?;
        options.nsqd_tcp_addresses.clone_from(&self.nsqds);
        options.lookupd_http_addresses.clone_from(&self.lookupds);
        options.max_in_flight = self.max_in_flight;
        Ok(options)
    }
}

/// A duration that is not zero.
pub(crate) fn positive(values: &Values, flag: &str) -> Result<Duration, End> {
    let value = values.duration(flag);
    if value.is_zero() {
        return Err(format!("--{flag} should be positive").into());
    }
    Ok(value)
}

/// What asks daemons over HTTP, with the limits of `-http-client-connect-timeout` and `-http-client-request-timeout`.
pub(crate) fn http_client(values: &Values) -> Result<Client, End> {
    Ok(Client {
        connect_timeout: positive(values, "http-client-connect-timeout")?,
        request_timeout: positive(values, "http-client-request-timeout")?,
        // Read when a daemon first wants https, as the system's authorities are.
        tls: Some(Tls::new(|| ClientSettings::default().load())),
        ..Client::default()
    })
}

/// `host:port`, also within a URL.
fn has_port(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let place = rest.split(['/', '?']).next().unwrap_or_default();
    let port = place.rsplit_once(':').map(|(_, port)| port);
    port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Starts a consumer and waits until every nsqd that was given by its address is subscribed.
///
/// # Errors
/// One of them refuses.
pub async fn start(options: ConsumerOptions) -> Result<Consumer, End> {
    let direct = options.nsqd_tcp_addresses.clone();
    let consumer = Consumer::start(options);
    let mut status = consumer.status();
    let settled = status.wait_for(|status| {
        let of = |address: &String| status.nsqds.iter().find(|(known, _)| known == address);
        let failed = status
            .nsqds
            .iter()
            .any(|(_, state)| matches!(state, NsqdStatus::Failed(_)));
        failed
            || direct
                .iter()
                .all(|a| of(a).is_some_and(|(_, s)| *s == NsqdStatus::Subscribed))
    });
    let refused = match settled.await {
        Ok(status) if !direct.is_empty() => status.nsqds.iter().find_map(|(_, state)| match state {
            NsqdStatus::Failed(why) => Some(why.clone()),
            NsqdStatus::Connecting | NsqdStatus::Subscribed => None,
        }),
        _ => None,
    };
    match refused {
        Some(why) => Err(End::Failed(why)),
        None => Ok(consumer),
    }
}

/// The next message of any of them, and whose it is. Cancel safe.
pub(crate) async fn next_of(consumers: &mut [Consumer]) -> Option<(usize, Delivery)> {
    if let [only] = consumers {
        return only.next().await.map(|delivery| (0, delivery));
    }
    let mut waiting: FuturesUnordered<_> = consumers
        .iter_mut()
        .enumerate()
        .map(|(index, consumer)| async move { (index, consumer.next().await) })
        .collect();
    let (index, delivery) = waiting.next().await?;
    delivery.map(|delivery| (index, delivery))
}

/// Takes in-flight messages to their end.
pub async fn stop(consumer: Consumer) {
    consumer.close_within(STOP).await;
}

/// Catches the signals that end a tool.
///
/// # Errors
/// The system refuses.
pub fn signals() -> Result<Signals, End> {
    Signals::install().map_err(|error| End::Failed(format!("cannot catch signals - {error}")))
}

#[cfg(test)]
mod tests {
    use super::has_port;

    #[test]
    fn a_lookupd_address_has_a_port() {
        for right in ["h:1", "http://h:1", "https://h:1/lookup?a=b", "[::1]:4161"] {
            assert!(has_port(right), "{right}");
        }
        for wrong in ["h", "http://h", "h:", "h:x", "http://h/a:1"] {
            assert!(!has_port(wrong), "{wrong}");
        }
    }
}
