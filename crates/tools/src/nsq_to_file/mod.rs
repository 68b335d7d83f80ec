//! `nsq_to_file`: archives topics to files of lines (tools spec 5).
//!
//! | module | what |
//! |---|---|
//! | [`names`] | names of files |
//! | [`output`] | one file: what is appended, and what is certainly on the disk |
//! | [`archive`] | the files of one topic: when the next begins, and where a finished one goes |
//! | [`topic`] | one topic: a message is finished when it is on the disk |
//! | [`topics`] | which topics there are |
//!
//! One task for each topic; what may wait for the disk is done on threads, one at a time for each topic.

mod archive;
mod names;
mod output;
mod topic;
mod topics;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use archive::Rules;
use names::Parts;
use nsq_http_api::client::Client;
use nsq_service::clock::SystemClock;
use nsq_service::exit::Exit;
use nsq_service::flags::Flag;
use nsq_service::log::{Form, Level};
use nsq_service::signals::Signal;
use nsq_service::tasks::Tasks;
use nsq_service::{build_info, log};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use topic::{Broken, Orders, Topic};
use topics::Wanted;

use crate::ending::End;
use crate::options::Settings;
use crate::sources::{self, CONSUMER_OPT, LOOKUPD, MAX_IN_FLIGHT, NSQD, Sources};

const NAME: &str = "nsq_to_file";
const PREFIX: &str = "[nsq_to_file] ";
const FLAGS: &[Flag] = &[
    Flag::version(),
    Flag::string(
        "log-level",
        "info",
        "set log verbosity: debug, info, warn, error, or fatal",
    ),
    Flag::string("log-prefix", PREFIX, "log message prefix"),
    Flag::string("channel", "nsq_to_file", "nsq channel"),
    MAX_IN_FLIGHT,
    Flag::string("output-dir", "/tmp", "directory to write output files to"),
    Flag::string(
        "work-dir",
        "",
        "directory for in-progress files before moving to output-dir",
    ),
    Flag::string(
        "datetime-format",
        "%Y-%m-%d_%H",
        "strftime compatible format for <DATETIME> in filename format",
    ),
    Flag::string(
        "filename-format",
        "<TOPIC>.<HOST><REV>.<DATETIME>.log",
        "output filename format (<TOPIC>, <HOST>, <PID>, <DATETIME>, <REV> are replaced. <REV> is increased when file already exists)",
    ),
    Flag::string(
        "host-identifier",
        "",
        "value to output in log filename in place of hostname. <SHORT_HOST> and <HOSTNAME> are valid replacement tokens",
    ),
    Flag::int(
        "gzip-level",
        "6",
        "gzip compression level (1-9, 1=BestSpeed, 9=BestCompression)",
    ),
    Flag::bool("gzip", false, "gzip output files."),
    Flag::bool("skip-empty-files", false, "skip writing empty files"),
    Flag::duration(
        "topic-refresh",
        "1m",
        "how frequently the topic list should be refreshed",
    ),
    Flag::string(
        "topic-pattern",
        "",
        "only log topics matching the following pattern",
    ),
    Flag::int(
        "rotate-size",
        "0",
        "rotate the file when it grows bigger than `rotate-size` bytes",
    ),
    Flag::duration("rotate-interval", "0s", "rotate the file every duration"),
    Flag::duration("sync-interval", "30s", "sync file to disk every duration"),
    Flag::duration("http-client-connect-timeout", "2s", "timeout for HTTP connect"),
    Flag::duration("http-client-request-timeout", "5s", "timeout for HTTP request"),
    NSQD,
    LOOKUPD,
    CONSUMER_OPT,
    Flag::strings("topic", "nsq topic (may be given multiple times)"),
];

struct Options {
    wanted: Wanted,
    refresh: Duration,
    client: Client,
    channel: String,
    sources: Sources,
    consumer: Settings,
    sync_interval: Duration,
    format: String,
    datetime: String,
    host_identifier: String,
    output_dir: PathBuf,
    work_dir: PathBuf,
    gzip: Option<u32>,
    rotate_size: u64,
    rotate_interval: Duration,
    skip_empty: bool,
    log: log::Settings,
}

