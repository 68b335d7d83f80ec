//! What happened to nodes and queues, for the charts to show where it was (console spec 4.4).

use std::collections::{HashMap, VecDeque};

use super::Of;
use crate::model::Snapshot;

/// Most marks that are kept; the oldest go first.
const MAX: usize = 1_000;

/// The same again within so many seconds is the same: who empties a queue is seen twice, by the action and by the numbers.
const SAME: i64 = 30;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Restarted,
    Emptied,
    Paused,
    Unpaused,
}

impl Event {
    /// In a word.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Restarted => "restart",
            Self::Emptied => "emptied",
            Self::Paused => "paused",
            Self::Unpaused => "unpaused",
        }
    }
}

/// What it happened to. An empty channel stands for the topic itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Node(String),
    Queue(String, String),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Unix seconds.
    pub(crate) at: i64,
    pub(crate) event: Event,
    pub(crate) place: Place,
}

impl Mark {
    /// Whether a chart of `of` shows it. `has` says whether a node has what the chart is about.
    pub(crate) fn is_on(&self, of: Of<'_>, has: impl Fn(&str) -> bool) -> bool {
        match (&self.place, of) {
            (Place::Node(_), Of::Cluster) => true,
            (Place::Node(key), Of::Node(own)) => key == own,
            (Place::Node(key), Of::Topic(_) | Of::Channel(..)) => has(key),
            (Place::Queue(..), Of::Cluster | Of::Node(_)) => false,
            (Place::Queue(topic, _), Of::Topic(own)) => topic == own,
            (Place::Queue(topic, channel), Of::Channel(own, name)) => {
                topic == own && (channel == name || channel.is_empty())
            }
        }
    }

    /// In words.
    pub(crate) fn text(&self) -> String {
        match &self.place {
            Place::Node(key) => format!("{} of {key}", self.event.text()),
            Place::Queue(topic, channel) if channel.is_empty() => format!("{topic} {}", self.event.text()),
            Place::Queue(topic, channel) => format!("{topic}/{channel} {}", self.event.text()),
        }
    }
}

/// All that is kept.
#[derive(Debug, Default)]
pub(super) struct Marks {
    kept: VecDeque<Mark>,
    /// Start of the process of each node, in Unix seconds.
    starts: HashMap<String, i64>,
}

impl Marks {
    pub(super) fn add(&mut self, at: i64, event: Event, place: Place) {
        let is_known = self
            .kept
            .iter()
            .rev()
            .take_while(|mark| at.saturating_sub(mark.at) < SAME)
            .any(|mark| mark.event == event && mark.place == place);
        if is_known {
            return;
        }
        self.kept.push_back(Mark { at, event, place });
        if self.kept.len() > MAX {
            self.kept.pop_front();
        }
    }

    /// What a picture says that happened since the one before.
    pub(super) fn see(&mut self, snapshot: &Snapshot) {
        for node in &snapshot.nodes {
            let Some(started) = node.now().map(|said| said.start_time).filter(|at| *at > 0) else {
                continue;
            };
            if let Some(before) = self.starts.insert(node.key.clone(), started)
                && before != started
            {
                self.add(snapshot.at, Event::Restarted, Place::Node(node.key.clone()));
            }
        }
        self.starts
            .retain(|key, _| snapshot.nodes.iter().any(|node| node.key == *key));
        for topic in &snapshot.topics {
            for channel in &topic.channels {
                if channel.numbers.rates.is_emptied {
                    let place = Place::Queue(topic.name.to_string(), channel.name.to_string());
                    self.add(snapshot.at, Event::Emptied, place);
                }
            }
        }
    }

    /// Since `from`, oldest first.
    pub(super) fn since(&self, from: i64) -> impl Iterator<Item = &Mark> {
        self.kept.iter().filter(move |mark| mark.at >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(channel: &str) -> Place {
        Place::Queue("t".to_owned(), channel.to_owned())
    }

    #[test]
    fn the_same_is_marked_once_and_few_are_kept() {
        let mut marks = Marks::default();
        marks.add(100, Event::Emptied, queue("c"));
        marks.add(105, Event::Emptied, queue("c"));
        marks.add(105, Event::Paused, queue("c"));
        marks.add(140, Event::Emptied, queue("c"));
        assert_eq!(marks.since(0).count(), 3);
        assert_eq!(marks.since(106).count(), 1);
        for at in 0..2_000 {
            marks.add(at * 60, Event::Restarted, Place::Node("d:1".to_owned()));
        }
        assert_eq!(marks.since(0).count(), MAX);
    }

    #[test]
    fn a_mark_is_on_the_charts_of_what_it_happened_to() {
        let mark = |place| Mark {
            at: 0,
            event: Event::Paused,
            place,
        };
        let (channel, topic) = (mark(queue("c")), mark(queue("")));
        let node = mark(Place::Node("d:1".to_owned()));
        let none = |_: &str| false;
        assert!(channel.is_on(Of::Channel("t", "c"), none) && channel.is_on(Of::Topic("t"), none));
        assert!(!channel.is_on(Of::Channel("t", "d"), none) && !channel.is_on(Of::Topic("u"), none));
        assert!(topic.is_on(Of::Channel("t", "c"), none) && !topic.is_on(Of::Cluster, none));
        assert!(node.is_on(Of::Cluster, none) && node.is_on(Of::Node("d:1"), none));
        assert!(!node.is_on(Of::Topic("t"), none) && node.is_on(Of::Topic("t"), |key| key == "d:1"));
    }
}
