//! The list of topics.

use super::super::chart::{Svg, sparkline, trend};
use super::super::page::{Notice, Page};
use super::super::table::{Choice, Column, Plan, Table};
use super::super::td::{Rank, Td};
use super::super::visit::Visit;
use super::columns::oldest;
use super::{answering, attention, paused};
use crate::access::Role;
use crate::action::Verb;
use crate::model::{Finding, Metric, Numbers, Of, Point, Rule, Severity, Spread, Sum, Topic, of_topic};

/// Filters by state, as in a URL.
const STATES: [&str; 7] = [
    "attention",
    "growing",
    "no-consumers",
    "paused",
    "idle",
    "ephemeral",
    "no-channel",
];

/// `GET /topics`.
pub(in super::super) fn topics(visit: &Visit) -> Page {
    let snapshot = &visit.view.snapshot;
    let mut page = visit.page("Topics", "Topics");
    page.notices.extend(super::warming(visit));
    if snapshot.generation > 0 && snapshot.is_unknown() {
        page.status = super::StatusCode::BAD_GATEWAY;
        page.warn(
            "No upstream answers, so the topics are not known. Nothing was changed.",
            super::raw(visit),
        );
    } else if snapshot.topics.is_empty() && snapshot.is_complete {
        none(visit, &mut page);
        return page;
    }
    let mut table = table(visit, "name", 100);
    table.heading = "All topics";
    let verbs = [Verb::Pause, Verb::Unpause, Verb::Empty, Verb::Delete].into_iter();
    let may = verbs.filter(|verb| visit.role >= verb.role());
    table.verbs = may
        .map(|verb| (verb.text(), verb.title(), verb.loses()))
        .collect();
    page.tables.push(table);
    page
}

/// Said in a cluster without topics.
pub(super) fn none(visit: &Visit, page: &mut Page) {
    let node = visit.view.snapshot.nodes.first();
    let address = node.map_or("<nsqd>:4151", |node| &node.key);
    let no_node = if node.is_none() {
        " No nsqd is registered with the nsqlookupds."
    } else {
        ""
    };
    page.notices.push(Notice {
        text: format!(
            "There are no topics yet. A topic appears with its first message, for example:{no_node}"
        ),
        code: format!("curl -d 'hello' 'http://{address}/pub?topic=test'"),
        ..Notice::default()
    });
}

struct Seen<'a> {
    topic: &'a Topic,
    finding: Option<&'a Finding>,
}

impl Seen<'_> {
    fn spread(&self) -> Spread {
        self.topic.spread
    }

    /// Own queue and channels in one.
    fn waiting(&self) -> Numbers {
        let mut all = self.topic.own;
        all.add(&self.topic.sum);
        all
    }

    fn is_idle(&self) -> bool {
        self.topic.own.rates.entered == 0.0 && self.topic.waiting() == 0
    }

    fn is(&self, state: &str) -> bool {
        match state {
            "attention" => self
                .finding
                .is_some_and(|finding| finding.severity > Severity::Info),
            "growing" => self.finding.is_some_and(|finding| finding.rule == Rule::Growing),
            "no-consumers" => self
                .topic
                .channels
                .iter()
                .any(|channel| channel.numbers.clients == 0),
            "paused" => {
                self.topic.spread.paused > 0 || self.topic.channels.iter().any(|own| own.spread.paused > 0)
            }
            "idle" => self.is_idle(),
            "ephemeral" => self.topic.is_ephemeral(),
            _ => self.topic.channels.is_empty(),
        }
    }
}

