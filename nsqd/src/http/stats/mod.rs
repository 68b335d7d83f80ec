//! `GET /stats` (nsqd spec 6.5). The answer is made topic by topic and sent in pieces, so that neither a picture of all topics
//! nor the whole text is held, and other requests get their turn between two pieces. A small answer is one piece.

mod text;

use super::State;
use crate::client::Client;
use crate::pictures::{self, Measure, client_stats, memory, topic_stats};
use crate::topic::Topic;
use bytes::Bytes;
use futures_util::Stream;
use nsq_http_api::nsqd::Memory;
use nsq_service::build_info::VERSION;
use nsq_service::http::{Failure, Query, Reply, Request};
use nsq_service::json::{GoFormatter, push_string};
use serde::Serialize;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A piece is sent when it has so many bytes. Making one takes a fraction of a millisecond.
const PIECE_BYTES: usize = 64 * 1024;

pub(super) async fn stats(state: Arc<State>, request: Request) -> Result<Reply, Failure> {
    let wanted = Wanted::of(&request.query()?);
    let content_type = if wanted.json {
        "application/json; charset=utf-8"
    } else {
        "text/plain; charset=utf-8"
    };
    let mut document = Document::new(state, wanted);
    let first = document.piece();
    if document.left == Left::Nothing {
        return Ok(Reply::content(content_type, first));
    }
    let pieces = Pieces {
        ready: Some(first),
        document,
    };
    Ok(Reply::stream(content_type, pieces))
}

/// What was asked for.
struct Wanted {
    json: bool,
    topic: Option<String>,
    channel: Option<String>,
    clients: bool,
    memory: bool,
}

impl Wanted {
    fn of(query: &Query) -> Self {
        let filter = |name: &str| {
            query
                .get(name)
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
        };
        let on = |name: &str| !matches!(query.get(name), Some("false" | "0"));
        Self {
            json: query.get("format") == Some("json"),
            topic: filter("topic"),
            channel: filter("channel"),
            clients: on("include_clients"),
            memory: on("include_mem"),
        }
    }

    /// The topics to show in name order; none if the one that was asked for does not exist.
    fn topics(&self, state: &State) -> Option<Vec<Arc<Topic>>> {
        let mut topics = match &self.topic {
            Some(name) => vec![state.broker.topic(name)?],
            None => state.broker.topics(),
        };
        if let Some(channel) = &self.channel {
            topics.retain(|topic| topic.channel(channel).is_some());
        }
        topics.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        Some(topics)
    }

    /// The connections that ever published, in the order in which they came.
    fn producers(&self, state: &State) -> Vec<Arc<Client>> {
        if !self.clients {
            return Vec::new();
        }
        let mut clients = state.broker.clients();
        clients.retain(|client| client.has_published());
        clients
    }
}

/// Which part of the document comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Head,
    Topic(usize),
    Middle,
    Producer(usize),
    Tail,
    Nothing,
}

/// A document that is being made.
struct Document {
    state: Arc<State>,
    wanted: Wanted,
    topics: Option<Vec<Arc<Topic>>>,
    producers: Vec<Arc<Client>>,
    memory: Option<Memory>,
    now: i64,
    left: Left,
}

impl Document {
    fn new(state: Arc<State>, wanted: Wanted) -> Self {
        let topics = wanted.topics(&state);
        let producers = if topics.is_some() {
            wanted.producers(&state)
        } else {
            Vec::new()
        };
        Self {
            now: state.broker.engine.clock.unix_nanos() / 1_000_000_000,
            memory: wanted.memory.then(memory),
            state,
            wanted,
            topics,
            producers,
            left: Left::Head,
        }
    }

    /// The next piece; the last one leaves nothing.
    fn piece(&mut self) -> Bytes {
        let mut out = Vec::with_capacity(1024);
        while out.len() < PIECE_BYTES && self.left != Left::Nothing {
            if self.wanted.json {
                self.part_as_json(&mut out);
            } else {
                self.part_as_text(&mut out);
            }
            self.left = self.after();
        }
        Bytes::from(out)
    }

