//! Log lines of the reference on standard error: `<prefix>YYYY/MM/DD HH:MM:SS.uuuuuu LEVEL: text`, local time.
//!
//! Code logs with the macros of `tracing`; fields other than the message are appended as ` name=value`. Control
//! characters are escaped, so one event is always one line. The level in force can be changed at run time.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use jiff::{Timestamp, tz::TimeZone};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

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

/// Starts logging with `prefix` before every line. A second call in one process changes only the level.
pub fn start(prefix: &str, level: Level) {
    let layer = Lines {
        prefix: prefix.to_owned(),
    };
    // fails when a subscriber is already there (tests that start two daemons in one process): that one stays
    let _ = tracing_subscriber::registry().with(layer).try_init();
    set_level(level);
}

struct Lines {
    prefix: String,
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
        let mut text = Text::default();
        event.record(&mut text);
        text.message.push_str(&text.fields);
        write_line(&self.prefix, level, &text.message);
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

/// Writes one line to standard error. A failure is ignored: there is nowhere left to tell it.
fn write_line(prefix: &str, level: &str, text: &str) {
    let _ = std::io::stderr()
        .lock()
        .write_all(line_now(prefix, level, text).as_bytes());
}

/// One line with the present time and its newline.
pub(crate) fn line_now(prefix: &str, level: &str, text: &str) -> String {
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
    fn the_level_in_force_can_be_changed() {
        start("[test] ", Level::Info);
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