/// The table of topics; with the worst first unless `sort` says otherwise.
pub(super) fn table(visit: &Visit, sort: &'static str, per: usize) -> Table {
    let view = &visit.view;
    let mut place = visit.place.clone();
    if !STATES.contains(&place.get("state")) {
        place.forget("state");
    }
    let state = place.get("state").to_owned();
    let has_history = view.interval.is_some();
    let of_all = view.snapshot.topics.iter().map(|topic| Seen {
        topic,
        finding: of_topic(&view.findings, &topic.name),
    });
    let mut seen: Vec<Seen<'_>> = of_all
        .filter(|topic| state.is_empty() || topic.is(&state))
        .collect();
    if sort.is_empty() {
        seen.sort_by(|a, b| {
            let severity = |seen: &Seen<'_>| seen.finding.map(|finding| finding.severity);
            let order = severity(b)
                .cmp(&severity(a))
                .then(b.topic.waiting().cmp(&a.topic.waiting()));
            order.then_with(|| a.topic.name.cmp(&b.topic.name))
        });
    }
    let has_own = view.snapshot.nodes.iter().any(|node| !node.extensions.is_empty());
    let plan = Plan {
        heading: "Topics",
        columns: columns(visit, has_own, has_history),
        sort,
        name: Box::new(|seen: &Seen<'_>| seen.topic.name.to_string()),
        all: view.snapshot.topics.len(),
        has_filter: true,
        has_ticks: sort == "name" && visit.role >= Role::Operator,
        is_whole: visit.is_export(),
        per,
        ..Plan::default()
    };
    let (mut table, fitting) = plan.show(seen, &place, |_| "");
    let columns = self::columns(visit, has_own, has_history);
    table.total = total(&fitting, &columns);
    if let Some(filter) = &mut table.filter {
        filter.choices.push(Choice {
            name: "state",
            label: "State",
            default: "",
            values: STATES
                .iter()
                .map(|name| ((*name).to_owned(), *name == state))
                .collect(),
        });
    }
    table
}

fn columns<'a>(visit: &'a Visit, has_own: bool, has_history: bool) -> Vec<Column<'a, Seen<'a>>> {
    let number = |key, text, title, value: fn(&Seen<'_>) -> Td| {
        Column::number(key, text, title, move |seen: &Seen<'_>| {
            value(seen).covering(seen.spread().sum())
        })
    };
    let mut columns = vec![
        Column::text("name", "Topic", "", |seen: &Seen<'_>| {
            Td::link(&*seen.topic.name, visit.url(&["topics", &seen.topic.name]))
        }),
        Column::text(
            "state",
            "State",
            "the worst that is known of it",
            move |seen: &Seen<'_>| {
                let own = paused(seen.topic.spread);
                match seen.finding {
                    None if seen.spread().nodes == 0 => {
                        Td::chip("idle", "◌", "on no nsqd").titled("only the nsqlookupds know it")
                    }
                    None if !own.text.is_empty() => own,
                    finding => attention::state(finding, has_history && seen.is_idle()),
                }
            },
        ),
        number(
            "depth",
            "Depth",
            "messages that wait in channels, or in the topic while it has none",
            |seen| {
                let own = seen.topic.own.depth;
                let td = Td::number(seen.topic.work());
                let title = format!("{}; {own} in the topic's own queue", td.title);
                td.titled(title)
            },
        ),
        Column::text(
            "worst",
            "Deepest channel",
            "the channel with the most messages",
            |seen: &Seen<'_>| deepest(visit, seen.topic),
        ),
    ];
    if has_history {
        columns.push(number("in", "In/s", "messages that are published", |seen| {
            Td::rate(seen.topic.own.rates.entered, false)
        }));
        columns.push(number(
            "done",
            "Done/s",
            "messages that channels' clients finish",
            |seen| Td::done(&seen.topic.sum.rates),
        ));
    }
    columns.extend([
        number("in_flight", "In flight", "delivered, not answered yet", |seen| {
            seen.topic.sum.in_flight.into()
        }),
        number("deferred", "Deferred", "waiting for their time", |seen| {
            seen.topic.sum.deferred.into()
        }),
        number("channels", "Channels", "", |seen| {
            Td::many(seen.topic.channels.len())
        }),
        number("clients", "Clients", "connected consumers", |seen| {
            seen.topic.sum.clients.into()
        }),
        Column::number("nodes", "Nodes", "nodes that have it", |seen: &Seen<'_>| {
            answering(seen.topic.spread)
        }),
    ]);
    if has_own {
        columns.push(number("dead", "Dead", "dead letters of its channels", |seen| {
            seen.topic.sum.dead.into()
        }));
        columns.push(number("bytes", "Bytes", "bodies that wait", |seen| {
            Td::bytes(seen.topic.own.bytes.saturating_add(seen.topic.sum.bytes))
        }));
        columns.push(number(
            "oldest",
            "Oldest",
            "age of the oldest message that waits",
            |seen| oldest(&seen.waiting()),
        ));
        columns.push(Column::text(
            "durability",
            "Durability",
            "what a publish outlives",
            |seen: &Seen<'_>| durability(seen.topic),
        ));
    }
    if has_history {
        columns.push(Column::text(
            "trend",
            "Trend 15 min",
            "depth of the topic and its channels",
            |seen: &Seen<'_>| spark(&visit.trend(Of::Topic(&seen.topic.name), Metric::Depth)),
        ));
    }
    columns
}

