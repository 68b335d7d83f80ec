//! Streams of nsqds that tell by themselves what changed (console spec 4.1, 5.4): one for each, with growing pauses after it ended.
//! While one lasts its node is not polled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nsq_http_api::client::Event;
use nsq_http_api::since::Changes;
use nsq_service::clock::Clock;
use nsq_service::tasks::Tasks;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::upstream::{Upstream, Weight};

/// Events that wait to be taken; a slow taker holds the streams back, and nsqd merges what it could not send.
const WAITING: usize = 16;
/// Pauses after a stream ended.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);

/// What came of a node, by its address.
pub(super) enum Told {
    /// With what it cost.
    Changes(String, Box<Changes>, Weight),
    /// Something happened.
    Notice(String),
    /// It tells nothing more: it has to be asked again.
    Ended(String),
}

/// All streams.
pub(super) struct Feeds {
    upstream: Arc<Upstream>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    tell: mpsc::Sender<Told>,
    pub(super) told: mpsc::Receiver<Told>,
    /// The end of the task, and whether changes came since the stream began.
    running: HashMap<String, (oneshot::Sender<()>, bool)>,
}

impl Feeds {
    pub(super) fn new(upstream: Arc<Upstream>, clock: Arc<dyn Clock>, tasks: Tasks) -> Self {
        let (tell, told) = mpsc::channel(WAITING);
        Self {
            upstream,
            clock,
            tasks,
            tell,
            told,
            running: HashMap::new(),
        }
    }

    /// Listens to these and to nobody else.
    pub(super) fn listen_to(&mut self, nsqds: &[String], interval: Duration) {
        // the task of one that is dropped ends
        self.running.retain(|address, _| nsqds.contains(address));
        for address in nsqds {
            if self.running.contains_key(address) {
                continue;
            }
            let (end, ended) = oneshot::channel();
            self.running.insert(address.clone(), (end, false));
            let feed = Feed {
                address: address.clone(),
                upstream: Arc::clone(&self.upstream),
                clock: Arc::clone(&self.clock),
                tell: self.tell.clone(),
            };
            let tasks = self.tasks.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    () = feed.run(interval) => {}
                    // also if the sender is gone
                    _ = ended => {}
                    () = tasks.stopping() => {}
                }
            });
        }
    }

    /// It tells by itself.
    pub(super) fn is_live(&self, address: &str) -> bool {
        self.running.get(address).is_some_and(|(_, is_live)| *is_live)
    }

    /// Whether it tells by itself from now on. Of one that nobody listens to any more nothing is known.
    pub(super) fn mark(&mut self, address: &str, is_live: bool) -> bool {
        let known = self.running.get_mut(address);
        known.map(|(_, own)| *own = is_live).is_some()
    }
}

/// One of them.
struct Feed {
    address: String,
    upstream: Arc<Upstream>,
    clock: Arc<dyn Clock>,
    tell: mpsc::Sender<Told>,
}

impl Feed {
    /// Stream after stream, forever.
    async fn run(self, interval: Duration) {
        let mut pause = SHORTEST;
        loop {
            let (taker, mut events) = mpsc::channel(1);
            let mut has_told = false;
            let listening = self.upstream.events_of(&self.address, interval, &taker);
            tokio::pin!(listening);
            loop {
                tokio::select! {
                    biased;
                    Some(event) = events.recv() => {
                        let Some(told) = self.read(&event) else { break };
                        has_told = true;
                        if self.tell.send(told).await.is_err() {
                            return;
                        }
                    }
                    _ = &mut listening => break,
                }
            }
            if self.tell.send(Told::Ended(self.address.clone())).await.is_err() {
                return;
            }
            // one that told something is worth another try soon
            pause = if has_told {
                SHORTEST
            } else {
                (pause * 2).min(LONGEST)
            };
            sleep(pause).await;
        }
    }

    /// None for something that is not understood: the stream is given up then.
    fn read(&self, event: &Event) -> Option<Told> {
        match event.name.as_str() {
            "snapshot" | "update" => {
                let (changes, weight) = self.parse(&event.data)?;
                Some(Told::Changes(self.address.clone(), Box::new(changes), weight))
            }
            // its text is for people; the numbers say what it is about
            _ => Some(Told::Notice(self.address.clone())),
        }
    }

    fn parse(&self, data: &Bytes) -> Option<(Changes, Weight)> {
        let began = self.clock.monotonic();
        let parsed = serde_json::from_slice(data);
        let weight = Weight {
            bytes: data.len(),
            parsing: self.clock.monotonic().saturating_sub(began),
        };
        match parsed {
            Ok(changes) => Some((changes, weight)),
            Err(error) => {
                tracing::warn!("CI: event of nsqd {}: {error}", self.address);
                None
            }
        }
    }
}
