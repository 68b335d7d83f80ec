//! What was done, by whom, and what became of it (console spec 3.12).

use std::sync::Arc;

use super::super::page::{Act, Page};
use super::super::table::{Choice, Column, Plan, Table};
use super::super::td::{Rank, Td};
use super::super::visit::Visit;
use super::clients::{MASKED, ago};
use super::fmt;
use crate::access::Role;
use crate::api::Call;
use crate::audit::{Done, Entry, Outcome};
use crate::model::Numbers;

/// Ages that can be chosen.
const AGES: [(&str, i64); 4] = [("15m", 900), ("1h", 3_600), ("24h", 86_400), ("168h", 604_800)];

/// Seconds until the page of something that is still being done is loaded anew where no patches come.
const AGAIN: u16 = 5;

/// What has to be known of a queue before something happens to it; nothing is known of what is not there.
pub(in super::super) fn lost_of_entry(name: String, numbers: Option<&Numbers>) -> [String; 5] {
    match numbers {
        None => [name, "not there".to_owned(), "–".into(), "–".into(), "–".into()],
        Some(sum) => {
            let rest = [sum.in_flight, sum.deferred, sum.clients];
            let [in_flight, deferred, clients] = rest.map(|number| fmt::count(i64::from(number)));
            [name, fmt::count(sum.depth), in_flight, deferred, clients]
        }
    }
}

fn chip(outcome: Outcome) -> Td {
    let (class, icon) = match outcome {
        Outcome::Running => ("info", "…"),
        Outcome::Done => ("ok", "✓"),
        Outcome::Partial => ("warn", "!"),
        Outcome::Failed => ("bad", "▲"),
        Outcome::Refused => ("idle", "✕"),
    };
    Td::chip(class, icon, outcome.text())
}

fn target(entry: &Entry) -> String {
    match entry.targets.as_slice() {
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        [] => String::new(),
    }
}

fn peer(visit: &Visit, entry: &Entry) -> Td {
    if visit.role < Role::Operator {
        return Td::text(MASKED);
    }
    let td = Td::text(&entry.who.peer);
    match entry.who.forwarded_for.as_str() {
        "" => td,
        from => td.titled(format!("forwarded for {from}")),
    }
}

/// Such as `delete topic`.
fn action(entry: &Entry) -> String {
    match entry.name {
        "tombstone_topic_producer" => "tombstone topic".to_owned(),
        name => name.replace('_', " "),
    }
}

/// `GET /audit`.
pub(in super::super) fn audit(visit: &Visit, entries: Vec<Arc<Entry>>) -> Page {
    let mut page = visit.page("Audit", "Audit");
    let now = visit.view.snapshot.at;
    let place = &visit.place;
    let since = AGES
        .iter()
        .find(|(name, _)| *name == place.get("age"))
        .map(|(_, age)| now - age);
    let is = |name: &str, value: &str| place.get(name).is_empty() || place.get(name) == value;
    let users: Vec<String> = sorted(entries.iter().map(|entry| entry.who.user.clone()));
    let names: Vec<String> = sorted(entries.iter().map(|entry| entry.name.to_owned()));
    let fitting = entries.into_iter().filter(|entry| {
        is("user", &entry.who.user)
            && is("action", entry.name)
            && is("result", entry.outcome().text())
            && since.is_none_or(|since| entry.at >= since)
    });
    let plan = Plan {
        heading: "What was done",
        columns: columns(visit),
        name: Box::new(|entry: &Arc<Entry>| format!("{} {}", entry.targets.join(" "), entry.id)),
        empty: "Nothing was done since this console started.",
        has_filter: true,
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    let mut table = plan.show(fitting.collect(), place, |_| "").0;
    if let Some(filter) = &mut table.filter {
        let choice = |name: &'static str, label, values: Vec<String>| Choice {
            name,
            label,
            default: "",
            values: values
                .into_iter()
                .map(|value| (value.clone(), place.get(name) == value))
                .collect(),
        };
        let results = Outcome::ALL.map(|outcome| outcome.text().to_owned()).to_vec();
        let ages = AGES.map(|(name, _)| name.to_owned()).to_vec();
        filter.choices = vec![
            choice("user", "User", users),
            choice("action", "Action", names),
            choice("result", "Result", results),
            choice("age", "Age", ages),
        ];
    }
    page.tables.push(table);
    page
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    names
}

