//! The page that is opened first, and the big number.

use super::super::chart::sparkline;
use super::super::page::Page;
use super::super::td::Td;
use super::super::visit::Visit;
use super::{answering, attention, charts, topics};
use crate::model::{Metric, Of};

/// Topics on the overview.
const TOPICS: usize = 50;

/// `GET /`.
pub(in super::super) fn overview(visit: &Visit) -> Page {
    let snapshot = &visit.view.snapshot;
    let mut page = visit.page("Overview", "Overview");
    if snapshot.generation > 0 && snapshot.is_unknown() {
        blind(visit, &mut page);
        return page;
    }
    page.notices.extend(super::warming(visit));
    page.attention = Some(attention::attention(visit));
    tiles(visit, &mut page);
    page.ranges = visit.ranges("1h");
    if let Some(seconds) = visit.range("1h") {
        page.charts = vec![
            charts::speeds(visit, seconds, Of::Cluster),
            charts::chart(
                visit,
                ("depth", "Depth", super::super::chart::Unit::Count),
                seconds,
                &[
                    ("depth", Of::Cluster, Metric::Depth),
                    ("in flight", Of::Cluster, Metric::InFlight),
                ],
            ),
        ];
    }
    if snapshot.topics.is_empty() && snapshot.is_complete {
        topics::none(visit, &mut page);
    } else {
        page.tables.push(topics::table(visit, "", TOPICS));
    }
    page
}

fn blind(visit: &Visit, page: &mut Page) {
    page.status = super::StatusCode::BAD_GATEWAY;
    page.warn(
        "The cluster cannot be reached: no configured upstream answers, so nothing can be said about topics, channels and nodes. \
         Nothing was changed. Check that the addresses below are right and that the daemons run.",
        "",
    );
    let snapshot = &visit.view.snapshot;
    let sources = snapshot
        .lookupds
        .iter()
        .filter_map(|source| Some((&source.address, source.trouble.as_ref()?)));
    let nodes = snapshot
        .nodes
        .iter()
        .filter_map(|node| Some((&node.key, node.trouble.as_ref()?)));
    for (address, trouble) in sources.chain(nodes) {
        page.warn(format!("{address}: {}", trouble.reason), trouble.raw.clone());
    }
}

fn tiles(visit: &Visit, page: &mut Page) {
    let snapshot = &visit.view.snapshot;
    let spread = snapshot.spread();
    let (own, sum) = snapshot.totals();
    let cover = |td: Td| td.covering(spread.sum());
    let spark = |metric| sparkline(&visit.trend(Of::Cluster, metric));
    let waiting = Td::number(snapshot.work()).titled(format!(
        "{} in channels and topics without channels; {} in topics' own queues",
        snapshot.work(),
        own.depth
    ));
    page.spark("Depth", cover(waiting), spark(Metric::Depth));
    if visit.view.interval.is_some() {
        page.spark("In", cover(Td::rate(own.rates.entered, false)), spark(Metric::In));
        page.spark("Done", cover(Td::done(&sum.rates)), spark(Metric::Done));
    }
    page.spark("In flight", cover(sum.in_flight.into()), spark(Metric::InFlight));
    page.spark("Deferred", cover(sum.deferred.into()), spark(Metric::Deferred));
    page.spark("Clients", cover(sum.clients.into()), spark(Metric::Clients));
    page.tile("Topics", Td::many(snapshot.topics.len()));
    page.tile("Nodes", answering(spread));
    if sum.dead > 0 {
        page.tile("Dead letters", sum.dead);
    }
}

/// `GET /counter`: messages of all channels, so that one counts once per channel.
pub(in super::super) fn counter(visit: &Visit) -> Page {
    let snapshot = &visit.view.snapshot;
    let mut page = visit.page("Counter", "Messages processed");
    if snapshot.is_unknown() {
        page.status = super::StatusCode::BAD_GATEWAY;
    }
    let (_, sum) = snapshot.totals();
    let all = Td::from(sum.messages).covering(snapshot.spread().sum());
    page.tile("In all channels, since the nodes started", all);
    if let Some(tile) = page.tiles.first_mut() {
        tile.size = "big";
    }
    if visit.view.interval.is_some() {
        page.spark(
            "In all channels, now",
            Td::rate(sum.rates.entered, false),
            sparkline(&visit.trend(Of::Cluster, Metric::In)),
        );
    }
    page.say("A message counts once for each channel it was handed to.");
    page
}
