//! `to_nsq`: publishes what comes on standard input, cut at a delimiter (tools spec 8).

use std::collections::BTreeMap;
use std::time::Duration;

use nsq_client::{Config, Producer, TopicName};
use nsq_service::flags::Flag;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::{Instant, sleep_until};

use crate::ending::End;
use crate::{log, sources};

const NAME: &str = "to_nsq";
const FLAGS: &[Flag] = &[
    Flag::version(),
    Flag::string("topic", "", "NSQ topic to publish to"),
    Flag::strings(
        "nsqd-tcp-address",
        "destination nsqd TCP address (may be given multiple times)",
    ),
    Flag::string("delimiter", "\n", "character to split input from stdin"),
    Flag::int("rate", "0", "Throttle messages to n/second. 0 to disable"),
    Flag::strings(
        "producer-opt",
        "option to passthrough to nsq.Producer (may be given multiple times)",
    ),
];
/// Largest record; nsqd takes messages of 1 MiB unless it is told otherwise.
const MAX_RECORD: usize = 256 << 20;

struct Options {
    topic: String,
    delimiter: u8,
    nsqds: Vec<String>,
    rate: u32,
    config: Config,
}

fn options(args: impl IntoIterator<Item = String>) -> Result<Options, End> {
    let program = sources::program(
        NAME,
        FLAGS,
        "echo hello | to_nsq -topic=test -nsqd-tcp-address=127.0.0.1:4150",
    );
    let values = program.parse(args)?;
    let settings = sources::settings(&program, NAME, "producer-opt", &values)?;
    let topic = values.string("topic").to_owned();
    if topic.is_empty() {
        return Err("--topic required".into());
    }
    let &[delimiter] = values.string("delimiter").as_bytes() else {
        return Err("--delimiter must be a single byte".into());
    };
    // Each once, in the order given.
    let mut nsqds: Vec<String> = Vec::new();
    for address in values.strings("nsqd-tcp-address") {
        if !nsqds.contains(address) {
            nsqds.push(address.clone());
        }
    }
    if nsqds.is_empty() {
        return Err("--nsqd-tcp-address required".into());
    }
    Ok(Options {
        topic,
        delimiter,
        nsqds,
        rate: u32::try_from(values.int("rate").max(0)).unwrap_or(u32::MAX),
        config: settings.config()?,
    })
}

/// The tool.
///
/// # Errors
/// Wrong usage, a destination that cannot be reached or refuses; what was sent before stays sent.
pub fn run(args: impl IntoIterator<Item = String>) -> Result<(), End> {
    let options = options(args)?;
    let runtime = crate::ending::runtime()?;
    let result = runtime.block_on(publish_all(&options));
    // A read of standard input may still be waiting.
    runtime.shutdown_background();
    result
}

async fn publish_all(options: &Options) -> Result<(), End> {
    let mut signals = sources::signals()?;
    let mut throttle = Throttle::new(options.rate);
    if options.rate > 0 {
        log::line(&format!(
            "Throttling messages rate to max:{}/second",
            options.rate
        ));
    }
    let mut input = BufReader::with_capacity(64 << 10, tokio::io::stdin());
    let mut producers = BTreeMap::new();
    let mut record = Vec::new();
    loop {
        let read = tokio::select! {
            _ = signals.next() => break,
            read = next_record(&mut input, options.delimiter, &mut record) => read?,
        };
        if !record.is_empty() {
            tokio::select! {
                _ = signals.next() => break,
                () = throttle.wait() => {}
            }
            publish(options, &mut producers, &record).await?;
        }
        if !read {
            break;
        }
    }
    for producer in producers.into_values() {
        producer.close().await;
    }
    Ok(())
}

/// The next record without its delimiter; false at the end of the input. At the end a last newline is not part of the record.
async fn next_record(
    input: &mut (impl tokio::io::AsyncBufRead + Unpin),
    delimiter: u8,
    record: &mut Vec<u8>,
) -> Result<bool, End> {
    record.clear();
    loop {
        let piece = input
            .fill_buf()
            .await
            .map_err(|e| format!("ERROR: reading standard input - {e}"))?;
        if piece.is_empty() {
            if delimiter != b'\n' && record.last() == Some(&b'\n') {
                record.pop();
            }
            return Ok(false);
        }
        let end = piece.iter().position(|byte| *byte == delimiter);
        let taken = end.unwrap_or(piece.len());
        if record.len() + taken > MAX_RECORD {
            return Err(format!("a record is longer than {MAX_RECORD} bytes: is --delimiter right?").into());
        }
        record.extend_from_slice(&piece[..taken]);
        input.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(true);
        }
    }
}

async fn publish(
    options: &Options,
    producers: &mut BTreeMap<String, Producer>,
    record: &[u8],
) -> Result<(), End> {
    // A name that is none is refused by the daemon, whose words people know.
    let Ok(topic) = options.topic.parse::<TopicName>() else {
        return Err(format!("E_BAD_TOPIC PUB topic name {:?} is not valid", options.topic).into());
    };
    for address in &options.nsqds {
        let producer = producers
            .entry(address.clone())
            .or_insert_with(|| Producer::lazy(address, options.config.clone()));
        let published = producer.publish(&topic, record).await;
        published.map_err(|error| End::Failed(error.to_string()))?;
    }
    Ok(())
}

/// A number of records per second; as many as that can be saved up.
struct Throttle {
    rate: u32,
    free: f64,
    counted: Instant,
}

impl Throttle {
    fn new(rate: u32) -> Self {
        Self {
            rate,
            free: 1.0,
            counted: Instant::now(),
        }
    }

    /// Waits for the turn of one record. Without a rate, at once.
    async fn wait(&mut self) {
        if self.rate == 0 {
            return;
        }
        let rate = f64::from(self.rate);
        let now = Instant::now();
        self.free = (self.free + now.duration_since(self.counted).as_secs_f64() * rate).min(rate);
        self.counted = now;
        if self.free < 1.0 {
            let until = now + Duration::from_secs_f64((1.0 - self.free) / rate);
            sleep_until(until).await;
            self.free = 1.0;
            self.counted = until;
        }
        self.free -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(delimiter: u8, input: &[u8]) -> Vec<String> {
        let runtime = crate::ending::runtime().unwrap();
        runtime.block_on(async {
            // A small buffer, so that records come in pieces.
            let mut input = BufReader::with_capacity(2, input);
            let (mut record, mut all) = (Vec::new(), Vec::new());
            loop {
                let more = next_record(&mut input, delimiter, &mut record).await.unwrap();
                if !record.is_empty() {
                    all.push(String::from_utf8(record.clone()).unwrap());
                }
                if !more {
                    return all;
                }
            }
        })
    }

    #[test]
    fn records_are_cut_at_the_delimiter_and_the_last_one_is_whole() {
        assert_eq!(records(b'\n', b"a\nbb\n\nccc\n"), ["a", "bb", "ccc"]);
        assert_eq!(records(b'\n', b"a\nbb\n\nccc"), ["a", "bb", "ccc"]);
        assert_eq!(records(b',', b"one,two,three\n"), ["one", "two", "three"]);
        assert_eq!(records(b',', b"one,two\n,"), ["one", "two\n"]);
        assert!(records(b'\n', b"").is_empty());
    }
}
