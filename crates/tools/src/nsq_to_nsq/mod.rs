//! `nsq_to_nsq`: publishes messages to other nsqds (tools spec 7).
//!
//! | module | what |
//! |---|---|
//! | [`filter`] | which messages go on, and with what body |

pub mod filter;

use std::time::Duration;

use filter::{Filter, Verdict};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use nsq_client::{Delivery, Error, Producer, TopicName};
use nsq_service::flags::{Flag, Values};
use tokio::time::Instant;

use crate::ending::End;
use crate::log;
use crate::options::Settings;
use crate::pool::Mode;
use crate::sources::{self, CONSUMER_OPT, LOOKUPD, MAX_IN_FLIGHT, NSQD, Sources};
use crate::upstreams::Upstreams;

const NAME: &str = "nsq_to_nsq";
const FLAGS: &[Flag] = &[
    Flag::version(),
    Flag::strings("topic", "nsq topic (may be given multiple times)"),
    Flag::string("channel", "nsq_to_nsq", "nsq channel"),
    Flag::string(
        "destination-topic",
        "",
        "use this destination topic for all consumed topics (default is consumed topic name)",
    ),
    MAX_IN_FLIGHT,
    Flag::int(
        "status-every",
        "250",
        "the # of requests between logging status (per destination), 0 disables",
    ),
    Flag::string(
        "mode",
        "hostpool",
        "the upstream request mode options: round-robin, hostpool (default), epsilon-greedy",
    ),
    NSQD,
    LOOKUPD,
    Flag::strings(
        "destination-nsqd-tcp-address",
        "destination nsqd TCP address (may be given multiple times)",
    ),
    Flag::string(
        "require-json-field",
        "",
        "for JSON messages: only pass messages that contain this field",
    ),
    Flag::string(
        "require-json-value",
        "",
        "for JSON messages: only pass messages in which the required field has this value",
    ),
    Flag::strings(
        "whitelist-json-field",
        "for JSON messages: pass this field (may be given multiple times)",
    ),
    CONSUMER_OPT,
    Flag::strings(
        "producer-opt",
        "option to passthrough to nsq.Producer (may be given multiple times)",
    ),
];

struct Options {
    topics: Vec<TopicName>,
    channel: String,
    destination_topic: Option<TopicName>,
    destinations: Vec<String>,
    mode: Mode,
    status_every: i64,
    filter: Filter,
    sources: Sources,
    consumer: Settings,
    producer: Settings,
}

fn options(args: impl IntoIterator<Item = String>) -> Result<Options, End> {
    let program = sources::program(
        NAME,
        FLAGS,
        "nsq_to_nsq -topic=test -lookupd-http-address=127.0.0.1:4161 -destination-nsqd-tcp-address=10.0.0.1:4150",
    );
    let values = program.parse(args)?;
    let consumer = sources::settings(&program, NAME, "consumer-opt", &values)?;
    let producer = sources::settings(&program, NAME, "producer-opt", &values)?;
    let channel = values.string("channel").to_owned();
    if values.strings("topic").is_empty() || channel.is_empty() {
        return Err("--topic and --channel are required".into());
    }
    let topics: Result<Vec<TopicName>, _> = values
        .strings("topic")
        .iter()
        .map(|topic| topic.parse())
        .collect();
    let topics = topics.map_err(|_| "--topic is invalid")?;
    let destination_topic = match values.string("destination-topic") {
        "" => None,
        topic => Some(topic.parse().map_err(|_| "--destination-topic is invalid")?),
    };
    if channel.parse::<nsq_client::ChannelName>().is_err() {
        return Err("--channel is invalid".into());
    }
    let sources = Sources::of(&values)?;
    let destinations = values.strings("destination-nsqd-tcp-address").to_vec();
    if destinations.is_empty() {
        return Err("--destination-nsqd-tcp-address required".into());
    }
    Ok(Options {
        topics,
        channel,
        destination_topic,
        destinations,
        mode: mode(&values),
        status_every: values.int("status-every"),
        filter: Filter {
            field: values.string("require-json-field").to_owned(),
            value: values.string("require-json-value").to_owned(),
            whitelist: values.strings("whitelist-json-field").to_vec(),
        },
        sources,
        consumer,
        producer,
    })
}

