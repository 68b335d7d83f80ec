//! nsqlookupds, topics that only they know, and the form that creates.

use super::super::page::{Field, Form, Page};
use super::super::table::{Column, Plan};
use super::super::td::Td;
use super::super::visit::Visit;
use crate::access::Role;
use crate::model::Source;

/// What was typed into the form, and why it is refused.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Typed<'a> {
    pub(in super::super) topic: &'a str,
    pub(in super::super) channel: &'a str,
    pub(in super::super) refusal: &'a str,
}

/// `GET /lookup`. `inactive` has topics without an nsqd, and their channels.
pub(in super::super) fn lookup(
    visit: &Visit,
    inactive: Vec<(String, Vec<String>)>,
    csrf: &str,
    typed: Typed<'_>,
) -> Page {
    let snapshot = &visit.view.snapshot;
    let mut page = visit.page("Lookup", "Lookup");
    page.notices.extend(super::warming(visit));
    if snapshot.lookupds.is_empty() {
        if snapshot.generation > 0 {
            page.say("No nsqlookupd is configured: the nsqds are known by their addresses.");
        }
        return page;
    }
    if snapshot.is_unknown() {
        page.status = super::StatusCode::BAD_GATEWAY;
    }
    page.tables = vec![sources(visit), topics(visit, inactive)];
    if visit.role >= Role::Operator {
        page.forms.push(Form {
            heading: "Create a topic or a channel",
            url: visit.url(&["lookup"]),
            csrf: csrf.to_owned(),
            refusal: typed.refusal.to_owned(),
            fields: vec![
                Field {
                    name: "topic",
                    label: "Topic name",
                    value: typed.topic.to_owned(),
                    is_required: true,
                    ..Field::default()
                },
                Field {
                    name: "channel",
                    label: "Channel name, or nothing",
                    value: typed.channel.to_owned(),
                    ..Field::default()
                },
            ],
            hint: "1 to 64 letters, digits and . _ -; at the end it may have #ephemeral.",
            button: "Create",
            ..Form::default()
        });
    }
    page
}

fn sources(visit: &Visit) -> super::super::table::Table {
    let columns = vec![
        Column::text("address", "Address", "", |source: &&Source| {
            Td::text(&source.address)
        }),
        Column::text("state", "State", "", |source: &&Source| {
            super::cluster::state(source.trouble.as_ref())
        }),
        Column::number(
            "took",
            "Answer",
            "how long its last answer took",
            |source: &&Source| Td::took(source.took),
        ),
        Column::number("nodes", "Nodes", "that it lists", |source: &&Source| {
            Td::many(source.nodes.len())
        }),
        Column::number("topics", "Topics", "that it knows", |source: &&Source| {
            Td::many(source.topics)
        }),
    ];
    let plan = Plan {
        id: "nodes",
        heading: "nsqlookupds",
        columns,
        name: Box::new(|source: &&Source| source.address.clone()),
        ..Plan::default()
    };
    plan.show(
        visit.view.snapshot.lookupds.iter().collect(),
        &visit.place,
        |_| "",
    )
    .0
}

fn topics(visit: &Visit, inactive: Vec<(String, Vec<String>)>) -> super::super::table::Table {
    type Inactive = (String, Vec<String>);
    let mut columns = vec![
        Column::text("topic", "Topic", "", |(topic, _): &Inactive| {
            Td::link(topic, visit.url(&["topics", topic]))
        }),
        Column::text("channels", "Channels", "", |(_, channels): &Inactive| {
            Td::text(channels.join(", "))
        }),
    ];
    if visit.role >= Role::Admin {
        columns.push(Column::text("act", "Action", "", |(topic, _): &Inactive| {
            Td::link(
                "Delete…",
                format!("{}?confirm=delete", visit.url(&["topics", topic])),
            )
        }));
    }
    let plan = Plan {
        heading: "Inactive topics",
        columns,
        sort: "topic",
        name: Box::new(|(topic, _): &Inactive| topic.clone()),
        empty: "There are none: some nsqd has each topic that the nsqlookupds know.",
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    plan.show(inactive, &visit.place, |_| "").0
}
