//! `nsq_to_http`: sends messages to HTTP endpoints (tools spec 6).
//!
//! | module | what |
//! |---|---|
//! | [`address`] | where a message is sent |
//! | [`sender`] | requests, over connections that stay open |

mod address;
mod sender;

use std::time::Duration;

use address::Address;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use nsq_client::Delivery;
use nsq_service::flags::{Flag, Values};
use sender::{Limits, Sender};
use tokio::time::Instant;

use crate::ending::End;
use crate::log;
use crate::options::Settings;
use crate::pool::Mode;
use crate::sources::{self, CONSUMER_OPT, LOOKUPD, MAX_IN_FLIGHT, NSQD, Sources};
use crate::upstreams::{Chance, Upstreams};

const NAME: &str = "nsq_to_http";
const FLAGS: &[Flag] = &[
    Flag::version(),
    Flag::string("topic", "", "nsq topic"),
    Flag::string("channel", "nsq_to_http", "nsq channel"),
    MAX_IN_FLIGHT,
    Flag::int("n", "100", "number of concurrent publishers"),
    Flag::string(
        "mode",
        "hostpool",
        "the upstream request mode options: round-robin, hostpool (default), epsilon-greedy, all",
    ),
    Flag::string("sample", "1.0", "% of messages to publish (float b/w 0.0 -> 1.0)"),
    Flag::duration("http-client-connect-timeout", "2s", "timeout for HTTP connect"),
    Flag::duration("http-client-request-timeout", "20s", "timeout for HTTP request"),
    Flag::int(
        "status-every",
        "250",
        "the # of requests between logging status (per handler), 0 disables",
    ),
    Flag::string(
        "content-type",
        "application/octet-stream",
        "the Content-Type used for POST requests",
    ),
    Flag::strings(
        "get",
        "HTTP address to make a GET request to. '%s' will be printf replaced with data (may be given multiple times)",
    ),
    Flag::strings(
        "post",
        "HTTP address to make a POST request to. data will be in the body (may be given multiple times)",
    ),
    Flag::strings(
        "header",
        "Custom header for HTTP requests, 'Name: value' (may be given multiple times)",
    ),
    NSQD,
    LOOKUPD,
    CONSUMER_OPT,
];

struct Options {
    topic: String,
    channel: String,
    sources: Sources,
    consumer: Settings,
    /// As they were given, for the log.
    names: Vec<String>,
    addresses: Vec<Address>,
    /// None: every message to each address.
    mode: Option<Mode>,
    at_once: usize,
    sample: f64,
    status_every: i64,
    headers: HeaderMap,
    content_type: HeaderValue,
    connect_timeout: Duration,
    request_timeout: Duration,
}

fn options(args: impl IntoIterator<Item = String>) -> Result<Options, End> {
    let program = sources::program(
        NAME,
        FLAGS,
        "nsq_to_http -topic=test -lookupd-http-address=127.0.0.1:4161 -post=http://127.0.0.1:8080/messages",
    );
    let values = program.parse(args)?;
    let consumer = sources::settings(&program, NAME, "consumer-opt", &values)?;
    let sample = values.string("sample");
    let sample: f64 = sample
        .parse()
        .map_err(|_| program.wrong(&format!("invalid value {sample:?} for flag -sample: parse error")))?;
    let mut headers = HeaderMap::new();
    for text in values.strings("header") {
        let (name, value) = sender::header(text)?;
        headers.insert(name, value);
    }
    let (topic, channel) = (values.string("topic"), values.string("channel"));
    if topic.is_empty() || channel.is_empty() {
        return Err("--topic and --channel are required".into());
    }
    let content_type = content_type(&values)?;
    let sources = Sources::of(&values)?;
    let (names, addresses) = addresses(&values)?;
    let mode = mode(&values);
    if !(0.0..=1.0).contains(&sample) {
        return Err("ERROR: --sample must be between 0.0 and 1.0".into());
    }
    let at_once = usize::try_from(values.int("n")).unwrap_or(0);
    if at_once == 0 {
        return Err("no handlers".into());
    }
    Ok(Options {
        topic: topic.to_owned(),
        channel: channel.to_owned(),
        sources,
        consumer,
        names,
        addresses,
        mode,
        at_once,
        sample,
        status_every: values.int("status-every"),
        headers,
        content_type,
        connect_timeout: sources::positive(&values, "http-client-connect-timeout")?,
        request_timeout: sources::positive(&values, "http-client-request-timeout")?,
    })
}

