//! Messages that wait for their time (console spec 3.7).

use std::fmt::Write as _;

use nsq_http_api::messages::{Bucket, State};

use super::super::chart::{Chart, Svg};
use super::super::fmt;
use super::super::page::{Act, Page};
use super::super::table::{Column, Plan, Table};
use super::super::td::Td;
use super::rows::{self, Seen};
use super::when::{second_of, together};
use super::{Look, complain, many, seconds};
use crate::access::Role;

/// Messages of each node that are read, and that a page shows.
const SHOWN: u32 = 100;
/// Bars of the histogram.
const BARS: u32 = 24;

pub(super) async fn page(look: &Look<'_>) -> Page {
    let place = &look.visit.place;
    let nodes = look.meant();
    let mut request = look.request(State::Deferred, SHOWN);
    request.buckets = BARS;
    request.due_from = second_of(place.get("from"));
    request.due_to = second_of(place.get("to"));
    if look.chosen().is_some() {
        place.get("cursor").clone_into(&mut request.cursor);
    }
    let addresses: Vec<String> = nodes.iter().map(|node| node.address.clone()).collect();
    let answers = look.shared.upstream.messages(&addresses, &request).await;
    let mut page = look.frame();
    page.tiles.clear();
    let (mut all, mut spans, mut total, mut next) = (Vec::new(), Vec::new(), 0_u64, String::new());
    for (node, answer) in nodes.iter().zip(answers) {
        match answer.result {
            Ok(listed) => {
                total = total.saturating_add(listed.total.unwrap_or(0));
                let edge = |due: Option<i64>| due.unwrap_or(0);
                spans.push((edge(listed.first_due), edge(listed.last_due), listed.buckets));
                next = listed.next;
                all.extend(listed.messages.into_iter().map(|message| Seen {
                    node,
                    message,
                    cursor: request.cursor.clone(),
                }));
            }
            Err(error) => complain(&mut page, node, &error),
        }
    }
    all.sort_by(|a, b| (a.message.due, &a.message.id).cmp(&(b.message.due, &b.message.id)));
    all.truncate(SHOWN as usize);
    if look.sees {
        look.noted("peek", &nodes, &format!("{}, deferred", many(all.len())))
            .await;
    }
    for name in ["from", "to"] {
        let text = place.get(name);
        if !text.is_empty() && second_of(text).is_none() {
            page.warn(
                format!("“{text}” is no moment, so it bounds nothing. Write it as 2026-11-27T03:00Z, or in seconds since 1970."),
                "",
            );
        }
    }
    let bars = together(&spans, BARS as usize);
    if bars.len() > 1 {
        let first = spans
            .iter()
            .filter(|(first, ..)| *first > 0)
            .map(|(first, ..)| *first)
            .min();
        page.charts.push(histogram(&bars, first.unwrap_or(0)));
    }
    acts(look, &mut page, total);
    let is_one = look.chosen().is_some();
    let next = if is_one { next } else { String::new() };
    page.tables
        .push(table(look, all, total, (&request.cursor, &next)));
    page
}

/// What can be done with all that is in the range.
fn acts(look: &Look<'_>, page: &mut Page, total: u64) {
    if total == 0 {
        return;
    }
    for (verb, text, role) in [
        ("run", "Run all now", Role::Operator),
        ("cancel", "Cancel all timers", Role::Admin),
    ] {
        if look.visit.role >= role {
            page.actions.push(Act {
                text: text.to_owned(),
                url: look.visit.place.with(&[
                    ("tab", ""),
                    ("cursor", ""),
                    ("q", ""),
                    ("confirm", verb),
                    ("all", "true"),
                ]),
                loses: verb == "cancel",
            });
        }
    }
}

