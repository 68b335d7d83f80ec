//! Publishing to one nsqd.

use std::collections::VecDeque;
use std::time::Duration;

use nsq_protocol::TopicName;
use nsq_protocol::v2::encode;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::connection::{Connection, Reply};
use crate::{Config, Error};

/// Publishes that were sent and wait for their `OK`, and as many that wait to be sent. More callers wait in `publish`.
const MAX_OUTSTANDING: usize = 256;

/// Publishes to one nsqd over one connection. Calls may run at the same time: they are sent one behind the other without waiting
/// for the answer of the one before. A lost connection fails the calls that were under way and is made anew by the next call.
#[derive(Debug)]
pub struct Producer {
    address: String,
    limit: Duration,
    requests: mpsc::Sender<Request>,
    // Aborts the task when the producer is dropped.
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Request {
    bytes: Vec<u8>,
    asked: &'static str,
    answer: oneshot::Sender<Result<(), Error>>,
}

impl Producer {
    /// Connects to the TCP address (`host:port`) of an nsqd. Needs a tokio runtime.
    ///
    /// # Errors
    /// Those of [`Connection::connect`].
    pub async fn connect(address: &str, config: Config) -> Result<Self, Error> {
        let connection = Connection::connect(address, &config).await?;
        Ok(Self::start(address, config, Some(Link::new(connection))))
    }

    /// As [`connect`](Self::connect), but the first publish makes the connection, and fails if there is none.
    #[must_use]
    pub fn lazy(address: &str, config: Config) -> Self {
        Self::start(address, config, None)
    }

    fn start(address: &str, config: Config, first: Option<Link>) -> Self {
        let (requests, receiver) = mpsc::channel(MAX_OUTSTANDING);
        let limit = config.command_timeout;
        let mut tasks = JoinSet::new();
        tasks.spawn(run(address.to_owned(), first, config, receiver));
        Self {
            address: address.to_owned(),
            limit,
            requests,
            tasks,
        }
    }

    /// The address it publishes to.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Publishes one message; it is accepted when this returns.
    ///
    /// # Errors
    /// The daemon refused it, or did not answer within the limit; then it may or may not have been accepted.
    pub async fn publish(&self, topic: &TopicName, body: &[u8]) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(body.len() + 80);
        encode::publish(&mut bytes, topic, body);
        self.ask(bytes, "PUB").await
    }

    /// Publishes all messages or none.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_many<B: AsRef<[u8]> + Sync>(
        &self,
        topic: &TopicName,
        bodies: &[B],
    ) -> Result<(), Error> {
        let mut bytes = Vec::new();
        encode::publish_many(&mut bytes, topic, bodies);
        self.ask(bytes, "MPUB").await
    }

    /// Publishes one message that is delivered after `delay` (whole milliseconds, up to the daemon's limit, 1 h by default).
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_deferred(
        &self,
        topic: &TopicName,
        delay: Duration,
        body: &[u8],
    ) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(body.len() + 100);
        encode::publish_deferred(
            &mut bytes,
            topic,
            delay.as_millis().try_into().unwrap_or(u64::MAX),
            body,
        );
        self.ask(bytes, "DPUB").await
    }

    /// Waits for the answers that are under way, at most the command limit, and closes the connection.
    pub async fn close(self) {
        let Self {
            requests,
            mut tasks,
            limit,
            ..
        } = self;
        drop(requests);
        // Past the limit the drop of `tasks` ends the task.
        let _ = timeout(limit, tasks.join_next()).await;
    }

    async fn ask(&self, bytes: Vec<u8>, asked: &'static str) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        let lost = || Error::Lost {
            address: self.address.clone(),
            why: "the producer ended".to_owned(),
        };
        let exchange = async {
            self.requests
                .send(Request { bytes, asked, answer })
                .await
                .map_err(|_| lost())?;
            answered.await.map_err(|_| lost())?
        };
        timeout(self.limit, exchange).await.map_err(|_| Error::TimedOut {
            address: self.address.clone(),
            asked,
            limit: self.limit,
        })?
    }
}

/// A connection and the publishes on it that wait for an answer, oldest first.
struct Link {
    connection: Connection,
    waiting: VecDeque<Request>,
    heard: Instant,
}

impl Link {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            waiting: VecDeque::new(),
            heard: Instant::now(),
        }
    }

    /// Writes the requests in one go and notes that they wait.
    async fn submit(&mut self, batch: &mut Vec<Request>) -> Result<(), Error> {
        let bytes: Vec<u8> = batch.iter().flat_map(|r| r.bytes.iter().copied()).collect();
        for mut request in batch.drain(..) {
            request.bytes = Vec::new();
            self.waiting.push_back(request);
        }
        self.connection.send(&bytes).await
    }

    async fn take(&mut self, reply: Reply) -> Result<(), Error> {
        self.heard = Instant::now();
        let result = match reply {
            Reply::Heartbeat => return self.connection.nop().await,
            Reply::Response(_) => Ok(()),
            Reply::Error(text) => Err(text),
            Reply::Message(_) => return Ok(()),
        };
        // An answer without a question has nobody to go to.
        if let Some(request) = self.waiting.pop_front() {
            let address = self.connection.address().to_owned();
            let result = result.map_err(|text| Error::Refused {
                address,
                asked: request.asked,
                text,
            });
            let _ = request.answer.send(result);
        }
        Ok(())
    }

    fn fail(self, error: &Error) {
        for request in self.waiting {
            let address = self.connection.address().to_owned();
            let _ = request.answer.send(Err(Error::Lost {
                address,
                why: error.to_string(),
            }));
        }
    }
}

/// The task of a producer: ends when the producer is gone and nothing waits.
async fn run(address: String, mut link: Option<Link>, config: Config, mut requests: mpsc::Receiver<Request>) {
    let mut batch = Vec::new();
    loop {
        let Some(mut open) = link.take() else {
            let Some(request) = requests.recv().await else {
                return;
            };
            match Connection::connect(&address, &config).await {
                Ok(connection) => {
                    let mut fresh = Link::new(connection);
                    batch.push(request);
                    match fresh.submit(&mut batch).await {
                        Ok(()) => link = Some(fresh),
                        Err(error) => fresh.fail(&error),
                    }
                }
                Err(error) => drop(request.answer.send(Err(error))),
            }
            continue;
        };
        match turn(&mut open, &config, &mut requests, &mut batch).await {
            Ok(true) => link = Some(open),
            Ok(false) => return,
            Err(error) => open.fail(&error),
        }
    }
}

/// One event of an open link; false when all is done.
async fn turn(
    link: &mut Link,
    config: &Config,
    requests: &mut mpsc::Receiver<Request>,
    batch: &mut Vec<Request>,
) -> Result<bool, Error> {
    let room = MAX_OUTSTANDING - link.waiting.len();
    let silent = link.heard + config.silence();
    let ending = requests.is_closed() && requests.is_empty();
    if ending && link.waiting.is_empty() {
        return Ok(false);
    }
    tokio::select! {
        reply = link.connection.read() => {
            link.take(reply?).await?;
            while let Some(reply) = link.connection.read_buffered()? {
                link.take(reply).await?;
            }
        }
        count = requests.recv_many(batch, room), if room > 0 && !ending => {
            if count > 0 {
                link.submit(batch).await?;
            }
        }
        () = sleep_until(silent) => {
            let why = format!("nothing heard for {:?}", config.silence());
            return Err(Error::Lost { address: link.connection.address().to_owned(), why });
        }
    }
    Ok(true)
}
