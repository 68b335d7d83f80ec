//! A topic and a channel.

use std::sync::Arc;

use nsq_service::http::{Failure, Reply, Request, StatusCode};

use super::super::fmt::Cell;
use super::super::page::{Act, Link, Notice, Page, Table, Td, number};
use super::super::view::{Shell, Tile};
use super::super::{act, html, urls};
use super::{failed, sum};
use crate::Shared;
use crate::api::{self, Steps};
use crate::model::{ChannelRecord, ClientRecord, Counts, Snapshot, TopicRecord};

/// `GET /topics/:topic`, which with `?confirm=` asks before something is done.
pub(crate) async fn topic(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    if let Some(verb) = request.query()?.get("confirm") {
        return act::confirm(&shared, request, verb).await;
    }
    let name = request.param("topic");
    let may_act = shared.access.may_act(&request);
    let mut steps = Steps::default();
    let (snapshot, record) = tokio::join!(
        shared.upstream.snapshot(),
        api::read_topic(&shared, name, &mut steps)
    );
    let known = snapshot.topics.iter().find(|topic| topic.name == name);
    let record = match record {
        Ok(record) => record,
        Err(failure) => {
            let what = format!("topic “{name}”");
            return failed(&shared, &snapshot, &what, (known.is_some(), may_act), &failure);
        }
    };
    let nodes = known.map_or(0, |topic| topic.depth.nodes);
    let mut page = topic_page(&record, nodes, &snapshot, (&shared.base_path, may_act));
    page.warn(steps.message());
    if !may_act {
        page.actions.clear();
    }
    html(&page, StatusCode::OK)
}

