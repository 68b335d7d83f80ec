//! Who announced what (nsqlookupd spec 6). Pure: every method that depends on time takes `now`.
//!
//! A producer here is an nsqd connection that identified itself. Three kinds of registrations name producers: the
//! client registration (all of them), topics, and channels of topics. Registrations may be empty and outlive their
//! producers; ephemeral ones go with the last producer that leaves them.
//!
//! Invariants, checked by [`Registry::check`] in property tests: a channel's producers are also producers of its
//! topic; every named producer exists; the counters equal what is counted.

mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use nsq_protocol::name::{ChannelName, TopicName};
use nsq_protocol::v1::PeerInfo;
pub use view::{DebugProducer, Sizes};

/// Registrations that one producer may have: topics plus channels. An nsqd at its limits has some ten thousand.
pub const MAX_REGISTRATIONS_PER_PRODUCER: usize = 200_000;

/// Topics plus channels that are known at all.
pub const MAX_REGISTRATIONS: usize = 1_000_000;

/// A moment on both clocks: wall time is shown, monotonic time is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since 1970.
    pub unix_nanos: i64,
    /// Time that never goes back.
    pub monotonic: Duration,
}

impl Now {
    /// The time from `earlier` to here.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.monotonic.saturating_sub(earlier.monotonic)
    }
}

/// The two time limits of a registry.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// A producer that was not heard of for longer is hidden.
    pub inactive_producer_timeout: Duration,
    /// How long a tombstone hides a producer.
    pub tombstone_lifetime: Duration,
}

/// One connection of an nsqd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub u64);

/// The kind of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// All identified producers.
    Client,
    /// Producers of a topic.
    Topic,
    /// Producers of a channel.
    Channel,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Topic => "topic",
            Self::Channel => "channel",
        })
    }
}

/// A registration is refused because a bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many registrations")]
pub struct Full;

/// What a topic's UNREGISTER took away.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Channels that this producer was in.
    pub channels: Vec<ChannelName>,
    /// It was in the topic.
    pub topic: bool,
}

#[derive(Clone, Debug)]
struct Producer {
    info: PeerInfo,
    remote_address: String,
    last_update: Now,
    registrations: usize,
}

#[derive(Debug, Default)]
struct Topic {
    /// The moment of the tombstone, if the producer ever got one here.
    producers: BTreeMap<ProducerId, Option<Now>>,
    channels: BTreeMap<ChannelName, BTreeSet<ProducerId>>,
}