fn table(look: &Look<'_>, all: Vec<Seen<'_>>, total: u64, (cursor, next): (&str, &str)) -> Table {
    let visit = look.visit;
    let now = visit.view.snapshot.at;
    let mut columns = rows::columns(look, State::Deferred.as_str());
    let due = move |seen: &Seen<'_>| rows::moment_of(seen.message.due, now);
    columns.insert(1, Column::number("due", "Due", "when its time comes", due));
    columns.push(Column::text("from", "From", "why it waits", |seen: &Seen<'_>| {
        Td::text(seen.message.source.clone().unwrap_or_default())
    }));
    if look.sees {
        columns.push(rows::body_column());
    }
    if visit.role >= Role::Operator {
        columns.push(rows::acts_column(
            look,
            &[
                ("Run now", "run", Role::Operator),
                ("Cancel", "cancel", Role::Admin),
            ],
        ));
    }
    let plan = Plan {
        heading: "Timers",
        columns,
        name: Box::new(rows::name),
        empty: "No message waits for its time.",
        has_filter: true,
        is_whole: true,
        ..Plan::default()
    };
    let shown = all.len();
    let mut table = plan.show(all, &visit.place, |_| "").0;
    let of = i64::try_from(total).unwrap_or(i64::MAX);
    table.caption = match shown as u64 >= total {
        true => format!("all {}, looked at {}", many(shown), fmt::utc(now)),
        false if look.chosen().is_some() => {
            format!(
                "{} of {}, looked at {}",
                many(shown),
                fmt::count(of),
                fmt::utc(now)
            )
        }
        false => format!(
            "the {} of {} that are due first, looked at {}; choose a node or a range to see others",
            many(shown),
            fmt::count(of),
            fmt::utc(now)
        ),
    };
    if look.nodes.len() > 1 {
        rows::choose_node(look, &mut table, "all nodes");
    }
    if let Some(filter) = &mut table.filter {
        for (name, label) in [("from", "due from, as 2026-11-27T03:00Z"), ("to", "due before")] {
            filter
                .inputs
                .push((name, label, visit.place.get(name).to_owned()));
        }
        filter.kept.retain(|(name, _)| name != "cursor");
    }
    rows::steps(look, &mut table, cursor, next);
    table
}

/// How many are due when.
fn histogram(bars: &[Bucket], first: i64) -> Chart {
    let highest = bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1);
    let total: u64 = bars.iter().map(|bar| bar.count).sum();
    let last = bars.last().map_or(first, |bar| bar.to);
    let (from, to) = (fmt::utc(seconds(first)), fmt::utc(seconds(last)));
    let mut svg = String::with_capacity(4096);
    let _ = write!(
        svg,
        r#"<svg viewBox="0 0 600 160" role="img" aria-labelledby="c-due-t c-due-d"><title id="c-due-t">When they are due</title><desc id="c-due-d">{total} messages from {from} to {to}, at most {highest} in one bar</desc><path class="grid" d="M10 130H590"/>"#
    );
    let width = 580 / bars.len().max(1);
    for (at, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.count > 0) {
        // what is there is seen, however little it is
        let height = (u128::from(bar.count) * 118 / u128::from(highest)).max(2);
        let _ = write!(
            svg,
            r#"<rect class="bar" x="{}" y="{}" width="{}" height="{height}"><title>{} until {}</title></rect>"#,
            10 + at * width,
            130 - height,
            width.saturating_sub(2).max(1),
            bar.count,
            fmt::utc(seconds(bar.to)),
        );
    }
    let _ = write!(
        svg,
        r#"<text class="tick" x="10" y="150">{from}</text><text class="tick" x="590" y="150" text-anchor="end">{to}</text></svg>"#
    );
    Chart {
        title: "When they are due",
        svg: Svg(svg),
        legend: Vec::new(),
        heads: vec!["messages".to_owned()],
        rows: bars
            .iter()
            .map(|bar| {
                (
                    format!("until {}", fmt::utc(seconds(bar.to))),
                    vec![bar.count.to_string()],
                )
            })
            .collect(),
        empty: String::new(),
    }
}
