//! `nsq_stat`: prints the figures of one channel over all nsqds that have it, round by round (tools spec 3).

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use nsq_client::{ChannelName, TopicName};
use nsq_http_api::client::{Client, Error, authority};
use nsq_http_api::lookupd::Lookup;
use nsq_http_api::nsqd::{ChannelStats, Stats};
use nsq_service::flags::{Flag, Values};
use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use crate::ending::End;
use crate::{log, sources};

const NAME: &str = "nsq_stat";
const FLAGS: &[Flag] = &[
    Flag::version(),
    Flag::string("topic", "", "NSQ topic"),
    Flag::string("channel", "", "NSQ channel"),
    Flag::duration(
        "interval",
        "2s",
        "duration of time between polling/printing output",
    ),
    Flag::duration("http-client-connect-timeout", "2s", "timeout for HTTP connect"),
    Flag::duration("http-client-request-timeout", "5s", "timeout for HTTP request"),
    Flag::int("count", "0", "number of reports (endless unless it is given)"),
    Flag::strings(
        "nsqd-http-address",
        "nsqd HTTP address (may be given multiple times)",
    ),
    Flag::strings(
        "lookupd-http-address",
        "lookupd HTTP address (may be given multiple times)",
    ),
];
const HEADER: &str = "\
------rate------+----------------depth----------------+--------------metadata---------------
ingress  egress |   total     mem    disk inflt   def |     req     t-o         msgs clients
";
/// Rows from one header to the next.
const PAGE: u64 = 25;
/// Requests under way at once.
const AT_ONCE: usize = 16;

struct Options {
    topic: TopicName,
    channel: ChannelName,
    interval: Duration,
    /// Rows to print; endless without.
    count: Option<u64>,
    nsqds: Vec<String>,
    lookupds: Vec<String>,
    client: Client,
}

fn options(args: impl IntoIterator<Item = String>) -> Result<Options, End> {
    let program = sources::program(
        NAME,
        FLAGS,
        "nsq_stat -topic=test -channel=c -lookupd-http-address=127.0.0.1:4161",
    );
    let values = program.parse(args)?;
    let (topic, channel) = (values.string("topic"), values.string("channel"));
    if topic.is_empty() || channel.is_empty() {
        return Err("--topic and --channel are required".into());
    }
    let interval = sources::positive(&values, "interval")?;
    let client = sources::http_client(&values)?;
    let count = values.is_set("count").then(|| values.int("count"));
    let count = match count.map(u64::try_from) {
        None => None,
        Some(Ok(count)) if count > 0 => Some(count),
        Some(_) => return Err("--count should be positive".into()),
    };
    let (nsqds, lookupds) = addresses(&values)?;
    Ok(Options {
        topic: topic.parse().map_err(|_| "invalid topic name")?,
        channel: channel.parse().map_err(|_| "invalid channel name")?,
        interval,
        count,
        nsqds,
        lookupds,
        client,
    })
}

/// Of nsqds and of nsqlookupds: one kind of them, as `host:port`.
fn addresses(values: &Values) -> Result<(Vec<String>, Vec<String>), End> {
    let of = |flag| values.strings(flag).to_vec();
    let (nsqds, lookupds) = (of("nsqd-http-address"), of("lookupd-http-address"));
    match (nsqds.is_empty(), lookupds.is_empty()) {
        (true, true) => return Err("--nsqd-http-address or --lookupd-http-address required".into()),
        (false, false) => {
            return Err("use --nsqd-http-address or --lookupd-http-address not both".into());
        }
        _ => {}
    }
    for flag in ["nsqd-http-address", "lookupd-http-address"] {
        if values.strings(flag).iter().any(|address| address.contains("://")) {
            return Err(format!("--{flag} error - address should not contain scheme").into());
        }
    }
    Ok((nsqds, lookupds))
}

