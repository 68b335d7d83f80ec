//! Messages that were given up, and what is being done with them (console spec 3.8).

use std::collections::BTreeMap;

use nsq_http_api::messages::{DeadLetter, Job, State};

use super::super::fmt;
use super::super::page::{Act, Notice, Page};
use super::super::table::{Choice, Column, Plan, Table};
use super::super::td::Td;
use super::rows::{self, Seen};
use super::{Look, complain, many, seconds};
use crate::access::Role;
use crate::model::NodeState;

/// Dead letters of each node that are read, and that a page shows.
const SHOWN: u32 = 100;
/// What nsqd says when the dead-letter topic has channels, so that they are in those.
const VIA: u16 = 409;

pub(super) async fn page(look: &Look<'_>) -> Page {
    let nodes = look.meant();
    let addresses: Vec<String> = nodes.iter().map(|node| node.address.clone()).collect();
    let mut request = look.request(State::Dead, SHOWN);
    if look.chosen().is_some() {
        look.visit.place.get("cursor").clone_into(&mut request.cursor);
    }
    let upstream = &look.shared.upstream;
    let answers = upstream.messages(&addresses, &request).await;
    let mut page = look.frame();
    page.tiles.clear();
    let (mut all, mut next, mut wants_via) = (Vec::new(), String::new(), false);
    for (node, answer) in nodes.iter().zip(answers) {
        match answer.result {
            Ok(listed) => {
                next = listed.next;
                all.extend(listed.messages.into_iter().map(|message| Seen {
                    node,
                    message,
                    cursor: request.cursor.clone(),
                }));
            }
            Err(error) if error.status() == Some(VIA) => wants_via = true,
            Err(error) => complain(&mut page, node, &error),
        }
    }
    let at = |seen: &Seen<'_>| seen.message.dead_letter.as_ref().map(|letter| letter.at);
    all.sort_by(|a, b| (at(a), &a.message.id).cmp(&(at(b), &b.message.id)));
    all.truncate(SHOWN as usize);
    if look.sees {
        look.noted("peek", &nodes, &format!("{}, dead", many(all.len())))
            .await;
    }
    jobs(look, &mut page, &nodes, &addresses).await;
    if wants_via {
        page.say(
            "Their topic has channels of its own, so that the dead letters are in those: choose the one to look into.",
        );
    }
    if !all.is_empty() {
        page.say(reasons(&all));
    }
    acts(look, &mut page, all.first());
    let is_one = look.chosen().is_some();
    let next = if is_one { next } else { String::new() };
    let mut table = table(look, all, (&request.cursor, &next));
    if wants_via || !look.visit.place.get("via").is_empty() {
        choose_via(look, &mut table).await;
    }
    page.tables.push(table);
    page
}

