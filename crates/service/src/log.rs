//! Log lines of the reference on standard error: `<prefix>YYYY/MM/DD HH:MM:SS.uuuuuu LEVEL: text`, local time; or one JSON object
//! each, on either stream (extensions spec 13).
//!
//! Code logs with the macros of `tracing`; fields other than the message are appended as ` name=value`. Control
//! characters are escaped, so one event is always one line. The level in force can be changed at run time.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::exit::Exit;
use crate::flags::{Flag, Values};

/// The level names of the reference, in its order and with its numbers (1 to 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Debug = 1,
    /// The ordinary course of things. The default.
    Info = 2,
    /// Something that may need a look.
    Warn = 3,
    /// Something failed.
    Error = 4,
    /// Only what ends the process.
    Fatal = 5,
}

impl Level {
    /// Reads a level name, in any letter case.
    ///
    /// # Errors
    /// The text is none of the five names. The error text is the reference's.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            "fatal" => Self::Fatal,
            _ => {
                return Err(format!(
                    "invalid log level '{text}' (debug, info, warn, error, fatal)"
                ));
            }
        })
    }

    /// The number that `GET /config/log_level` answers, 1 (debug) to 5 (fatal).
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name as it is written in log lines, except that a warning's line says `WARNING`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warn,
            4 => Self::Error,
            _ => Self::Fatal,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
            Self::Fatal => LevelFilter::OFF,
        }
    }
}

/// The level in force. One per process, as the subscriber is.
static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// The level in force.
#[must_use]
pub fn level() -> Level {
    Level::from_number(LEVEL.load(Ordering::Relaxed))
}

/// Lines of each level since the start, also those that the level in force keeps out.
static COUNTS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

fn place(level: tracing::Level) -> usize {
    match level {
        tracing::Level::ERROR => 3,
        tracing::Level::WARN => 2,
        tracing::Level::INFO => 1,
        tracing::Level::DEBUG | tracing::Level::TRACE => 0,
    }
}

/// How many lines of each level there were since the start, also those that the level in force kept out.
#[must_use]
pub fn counts() -> [(&'static str, u64); 4] {
    let names = ["debug", "info", "warning", "error"];
    let counts = COUNTS.each_ref().map(|count| count.load(Ordering::Relaxed));
    std::array::from_fn(|i| (names[i], counts[i]))
}

/// Changes the level in force, at once and for the whole process.
pub fn set_level(level: Level) {
    LEVEL.store(level.number(), Ordering::Relaxed);
}

/// Flag and config key of [`Form`].
pub const FORMAT: Flag = Flag::string("log-format", "text", "form of log lines: text or json");
/// Flag and config key of the stream.
pub const OUTPUT: Flag = Flag::string("log-output", "stderr", "stream of the log: stderr or stdout");

/// Form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The reference's.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// What a daemon's options say about its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Text before each line that is no JSON.
    pub prefix: String,
    /// Lines below it are dropped.
    pub level: Level,
    /// Form of the lines.
    pub form: Form,
    /// Standard output instead of standard error.
    pub to_stdout: bool,
}

impl Settings {
    /// Reads `log-prefix`, `log-level`, [`FORMAT`] and [`OUTPUT`].
    ///
    /// # Errors
    /// The end of a start with a format or a stream that does not exist.
    pub fn of(values: &Values) -> Result<Self, Exit> {
        let prefix = values.string("log-prefix");
        let wrong = |what: &str, seen: &str, known: &str| {
            Exit::fatal(prefix, &format!("invalid {what} '{seen}' ({known})"))
        };
        let form = match values.string(FORMAT.name) {
            "text" => Form::Text,
            "json" => Form::Json,
            other => return Err(wrong(FORMAT.name, other, "text, json")),
        };
        let to_stdout = match values.string(OUTPUT.name) {
            "stderr" => false,
            "stdout" => true,
            other => return Err(wrong(OUTPUT.name, other, "stderr, stdout")),
        };
        Ok(Self {
            prefix: prefix.to_owned(),
            level: values.level("log-level"),
            form,
            to_stdout,
        })
    }
}

/// Lines are JSON. One per process, as the subscriber is: the last word of a failed start has the same form.
static JSON: AtomicBool = AtomicBool::new(false);

/// Starts logging. A second call in one process changes only the level.
pub fn start(settings: &Settings) {
    let layer = Lines {
        prefix: settings.prefix.clone(),
        to_stdout: settings.to_stdout,
    };
    // fails when a subscriber is already there (tests that start two daemons in one process): that one stays
    if tracing_subscriber::registry().with(layer).try_init().is_ok() {
        JSON.store(settings.form == Form::Json, Ordering::Relaxed);
    }
    set_level(settings.level);
}

struct Lines {
    prefix: String,
    to_stdout: bool,
}

/// Only our own lines are the reference's; libraries below us are heard when they warn.
fn wanted(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("nsq") || *metadata.level() <= tracing::Level::WARN
}

impl<S: Subscriber> Layer<S> for Lines {
    /// Our lines are asked for each time, so that those which are kept out are counted too; their text is not made.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if wanted(metadata) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        if !wanted(metadata) {
            return false;
        }
        if metadata.is_event() {
            COUNTS[place(*metadata.level())].fetch_add(1, Ordering::Relaxed);
        }
        *metadata.level() <= level().filter()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = ["DEBUG", "INFO", "WARNING", "ERROR"][place(*event.metadata().level())];
        let line = if JSON.load(Ordering::Relaxed) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            json_line(
                crate::clock::unix_nanos(),
                level,
                event.metadata().target(),
                fields.0,
            )
        } else {
            let mut text = Text::default();
            event.record(&mut text);
            text.message.push_str(&text.fields);
            text_line(&self.prefix, level, &text.message)
        };
        // A failure is ignored: there is nowhere left to tell it.
        let _ = if self.to_stdout {
            std::io::stdout().lock().write_all(line.as_bytes())
        } else {
            std::io::stderr().lock().write_all(line.as_bytes())
        };
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0
            .insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

