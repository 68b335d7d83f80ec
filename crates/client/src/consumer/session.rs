//! The subscription of a consumer at one nsqd.

use std::sync::Arc;
use std::time::Duration;

use nsq_protocol::v2::encode;
use nsq_protocol::{ChannelName, MessageId, TopicName};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::Delivery;
use crate::connection::{Connection, Message, Reply};
use crate::{Config, Error};

/// Answers that wait to be written, per connection; more callers wait in `finish`.
const MAX_ANSWERS: usize = 256;

/// What a reader does with a message.
#[derive(Debug)]
pub(super) enum Answer {
    Finish(MessageId),
    Requeue(MessageId, Duration),
    Touch(MessageId),
}

impl Answer {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Finish(id) => encode::finish(out, *id),
            Self::Requeue(id, delay) => {
                encode::requeue(out, *id, delay.as_millis().try_into().unwrap_or(u64::MAX));
            }
            Self::Touch(id) => encode::touch(out, *id),
        }
    }

    const fn ends_flight(&self) -> bool {
        !matches!(self, Self::Touch(_))
    }
}

/// What a session is given.
pub(super) struct Session {
    pub(super) address: String,
    pub(super) topic: TopicName,
    pub(super) channel: ChannelName,
    pub(super) config: Config,
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
    nsqd: Arc<str>,
    answers: mpsc::Sender<Answer>,
    answered: mpsc::Receiver<Answer>,
    /// Read, and waiting for a place among the deliveries. While one waits no more is read.
    held: Option<Message>,
    in_flight: u32,
    heard: Instant,
    closing: bool,
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
        let nsqd = Arc::from(self.address.as_str());
        let mut open = Open {
            connection,
            nsqd,
            answers,
            answered,
            held: None,
            in_flight: 0,
            heard: Instant::now(),
            closing: false,
        };
        self.ready.mark_changed();
        while !(open.closing && open.in_flight == 0) {
            self.turn(&mut open).await?;
        }
        Ok(())
    }

    /// One event.
    async fn turn(&mut self, open: &mut Open) -> Result<(), Error> {
        let silent = open.heard + self.config.silence();
        let closing = open.closing;
        tokio::select! {
            reply = open.connection.read(), if open.held.is_none() => open.take(reply?).await?,
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
            Reply::Response(_) => Ok(()),
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
            nsqd: Arc::clone(&self.nsqd),
            answers: self.answers.clone(),
        }
    }

    /// Writes this answer and those that wait behind it.
    async fn answer(&mut self, first: Answer) -> Result<(), Error> {
        let mut out = Vec::new();
        let mut next = Some(first);
        while let Some(answer) = next {
            answer.encode(&mut out);
            self.in_flight = self.in_flight.saturating_sub(u32::from(answer.ends_flight()));
            next = self.answered.try_recv().ok();
        }
        self.connection.send(&out).await
    }
}

/// Returns when the consumer closes, or is gone.
pub(super) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
