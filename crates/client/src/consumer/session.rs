//! The subscription of a consumer at one nsqd.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use nsq_protocol::v2::encode;
use nsq_protocol::{ChannelName, MessageId, TopicName};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::backoff::Outcomes;
use super::{Delivery, Origin, Retry};
use crate::connection::{Connection, Message, Reply};
use crate::{Config, Error};

/// Answers that wait to be written, per connection; more callers wait in `finish`.
const MAX_ANSWERS: usize = 256;

/// What a reader does with a message.
#[derive(Debug)]
pub(super) enum Answer {
    Finish(MessageId),
    Requeue(MessageId, Duration),
    /// With the deliveries so far.
    Fail(MessageId, u16),
    Touch(MessageId),
}

impl Answer {
    fn encode(&self, retry: &Retry, out: &mut Vec<u8>) {
        match self {
            Self::Finish(id) => encode::finish(out, *id),
            Self::Requeue(id, delay) => requeue(out, *id, *delay),
            Self::Fail(id, attempts) => {
                let delay = retry.requeue_delay.saturating_mul(u32::from(*attempts));
                requeue(out, *id, delay.min(retry.max_requeue_delay));
            }
            Self::Touch(id) => encode::touch(out, *id),
        }
    }

    const fn ends_flight(&self) -> bool {
        !matches!(self, Self::Touch(_))
    }
}

fn requeue(out: &mut Vec<u8>, id: MessageId, delay: Duration) {
    encode::requeue(out, id, delay.as_millis().try_into().unwrap_or(u64::MAX));
}

/// What a session is given.
pub(super) struct Session {
    pub(super) address: String,
    pub(super) topic: TopicName,
    pub(super) channel: ChannelName,
    pub(super) config: Config,
    pub(super) retry: Retry,
    pub(super) outcomes: Arc<Outcomes>,
    /// Of the consumer in this process, for the log.
    pub(super) id: u64,
    pub(super) deliveries: mpsc::Sender<Delivery>,
    /// This connection's share of the window.
    pub(super) ready: watch::Receiver<u32>,
    pub(super) stop: watch::Receiver<bool>,
    /// Told once, when `SUB` was accepted.
    pub(super) subscribed: mpsc::Sender<String>,
}

/// A subscribed connection.
struct Open {
    connection: Connection,
    origin: Arc<Origin>,
    retry: Retry,
    outcomes: Arc<Outcomes>,
    answers: mpsc::Sender<Answer>,
    answered: mpsc::Receiver<Answer>,
    /// Read, and waiting for a place among the deliveries. While one waits no more is read.
    held: Option<Message>,
    in_flight: u32,
    heard: Instant,
    closing: bool,
    /// The daemon has answered CLS.
    may_close: bool,
}

impl Session {
    /// Connects, subscribes and delivers until the connection ends; `Ok` if it was told to stop.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let mut connection = Connection::connect(&self.address, &self.config).await?;
        let mut out = Vec::new();
        encode::subscribe(&mut out, &self.topic, &self.channel);
        connection.send(&out).await?;
        let limit = self.config.command_timeout;
        let late = |_| Error::TimedOut {
            address: self.address.clone(),
            asked: "SUB",
            limit,
        };
        timeout(limit, connection.response("SUB")).await.map_err(late)??;
        // The manager is gone only when this task ends too.
        let _ = self.subscribed.send(self.address.clone()).await;

