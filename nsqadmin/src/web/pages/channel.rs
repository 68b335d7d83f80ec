//! One channel: what is wrong with it, the nodes that have it, and its clients.

use super::super::chart::Unit;
use super::super::fmt;
use super::super::page::{Notice, Page};
use super::super::table::{Column, Plan, Table};
use super::super::td::Td;
use super::super::visit::Visit;
use super::columns::{Here, acts, node_link, of_channel, oldest, stale, total};
use super::{absent, actions, charts, clients, delivery, latency, paused, paused_here, search, tabs};
use crate::access::Role;
use crate::model::{
    Channel, ChannelOn, ChannelRecord, Finding, Metric, Numbers, Of, Severity, Spread, Subject,
    of_channel as finding_of,
};

/// Clients on the page; the others are behind their tab.
const CLIENTS: usize = 50;

/// `GET /topics/:topic/:channel`. `record` has the clients, if somebody answered the question for them.
pub(in super::super) fn channel(
    visit: &Visit,
    (topic, name): (&str, &str),
    record: Result<&ChannelRecord, &str>,
) -> Page {
    let snapshot = &visit.view.snapshot;
    let Some(channel) = snapshot.topic(topic).and_then(|topic| topic.channel(name)) else {
        let near = search::near(visit, &format!("{topic}/{name}"));
        return absent(
            visit,
            &format!("channel “{name}” of topic “{topic}”"),
            Of::Channel(topic, name),
            &near,
        );
    };
    let mut page = visit.page("Topics", name);
    page.crumb("Topics", visit.url(&["topics"]));
    page.crumb(topic, visit.url(&["topics", topic]));
    page.chips
        .extend(Some(paused(channel.spread)).filter(|chip| !chip.text.is_empty()));
    let url = visit.url(&["topics", topic, name]);
    page.actions = actions(visit, &url, "channel", channel.spread);
    page.actions.extend(visit.dashboard(topic, name, ""));
    let count = format!(" ({})", channel.numbers.clients);
    tabs::add(visit, &mut page, tabs::OF_CHANNEL, &count);
    page.notices
        .push(match finding_of(&visit.view.findings, topic, name) {
            Some(finding) => diagnosis(visit, finding, false),
            None => well(channel),
        });
    tiles(visit, &mut page, channel, record);
    let clients = |per| clients::table(visit, record, per);
    match tabs::chosen(visit, tabs::OF_CHANNEL) {
        "" => {}
        "clients" => {
            page.tables.push(clients(100));
            return page;
        }
        tab => {
            let nodes = snapshot.channel_on_nodes(topic, name).map(|(node, _)| node);
            tabs::explain(&mut page, tab, nodes, Some(channel.numbers.deferred));
            return page;
        }
    }
    page.ranges = visit.ranges("15m");
    if let Some(seconds) = visit.range("15m") {
        page.charts = drawings(visit, Of::Channel(topic, name), seconds);
    }
    let mut clients = clients(CLIENTS);
    // the others are behind the tab, so that one place pages
    clients.pager.clear();
    page.tables = vec![nodes(visit, (topic, name), channel, record.ok()), clients];
    page
}

/// What is wrong, in a sentence with numbers.
pub(super) fn diagnosis(visit: &Visit, finding: &Finding, with_subject: bool) -> Notice {
    let class = match finding.severity {
        Severity::Bad => "bad",
        Severity::Warn => "warn",
        Severity::Info => "",
    };
    let about = match &finding.subject {
        Subject::Channel(_, channel) if with_subject => format!("Channel {channel}: "),
        _ => String::new(),
    };
    let age = visit.view.snapshot.at.saturating_sub(finding.since);
    let since = format!("since {} ({})", fmt::utc(finding.since), fmt::seconds(age));
    Notice {
        class,
        text: format!("{about}{}, {since}.", finding.text),
        ..Notice::default()
    }
}

/// Nothing is wrong.
fn well(channel: &Channel) -> Notice {
    let Numbers { rates, depth, .. } = channel.numbers;
    let text = if rates.entered.is_nan() || rates.done.is_nan() {
        "Nothing wrong is known. Speeds need two answers of the same process.".to_owned()
    } else if rates.entered == 0.0 && rates.done == 0.0 && depth == 0 {
        "Idle: nothing comes in and nothing waits.".to_owned()
    } else {
        let derived = if rates.is_derived { "≈ " } else { "" };
        format!(
            "Keeping up: {} in, {derived}{} done.",
            fmt::rate(f64::from(rates.entered)),
            fmt::rate(f64::from(rates.done))
        )
    };
    Notice {
        text,
        ..Notice::default()
    }
}