fn options(args: impl IntoIterator<Item = String>) -> Result<Options, End> {
    let program = sources::program(
        NAME,
        FLAGS,
        "nsq_to_file -topic=test -output-dir=/var/log/nsq -lookupd-http-address=127.0.0.1:4161",
    );
    let values = program.parse(args)?;
    let consumer = sources::settings(&program, NAME, "consumer-opt", &values)?;
    if !values.rest().is_empty() {
        return Err(format!("unknown arguments: [{}]", values.rest().join(" ")).into());
    }
    let level = Level::parse(values.string("log-level")).map_err(|_| "--log-level is invalid")?;
    let channel = values.string("channel").to_owned();
    if channel.is_empty() {
        return Err("--channel is required".into());
    }
    let client = sources::http_client(&values)?;
    let sources = Sources::of(&values).map_err(full_stop)?;
    let gzip_level = values.int("gzip-level");
    let gzip_level = u32::try_from(gzip_level)
        .ok()
        .filter(|level| (1..=9).contains(level))
        .ok_or_else(|| format!("invalid --gzip-level value ({gzip_level}), should be 1-9"))?;
    let wanted = Wanted::of(&values, &sources)?;
    let output_dir = PathBuf::from(values.string("output-dir"));
    let work_dir = match values.string("work-dir") {
        "" => output_dir.clone(),
        folder => PathBuf::from(folder),
    };
    consumer.config()?;
    Ok(Options {
        wanted,
        refresh: sources::positive(&values, "topic-refresh")?,
        client,
        channel,
        sources,
        consumer,
        sync_interval: sources::positive(&values, "sync-interval")?,
        format: values.string("filename-format").to_owned(),
        datetime: values.string("datetime-format").to_owned(),
        host_identifier: values.string("host-identifier").to_owned(),
        output_dir,
        work_dir,
        gzip: values.bool("gzip").then_some(gzip_level),
        rotate_size: u64::try_from(values.int("rotate-size")).unwrap_or(0),
        rotate_interval: values.duration("rotate-interval"),
        skip_empty: values.bool("skip-empty-files"),
        log: log::Settings {
            prefix: values.string("log-prefix").to_owned(),
            level,
            form: Form::Text,
            to_stdout: false,
        },
    })
}

/// This tool's text has one where the others' have none.
fn full_stop(end: End) -> End {
    match end {
        End::Failed(text) if text.ends_with(" required") => End::Failed(text + "."),
        other => other,
    }
}

impl Options {
    /// What the files of a topic go by.
    fn rules(&self, topic: &str) -> Result<Rules, String> {
        let parts = Parts {
            format: &self.format,
            datetime: &self.datetime,
            host_identifier: &self.host_identifier,
            hostname: &build_info::hostname(),
            pid: std::process::id(),
            gzip: self.gzip.is_some(),
            revisions: self.gzip.is_some()
                || self.rotate_size > 0
                || !self.rotate_interval.is_zero()
                || self.work_dir != self.output_dir,
        };
        Ok(Rules {
            label: format!("{topic}/{}", self.channel),
            names: parts.of(topic)?,
            output_dir: self.output_dir.clone(),
            work_dir: self.work_dir.clone(),
            gzip: self.gzip,
            rotate_size: self.rotate_size,
            rotate_interval: self.rotate_interval,
            skip_empty: self.skip_empty,
        })
    }
}

/// The tool.
///
/// # Errors
/// Wrong usage, or files that cannot be written: what was not finished is delivered again.
pub fn run(args: impl IntoIterator<Item = String>) -> Result<(), End> {
    let options = options(args)?;
    log::start(&options.log);
    let runtime = crate::ending::runtime()?;
    let prefix = options.log.prefix.clone();
    let ended = runtime.block_on(archive(Arc::new(options)));
    ended.map_err(|text| Exit::fatal(&prefix, &text).into())
}

async fn archive(options: Arc<Options>) -> Result<(), String> {
    let caught = sources::signals().map_err(|end| end.to_string())?.with_hangup();
    let mut signals = caught.map_err(|error| format!("cannot catch signals - {error}"))?;
    let (orders, _) = watch::channel(Orders::default());
    let tasks = Tasks::new();
    let clock = Arc::new(SystemClock::new());
    let mut running = BTreeSet::new();
    let mut topics = JoinSet::new();
    let mut asking = JoinSet::new();
    let mut refresh = interval(options.refresh);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Hangup => orders.send_modify(|orders| orders.hangups += 1),
                Signal::Terminate => break,
            },
            _ = refresh.tick(), if asking.is_empty() => {
                let options = Arc::clone(&options);
                asking.spawn(async move {
                    options.wanted.ask(&options.sources.lookupds, &options.client).await
                });
            }
            Some(Ok(found)) = asking.join_next() => for name in found {
                if running.insert(name.clone()) {
                    let topic = Topic {
                        name: name.clone(),
                        options: Arc::clone(&options),
                        orders: orders.subscribe(),
                        clock: Arc::clone(&clock),
                        tasks: tasks.clone(),
                    };
                    topics.spawn(async move { (name, topic.run().await) });
                }
            },
            Some(Ok((name, ended))) = topics.join_next() => match ended {
                Ok(()) => {}
                Err(Broken::Files(text)) => return Err(text),
                // It is tried again with the next refresh.
                Err(Broken::Start(why)) => {
                    tracing::error!("couldn't create logger for new topic {name}: {why}");
                    running.remove(&name);
                }
            },
        }
    }
    orders.send_modify(|orders| orders.stop = true);
    while let Some(ended) = topics.join_next().await {
        if let Ok((_, Err(Broken::Files(text)))) = ended {
            return Err(text);
        }
    }
    Ok(())
}