/// The tool.
///
/// # Errors
/// Wrong usage, or a daemon that does not answer: in the first round or, with `-count`, in any.
pub fn run(args: impl IntoIterator<Item = String>) -> Result<(), End> {
    let options = options(args)?;
    crate::ending::runtime()?.block_on(async {
        let caught = sources::signals()?.with_hangup();
        let mut signals = caught.map_err(|error| format!("cannot catch signals - {error}"))?;
        tokio::select! {
            _ = signals.next() => Ok(()),
            ended = rounds(&options) => ended,
        }
    })
}

/// A row for each round but the first, which is what the second is compared with.
async fn rounds(options: &Options) -> Result<(), End> {
    let mut before: Option<Figures> = None;
    // Intervals since `before`: one more for each round that failed.
    let mut intervals = 1;
    let mut round = 0;
    while options.count.is_none_or(|count| round <= count) {
        match figures(options).await {
            Ok(now) => {
                let mut text = String::new();
                if round % PAGE == 0 {
                    text.push_str(HEADER);
                }
                if let Some(before) = &before {
                    text.push_str(&now.row(before, options.interval * intervals));
                }
                print(&text).await?;
                (before, intervals) = (Some(now), 1);
                round += 1;
            }
            // Someone watches: what comes back goes on.
            Err(text) if before.is_some() && options.count.is_none() => {
                log::line(&format!("{text} (asking again in {:?})", options.interval));
                intervals += 1;
            }
            Err(text) => return Err(End::Failed(text)),
        }
        sleep(options.interval).await;
    }
    Ok(())
}

async fn print(text: &str) -> Result<(), End> {
    let mut stdout = tokio::io::stdout();
    let written = async {
        stdout.write_all(text.as_bytes()).await?;
        stdout.flush().await
    };
    written
        .await
        .map_err(|error| End::Failed(format!("ERROR: failed to write to os.Stdout - {error}")))
}

/// The channel's figures, summed over all nsqds that have the topic.
async fn figures(options: &Options) -> Result<Figures, String> {
    let topic = options.topic.as_str();
    // The only character of a name that a query cannot hold.
    let encoded = topic.replace('#', "%23");
    let stats_path = format!("/stats?format=json&topic={encoded}&include_clients=false");
    let no_producers = |why| format!("ERROR: failed to get topic producers - {why}");
    let no_stats = |why| format!("ERROR: failed to get nsqd stats - {why}");
    let answers: Vec<Stats> = if options.lookupds.is_empty() {
        let asked = ask(&options.client, &options.nsqds, &stats_path).await;
        asked.map_err(no_producers)?
    } else {
        let path = format!("/lookup?topic={encoded}");
        let found = ask(&options.client, &options.lookupds, &path).await;
        let nsqds = nsqds_of(&found.map_err(no_producers)?);
        ask(&options.client, &nsqds, &stats_path)
            .await
            .map_err(no_stats)?
    };
    let topics = || answers.iter().flat_map(|stats| stats.topics.iter().flatten());
    let mut having = topics().filter(|found| found.topic_name == topic).peekable();
    if having.peek().is_none() {
        return Err(no_stats("failed to query any nsqd: ".to_owned()));
    }
    let channel = options.channel.as_str();
    having
        .flat_map(|found| &found.channels)
        .filter(|found| found.channel_name == channel)
        .map(Figures::of)
        .reduce(Figures::plus)
        .ok_or_else(|| {
            format!("ERROR: failed to find channel({channel}) in stats metadata for topic({topic})")
        })
}

/// Asks all of them. One that does not know what is asked for has answered: with nothing.
async fn ask<T>(client: &Client, addresses: &[String], path: &str) -> Result<Vec<T>, String>
where
    T: serde::de::DeserializeOwned + Default,
{
    let questions = addresses.iter().map(|address| client.get::<T>(address, path));
    let answers: Vec<Result<T, Error>> = stream::iter(questions).buffered(AT_ONCE).collect().await;
    let (mut told, mut failed) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(answer) => told.push(answer),
            Err(error) if error.is_not_found() => told.push(T::default()),
            Err(error) => failed.push(error.to_string()),
        }
    }
    if failed.is_empty() {
        Ok(told)
    } else {
        Err(failed.join("; "))
    }
}

