//! One doomed node in one pass: facts to state, state to requests.

use nsq_http_api::lifecycle::Drain as NativeDrain;

use super::blockers::{reason_of, severity, words};
use super::{Pass, RECHECK, request};
use crate::api::{Blocker, BlockerReason, DrainNode, DrainState, Reason, Time, WhenScaled};
use crate::plan::action::{Basis, Drained, Empty, Event, EventReason, NodeRequest, Proof, Removal};
use crate::plan::counts::{Counts, blockers, messages};
use crate::plan::draft::Draft;
use crate::plan::observed::{Facts, Life, Node, since};

/// Blockers listed per node.
const MAX_BLOCKERS: usize = 5;
/// Blockers listed of all nodes together: with names of any length the status stays below 64 KiB.
const ALL_BLOCKERS: usize = 160;

/// How many blockers of each node are listed when so many nodes are.
pub(super) fn blockers_of_each(nodes: usize) -> usize {
    (ALL_BLOCKERS / nodes.max(1)).clamp(1, MAX_BLOCKERS)
}

/// What one pass decided about one doomed node.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) status: DrainNode,
    pub(super) status_ordinal: i32,
    pub(super) reason: Reason,
    /// For the condition: `orders/billing has 812 messages and no consumers`.
    pub(super) text: String,
    /// For the message of the cluster: `812 messages left (orders/billing: no consumers)`.
    pub(super) line: String,
    pub(super) removal: Option<Removal>,
    pub(super) evacuating: bool,
}

impl Step {
    /// What must change for the wait to start anew.
    pub(super) fn blocked_by(&self) -> String {
        let first = self.status.blockers.first();
        let place = first.map(place).unwrap_or_default();
        format!("{} {} {place}", self.status.pod, self.reason)
    }
}

