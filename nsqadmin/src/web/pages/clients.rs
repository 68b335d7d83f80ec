//! The clients of a channel, those with trouble first.

use super::super::table::{Column, Plan, Table};
use super::super::td::{Rank, Td};
use super::super::visit::Visit;
use super::fmt;
use crate::access::Role;
use crate::model::{ChannelRecord, ClientRecord};

/// Where somebody may not look.
pub(in super::super) const MASKED: &str = "hidden from viewers";

/// The table; `per` clients on a page.
pub(super) fn table(visit: &Visit, record: Result<&ChannelRecord, &str>, per: usize) -> Table {
    let clients: Vec<&ClientRecord> = record
        .iter()
        .flat_map(|record| record.clients.iter().flatten())
        .collect();
    let is_masked = visit.role < Role::Operator;
    let count = |number: u64| Td::from(number);
    let columns = vec![
        Column::text("client", "Client", "", move |client: &&ClientRecord| Td {
            note: if is_masked {
                MASKED.to_owned()
            } else {
                client.remote_address.clone()
            },
            ..Td::text(name(client))
        }),
        Column::text(
            "node",
            "Node",
            "the nsqd it is connected to",
            |client: &&ClientRecord| Td::link(&client.node, visit.url(&["nodes", &client.node])),
        ),
        Column::number(
            "ready",
            "Ready",
            "messages it can take now (RDY)",
            |client: &&ClientRecord| ready(client),
        ),
        Column::number(
            "in_flight",
            "In flight",
            "delivered to it, not answered yet",
            |client: &&ClientRecord| client.in_flight_count.into(),
        ),
        Column::number("finished", "Finished", "", move |client: &&ClientRecord| {
            count(client.finish_count)
        }),
        Column::number("requeued", "Requeued", "", move |client: &&ClientRecord| {
            count(client.requeue_count)
        }),
        Column::number(
            "messages",
            "Messages",
            "delivered to it",
            move |client: &&ClientRecord| count(client.message_count),
        ),
        Column::number(
            "connected",
            "Connected",
            "for how long",
            |client: &&ClientRecord| Td::age(client.connected / 1_000_000_000),
        ),
        Column::text("agent", "User agent", "", |client: &&ClientRecord| {
            Td::text(&client.user_agent)
        }),
        Column::text("attributes", "Attributes", "", move |client: &&ClientRecord| {
            attributes(client, is_masked)
        }),
    ];
    let mut clients = clients;
    // a stable sort: within each kind the order of the reference
    clients.sort_by_key(|client| (client.ready_count > 0, client.in_flight_count == 0));
    let plan = Plan {
        heading: "Clients",
        columns,
        name: Box::new(|client: &&ClientRecord| {
            format!("{} {} {}", client.node, name(client), client.remote_address)
        }),
        empty: match record {
            Ok(_) => "No clients connected to this channel.",
            Err(_) => "The clients are not known: the nodes of the channel did not answer.",
        },
        has_filter: true,
        is_whole: visit.is_export(),
        per,
        ..Plan::default()
    };
    let mut table = plan.show(clients, &visit.place, |client| nearness(client)).0;
    if table.rows.is_empty() && visit.place.get("q").is_empty() {
        table.filter = None;
    }
    table
}

/// A row of the zone, or of the region, of its node is tinted.
fn nearness(client: &ClientRecord) -> &'static str {
    if client.topology_region.is_empty() || client.topology_region != client.node_topology_region {
        ""
    } else if !client.topology_zone.is_empty() && client.topology_zone == client.node_topology_zone {
        "zone"
    } else {
        "region"
    }
}

fn name(client: &ClientRecord) -> String {
    if client.client_id.is_empty() || client.hostname.starts_with(&client.client_id) {
        client.hostname.clone()
    } else {
        format!("{} ({})", client.hostname, client.client_id)
    }
}

fn ready(client: &ClientRecord) -> Td {
    if client.ready_count == 0 {
        return Td {
            rank: Rank::Number(0.0),
            ..Td::chip("warn", "!", "0").titled("takes nothing now: it backs off, or is blocked")
        };
    }
    client.ready_count.into()
}

fn attributes(client: &ClientRecord, is_masked: bool) -> Td {
    let mut all = Vec::new();
    if client.sample_rate > 0 {
        all.push(format!("sampled {} %", client.sample_rate));
    }
    if client.tls {
        all.push("TLS".to_owned());
    }
    for (yes, text) in [(client.deflate, "deflate"), (client.snappy, "snappy")] {
        if yes {
            all.push(text.to_owned());
        }
    }
    if client.authed {
        let who = if is_masked { MASKED } else { &client.auth_identity };
        all.push(format!("authorised as {who}"));
    }
    for (own, of_node, what) in [
        (&client.topology_region, &client.node_topology_region, "region"),
        (&client.topology_zone, &client.node_topology_zone, "zone"),
    ] {
        if !own.is_empty() {
            let same = if own == of_node { ", the node's" } else { "" };
            all.push(format!("{what} {own}{same}"));
        }
    }
    let title = if client.tls {
        format!(
            "{} {} {}",
            client.tls_version, client.tls_cipher_suite, client.tls_negotiated_protocol
        )
    } else {
        String::new()
    };
    let is_link = |url: &&String| url.starts_with("https://") || url.starts_with("http://");
    let who = Some(&client.auth_identity_url).filter(is_link);
    Td {
        links: who
            .filter(|_| client.authed && !is_masked)
            .map(|url| ("identity", url.clone()))
            .into_iter()
            .collect(),
        ..Td::text(all.join(" · ")).titled(title)
    }
}

/// What people read of a moment.
pub(super) fn ago(now: i64, then: i64) -> Td {
    Td {
        title: fmt::utc(then),
        ..Td::age(now.saturating_sub(then))
    }
}