/// The registrations of one nsqlookupd.
#[derive(Debug)]
pub struct Registry {
    policy: Policy,
    producers: BTreeMap<ProducerId, Producer>,
    topics: BTreeMap<TopicName, Topic>,
    /// Topics plus channels.
    count: usize,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            producers: BTreeMap::new(),
            topics: BTreeMap::new(),
            count: 0,
        }
    }

    /// A connection says who it is. Each connection does so once.
    pub fn identify(&mut self, id: ProducerId, remote_address: String, info: PeerInfo, now: Now) {
        let producer = Producer {
            info,
            remote_address,
            last_update: now,
            registrations: 0,
        };
        self.producers.insert(id, producer);
    }

    /// A sign of life. Yields how long the producer was silent; none before it identified itself.
    pub fn ping(&mut self, id: ProducerId, now: Now) -> Option<Duration> {
        let producer = self.producers.get_mut(&id)?;
        let silent = now.since(producer.last_update);
        producer.last_update = now;
        Some(silent)
    }

    /// Adds a producer to a topic and, if given, to a channel of it. Yields what was really added. Does nothing for
    /// a producer that did not identify itself.
    ///
    /// # Errors
    /// [`Full`]; then nothing was added.
    pub fn register(
        &mut self,
        id: ProducerId,
        topic: &TopicName,
        channel: Option<&ChannelName>,
    ) -> Result<Vec<Category>, Full> {
        let Some(registrations) = self.producers.get(&id).map(|producer| producer.registrations) else {
            return Ok(Vec::new());
        };
        if registrations.saturating_add(2) > MAX_REGISTRATIONS_PER_PRODUCER {
            return Err(Full);
        }
        self.ensure(topic, channel)?;
        let mut added = Vec::new();
        if let Some(entry) = self.topics.get_mut(topic) {
            let members = channel.and_then(|channel| entry.channels.get_mut(channel));
            if members.is_some_and(|members| members.insert(id)) {
                added.push(Category::Channel);
            }
            entry.producers.entry(id).or_insert_with(|| {
                added.push(Category::Topic);
                None
            });
        }
        if let Some(producer) = self.producers.get_mut(&id) {
            producer.registrations += added.len();
        }
        Ok(added)
    }

    /// Makes sure that a topic and, if given, a channel of it are known.
    ///
    /// # Errors
    /// [`Full`]; then nothing was added.
    pub fn ensure(&mut self, topic: &TopicName, channel: Option<&ChannelName>) -> Result<(), Full> {
        let entry = self.topics.get(topic);
        let new_channel =
            channel.filter(|channel| entry.is_none_or(|entry| !entry.channels.contains_key(*channel)));
        let new = usize::from(entry.is_none()) + usize::from(new_channel.is_some());
        if self.count + new > MAX_REGISTRATIONS {
            return Err(Full);
        }
        self.count += new;
        if new > 0 {
            let entry = self.topics.entry(topic.clone()).or_default();
            if let Some(channel) = new_channel {
                entry.channels.insert(channel.clone(), BTreeSet::new());
            }
        }
        Ok(())
    }

    /// Takes a producer out of a channel. An ephemeral channel without producers goes, also when this producer was
    /// not in it. Yields whether it was.
    pub fn unregister_channel(&mut self, id: ProducerId, topic: &TopicName, channel: &ChannelName) -> bool {
        let Some(members) = self
            .topics
            .get_mut(topic)
            .and_then(|entry| entry.channels.get_mut(channel))
        else {
            return false;
        };
        let was_in = members.remove(&id);
        if members.is_empty() && channel.is_ephemeral() {
            self.delete_channel(topic.as_str(), channel.as_str());
        }
        self.forget(id, usize::from(was_in));
        was_in
    }

    /// Takes a producer out of a topic and all its channels. What is ephemeral and has no producer left goes.
    pub fn unregister_topic(&mut self, id: ProducerId, topic: &TopicName) -> Left {
        let Some(entry) = self.topics.get_mut(topic) else {
            return Left::default();
        };
        let mut left = Left {
            channels: Vec::new(),
            topic: entry.producers.remove(&id).is_some(),
        };
        for (channel, members) in &mut entry.channels {
            if members.remove(&id) {
                left.channels.push(channel.clone());
            }
        }
        let before = entry.channels.len();
        entry
            .channels
            .retain(|channel, members| !(members.is_empty() && channel.is_ephemeral()));
        self.count -= before - entry.channels.len();
        if entry.producers.is_empty() && topic.is_ephemeral() {
            self.delete_topic(topic.as_str());
        }
        self.forget(id, left.channels.len() + usize::from(left.topic));
        left
    }

    /// A connection ended: its producer leaves every registration. Yields what it left.
    pub fn disconnect(&mut self, id: ProducerId) -> Vec<(Category, String, String)> {
        if !self.producers.contains_key(&id) {
            return Vec::new();
        }
        let mut removed = vec![(Category::Client, String::new(), String::new())];
        let names = self
            .topics
            .iter()
            .filter(|(_, topic)| topic.producers.contains_key(&id));
        let names: Vec<TopicName> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            let left = self.unregister_topic(id, &name);
            let channels = left
                .channels
                .iter()
                .map(|channel| (Category::Channel, name.to_string(), channel.to_string()));
            removed.extend(channels);
            removed.push((Category::Topic, name.to_string(), String::new()));
        }
        self.producers.remove(&id);
        removed
    }

    /// Deletes a topic with its channels. Yields whether it was known. Nobody tells the nsqds: the topic is back with
    /// the next REGISTER.
    pub fn delete_topic(&mut self, topic: &str) -> bool {
        let Some(entry) = self.topics.remove(topic) else {
            return false;
        };
        self.count -= 1 + entry.channels.len();
        for &id in entry.producers.keys() {
            let channels = entry
                .channels
                .values()
                .filter(|members| members.contains(&id))
                .count();
            self.forget(id, 1 + channels);
        }
        true
    }

    /// Deletes one channel of a topic. Yields whether it was known.
    pub fn delete_channel(&mut self, topic: &str, channel: &str) -> bool {
        let Some(members) = self
            .topics
            .get_mut(topic)
            .and_then(|entry| entry.channels.remove(channel))
        else {
            return false;
        };
        self.count -= 1;
        for id in members {
            self.forget(id, 1);
        }
        true
    }

    /// Hides from consumers of `topic` every producer whose `broadcast_address:http_port` is `node` (an IPv6 address
    /// with or without brackets). Yields how many there were.
    pub fn tombstone(&mut self, topic: &str, node: &str, now: Now) -> usize {
        let Some(entry) = self.topics.get_mut(topic) else {
            return 0;
        };
        let mut count = 0;
        for (id, tombstone) in &mut entry.producers {
            if self
                .producers
                .get(id)
                .is_some_and(|producer| producer.is_node(node))
            {
                *tombstone = Some(now);
                count += 1;
            }
        }
        count
    }

    fn forget(&mut self, id: ProducerId, registrations: usize) {
        if let Some(producer) = self.producers.get_mut(&id) {
            producer.registrations = producer.registrations.saturating_sub(registrations);
        }
    }

    /// Panics if an invariant of this module does not hold. For tests.
    ///
    /// # Panics
    /// See above.
    pub fn check(&self) {
        let mut registrations: BTreeMap<ProducerId, usize> = BTreeMap::new();
        for topic in self.topics.values() {
            for id in topic.producers.keys() {
                assert!(
                    self.producers.contains_key(id),
                    "a topic names an unknown producer"
                );
                *registrations.entry(*id).or_default() += 1;
            }
            for id in topic.channels.values().flatten() {
                assert!(
                    topic.producers.contains_key(id),
                    "a channel's producer is not in the topic"
                );
                *registrations.entry(*id).or_default() += 1;
            }
        }
        let count: usize = self.topics.values().map(|topic| 1 + topic.channels.len()).sum();
        assert_eq!(count, self.count, "registrations are miscounted");
        for (id, producer) in &self.producers {
            assert_eq!(
                producer.registrations,
                registrations.get(id).copied().unwrap_or(0),
                "of {id:?}"
            );
        }
    }
}

impl Producer {
    fn is_node(&self, node: &str) -> bool {
        let Some((host, port)) = node.rsplit_once(':') else {
            return false;
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        port == self.info.http_port.to_string()
            && (host == self.info.broadcast_address || bare == self.info.broadcast_address)
    }
}

#[cfg(test)]
mod tests;
