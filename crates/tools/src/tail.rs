//! `nsq_tail`: prints message bodies (tools spec 4).

use std::hash::{BuildHasher as _, RandomState};

use nsq_client::Delivery;
use nsq_service::flags::Flag;
use tokio::io::AsyncWriteExt as _;

use crate::ending::End;
use crate::log;
use crate::options::Settings;
use crate::sources::{self, CONSUMER_OPT, LOOKUPD, MAX_IN_FLIGHT, NSQD, Sources};

const NAME: &str = "nsq_tail";
const FLAGS: &[Flag] = &[
    Flag::version(),
    Flag::strings("topic", "NSQ topic (may be given multiple times)"),
    Flag::string("channel", "", "NSQ channel"),
    MAX_IN_FLIGHT,
    Flag::int("n", "0", "total messages to show (will wait if starved)"),
    Flag::bool(
        "print-topic",
        false,
        "print topic name where message was received",
    ),
    NSQD,
    LOOKUPD,
    CONSUMER_OPT,
];

struct Options {
    topics: Vec<String>,
    channel: String,
    /// Per topic; 0 for no end.
    count: u64,
    print_topic: bool,
    sources: Sources,
    settings: Settings,
}

fn options(args: impl IntoIterator<Item = String>) -> Result<Options, End> {
    let program = sources::program(
        NAME,
        FLAGS,
        "nsq_tail -topic=test -lookupd-http-address=127.0.0.1:4161",
    );
    let values = program.parse(args)?;
    let settings = sources::settings(&program, NAME, "consumer-opt", &values)?;
    let mut sources = Sources::of(&values)?;
    let topics = values.strings("topic").to_vec();
    if topics.is_empty() {
        return Err("--topic required".into());
    }
    let count = u64::try_from(values.int("n")).unwrap_or(0);
    if let Ok(count) = u32::try_from(count)
        && count > 0
    {
        sources.max_in_flight = sources.max_in_flight.min(count);
    }
    let channel = match values.string("channel") {
        // A random number without a generator: the keys of a new hasher.
        "" => format!("tail{:06}#ephemeral", RandomState::new().hash_one(0) % 1_000_000),
        named => named.to_owned(),
    };
    Ok(Options {
        topics,
        channel,
        count,
        print_topic: values.bool("print-topic"),
        sources,
        settings,
    })
}

/// The tool.
///
/// # Errors
/// Wrong usage, an nsqd that refuses at the start, or standard output that takes no more.
pub fn run(args: impl IntoIterator<Item = String>) -> Result<(), End> {
    let options = options(args)?;
    log::start();
    crate::ending::runtime()?.block_on(tail(&options))
}

async fn tail(options: &Options) -> Result<(), End> {
    let mut signals = sources::signals()?;
    let mut consumers = Vec::new();
    for topic in &options.topics {
        log::line(&format!("Adding consumer for topic: {topic}"));
        let consumer = options
            .sources
            .consumer(topic, &options.channel, &options.settings)?;
        consumers.push(sources::start(consumer).await?);
    }
    let mut shown: Vec<u64> = consumers.iter().map(|_| 0).collect();
    let result = loop {
        let next = sources::next_of(&mut consumers);
        let (index, delivery) = tokio::select! {
            _ = signals.next() => break Ok(()),
            next = next => match next {
                Some(found) => found,
                None => break Ok(()),
            },
        };
        let topic = options.print_topic.then(|| options.topics[index].as_str());
        if let Err(error) = show(topic, delivery).await {
            break Err(End::Failed(format!(
                "ERROR: failed to write to os.Stdout - {error}"
            )));
        }
        shown[index] += 1;
        if options.count > 0 && shown[index] >= options.count {
            break Ok(());
        }
    };
    for consumer in consumers {
        sources::stop(consumer).await;
    }
    result
}

/// Prints a message and finishes it once it is out.
async fn show(topic: Option<&str>, delivery: Delivery) -> std::io::Result<()> {
    let mut line = Vec::with_capacity(delivery.body().len() + 1);
    if let Some(topic) = topic {
        line.extend_from_slice(topic.as_bytes());
        line.extend_from_slice(b" | ");
    }
    line.extend_from_slice(delivery.body());
    line.push(b'\n');
    let mut stdout = tokio::io::stdout();
    stdout.write_all(&line).await?;
    stdout.flush().await?;
    delivery.finish().await;
    Ok(())
}
