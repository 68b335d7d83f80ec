//! A node that comes or goes, by its own account: what is left on it, and what holds it up.

use nsq_http_api::lifecycle::{Blocker, BlockerReason, Drain, Join, Waiting};

use super::super::page::Page;
use super::super::table::{Column, Plan, Table};
use super::super::td::Td;
use super::super::visit::Visit;
use super::fmt;
use crate::model::NodeState;

/// Says it on the page of the node; the table, if there is one, stands before the others.
pub(super) fn add(visit: &Visit, page: &mut Page, node: &NodeState) -> Option<Table> {
    let lifecycle = node.lifecycle.as_deref()?;
    let now = visit.view.snapshot.at;
    let seconds = |millis: i64| fmt::seconds((millis / 1_000).saturating_sub(now).max(0));
    let since = fmt::seconds(now.saturating_sub(lifecycle.since_ms / 1_000));
    if let Some(join) = &lifecycle.join {
        page.say(format!(
            "Joining for {since}: {} of {} channels wait for consumers, for at most {} more. Publishers do not come before.",
            join.waiting.len(),
            join.channels,
            seconds(join.deadline_ms)
        ));
        return Some(waiting(visit, join));
    }
    let drain = lifecycle.drain.as_ref()?;
    page.say(sentence(drain, &since));
    if !drain.last_error.is_empty() {
        page.warn(
            "Its peers could not take messages; it goes on trying.",
            drain.last_error.clone(),
        );
    }
    for (label, value) in [
        ("Left to deliver", drain.depth),
        ("Left in flight", drain.in_flight),
        ("Left deferred", drain.deferred),
        ("Publishers", drain.publishers),
        ("Refused", drain.refused),
        ("Sent to peers", drain.evacuated),
    ] {
        page.tile(label, value);
    }
    Some(blockers(visit, drain))
}

fn sentence(drain: &Drain, since: &str) -> String {
    let left = drain
        .depth
        .saturating_add(drain.in_flight)
        .saturating_add(drain.deferred);
    if drain.empty {
        let for_how_long = fmt::seconds(i64::try_from(drain.empty_ms / 1_000).unwrap_or(i64::MAX));
        return format!("Draining for {since}, and empty for {for_how_long}.");
    }
    let left = fmt::count(i64::try_from(left).unwrap_or(i64::MAX));
    format!("Draining for {since}: {left} messages left. It takes no publishes.")
}

fn waiting(visit: &Visit, join: &Join) -> Table {
    let columns = vec![Column::text("name", "Channel", "", |own: &&Waiting| {
        link(visit, &own.topic, &own.channel)
    })];
    let plan = Plan {
        id: "channels",
        heading: "Waiting for consumers",
        columns,
        name: Box::new(|own: &&Waiting| format!("{}/{}", own.topic, own.channel)),
        empty: "Every channel has a consumer.",
        is_whole: true,
        ..Plan::default()
    };
    plan.show(join.waiting.iter().collect(), &visit.place, |_| "").0
}

fn blockers(visit: &Visit, drain: &Drain) -> Table {
    let columns = vec![
        Column::text("name", "Topic or channel", "", |own: &&Blocker| {
            link(visit, &own.topic, &own.channel)
        }),
        Column::text("why", "Why it does not empty", "", |own: &&Blocker| {
            Td::text(reason(own, visit.view.snapshot.at))
        }),
        Column::number("messages", "Messages", "that are left in it", |own: &&Blocker| {
            own.messages.into()
        }),
    ];
    let plan = Plan {
        id: "channels",
        heading: "What holds it up",
        columns,
        name: Box::new(|own: &&Blocker| format!("{}/{}", own.topic, own.channel)),
        empty: "Nothing holds it up: what is left is being consumed.",
        is_whole: true,
        ..Plan::default()
    };
    plan.show(drain.blockers.iter().collect(), &visit.place, |_| "").0
}

fn link(visit: &Visit, topic: &str, channel: &str) -> Td {
    if channel.is_empty() {
        Td::link(topic, visit.url(&["topics", topic]))
    } else {
        Td::link(
            format!("{topic}/{channel}"),
            visit.url(&["topics", topic, channel]),
        )
    }
}

fn reason(own: &Blocker, now: i64) -> String {
    match own.reason {
        BlockerReason::NoConsumers => "no client is connected".to_owned(),
        BlockerReason::Paused => "the channel is paused".to_owned(),
        BlockerReason::TopicPaused => "the topic is paused".to_owned(),
        BlockerReason::NoChannel => "the topic has no channel".to_owned(),
        BlockerReason::Deferred => {
            let left = (own.due_ms / 1_000).saturating_sub(now).max(0);
            format!("deferred; the last is due in {}", fmt::seconds(left))
        }
        BlockerReason::InFlight => "in flight, not answered yet".to_owned(),
        BlockerReason::Unknown => "it does not say in words that this console knows".to_owned(),
    }
}
