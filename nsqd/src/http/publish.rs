//! `POST /pub` and `POST /mpub` (nsqd spec 6.3, extensions spec 1.5). Bodies go to the broker the same way as those of TCP.

use super::{State, refusal};
use crate::block::BatchBuilder;
use crate::broker::{Broker, Refused};
use crate::counters::PublishError;
use crate::effects::Effects;
use crate::topic::Topic;
use bytes::Bytes;
use nsq_protocol::TopicName;
use nsq_protocol::v2::{BatchDecoder, BatchError, BatchLimits, BatchStep};
use nsq_service::http::{BodyError, Failure, Query, Reply, Request};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The part of a batch around its messages: the count.
const COUNT_BYTES: i64 = 4;
/// The least that a message takes in a batch: its size and one byte.
const LEAST_BYTES: i64 = 5;

/// `POST /pub`
pub(super) async fn publish(state: Arc<State>, request: Request) -> Result<Reply, Failure> {
    counted(&state, publish_one(&state, request).await)
}

/// `POST /mpub`
pub(super) async fn publish_many(state: Arc<State>, request: Request) -> Result<Reply, Failure> {
    counted(&state, publish_batch(&state, request).await)
}

/// Counts what was refused for what the request is; what the broker refuses is counted where it does.
fn counted(state: &State, answer: Result<Reply, Failure>) -> Result<Reply, Failure> {
    let why = match answer.as_ref().err().map(Failure::message) {
        Some("MSG_TOO_BIG" | "BODY_TOO_BIG") => Some(PublishError::TooBig),
        Some("MISSING_ARG_TOPIC" | "INVALID_TOPIC") => Some(PublishError::BadTopic),
        _ => None,
    };
    if let Some(why) = why {
        state.broker.engine.counters.publish_errors.add(why as usize);
    }
    answer
}

/// One message: the body.
async fn publish_one(state: &State, mut request: Request) -> Result<Reply, Failure> {
    let options = &state.broker.options;
    let body = request.body.read(bound(options.max_msg_size)).await;
    let body = body.map_err(|e| unreadable(&e, "MSG_TOO_BIG"))?;
    if body.is_empty() {
        return Err(Failure::bad_request("MSG_EMPTY"));
    }
    let query = request.query()?;
    let target = Target::of(&state.broker, &query).await?;
    let delay = match query.get("defer") {
        None => 0,
        Some(text) => {
            delay(text, options.max_defer_timeout).ok_or_else(|| Failure::bad_request("INVALID_DEFER"))?
        }
    };
    let mut batch = BatchBuilder::default();
    batch.push(&body);
    target.accept(&state.broker, &mut batch, delay).await
}

/// Many messages: one per line, or a batch as `MPUB` has it.
async fn publish_batch(state: &State, mut request: Request) -> Result<Reply, Failure> {
    let options = &state.broker.options;
    let limit = bound(options.max_body_size).min(u64::from(u32::MAX));
    if request.body.content_length().is_some_and(|length| length > limit) {
        return Err(Failure::too_large("BODY_TOO_BIG"));
    }
    let query = request.query()?;
    let target = Target::of(&state.broker, &query).await?;
    let mut reading = match mode(&query, target.name.as_str()) {
        Mode::Lines => Reading::Lines(Lines::new(options.max_msg_size)),
        Mode::Batch => Reading::Batch(BatchDecoder::new(BatchLimits {
            max_count: (options.max_body_size - COUNT_BYTES) / LEAST_BYTES,
            max_size: options.max_msg_size,
        })),
    };
    let mut batch = BatchBuilder::default();
    let mut total: u64 = 0;
    while let Some(bytes) = request.body.next().await.map_err(|e| Failure::internal(&e))? {
        total += bytes.len() as u64;
        if total > limit {
            return Err(Failure::too_large("BODY_TOO_BIG"));
        }
        reading.feed(&bytes, &mut batch)?;
    }
    reading.end(&mut batch)?;
    if batch.is_empty() {
        return Ok(Reply::text("OK"));
    }
    target.accept(&state.broker, &mut batch, 0).await
}

enum Mode {
    Lines,
    Batch,
}

/// Any value that is not one of the four known ones means binary, as in the reference.
fn mode(query: &Query, topic: &str) -> Mode {
    match query.get("binary") {
        None | Some("false" | "0") => Mode::Lines,
        Some("true" | "1") => Mode::Batch,
        Some(other) => {
            tracing::warn!("deprecated value '{other}' used for /mpub binary param of topic {topic}");
            Mode::Batch
        }
    }
}

