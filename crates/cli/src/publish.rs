//! `nsq pub`: arguments, lines, files, a delay.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nsq_client::{Producer, TopicName};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::cluster::{Cluster, Node};
use crate::problem::Problem;
use crate::{codes, context};

/// Messages and bytes that go in one batch.
const BATCH: usize = 200;
const BATCH_BYTES: usize = 512 << 10;
/// Largest message that is read; nsqd takes 1 MiB by default.
const MAX_MESSAGE: u64 = 64 << 20;

/// The flags of the verb.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Topic; it is made where it is missing
    pub topic: String,
    /// Messages; without any, standard input is one message
    pub messages: Vec<String>,
    /// Publish each line of standard input, or of the files, as a message
    #[arg(long)]
    pub lines: bool,
    /// Publish this file as a message; - is standard input
    #[arg(short = 'f', long = "file", value_name = "FILE", conflicts_with = "messages")]
    pub files: Vec<PathBuf>,
    /// Deliver after this time, such as 90s
    #[arg(long, value_name = "TIME", value_parser = delay)]
    pub delay: Option<Duration>,
}

/// A duration in Go's spelling that is not negative.
///
/// # Errors
/// What is wrong with it.
pub fn delay(text: &str) -> Result<Duration, String> {
    let nanos = nsq_service::duration::parse(text)?;
    u64::try_from(nanos)
        .map(Duration::from_nanos)
        .map_err(|_| "must not be negative".to_owned())
}

/// A checked name of a topic.
///
/// # Errors
/// It is none.
pub fn topic(name: &str) -> Result<TopicName, Problem> {
    name.parse().map_err(|_| {
        let what = format!("{name:?} is no name of a topic");
        let todo = "use 1 to 64 characters of a-z A-Z 0-9 . _ -";
        Problem::new(codes::INVALID_NAME, what, todo)
    })
}

/// Publishes; says how many messages went where. `piped` is false if standard input is a terminal.
///
/// # Errors
/// Nothing to publish, nobody who takes it, or a refusal; what was published until then is told.
pub async fn run(options: &Options, cluster: &Cluster, piped: bool) -> Result<String, Problem> {
    let topic = topic(&options.topic)?;
    if options.messages.is_empty() && options.files.is_empty() && !piped {
        let what = "nothing to publish: no message is given, and standard input is a terminal";
        let todo = format!("give messages: nsq pub {topic} hello, or a pipe");
        return Err(Problem::new(codes::NO_INPUT, what, todo));
    }
    let nodes = cluster.nodes().await?.nodes;
    let mut sender = Sender {
        producer: connect(cluster, &nodes).await?,
        topic,
        delay: options.delay,
        batch: Vec::new(),
        bytes: 0,
        done: 0,
    };
    let sent = sender.all(options).await;
    let Sender {
        producer,
        topic,
        done,
        ..
    } = sender;
    let address = producer.address().to_owned();
    producer.close().await;
    let noun = if done == 1 { "message" } else { "messages" };
    match sent {
        Ok(()) => Ok(format!("published {done} {noun} to {topic} on {address}")),
        Err(problem) if done > 0 => Err(problem.at(format!("after {done} {noun} were published"))),
        Err(problem) => Err(problem),
    }
}

/// The first node that can be reached.
async fn connect(cluster: &Cluster, nodes: &[Node]) -> Result<Producer, Problem> {
    let mut failed = None;
    for node in nodes {
        match Producer::connect(&node.tcp, cluster.config.clone()).await {
            Ok(producer) => return Ok(producer),
            Err(error) => {
                failed.get_or_insert_with(|| Problem::client(&error).at(format!("nsqd {}", node.tcp)));
            }
        }
    }
    let none = || Problem::new(codes::NO_NODE, "no nsqd is known", "see `nsq nodes`");
    Err(failed.unwrap_or_else(none))
}

/// Messages on their way to one nsqd.
struct Sender {
    producer: Producer,
    topic: TopicName,
    delay: Option<Duration>,
    batch: Vec<Vec<u8>>,
    bytes: usize,
    done: usize,
}

impl Sender {
    async fn all(&mut self, options: &Options) -> Result<(), Problem> {
        for message in &options.messages {
            self.push(message.clone().into_bytes()).await?;
        }
        let stdin = options.messages.is_empty() && options.files.is_empty();
        let files = stdin.then(|| PathBuf::from("-"));
        for file in files.iter().chain(&options.files) {
            self.file(file, options.lines).await?;
        }
        self.flush().await
    }

    async fn file(&mut self, path: &Path, lines: bool) -> Result<(), Problem> {
        let failed = |error: std::io::Error| {
            let what = format!("cannot read {}: {error}", path.display());
            Problem::new(
                codes::FILE_FAILED,
                what,
                "name a file that is there, or - for standard input",
            )
        };
        if path == Path::new("-") {
            return self.read(BufReader::new(tokio::io::stdin()), lines, failed).await;
        }
        let file = context::bytes(path, MAX_MESSAGE).map_err(failed)?;
        self.read(file.as_slice(), lines, failed).await
    }

    async fn read(
        &mut self,
        mut from: impl AsyncBufRead + Unpin,
        lines: bool,
        failed: impl Fn(std::io::Error) -> Problem,
    ) -> Result<(), Problem> {
        let too_long = || {
            failed(std::io::Error::other(format!(
                "a message is longer than {MAX_MESSAGE} bytes"
            )))
        };
        loop {
            let mut message = Vec::new();
            let mut capped = (&mut from).take(MAX_MESSAGE + 1);
            let count = if lines {
                capped.read_until(b'\n', &mut message).await
            } else {
                capped.read_to_end(&mut message).await
            };
            if count.map_err(&failed)? as u64 > MAX_MESSAGE {
                return Err(too_long());
            }
            if lines {
                if message.is_empty() {
                    return Ok(());
                }
                if message.last() == Some(&b'\n') {
                    message.pop();
                }
                if message.is_empty() {
                    continue;
                }
            }
            self.push(message).await?;
            if !lines {
                return Ok(());
            }
        }
    }

    async fn push(&mut self, message: Vec<u8>) -> Result<(), Problem> {
        if let Some(delay) = self.delay {
            let sent = self.producer.publish_deferred(&self.topic, delay, &message).await;
            sent.map_err(|error| Problem::client(&error))?;
            self.done += 1;
            return Ok(());
        }
        self.bytes += message.len();
        self.batch.push(message);
        if self.batch.len() < BATCH && self.bytes < BATCH_BYTES {
            return Ok(());
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Problem> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        let sent = match batch.as_slice() {
            [] => return Ok(()),
            [only] => self.producer.publish(&self.topic, only).await,
            many => self.producer.publish_many(&self.topic, many).await,
        };
        sent.map_err(|error| Problem::client(&error))?;
        self.done += batch.len();
        Ok(())
    }
}
