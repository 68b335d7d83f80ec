//! One node.

use super::super::chart::Unit;
use super::super::page::Page;
use super::super::table::{Column, Plan, Table};
use super::super::td::Td;
use super::super::visit::Visit;
use super::columns::{Counted, of_channel};
use super::nodes::{state, version};
use super::{absent, charts, fmt, latency, lifecycle, paused_here, search};
use crate::access::Role;
use crate::model::{ChannelOn, LatencyRecord, Metric, NodeState, Numbers, Of, Said, Sum, TopicOn};

/// A channel of the node, with its topic.
struct Own<'a>(&'a TopicOn, &'a ChannelOn);

impl Counted for Own<'_> {
    fn numbers(&self) -> &Numbers {
        &self.1.numbers
    }

    fn latency(&self) -> Option<&LatencyRecord> {
        self.1.latency.as_deref()
    }

    fn covers(&self) -> Sum {
        // its last answer, however old
        Sum {
            nodes: 1,
            answered: 1,
        }
    }
}

/// `GET /nodes/:node`.
pub(in super::super) fn node(visit: &Visit, key: &str) -> Page {
    let snapshot = &visit.view.snapshot;
    let Some(node) = snapshot.node(key) else {
        return absent(
            visit,
            &format!("node “{key}”"),
            Of::Node(key),
            &search::near(visit, key),
        );
    };
    let mut page = visit.page("Nodes", key);
    page.crumb("Nodes", visit.url(&["nodes"]));
    page.actions.extend(visit.dashboard("", "", key));
    page.chips.push(state(node));
    if let Some(trouble) = &node.trouble {
        let now = snapshot.at;
        let below = match &node.said {
            Some(_) => format!(
                " Values below are from {}.",
                fmt::utc(now.saturating_sub(node.age))
            ),
            None => " It has never answered this console.".to_owned(),
        };
        let since = fmt::seconds(now.saturating_sub(trouble.since));
        page.warn(
            format!("No answer for {since} ({}).{below}", trouble.reason),
            trouble.raw.clone(),
        );
    }
    if let Some(health) = node.ill() {
        page.warn(format!("This nsqd says that it is not healthy: {health}"), "");
    }
    let Some(said) = node.said.as_deref() else {
        page.tables.push(registrations(visit, node));
        return page;
    };
    let moving = lifecycle::add(visit, &mut page, node);
    tiles(visit, &mut page, node, said);
    page.ranges = visit.ranges("1h");
    if let Some(seconds) = visit.range("1h") {
        let of = Of::Node(key);
        page.charts = vec![
            charts::speeds(visit, seconds, of),
            charts::chart(
                visit,
                ("depth", "Depth", Unit::Count),
                seconds,
                &[("depth", of, Metric::Depth)],
            ),
            charts::chart(
                visit,
                ("clients", "Clients", Unit::Count),
                seconds,
                &[("clients", of, Metric::Clients)],
            ),
            charts::chart(
                visit,
                ("took", "Time of its answers", Unit::Seconds),
                seconds,
                &[("answer", of, Metric::Took)],
            ),
        ];
    }
    page.tables = vec![
        channels(visit, said),
        topics(visit, key, said),
        registrations(visit, node),
    ];
    // after the main table, whose parameters have no name before them
    if let Some(table) = moving {
        page.tables.insert(1, table);
    }
    if node.trouble.is_some() {
        for row in page.tables.iter_mut().take(2).flat_map(|table| &mut table.rows) {
            row.class = "stale";
        }
    }
    page
}

fn tiles(visit: &Visit, page: &mut Page, node: &NodeState, said: &Said) {
    let (own, channels) = (said.own, said.channels);
    page.tile("Version", version(node));
    if said.start_time > 0 {
        page.tile("Up", super::clients::ago(visit.view.snapshot.at, said.start_time));
    }
    page.tile("Topics", Td::many(said.topics.len()));
    page.tile("Messages", own.messages);
    page.tile("Clients", channels.clients);
    page.tile("Depth", said.depth());
    page.tile("In flight", channels.in_flight);
    if visit.view.interval.is_some() {
        page.tile("In", Td::rate(own.rates.entered, false));
        page.tile("Done", Td::done(&channels.rates));
    }
    page.tile("Answer", Td::took(node.took));
}