impl Pass<'_> {
    /// Decides about the doomed node of that ordinal.
    pub(super) fn step(&self, draft: &mut Draft<'_>, ordinal: i32) -> Step {
        let node = self.observed.nodes.iter().find(|node| node.ordinal == ordinal);
        let Some(node) = node else {
            // the world tells one entry per ordinal; without one nothing is known, and unknown is never empty
            return self.unreachable(&format!("nsqd-{ordinal}"), ordinal, "not seen");
        };
        match &node.facts {
            Ok(facts) => self.reachable(draft, node, facts),
            Err(_) if !node.ran && !node.life.is_ready() => self.never_ran(node),
            Err(error) => {
                fence(draft, node);
                let mut step = self.unreachable(&node.name, ordinal, error);
                if self.force {
                    self.force(draft, &mut step);
                }
                step
            }
        }
    }

    fn never_ran(&self, node: &Node) -> Step {
        let mut step = self.bare(&node.name, node.ordinal, DrainState::Removing, Reason::Sealing);
        "never ran".clone_into(&mut step.line);
        step.removal = Some(Removal::new(node.ordinal, Proof::new(Basis::NeverRan), None));
        step
    }

    /// A node that was told to go and has not gone yet.
    pub(super) fn gone(&self, node: &Node) -> Step {
        let mut step = self.bare(&node.name, node.ordinal, DrainState::Removing, Reason::Sealing);
        "is stopping".clone_into(&mut step.line);
        step
    }

    fn unreachable(&self, name: &str, ordinal: i32, error: &str) -> Step {
        let known = self.known(name);
        let state = known.map_or(DrainState::Fenced, |known| known.state);
        let mut step = self.bare(name, ordinal, state, Reason::Unreachable);
        if let Some(known) = known {
            (step.status.depth, step.status.in_flight) = (known.depth, known.in_flight);
            step.status.deferred = known.deferred;
        }
        step.status.blockers = vec![Blocker {
            topic: String::new(),
            channel: String::new(),
            reason: BlockerReason::Unreachable,
            messages: 0,
        }];
        step.text = format!("does not answer ({error})");
        step.line = format!("does not answer ({error})");
        step
    }

    fn bare(&self, name: &str, ordinal: i32, state: DrainState, reason: Reason) -> Step {
        Step {
            status: self.entry(name, state),
            status_ordinal: ordinal,
            reason,
            text: String::new(),
            line: String::new(),
            removal: None,
            evacuating: false,
        }
    }

    fn reachable(&self, draft: &mut Draft<'_>, node: &Node, facts: &Facts) -> Step {
        let confirmed = self.fence(draft, node, facts);
        let counts = Counts::of(&facts.stats);
        let native = native(facts);
        let known = self.known(&node.name);
        let mut status = self.entry(&node.name, DrainState::Fenced);
        (status.depth, status.in_flight, status.deferred) = (counts.depth, counts.in_flight, counts.deferred);
        if let Some(native) = native {
            status.publishers = i64::try_from(native.publishers).unwrap_or(i64::MAX);
            status.evacuated = i64::try_from(native.evacuated).unwrap_or(i64::MAX);
        }
        let rising = draft
            .observed
            .memory
            .published
            .get(&node.ordinal)
            .is_some_and(|before| counts.published > *before);
        draft.memory.published.insert(node.ordinal, counts.published);
        status.blockers = blockers(&facts.stats);
        if rising && native.is_none() {
            status.blockers.insert(0, publishers_active());
        }
        status.blockers.truncate(MAX_BLOCKERS);
        let empty = counts.total() == 0 && !rising;
        status.empty_since = empty.then(|| {
            let before = known.and_then(|known| known.empty_since.clone());
            before.unwrap_or_else(|| Time::from(self.observed.now))
        });
        let mut step = Step {
            reason: Reason::Settling,
            text: String::new(),
            line: String::new(),
            removal: None,
            evacuating: native.is_some_and(|native| native.evacuating),
            status_ordinal: node.ordinal,
            status,
        };
        self.advance(draft, node, facts, confirmed, &mut step);
        describe(&mut step, empty);
        if self.force {
            self.force(draft, &mut step);
        }
        step
    }

    /// Keeps publishers away; true once the facts confirm it.
    fn fence(&self, draft: &mut Draft<'_>, node: &Node, facts: &Facts) -> bool {
        fence(draft, node);
        if !facts.offers("lifecycle") {
            return node.fenced;
        }
        let wanted = request::draining(self.observed, &self.id, draft.target);
        if !request::agrees(facts, &wanted) {
            draft.ask(node.ordinal, NodeRequest::Lifecycle(wanted));
        }
        node.fenced && request::is_draining(facts)
    }

    /// Moves the node on by one state if the facts allow it.
    fn advance(&self, draft: &mut Draft<'_>, node: &Node, facts: &Facts, confirmed: bool, step: &mut Step) {
        let now = self.observed.now;
        let known = self.known(&node.name);
        let registries = !self.observed.lookupds.is_empty();
        let sealed = facts.lookupds.is_empty() || !registries;
        let empty = step.status.empty_since.is_some();
        if !confirmed {
            return;
        }
        if !empty || !self.settled(facts, step) {
            // a sealed node that got messages after all gets its list back from the hot configuration
            step.status = DrainNode {
                state: DrainState::Draining,
                since: self.entry(&node.name, DrainState::Draining).since,
                ..step.status.clone()
            };
            return;
        }
        if !sealed {
            draft.ask(node.ordinal, NodeRequest::Lookupds(Vec::new()));
            draft.sealing.push(node.ordinal);
            step.reason = Reason::Sealing;
            step.status.since = self.entry(&node.name, DrainState::Draining).since;
            step.status.state = DrainState::Draining;
            return;
        }
        draft.sealing.push(node.ordinal);
        step.reason = Reason::Sealing;
        step.status.state = DrainState::Sealed;
        step.status.since = self.entry(&node.name, DrainState::Sealed).since;
        let seen_before =
            known.filter(|known| matches!(known.state, DrainState::Sealed | DrainState::Removing));
        match seen_before {
            None => draft.event(Event {
                warning: false,
                reason: EventReason::NodeSealed,
                note: format!("{} is empty and unregistered", node.name),
            }),
            Some(known) if known.state == DrainState::Removing || since(now, known.since.0) >= RECHECK => {
                self.release(node, facts, step);
            }
            Some(_) => {}
        }
    }

    fn release(&self, node: &Node, facts: &Facts, step: &mut Step) {
        let delete = self.observed.cluster.spec.nsqd.storage.when_scaled == WhenScaled::DeleteIfDrained;
        let drained =
            (delete && request::is_draining(facts)).then(|| Proof::<Drained>::new(Basis::SeenEmpty));
        step.status.state = DrainState::Removing;
        step.status.since = self.entry(&node.name, DrainState::Removing).since;
        step.removal = Some(Removal::new(
            node.ordinal,
            Proof::<Empty>::new(Basis::SeenEmpty),
            drained,
        ));
    }

    /// The node has been empty for long enough; a node that counts itself is believed.
    fn settled(&self, facts: &Facts, step: &Step) -> bool {
        let settle = self.observed.cluster.spec.nsqd.drain.settle.get();
        // once sealed, an empty node stays settled: the recheck has its own time
        let sealed = self
            .known(&step.status.pod)
            .is_some_and(|known| matches!(known.state, DrainState::Sealed | DrainState::Removing));
        let empty_for = match native(facts) {
            Some(native) if !native.empty => return false,
            Some(native) => std::time::Duration::from_millis(native.empty_ms),
            None => {
                let empty_since = step.status.empty_since.as_ref();
                empty_since.map_or_else(Default::default, |at| since(self.observed.now, at.0))
            }
        };
        sealed || empty_for >= settle
    }

    /// The deadline passed and the user wants the node gone: its data stay.
    fn force(&self, draft: &mut Draft<'_>, step: &mut Step) {
        let left = step.status.depth + step.status.in_flight + step.status.deferred;
        draft.ask(step.status_ordinal, NodeRequest::Lookupds(Vec::new()));
        draft.sealing.push(step.status_ordinal);
        draft.event(Event {
            warning: true,
            reason: EventReason::DrainForced,
            note: format!(
                "{} removed with {}, its data are kept",
                step.status.pod,
                messages(left)
            ),
        });
        step.status.state = DrainState::Removing;
        step.status.since = self.entry(&step.status.pod, DrainState::Removing).since;
        step.removal = Some(Removal::new(
            step.status_ordinal,
            Proof::new(Basis::Forced { left }),
            None,
        ));
    }
}

