//! Columns that several tables have.

use super::super::table::Column;
use super::super::td::Td;
use super::super::visit::Visit;
use super::latency;
use crate::action::Verb;
use crate::model::{ChannelOn, LatencyRecord, NodeState, Numbers, Sum, TopicOn};

/// Something that has numbers, on one node or on many.
pub(super) trait Counted {
    fn numbers(&self) -> &Numbers;

    /// The nodes that the numbers cover.
    fn covers(&self) -> Sum;

    /// From publish to FIN, if it is measured.
    fn latency(&self) -> Option<&LatencyRecord> {
        None
    }
}

/// A topic or a channel on one node.
pub(super) struct Here<'a, T>(pub(super) &'a NodeState, pub(super) &'a T);

impl Counted for Here<'_, TopicOn> {
    fn numbers(&self) -> &Numbers {
        &self.1.own
    }

    fn latency(&self) -> Option<&LatencyRecord> {
        self.1.latency.as_deref()
    }

    fn covers(&self) -> Sum {
        ITSELF
    }
}

impl Counted for Here<'_, ChannelOn> {
    fn numbers(&self) -> &Numbers {
        &self.1.numbers
    }

    fn latency(&self) -> Option<&LatencyRecord> {
        self.1.latency.as_deref()
    }

    fn covers(&self) -> Sum {
        ITSELF
    }
}

/// The last answer of a node, however old.
const ITSELF: Sum = Sum {
    nodes: 1,
    answered: 1,
};

/// Links to what may be done on one node with what is at `url`, and whether it is paused there.
pub(super) fn acts(visit: &Visit, url: &str, node: &NodeState, is_paused: bool, is_topic: bool) -> Td {
    let verbs = [
        (Verb::Pause, !is_paused),
        (Verb::Unpause, is_paused),
        (Verb::Empty, true),
        (Verb::Tombstone, is_topic),
    ];
    let key = nsq_service::http::encode_component(&node.key);
    let offered = verbs
        .into_iter()
        .filter(|(verb, fits)| *fits && visit.role >= verb.role());
    Td {
        links: offered
            .map(|(verb, _)| (verb.title(), format!("{url}?confirm={}&node={key}", verb.text())))
            .collect(),
        ..Td::default()
    }
}

/// One value of it.
fn cell<T: Counted>(thing: &T, value: fn(&Numbers) -> Td) -> Td {
    value(thing.numbers()).covering(thing.covers())
}

/// Age of the oldest message that waits, of our nsqds.
pub(super) fn oldest(numbers: &Numbers) -> Td {
    if numbers.unfinished() == 0 {
        return Td::unknown("nothing waits");
    }
    Td::age(i64::try_from(numbers.oldest_ms / 1_000).unwrap_or(i64::MAX))
}

/// The numbers of a channel, with these quantiles.
pub(super) fn of_channel<'a, T: Counted>(quantiles: &[f64]) -> Vec<Column<'a, T>> {
    let number = |key, text, title, value: fn(&Numbers) -> Td| {
        Column::number(key, text, title, move |thing: &T| cell(thing, value))
    };
    let mut columns = vec![
        number("depth", "Depth", "messages waiting", |n| n.depth.into()),
        number(
            "disk",
            "Memory + disk",
            "where they wait; sorted by those on disk",
            |n| Td::split(n.memory(), n.disk),
        ),
        number("in_flight", "In flight", "delivered, not answered yet", |n| {
            n.in_flight.into()
        }),
        number("deferred", "Deferred", "waiting for their time", |n| {
            n.deferred.into()
        }),
        number("requeued", "Requeued", "since the nodes started", |n| {
            n.requeued.into()
        }),
        number("timed_out", "Timed out", "since the nodes started", |n| {
            n.timed_out.into()
        }),
        number("messages", "Messages", "entered since the nodes started", |n| {
            n.messages.into()
        }),
        number("in", "In/s", "messages that enter", |n| {
            Td::rate(n.rates.entered, false)
        }),
        number("done", "Done/s", "messages that are finished", |n| {
            Td::done(&n.rates)
        }),
        number("clients", "Clients", "connected consumers", |n| n.clients.into()),
    ];
    columns.extend(latency::columns(quantiles));
    columns
}

/// The numbers of a topic's own queue.
pub(super) fn of_own_queue<'a, T: Counted>(quantiles: &[f64]) -> Vec<Column<'a, T>> {
    let number = |key, text, title, value: fn(&Numbers) -> Td| {
        Column::number(key, text, title, move |thing: &T| cell(thing, value))
    };
    let mut columns = vec![
        number(
            "depth",
            "Topic depth",
            "messages in the topic's own queue, not handed to channels yet",
            |n| n.depth.into(),
        ),
        number(
            "disk",
            "Memory + disk",
            "where they wait; sorted by those on disk",
            |n| Td::split(n.memory(), n.disk),
        ),
        number("messages", "Messages", "published since the nodes started", |n| {
            n.messages.into()
        }),
        number("in", "In/s", "messages that are published", |n| {
            Td::rate(n.rates.entered, false)
        }),
    ];
    columns.extend(latency::columns(quantiles));
    columns
}

/// The node of a row, with how old its numbers are if it is silent.
pub(super) fn node_link(node: &NodeState, url: String) -> Td {
    Td {
        note: age(node),
        ..Td::link(&node.key, url)
    }
}

/// How old the numbers of a silent node are; empty if it answers.
pub(super) fn age(node: &NodeState) -> String {
    match (&node.trouble, &node.said) {
        (Some(_), Some(_)) => format!("{} old", super::fmt::seconds(node.age)),
        _ => String::new(),
    }
}

/// A row whose values are old is grey.
pub(super) fn stale(node: &NodeState) -> &'static str {
    if node.trouble.is_some() { "stale" } else { "" }
}

/// The last row: what it is, the sum of every column, and nothing where a sum says nothing.
pub(super) fn total<T: Counted>(
    thing: &T,
    columns: &[Column<'_, T>],
    before: usize,
    after: usize,
) -> Vec<Td> {
    let mut total = vec![Td::text("Total")];
    total.resize(before, Td::default());
    total.extend(columns.iter().map(|column| (column.cell)(thing)));
    total.resize(total.len() + after, Td::default());
    total
}