/// How many were given up for which reason.
fn reasons(all: &[Seen<'_>]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for letter in all.iter().filter_map(|seen| seen.message.dead_letter.as_ref()) {
        *counts.entry(letter.reason.as_str()).or_default() += 1;
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    format!("Given up because of: {}.", parts.join(" · "))
}

/// What is being done with all of them, or was.
async fn jobs(look: &Look<'_>, page: &mut Page, nodes: &[&NodeState], addresses: &[String]) {
    let channel = look.channel.unwrap_or_default();
    let answers = look.shared.upstream.jobs(addresses, look.topic, channel).await;
    let mut all: Vec<(&str, Job)> = Vec::new();
    for (node, answer) in nodes.iter().zip(answers) {
        match answer.result {
            Ok(answer) => all.extend(answer.job.map(|job| (node.key.as_str(), job))),
            Err(error) => complain(page, node, &error),
        }
    }
    if all.is_empty() {
        return;
    }
    page.notices.push(progress(&all));
    let runs = all.iter().any(|(_, job)| job.running);
    if runs && look.visit.role >= Role::Operator {
        page.actions.push(Act {
            text: "Stop the job".to_owned(),
            url: look
                .visit
                .place
                .with(&[("tab", ""), ("q", ""), ("confirm", "stop")]),
            loses: false,
        });
    }
}

/// The jobs of all nodes in one sentence. Pure.
fn progress(all: &[(&str, Job)]) -> Notice {
    let sum = |of: fn(&Job) -> u64| all.iter().map(|(_, job)| of(job)).fold(0, u64::saturating_add);
    let running = all.iter().filter(|(_, job)| job.running).count();
    let what = match all
        .first()
        .map(|(_, job)| (job.verb.as_str(), job.state.as_str()))
    {
        Some(("run", "dead")) => "Redrive",
        Some(("cancel", "dead")) => "Deleting dead letters",
        Some(("run", _)) => "Running timers now",
        _ => "Cancelling timers",
    };
    let state = match running {
        0 => "is over".to_owned(),
        count => format!("goes on, on {count} of {} nodes", all.len()),
    };
    let errors: Vec<String> = all
        .iter()
        .filter(|(_, job)| !job.error.is_empty())
        .map(|(node, job)| format!("{node}: {}", job.error))
        .collect();
    let number = |count: u64| fmt::count(i64::try_from(count).unwrap_or(i64::MAX));
    Notice {
        class: if errors.is_empty() { "" } else { "bad" },
        text: format!(
            "{what} {state}: {} done, {} failed, {} left.",
            number(sum(|job| job.done)),
            number(sum(|job| job.failed)),
            number(sum(|job| job.remaining))
        ),
        raw: errors.join("\n"),
        ..Notice::default()
    }
}

/// One first, to see whether it goes well; then the others.
fn acts(look: &Look<'_>, page: &mut Page, oldest: Option<&Seen<'_>>) {
    let Some(oldest) = oldest else { return };
    let place = &look.visit.place;
    let mut act = |text: &str, role, changes: &[(&str, &str)], loses| {
        if look.visit.role >= role {
            let changes = [&[("tab", ""), ("q", ""), ("cursor", "")], changes].concat();
            page.actions.push(Act {
                text: text.to_owned(),
                url: place.with(&changes),
                loses,
            });
        }
    };
    let one = [
        ("confirm", "redrive"),
        ("id", oldest.message.id.as_str()),
        ("node", oldest.node.key.as_str()),
    ];
    act("Redrive one", Role::Operator, &one, false);
    act(
        "Redrive all",
        Role::Operator,
        &[("confirm", "redrive"), ("all", "true")],
        false,
    );
    act(
        "Delete all dead letters",
        Role::Admin,
        &[("confirm", "discard"), ("all", "true")],
        true,
    );
}

fn table(look: &Look<'_>, all: Vec<Seen<'_>>, (cursor, next): (&str, &str)) -> Table {
    let visit = look.visit;
    let now = visit.view.snapshot.at;
    let letter = |seen: &Seen<'_>| seen.message.dead_letter.clone().unwrap_or_default();
    let mut columns = rows::columns(look, State::Dead.as_str());
    // of a dead letter the numbers of the message that it was are those that somebody looks for
    columns.retain(|column| !matches!(column.key, "age" | "attempts"));
    let text = |key, head, title, value: fn(&DeadLetter) -> String| {
        Column::text(key, head, title, move |seen: &Seen<'_>| {
            Td::text(value(&letter(seen)))
        })
    };
    columns.insert(
        1,
        text("reason", "Reason", "why it was given up", |letter| {
            letter.reason.clone()
        }),
    );
    columns.insert(
        2,
        Column::number(
            "attempts",
            "Attempts",
            "deliveries until then",
            move |seen: &Seen<'_>| Td::from(letter(seen).attempts),
        ),
    );
    columns.insert(
        3,
        Column::number(
            "moved",
            "Moved",
            "when it was given up",
            move |seen: &Seen<'_>| rows::moment(seconds(letter(seen).at), now),
        ),
    );
    columns.insert(
        4,
        Column::number("first", "First delivered", "", move |seen: &Seen<'_>| {
            rows::moment_of(letter(seen).first_delivered, now)
        }),
    );
    columns.insert(
        5,
        text("client", "Last to", "the client that had it last", |letter| {
            letter.last_client.clone().unwrap_or_default()
        }),
    );
    columns.insert(
        6,
        text("origin", "Was", "the id that it had", |letter| letter.id.clone()),
    );
    if look.sees {
        columns.push(rows::body_column());
    }
    if visit.role >= Role::Operator {
        columns.push(rows::acts_column(
            look,
            &[
                ("Redrive", "redrive", Role::Operator),
                ("Delete", "discard", Role::Admin),
            ],
        ));
    }
    let plan = Plan {
        heading: "Dead letters",
        columns,
        name: Box::new(move |seen: &Seen<'_>| format!("{} {}", rows::name(seen), letter(seen).reason)),
        empty: "No dead letters there.",
        has_filter: true,
        is_whole: true,
        ..Plan::default()
    };
    let shown = all.len();
    let mut table = plan.show(all, &visit.place, |_| "").0;
    table.caption = format!("{}, the oldest first, looked at {}", many(shown), fmt::utc(now));
    if look.nodes.len() > 1 {
        rows::choose_node(look, &mut table, "all nodes");
    }
    rows::steps(look, &mut table, cursor, next);
    table
}

