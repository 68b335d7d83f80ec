//! Nodes, one node, and the counter.

use std::sync::Arc;

use nsq_service::http::{Failure, Reply, Request, StatusCode};

use super::super::fmt::Cell;
use super::super::page::{Page, Table, Td, number};
use super::super::view::{Shell, Tile};
use super::super::{html, status_of, urls};
use super::failed;
use super::names::{count_cells, crumb};
use crate::Shared;
use crate::api::{self, Steps};
use crate::model::{Node, Snapshot, Sum, TopicRecord, clients_of};
use crate::options::Sources;

/// `GET /nodes`.
pub(crate) async fn nodes(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let may_act = shared.access.may_act(&request);
    let mut steps = Steps::default();
    let (snapshot, nodes) = tokio::join!(shared.upstream.snapshot(), api::node_list(&shared, &mut steps));
    let nodes = match nodes {
        Ok(nodes) => nodes,
        Err(failure) => return failed(&shared, &snapshot, "the nodes", (true, may_act), &failure),
    };
    let lookupds = match shared.upstream.sources() {
        Sources::Lookupds(lookupds) => lookupds.len(),
        Sources::Nsqds(_) => 0,
    };
    let base = &shared.base_path;
    let mut page = Page::new(Shell::new(&snapshot, base, "Nodes", may_act), "Nodes");
    page.warn(steps.message());
    let rows = nodes.iter().map(|node| node_row(node, lookupds, &snapshot, base));
    let columns = [
        "Node",
        "Host",
        "State",
        "Version",
        "Region",
        "Zone",
        "#Topics",
        "#Clients",
        "#Depth",
        "#nsqlookupds",
        "#TCP port",
        "#HTTP port",
    ];
    let table = Table::new("Every nsqd that is known", &columns, rows.collect());
    page.tables = vec![table.or("No nsqd is registered with the nsqlookupds.")];
    html(&page, StatusCode::OK)
}

fn node_row(node: &Node, lookupds: usize, snapshot: &Snapshot, base: &str) -> Vec<Td> {
    let key = node.key();
    let state = snapshot.nodes.iter().find(|state| state.key == key);
    let numbers = state.map(|state| &state.numbers);
    let (health, clients, depth) = match numbers {
        Some(Ok(numbers)) if numbers.health == "OK" => (
            Td::chip("ok", "✓", "ok"),
            Cell::number(numbers.clients),
            Cell::number(numbers.depth),
        ),
        Some(Ok(numbers)) => (
            Td::chip("bad", "▲", &numbers.health),
            Cell::number(numbers.clients),
            Cell::number(numbers.depth),
        ),
        Some(Err(trouble)) => (
            Td::chip("bad", "▲", &trouble.reason),
            Cell::unknown(&trouble.reason),
            Cell::unknown(&trouble.reason),
        ),
        // known by its configured address, which differs from the one it advertises
        None => (
            Td::default(),
            Cell::unknown("see the overview"),
            Cell::unknown("see the overview"),
        ),
    };
    let version = if node.out_of_date {
        Td::chip("warn", "!", format!("{} older", node.version))
    } else {
        Td::text(&node.version)
    };
    let listed = node.remote_addresses.as_ref().map_or(0, Vec::len);
    let registered = match lookupds {
        0 => Cell::unknown("no nsqlookupd is configured").into(),
        _ => Td {
            class: if listed < lookupds {
                "number partial"
            } else {
                "number"
            },
            title: node
                .remote_addresses
                .iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
                .join(", "),
            ..Td::text(format!("{listed}/{lookupds}"))
        },
    };
    let port = |port: i64| Td {
        class: "number",
        ..Td::text(port.to_string())
    };
    vec![
        Td::link(&key, urls::below(base, &["nodes", &key])),
        Td::text(&node.hostname),
        health,
        version,
        Td::text(&node.topology_region),
        Td::text(&node.topology_zone),
        number(node.topics.len()).into(),
        clients.into(),
        depth.into(),
        registered,
        port(node.tcp_port),
        port(node.http_port),
    ]
}

