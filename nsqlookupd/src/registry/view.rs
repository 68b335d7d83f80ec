//! What the registry answers to questions. Lists are sorted.

use nsq_http_api::lookupd;
use serde::Serialize;

use super::{Now, Producer, ProducerId, Registry, Topic};

/// What the reference shows as the time of a tombstone that never was.
const NEVER: i64 = -6_795_364_578_871_345_152;

/// One producer of a registration as `/debug` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DebugProducer {
    /// `ip:port` of its connection.
    pub id: String,
    /// Host name of its machine.
    pub hostname: String,
    /// Announced host name or address.
    pub broadcast_address: String,
    /// Announced port of the TCP protocol.
    pub tcp_port: i64,
    /// Announced port of the HTTP API.
    pub http_port: i64,
    /// Its version.
    pub version: String,
    /// May be empty.
    pub topology_zone: String,
    /// May be empty.
    pub topology_region: String,
    /// Unix nanoseconds of the last IDENTIFY or PING.
    pub last_update: i64,
    /// It got a tombstone here, which may have expired.
    pub tombstoned: bool,
    /// Unix nanoseconds of the tombstone.
    pub tombstoned_at: i64,
}

/// How much there is in a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Identified connections.
    pub producers: usize,
    /// Those of them that are hidden for their silence.
    pub inactive_producers: usize,
    /// Topics.
    pub topics: usize,
    /// Channels of all topics.
    pub channels: usize,
    /// Producers of topics that a tombstone hides.
    pub tombstones: usize,
}

impl Registry {
    /// All topics.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.topics.keys().map(ToString::to_string).collect()
    }

    /// All channels of a topic; none if the topic is unknown.
    #[must_use]
    pub fn channels(&self, topic: &str) -> Vec<String> {
        let Some(entry) = self.topics.get(topic) else {
            return Vec::new();
        };
        entry.channels.keys().map(ToString::to_string).collect()
    }

    /// Channels of a topic and the producers that consumers should connect to: active and not tombstoned. None if
    /// the topic is unknown.
    #[must_use]
    pub fn lookup(&self, topic: &str, now: Now) -> Option<lookupd::Lookup> {
        let entry = self.topics.get(topic)?;
        let visible = entry
            .producers
            .iter()
            .filter(|(_, tombstone)| !self.is_tombstoned(**tombstone, now));
        let producers = visible
            .filter_map(|(id, _)| self.producers.get(id))
            .filter(|producer| self.is_active(producer, now))
            .map(Producer::to_api)
            .collect();
        Some(lookupd::Lookup {
            channels: self.channels(topic),
            producers,
        })
    }

    /// All active producers with their topics; a tombstone does not hide one here.
    #[must_use]
    pub fn nodes(&self, now: Now) -> lookupd::Nodes {
        let active = self
            .producers
            .iter()
            .filter(|(_, producer)| self.is_active(producer, now));
        let producers = active.map(|(id, producer)| {
            let of_producer = self.topics.iter().filter_map(|(name, topic)| {
                topic
                    .producers
                    .get(id)
                    .map(|tombstone| (self.is_tombstoned(*tombstone, now), name.to_string()))
            });
            let (tombstones, topics) = of_producer.unzip();
            lookupd::Node {
                producer: producer.to_api(),
                tombstones,
                topics,
            }
        });
        lookupd::Nodes {
            producers: producers.collect(),
        }
    }

    /// How much there is. Walks all producers of all topics.
    #[must_use]
    pub fn sizes(&self, now: Now) -> Sizes {
        let hidden = |topic: &Topic| {
            let tombstones = topic.producers.values();
            tombstones
                .filter(|tombstone| self.is_tombstoned(**tombstone, now))
                .count()
        };
        let active = self
            .producers
            .values()
            .filter(|producer| self.is_active(producer, now));
        Sizes {
            producers: self.producers.len(),
            inactive_producers: self.producers.len() - active.count(),
            topics: self.topics.len(),
            channels: self.topics.values().map(|topic| topic.channels.len()).sum(),
            tombstones: self.topics.values().map(hidden).sum(),
        }
    }

    /// Every registration that has producers, hidden ones too, under `<category>:<key>:<subkey>`.
    #[must_use]
    pub fn debug(&self) -> Vec<(String, Vec<DebugProducer>)> {
        let clients = self
            .producers
            .values()
            .map(|producer| producer.to_debug(None))
            .collect();
        let mut all = vec![("client::".to_owned(), clients)];
        for (name, topic) in &self.topics {
            for (channel, members) in &topic.channels {
                all.push((
                    format!("channel:{name}:{channel}"),
                    self.debug_list(members.iter().map(|id| (id, None))),
                ));
            }
            all.push((format!("topic:{name}:"), self.debug_topic(topic)));
        }
        all.retain(|(_, producers): &(String, Vec<DebugProducer>)| !producers.is_empty());
        all
    }

    fn debug_topic(&self, topic: &Topic) -> Vec<DebugProducer> {
        self.debug_list(topic.producers.iter().map(|(id, tombstone)| (id, *tombstone)))
    }

    fn debug_list<'a>(
        &self,
        members: impl Iterator<Item = (&'a ProducerId, Option<Now>)>,
    ) -> Vec<DebugProducer> {
        members
            .filter_map(|(id, tombstone)| Some(self.producers.get(id)?.to_debug(tombstone)))
            .collect()
    }

    fn is_active(&self, producer: &Producer, now: Now) -> bool {
        now.since(producer.last_update) <= self.policy.inactive_producer_timeout
    }

    fn is_tombstoned(&self, tombstone: Option<Now>, now: Now) -> bool {
        tombstone.is_some_and(|since| now.since(since) < self.policy.tombstone_lifetime)
    }
}

impl Producer {
    fn to_api(&self) -> lookupd::Producer {
        lookupd::Producer {
            remote_address: self.remote_address.clone(),
            hostname: self.info.hostname.clone(),
            broadcast_address: self.info.broadcast_address.clone(),
            tcp_port: self.info.tcp_port,
            http_port: self.info.http_port,
            version: self.info.version.clone(),
            topology_zone: self.info.topology_zone.clone(),
            topology_region: self.info.topology_region.clone(),
        }
    }

    fn to_debug(&self, tombstone: Option<Now>) -> DebugProducer {
        DebugProducer {
            id: self.remote_address.clone(),
            hostname: self.info.hostname.clone(),
            broadcast_address: self.info.broadcast_address.clone(),
            tcp_port: self.info.tcp_port,
            http_port: self.info.http_port,
            version: self.info.version.clone(),
            topology_zone: self.info.topology_zone.clone(),
            topology_region: self.info.topology_region.clone(),
            last_update: self.last_update.unix_nanos,
            tombstoned: tombstone.is_some(),
            tombstoned_at: tombstone.map_or(NEVER, |since| since.unix_nanos),
        }
    }
}
