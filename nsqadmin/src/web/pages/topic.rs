//! One topic: its channels, and the nodes that have it.

use nsq_http_api::messages::dead_letter_topic;

use super::super::chart::Unit;
use super::super::page::{Act, Page};
use super::super::table::{Column, Plan, Table};
use super::super::td::Td;
use super::super::visit::Visit;
use super::columns::{Counted, Here, acts, node_link, of_channel, of_own_queue, stale, total};
use super::latency;
use super::topics::spark;
use super::{absent, actions, attention, charts, fmt, paused, paused_here, search, tabs};
use crate::model::{
    Channel, LatencyRecord, Metric, Numbers, Of, Sum, Topic, TopicOn, of_channel as finding_of, of_topic,
};

/// Channels whose dead letters a topic is said to have: two names can make the same one.
const ORIGINS: usize = 3;

/// Channels with a line of their own; the others are one.
const LINES: usize = 3;

impl Counted for &Channel {
    fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    fn covers(&self) -> Sum {
        self.spread.sum()
    }

    fn latency(&self) -> Option<&LatencyRecord> {
        self.latency.as_deref()
    }
}

/// A topic's own queue, in the whole cluster.
struct Own<'a>(&'a Topic);

impl Counted for Own<'_> {
    fn numbers(&self) -> &Numbers {
        &self.0.own
    }

    fn latency(&self) -> Option<&LatencyRecord> {
        self.0.latency.as_deref()
    }

    fn covers(&self) -> Sum {
        self.0.spread.sum()
    }
}

/// `GET /topics/:topic`.
pub(in super::super) fn topic(visit: &Visit, name: &str) -> Page {
    let tab = tabs::chosen(visit, tabs::OF_TOPIC);
    let mut page = topic_tab(visit, name, tab);
    let Some(topic) = visit.view.snapshot.topic(name).filter(|_| tab.is_empty()) else {
        return page;
    };
    tiles(&mut page, topic, visit.view.interval.is_some());
    page.ranges = visit.ranges("1h");
    if let Some(seconds) = visit.range("1h") {
        page.charts = vec![
            charts::speeds(visit, seconds, Of::Topic(name)),
            depths(visit, topic, seconds),
        ];
    }
    page.tables = vec![channels(visit, topic), nodes(visit, topic)];
    page
}

/// What all tabs of a topic have: what it is called, what is wrong with it, and what can be done.
pub(in super::super) fn topic_tab(visit: &Visit, name: &str, tab: &str) -> Page {
    let snapshot = &visit.view.snapshot;
    let Some(topic) = snapshot.topic(name) else {
        let near = search::near(visit, name);
        return absent(visit, &format!("topic “{name}”"), Of::Topic(name), &near);
    };
    let mut page = visit.page("Topics", name);
    page.crumb("Topics", visit.url(&["topics"]));
    page.chips
        .extend(Some(paused(topic.spread)).filter(|chip| !chip.text.is_empty()));
    if topic.spread.nodes == 0 {
        page.say(
            "No nsqd has this topic: only the nsqlookupds know it. It appears on an nsqd with its first message.",
        );
    }
    if let Some(finding) = of_topic(&visit.view.findings, name) {
        page.notices.push(super::channel::diagnosis(visit, finding, true));
    }
    page.actions = actions(visit, &visit.url(&["topics", name]), "topic", topic.spread);
    page.actions.extend(visit.dashboard(name, "", ""));
    origins(visit, &mut page, name);
    tabs::add(visit, &mut page, tabs::OF_TOPIC, "");
    if matches!(tab, "messages" | "policy") {
        let nodes = snapshot.on_nodes(name).map(|(node, _)| node);
        tabs::explain(&mut page, tab, nodes, None);
    }
    page
}

/// Of a topic that has dead letters: of which channels they are. One that a policy names is not known here.
fn origins(visit: &Visit, page: &mut Page, name: &str) {
    let topics = visit.view.snapshot.topics.iter();
    let all = topics.flat_map(|topic| topic.channels.iter().map(move |channel| (topic, channel)));
    let having = all.filter(|(_, channel)| channel.numbers.dead > 0);
    let own = having.filter(|(topic, channel)| dead_letter_topic(&topic.name, &channel.name) == name);
    for (topic, channel) in own.take(ORIGINS) {
        let origin = format!("{}/{}", topic.name, channel.name);
        let count = fmt::count(i64::from(channel.numbers.dead));
        page.say(format!("Here are dead letters of {origin}: {count} are left."));
        page.actions.push(Act {
            text: format!("Dead letters of {origin}"),
            url: format!("{}?tab=dead", visit.url(&["topics", &topic.name, &channel.name])),
            loses: false,
        });
    }
}

fn tiles(page: &mut Page, topic: &Topic, is_polled: bool) {
    let cover = |td: Td| td.covering(topic.spread.sum());
    let own = &topic.own;
    page.tile("Topic depth", cover(own.depth.into()));
    page.tile("In memory", cover(own.memory().into()));
    page.tile("On disk", cover(own.disk.into()));
    page.tile("Messages", cover(own.messages.into()));
    if is_polled {
        page.tile("In", cover(Td::rate(own.rates.entered, false)));
    }
    page.tile("Channels", Td::many(topic.channels.len()));
    page.tile("Nodes", Td::many(topic.spread.nodes));
    if !topic.durability.is_empty() {
        page.tile("Durability", super::topics::durability(topic));
    }
}