/// `GET /nodes/:node`.
pub(crate) async fn node(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let may_act = shared.access.may_act(&request);
    let key = request.param("node");
    let mut steps = Steps::default();
    let (snapshot, topics) = tokio::join!(
        shared.upstream.snapshot(),
        api::read_node(&shared, key, &mut steps)
    );
    let topics = match topics {
        Ok(topics) => topics,
        Err(failure) => {
            return failed(
                &shared,
                &snapshot,
                &format!("node “{key}”"),
                (true, may_act),
                &failure,
            );
        }
    };
    let base = &shared.base_path;
    let mut page = Page::new(Shell::new(&snapshot, base, "", may_act), key);
    page.crumbs = vec![crumb("Nodes", urls::below(base, &["nodes"]))];
    page.warn(steps.message());
    let messages = topics.iter().map(|topic| topic.message_count);
    page.tiles = vec![
        Tile {
            label: "Topics",
            cell: number(topics.len()),
        },
        Tile {
            label: "Messages",
            cell: Cell::number(messages.fold(0, i64::saturating_add)),
        },
        Tile {
            label: "Clients",
            cell: number(topics.iter().map(clients_of).sum()),
        },
    ];
    page.tables = vec![
        topics_table(&topics, key, may_act, base),
        channels_table(&topics, base),
    ];
    html(&page, StatusCode::OK)
}

fn topics_table(topics: &[TopicRecord], key: &str, may_act: bool, base: &str) -> Table {
    let rows = topics.iter().map(|topic| {
        let url = urls::below(base, &["topics", &topic.topic_name]);
        let node = nsq_service::http::encode_component(key);
        let mut row = vec![
            Td::link(&topic.topic_name, url.clone()),
            topic.depth.into(),
            Td::split(topic.memory_depth, topic.backend_depth),
            topic.message_count.into(),
            number(topic.channels.len()).into(),
            Td::paused(topic.paused),
        ];
        if may_act {
            row.push(Td::link(
                "Tombstone…",
                format!("{url}?confirm=tombstone&node={node}"),
            ));
        }
        row
    });
    let mut columns = vec![
        "Topic",
        "#Topic depth",
        "#Memory + disk",
        "#Messages",
        "#Channels",
        "State",
    ];
    if may_act {
        columns.push("Action");
    }
    Table::new("Topics", &columns, rows.collect()).or("This node has no topics.")
}

fn channels_table(topics: &[TopicRecord], base: &str) -> Table {
    let rows = topics.iter().flat_map(|topic| &topic.channels).map(|channel| {
        let (topic, name) = (&channel.topic_name, &channel.channel_name);
        let url = urls::below(base, &["topics", topic, name]);
        let mut row = vec![Td::link(format!("{topic}/{name}"), url)];
        row.extend(count_cells(&channel.counts));
        row.push(Td::paused(channel.paused));
        row
    });
    let columns = [
        "Topic/channel",
        "#Depth",
        "#Memory + disk",
        "#In flight",
        "#Deferred",
        "#Requeued",
        "#Timed out",
        "#Messages",
        "#Clients",
        "State",
    ];
    Table::new("Channels", &columns, rows.collect()).or("This node has no channels.")
}

/// `GET /counter`: messages of all channels, so that one counts once per channel.
pub(crate) async fn counter(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let may_act = shared.access.may_act(&request);
    let snapshot = shared.upstream.snapshot().await;
    let base = &shared.base_path;
    let mut page = Page::new(
        Shell::new(&snapshot, base, "Counter", may_act),
        "Messages processed",
    );
    let channels = snapshot.topics.iter().flat_map(|topic| &topic.channels);
    let value = channels.fold(0, |sum: i64, channel| {
        sum.saturating_add(channel.message_count.value)
    });
    let answered = snapshot.nodes.iter().filter(|node| node.numbers.is_ok()).count();
    let cell = Cell::sum(Sum {
        value,
        nodes: snapshot.nodes.len(),
        answered,
    });
    page.tiles = vec![Tile {
        label: "In all channels, since the nodes started",
        cell,
    }];
    page.notices.push(super::Notice {
        text:
            "A message counts once for each channel it was handed to. Load the page again for a newer number."
                .to_owned(),
        ..super::Notice::default()
    });
    html(&page, status_of(&snapshot))
}