fn columns(visit: &Visit) -> Vec<Column<'_, Arc<Entry>>> {
    let now = visit.view.snapshot.at;
    vec![
        Column::text("time", "Time", "", move |entry: &Arc<Entry>| {
            let url = visit.url(&["audit", &entry.id]);
            let time = fmt::utc(entry.at);
            Td {
                rank: Rank::Text(time.clone()),
                note: format!("{} ago", ago(now, entry.at).text),
                ..Td::link(time, url)
            }
        }),
        Column::text("user", "User", "", |entry: &Arc<Entry>| Td::text(&entry.who.user)),
        Column::text("role", "Role", "", |entry: &Arc<Entry>| {
            Td::text(entry.who.role.text())
        }),
        Column::text("peer", "Peer", "", |entry: &Arc<Entry>| peer(visit, entry)),
        Column::text("action", "Action", "", |entry: &Arc<Entry>| {
            Td::text(action(entry))
        }),
        Column::text("target", "Target", "", |entry: &Arc<Entry>| Td {
            note: entry.node.clone(),
            ..Td::text(target(entry)).titled(entry.targets.join(", "))
        }),
        Column::text("result", "Result", "", |entry: &Arc<Entry>| chip(entry.outcome())),
        Column::number(
            "ok",
            "Done by",
            "nsqds and nsqlookupds that did it",
            |entry: &Arc<Entry>| Td::many(entry.counts().0),
        ),
        Column::number(
            "failed",
            "Failed",
            "nsqds and nsqlookupds that did not",
            |entry: &Arc<Entry>| Td::many(entry.counts().1),
        ),
        Column::number("took", "Took", "", |entry: &Arc<Entry>| Td::took(entry.took())),
    ]
}

