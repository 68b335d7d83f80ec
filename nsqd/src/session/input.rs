//! The read side of a connection: the buffer, and how far the command in it has been read.

use super::commands::{Action, Context, Verb, interpret};
use super::{Session, Stop};
use crate::block::BatchBuilder;
use crate::client::ClientState;
use crate::counters::PublishError;
use crate::topic::Topic;
use bytes::{Buf, BufMut, BytesMut};
use nsq_protocol::v2::{
    BatchDecoder, BatchError, BatchLimits, BatchSink, BatchStep, CLOSE_WAIT, FrameType, Line, MAGIC,
    body_size, finish_line, parse_line,
};
use nsq_protocol::{ErrorCode, TopicName};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as TaskContext, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// First read of a connection, and of one that was idle.
const SMALL_READ: usize = 1024;
/// Reads grow up to this while they fill the buffer.
const LARGE_READ: usize = 64 * 1024;
/// A body that lacks at least this much is read past the buffer, straight to where it stays.
const DIRECT_READ: usize = 8 * 1024;
/// Room that is made for a body before its bytes have come.
const MAX_TRUST: usize = 1024 * 1024;

/// What the connection is in the middle of.
#[derive(Debug, Default)]
enum Reading {
    /// The first four bytes.
    #[default]
    Magic,
    /// A command line.
    Line,
    /// The length of a body.
    Size(Body),
    /// A document of so many bytes.
    Document(Body, usize),
    /// A message of so many bytes, of which none is in the builder yet.
    Message {
        verb: Verb,
        topic: TopicName,
        delay: u64,
        size: usize,
    },
    /// A large message, alone in the builder, that lacks so many bytes.
    Upload {
        verb: Verb,
        topic: TopicName,
        delay: u64,
        missing: usize,
    },
    /// A batch, alone in the builder, its decoder and what it may have in bytes.
    Batch {
        topic: Arc<Topic>,
        decoder: BatchDecoder,
        most: usize,
    },
}

/// What a length is the length of.
#[derive(Debug)]
enum Body {
    Identify,
    Authenticate,
    Message {
        verb: Verb,
        topic: TopicName,
        delay: u64,
    },
    Batch(Arc<Topic>),
}

/// The read buffer and the place in the conversation.
#[derive(Debug, Default)]
pub(super) struct Input {
    buffer: BytesMut,
    next_read: usize,
    at_end: bool,
    reading: Reading,
    /// A line ended in this turn, so that another is waited for since.
    new_line: bool,
}

impl Input {
    /// Whether the other side has closed its half.
    pub(super) const fn at_end(&self) -> bool {
        self.at_end
    }

    /// Whether the magic has not come yet.
    pub(super) const fn before_magic(&self) -> bool {
        matches!(self.reading, Reading::Magic)
    }

    /// Takes what was read and not looked at: the first bytes of a layer that begins here.
    pub(super) fn take(&mut self) -> BytesMut {
        std::mem::take(&mut self.buffer)
    }

    /// Gives the buffer back while nothing is in it.
    pub(super) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.next_read = SMALL_READ;
        }
    }

    /// Reads once: into the buffer, or straight into the body that `bodies` has open.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        bodies: &mut BatchBuilder,
        cx: &mut TaskContext<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at_end {
            return Poll::Pending;
        }
        let missing = match &self.reading {
            Reading::Upload { missing, .. } => *missing,
            Reading::Batch { decoder, .. } => decoder.missing_in_body(),
            _ => 0,
        };
        let read = if missing >= DIRECT_READ && self.buffer.is_empty() {
            let body = bodies.open_body();
            body.reserve(missing.min(LARGE_READ));
            let mut target = body.limit(missing);
            let read = std::task::ready!(pin!(stream.read_buf(&mut target)).poll(cx))?;
            match &mut self.reading {
                Reading::Upload { missing, .. } => *missing -= read,
                Reading::Batch { decoder, .. } => decoder.filled(read),
                _ => {}
            }
            read
        } else {
            let wanted = match &self.reading {
                Reading::Message { size, .. } | Reading::Document(_, size) => {
                    size.saturating_sub(self.buffer.len())
                }
                _ => 0,
            };
            self.buffer
                .reserve(self.next_read.max(SMALL_READ).max(wanted.min(LARGE_READ)));
            let room = self.buffer.capacity() - self.buffer.len();
            let Poll::Ready(read) = pin!(stream.read_buf(&mut self.buffer)).poll(cx)? else {
                // Who waits for a client has no need of a buffer, and most connections wait most of the time.
                if self.buffer.is_empty() && room <= SMALL_READ {
                    self.buffer = BytesMut::new();
                }
                return Poll::Pending;
            };
            if read == room {
                self.next_read = (self.next_read * 4).clamp(SMALL_READ, LARGE_READ);
            }
            read
        };
        self.at_end = read == 0;
        Poll::Ready(Ok(()))
    }
}