fn channels(visit: &Visit, said: &Said) -> Table {
    let mut columns = vec![Column::text(
        "name",
        "Topic/channel",
        "",
        |Own(topic, channel): &Own<'_>| {
            Td::link(
                format!("{}/{}", topic.name, channel.name),
                visit.url(&["topics", &topic.name, &channel.name]),
            )
        },
    )];
    let each = said.topics.iter().flat_map(|topic| &topic.channels);
    let quantiles = latency::quantiles(each.map(|channel| channel.latency.as_deref()));
    columns.extend(of_channel(&quantiles));
    columns.push(Column::text("state", "State", "", |Own(_, channel): &Own<'_>| {
        paused_here(channel.paused)
    }));
    let plan = Plan {
        heading: "Channels",
        columns,
        sort: "-disk",
        name: Box::new(|Own(topic, channel): &Own<'_>| format!("{}/{}", topic.name, channel.name)),
        empty: "This node has no channels.",
        has_filter: true,
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    let all = said
        .topics
        .iter()
        .flat_map(|topic| topic.channels.iter().map(move |channel| Own(topic, channel)));
    let mut table = plan.show(all.collect(), &visit.place, |_| "").0;
    if table.rows.is_empty() && visit.place.get("q").is_empty() {
        table.filter = None;
    }
    table
}

fn topics(visit: &Visit, key: &str, said: &Said) -> Table {
    let number = |key, text, title, value: fn(&TopicOn) -> Td| {
        Column::number(key, text, title, move |topic: &&TopicOn| value(topic))
    };
    let mut columns = vec![
        Column::text("name", "Topic", "", |topic: &&TopicOn| {
            Td::link(&*topic.name, visit.url(&["topics", &topic.name]))
        }),
        number("depth", "Topic depth", "in the topic's own queue", |topic| {
            topic.own.depth.into()
        }),
        number("disk", "Memory + disk", "where they wait", |topic| {
            Td::split(topic.own.memory(), topic.own.disk)
        }),
        number(
            "messages",
            "Messages",
            "published since the node started",
            |topic| topic.own.messages.into(),
        ),
        number("in", "In/s", "messages that are published", |topic| {
            Td::rate(topic.own.rates.entered, false)
        }),
        number("channels", "Channels", "", |topic| Td::many(topic.channels.len())),
        Column::text("state", "State", "", |topic: &&TopicOn| paused_here(topic.paused)),
    ];
    if visit.role >= Role::Admin {
        let node = nsq_service::http::encode_component(key);
        columns.push(Column::text("act", "Action", "", move |topic: &&TopicOn| {
            let url = visit.url(&["topics", &topic.name]);
            Td::link("Tombstone…", format!("{url}?confirm=tombstone&node={node}"))
        }));
    }
    let plan = Plan {
        id: "topics",
        heading: "Topics",
        columns,
        sort: "name",
        name: Box::new(|topic: &&TopicOn| topic.name.to_string()),
        empty: "This node has no topics.",
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    plan.show(said.topics.iter().collect(), &visit.place, |_| "").0
}

/// What each nsqlookupd says of it.
fn registrations(visit: &Visit, node: &NodeState) -> Table {
    let sources = &visit.view.snapshot.lookupds;
    let columns = vec![
        Column::text("address", "nsqlookupd", "", |source: &&crate::model::Source| {
            Td::text(&source.address)
        }),
        Column::text(
            "says",
            "Says",
            "",
            |source: &&crate::model::Source| match &source.trouble {
                Some(trouble) => Td::chip("bad", "▲", &trouble.reason).titled(&trouble.raw),
                None if source.nodes.contains(&node.key) => Td::chip("ok", "✓", "registered"),
                None => Td::chip("warn", "!", "not registered"),
            },
        ),
    ];
    let plan = Plan {
        id: "nodes",
        heading: "nsqlookupds",
        columns,
        name: Box::new(|source: &&crate::model::Source| source.address.clone()),
        empty: "No nsqlookupd is configured: the nsqds are known by their addresses.",
        ..Plan::default()
    };
    plan.show(sources.iter().collect(), &visit.place, |_| "").0
}