fn content_type(values: &Values) -> Result<HeaderValue, End> {
    let text = values.string("content-type");
    if values.is_set("content-type") && values.strings("post").is_empty() {
        return Err("--content-type only used with --post".into());
    }
    if text.is_empty() {
        return Err("--content-type requires a value when used".into());
    }
    HeaderValue::try_from(text).map_err(|error| End::Failed(format!("--content-type {text:?} - {error}")))
}

/// The addresses of one kind, with their names.
fn addresses(values: &Values) -> Result<(Vec<String>, Vec<Address>), End> {
    let (gets, posts) = (values.strings("get"), values.strings("post"));
    let (names, read): (_, fn(&str) -> _) = match (gets.is_empty(), posts.is_empty()) {
        (true, true) => return Err("--get or --post required".into()),
        (false, false) => return Err("use --get or --post not both".into()),
        (false, true) => (gets, Address::get),
        (true, false) => (posts, Address::post),
    };
    let addresses: Result<Vec<Address>, String> = names.iter().map(|text| read(text)).collect();
    Ok((names.to_vec(), addresses?))
}

fn mode(values: &Values) -> Option<Mode> {
    let text = values.string("mode");
    let mode = Mode::parse(text);
    if mode.is_none() && text != "all" {
        log::line(&format!(
            "WARNING: --mode {text} is none of round-robin, hostpool, epsilon-greedy, all: using all"
        ));
    }
    mode
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
    let limits = Limits {
        connect: options.connect_timeout,
        request: options.request_timeout,
        at_once: options.at_once,
    };
    let sender = Sender::new(options.headers.clone(), options.content_type.clone(), limits)?;
    let consumer = options
        .sources
        .consumer(&options.topic, &options.channel, &options.consumer)?;
    let mut consumer = sources::start(consumer).await?;
    let mode = options.mode.unwrap_or(Mode::RoundRobin);
    let mut upstreams = Upstreams::new(mode, &options.names, options.status_every);
    let mut chance = Chance::default();
    let mut under_way = FuturesUnordered::new();
    loop {
        let delivery = tokio::select! {
            _ = signals.next() => break,
            Some(sent) = under_way.next() => {
                answer(options, &mut upstreams, sent).await;
                continue;
            }
            next = consumer.next(), if under_way.len() < options.at_once => match next {
                Some(delivery) => delivery,
                None => break,
            },
        };
        if options.sample < 1.0 && chance.next() > options.sample {
            delivery.finish().await;
            continue;
        }
        let to = match options.mode {
            Some(_) => {
                let index = upstreams.choose();
                index..index + 1
            }
            None => 0..options.addresses.len(),
        };
        under_way.push(send(&sender, &options.addresses, to, delivery));
    }
    let drain = async {
        while let Some(sent) = under_way.next().await {
            answer(options, &mut upstreams, sent).await;
        }
    };
    tokio::select! {
        _ = async { tokio::join!(drain, sources::stop(consumer)) } => {}
        () = tokio::time::sleep(sources::STOP) => {}
    }
    Ok(())
}

/// A message and what became of it at each address, up to the first that failed.
struct Sent {
    delivery: Delivery,
    took: Duration,
    each: Vec<(usize, Duration, Result<(), String>)>,
}

/// Sends a message to these addresses, one after the other.
async fn send(
    sender: &Sender,
    addresses: &[Address],
    to: std::ops::Range<usize>,
    delivery: Delivery,
) -> Sent {
    let start = Instant::now();
    let mut each = Vec::with_capacity(to.len());
    for index in to {
        let begun = Instant::now();
        let result = match addresses.get(index) {
            Some(address) => sender.send(address, &delivery.message().body).await,
            None => continue,
        };
        let failed = result.is_err();
        each.push((index, begun.elapsed(), result));
        if failed {
            break;
        }
    }
    Sent {
        delivery,
        took: start.elapsed(),
        each,
    }
}

/// Answers the message, for those that it was for have answered.
async fn answer(options: &Options, upstreams: &mut Upstreams, sent: Sent) {
    let mut all_took_it = true;
    for (index, took, result) in sent.each {
        match result {
            Ok(()) => {
                upstreams.succeeded(index, took);
                upstreams.count(index, took);
            }
            Err(why) => {
                upstreams.failed(index);
                all_took_it = false;
                let (id, name) = (sent.delivery.message().id, &options.names[index]);
                log::line(&format!("ERROR: message {id} to {name} - {why}"));
            }
        }
    }
    if all_took_it {
        upstreams.count_message(sent.took);
        sent.delivery.finish().await;
    } else {
        sent.delivery.fail().await;
    }
}