/// Whether reading can go on with what is in the buffer.
enum Progress {
    More,
    NeedsInput,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Carries out the commands in the buffer, up to the bound of a turn. Whether more of them are there.
    pub(super) async fn read_commands(&mut self) -> Result<bool, Stop> {
        let mut budget = super::TURN_BYTES;
        let outcome = loop {
            let before = self.input.buffer.len();
            match self.read_on().await {
                Ok(Progress::More) => {}
                Ok(Progress::NeedsInput) => break Ok(false),
                Err(stop) => break Err(stop),
            }
            budget = budget.saturating_sub((before - self.input.buffer.len()).max(16));
            if budget == 0 || self.output.pending() >= super::TURN_BYTES {
                break Ok(true);
            }
        };
        if std::mem::take(&mut self.input.new_line) {
            self.times.line_since = self.now();
        }
        // What was accepted before an error keeps its answers.
        self.close_batches().await?;
        outcome
    }

    async fn read_on(&mut self) -> Result<Progress, Stop> {
        match &mut self.input.reading {
            Reading::Magic => self.read_magic(),
            Reading::Line => self.read_line().await,
            Reading::Size(_) => self.read_size(),
            Reading::Document(_, size) => {
                if self.input.buffer.len() < *size {
                    return Ok(Progress::NeedsInput);
                }
                let document = self.input.buffer.split_to(*size);
                match std::mem::replace(&mut self.input.reading, Reading::Line) {
                    Reading::Document(Body::Identify, _) => self.identify(&document).await?,
                    _ => self.authenticate(&document).await?,
                }
                self.line_begins();
                Ok(Progress::More)
            }
            Reading::Message { .. } => self.read_message().await,
            Reading::Upload { .. } => self.read_upload().await,
            Reading::Batch { .. } => self.read_batch().await,
        }
    }

    fn line_begins(&mut self) {
        self.input.new_line = true;
        self.input.reading = Reading::Line;
    }

    fn read_magic(&mut self) -> Result<Progress, Stop> {
        let Some(magic) = self.input.buffer.first_chunk::<4>() else {
            return Ok(Progress::NeedsInput);
        };
        if magic != MAGIC {
            self.broker.engine.counters.bad_magic.fetch_add(1, Relaxed);
            return Err(Stop::bare(ErrorCode::BadProtocol));
        }
        self.input.buffer.advance(4);
        self.input.reading = Reading::Line;
        self.start_heartbeats();
        Ok(Progress::More)
    }

    /// Takes the `FIN`s at the front of the buffer: those of a busy consumer come in rows, all of one shape. Whether there were any.
    async fn read_finishes(&mut self) -> Result<bool, Stop> {
        if finish_line(&self.input.buffer).is_none()
            || !matches!(
                self.client.state(),
                ClientState::Subscribed | ClientState::Closing
            )
        {
            return Ok(false);
        }
        self.close_published().await?;
        let most = self.input.buffer.len().min(super::TURN_BYTES);
        let mut lines = &self.input.buffer[..most];
        while let Some((id, rest)) = finish_line(lines) {
            self.finished.push(id);
            lines = rest;
        }
        let taken = most - lines.len();
        self.input.buffer.advance(taken);
        self.line_begins();
        Ok(true)
    }

    async fn read_line(&mut self) -> Result<Progress, Stop> {
        if self.read_finishes().await? {
            return Ok(Progress::More);
        }
        let (command, consumed) = match parse_line(&self.input.buffer) {
            Line::Incomplete => return Ok(Progress::NeedsInput),
            Line::TooLong => return Err(Stop::Silent),
            Line::Complete { command, consumed } => (command, consumed),
        };
        let context = Context {
            state: self.client.state(),
            heartbeats: self.negotiated.deadline_base.is_some(),
            tls_first: self.security.tls.is_some() && self.tls_first(),
            options: &self.broker.options,
            last_topic: self.publishing.last_topic(),
        };
        let action = interpret(command, &context)?;
        self.input.buffer.advance(consumed);
        self.act(action).await?;
        Ok(Progress::More)
    }

