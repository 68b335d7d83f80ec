//! Channels with messages that wait for their time, and with dead letters, in the whole cluster.

use super::super::page::Page;
use super::super::table::{Column, Plan};
use super::super::td::Td;
use super::super::visit::Visit;
use crate::model::{Channel, Topic};

/// A channel of a topic.
type Own<'a> = (&'a Topic, &'a Channel);

/// `GET /timers`.
pub(in super::super) fn timers(visit: &Visit) -> Page {
    let count = |(_, channel): &Own<'_>| channel.numbers.deferred;
    let texts = (
        "Timers",
        "timers",
        "Deferred",
        "No message waits for its time: none was deferred, or requeued with a delay.",
    );
    list(visit, texts, count)
}

/// `GET /dead`.
pub(in super::super) fn dead(visit: &Visit) -> Page {
    let count = |(_, channel): &Own<'_>| channel.numbers.dead;
    let texts = (
        "Dead letters",
        "dead",
        "Dead letters",
        "No channel has dead letters, as far as the nsqds can tell: Go's nsqd keeps none.",
    );
    list(visit, texts, count)
}

fn list(
    visit: &Visit,
    (title, tab, head, empty): (&'static str, &'static str, &'static str, &'static str),
    count: fn(&Own<'_>) -> u32,
) -> Page {
    let mut page = visit.page(title, title);
    page.notices.extend(super::warming(visit));
    let topics = visit.view.snapshot.topics.iter();
    let all = topics.flat_map(|topic| topic.channels.iter().map(move |channel| (topic, channel)));
    let having: Vec<Own<'_>> = all.filter(|own| count(own) > 0).collect();
    let columns = vec![
        Column::text("channel", "Channel", "", |(topic, channel): &Own<'_>| {
            let url = visit.url(&["topics", &topic.name, &channel.name]);
            Td::link(
                format!("{}/{}", topic.name, channel.name),
                format!("{url}?tab={tab}"),
            )
        }),
        Column::number("count", head, "", move |own: &Own<'_>| {
            Td::from(count(own)).covering(own.1.spread.sum())
        }),
        Column::number("depth", "Depth", "messages waiting", |(_, channel): &Own<'_>| {
            Td::from(channel.numbers.depth).covering(channel.spread.sum())
        }),
        Column::number(
            "clients",
            "Clients",
            "connected consumers",
            |(_, channel): &Own<'_>| Td::from(channel.numbers.clients).covering(channel.spread.sum()),
        ),
    ];
    let plan = Plan {
        heading: "Channels",
        columns,
        sort: "-count",
        name: Box::new(|(topic, channel): &Own<'_>| format!("{}/{}", topic.name, channel.name)),
        empty,
        has_filter: having.len() > 10,
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    page.tables.push(plan.show(having, &visit.place, |_| "").0);
    page
}