fn fence(draft: &mut Draft<'_>, node: &Node) {
    if !node.fenced && node.life != Life::Stopping {
        draft.ask(node.ordinal, NodeRequest::Fence(true));
    }
}

/// The node's own account of its drain.
fn native(facts: &Facts) -> Option<&NativeDrain> {
    facts.lifecycle.as_ref()?.drain.as_ref()
}

fn publishers_active() -> Blocker {
    Blocker {
        topic: String::new(),
        channel: String::new(),
        reason: BlockerReason::PublishersActive,
        messages: 0,
    }
}

fn place(blocker: &Blocker) -> String {
    match (blocker.topic.as_str(), blocker.channel.as_str()) {
        ("", _) => String::new(),
        (topic, "") => topic.to_owned(),
        (topic, channel) => format!("{topic}/{channel}"),
    }
}

/// Fills reason and sentences from what is left.
fn describe(step: &mut Step, empty: bool) {
    let left = step.status.depth + step.status.in_flight + step.status.deferred;
    if empty {
        step.text = match step.reason {
            Reason::Sealing => "empty, leaving the registries".to_owned(),
            _ => "empty, waiting whether it stays so".to_owned(),
        };
        step.line = step.text.clone();
        return;
    }
    let worst = step
        .status
        .blockers
        .iter()
        .max_by_key(|blocker| severity(reason_of(blocker.reason)));
    match worst {
        Some(blocker) => {
            step.reason = reason_of(blocker.reason);
            if step.evacuating && severity(step.reason) <= severity(Reason::TopicWithoutChannel) {
                step.reason = Reason::Evacuating;
            }
            let (place, what) = (place(blocker), words(blocker.reason));
            step.text = if place.is_empty() {
                what.to_owned()
            } else {
                format!("{place} has {} and {what}", messages(blocker.messages))
            };
            step.line = if place.is_empty() {
                format!("{} left ({what})", messages(left))
            } else {
                format!("{} left ({place}: {what})", messages(left))
            };
        }
        None => {
            step.reason = Reason::WaitingForConsumers;
            step.text = format!("consumers have {} left", messages(left));
            step.line = format!("{} left", messages(left));
        }
    }
    if step.evacuating {
        step.line.push_str(", evacuating");
    }
}