/// HTTP addresses, each once.
fn nsqds_of(found: &[Lookup]) -> Vec<String> {
    let mut all: Vec<String> = found
        .iter()
        .flat_map(|lookup| &lookup.producers)
        .map(|producer| authority(&producer.broadcast_address, producer.http_port))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// What a row shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    depth: i64,
    disk: i64,
    in_flight: i64,
    deferred: i64,
    requeued: i64,
    timed_out: i64,
    messages: i64,
    clients: i64,
}

impl Figures {
    fn of(channel: &ChannelStats) -> Self {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            depth: channel.depth,
            disk: channel.backend_depth,
            in_flight: channel.in_flight_count,
            deferred: channel.deferred_count,
            requeued: signed(channel.requeue_count),
            timed_out: signed(channel.timeout_count),
            messages: signed(channel.message_count),
            clients: channel.client_count,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            depth: self.depth.saturating_add(other.depth),
            disk: self.disk.saturating_add(other.disk),
            in_flight: self.in_flight.saturating_add(other.in_flight),
            deferred: self.deferred.saturating_add(other.deferred),
            requeued: self.requeued.saturating_add(other.requeued),
            timed_out: self.timed_out.saturating_add(other.timed_out),
            messages: self.messages.saturating_add(other.messages),
            clients: self.clients.saturating_add(other.clients),
        }
    }

    /// One line; rates are those since `before`, in whole messages a second.
    fn row(&self, before: &Self, passed: Duration) -> String {
        let came = self.messages.saturating_sub(before.messages);
        let went = came.saturating_sub(self.depth.saturating_sub(before.depth));
        format!(
            "{:7} {:7} | {:7} {:7} {:7} {:5} {:5} | {:7} {:7} {:12} {:7}\n",
            per_second(came, passed),
            per_second(went, passed),
            self.depth,
            self.depth.saturating_sub(self.disk),
            self.disk,
            self.in_flight,
            self.deferred,
            self.requeued,
            self.timed_out,
            self.messages,
            self.clients,
        )
    }
}

/// Truncated toward zero.
fn per_second(count: i64, passed: Duration) -> i128 {
    let nanos = i128::try_from(passed.as_nanos()).unwrap_or(i128::MAX);
    i128::from(count) * 1_000_000_000 / nanos.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_widths_of_the_header() {
        let before = Figures {
            messages: 5,
            depth: 9,
            ..Figures::default()
        };
        let now = Figures {
            depth: 20,
            disk: 3,
            in_flight: 4,
            deferred: 5,
            requeued: 6,
            timed_out: 7,
            messages: 10,
            clients: 9,
        };
        let row = now.row(&before, Duration::from_secs(2));
        let wanted =
            "      2      -3 |      20      17       3     4     5 |       6       7           10       9\n";
        assert_eq!(row, wanted);
        for line in HEADER.lines() {
            assert_eq!(line.len(), wanted.len() - 1, "{line}");
        }
    }

    #[test]
    fn rates_are_truncated_toward_zero() {
        for (count, millis, rate) in [(3, 2000, 1), (-3, 2000, -1), (5, 500, 10), (0, 1, 0)] {
            assert_eq!(per_second(count, Duration::from_millis(millis)), rate);
        }
        assert_eq!(
            per_second(i64::MAX, Duration::from_nanos(1)),
            i128::from(i64::MAX) * 1_000_000_000
        );
    }

    #[test]
    fn nsqds_are_asked_once_each() {
        let text = r#"{"producers":[{"broadcast_address":"b","http_port":1},{"broadcast_address":"::1","http_port":2}]}"#;
        let found: Lookup = serde_json::from_str(text).unwrap();
        assert_eq!(nsqds_of(&[found.clone(), found]), ["[::1]:2", "b:1"]);
    }
}
