//! The phase of a node: joining until its channels have consumers, active, draining until it is empty.
//!
//! Owns the phase and what belongs to it, and `draining` of the broker, by which publishes are refused. Knows neither
//! HTTP nor nsqlookupd: who joins a node calls [`Lifecycle::begin_joining`], says what was created with
//! [`Lifecycle::created`] and calls [`Lifecycle::end_joining`]; requests of the operator become
//! [`Lifecycle::drain`] and [`Lifecycle::activate`]. Nothing is persisted. Times are Unix milliseconds and come in as
//! arguments. Behaviour: operator spec 5.6 and 6.3.

pub mod survey;

use crate::broker::Broker;
use nsq_http_api::lifecycle::Evacuate;
use nsq_protocol::{ChannelName, TopicName};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::watch;

pub use nsq_http_api::lifecycle::Phase;

/// What the operator asks of a node that is to be emptied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainRequest {
    /// Who asks, at most 64 characters.
    pub id: String,
    /// Which messages may go to peers.
    pub evacuate: Evacuate,
    /// How long a queue must be stuck before its messages may go, in milliseconds.
    pub after_ms: u64,
    /// `host:port` of the HTTP interfaces of nodes that take messages, at most 1024.
    pub peers: Vec<String>,
}

/// What a joining node waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joining {
    /// Topics that were created from what the nsqlookupds know.
    pub topics: usize,
    /// Channels that were created from what the nsqlookupds know; each needs a consumer.
    pub channels: Vec<(TopicName, ChannelName)>,
    /// When the wait ends in any case, Unix milliseconds.
    pub deadline_ms: i64,
}

/// How a drain stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draining {
    /// The latest request.
    pub request: DrainRequest,
    /// What the broker had refused when the drain began.
    refused_before: u64,
    /// Since when nothing is left, and the mark that says that nothing came in between.
    empty: Option<(i64, u64)>,
    /// Messages are being moved to peers.
    pub evacuating: bool,
    /// Messages moved since the drain began.
    pub evacuated: u64,
    /// Why a peer did not take messages the last time that happened; empty if it never did.
    pub last_error: String,
}

/// A phase with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Publishes are accepted, but nobody should be sent here yet.
    Joining(Joining),
    /// The ordinary course of things.
    Active,
    /// Publishes are refused, consumers are served.
    Draining(Draining),
}

impl Stage {
    /// Its phase.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Joining(_) => Phase::Joining,
            Self::Active => Phase::Active,
            Self::Draining(_) => Phase::Draining,
        }
    }
}

#[derive(Debug)]
struct State {
    stage: Stage,
    since_ms: i64,
}

/// The phase of a node, shared by everyone who looks at it or changes it.
pub struct Lifecycle {
    broker: Arc<Broker>,
    state: Mutex<State>,
    phases: watch::Sender<Phase>,
    /// Messages moved to peers since the process started.
    pub evacuated: AtomicU64,
}

impl Lifecycle {
    /// A node that is active since `now_ms`.
    #[must_use]
    pub fn new(broker: Arc<Broker>, now_ms: i64) -> Self {
        let state = State {
            stage: Stage::Active,
            since_ms: now_ms,
        };
        Self {
            broker,
            state: Mutex::new(state),
            phases: watch::Sender::new(Phase::Active),
            evacuated: AtomicU64::new(0),
        }
    }