fn tiles(visit: &Visit, page: &mut Page, channel: &Channel, record: Result<&ChannelRecord, &str>) {
    let numbers = &channel.numbers;
    let cover = |td: Td| td.covering(channel.spread.sum());
    let depth = Td {
        note: format!(
            "{} + {} on disk",
            fmt::count(numbers.memory()),
            fmt::count(numbers.disk)
        ),
        ..Td::number(numbers.depth)
    };
    page.tile(
        "Depth",
        if channel.spread.answered < channel.spread.nodes {
            cover(numbers.depth.into())
        } else {
            depth
        },
    );
    let ready = record.ok().map(|record| {
        let clients = record.clients.iter().flatten();
        clients
            .map(|client| client.ready_count)
            .fold(0, i64::saturating_add)
    });
    let in_flight = Td {
        note: ready
            .map(|ready| format!("of {} ready", fmt::count(ready)))
            .unwrap_or_default(),
        ..Td::from(numbers.in_flight)
    };
    page.tile(
        "In flight",
        if channel.spread.answered < channel.spread.nodes {
            cover(numbers.in_flight.into())
        } else {
            in_flight
        },
    );
    page.tile("Deferred", cover(numbers.deferred.into()));
    page.tile("Requeued", cover(numbers.requeued.into()));
    page.tile("Timed out", cover(numbers.timed_out.into()));
    page.tile("Messages", cover(numbers.messages.into()));
    page.tile("Clients", cover(numbers.clients.into()));
    if visit.view.interval.is_some() {
        page.tile("In", cover(Td::rate(numbers.rates.entered, false)));
        page.tile("Done", cover(Td::done(&numbers.rates)));
        page.tile("Empty in", empty_in(numbers));
    }
    if visit
        .view
        .snapshot
        .nodes
        .iter()
        .any(|node| !node.extensions.is_empty())
    {
        page.tile("Dead letters", cover(numbers.dead.into()));
        page.tile("Oldest", cover(oldest(numbers)));
    }
}

/// When nothing will wait any more, if it goes on like this.
fn empty_in(numbers: &Numbers) -> Td {
    let speed = f64::from(numbers.rates.done) - f64::from(numbers.rates.entered);
    if numbers.depth <= 0 || speed.is_nan() || speed <= 0.0 {
        return Td::unknown("it is not draining");
    }
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a guess of one unit"
    )]
    let seconds = (numbers.depth as f64 / speed) as i64;
    let td = Td::age(seconds);
    Td {
        text: format!("≈ {}", td.text),
        ..td
    }
}

fn drawings(visit: &Visit, of: Of<'_>, seconds: i64) -> Vec<super::super::chart::Chart> {
    let chart = |what, lines: &[(&str, Metric)]| {
        let lines: Vec<_> = lines
            .iter()
            .map(|(label, metric)| (*label, of, *metric))
            .collect();
        charts::chart(visit, what, seconds, &lines)
    };
    vec![
        charts::speeds(visit, seconds, of),
        chart(
            ("depth", "Depth, in flight, deferred", Unit::Count),
            &[
                ("depth", Metric::Depth),
                ("in flight", Metric::InFlight),
                ("deferred", Metric::Deferred),
            ],
        ),
        chart(
            ("trouble", "Requeued and timed out per second", Unit::PerSecond),
            &[("requeued", Metric::Requeued), ("timed out", Metric::TimedOut)],
        ),
        chart(
            ("clients", "Clients", Unit::Count),
            &[("clients", Metric::Clients)],
        ),
    ]
}

fn nodes(
    visit: &Visit,
    (topic, name): (&str, &str),
    channel: &Channel,
    record: Option<&ChannelRecord>,
) -> Table {
    let mut columns = vec![Column::text(
        "node",
        "Node",
        "",
        |Here(node, _): &Here<'_, ChannelOn>| node_link(node, visit.url(&["nodes", &node.key])),
    )];
    let quantiles = latency::quantiles(std::iter::once(channel.latency.as_deref()));
    columns.extend(of_channel(&quantiles));
    let deliveries = delivery::column(record);
    let has_deliveries = deliveries.is_some();
    columns.extend(deliveries);
    columns.push(Column::text(
        "state",
        "State",
        "",
        |Here(_, own): &Here<'_, ChannelOn>| paused_here(own.paused),
    ));
    let may_act = visit.role >= Role::Operator;
    let url = visit.url(&["topics", topic, name]);
    if may_act {
        columns.push(Column::text(
            "act",
            "On this node",
            "",
            move |Here(node, own): &Here<'_, ChannelOn>| acts(visit, &url, node, own.paused, false),
        ));
    }
    let plan = Plan {
        id: "nodes",
        heading: "Nodes",
        columns,
        name: Box::new(|Here(node, _): &Here<'_, ChannelOn>| node.key.clone()),
        empty: "No nsqd that answers has it.",
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    let here = visit
        .view
        .snapshot
        .channel_on_nodes(topic, name)
        .map(|(node, own)| Here(node, own));
    let mut table = plan
        .show(here.collect(), &visit.place, |Here(node, _)| stale(node))
        .0;
    let Spread { nodes, answered, .. } = channel.spread;
    if !table.rows.is_empty() {
        table.total = total(&channel, &of_channel(&quantiles), 1, 0);
        if has_deliveries {
            table.total.push(delivery::total(record));
        }
        table
            .total
            .resize(table.total.len() + 1 + usize::from(may_act), Td::default());
        if let Some(first) = table.total.first_mut().filter(|_| answered < nodes) {
            first.note = format!("{answered}/{nodes} nodes");
        }
    }
    table
}
