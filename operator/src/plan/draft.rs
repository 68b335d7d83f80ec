//! A plan while it is being made.

use std::time::Duration;

use super::action::{Event, EventReason, Hold, MemberEvent, NodeAction, NodeRequest, RegistryAction};
use super::observed::{Address, Memory, Node, Observed, since};

/// The same event is not told again within this time.
const EVENT_INTERVAL: Duration = Duration::from_secs(300);

/// Bytes of a note: the API takes no more.
const MAX_NOTE: usize = 1024;

/// What the parts of a plan add to.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) observed: &'a Observed,
    /// Nodes below this ordinal stay.
    pub(super) target: i32,
    pub(super) memory: Memory,
    pub(super) actions: Vec<NodeAction>,
    pub(super) events: Vec<Event>,
    pub(super) member_events: Vec<MemberEvent>,
    pub(super) registry_actions: Vec<RegistryAction>,
    pub(super) holds: Vec<Hold>,
    /// Nodes that must not be in any registry.
    pub(super) sealing: Vec<i32>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(observed: &'a Observed) -> Self {
        let mut memory = observed.memory.clone();
        memory
            .told
            .retain(|_, told| since(observed.now, *told) < EVENT_INTERVAL);
        memory
            .published
            .retain(|ordinal, _| observed.nodes.iter().any(|node| node.ordinal == *ordinal));
        Self {
            observed,
            target: 0,
            memory,
            actions: Vec::new(),
            events: Vec::new(),
            member_events: Vec::new(),
            registry_actions: Vec::new(),
            holds: Vec::new(),
            sealing: Vec::new(),
        }
    }

    /// Adds a request to a node, once.
    pub(super) fn ask(&mut self, ordinal: i32, request: NodeRequest) {
        let action = NodeAction { ordinal, request };
        if !self.actions.contains(&action) {
            self.actions.push(action);
        }
    }

    /// Tells something, unless it was told a short while ago.
    pub(super) fn event(&mut self, mut event: Event) {
        truncate(&mut event.note, MAX_NOTE);
        let key = format!("{} {}", event.reason, event.note);
        if self.memory.told.insert(key, self.observed.now).is_none() {
            self.events.push(event);
        }
    }

    /// Tells something that is worth a person's attention.
    pub(super) fn warn(&mut self, reason: EventReason, note: String) {
        self.event(Event {
            warning: true,
            reason,
            note,
        });
    }

    /// Tells something that went as it should.
    pub(super) fn tell(&mut self, reason: EventReason, note: String) {
        self.event(Event {
            warning: false,
            reason,
            note,
        });
    }

    /// Tells something about a declared topic or channel, unless it was told a short while ago.
    pub(super) fn tell_of(&mut self, told: MemberEvent) {
        let key = format!("{} {} {}", told.event.reason, told.name, told.event.note);
        if self.memory.told.insert(key, self.observed.now).is_none() {
            self.member_events.push(told);
        }
    }

    /// Nodes that stay, in order.
    pub(super) fn active(&self) -> impl Iterator<Item = &'a Node> {
        let target = self.target;
        self.observed
            .nodes
            .iter()
            .filter(move |node| node.ordinal < target)
    }
}

/// Cuts a text after at most `max` bytes, between characters.
pub(super) fn truncate(text: &mut String, max: usize) {
    if text.len() > max {
        let mut end = max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

/// A node's name in messages.
pub(super) fn short(ordinal: i32) -> String {
    format!("nsqd-{ordinal}")
}

/// Registries that answered and do not know the node under its address.
pub(super) fn missing_in<'a>(observed: &'a Observed, address: &Address) -> Vec<&'a str> {
    let answered = observed
        .lookupds
        .iter()
        .filter(|lookupd| lookupd.removing_since.is_none());
    answered
        .filter(|lookupd| {
            lookupd
                .registered
                .as_ref()
                .is_ok_and(|known| !known.contains(address))
        })
        .map(|lookupd| lookupd.name.as_str())
        .collect()
}