    async fn act(&mut self, action: Action) -> Result<(), Stop> {
        match action {
            Action::Publish(verb, topic, delay) => {
                self.close_finished();
                self.input.reading = Reading::Size(Body::Message { verb, topic, delay });
                return Ok(());
            }
            Action::PublishMany(topic) => {
                self.close_batches().await?;
                self.may_publish(Verb::PublishMany, &topic).await?;
                let topic = self.publish_topic(Verb::PublishMany, &topic).await?;
                self.input.reading = Reading::Size(Body::Batch(topic));
                return Ok(());
            }
            Action::Finish(id) => {
                self.close_published().await?;
                self.finished.push(id);
            }
            other => {
                self.close_batches().await?;
                self.act_alone(other).await?;
            }
        }
        if matches!(self.input.reading, Reading::Line) {
            self.line_begins();
        }
        Ok(())
    }

    async fn act_alone(&mut self, action: Action) -> Result<(), Stop> {
        match action {
            Action::Identify => self.input.reading = Reading::Size(Body::Identify),
            Action::Authenticate => self.input.reading = Reading::Size(Body::Authenticate),
            Action::Subscribe(topic, channel) => self.subscribe(&topic, &channel).await?,
            Action::Ready(count) => self.set_ready(count),
            Action::Requeue(id, delay) => self.requeue(id, delay).await,
            Action::Touch(id) => self.touch(id),
            Action::StartClose => {
                self.stop_delivery();
                self.output.frame(FrameType::Response, CLOSE_WAIT);
            }
            Action::Nothing | Action::Finish(_) | Action::Publish(..) | Action::PublishMany(_) => {}
        }
        Ok(())
    }

    /// The length that follows a line. Its bounds and its error texts are those of the command.
    fn read_size(&mut self) -> Result<Progress, Stop> {
        let Some(size) = body_size(&self.input.buffer) else {
            return Ok(Progress::NeedsInput);
        };
        self.input.buffer.advance(4);
        let Reading::Size(body) = std::mem::replace(&mut self.input.reading, Reading::Line) else {
            return Ok(Progress::More);
        };
        let options = &self.broker.options;
        let invalid = |code, command: &str, what: &str| {
            Stop::error(code, format!("{command} invalid {what} size {size}"))
        };
        let too_big = |code, command: &str, what: &str, max: i64| {
            let text = format!("{command} {what} too big {size} > {max}");
            let stop = Stop::error(code, text);
            // Those of publishes only: the others are not messages.
            match command {
                "IDENTIFY" | "AUTH" => stop,
                _ => stop.refusing(PublishError::TooBig),
            }
        };
        let length = usize::try_from(size).ok().filter(|&n| n > 0);
        self.input.reading = match body {
            Body::Identify | Body::Authenticate => {
                let command = if matches!(body, Body::Identify) {
                    "IDENTIFY"
                } else {
                    "AUTH"
                };
                if i64::from(size) > options.max_body_size {
                    return Err(too_big(
                        ErrorCode::BadBody,
                        command,
                        "body",
                        options.max_body_size,
                    ));
                }
                Reading::Document(
                    body,
                    length.ok_or_else(|| invalid(ErrorCode::BadBody, command, "body"))?,
                )
            }
            Body::Message { verb, topic, delay } => {
                let command = verb.as_str();
                let size_ok =
                    length.ok_or_else(|| invalid(ErrorCode::BadMessage, command, "message body"))?;
                if i64::from(size) > options.max_msg_size {
                    return Err(too_big(
                        ErrorCode::BadMessage,
                        command,
                        "message",
                        options.max_msg_size,
                    ));
                }
                Reading::Message {
                    verb,
                    topic,
                    delay,
                    size: size_ok,
                }
            }
            Body::Batch(topic) => {
                let length = length.ok_or_else(|| invalid(ErrorCode::BadBody, "MPUB", "body"))?;
                if i64::from(size) > options.max_body_size {
                    return Err(too_big(ErrorCode::BadBody, "MPUB", "body", options.max_body_size));
                }
                let limits = batch_limits(options);
                // The declared length is not compared with what follows, but it must not open the door to any amount.
                let most = length.max(usize::try_from(options.max_body_size).unwrap_or(usize::MAX));
                // Bodies that grow piece by piece would be moved, and leave room behind.
                self.publishing.builder().reserve(length.min(MAX_TRUST));
                Reading::Batch {
                    topic,
                    decoder: BatchDecoder::new(limits),
                    most,
                }
            }
        };
        Ok(Progress::More)
    }

