//! Parts of a page behind tabs. What the daemons cannot do yet is said in a sentence, so that people learn that it exists.

use super::super::page::Page;
use super::super::visit::Visit;
use super::fmt;
use crate::model::NodeState;

/// Tabs of a topic, and of a channel, after the overview.
pub(super) const OF_TOPIC: &[(&str, &str)] = &[
    ("messages", "Messages"),
    ("publish", "Publish"),
    ("policy", "Policy"),
];
pub(super) const OF_CHANNEL: &[(&str, &str)] = &[
    ("clients", "Clients"),
    ("messages", "Messages"),
    ("timers", "Timers"),
    ("dead", "Dead letters"),
    ("policy", "Policy"),
];

/// The tab that is chosen; empty for the overview, also if there is no such tab.
pub(super) fn chosen<'a>(visit: &'a Visit, tabs: &[(&str, &str)]) -> &'a str {
    let tab = visit.place.get("tab");
    if tabs.iter().any(|(name, _)| *name == tab) {
        tab
    } else {
        ""
    }
}

/// Adds the tabs. `count` stands behind the name of the first.
pub(super) fn add(visit: &Visit, page: &mut Page, tabs: &[(&str, &str)], count: &str) {
    let current = chosen(visit, tabs).to_owned();
    let overview = visit.place.with(&[("tab", ""), ("page", "")]);
    page.tabs
        .push(("Overview".to_owned(), overview, current.is_empty()));
    for (at, (name, text)) in tabs.iter().enumerate() {
        let url = visit.place.with(&[("tab", name), ("page", "")]);
        let text = if at == 0 {
            format!("{text}{count}")
        } else {
            (*text).to_owned()
        };
        page.tabs.push((text, url, current == *name));
    }
}

/// Says why there is nothing behind the tab. `deferred` are the messages that wait for their time.
pub(super) fn explain<'a>(
    page: &mut Page,
    tab: &str,
    nodes: impl Iterator<Item = &'a NodeState>,
    deferred: Option<u32>,
) {
    let (extension, lacks, instead) = match tab {
        "messages" => (
            "messages",
            "cannot be looked into without taking messages",
            "nsq_tail shows messages as they come, through a channel of its own.",
        ),
        "timers" => (
            "messages",
            "cannot list messages that wait for their time",
            "Each comes when its time has come.",
        ),
        "dead" => (
            "messages",
            "keep no dead letters",
            "What a client cannot handle is requeued until the client gives it up.",
        ),
        _ => (
            "policy",
            "have no policies",
            "What bounds a topic are the flags of each nsqd.",
        ),
    };
    let (with, without): (Vec<&NodeState>, Vec<&NodeState>) =
        nodes.partition(|node| node.extensions.iter().any(|own| own == extension));
    if let Some(deferred) = deferred.filter(|_| tab == "timers") {
        page.say(format!(
            "{} messages wait for their time.",
            fmt::count(i64::from(deferred))
        ));
    }
    match (without.as_slice(), with.is_empty()) {
        ([], true) => page.say("No nsqd has it."),
        ([], false) => {}
        ([one], _) => page.say(format!(
            "The nsqd {} cannot do this: daemons like it {lacks}. {instead}",
            one.key
        )),
        (many, _) => {
            let names: Vec<&str> = many.iter().take(3).map(|node| node.key.as_str()).collect();
            let more = match many.len() {
                0..=3 => String::new(),
                all => format!(" and {} more", all - 3),
            };
            page.say(format!("The nsqds {}{more} {lacks}. {instead}", names.join(", ")));
        }
    }
}