/// `GET /audit/:id`, which is also what somebody sees after they did something.
pub(in super::super) fn audit_entry(visit: &Visit, entry: Option<Arc<Entry>>) -> Page {
    let Some(entry) = entry else {
        let mut page = visit.page("Audit", "Not found");
        page.crumb("Audit", visit.url(&["audit"]));
        page.warn(
            "This console does not know of it: another replica did it, or it was before the last 1,000, or before a restart.",
            "",
        );
        page.status = super::StatusCode::NOT_FOUND;
        return page;
    };
    let done = entry.done();
    let outcome = entry.outcome();
    let title = format!("{} {}", capital(&action(&entry)), target(&entry));
    let mut page = visit.page("Audit", title);
    page.crumb("Audit", visit.url(&["audit"]));
    page.chips.push(chip(outcome));
    said(&mut page, &entry, outcome, &done);
    let failed: usize = done.iter().filter_map(|done| done.again()).count();
    let needed = done
        .iter()
        .filter_map(|done| done.action.as_ref())
        .map(|action| action.verb.role());
    let may = needed.max().is_some_and(|role| visit.role >= role);
    if failed > 0 && outcome != Outcome::Running && may {
        let requests: usize = done
            .iter()
            .map(|done| done.failed().count().max(usize::from(done.failure.is_some())))
            .sum();
        page.actions.push(Act {
            text: format!("Retry failed ({requests})"),
            url: format!("{}?confirm=retry", visit.url(&["audit", &entry.id])),
            loses: false,
        });
    }
    page.actions.push(on(visit, &entry));
    if entry.name == "publish" {
        page.actions.push(Act {
            text: "Publish another like this".to_owned(),
            url: super::super::act::publish_url(&visit.base, &target(&entry)),
            loses: false,
        });
    }
    facts(visit, &mut page, &entry);
    page.tables.push(calls(visit, &done));
    if !entry.before.is_empty() {
        page.tables.push(before(visit, &entry));
    }
    if outcome == Outcome::Running && page.shell.refresh.is_none() {
        page.shell.refresh = Some(AGAIN);
    }
    page
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// How it ended, in a sentence.
fn said(page: &mut Page, entry: &Entry, outcome: Outcome, done: &[Arc<Done>]) {
    let (ok, failed) = entry.counts();
    let raw: Vec<String> = done
        .iter()
        .filter_map(|done| Some(format!("{}: {}", done.target, done.failure.as_ref()?.message())))
        .collect();
    match outcome {
        Outcome::Running => page.say("It is being done. This page follows it."),
        Outcome::Done if ok == 0 && !done.is_empty() => {
            page.say("Nothing had to be done: no node has it.");
        }
        Outcome::Done => page.say(match ok {
            0 => "Done.".to_owned(),
            1 => "Done: one upstream did it.".to_owned(),
            _ => format!("Done: all {ok} upstreams did it."),
        }),
        Outcome::Partial => {
            page.warn(
                format!(
                    "Done in part only: {ok} did it, {} did not. Retry what failed, or look why.",
                    failed + raw.len()
                ),
                raw.join("\n"),
            );
        }
        Outcome::Failed if failed == 0 => page.warn(
            "Nothing was done: who has to do it is not known, as nobody who could say so answered.",
            raw.join("\n"),
        ),
        Outcome::Failed => page.warn("It failed everywhere. Nothing was changed.", raw.join("\n")),
        Outcome::Refused => page.warn("It was refused, and nothing was done.", ""),
    }
    for own in done {
        // where something failed the rows say what
        let warning = own.message.strip_prefix("WARNING: ");
        if let Some(warning) = warning.filter(|_| outcome == Outcome::Done) {
            page.say(format!("{warning}."));
        }
        let is_gone = own
            .failure
            .as_ref()
            .is_some_and(|failure| failure.message().contains("TOPIC_NOT_FOUND"));
        if is_gone {
            page.say(format!(
                "{} is not there any more: no nsqlookupd knows it.",
                own.target
            ));
        }
    }
}

/// Back to what it was about.
fn on(visit: &Visit, entry: &Entry) -> Act {
    let is_delete = entry.name.starts_with("delete");
    let segments: Vec<&str> = match entry.targets.as_slice() {
        [one] => one.split('/').collect(),
        _ => Vec::new(),
    };
    let (text, url) = match segments.as_slice() {
        _ if entry.name == "set_config" => (
            "On to the overview".to_owned(),
            super::super::urls::home(&visit.base),
        ),
        _ if entry.name == "tombstone_topic_producer" => {
            ("On to the nodes".to_owned(), visit.url(&["nodes"]))
        }
        [_] if is_delete => (
            "On to the overview".to_owned(),
            super::super::urls::home(&visit.base),
        ),
        [topic, _] if is_delete => (format!("On to topic {topic}"), visit.url(&["topics", topic])),
        [topic] => (format!("On to topic {topic}"), visit.url(&["topics", topic])),
        [topic, channel] => (
            format!("On to channel {channel}"),
            visit.url(&["topics", topic, channel]),
        ),
        _ => ("On to the topics".to_owned(), visit.url(&["topics"])),
    };
    Act {
        text,
        url,
        loses: false,
    }
}

fn facts(visit: &Visit, page: &mut Page, entry: &Entry) {
    let who = match entry.who.user.as_str() {
        "" => format!("somebody without a name ({})", entry.who.role.text()),
        user => format!("{user} ({})", entry.who.role.text()),
    };
    let mut pairs = vec![
        ("Time".to_owned(), fmt::utc(entry.at)),
        ("By".to_owned(), who),
        ("From".to_owned(), peer(visit, entry).text),
        ("Took".to_owned(), fmt::duration(entry.took())),
        ("Id".to_owned(), entry.id.clone()),
    ];
    if !entry.node.is_empty() {
        pairs.push(("Node".to_owned(), entry.node.clone()));
    }
    if !entry.note.is_empty() {
        pairs.push(("What".to_owned(), entry.note.clone()));
    }
    page.texts.push(("Details", pairs));
}

/// One row for each request that changed something, or tried to.
fn calls(visit: &Visit, done: &[Arc<Done>]) -> Table {
    type Row<'a> = (&'a str, &'a Call);
    let plan = Plan {
        heading: "What became of it",
        columns: vec![
            Column::text("address", "Upstream", "", |(_, call): &Row<'_>| {
                if call.kind == "nsqd" {
                    Td::link(&call.address, visit.url(&["nodes", &call.address]))
                } else {
                    Td::text(&call.address)
                }
            }),
            Column::text("kind", "Kind", "", |(_, call): &Row<'_>| Td::text(call.kind)),
            Column::text("target", "Target", "", |(target, _): &Row<'_>| Td::text(*target)),
            Column::text("request", "Request", "", |(_, call): &Row<'_>| {
                Td::text(call.path.split('?').next().unwrap_or_default())
            }),
            Column::text("result", "Result", "", |(_, call): &Row<'_>| {
                match &call.trouble {
                    None => Td::chip("ok", "✓", "done"),
                    Some((reason, raw)) => {
                        let (class, icon) = ("bad", "▲");
                        Td {
                            note: plain(raw).unwrap_or_else(|| reason.clone()),
                            ..Td::chip(class, icon, "failed").titled(raw)
                        }
                    }
                }
            }),
        ],
        name: Box::new(|(target, call): &Row<'_>| format!("{} {} {target}", call.address, call.path)),
        empty: "No request was sent.",
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    let rows = done
        .iter()
        .flat_map(|done| done.calls.iter().map(|call| (done.target.as_str(), call)));
    plan.show(rows.collect(), &visit.place, |_| "").0
}

/// What the codes of daemons mean.
fn plain(raw: &str) -> Option<String> {
    let known = [
        ("CHANNEL_NOT_FOUND", "it does not have the channel"),
        ("TOPIC_NOT_FOUND", "it does not have the topic"),
        (
            "MSG_TOO_BIG",
            "the message is larger than it takes (--max-msg-size)",
        ),
        (
            "BODY_TOO_BIG",
            "the messages are more than it takes at one time (--max-body-size)",
        ),
        ("MSG_EMPTY", "it takes no message without a body"),
        (
            "INVALID_DEFER",
            "the delay is longer than it takes (--max-req-timeout)",
        ),
        ("EXITING", "it is on its way out"),
        (
            "JOB_RUNNING",
            "it is still busy with another job of this channel: see its dead letters, or its timers",
        ),
        (
            "VIA_REQUIRED",
            "the dead letters are in a channel of their topic, which has to be chosen",
        ),
        ("MESSAGE_NOT_FOUND", "the message is not there any more"),
        ("DRAINING", "it is being drained, and takes no messages"),
    ];
    let found = known.iter().find(|(code, _)| raw.contains(code));
    found.map(|(code, text)| format!("{text} ({code})"))
}

fn before(visit: &Visit, entry: &Entry) -> Table {
    type Row = [String; 5];
    let cell = |at: usize| {
        move |row: &Row| {
            let text = row.get(at).cloned().unwrap_or_default();
            Td {
                class: "number",
                ..Td::text(text)
            }
        }
    };
    let plan = Plan {
        id: "nodes",
        heading: "What was there just before",
        columns: vec![
            Column::text("name", "Where", "", |row: &Row| Td::text(&row[0])),
            Column::number("depth", "Depth", "", cell(1)),
            Column::number("in_flight", "In flight", "", cell(2)),
            Column::number("deferred", "Deferred", "", cell(3)),
            Column::number("clients", "Clients", "", cell(4)),
        ],
        name: Box::new(|row: &Row| row[0].clone()),
        is_whole: visit.is_export(),
        ..Plan::default()
    };
    plan.show(entry.before.clone(), &visit.place, |_| "").0
}