        let (answers, answered) = mpsc::channel(MAX_ANSWERS);
        let origin = Arc::new(Origin {
            address: self.address.clone(),
            ready: AtomicU32::new(0),
        });
        let mut open = Open {
            connection,
            origin,
            retry: self.retry.clone(),
            outcomes: Arc::clone(&self.outcomes),
            answers,
            answered,
            held: None,
            in_flight: 0,
            heard: Instant::now(),
            closing: false,
            may_close: false,
        };
        self.ready.mark_changed();
        // Messages that the daemon sent before it read CLS come before its answer: whoever leaves earlier leaves them in flight
        // there until their time-out.
        while !(open.closing && open.may_close && open.in_flight == 0) {
            self.turn(&mut open).await?;
        }
        Ok(())
    }

    /// Finishes a message that came too often.
    async fn within_attempts(&self, reply: Reply, open: &mut Open) -> Result<Option<Reply>, Error> {
        let max = self.retry.max_attempts;
        match reply {
            Reply::Message(message) if max > 0 && message.attempts > max => {
                tracing::warn!(
                    id = self.id,
                    topic = self.topic.as_str(),
                    channel = self.channel.as_str(),
                    "msg {} attempted {} times, giving up",
                    message.id,
                    message.attempts
                );
                let mut out = Vec::new();
                encode::finish(&mut out, message.id);
                open.connection.send(&out).await?;
                Ok(None)
            }
            other => Ok(Some(other)),
        }
    }

    /// Hands the message out that waits for it; false if there is no place.
    fn deliver_held(&self, open: &mut Open) -> bool {
        if open.held.is_none() {
            return true;
        }
        let Ok(place) = self.deliveries.try_reserve() else {
            return false;
        };
        if let Some(message) = open.held.take() {
            place.send(open.delivery(message));
        }
        true
    }

    /// One event.
    async fn turn(&mut self, open: &mut Open) -> Result<(), Error> {
        let silent = open.heard + self.config.silence();
        let closing = open.closing;
        tokio::select! {
            reply = open.connection.read(), if open.held.is_none() => {
                let mut next = Some(reply?);
                while let Some(reply) = next {
                    if let Some(reply) = self.within_attempts(reply, open).await? {
                        open.take(reply).await?;
                    }
                    next = match self.deliver_held(open) {
                        true => open.connection.read_buffered()?,
                        false => None,
                    };
                }
            }
            place = self.deliveries.reserve(), if open.held.is_some() => match (place, open.held.take()) {
                (Ok(place), Some(message)) => place.send(open.delivery(message)),
                // Nobody reads any more: somebody else shall have it.
                (Err(_), Some(message)) => open.answer(Answer::Requeue(message.id, Duration::ZERO)).await?,
                (_, None) => {}
            },
            Some(answer) = open.answered.recv() => open.answer(answer).await?,
            Ok(()) = self.ready.changed(), if !closing => {
                let count = (*self.ready.borrow_and_update()).min(open.connection.negotiated().max_rdy_count);
                let mut out = Vec::new();
                encode::ready(&mut out, count);
                open.origin.ready.store(count, Relaxed);
                open.connection.send(&out).await?;
            }
            () = told_to_stop(&mut self.stop), if !closing => {
                open.closing = true;
                let mut out = Vec::new();
                encode::start_close(&mut out);
                open.connection.send(&out).await?;
            }
            () = sleep_until(silent), if open.held.is_none() => {
                let why = format!("nothing heard for {:?}", self.config.silence());
                return Err(Error::Lost { address: self.address.clone(), why });
            }
        }
        Ok(())
    }
}

impl Open {
    async fn take(&mut self, reply: Reply) -> Result<(), Error> {
        self.heard = Instant::now();
        match reply {
            Reply::Heartbeat => self.connection.nop().await,
            // CLOSE_WAIT: what is in flight may still be answered.
            Reply::Response(text) => {
                self.may_close |= text.as_ref() == b"CLOSE_WAIT";
                Ok(())
            }
            // A late FIN is no reason to part: the daemon leaves the connection open.
            Reply::Error(text)
                if text.starts_with("E_FIN") || text.starts_with("E_REQ") || text.starts_with("E_TOUCH") =>
            {
                Ok(())
            }
            Reply::Error(text) => Err(Error::Refused {
                address: self.connection.address().to_owned(),
                asked: "a command",
                text,
            }),
            Reply::Message(message) => {
                self.in_flight += 1;
                self.held = Some(message);
                Ok(())
            }
        }
    }

    fn delivery(&self, message: Message) -> Delivery {
        Delivery {
            message,
            origin: Arc::clone(&self.origin),
            answers: self.answers.clone(),
        }
    }

    /// Writes this answer and those that wait behind it.
    async fn answer(&mut self, first: Answer) -> Result<(), Error> {
        let mut out = Vec::new();
        let mut next = Some(first);
        while let Some(answer) = next {
            answer.encode(&self.retry, &mut out);
            let ended = u32::from(answer.ends_flight());
            self.in_flight = self.in_flight.saturating_sub(ended);
            match answer {
                Answer::Finish(_) => self.outcomes.success(),
                Answer::Fail(..) => self.outcomes.failure(),
                Answer::Requeue(..) | Answer::Touch(_) => {}
            }
            next = self.answered.try_recv().ok();
        }
        self.connection.send(&out).await
    }
}

/// Returns when the consumer closes, or is gone.
pub(super) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
