//! How a line is written: as the reference does, or as one JSON object.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};

/// Lines are JSON. One per process, as the subscriber is: the last word of a failed start has the same form.
pub(super) static JSON: AtomicBool = AtomicBool::new(false);

/// What is said, and the rest of an event.
#[derive(Default)]
pub(super) struct Text {
    pub(super) message: String,
    pub(super) fields: String,
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

/// An event as the members of an object.
#[derive(Default)]
pub(super) struct Fields(pub(super) Map<String, Value>);

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
pub(super) fn json_line(
    unix_nanos: i64,
    severity: &str,
    target: &str,
    mut fields: Map<String, Value>,
) -> String {
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
pub(super) fn text_line(prefix: &str, level: &str, text: &str) -> String {
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
}