/// What a publish outlives; a topic that has it otherwise on other nodes says so.
pub(super) fn durability(topic: &Topic) -> Td {
    let all: Vec<&str> = topic.durability.iter().map(|own| &**own).collect();
    match *all.as_slice() {
        [] => Td {
            class: "unknown",
            ..Td::unknown("Go's nsqd does not say")
        },
        [one] => Td::text(one),
        _ => Td::chip("warn", "!", all.join(", ")).titled("not the same on all nodes"),
    }
}

fn deepest(visit: &Visit, topic: &Topic) -> Td {
    match topic.deepest().filter(|channel| channel.numbers.depth > 0) {
        Some(channel) => Td {
            note: super::fmt::count(channel.numbers.depth),
            ..Td::link(&*channel.name, visit.url(&["topics", &topic.name, &channel.name]))
        },
        None => Td::default(),
    }
}

/// A line, with the word that says the same.
pub(super) fn spark(points: &[Point]) -> Td {
    let Svg(svg) = sparkline(points);
    if svg.is_empty() {
        return Td::default();
    }
    let known: Vec<f64> = points
        .iter()
        .map(|(_, value)| f64::from(*value))
        .filter(|value| !value.is_nan())
        .collect();
    let (first, last) = (
        known.first().copied().unwrap_or(0.0),
        known.last().copied().unwrap_or(0.0),
    );
    Td {
        rank: Rank::Number(last - first),
        svg: Svg(svg),
        title: trend(first, last).to_owned(),
        ..Td::default()
    }
}

fn total(topics: &[Seen<'_>], columns: &[Column<'_, Seen<'_>>]) -> Vec<Td> {
    if topics.is_empty() {
        return Vec::new();
    }
    let (mut own, mut channels) = (Numbers::default(), Numbers::default());
    for seen in topics {
        own.add(&seen.topic.own);
        channels.add(&seen.topic.sum);
    }
    let sum = |key: &str| match key {
        "depth" => topics
            .iter()
            .map(|seen| seen.topic.work())
            .fold(0, i64::saturating_add)
            .into(),
        "in" => Td::rate(own.rates.entered, false),
        "done" => Td::done(&channels.rates),
        "in_flight" => channels.in_flight.into(),
        "deferred" => channels.deferred.into(),
        "clients" => channels.clients.into(),
        "channels" => Td::many(topics.iter().map(|seen| seen.topic.channels.len()).sum()),
        "dead" => channels.dead.into(),
        "bytes" => Td::bytes(own.bytes.saturating_add(channels.bytes)),
        _ => Td::default(),
    };
    let most = |count: fn(Spread) -> usize| topics.iter().map(|seen| count(seen.topic.spread)).max();
    let covers = Sum {
        nodes: most(|spread| spread.nodes).unwrap_or(0),
        answered: most(|spread| spread.answered).unwrap_or(0),
    };
    let cells = columns.iter().skip(1).map(|column| match sum(column.key) {
        td if td.text.is_empty() => td,
        td => td.covering(covers),
    });
    std::iter::once(Td::text("Total")).chain(cells).collect()
}
