//! Which queues of a draining node may be moved. Pure: pictures and times come in as values.

use crate::channel::ChannelSnapshot;
use crate::lifecycle::DrainRequest;
use crate::topic::TopicSnapshot;
use nsq_http_api::lifecycle::Evacuate;
use nsq_protocol::{ChannelName, TopicName};
use rustc_hash::FxHashMap;

/// A queue: of a channel, or of the topic itself.
pub type Queue = (TopicName, Option<ChannelName>);

/// What may be moved now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Movable {
    /// Queues whose ready messages may go.
    pub ready: Vec<Queue>,
    /// Channels of which deferred messages may go.
    pub deferred: Vec<(TopicName, ChannelName)>,
}

/// Remembers since when each queue has been stuck without a break.
#[derive(Debug, Default)]
pub struct Stuck {
    since: FxHashMap<Queue, i64>,
}

impl Stuck {
    /// Looks at the queues of a node; `now_ms` is any clock's, in ms.
    pub fn look(
        &mut self,
        topics: &[(TopicSnapshot, Vec<ChannelSnapshot>)],
        request: &DrainRequest,
        now_ms: i64,
    ) -> Movable {
        let (mut movable, mut stuck) = (Movable::default(), FxHashMap::default());
        let always = request.evacuate == Evacuate::Always;
        let mut consider = |queue: Queue, depth: u64, is_stuck: bool| {
            if depth == 0 || !(is_stuck || always) {
                return false;
            }
            let since = self.since.get(&queue).copied().unwrap_or(now_ms);
            let waited = u64::try_from(now_ms.saturating_sub(since)).unwrap_or(0);
            if is_stuck {
                stuck.insert(queue, since);
            }
            always || waited >= request.after_ms
        };
        for (topic, channels) in topics.iter().filter(|(topic, _)| !topic.name.is_ephemeral()) {
            let queue = (topic.name.clone(), None);
            if consider(queue.clone(), topic.depth, topic.paused || channels.is_empty()) {
                movable.ready.push(queue);
            }
            for channel in channels.iter().filter(|channel| !channel.name.is_ephemeral()) {
                let queue = (topic.name.clone(), Some(channel.name.clone()));
                let is_stuck = topic.paused || channel.paused || channel.consumers.is_empty();
                if consider(queue.clone(), channel.depth, is_stuck) {
                    movable.ready.push(queue);
                }
                if channel.deferred > 0 {
                    movable.deferred.push((topic.name.clone(), channel.name.clone()));
                }
            }
        }
        self.since = stuck;
        movable
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::channel::ChannelCounts;
    use crate::client::{Client, Identity};
    use std::sync::Arc;

    fn topic(name: &str, depth: u64, paused: bool) -> TopicSnapshot {
        TopicSnapshot {
            name: name.parse().unwrap(),
            depth,
            backend_depth: 0,
            inside: depth,
            bytes: 0,
            oldest: None,
            overflowed: 0,
            message_count: 0,
            message_bytes: 0,
            paused,
        }
    }

    fn channel(name: &str, depth: u64, consumers: u64, paused: bool) -> ChannelSnapshot {
        let consumer = |id| Arc::new(Client::new(id, String::new(), 0, Identity::default()));
        ChannelSnapshot {
            name: name.parse().unwrap(),
            depth,
            backend_depth: 0,
            in_flight: 0,
            deferred: 0,
            inside: depth,
            bytes: 0,
            oldest: None,
            counts: ChannelCounts::default(),
            consumers: (0..consumers).map(consumer).collect(),
            paused,
        }
    }

    fn request(evacuate: Evacuate) -> DrainRequest {
        DrainRequest {
            id: String::new(),
            evacuate,
            after_ms: 100,
            peers: Vec::new(),
        }
    }

    fn names(movable: &Movable) -> Vec<String> {
        let name = |(topic, channel): &Queue| match channel {
            Some(channel) => format!("{topic}/{channel}"),
            None => topic.to_string(),
        };
        movable.ready.iter().map(name).collect()
    }

    #[test]
    fn a_queue_is_stuck_without_consumers_paused_or_without_channels_for_a_while() {
        let topics = vec![
            (topic("alone", 1, false), vec![]),
            (topic("paused", 1, true), vec![channel("served", 1, 1, false)]),
            (
                topic("t", 0, false),
                vec![
                    channel("empty", 0, 0, false),
                    channel("lonely", 1, 0, false),
                    channel("served", 1, 1, false),
                    channel("stopped", 1, 1, true),
                    channel("gone#ephemeral", 1, 0, false),
                ],
            ),
            (topic("gone#ephemeral", 1, false), vec![]),
        ];
        let mut stuck = Stuck::default();
        let request = request(Evacuate::Stuck);
        assert_eq!(names(&stuck.look(&topics, &request, 0)), Vec::<String>::new());
        assert_eq!(names(&stuck.look(&topics, &request, 99)), Vec::<String>::new());
        let all = ["alone", "paused", "paused/served", "t/lonely", "t/stopped"];
        assert_eq!(names(&stuck.look(&topics, &request, 100)), all);
        // A break begins the wait anew.
        assert!(stuck.look(&[], &request, 150).ready.is_empty());
        assert!(stuck.look(&topics, &request, 200).ready.is_empty());
        assert_eq!(names(&stuck.look(&topics, &request, 300)), all);
    }

    #[test]
    fn always_means_at_once_and_served_channels_too() {
        let topics = vec![(topic("t", 0, false), vec![channel("served", 1, 1, false)])];
        let movable = Stuck::default().look(&topics, &request(Evacuate::Always), 0);
        assert_eq!(names(&movable), ["t/served"]);
    }
}
