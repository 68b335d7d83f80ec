//! Lines on standard error in the form of Go's `log`: `YYYY/MM/DD HH:MM:SS text`, local time. Events of the client library have
//! `LVL  <id> [<topic>/<channel>] (<addr>) text` behind the time.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use nsq_service::clock::{Clock as _, SystemClock};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Local time.
pub(crate) fn now() -> ZonedDateTime {
    let nanos = SystemClock::new().unix_nanos();
    Timestamp::from_nanosecond(i128::from(nanos))
        .unwrap_or_default()
        .to_zoned_datetime(TimeZone::system())
}

/// Writes one line. Whoever reads it may be gone, which is no reason to end.
pub fn line(text: &str) {
    line_of("", text);
}

/// The same behind a prefix.
pub(crate) fn line_of(prefix: &str, text: &str) {
    let stamp = now().strftime("%Y/%m/%d %H:%M:%S").to_string();
    let text = text.trim_end_matches('\n');
    let _ = std::io::stderr().write_all(format!("{prefix}{stamp} {text}\n").as_bytes());
}

/// Shows events of the client library from here on.
pub fn start() {
    let layer = Lines.with_filter(LevelFilter::INFO);
    // A second start in one process changes nothing.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut parts = Parts::default();
        event.record(&mut parts);
        line(&parts.text(*event.metadata().level()));
    }
}

#[derive(Debug, Default)]
struct Parts {
    id: u64,
    topic: String,
    channel: String,
    nsqd: String,
    message: String,
}

impl Parts {
    fn text(&self, level: Level) -> String {
        let level = match level {
            Level::ERROR => "ERR",
            Level::WARN => "WRN",
            _ => "INF",
        };
        let mut text = format!("{level} {:4}", self.id);
        if !self.topic.is_empty() {
            let _ = write!(text, " [{}/{}]", self.topic, self.channel);
        }
        if !self.nsqd.is_empty() {
            let _ = write!(text, " ({})", self.nsqd);
        }
        // One event is one line, whatever a peer sent.
        let message = self.message.chars().map(|c| if c.is_control() { ' ' } else { c });
        text.push(' ');
        text.extend(message);
        text
    }
}

impl Visit for Parts {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "id" {
            self.id = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "topic" => value.clone_into(&mut self.topic),
            "channel" => value.clone_into(&mut self.channel),
            "nsqd" => value.clone_into(&mut self.nsqd),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Parts;
    use tracing::Level;

    #[test]
    fn an_event_is_a_line_of_the_library() {
        let mut parts = Parts {
            id: 1,
            topic: "t".to_owned(),
            channel: "c".to_owned(),
            nsqd: "h:1".to_owned(),
            message: "lost\nit".to_owned(),
        };
        assert_eq!(parts.text(Level::ERROR), "ERR    1 [t/c] (h:1) lost it");
        parts.topic.clear();
        assert_eq!(parts.text(Level::INFO), "INF    1 (h:1) lost it");
    }
}