/// The last word of a start that failed, in the form that was chosen if that was known already.
pub(crate) fn fatal_line(prefix: &str, text: &str) -> String {
    if JSON.load(Ordering::Relaxed) {
        let message = Map::from_iter([("message".to_owned(), text.into())]);
        json_line(crate::clock::unix_nanos(), "CRITICAL", "", message)
    } else {
        text_line(prefix, "FATAL", text)
    }
}

/// Part of a daemon that a line is from, by the path of the code.
fn module(target: &str) -> &'static str {
    const PARTS: [(&str, &[&str]); 7] = [
        ("lookupd", &["lookupd", "nsqlookupd"]),
        ("auth", &["auth"]),
        ("tls", &["tls", "rustls"]),
        ("http", &["http", "hyper", "warp", "nsq_http_api"]),
        ("protocol", &["session", "connections"]),
        ("queue", &["broker"]),
        ("storage", &["nsq_storage"]),
    ];
    let mut parts = PARTS.iter();
    let found = parts.find(|(_, names)| target.split("::").any(|part| names.contains(&part)));
    match found {
        Some((name, _)) => name,
        None if target.starts_with("nsqadmin") => "admin",
        None => "main",
    }
}

/// `fields` hold the message. One object and its newline.
fn json_line(unix_nanos: i64, severity: &str, target: &str, mut fields: Map<String, Value>) -> String {
    let time = Timestamp::from_nanosecond(i128::from(unix_nanos)).unwrap_or_default();
    let message = fields.remove("message").unwrap_or_default();
    for own in ["time", "severity", "module"] {
        fields.remove(own);
    }
    let line = JsonLine {
        time: format!("{time:.6}"),
        severity,
        message,
        module: module(target),
        fields,
    };
    // Texts as keys and nothing that could fail.
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

/// In this order; people read it too.
#[derive(serde::Serialize)]
struct JsonLine<'a> {
    time: String,
    severity: &'a str,
    message: Value,
    module: &'static str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// A line of the reference with the present time and its newline.
fn text_line(prefix: &str, level: &str, text: &str) -> String {
    line(
        prefix,
        crate::clock::unix_nanos(),
        &TimeZone::system(),
        level,
        text,
    )
}

fn line(prefix: &str, unix_nanos: i64, zone: &TimeZone, level: &str, text: &str) -> String {
    let now = Timestamp::from_nanosecond(i128::from(unix_nanos))
        .unwrap_or_default()
        .to_zoned_datetime(zone.clone());
    let mut line = format!("{prefix}{} {level}: ", now.strftime("%Y/%m/%d %H:%M:%S%.6f"));
    for c in text.chars() {
        if c.is_control() {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_format_of_the_reference() {
        let at = 1_732_380_000_123_456_789;
        let text = line(
            "[nsqd] ",
            at,
            &TimeZone::UTC,
            "INFO",
            "TCP: new client(1.2.3.4:5)",
        );
        assert_eq!(
            text,
            "[nsqd] 2024/11/23 16:40:00.123456 INFO: TCP: new client(1.2.3.4:5)\n"
        );
    }

    #[test]
    fn an_event_is_one_line_whatever_a_peer_sent() {
        let text = line("", 0, &TimeZone::UTC, "ERROR", "bad\r\n[nsqd] forged\u{1b}[0m");
        assert_eq!(
            text,
            "1970/01/01 00:00:00.000000 ERROR: bad\\r\\n[nsqd] forged\\u{1b}[0m\n"
        );
    }

    #[test]
    fn a_json_line_has_its_keys_and_the_context() {
        let fields = Map::from_iter([
            ("message".to_owned(), "a \"quoted\"\nword".into()),
            ("topic".to_owned(), "t".into()),
            ("severity".to_owned(), "forged".into()),
        ]);
        let text = json_line(1_732_380_000_123_456_789, "INFO", "nsqd::broker::topic", fields);
        assert_eq!(
            text,
            "{\"time\":\"2024-11-23T16:40:00.123456Z\",\"severity\":\"INFO\",\
             \"message\":\"a \\\"quoted\\\"\\nword\",\"module\":\"queue\",\"topic\":\"t\"}\n"
        );
        assert_eq!(module("nsqd::http::stats"), "http");
        assert_eq!(module("nsqadmin::pages"), "admin");
        assert_eq!(module("nsqd::start"), "main");
    }

    #[test]
    fn the_level_in_force_can_be_changed() {
        start(&Settings {
            prefix: "[test] ".to_owned(),
            level: Level::Info,
            form: Form::Text,
            to_stdout: false,
        });
        assert!(tracing::enabled!(tracing::Level::INFO));
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        set_level(Level::Debug);
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        set_level(Level::Fatal);
        assert!(!tracing::enabled!(tracing::Level::ERROR));
        assert_eq!(level(), Level::Fatal);
        let errors = || counts()[3].1;
        let before = errors();
        tracing::error!("kept out");
        assert!(errors() > before);
    }

    #[test]
    fn level_names_are_read_in_any_case() {
        assert_eq!(Level::parse("INFO"), Ok(Level::Info));
        assert_eq!(Level::parse("Fatal"), Ok(Level::Fatal));
        assert_eq!(
            Level::parse(" info"),
            Err("invalid log level ' info' (debug, info, warn, error, fatal)".to_owned())
        );
    }
}
