//! The nsqlookupds of this nsqd: they are told what exists here, and asked which channels a new topic should have.

mod peer;
pub mod registrar;

use crate::broker::{Broker, ChannelSource};
use nsq_http_api::client::{Client, authority};
use nsq_http_api::lookupd::Channels;
use nsq_protocol::v1::PeerInfo;
use nsq_protocol::{ChannelName, TopicName};
use nsq_service::http::encode_component;
use parking_lot::Mutex;
use peer::Peer;
pub use peer::Standing;
use registrar::{Registration, Wanted};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Weak};

/// Most names that are taken from one answer.
const MAX_CHANNELS: usize = 100_000;

/// Most nsqlookupds whose standing is shown.
const MAX_SHOWN: usize = 64;

/// All nsqlookupds, in the order in which they were named.
pub struct Lookup {
    broker: Weak<Broker>,
    identity: PeerInfo,
    http: Client,
    max_answer: usize,
    peers: Mutex<Vec<Arc<Peer>>>,
}

impl Lookup {
    /// Connects to every address in tasks of the broker's tracker. `identity` is what they are told of this
    /// nsqd; `http` asks their HTTP APIs.
    #[must_use]
    pub fn start(
        broker: &Arc<Broker>,
        identity: PeerInfo,
        addresses: Vec<String>,
        http: Client,
    ) -> Arc<Self> {
        let options = &broker.options;
        let lookup = Arc::new(Self {
            broker: Arc::downgrade(broker),
            identity,
            http,
            max_answer: usize::try_from(options.max_body_size).unwrap_or(usize::MAX),
            peers: Mutex::default(),
        });
        lookup.set_addresses(addresses);
        lookup
    }

    /// The addresses in force.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.peers.lock().iter().map(|p| p.address.clone()).collect()
    }

    /// Connects to what is new, disconnects from what is no longer named, leaves the rest alone.
    pub fn set_addresses(self: &Arc<Self>, addresses: Vec<String>) {
        let mut peers = self.peers.lock();
        let old = std::mem::take(&mut *peers);
        for address in addresses {
            if peers.iter().any(|p| p.address == address) {
                continue;
            }
            let known = old.iter().find(|p| p.address == address).cloned();
            peers.push(known.unwrap_or_else(|| self.add(address)));
        }
        old.iter()
            .filter(|p| !peers.iter().any(|kept| Arc::ptr_eq(kept, p)))
            .for_each(|p| p.remove());
    }

    fn add(self: &Arc<Self>, address: String) -> Arc<Peer> {
        let peer = Arc::new(Peer::new(address, self.max_answer));
        if let Some(broker) = self.broker.upgrade() {
            let (lookup, running, tasks) = (self.clone(), peer.clone(), broker.engine.tasks.clone());
            let changes = broker.changes();
            broker.engine.tasks.spawn(async move {
                let wanted = || lookup.wanted();
                tokio::select! {
                    () = running.run(&lookup.identity, wanted, changes) => {}
                    () = running.removed() => {}
                    () = tasks.stopping() => {}
                }
            });
        }
        peer
    }

    fn wanted(&self) -> Wanted {
        let Some(broker) = self.broker.upgrade() else {
            return Wanted::new();
        };
        let mut wanted = Wanted::new();
        for topic in broker.topics() {
            if topic.is_exiting() {
                continue;
            }
            for channel in topic.channels().iter().filter(|c| !c.is_exiting()) {
                let registration = Registration::Channel(topic.name().clone(), channel.name().clone());
                wanted.insert(registration, channel.incarnation());
            }
            wanted.insert(Registration::Topic(topic.name().clone()), topic.incarnation());
        }
        wanted
    }

    /// How it stands with each of them, at most 64.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        let peers = self.peers.lock();
        let shown = peers.iter().take(MAX_SHOWN);
        shown.map(|peer| peer.standing()).collect()
    }

    /// Whether every nsqlookupd is connected and has said where its HTTP API is.
    #[must_use]
    pub fn all_identified(&self) -> bool {
        self.peers.lock().iter().all(|p| p.info().is_some())
    }

    /// Topics that the nsqlookupds know, not ephemeral, sorted. `None` when none of them answered.
    pub async fn ask_for_topics(&self) -> Option<Vec<TopicName>> {
        let known: Vec<_> = self.peers.lock().iter().filter_map(|p| p.info()).collect();
        let mut names = BTreeSet::new();
        let mut answered = false;
        for info in known {
            match self
                .http
                .lookupd_topics(&authority(&info.broadcast_address, info.http_port))
                .await
            {
                Ok(answer) => {
                    answered = true;
                    names.extend(
                        answer
                            .topics
                            .iter()
                            .filter_map(|name| TopicName::parse(name.as_bytes()).ok()),
                    );
                }
                Err(e) => tracing::warn!("failed to query nsqlookupd for topics - {e}"),
            }
        }
        names.retain(|name| !name.is_ephemeral());
        answered.then(|| names.into_iter().collect())
    }

    async fn ask_for_channels(&self, topic: &TopicName) -> Vec<ChannelName> {
        let peers = self.peers.lock().clone();
        if peers.is_empty() {
            return Vec::new();
        }
        let known: Vec<_> = peers.iter().filter_map(|p| p.info()).collect();
        if known.is_empty() {
            tracing::error!("no available nsqlookupd to query for channels to pre-create for topic {topic}");
            return Vec::new();
        }
        let path = format!("/channels?topic={}", encode_component(topic.as_str()));
        let asked = known.iter().map(|info| {
            let path = &path;
            async move {
                let address = authority(&info.broadcast_address, info.http_port);
                self.http.get::<Channels>(&address, path).await
            }
        });
        let mut names = BTreeSet::new();
        for answer in futures_util::future::join_all(asked).await {
            match answer {
                Ok(answer) => names.extend(answer.channels.into_iter().take(MAX_CHANNELS)),
                Err(e) => tracing::warn!(
                    "failed to query nsqlookupd for channels to pre-create for topic {topic} - {e}"
                ),
            }
        }
        let names = names
            .iter()
            .filter_map(|name| ChannelName::parse(name.as_bytes()).ok());
        names.filter(|name| !name.is_ephemeral()).collect()
    }
}

impl ChannelSource for Lookup {
    fn channels_of<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> Pin<Box<dyn Future<Output = Vec<ChannelName>> + Send + 'a>> {
        Box::pin(self.ask_for_channels(topic))
    }
}
