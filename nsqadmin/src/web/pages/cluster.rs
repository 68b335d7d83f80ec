//! Who is registered where, what every upstream answers, and how this console itself is.

use super::super::page::Page;
use super::super::table::{Column, Plan, Table};
use super::super::td::Td;
use super::super::visit::Visit;
use super::fmt;
use super::nodes::{state as node_state, version};
use crate::model::{NodeState, Source, Trouble};

/// `GET /cluster`.
pub(in super::super) fn cluster(visit: &Visit) -> Page {
    let view = &visit.view;
    let mut page = visit.page("Cluster", "Cluster");
    page.notices.extend(super::warming(visit));
    if let Some(interval) = view.interval {
        let interval = Td::took(interval);
        page.tile(
            "Poll interval",
            if view.stretched.is_empty() {
                interval
            } else {
                Td {
                    note: format!("stretched: {}", view.stretched),
                    ..interval
                }
            },
        );
        page.tile("Open pages with patches", Td::many(visit.streams));
        page.tile("Last round", Td::took(view.snapshot.round));
        let (bytes, evictions) = visit.history(|history| (history.bytes(), history.evictions()));
        page.tile("History", Td::bytes(u64::try_from(bytes).unwrap_or(u64::MAX)));
        page.tile("Evicted from it", Td::from(evictions));
    } else {
        page.say("Nothing is asked in the background (--stats-poll-interval=0): pages ask when they are opened, and there are no charts.");
    }
    page.tables = vec![registration(visit), upstreams(visit)];
    page
}

/// Nodes by nsqlookupds.
fn registration(visit: &Visit) -> Table {
    let sources = &visit.view.snapshot.lookupds;
    let mut columns = vec![
        Column::text("node", "Node", "", |node: &&NodeState| {
            Td::link(&node.key, visit.url(&["nodes", &node.key]))
        }),
        Column::text("state", "State", "", |node: &&NodeState| node_state(node)),
        Column::text("version", "Version", "", |node: &&NodeState| version(node)),
    ];
    // by its place: two of them never have the same key
    const KEYS: [&str; 8] = ["l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8"];
    for (source, key) in sources.iter().zip(KEYS) {
        let column = Column::text(key, "", "what this nsqlookupd says", move |node: &&NodeState| {
            registered(source, node)
        });
        columns.push(Column {
            heading: Some(source.address.clone()),
            ..column
        });
    }
    let plan = Plan {
        id: "nodes",
        heading: "Registration",
        columns,
        name: Box::new(|node: &&NodeState| node.key.clone()),
        empty: "No nsqd is known.",
        per: 50,
        ..Plan::default()
    };
    plan.show(visit.view.snapshot.nodes.iter().collect(), &visit.place, |_| "")
        .0
}

fn registered(source: &Source, node: &NodeState) -> Td {
    match &source.trouble {
        Some(_) => Td::chip("idle", "◌", "no answer"),
        None if source.nodes.contains(&node.key) => Td::chip("ok", "✓", "registered"),
        None => Td::chip("warn", "✕", "not registered"),
    }
}

struct Upstream<'a> {
    address: &'a str,
    kind: &'static str,
    trouble: Option<&'a Trouble>,
    took: std::time::Duration,
}

fn upstreams(visit: &Visit) -> Table {
    let snapshot = &visit.view.snapshot;
    let now = snapshot.at;
    let sources = snapshot.lookupds.iter().map(|source| Upstream {
        address: &source.address,
        kind: "nsqlookupd",
        trouble: source.trouble.as_ref(),
        took: source.took,
    });
    let nodes = snapshot.nodes.iter().map(|node| Upstream {
        address: &node.key,
        kind: "nsqd",
        trouble: node.trouble.as_ref(),
        took: node.took,
    });
    let columns = vec![
        Column::text("address", "Address", "", |own: &Upstream<'_>| {
            Td::text(own.address)
        }),
        Column::text("kind", "Kind", "", |own: &Upstream<'_>| Td::text(own.kind)),
        Column::text("state", "State", "", |own: &Upstream<'_>| state(own.trouble)),
        Column::number(
            "took",
            "Answer",
            "how long the last one took",
            |own: &Upstream<'_>| Td::took(own.took),
        ),
        Column::number("failures", "Failures", "in a row", |own: &Upstream<'_>| {
            Td::from(own.trouble.map_or(0, |trouble| trouble.failures))
        }),
        Column::text(
            "since",
            "Since",
            "the first of these failures",
            move |own: &Upstream<'_>| match own.trouble {
                Some(trouble) => {
                    Td::text(fmt::seconds(now.saturating_sub(trouble.since))).titled(fmt::utc(trouble.since))
                }
                None => Td::default(),
            },
        ),
        Column::text("error", "Error", "in full", |own: &Upstream<'_>| {
            Td::text(own.trouble.map(|trouble| trouble.raw.clone()).unwrap_or_default())
        }),
    ];
    let plan = Plan {
        heading: "Upstreams",
        columns,
        name: Box::new(|own: &Upstream<'_>| own.address.to_owned()),
        has_filter: true,
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    plan.show(sources.chain(nodes).collect(), &visit.place, |_| "").0
}

/// Answers, or not.
pub(super) fn state(trouble: Option<&Trouble>) -> Td {
    match trouble {
        None => Td::chip("ok", "✓", "ok"),
        Some(trouble) => Td::chip("bad", "▲", &trouble.reason).titled(&trouble.raw),
    }
}
