//! Log lines of the reference on standard error: `<prefix>YYYY/MM/DD HH:MM:SS.uuuuuu LEVEL: text`, local time; or one JSON object
//! each, on either stream (extensions spec 13).
//!
//! Code logs with the macros of `tracing`; fields other than the message are appended as ` name=value`. Control
//! characters are escaped, so one event is always one line. The level in force can be changed at run time.

pub mod level;
pub(crate) mod line;

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::exit::Exit;
use crate::flags::{Flag, Values};
pub use level::{Level, level, set_level};
use line::{Fields, JSON, Text, json_line, text_line};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