    /// The phase in force.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phases.borrow()
    }

    /// Resolves whenever the phase changes.
    #[must_use]
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phases.subscribe()
    }

    /// The phase in force with what belongs to it, and when it began.
    #[must_use]
    pub fn stage(&self) -> (Stage, i64) {
        let state = self.state.lock();
        (state.stage.clone(), state.since_ms)
    }

    /// The node waits until its channels have consumers, at most until `deadline_ms`. From active only.
    pub fn begin_joining(&self, deadline_ms: i64, now_ms: i64) {
        let mut state = self.state.lock();
        if state.stage == Stage::Active {
            let joining = Joining {
                deadline_ms,
                ..Joining::default()
            };
            self.enter(&mut state, Stage::Joining(joining), now_ms);
        }
    }

    /// Notes what was created for the node to join with. Without effect when it does not join any more.
    pub fn created(&self, topics: usize, channels: Vec<(TopicName, ChannelName)>) {
        if let Stage::Joining(joining) = &mut self.state.lock().stage {
            joining.topics = topics;
            joining.channels = channels;
        }
    }

    /// The channels that a joining node created and that have no consumer yet; one that was deleted meanwhile is not
    /// waited for. Empty in the other phases.
    #[must_use]
    pub fn waiting(&self) -> Vec<(TopicName, ChannelName)> {
        let (Stage::Joining(joining), _) = self.stage() else {
            return Vec::new();
        };
        let mut waiting = joining.channels;
        waiting.retain(|(topic, channel)| {
            let topic = self.broker.topic(topic.as_str());
            let channel = topic.and_then(|topic| topic.channel(channel.as_str()));
            channel.is_some_and(|channel| !channel.has_consumers())
        });
        waiting
    }

    /// Ends the wait of a joining node. Whether it was joining.
    pub fn end_joining(&self, now_ms: i64) -> bool {
        let mut state = self.state.lock();
        let joining = matches!(state.stage, Stage::Joining(_));
        if joining {
            self.enter(&mut state, Stage::Active, now_ms);
        }
        joining
    }

    /// Begins to empty the node, or changes the request if that has begun.
    pub fn drain(&self, request: DrainRequest, now_ms: i64) {
        let mut state = self.state.lock();
        if let Stage::Draining(draining) = &mut state.stage {
            draining.request = request;
            return;
        }
        let draining = Draining {
            request,
            refused_before: self.broker.refused.load(Relaxed),
            empty: None,
            evacuating: false,
            evacuated: 0,
            last_error: String::new(),
        };
        self.enter(&mut state, Stage::Draining(draining), now_ms);
    }

    /// The ordinary course of things, from wherever the node is.
    pub fn activate(&self, now_ms: i64) {
        let mut state = self.state.lock();
        if state.stage != Stage::Active {
            self.enter(&mut state, Stage::Active, now_ms);
        }
    }

    /// Publishes refused since the drain began; 0 in the other phases.
    #[must_use]
    pub fn refused(&self) -> u64 {
        match &self.state.lock().stage {
            Stage::Draining(draining) => {
                let refused = self.broker.refused.load(Relaxed);
                refused.saturating_sub(draining.refused_before)
            }
            Stage::Joining(_) | Stage::Active => 0,
        }
    }

    /// What is asked of a draining node; none in the other phases.
    #[must_use]
    pub fn drain_request(&self) -> Option<DrainRequest> {
        match &self.state.lock().stage {
            Stage::Draining(draining) => Some(draining.request.clone()),
            Stage::Joining(_) | Stage::Active => None,
        }
    }

    /// Notes whether messages are being moved to peers.
    pub fn note_evacuating(&self, evacuating: bool) {
        self.note(|draining| draining.evacuating = evacuating);
    }

    /// Notes that a peer took so many messages.
    pub fn note_evacuated(&self, count: u64) {
        self.evacuated.fetch_add(count, Relaxed);
        self.note(|draining| draining.evacuated += count);
    }

    /// Notes why a peer took none.
    pub fn note_evacuation_error(&self, why: String) {
        self.note(|draining| draining.last_error = why);
    }

    fn note(&self, change: impl FnOnce(&mut Draining)) {
        if let Stage::Draining(draining) = &mut self.state.lock().stage {
            change(draining);
        }
    }

    /// Notes whether a draining node is empty and says for how many milliseconds it has been seen so without a break.
    /// `mark` changes with every message that comes in, so that a break between two looks is not missed: what is
    /// empty cannot fill in any other way.
    pub fn note_empty(&self, empty: bool, mark: u64, now_ms: i64) -> u64 {
        let Stage::Draining(draining) = &mut self.state.lock().stage else {
            return 0;
        };
        draining.empty = match draining.empty {
            _ if !empty => None,
            Some((since, seen)) if seen == mark => Some((since, seen)),
            _ => Some((now_ms, mark)),
        };
        draining.empty.map_or(0, |(since, _)| {
            u64::try_from(now_ms.saturating_sub(since)).unwrap_or(0)
        })
    }

    /// Under the lock of the state, so that the broker never disagrees with it for long.
    fn enter(&self, state: &mut State, stage: Stage, now_ms: i64) {
        let (old, new) = (state.stage.phase(), stage.phase());
        self.broker.draining.store(new == Phase::Draining, Relaxed);
        *state = State {
            stage,
            since_ms: now_ms,
        };
        self.phases.send_replace(new);
        tracing::info!("LIFECYCLE: {} -> {}", name(old), name(new));
    }
}

const fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Joining => "joining",
        Phase::Active => "active",
        Phase::Draining => "draining",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::options::Options;
    use nsq_service::clock::ManualClock;
    use nsq_service::tasks::Tasks;
    use nsq_storage::MemoryDisk;

    async fn node() -> Lifecycle {
        let clock = Arc::new(ManualClock::new(0));
        let disk = Arc::new(MemoryDisk::new());
        let opened = Broker::open(Options::default(), disk, clock, Tasks::new()).await;
        Lifecycle::new(opened.unwrap(), 5)
    }

    fn request(id: &str) -> DrainRequest {
        DrainRequest {
            id: id.to_owned(),
            evacuate: Evacuate::Never,
            after_ms: 30_000,
            peers: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_drain_refuses_publishes_and_a_second_request_only_changes_the_first() {
        let node = node().await;
        node.broker.refused.store(7, Relaxed);
        node.drain(request("a"), 10);
        assert!(node.broker.draining.load(Relaxed));
        node.broker.refused.store(9, Relaxed);
        node.drain(request("b"), 20);
        let (Stage::Draining(draining), since) = node.stage() else {
            unreachable!("not draining");
        };
        assert_eq!(
            (draining.request.id.as_str(), since, node.refused()),
            ("b", 10, 2)
        );
        node.activate(30);
        assert!(!node.broker.draining.load(Relaxed));
        assert_eq!((node.stage(), node.refused()), ((Stage::Active, 30), 0));
        node.activate(40);
        assert_eq!(node.stage(), (Stage::Active, 30), "active already");
    }

    #[tokio::test]
    async fn joining_ends_once_and_only_a_fresh_node_joins() {
        let node = node().await;
        let mut phases = node.phases();
        node.begin_joining(1_000, 10);
        assert!(phases.has_changed().unwrap());
        assert_eq!(*phases.borrow_and_update(), Phase::Joining);
        node.drain(request("a"), 20);
        assert!(!node.end_joining(30), "a drain ended it");
        node.begin_joining(1_000, 40);
        assert_eq!(node.phase(), Phase::Draining);
        node.activate(50);
        node.begin_joining(1_000, 60);
        assert!(node.end_joining(70));
        assert_eq!(node.stage(), (Stage::Active, 70));
    }

    #[tokio::test]
    async fn a_created_channel_is_waited_for_until_it_is_gone() {
        let node = node().await;
        let (topic, channel): (TopicName, ChannelName) = ("t".parse().unwrap(), "c".parse().unwrap());
        let made = node.broker.get_or_create_topic(&topic).await.unwrap();
        node.broker.get_or_create_channel(&made, &channel).await.unwrap();
        node.begin_joining(1_000, 10);
        let created = vec![
            (topic.clone(), channel.clone()),
            (topic.clone(), "gone".parse().unwrap()),
        ];
        node.created(1, created);
        assert_eq!(node.waiting(), vec![(topic, channel)]);
        node.broker.delete_topic(&made).await.unwrap();
        assert!(node.waiting().is_empty());
    }

    #[tokio::test]
    async fn emptiness_is_counted_without_a_break() {
        let node = node().await;
        assert_eq!(node.note_empty(true, 1, 10), 0, "not draining");
        node.drain(request("a"), 10);
        assert_eq!(node.note_empty(true, 1, 20), 0);
        assert_eq!(node.note_empty(true, 1, 50), 30);
        assert_eq!(node.note_empty(true, 2, 60), 0, "something came and went between");
        assert_eq!(node.note_empty(true, 2, 61), 1);
        assert_eq!(node.note_empty(false, 2, 62), 0);
        assert_eq!(node.note_empty(true, 2, 70), 0);
    }
}
