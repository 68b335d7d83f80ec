//! What is on the pages. Each is a function of a [`Visit`] alone, but for a channel's clients and inactive topics, which are asked
//! for.

mod attention;
mod audit;
mod channel;
mod charts;
mod clients;
mod cluster;
mod columns;
mod delivery;
mod latency;
mod lifecycle;
mod lookup;
mod node;
mod nodes;
mod overview;
mod publish;
mod search;
mod settings;
mod tabs;
mod topic;
mod topics;
mod waiting;

pub(super) use audit::{audit, audit_entry, lost_of_entry};
pub(super) use channel::channel;
pub(super) use clients::MASKED;
pub(super) use cluster::cluster;
pub(super) use lookup::{Typed, lookup};
pub(super) use node::node;
pub(super) use nodes::nodes;
pub(super) use overview::{counter, overview};
pub(super) use publish::{Draft, publish, publish_form};
pub(super) use search::{search, straight_to, suggestions};
pub(super) use settings::{help, settings};
pub(super) use topic::{topic, topic_tab};
pub(super) use topics::topics;
pub(super) use waiting::{dead, timers};

use nsq_service::http::StatusCode;

use super::fmt;
use super::page::{Act, Notice, Page};
use super::td::Td;
use super::visit::Visit;
use crate::access::Role;
use crate::model::{Of, Spread};

/// The page in place of one about something that is not there, or that nobody can say anything about.
fn absent(visit: &Visit, what: &str, of: Of<'_>, near: &[(String, String)]) -> Page {
    let snapshot = &visit.view.snapshot;
    let mut page = if snapshot.generation == 0 {
        let mut page = visit.page("", "Not known yet");
        page.say(format!("The first poll is running, so nothing is known about {what} yet. Load the page again in a moment."));
        page
    } else if snapshot.is_blind() {
        let mut page = visit.page("", "Not known");
        page.warn(
            format!("Nothing can be said about {what}: who could know does not answer. Nothing was changed."),
            raw(visit),
        );
        page.status = StatusCode::BAD_GATEWAY;
        page
    } else {
        let mut page = visit.page("", "Not found");
        let seen = visit.history(|history| history.seen(of));
        let seen = match seen {
            Some(seen) => format!(
                " It was last seen {} ago.",
                fmt::seconds(snapshot.at.saturating_sub(seen))
            ),
            None => String::new(),
        };
        page.warn(format!("There is no {what}.{seen}"), "");
        page.status = StatusCode::NOT_FOUND;
        page
    };
    for (name, url) in near {
        page.actions.push(Act {
            text: name.clone(),
            url: url.clone(),
            loses: false,
        });
    }
    page
}

/// The page in place of one that has never been.
pub(super) fn nowhere(visit: &Visit, path: &str) -> Page {
    let mut page = visit.page("", "Not found");
    page.warn(
        format!("There is no page “{path}”. Topics, channels and nodes are found with the search above."),
        "",
    );
    page.status = StatusCode::NOT_FOUND;
    page
}

/// The page in place of one that somebody may not see, or of something that they may not do.
pub(super) fn forbidden(visit: &Visit, needed: Role) -> Page {
    let mut page = visit.page("", "Not allowed");
    let text = if visit.is_read_only {
        "This console is read only: --read-only is set. Nothing was done.".to_owned()
    } else if visit.role < needed {
        let who = if visit.user.is_empty() {
            "You are"
        } else {
            &format!("{} is", visit.user)
        };
        format!(
            "This needs the role {}. {who} {}. Nothing was done.",
            needed.text(),
            visit.role.text()
        )
    } else {
        "This was sent by a page of another site, so nothing was done. Open the page here and send it again."
            .to_owned()
    };
    page.warn(text, "");
    page.status = StatusCode::FORBIDDEN;
    page
}

/// What upstreams that do not answer said, in full.
fn raw(visit: &Visit) -> String {
    let snapshot = &visit.view.snapshot;
    let nodes = snapshot.nodes.iter().filter_map(|node| node.trouble.as_ref());
    let sources = snapshot
        .lookupds
        .iter()
        .filter_map(|source| source.trouble.as_ref());
    let all: Vec<&str> = sources.chain(nodes).map(|trouble| trouble.raw.as_str()).collect();
    all.join("\n")
}

/// `paused`, or on how many nodes; nothing if nowhere.
fn paused(spread: Spread) -> Td {
    match spread {
        Spread { paused: 0, .. } => Td::default(),
        Spread { paused, answered, .. } if paused == answered => Td::chip("idle", "Ⅱ", "paused"),
        Spread { paused, answered, .. } => {
            Td::chip("idle", "Ⅱ", format!("paused on {paused} of {answered} nodes"))
        }
    }
}

/// How many nodes answer, of those that should.
fn answering(Spread { nodes, answered, .. }: Spread) -> Td {
    Td {
        text: format!("{answered}/{nodes}"),
        class: if answered < nodes {
            "number partial"
        } else {
            "number"
        },
        title: format!("{answered} of {nodes} nodes answer"),
        ..Td::many(answered)
    }
}

fn paused_here(is_paused: bool) -> Td {
    if is_paused {
        Td::chip("idle", "Ⅱ", "paused")
    } else {
        Td::default()
    }
}

/// What may be done with a topic or a channel at `url`.
fn actions(visit: &Visit, url: &str, what: &str, spread: Spread) -> Vec<Act> {
    let verbs = [
        ("Pause", "pause", Role::Operator, spread.paused < spread.answered),
        ("Unpause", "unpause", Role::Operator, spread.paused > 0),
        ("Empty", "empty", Role::Admin, spread.answered > 0),
        ("Delete", "delete", Role::Admin, true),
    ];
    let offered = verbs
        .into_iter()
        .filter(|(_, _, role, is_offered)| *is_offered && visit.role >= *role);
    offered
        .map(|(text, verb, ..)| Act {
            text: format!("{text} {what}"),
            url: format!("{url}?confirm={verb}"),
            loses: matches!(verb, "empty" | "delete"),
        })
        .collect()
}

/// Said on top of a page whose numbers do not cover everything.
fn warming(visit: &Visit) -> Option<Notice> {
    let snapshot = &visit.view.snapshot;
    (visit.view.interval.is_some() && !snapshot.is_complete).then(|| Notice {
        text: "First poll running: not everybody has answered yet.".to_owned(),
        ..Notice::default()
    })
}