fn mode(values: &Values) -> Mode {
    let text = values.string("mode");
    Mode::parse(text).unwrap_or_else(|| {
        log::line(&format!(
            "WARNING: --mode {text} is none of round-robin, hostpool, epsilon-greedy: using round-robin"
        ));
        Mode::RoundRobin
    })
}

/// The tool.
///
/// # Errors
/// Wrong usage, or an nsqd to consume from that refuses at the start.
pub fn run(args: impl IntoIterator<Item = String>) -> Result<(), End> {
    let options = options(args)?;
    log::start();
    crate::ending::runtime()?.block_on(forward(&options))
}

async fn forward(options: &Options) -> Result<(), End> {
    let mut signals = sources::signals()?;
    let config = options.producer.config()?;
    let lazy = |address: &String| Producer::lazy(address, config.clone());
    let producers: Vec<Producer> = options.destinations.iter().map(lazy).collect();
    let mut consumers = Vec::new();
    for topic in &options.topics {
        let consumer = options
            .sources
            .consumer(topic.as_str(), &options.channel, &options.consumer)?;
        consumers.push(sources::start(consumer).await?);
    }
    let mut way = Way::new(options);
    let mut under_way = FuturesUnordered::new();
    loop {
        let (index, delivery) = tokio::select! {
            _ = signals.next() => break,
            Some(published) = under_way.next() => {
                way.published(published).await;
                continue;
            }
            next = sources::next_of(&mut consumers) => match next {
                Some(found) => found,
                None => break,
            },
        };
        if let Some((delivery, body)) = way.judge(delivery).await {
            let topic = options
                .destination_topic
                .as_ref()
                .unwrap_or(&options.topics[index]);
            let to = way.upstreams.choose();
            under_way.push(publish(&producers[to], to, topic, delivery, body));
        }
    }
    let drain = async {
        while let Some(published) = under_way.next().await {
            way.published(published).await;
        }
    };
    let stop = join_all(consumers.into_iter().map(sources::stop));
    tokio::select! {
        _ = async { tokio::join!(drain, stop) } => {}
        () = tokio::time::sleep(sources::STOP) => {}
    }
    Ok(())
}

struct Published {
    to: usize,
    delivery: Delivery,
    took: Duration,
    result: Result<(), Error>,
}

/// Publishes a message, with another body if there is one.
async fn publish(
    producer: &Producer,
    to: usize,
    topic: &TopicName,
    delivery: Delivery,
    body: Option<String>,
) -> Published {
    let start = Instant::now();
    let body = body.as_ref().map_or(delivery.body(), String::as_bytes);
    let result = producer.publish(topic, body).await;
    Published {
        to,
        took: start.elapsed(),
        result,
        delivery,
    }
}

/// What is known on the way from one side to the other.
struct Way<'a> {
    options: &'a Options,
    upstreams: Upstreams,
}

impl<'a> Way<'a> {
    fn new(options: &'a Options) -> Self {
        Self {
            options,
            upstreams: Upstreams::new(options.mode, &options.destinations, options.status_every),
        }
    }

    /// A message that goes on, and its new body if it gets one; any other is answered here.
    async fn judge(&self, delivery: Delivery) -> Option<(Delivery, Option<String>)> {
        match self.options.filter.judge(delivery.body()) {
            Verdict::Same => return Some((delivery, None)),
            Verdict::Body(body) => return Some((delivery, Some(body))),
            Verdict::Drop => {
                delivery.finish().await;
            }
            Verdict::NoJson => {
                let body = String::from_utf8_lossy(delivery.body()).into_owned();
                log::line(&format!("ERROR: Unable to decode json: {body}"));
                delivery.finish().await;
            }
            Verdict::Missing => {
                log::line("ERROR: missing field to check required value");
                delivery.fail().await;
            }
        }
        None
    }

    /// Answers the message, for its destination has answered.
    async fn published(&mut self, published: Published) {
        let Published {
            to,
            delivery,
            took,
            result,
        } = published;
        self.upstreams.count(to, took);
        self.upstreams.count_message(took);
        match result {
            Ok(()) => {
                self.upstreams.succeeded(to, took);
                delivery.finish().await;
            }
            Err(error) => {
                self.upstreams.failed(to);
                log::line(&format!(
                    "ERROR: publishing to {} - {error}",
                    self.options.destinations[to]
                ));
                delivery.fail().await;
            }
        }
    }
}
