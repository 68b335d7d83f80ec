//! Messages that wait, or are in flight (console spec 3.5).

use nsq_http_api::messages::{Messages, State};

use super::super::fmt;
use super::super::page::Page;
use super::super::pages::MASKED;
use super::super::table::{Choice, Column, Plan, Table};
use super::super::td::Td;
use super::rows::{self, Seen};
use super::{Look, complain, many};
use crate::access::Role;
use crate::model::NodeState;

/// Messages on a page that can be chosen; the first without a choice.
const COUNTS: [&str; 4] = ["20", "50", "100", "200"];
/// Messages of each node, if all are looked into.
const OF_EACH: u32 = 10;
/// In place of the name of a node.
const ALL: &str = "all";

pub(super) async fn page(look: &Look<'_>) -> Page {
    let place = &look.visit.place;
    let state = State::of(place.get("state"))
        .filter(|_| look.channel.is_some())
        .unwrap_or_default();
    let count = COUNTS.into_iter().find(|count| place.get("n") == *count);
    let count = count.unwrap_or(COUNTS[0]).parse().unwrap_or(20);
    let is_all = place.get("node") == ALL;
    let nodes = if is_all {
        look.meant()
    } else {
        vec![look.chosen().unwrap_or_else(|| deepest(look))]
    };
    let mut request = look.request(state, if is_all { OF_EACH } else { count });
    if !is_all {
        place.get("cursor").clone_into(&mut request.cursor);
    }
    let addresses: Vec<String> = nodes.iter().map(|node| node.address.clone()).collect();
    let answers = look.shared.upstream.messages(&addresses, &request).await;
    let mut page = look.frame();
    page.tiles.clear();
    let mut next = String::new();
    let mut all = Vec::new();
    for (node, answer) in nodes.iter().zip(answers) {
        match answer.result {
            Ok(Messages {
                messages,
                next: after,
                ..
            }) => {
                next = after;
                all.extend(messages.into_iter().map(|message| Seen {
                    node,
                    message,
                    cursor: request.cursor.clone(),
                }));
            }
            Err(error) => complain(&mut page, node, &error),
        }
    }
    let said = format!("{}, {}", many(all.len()), state.as_str());
    look.noted("peek", &nodes, &said).await;
    page.say("Looking takes nothing: messages stay where they are.");
    let next = if is_all { String::new() } else { next };
    page.tables
        .push(table(look, state, all, (&request.cursor, &next)));
    page
}

/// The node where most waits.
fn deepest<'a>(look: &Look<'a>) -> &'a NodeState {
    let deepest = look.nodes.iter().max_by(|(a, own), (b, other)| {
        // of equals the first by name
        own.depth.cmp(&other.depth).then_with(|| b.key.cmp(&a.key))
    });
    // a look has at least one node
    deepest.map_or_else(|| look.nodes[0].0, |(node, _)| *node)
}

fn table(look: &Look<'_>, state: State, all: Vec<Seen<'_>>, (cursor, next): (&str, &str)) -> Table {
    let visit = look.visit;
    let now = visit.view.snapshot.at;
    let mut columns = rows::columns(look, state.as_str());
    if state == State::InFlight {
        let is_masked = visit.role < Role::Operator;
        columns.push(Column::text(
            "client",
            "Held by",
            "the client that has it",
            move |seen: &Seen<'_>| Td {
                note: if is_masked {
                    MASKED.to_owned()
                } else {
                    seen.message.remote_address.clone().unwrap_or_default()
                },
                ..Td::text(seen.message.client_id.clone().unwrap_or_default())
            },
        ));
        columns.push(Column::number(
            "deadline",
            "Times out",
            "when it comes again, without an answer",
            move |seen: &Seen<'_>| rows::moment_of(seen.message.deadline, now),
        ));
    }
    if state == State::Deferred {
        columns.push(Column::number(
            "due",
            "Due",
            "when its time comes",
            move |seen: &Seen<'_>| rows::moment_of(seen.message.due, now),
        ));
    }
    columns.push(rows::body_column());
    let plan = Plan {
        heading: "Messages",
        columns,
        name: Box::new(rows::name),
        empty: "No message there.",
        has_filter: true,
        is_whole: true,
        ..Plan::default()
    };
    let count = all.len();
    let mut table = plan.show(all, &visit.place, |_| "").0;
    let first = if cursor.is_empty() { "first " } else { "" };
    table.caption = format!("{first}{}, looked at {}", many(count), fmt::utc(now));
    choices(look, &mut table, state);
    rows::steps(look, &mut table, cursor, next);
    table
}

fn choices(look: &Look<'_>, table: &mut Table, state: State) {
    let place = &look.visit.place;
    if look.nodes.len() > 1 {
        rows::choose_node(look, table, "deepest node");
    }
    let Some(filter) = &mut table.filter else { return };
    if look.nodes.len() > 1
        && let Some(choice) = filter.choices.first_mut()
    {
        choice.values.push((ALL.to_owned(), place.get("node") == ALL));
    }
    if look.channel.is_some() {
        let states = [State::InFlight, State::Deferred].map(State::as_str);
        filter.choices.push(Choice {
            name: "state",
            label: "State",
            default: State::Ready.as_str(),
            values: states
                .map(|name| (name.to_owned(), name == state.as_str()))
                .to_vec(),
        });
    }
    let others = COUNTS.into_iter().skip(1);
    filter.choices.push(Choice {
        name: "n",
        label: "Messages on a page",
        default: COUNTS[0],
        values: others
            .map(|count| (count.to_owned(), place.get("n") == count))
            .collect(),
    });
    // a new choice starts from the beginning
    filter.kept.retain(|(name, _)| name != "cursor" && name != "n");
}