/// Where the messages go.
struct Target {
    name: TopicName,
    /// None on a node that is being emptied and does not have the topic: it makes none for messages it refuses.
    topic: Option<Arc<Topic>>,
}

impl Target {
    async fn of(broker: &Broker, query: &Query) -> Result<Self, Failure> {
        let name = query.require("topic", "MISSING_ARG_TOPIC")?;
        let name: TopicName = name.parse().map_err(|_| Failure::bad_request("INVALID_TOPIC"))?;
        let topic = if broker.draining.load(Relaxed) {
            broker.topic(name.as_str())
        } else {
            let made = broker.get_or_create_topic(&name).await;
            Some(made.map_err(|e| refuse(broker, &Refused::from(e)))?)
        };
        Ok(Self { name, topic })
    }

    async fn accept(self, broker: &Broker, batch: &mut BatchBuilder, delay: u64) -> Result<Reply, Failure> {
        let Some(topic) = self.topic else {
            broker.refused.fetch_add(u64::from(batch.len()), Relaxed);
            return Err(refuse(broker, &Refused::Draining));
        };
        let timers = &broker.engine.timers;
        let began = timers.now();
        let accepted = broker
            .publish(&topic, batch, delay, &mut Effects::default())
            .await;
        accepted.map_err(|refused| {
            if let Refused::Storage(error) = &refused {
                tracing::error!("TOPIC({}): publish failed - {error}", self.name);
            }
            refuse(broker, &refused)
        })?;
        let took = timers.now().saturating_sub(began);
        broker.engine.counters.publish_times.observe(took, 1);
        Ok(Reply::text("OK"))
    }
}

/// The answer to a publish that the broker refuses, which is counted.
fn refuse(broker: &Broker, refused: &Refused) -> Failure {
    let why = PublishError::from(refused);
    broker.engine.counters.publish_errors.add(why as usize);
    refusal(refused)
}

/// What becomes messages while it is read.
enum Reading {
    Lines(Lines),
    Batch(BatchDecoder),
}

impl Reading {
    fn feed(&mut self, bytes: &Bytes, batch: &mut BatchBuilder) -> Result<(), Failure> {
        match self {
            Self::Lines(lines) => lines.feed(bytes, batch),
            // What follows the last message is read and ignored.
            Self::Batch(decoder) => match decoder.step(bytes, batch).1 {
                BatchStep::More | BatchStep::Done => Ok(()),
                BatchStep::Refused(BatchError::Count(_)) => Err(Failure::too_large("BAD_BODY")),
                BatchStep::Refused(_) => Err(Failure::too_large("BAD_MESSAGE")),
            },
        }
    }

    fn end(&mut self, batch: &mut BatchBuilder) -> Result<(), Failure> {
        match self {
            Self::Lines(lines) => lines.end(batch),
            Self::Batch(decoder) if decoder.is_done() => Ok(()),
            Self::Batch(decoder) if decoder.at_count() => Err(Failure::too_large("BAD_BODY")),
            Self::Batch(_) => Err(Failure::too_large("BAD_MESSAGE")),
        }
    }
}

/// Splits a body into lines, wherever it is cut.
struct Lines {
    max: usize,
    /// The line that has begun, and whether it is already too long. Never more than `max` bytes are kept.
    line: Vec<u8>,
    too_long: bool,
}

impl Lines {
    fn new(max_msg_size: i64) -> Self {
        Self {
            max: usize::try_from(max_msg_size).unwrap_or(0),
            line: Vec::new(),
            too_long: false,
        }
    }

    fn feed(&mut self, bytes: &[u8], batch: &mut BatchBuilder) -> Result<(), Failure> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|&b| b == b'\n') {
            let (line, tail) = rest.split_at(at);
            rest = &tail[1..];
            if self.line.is_empty() && !self.too_long {
                self.push(line, batch)?;
            } else {
                self.keep(line);
                self.end(batch)?;
            }
        }
        self.keep(rest);
        Ok(())
    }

    fn keep(&mut self, part: &[u8]) {
        if self.line.len() + part.len() > self.max {
            self.too_long = true;
        } else {
            self.line.extend_from_slice(part);
        }
    }

    /// The line that has begun is complete.
    fn end(&mut self, batch: &mut BatchBuilder) -> Result<(), Failure> {
        if self.too_long {
            return Err(Failure::too_large("MSG_TOO_BIG"));
        }
        let line = std::mem::take(&mut self.line);
        self.push(&line, batch)
    }

    fn push(&self, line: &[u8], batch: &mut BatchBuilder) -> Result<(), Failure> {
        if line.len() > self.max {
            return Err(Failure::too_large("MSG_TOO_BIG"));
        }
        if !line.is_empty() {
            batch.push(line);
        }
        Ok(())
    }
}