/// Lets somebody choose the channel of the dead-letter topic.
async fn choose_via(look: &Look<'_>, table: &mut Table) {
    let chosen = look.visit.place.get("via");
    let topic = dead_letter_topic(look).await;
    let snapshot = &look.visit.view.snapshot;
    let channels = snapshot.topic(&topic).map(|topic| topic.channels.as_slice());
    let names = channels
        .unwrap_or_default()
        .iter()
        .map(|channel| channel.name.to_string());
    if let Some(filter) = &mut table.filter {
        filter.choices.push(Choice {
            name: "via",
            label: "Channel of the dead-letter topic",
            default: "channel",
            values: names.map(|name| (name.clone(), name == chosen)).collect(),
        });
        filter.kept.retain(|(name, _)| name != "via" && name != "cursor");
    }
}

/// What the policy says, where nodes have policies; else the name that it has without one.
async fn dead_letter_topic(look: &Look<'_>) -> String {
    let channel = look.channel.unwrap_or_default();
    let has = |node: &&NodeState| {
        node.extensions
            .iter()
            .any(|own| own == nsq_http_api::policy::EXTENSION)
    };
    let meant = look.meant();
    let able = meant
        .iter()
        .find(|node| has(node))
        .map(|node| node.address.clone());
    let asked: Vec<String> = able.into_iter().collect();
    let answers = look
        .shared
        .upstream
        .policies(&asked, look.topic, Some(channel))
        .await;
    let told = answers.into_iter().find_map(|answer| {
        let policy = answer.result.ok()?;
        Some(policy.effective.get("dead_letter_topic")?.as_str()?.to_owned())
    });
    told.unwrap_or_else(|| nsq_http_api::messages::dead_letter_topic(look.topic, channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(running: bool, done: u64, remaining: u64, error: &str) -> Job {
        Job {
            verb: "run".to_owned(),
            state: "dead".to_owned(),
            running,
            done,
            remaining,
            error: error.to_owned(),
            ..Job::default()
        }
    }

    #[test]
    fn jobs_of_all_nodes_are_one_sentence() {
        let both = progress(&[("a", job(true, 40, 60, "")), ("b", job(false, 5, 0, ""))]);
        assert_eq!(
            both.text,
            "Redrive goes on, on 1 of 2 nodes: 45 done, 0 failed, 60 left."
        );
        let over = progress(&[("a", job(false, 1_000, 3, "DISK_FULL"))]);
        assert_eq!((over.class, over.raw.as_str()), ("bad", "a: DISK_FULL"));
        assert_eq!(over.text, "Redrive is over: 1,000 done, 0 failed, 3 left.");
    }
}
