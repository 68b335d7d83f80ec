//! What rows of messages have in common.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nsq_http_api::messages::Message;

use super::super::fmt;
use super::super::table::{Choice, Column, Step, Table};
use super::super::td::{Rank, Td};
use super::{Look, body, seconds};
use crate::access::Role;
use crate::model::NodeState;

/// Characters of a body in a row.
const PREVIEW: usize = 80;

/// A message on its node.
pub(super) struct Seen<'a> {
    pub(super) node: &'a NodeState,
    pub(super) message: Message,
    /// Where the page of the list began that it was on.
    pub(super) cursor: String,
}

/// The bytes of a body, as far as they were shown.
pub(super) fn bytes_of(message: &Message) -> Option<Vec<u8>> {
    match (&message.body, &message.body_base64) {
        (Some(text), _) => Some(text.clone().into_bytes()),
        (None, Some(packed)) => STANDARD.decode(packed).ok(),
        (None, None) => None,
    }
}

/// A body in a row.
pub(in super::super) fn preview(message: &Message) -> String {
    let bytes = bytes_of(message).unwrap_or_default();
    let mut text = body::preview(&bytes, PREVIEW);
    if message.truncated && !text.ends_with('…') {
        text.push('…');
    }
    text
}

/// A moment, with how far it is from `now`, both in seconds.
pub(super) fn moment(at: i64, now: i64) -> Td {
    let apart = at.saturating_sub(now);
    let text = if apart >= 0 {
        format!("in {}", fmt::seconds(apart))
    } else {
        format!("{} ago", fmt::seconds(-apart))
    };
    #[allow(clippy::cast_precision_loss, reason = "only sorted by it")]
    let rank = Rank::Number(at as f64);
    Td {
        text,
        class: "number",
        title: fmt::utc(at),
        rank,
        ..Td::default()
    }
}

/// The same of nanoseconds, where they are known.
pub(super) fn moment_of(nanos: Option<i64>, now: i64) -> Td {
    nanos.map_or_else(
        || Td::unknown("the node does not say"),
        |nanos| moment(seconds(nanos), now),
    )
}

/// Id, node, age, attempts and size; the id leads to the message if that may be seen.
pub(super) fn columns<'a>(look: &'a Look<'_>, state: &'a str) -> Vec<Column<'a, Seen<'a>>> {
    let now = look.visit.view.snapshot.at;
    vec![
        Column::text(
            "id",
            "Id",
            "16 characters, given by the nsqd",
            move |seen: &Seen<'_>| {
                if look.sees {
                    Td::link(&seen.message.id, open(look, state, seen))
                } else {
                    Td::text(&seen.message.id)
                }
            },
        ),
        Column::text("node", "Node", "the nsqd that has it", move |seen: &Seen<'_>| {
            Td::link(&seen.node.key, look.visit.url(&["nodes", &seen.node.key]))
        }),
        Column::number("age", "Age", "since it was published", move |seen: &Seen<'_>| {
            Td::age(now.saturating_sub(seconds(seen.message.timestamp)).max(0))
                .titled(fmt::utc(seconds(seen.message.timestamp)))
        }),
        Column::number("attempts", "Attempts", "deliveries so far", |seen: &Seen<'_>| {
            Td::from(seen.message.attempts)
        }),
        Column::number("size", "Size", "of its body", |seen: &Seen<'_>| {
            Td::bytes(seen.message.size)
        }),
    ]
}

/// What is in it.
pub(super) fn body_column<'a>() -> Column<'a, Seen<'a>> {
    Column::text("body", "Body", "the beginning of it", |seen: &Seen<'_>| Td {
        class: "message",
        ..Td::text(preview(&seen.message))
    })
}

/// The page of one message.
fn open(look: &Look<'_>, state: &str, seen: &Seen<'_>) -> String {
    look.visit.place.with(&[
        ("tab", "messages"),
        ("id", &seen.message.id),
        ("node", &seen.node.key),
        ("state", state),
        ("cursor", &seen.cursor),
        ("q", ""),
        ("sort", ""),
    ])
}

/// What `q` looks through.
pub(super) fn name(seen: &Seen<'_>) -> String {
    format!("{} {}", seen.message.id, preview(&seen.message))
}

/// Lets somebody choose a node.
pub(super) fn choose_node(look: &Look<'_>, table: &mut Table, default: &'static str) {
    let chosen = look.visit.place.get("node");
    let keys = look.nodes.iter().map(|(node, _)| node.key.clone());
    if let Some(filter) = &mut table.filter {
        filter.choices.push(Choice {
            name: "node",
            label: "Node",
            default,
            values: keys.map(|key| (key.clone(), key == chosen)).collect(),
        });
    }
}

/// What can be done with one message: words, verbs, and who may.
pub(super) fn acts_column<'a>(
    look: &'a Look<'_>,
    verbs: &'a [(&'static str, &'static str, Role)],
) -> Column<'a, Seen<'a>> {
    let visit = look.visit;
    Column::text("act", "Do", "each asks first", move |seen: &Seen<'_>| {
        let mine = verbs.iter().filter(|(.., role)| visit.role >= *role);
        let link = |(text, verb, _): &(&'static str, &str, Role)| {
            let changes = [
                ("tab", ""),
                ("q", ""),
                ("sort", ""),
                ("from", ""),
                ("to", ""),
                ("cursor", ""),
                ("confirm", *verb),
                ("id", &seen.message.id),
                ("node", &seen.node.key),
            ];
            (*text, visit.place.with(&changes))
        };
        Td {
            links: mine.map(link).collect(),
            class: "acts",
            ..Td::default()
        }
    })
}

/// To the first page, and to the next.
pub(super) fn steps(look: &Look<'_>, table: &mut Table, cursor: &str, next: &str) {
    let mut step = |text: &str, cursor: &str| {
        table.pager.push(Step {
            text: text.to_owned(),
            url: look.visit.place.with(&[("cursor", cursor)]),
        });
    };
    if !cursor.is_empty() {
        step("First", "");
    }
    if !next.is_empty() {
        step("Next", next);
    }
}