fn unreadable(error: &BodyError, too_large: &'static str) -> Failure {
    match error {
        BodyError::TooLarge(_) => Failure::too_large(too_large),
        BodyError::Stalled(_) | BodyError::Broken(_) => Failure::internal(error),
    }
}

/// The delay in ns of a text in ms, if it is one of at most `max`.
fn delay(text: &str, max: Duration) -> Option<u64> {
    let delay = Duration::from_millis(u64::try_from(text.parse::<i64>().ok()?).ok()?);
    (delay <= max).then(|| u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX))
}

/// An option in bytes as a bound; nothing fits into a negative one.
fn bound(option: i64) -> u64 {
    u64::try_from(option).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]], max: i64) -> Result<(u32, usize), String> {
        let (mut lines, mut batch) = (Lines::new(max), BatchBuilder::default());
        for piece in pieces {
            lines
                .feed(piece, &mut batch)
                .map_err(|e| e.message().to_owned())?;
        }
        lines.end(&mut batch).map_err(|e| e.message().to_owned())?;
        Ok((batch.len(), batch.bytes()))
    }

    #[test]
    fn empty_lines_are_skipped_and_the_last_needs_no_newline() {
        assert_eq!(lines(&[b"a\nb\n\nc"], 10), Ok((3, 3)));
        assert_eq!(lines(&[b"a\nb\n\nc\n"], 10), Ok((3, 3)));
        assert_eq!(
            lines(&[b"a\r\n\n"], 10),
            Ok((1, 2)),
            "the carriage return is kept"
        );
        assert_eq!(lines(&[], 10), Ok((0, 0)));
    }

    #[test]
    fn a_line_may_have_as_many_bytes_as_a_message() {
        assert_eq!(lines(&[b"12345\n1", b"2345\n12345"], 5), Ok((3, 15)));
        let refused = Err("MSG_TOO_BIG".to_owned());
        assert_eq!(lines(&[b"123456\n"], 5), refused);
        assert_eq!(lines(&[b"1", b"23456"], 5), refused);
        assert_eq!(lines(&[b"123456", b"", b"7\na"], 5), refused);
    }

    #[test]
    fn a_delay_is_a_whole_number_of_milliseconds_within_the_bound() {
        let hour = Duration::from_secs(3600);
        assert_eq!(delay("1000", hour), Some(1_000_000_000));
        assert_eq!(delay("+0", hour), Some(0));
        assert_eq!(delay("3600000", hour), Some(3_600_000_000_000));
        for bad in ["3600001", "-1", "x", "", "1.5", " 1", "9223372036854775808"] {
            assert_eq!(delay(bad, hour), None, "{bad}");
        }
    }

    #[test]
    fn a_batch_is_checked_and_what_follows_it_ignored() {
        let limits = BatchLimits {
            max_count: 10,
            max_size: 3,
        };
        let read = |body: &'static [u8]| {
            let (mut reading, mut batch) =
                (Reading::Batch(BatchDecoder::new(limits)), BatchBuilder::default());
            let whole = reading.feed(&Bytes::from_static(body), &mut batch);
            let outcome = whole.and_then(|()| reading.end(&mut batch));
            outcome.map(|()| batch.len()).map_err(|e| e.message().to_owned())
        };
        assert_eq!(read(&[0, 0, 0, 1, 0, 0, 0, 1, b'x', b'y']), Ok(1));
        for bad in [&[][..], &[0, 0, 0, 0], &[0xff; 4], &[0, 0, 0]] {
            assert_eq!(read(bad), Err("BAD_BODY".to_owned()), "{bad:?}");
        }
        for bad in [
            &[0, 0, 0, 1][..],
            &[0, 0, 0, 1, 0, 0, 0, 0],
            &[0, 0, 0, 1, 0, 0, 0, 9],
            &[0, 0, 0, 1, 0, 0, 0, 2, 1],
        ] {
            assert_eq!(read(bad), Err("BAD_MESSAGE".to_owned()), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn lines_are_the_same_wherever_the_body_is_cut(body in "[ab\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..6)) {
            let mut at: Vec<usize> = cuts.into_iter().filter(|&c| c <= body.len()).collect();
            at.extend([0, body.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &body.as_bytes()[w[0]..w[1]]).collect();
            prop_assert_eq!(lines(&pieces, 8), lines(&[body.as_bytes()], 8));
        }
    }
}
