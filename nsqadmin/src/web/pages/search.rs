//! Finds topics, channels, nodes and pages by their names (console spec 2.3).

use askama::Template;

use super::super::page::Page;
use super::super::table::{Column, Plan};
use super::super::td::Td;
use super::super::visit::Visit;
use crate::access::Role;

/// Names that are offered for one that is not there.
const NEAR: usize = 5;

/// Most results.
const MAX: usize = 200;

/// Most suggestions while somebody types.
const SUGGESTIONS: usize = 12;

/// A page that can be found.
pub(in super::super) struct Found {
    name: String,
    kind: &'static str,
    url: String,
    rank: u8,
    depth: i64,
}

impl Found {
    fn waiting(&self) -> String {
        match self.depth {
            0 => "empty".to_owned(),
            depth => format!("{} waiting", super::fmt::count(depth)),
        }
    }
}

/// What fits best, for the list below the field.
#[derive(Template)]
#[template(path = "found.html")]
pub(in super::super) struct Suggestions {
    found: Vec<Found>,
}

/// `GET /search?q=&frag=1`.
pub(in super::super) fn suggestions(visit: &Visit) -> Suggestions {
    let q = visit.place.get("q");
    let mut found = if q.is_empty() { Vec::new() } else { find(visit, q) };
    found.truncate(SUGGESTIONS);
    Suggestions { found }
}

/// `GET /search?q=`.
pub(in super::super) fn search(visit: &Visit) -> Page {
    let q = visit.place.get("q");
    let mut page = visit.page("", "Search");
    q.clone_into(&mut page.shell.q);
    if q.is_empty() {
        page.say("Type a part of the name of a topic, a channel, a node or a page into the field above.");
        return page;
    }
    let found = find(visit, q);
    let plan = Plan {
        heading: "Results",
        columns: vec![
            Column::text("name", "Name", "", |found: &Found| {
                Td::link(&found.name, found.url.clone())
            }),
            Column::text("kind", "Kind", "", |found: &Found| Td::text(found.kind)),
            Column::number("depth", "Depth", "messages waiting", |found: &Found| {
                if matches!(found.kind, "page" | "action") {
                    Td::default()
                } else {
                    found.depth.into()
                }
            }),
        ],
        name: Box::new(|found: &Found| format!("{} {}", found.kind, found.name)),
        empty: "Nothing has a name like this.",
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    page.tables.push(plan.show(found, &visit.place, |_| "").0);
    page
}

/// Where the one thing is that is called exactly so.
pub(in super::super) fn straight_to(visit: &Visit) -> Option<String> {
    let q = visit.place.get("q");
    let mut exact = find(visit, q).into_iter().filter(|found| found.name == q);
    let first = exact.next()?;
    exact.next().is_none().then_some(first.url)
}

/// Things that are called nearly so, and where they are.
pub(super) fn near(visit: &Visit, name: &str) -> Vec<(String, String)> {
    let mut found = find(visit, name);
    if found.is_empty() {
        // the longest beginning that something has
        let lengths = (2..name.len()).rev().filter(|at| name.is_char_boundary(*at));
        found = lengths
            .map(|at| find(visit, &name[..at]))
            .find(|found| !found.is_empty())
            .unwrap_or_default();
    }
    found.truncate(NEAR);
    found.into_iter().map(|found| (found.name, found.url)).collect()
}

/// Best first.
fn find(visit: &Visit, q: &str) -> Vec<Found> {
    let (verb, wanted) = match q.split_once(' ') {
        Some((verb @ ("pause" | "unpause" | "empty" | "delete"), name)) => (verb, name),
        _ => ("", q),
    };
    let mut found = Vec::new();
    let mut add = |name: String, kind, url: String, depth| {
        if let Some(rank) = rank(&name, wanted) {
            found.push(Found {
                name,
                kind,
                url,
                rank,
                depth,
            });
        }
    };
    let snapshot = &visit.view.snapshot;
    for topic in &snapshot.topics {
        add(
            topic.name.to_string(),
            "topic",
            visit.url(&["topics", &topic.name]),
            topic.waiting(),
        );
        for channel in &topic.channels {
            let url = visit.url(&["topics", &topic.name, &channel.name]);
            add(
                format!("{}/{}", topic.name, channel.name),
                "channel",
                url,
                channel.numbers.depth,
            );
        }
    }
    if verb.is_empty() {
        for node in &snapshot.nodes {
            let depth = node.said.as_ref().map_or(0, |said| said.depth());
            add(node.key.clone(), "node", visit.url(&["nodes", &node.key]), depth);
        }
        for source in &snapshot.lookupds {
            add(source.address.clone(), "nsqlookupd", visit.url(&["lookup"]), 0);
        }
        for page in [
            "topics", "nodes", "lookup", "cluster", "counter", "dead", "timers", "audit", "settings", "help",
        ] {
            add(page.to_owned(), "page", visit.url(&[page]), 0);
        }
    }
    found.sort_by(|a, b| {
        a.rank
            .cmp(&b.rank)
            .then(b.depth.cmp(&a.depth))
            .then_with(|| a.name.cmp(&b.name))
    });
    found.truncate(MAX);
    let needed = if matches!(verb, "empty" | "delete") {
        Role::Admin
    } else {
        Role::Operator
    };
    if !verb.is_empty() && visit.role >= needed {
        for own in &mut found {
            own.name = format!("{verb} {}", own.name);
            own.url = format!("{}?confirm={verb}", own.url);
            own.kind = "action";
        }
    }
    found
}

/// Exact, beginning, beginning of a part, anywhere, or letters in their order; nothing if none of these.
fn rank(name: &str, q: &str) -> Option<u8> {
    let (name, q) = (name.to_lowercase(), q.to_lowercase());
    if name == q {
        return Some(0);
    }
    if name.starts_with(&q) {
        return Some(1);
    }
    let is_part = name
        .split(['.', '_', '-', '/', ':'])
        .any(|part| part.starts_with(&q));
    if is_part {
        return Some(2);
    }
    if name.contains(&q) {
        return Some(3);
    }
    let mut letters = name.chars();
    q.chars()
        .all(|wanted| letters.any(|own| own == wanted))
        .then_some(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ranked_by_how_they_fit() {
        for (name, q, expected) in [
            ("orders", "orders", Some(0)),
            ("Orders", "oRDERS", Some(0)),
            ("orders.new", "orders", Some(1)),
            ("new.orders", "ord", Some(2)),
            ("orders/billing", "bill", Some(2)),
            ("reorders", "order", Some(3)),
            ("orders", "ods", Some(4)),
            ("orders", "sro", None),
        ] {
            assert_eq!(rank(name, q), expected, "{name} {q}");
        }
    }
}
