//! The log of `run`: one JSON object per line on standard output, or lines for people. Source: operator spec 9.3.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use nsq_service::clock::Clock;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::options::{LogFormat, LogLevel};

/// Starts logging. A second call in one process changes nothing.
pub(super) fn start(format: LogFormat, level: LogLevel, clock: Arc<dyn Clock>) {
    let layer = Lines { format, level, clock };
    // Fails when a subscriber is there already: that one stays.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

struct Lines {
    format: LogFormat,
    level: LogLevel,
    clock: Arc<dyn Clock>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // Libraries below us are heard when they warn.
        let ours = metadata.target().starts_with("nsq");
        let most = if ours {
            filter(self.level)
        } else {
            LevelFilter::WARN
        };
        *metadata.level() <= most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(filter(self.level))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let at = Timestamp::from_nanosecond(i128::from(self.clock.unix_nanos())).unwrap_or_default();
        let level = event.metadata().level().as_str().to_lowercase();
        let line = match self.format {
            LogFormat::Json => fields.json(at, &level),
            LogFormat::Text => fields.text(at, &level),
        };
        // There is nowhere left to tell a failure.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn json(self, at: Timestamp, level: &str) -> String {
        let mut line = Map::new();
        line.insert("ts".to_owned(), format!("{at:.6}").into());
        line.insert("level".to_owned(), level.into());
        line.insert("msg".to_owned(), self.message.into());
        line.extend(self.others);
        format!("{}\n", Value::from(line))
    }

    fn text(self, at: Timestamp, level: &str) -> String {
        let mut line = format!("{at:.3} {level:<5} {}", self.message);
        for (key, value) in self.others {
            line.push_str(&format!(" {key}={value}"));
        }
        // A peer's words cannot forge a line.
        line = line
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        line.push('\n');
        line
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else if !value.is_empty() {
            self.others.insert(field.name().to_owned(), value.into());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_with_the_time_first_known() {
        let fields = Fields {
            message: "applied\nx".to_owned(),
            others: Map::from_iter([("name".to_owned(), Value::from("c"))]),
        };
        let line = fields.json(Timestamp::UNIX_EPOCH, "info");
        assert_eq!(line.lines().count(), 1);
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        assert_eq!(
            value,
            serde_json::json!({"ts": "1970-01-01T00:00:00.000000Z", "level": "info", "msg": "applied\nx", "name": "c"})
        );
    }
}
