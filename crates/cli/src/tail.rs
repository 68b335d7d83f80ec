//! `nsq tail`: messages as they come.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use nsq_client::{ChannelName, Consumer, ConsumerOptions, Delivery};
use nsq_service::signals::Signals;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use crate::cluster::Cluster;
use crate::codes;
use crate::problem::Problem;
use crate::publish::{delay, topic};
use crate::{listing, topics};

/// A topic that is new is found this soon.
const LOOKUP: Duration = Duration::from_millis(500);
/// Time for answers at the end.
const STOP: Duration = Duration::from_secs(5);
/// Without `--timeout` nothing ends the wait.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// The flags of the verb.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Topic
    pub topic: String,
    /// Channel [default: one of its own that goes when tail ends]
    #[arg(short, long, value_name = "NAME")]
    pub channel: Option<String>,
    /// End after this many messages
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<u64>,
    /// Fail if nothing has come for this long
    #[arg(long, value_name = "TIME", value_parser = delay)]
    pub timeout: Option<Duration>,
    /// Form of a message: text, or json with id, timestamp, attempts, nsqd and body
    #[arg(short, long, value_enum, default_value = "text", hide_possible_values = true)]
    pub output: Form,
}

/// Form of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// The body and a newline.
    Text,
    /// One JSON document per line: id, timestamp, attempts, nsqd, body.
    Json,
}

#[derive(Serialize)]
struct Shown<'a> {
    id: String,
    timestamp: i64,
    attempts: u16,
    nsqd: &'a str,
    body: std::borrow::Cow<'a, str>,
}

/// Prints messages until a signal, the count, or the time-out.
///
/// # Errors
/// Names that are none, nobody who answers, nothing within the time, or an output that takes no more.
pub async fn run(options: &Options, cluster: &Cluster) -> Result<(), Problem> {
    let mut consumer = ConsumerOptions::new(topic(&options.topic)?, channel(options)?);
    let found = cluster.find().await?;
    consumer.lookupd_http_addresses = found.lookupds;
    if consumer.lookupd_http_addresses.is_empty() {
        consumer.nsqd_tcp_addresses = found.nodes.into_iter().map(|node| node.tcp).collect();
    }
    consumer.lookup_interval = LOOKUP;
    consumer.max_in_flight = options
        .count
        .map_or(200, |count| count.clamp(1, 200))
        .try_into()
        .unwrap_or(200);
    consumer.config = cluster.config.clone();
    let mut signals = Signals::install().map_err(|error| {
        let what = format!("cannot catch signals: {error}");
        Problem::new(codes::SYSTEM_FAILED, what, "see the limits of this user")
    })?;
    let mut consumer = Consumer::start(consumer);
    let mut left = options.count.unwrap_or(u64::MAX);
    let result = loop {
        if left == 0 {
            break Ok(());
        }
        let end = Instant::now() + options.timeout.unwrap_or(FOREVER);
        let delivery = tokio::select! {
            _ = signals.next() => break Ok(()),
            () = sleep_until(end) => break Err(nothing(options)),
            delivery = consumer.next() => delivery,
        };
        let Some(delivery) = delivery else { break Ok(()) };
        match show(&delivery, options.output) {
            Ok(true) => {
                delivery.finish().await;
                left -= 1;
            }
            // Nobody reads: what was not shown is delivered again.
            Ok(false) => break Ok(()),
            Err(problem) => break Err(problem),
        }
    };
    consumer.close_within(STOP).await;
    result
}

fn channel(options: &Options) -> Result<ChannelName, Problem> {
    match &options.channel {
        Some(name) => topics::channel(name),
        // A random number without a generator: the keys of a new hasher.
        None => topics::channel(&format!(
            "tail{:06}#ephemeral",
            RandomState::new().hash_one(0) % 1_000_000
        )),
    }
}

fn nothing(options: &Options) -> Problem {
    let what = format!(
        "no message of {} came within the time of --timeout",
        options.topic
    );
    let todo = "see `nsq topic list` for topics and `nsq check` for what holds messages up";
    Problem::new(codes::TIMED_OUT, what, todo)
}

/// Prints a message; false if nobody reads any more.
fn show(delivery: &Delivery, form: Form) -> Result<bool, Problem> {
    let mut line = match form {
        Form::Text => delivery.body().to_vec(),
        Form::Json => {
            let message = delivery.message();
            let shown = Shown {
                id: message.id.to_string(),
                timestamp: message.timestamp,
                attempts: message.attempts,
                nsqd: delivery.nsqd(),
                body: String::from_utf8_lossy(delivery.body()),
            };
            serde_json::to_vec(&shown).unwrap_or_default()
        }
    };
    line.push(b'\n');
    listing::write(&line)
}
