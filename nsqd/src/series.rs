//! Which topics and channels have metrics of their own, and what the others leave behind when they go (extensions spec 3.2).
//!
//! A place for series of its own is given at creation, while there is one, and kept until deletion: nobody's counters move from
//! one series to another. All others share the series of their kind. What a deleted member of a shared series had counted
//! stays in it, so that no counter falls.

use crate::channel::{Channel, ChannelCounts};
use crate::counters::TopicTotals;
use crate::latency::BUCKETS;
use crate::places::Places;
use crate::topic::Topic;
use nsq_service::metrics::{MESSAGE_TIMES, Times};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The value of a label `topic` or `channel`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Everything ephemeral together: no name, since anybody may make them in any number.
    Ephemeral,
    /// Those without a place, together.
    Rest,
    /// The name of one with a place.
    Own(String),
}

impl Label {
    /// How it is shown. No topic or channel can have the first two as a name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ephemeral => "#ephemeral",
            Self::Rest => "*",
            Self::Own(name) => name,
        }
    }

    /// That of a topic.
    #[must_use]
    pub fn of_topic(topic: &Topic) -> Self {
        match (topic.is_ephemeral(), topic.series.is_there()) {
            (true, _) => Self::Ephemeral,
            (false, true) => Self::Own(topic.name().to_string()),
            (false, false) => Self::Rest,
        }
    }

    /// Those of a channel of a topic with this label. A channel with a place shows the name of its topic also if that has none.
    #[must_use]
    pub fn of_channel(topic: &Self, channel: &Channel) -> (Self, Self) {
        if *topic == Self::Ephemeral || channel.is_ephemeral() {
            (topic.clone(), Self::Ephemeral)
        } else if channel.series.is_there() {
            let topic = Self::Own(channel.topic().to_string());
            (topic, Self::Own(channel.name().to_string()))
        } else {
            (topic.clone(), Self::Rest)
        }
    }
}

/// Counters of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelTotals {
    /// What happened to its messages.
    pub counts: ChannelCounts,
    /// Times from publish to finish.
    pub from_publish: Times<BUCKETS>,
    /// Times from delivery to finish.
    pub from_delivery: Times<BUCKETS>,
}

impl Default for ChannelTotals {
    fn default() -> Self {
        Self {
            counts: ChannelCounts::default(),
            from_publish: Times::new(&MESSAGE_TIMES),
            from_delivery: Times::new(&MESSAGE_TIMES),
        }
    }
}

impl ChannelTotals {
    /// What a channel counted so far.
    #[must_use]
    pub fn of(channel: &Channel) -> Self {
        Self {
            counts: channel.counters.read(),
            from_publish: channel.latencies.from_publish.read(),
            from_delivery: channel.latencies.from_delivery.read(),
        }
    }

    /// Adds those of another.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.from_publish.merge(&other.from_publish);
        self.from_delivery.merge(&other.from_delivery);
    }
}

/// What deleted members of shared series had counted.
#[derive(Debug, Default)]
pub struct Departed {
    /// By label of the topic.
    pub topics: BTreeMap<Label, TopicTotals>,
    /// By labels of topic and channel.
    pub channels: BTreeMap<(Label, Label), ChannelTotals>,
}

/// Places and departed counts of one node.
#[derive(Debug)]
pub struct SeriesBook {
    /// For topics.
    pub topics: Arc<Places>,
    /// For channels.
    pub channels: Arc<Places>,
    departed: Mutex<Departed>,
}

impl SeriesBook {
    /// Places for as many topics, and for as many channels; 0 is no bound.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            topics: Places::new(most),
            channels: Places::new(most),
            departed: Mutex::default(),
        }
    }

    /// What has gone so far. While it is held nobody goes: what is counted now is here or still there, not both. Taken before
    /// every other lock.
    pub fn departed(&self) -> MutexGuard<'_, Departed> {
        self.departed.lock()
    }

    /// Carries out `removal`, which takes the channel out of its topic.
    pub fn channel_goes<T>(&self, topic: &Topic, channel: &Channel, removal: impl FnOnce() -> T) -> T {
        let mut departed = self.departed.lock();
        let labels = Label::of_channel(&Label::of_topic(topic), channel);
        let removed = removal();
        if !matches!(labels.1, Label::Own(_)) {
            let totals = departed.channels.entry(labels).or_default();
            totals.add(&ChannelTotals::of(channel));
        }
        channel.series.free();
        removed
    }

    /// Carries out `removal`, which takes the topic, whose channels have gone, out of the map.
    pub fn topic_goes<T>(&self, topic: &Topic, removal: impl FnOnce() -> T) -> T {
        let mut departed = self.departed.lock();
        let label = Label::of_topic(topic);
        let removed = removal();
        if let Label::Own(_) = label {
            departed.channels.retain(|(topic, _), _| *topic != label);
        } else {
            departed.topics.entry(label).or_default().add(&topic.totals());
        }
        topic.series.free();
        removed
    }
}