/// The deepest channels.
fn depths(visit: &Visit, topic: &Topic, seconds: i64) -> super::super::chart::Chart {
    let mut channels: Vec<&Channel> = topic.channels.iter().collect();
    channels.sort_by(|a, b| {
        b.numbers
            .depth
            .cmp(&a.numbers.depth)
            .then_with(|| a.name.cmp(&b.name))
    });
    let all = [("topic and channels", Of::Topic(&topic.name), Metric::Depth)];
    let each = channels.iter().take(LINES).map(|channel| {
        let of = Of::Channel(&topic.name, &channel.name);
        (&*channel.name, of, Metric::Depth)
    });
    let lines: Vec<_> = each.chain(all).collect();
    charts::chart(visit, ("depth", "Depth by channel", Unit::Count), seconds, &lines)
}

fn channels(visit: &Visit, topic: &Topic) -> Table {
    let name = &topic.name;
    let has_history = visit.view.interval.is_some();
    let mut columns = vec![Column::text("name", "Channel", "", |channel: &&Channel| {
        Td::link(&*channel.name, visit.url(&["topics", name, &channel.name]))
    })];
    columns.push(Column::text(
        "state",
        "State",
        "the worst that is known of it",
        |channel: &&Channel| {
            let own = paused(channel.spread);
            match finding_of(&visit.view.findings, name, &channel.name) {
                None if !own.text.is_empty() => own,
                Some(finding) if finding.rule == crate::model::Rule::Paused => own,
                finding => attention::state(finding, false),
            }
        },
    ));
    let each = topic.channels.iter().map(|channel| channel.latency.as_deref());
    let quantiles = latency::quantiles(each);
    columns.extend(of_channel(&quantiles));
    if has_history {
        columns.push(Column::text(
            "trend",
            "Trend 15 min",
            "depth",
            |channel: &&Channel| spark(&visit.trend(Of::Channel(name, &channel.name), Metric::Depth)),
        ));
    }
    let plan = Plan {
        heading: "Channels",
        columns,
        sort: "name",
        name: Box::new(|channel: &&Channel| channel.name.to_string()),
        empty: "There is no channel yet. Messages wait in the topic until there is one.",
        has_filter: topic.channels.len() > 10,
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    let mut table = plan.show(topic.channels.iter().collect(), &visit.place, |_| "").0;
    if topic.channels.len() > 1 {
        let all = AllChannels(topic);
        table.total = total(&all, &of_channel(&quantiles), 2, usize::from(has_history));
    }
    table
}

/// All channels of a topic in one.
struct AllChannels<'a>(&'a Topic);

impl Counted for AllChannels<'_> {
    fn numbers(&self) -> &Numbers {
        &self.0.sum
    }

    fn latency(&self) -> Option<&LatencyRecord> {
        self.0.latency.as_deref()
    }

    fn covers(&self) -> Sum {
        self.0.spread.sum()
    }
}

fn nodes(visit: &Visit, topic: &Topic) -> Table {
    let may_act = visit.role >= crate::access::Role::Operator;
    let url = visit.url(&["topics", &topic.name]);
    let mut columns = vec![
        Column::text("node", "Node", "", |Here(node, _): &Here<'_, TopicOn>| {
            node_link(node, visit.url(&["nodes", &node.key]))
        }),
        Column::text("host", "Host", "", |Here(node, _): &Here<'_, TopicOn>| {
            Td::text(&node.listed.hostname)
        }),
    ];
    let quantiles = latency::quantiles(std::iter::once(topic.latency.as_deref()));
    columns.extend(of_own_queue(&quantiles));
    columns.push(Column::number(
        "channels",
        "Channels",
        "",
        |Here(_, own): &Here<'_, TopicOn>| Td::many(own.channels.len()),
    ));
    columns.push(Column::text(
        "state",
        "State",
        "",
        |Here(_, own): &Here<'_, TopicOn>| paused_here(own.paused),
    ));
    if may_act {
        columns.push(Column::text(
            "act",
            "On this node",
            "",
            move |Here(node, own): &Here<'_, TopicOn>| acts(visit, &url, node, own.paused, true),
        ));
    }
    let plan = Plan {
        id: "nodes",
        heading: "Nodes",
        columns,
        name: Box::new(|Here(node, _): &Here<'_, TopicOn>| node.key.clone()),
        empty: "No nsqd that answers has it.",
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    let here = visit
        .view
        .snapshot
        .on_nodes(&topic.name)
        .map(|(node, own)| Here(node, own));
    let mut table = plan
        .show(here.collect(), &visit.place, |Here(node, _)| stale(node))
        .0;
    if !table.rows.is_empty() {
        table.total = total(
            &Own(topic),
            &of_own_queue(&quantiles),
            2,
            if may_act { 3 } else { 2 },
        );
    }
    table
}