    async fn read_message(&mut self) -> Result<Progress, Stop> {
        let Input { buffer, reading, .. } = &mut self.input;
        let Reading::Message { size, .. } = reading else {
            return Ok(Progress::More);
        };
        let size = *size;
        if buffer.len() < size && size < DIRECT_READ {
            return Ok(Progress::NeedsInput);
        }
        let Reading::Message {
            verb, topic, delay, ..
        } = std::mem::take(reading)
        else {
            return Ok(Progress::More);
        };
        self.open_publish(&topic, delay).await?;
        if self.input.buffer.len() >= size {
            self.may_publish(verb, &topic).await?;
        }
        if let Some(body) = self.input.buffer.get(..size) {
            self.publishing.add(verb, topic, delay, body);
            self.input.buffer.advance(size);
            self.line_begins();
            return Ok(Progress::More);
        }
        // The rest of it is read straight into the builder, where it is alone.
        self.close_published().await?;
        let builder = self.publishing.builder();
        builder.reserve(size.min(MAX_TRUST));
        builder.begin(size);
        self.input.reading = Reading::Upload {
            verb,
            topic,
            delay,
            missing: size,
        };
        Ok(Progress::More)
    }

    async fn read_upload(&mut self) -> Result<Progress, Stop> {
        let Input { buffer, reading, .. } = &mut self.input;
        let Reading::Upload { missing, .. } = reading else {
            return Ok(Progress::More);
        };
        let n = (*missing).min(buffer.len());
        self.publishing.builder().extend(&buffer[..n]);
        buffer.advance(n);
        *missing -= n;
        if *missing > 0 {
            return Ok(Progress::NeedsInput);
        }
        if let Reading::Upload {
            verb, topic, delay, ..
        } = std::mem::take(reading)
        {
            if let Err(stop) = self.may_publish(verb, &topic).await {
                self.publishing.builder().clear();
                return Err(stop);
            }
            self.publishing.uploaded(verb, topic, delay);
        }
        self.line_begins();
        Ok(Progress::More)
    }

    async fn read_batch(&mut self) -> Result<Progress, Stop> {
        let Input { buffer, reading, .. } = &mut self.input;
        let Reading::Batch { topic, decoder, most } = reading else {
            return Ok(Progress::More);
        };
        let builder = self.publishing.builder();
        let (taken, step) = decoder.step(buffer, builder);
        buffer.advance(taken);
        let (bytes, most) = (builder.bytes(), *most);
        if bytes > most {
            return Err(
                Stop::error(ErrorCode::BadBody, format!("MPUB body too big {bytes} > {most}"))
                    .refusing(PublishError::TooBig),
            );
        }
        match step {
            BatchStep::More => Ok(Progress::NeedsInput),
            BatchStep::Refused(error) => Err(refused(error, self.broker.options.max_msg_size)),
            BatchStep::Done => {
                let topic = topic.clone();
                self.publishing.uploaded_batch(topic);
                self.line_begins();
                self.close_published().await?;
                Ok(Progress::More)
            }
        }
    }

    /// Why the connection ends when nothing more comes: in the middle of a body that is said.
    pub(super) fn unread(&self) -> Stop {
        let message = |verb: Verb, what: &str| {
            Stop::error(
                ErrorCode::BadMessage,
                format!("{} failed to read message body{what}", verb.as_str()),
            )
        };
        let document = |body: &Body, what: &str| {
            let command = if matches!(body, Body::Identify) {
                "IDENTIFY"
            } else {
                "AUTH"
            };
            Stop::error(ErrorCode::BadBody, format!("{command} failed to read body{what}"))
        };
        match &self.input.reading {
            Reading::Magic | Reading::Line => Stop::Silent,
            Reading::Size(Body::Message { verb, .. }) => message(*verb, " size"),
            Reading::Size(Body::Batch(_)) => Stop::error(ErrorCode::BadBody, "MPUB failed to read body size"),
            Reading::Size(body) => document(body, " size"),
            Reading::Document(body, _) => document(body, ""),
            Reading::Message { verb, .. } | Reading::Upload { verb, .. } => message(*verb, ""),
            Reading::Batch { decoder, .. } => {
                let code = if decoder.at_count() {
                    ErrorCode::BadBody
                } else {
                    ErrorCode::BadMessage
                };
                Stop::error(code, format!("MPUB {}", decoder.unread()))
            }
        }
    }
}

fn batch_limits(options: &crate::options::Options) -> BatchLimits {
    BatchLimits {
        max_count: (options.max_body_size - 4) / 5,
        max_size: options.max_msg_size,
    }
}

fn refused(error: BatchError, max_msg_size: i64) -> Stop {
    match error {
        BatchError::Count(n) => Stop::error(ErrorCode::BadBody, format!("MPUB invalid message count {n}")),
        BatchError::Size { index, size } => Stop::error(
            ErrorCode::BadMessage,
            format!("MPUB invalid message({index}) body size {size}"),
        ),
        BatchError::TooBig(size) => Stop::error(
            ErrorCode::BadMessage,
            format!("MPUB message too big {size} > {max_msg_size}"),
        )
        .refusing(PublishError::TooBig),
    }
}