fn topic_page(
    record: &TopicRecord,
    nodes: usize,
    snapshot: &Snapshot,
    (base, may_act): (&str, bool),
) -> Page {
    let own = record.nodes.as_deref().unwrap_or_default();
    let mut page = Page::new(Shell::new(snapshot, base, "", may_act), &record.topic_name);
    page.crumbs = vec![crumb("Topics", urls::home(base))];
    page.paused = paused_on(own.iter().map(|node| node.paused));
    if own.is_empty() && nodes == 0 {
        page.notices.push(Notice {
            text: "No nsqd has this topic: only the nsqlookupds know it. It appears on an nsqd with its first message."
                .to_owned(),
            ..Notice::default()
        });
    }
    page.tiles = topic_tiles(record, own.len(), nodes);
    let url = urls::below(base, &["topics", &record.topic_name]);
    page.actions = actions(
        &url,
        "topic",
        &own.iter().map(|node| node.paused).collect::<Vec<_>>(),
    );
    let channels = record.channels.iter().map(|channel| {
        let name = &channel.channel_name;
        let url = urls::below(base, &["topics", &record.topic_name, name]);
        let mut row = vec![Td::link(name, url)];
        row.extend(count_cells(&channel.counts));
        let nodes = channel.nodes.iter().flatten();
        row.push(match paused_on(nodes.map(|node| node.paused)) {
            words if words.is_empty() => Td::default(),
            words => Td::chip("idle", "Ⅱ", words),
        });
        row
    });
    let columns = [
        "Channel",
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
    page.tables = vec![
        Table::new("Channels", &columns, channels.collect())
            .or("There is no channel yet. Messages wait in the topic until there is one."),
        topic_nodes(record, nodes, base),
    ];
    page
}

fn topic_tiles(record: &TopicRecord, answered: usize, nodes: usize) -> Vec<Tile> {
    let sum = |label, value| Tile {
        label,
        cell: sum(value, answered, nodes),
    };
    vec![
        sum("Topic depth", record.depth),
        sum("In memory", record.memory_depth),
        sum("On disk", record.backend_depth),
        sum("Messages", record.message_count),
        Tile {
            label: "Channels",
            cell: number(record.channels.len()),
        },
    ]
}

fn topic_nodes(record: &TopicRecord, known: usize, base: &str) -> Table {
    let nodes = record.nodes.as_deref().unwrap_or_default();
    let rows = nodes.iter().map(|node| {
        vec![
            Td::link(&node.node, urls::below(base, &["nodes", &node.node])),
            Td::text(&node.hostname),
            node.depth.into(),
            Td::split(node.memory_depth, node.backend_depth),
            node.message_count.into(),
            number(node.channels.len()).into(),
            Td::paused(node.paused),
        ]
    });
    let columns = [
        "Node",
        "Host",
        "#Topic depth",
        "#Memory + disk",
        "#Messages",
        "#Channels",
        "State",
    ];
    Table::new("Nodes", &columns, rows.collect())
        .or("No nsqd that answers has it.")
        .sum(vec![
            Td::text("Total"),
            Td::default(),
            sum(record.depth, nodes.len(), known).into(),
            Td::split(record.memory_depth, record.backend_depth),
            sum(record.message_count, nodes.len(), known).into(),
            Td::default(),
            Td::default(),
        ])
}

/// `GET /topics/:topic/:channel`, which with `?confirm=` asks before something is done.
pub(crate) async fn channel(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    if let Some(verb) = request.query()?.get("confirm") {
        return act::confirm(&shared, request, verb).await;
    }
    let (topic, name) = (request.param("topic"), request.param("channel"));
    let may_act = shared.access.may_act(&request);
    let mut steps = Steps::default();
    let (snapshot, record) = tokio::join!(
        shared.upstream.snapshot(),
        api::read_channel(&shared, topic, name, &mut steps)
    );
    let known = snapshot.topics.iter().find(|own| own.name == topic);
    let record = match record {
        Ok(record) => record,
        Err(failure) => {
            let what = format!("channel “{name}” of topic “{topic}”");
            return failed(&shared, &snapshot, &what, (known.is_some(), may_act), &failure);
        }
    };
    let known = known.and_then(|own| own.channels.iter().find(|own| own.name == name));
    let nodes = known.map_or(0, |channel| channel.depth.nodes);
    let mut page = channel_page(&record, nodes, &snapshot, (&shared.base_path, may_act));
    page.warn(steps.message());
    if !may_act {
        page.actions.clear();
    }
    html(&page, StatusCode::OK)
}

fn channel_page(
    record: &ChannelRecord,
    nodes: usize,
    snapshot: &Snapshot,
    (base, may_act): (&str, bool),
) -> Page {
    let own = record.nodes.as_deref().unwrap_or_default();
    let topic = &record.topic_name;
    let mut page = Page::new(Shell::new(snapshot, base, "", may_act), &record.channel_name);
    page.crumbs = vec![
        crumb("Topics", urls::home(base)),
        crumb(topic, urls::below(base, &["topics", topic])),
    ];
    let paused: Vec<bool> = own.iter().map(|node| node.paused).collect();
    page.paused = paused_on(paused.iter().copied());
    let url = urls::below(base, &["topics", topic, &record.channel_name]);
    page.actions = actions(&url, "channel", &paused);
    let counts = &record.counts;
    let sum = |label, value| Tile {
        label,
        cell: sum(value, own.len(), nodes),
    };
    page.tiles = vec![
        sum("Depth", counts.depth),
        sum("In flight", counts.in_flight_count),
        sum("Deferred", counts.deferred_count),
        sum("Requeued", counts.requeue_count),
        sum("Timed out", counts.timeout_count),
        sum("Messages", counts.message_count),
        sum("Clients", counts.client_count),
    ];
    let rows = own.iter().map(|node| {
        let mut row = vec![Td::link(&node.node, urls::below(base, &["nodes", &node.node]))];
        row.extend(count_cells(&node.counts));
        row.push(Td::paused(node.paused));
        row
    });
    let columns = [
        "Node",
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
    let mut total = vec![Td {
        note: if own.len() < nodes {
            format!("{}/{nodes} nodes", own.len())
        } else {
            String::new()
        },
        ..Td::text("Total")
    }];
    total.extend(count_cells(counts));
    total.push(Td::default());
    let clients = record
        .clients
        .iter()
        .flatten()
        .map(|client| client_row(client, base));
    page.tables = vec![
        Table::new("Nodes", &columns, rows.collect()).sum(total),
        Table::new(
            "Clients",
            &[
                "Client",
                "Node",
                "#Ready",
                "#In flight",
                "#Finished",
                "#Requeued",
                "#Messages",
                "#Connected",
                "User agent",
                "Attributes",
            ],
            clients.collect(),
        )
        .or("No clients connected to this channel."),
    ];
    page
}

fn client_row(client: &ClientRecord, base: &str) -> Vec<Td> {
    let count = |number: u64| Td::from(i64::try_from(number).unwrap_or(i64::MAX));
    let name = if client.client_id.is_empty() || client.hostname.starts_with(&client.client_id) {
        client.hostname.clone()
    } else {
        format!("{} ({})", client.hostname, client.client_id)
    };
    vec![
        Td {
            note: client.remote_address.clone(),
            ..Td::text(name)
        },
        Td::link(&client.node, urls::below(base, &["nodes", &client.node])),
        client.ready_count.into(),
        client.in_flight_count.into(),
        count(client.finish_count),
        count(client.requeue_count),
        count(client.message_count),
        Td {
            class: "number",
            ..Td::text(super::super::fmt::duration(client.connected / 1_000_000_000))
        },
        Td::text(&client.user_agent),
        Td::text(attributes(client)),
    ]
}

fn attributes(client: &ClientRecord) -> String {
    let mut all = Vec::new();
    if client.sample_rate > 0 {
        all.push(format!("sampled {} %", client.sample_rate));
    }
    if client.tls {
        all.push(format!("TLS {} {}", client.tls_version, client.tls_cipher_suite));
    }
    for (yes, text) in [(client.deflate, "deflate"), (client.snappy, "snappy")] {
        if yes {
            all.push(text.to_owned());
        }
    }
    if client.authed {
        all.push(format!("authorised as {}", client.auth_identity));
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
    all.join(" · ")
}

pub(super) fn count_cells(counts: &Counts) -> Vec<Td> {
    vec![
        counts.depth.into(),
        Td::split(counts.memory_depth, counts.backend_depth),
        counts.in_flight_count.into(),
        counts.deferred_count.into(),
        counts.requeue_count.into(),
        counts.timeout_count.into(),
        counts.message_count.into(),
        Cell::number(counts.client_count).into(),
    ]
}

pub(super) fn crumb(text: &str, url: String) -> Link {
    Link {
        text: text.to_owned(),
        url,
    }
}

fn paused_on(nodes: impl Iterator<Item = bool>) -> String {
    let (mut paused, mut all) = (0, 0);
    for is_paused in nodes {
        all += 1;
        paused += usize::from(is_paused);
    }
    match paused {
        0 => String::new(),
        _ if paused == all => "paused".to_owned(),
        _ => format!("paused on {paused} of {all} nodes"),
    }
}

/// What can be done with a topic or a channel whose nodes are paused or not.
fn actions(url: &str, what: &str, paused: &[bool]) -> Vec<Act> {
    let is_offered = |verb: &str| match verb {
        "pause" => paused.iter().any(|paused| !paused),
        "unpause" => paused.iter().any(|paused| *paused),
        "empty" => !paused.is_empty(),
        _ => true,
    };
    let verbs = [
        ("Pause", "pause"),
        ("Unpause", "unpause"),
        ("Empty", "empty"),
        ("Delete", "delete"),
    ];
    let offered = verbs.into_iter().filter(|(_, verb)| is_offered(verb));
    offered
        .map(|(text, verb)| Act {
            text: format!("{text} {what}"),
            url: format!("{url}?confirm={verb}"),
            loses: matches!(verb, "empty" | "delete"),
        })
        .collect()
}
