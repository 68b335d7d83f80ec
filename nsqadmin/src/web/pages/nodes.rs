//! The list of nodes.

use nsq_http_api::lifecycle::Phase;

use super::super::page::Page;
use super::super::table::{Column, Plan};
use super::super::td::Td;
use super::super::visit::Visit;
use super::clients::ago;
use super::columns::{age, stale};
use crate::model::{NodeState, Said, Snapshot};

/// `GET /nodes`.
pub(in super::super) fn nodes(visit: &Visit) -> Page {
    let snapshot = &visit.view.snapshot;
    let mut page = visit.page("Nodes", "Nodes");
    page.notices.extend(super::warming(visit));
    if snapshot.generation > 0 && snapshot.is_unknown() {
        page.status = super::StatusCode::BAD_GATEWAY;
        page.warn("No upstream answers. Nothing was changed.", super::raw(visit));
    }
    let zone = visit.place.get("zone").to_owned();
    let plan = Plan {
        heading: "Every nsqd that is known",
        columns: columns(visit),
        sort: "",
        name: Box::new(|node: &&NodeState| format!("{} {}", node.key, node.listed.hostname)),
        empty: "No nsqd is registered with the nsqlookupds.",
        has_filter: true,
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    let all = snapshot
        .nodes
        .iter()
        .filter(|node| zone.is_empty() || node.listed.topology_zone == zone);
    let mut table = plan.show(all.collect(), &visit.place, |node| stale(node)).0;
    if snapshot.nodes.is_empty() {
        table.filter = None;
    }
    page.tables.push(table);
    page
}

/// A number of the last answer.
fn number<'a>(
    key: &'static str,
    text: &'static str,
    title: &'static str,
    value: fn(&Said) -> Td,
) -> Column<'a, &'a NodeState> {
    Column::number(key, text, title, move |node: &&NodeState| {
        match (&node.said, &node.trouble) {
            (Some(said), _) => value(said),
            (None, Some(trouble)) => Td::unknown(&trouble.reason),
            (None, None) => Td::unknown("it has not answered yet"),
        }
    })
}

fn columns(visit: &Visit) -> Vec<Column<'_, &NodeState>> {
    let snapshot = &visit.view.snapshot;
    let now = snapshot.at;
    let mut columns = vec![
        Column::text("node", "Node", "", |node: &&NodeState| Td {
            note: node.listed.hostname.clone(),
            ..Td::link(&node.key, visit.url(&["nodes", &node.key]))
        }),
        Column::text("state", "State", "", |node: &&NodeState| state(node)),
        Column::number(
            "took",
            "Answer",
            "how long its last answer took",
            |node: &&NodeState| Td {
                note: age(node),
                ..Td::took(node.took)
            },
        ),
        Column::text("version", "Version", "", |node: &&NodeState| version(node)),
        Column::number(
            "started",
            "Up",
            "since its process started",
            move |node: &&NodeState| match &node.said {
                Some(said) if said.start_time > 0 => ago(now, said.start_time),
                _ => Td::unknown("it did not say"),
            },
        ),
        Column::text("region", "Region", "", |node: &&NodeState| {
            Td::text(&node.listed.topology_region)
        }),
        Column::text("zone", "Zone", "", |node: &&NodeState| {
            Td::text(&node.listed.topology_zone)
        }),
        number("topics", "Topics", "", |said| Td::many(said.topics.len())),
        number("clients", "Clients", "connected consumers", |said| {
            said.channels.clients.into()
        }),
        number("depth", "Depth", "all queues of the node", |said| {
            said.depth().into()
        }),
        number("in_flight", "In flight", "delivered, not answered yet", |said| {
            said.channels.in_flight.into()
        }),
    ];
    if visit.view.interval.is_some() {
        columns.push(number("in", "In/s", "messages that are published", |said| {
            Td::rate(said.own.rates.entered, false)
        }));
    }
    columns.extend([
        Column::number(
            "lookupds",
            "nsqlookupds",
            "that list it",
            move |node: &&NodeState| registered(snapshot, node),
        ),
        Column::number("tcp", "Ports", "TCP and HTTP", |node: &&NodeState| Td {
            text: format!("{} {}", node.listed.tcp_port, node.listed.http_port),
            title: format!("TCP {}, HTTP {}", node.listed.tcp_port, node.listed.http_port),
            ..Td::number(node.listed.tcp_port)
        }),
    ]);
    let has_region = snapshot
        .nodes
        .iter()
        .any(|node| !node.listed.topology_region.is_empty());
    let has_zone = snapshot
        .nodes
        .iter()
        .any(|node| !node.listed.topology_zone.is_empty());
    columns.retain(|column| match column.key {
        "region" => has_region,
        "zone" => has_zone,
        "lookupds" => !snapshot.lookupds.is_empty(),
        _ => true,
    });
    columns
}

/// How it is, in a chip.
pub(super) fn state(node: &NodeState) -> Td {
    if let Some(trouble) = &node.trouble {
        return Td::chip("bad", "▲", &trouble.reason).titled(&trouble.raw);
    }
    if let Some(health) = node.ill() {
        let text = if health.contains("no space left") {
            "disk full"
        } else {
            health
        };
        return Td::chip("bad", "▲", text).titled(health);
    }
    match (node.phase, &node.said) {
        (_, None) => Td::chip("idle", "◌", "not heard yet"),
        (Phase::Draining, _) => Td::chip("warn", "!", "draining"),
        (Phase::Joining, _) => Td::chip("info", "i", "joining"),
        (Phase::Active, _) => Td::chip("ok", "✓", "ok"),
    }
}

pub(super) fn version(node: &NodeState) -> Td {
    if node.listed.out_of_date {
        Td::chip("info", "i", format!("{} older", node.listed.version))
    } else {
        Td::text(&node.listed.version)
    }
}

/// How many of the nsqlookupds that answer list it.
fn registered(snapshot: &Snapshot, node: &NodeState) -> Td {
    let answering = snapshot.lookupds.iter().filter(|source| source.trouble.is_none());
    let (has, lacks): (Vec<_>, Vec<_>) = answering.partition(|source| source.nodes.contains(&node.key));
    if has.is_empty() && lacks.is_empty() {
        return Td::unknown("no nsqlookupd is configured, or none answers");
    }
    let missing: Vec<&str> = lacks.iter().map(|source| source.address.as_str()).collect();
    let text = format!("{}/{}", has.len(), has.len() + lacks.len());
    let number = Td {
        text: text.clone(),
        ..Td::many(has.len())
    };
    if missing.is_empty() {
        return number.titled(
            node.listed
                .remote_addresses
                .iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
                .join(", "),
        );
    }
    Td {
        rank: number.rank,
        ..Td::chip("warn", "!", text).titled(format!("not in {}", missing.join(", ")))
    }
}