    fn after(&self) -> Left {
        let topic = |at: usize| {
            let more = self.topics.as_ref().is_some_and(|topics| at < topics.len());
            if more { Left::Topic(at) } else { Left::Middle }
        };
        let producer = |at: usize| {
            if at < self.producers.len() {
                Left::Producer(at)
            } else {
                Left::Tail
            }
        };
        match self.left {
            Left::Head => topic(0),
            Left::Topic(at) => topic(at + 1),
            Left::Middle => producer(0),
            Left::Producer(at) => producer(at + 1),
            Left::Tail | Left::Nothing => Left::Nothing,
        }
    }

    fn topic(&self, at: usize) -> Option<nsq_http_api::nsqd::TopicStats> {
        let topic = self.topics.as_ref()?.get(at)?;
        let wanted = pictures::Wanted {
            channel: self.wanted.channel.as_deref(),
            clients: self.wanted.clients,
            topic: self.wanted.topic.as_deref(),
        };
        Some(topic_stats(topic, wanted, &Measure::of(&self.state.broker)))
    }

    fn part_as_json(&self, out: &mut Vec<u8>) {
        match self.left {
            Left::Head => {
                out.extend_from_slice(b"{\"version\":");
                push_string(out, VERSION);
                out.extend_from_slice(b",\"health\":");
                push_string(out, &self.state.broker.health.text());
                out.extend_from_slice(b",\"start_time\":");
                push(out, &self.state.facts.start_time);
                out.extend_from_slice(b",\"topics\":");
                out.extend_from_slice(if self.topics.is_some() { b"[" } else { b"null" });
            }
            Left::Topic(at) => {
                separate(out, at);
                push(out, &self.topic(at));
            }
            Left::Middle => {
                if self.topics.is_some() {
                    out.push(b']');
                }
                if let Some(memory) = &self.memory {
                    out.extend_from_slice(b",\"memory\":");
                    push(out, memory);
                }
                out.extend_from_slice(b",\"producers\":");
                out.extend_from_slice(if self.producers.is_empty() { b"null" } else { b"[" });
            }
            Left::Producer(at) => {
                separate(out, at);
                let client = self.producers.get(at);
                push(
                    out,
                    &client.map(|client| client_stats(client, self.wanted.topic.as_deref())),
                );
            }
            Left::Tail if self.producers.is_empty() => out.push(b'}'),
            Left::Tail => out.extend_from_slice(b"]}"),
            Left::Nothing => {}
        }
    }

    fn part_as_text(&self, out: &mut Vec<u8>) {
        let mut text = String::new();
        match self.left {
            Left::Head => {
                let health = self.state.broker.health.text();
                text::head(
                    &mut text,
                    self.state.facts.start_time,
                    self.now,
                    &health,
                    self.memory.as_ref(),
                );
                let none = self.topics.as_ref().is_none_or(Vec::is_empty);
                text.push_str(if none { "\nTopics: None\n" } else { "\nTopics:" });
            }
            Left::Topic(at) => {
                if let Some(topic) = self.topic(at) {
                    text::topic(&mut text, &topic, self.now);
                }
            }
            Left::Middle if self.producers.is_empty() => text.push_str("\nProducers: None\n"),
            Left::Middle => text.push_str("\nProducers:\n"),
            Left::Producer(at) => {
                if let Some(client) = self.producers.get(at) {
                    let client = client_stats(client, self.wanted.topic.as_deref());
                    text::client(&mut text, "   ", &client, self.now);
                }
            }
            Left::Tail | Left::Nothing => {}
        }
        out.extend_from_slice(text.as_bytes());
    }
}

/// A comma before all but the first.
fn separate(out: &mut Vec<u8>, at: usize) {
    if at > 0 {
        out.push(b',');
    }
}

fn push(out: &mut Vec<u8>, value: &impl Serialize) {
    // Plain structures into memory cannot fail.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(out, GoFormatter));
}

/// The rest of a document, piece by piece, with a pause for others before each.
struct Pieces {
    /// The piece to give next. None: it is still to be made, after the pause.
    ready: Option<Bytes>,
    document: Document,
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(piece) = this.ready.take() {
            return Poll::Ready(Some(Ok(piece)));
        }
        if this.document.left == Left::Nothing {
            return Poll::Ready(None);
        }
        this.ready = Some(this.document.piece());
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
