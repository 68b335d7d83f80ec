//! What a browser remembers, and what words and rules mean.

use super::super::page::{Field, Form, Page};
use super::super::visit::{DENSITIES, THEMES, Visit};
use crate::model::RULES;

/// `GET /settings`.
pub(in super::super) fn settings(visit: &Visit, csrf: &str) -> Page {
    let mut page = visit.page("Settings", "Settings");
    let choose = |all: &[&'static str], chosen: &str| {
        all.iter()
            .map(|own| ((*own).to_owned(), *own == chosen))
            .collect()
    };
    page.say("Your browser keeps these in cookies; nobody else sees them.");
    page.forms.push(Form {
        heading: "Look",
        url: visit.url(&["settings"]),
        csrf: csrf.to_owned(),
        fields: vec![
            Field {
                name: "theme",
                label: "Theme",
                choices: choose(&THEMES, visit.prefs.theme),
                ..Field::default()
            },
            Field {
                name: "density",
                label: "Rows",
                choices: choose(&DENSITIES, visit.prefs.density),
                ..Field::default()
            },
            Field {
                name: "keys",
                label: "Shortcuts of a single key",
                choices: choose(&["on", "off"], if visit.prefs.has_keys { "on" } else { "off" }),
                ..Field::default()
            },
        ],
        button: "Save settings",
        ..Form::default()
    });
    page
}

/// `GET /help`.
pub(in super::super) fn help(visit: &Visit) -> Page {
    let mut page = visit.page("Help", "Help");
    let words = [
        (
            "topic",
            "what publishers send to; each channel of it gets every message",
        ),
        (
            "channel",
            "what consumers read from; each message goes to one of its clients",
        ),
        (
            "depth",
            "messages that wait, in memory and on disk, without those in flight and deferred",
        ),
        ("in flight", "delivered to a client and not answered yet"),
        (
            "deferred",
            "waits for its time: published with a delay, or requeued with one",
        ),
        ("requeued", "a client gave it back, so that it is delivered again"),
        (
            "timed out",
            "a client did not answer in time, so it is delivered again",
        ),
        (
            "ready count",
            "how many messages a client takes now (RDY); 0 while it backs off",
        ),
        (
            "ephemeral",
            "a name with #ephemeral: gone with its last client, never on disk",
        ),
        (
            "tombstone",
            "the nsqlookupds hide a topic of a node from consumers for a while",
        ),
        ("≈", "derived from other counters, as Go's nsqd does not count it"),
        ("–", "not known; the tooltip says why"),
    ];
    let own = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    };
    page.texts.push(("Words", own(&words)));
    let rules = RULES.iter().map(|(rule, severity, condition, hold)| {
        let hold = if hold.is_empty() {
            String::new()
        } else {
            format!(", for {hold}")
        };
        (rule.id(), format!("{condition}{hold} ({severity})"))
    });
    page.texts.push(("Rules", rules.collect()));
    let keys = [
        ("/  Ctrl K", "search"),
        ("g o  g t  g n  g c", "overview, topics, nodes, cluster"),
        ("j  k  Enter", "next row, previous row, open it"),
        ("x", "tick the row"),
        ("[  ]", "previous page, next page of a table"),
        ("p", "pause live numbers"),
        ("t", "another time range of the charts"),
        ("?", "this page"),
    ];
    page.texts.push(("Keys", own(&keys)));
    page
}
