//! What is wrong, worst first, each with the page to go to.

use super::super::fmt;
use super::super::page::{Attention, Item, Link};
use super::super::td::Td;
use super::super::visit::Visit;
use crate::access::Role;
use crate::model::{Finding, Rule, Severity, Subject};

/// Items that are shown before the rest is only counted.
const SHOWN: usize = 20;

/// Class, icon and word of a severity.
fn look(severity: Severity) -> (&'static str, &'static str, &'static str) {
    match severity {
        Severity::Bad => ("bad", "▲", "bad"),
        Severity::Warn => ("warn", "!", "warn"),
        Severity::Info => ("info", "i", "info"),
    }
}

/// The list of the overview.
pub(super) fn attention(visit: &Visit) -> Attention {
    let view = &visit.view;
    let findings = &view.findings;
    let more = findings.len().saturating_sub(SHOWN);
    Attention {
        items: findings
            .iter()
            .take(SHOWN)
            .map(|finding| item(visit, finding))
            .collect(),
        caption: format!("Attention ({})", findings.len()),
        clear: clear(visit),
        more: (more > 0).then(|| Link {
            text: format!("and {more} more"),
            url: format!("{}?state=attention", visit.url(&["topics"])),
        }),
        help: format!("{}#rules", visit.url(&["help"])),
    }
}

/// What is said while nothing is wrong.
fn clear(visit: &Visit) -> String {
    let snapshot = &visit.view.snapshot;
    let silent = snapshot.missing().len();
    if snapshot.generation == 0 || !snapshot.is_complete {
        return "First poll running: nothing is known yet.".to_owned();
    }
    let time = fmt::utc(snapshot.at);
    match silent {
        0 => format!("All clear at {time}."),
        _ => {
            let all = snapshot.nodes.len() + snapshot.lookupds.len();
            format!("No known problem; {silent} of {all} upstreams not answering.")
        }
    }
}

fn item(visit: &Visit, finding: &Finding) -> Item {
    let (class, icon, _) = look(finding.severity);
    let now = visit.view.snapshot.at;
    Item {
        severity: class,
        icon,
        subject: subject(visit, &finding.subject),
        text: finding.text.clone(),
        since: fmt::seconds(now.saturating_sub(finding.since)),
        since_exact: fmt::utc(finding.since),
        rule: finding.rule.id(),
        act: verb(visit, finding),
    }
}

fn subject(visit: &Visit, subject: &Subject) -> Link {
    let (text, url) = match subject {
        Subject::Console => ("this console".to_owned(), visit.url(&["cluster"])),
        Subject::Lookupd(address) => (address.clone(), visit.url(&["cluster"])),
        Subject::Node(key) => (key.clone(), visit.url(&["nodes", key])),
        Subject::Topic(topic) => (topic.to_string(), visit.url(&["topics", topic])),
        Subject::Channel(topic, channel) => (
            format!("{topic}/{channel}"),
            visit.url(&["topics", topic, channel]),
        ),
    };
    Link { text, url }
}

/// The one verb that would end it.
fn verb(visit: &Visit, finding: &Finding) -> Option<Link> {
    if finding.rule != Rule::Paused || visit.role < Role::Operator {
        return None;
    }
    Some(Link {
        text: "Unpause".to_owned(),
        url: format!("{}?confirm=unpause", subject(visit, &finding.subject).url),
    })
}

/// The worst thing about a topic or a channel in a chip, `idle` or `ok`.
pub(super) fn state(finding: Option<&Finding>, is_idle: bool) -> Td {
    match finding {
        Some(finding) => {
            let (class, icon, _) = look(finding.severity);
            let word = match finding.rule {
                Rule::NoConsumers => "no clients",
                Rule::ConsumersIdle => "clients idle",
                Rule::StuckInFlight => "stuck",
                Rule::Growing => "growing",
                Rule::TimeoutStorm => "time-outs",
                Rule::RequeueStorm => "requeues",
                Rule::DeadLetters => "dead letters",
                Rule::OldestAge => "old messages",
                Rule::NoChannel => "no channel",
                Rule::Paused => "paused",
                Rule::ReadOnly => "read only",
                Rule::Dropping => "dropping",
                _ => "attention",
            };
            let icon = if finding.rule == Rule::Paused { "Ⅱ" } else { icon };
            Td::chip(class, icon, word).titled(format!("{}: {}", finding.rule.id(), finding.text))
        }
        None if is_idle => {
            Td::chip("idle", "·", "idle").titled("no message came in while this console watched")
        }
        None => Td::chip("ok", "✓", "ok"),
    }
}
