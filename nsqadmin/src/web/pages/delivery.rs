//! How near messages were delivered: within the zone of the node, within its region, or beyond.

use std::fmt::Write as _;

use super::super::chart::Svg;
use super::super::table::Column;
use super::super::td::{Rank, Td};
use super::columns::Here;
use crate::model::{ChannelOn, ChannelRecord, Counts};

/// Units of the bar.
const WIDTH: i64 = 90;

/// The column, if some node counts deliveries by where they go.
pub(super) fn column<'a>(record: Option<&'a ChannelRecord>) -> Option<Column<'a, Here<'a, ChannelOn>>> {
    let record = record.filter(|record| record.counts.delivery_msg_count > 0)?;
    Some(Column::text(
        "delivery",
        "Delivery",
        "to clients of the node's zone, of its region, and of others",
        move |Here(node, _): &Here<'_, ChannelOn>| {
            let nodes = record.nodes.iter().flatten();
            let own = nodes.into_iter().find(|own| own.node == node.key);
            own.map_or_else(|| Td::unknown("it did not answer"), |own| bar(&own.counts))
        },
    ))
}

/// The sum over nodes.
pub(super) fn total(record: Option<&ChannelRecord>) -> Td {
    record.map_or_else(Td::default, |record| bar(&record.counts))
}

/// A bar of three parts, and their words.
fn bar(counts: &Counts) -> Td {
    let all = counts.delivery_msg_count;
    if all <= 0 {
        return Td::unknown("nothing was delivered yet");
    }
    let parts = [
        ("zone", counts.zone_local_msg_count),
        ("region", counts.region_local_msg_count),
        ("other", counts.global_msg_count),
    ];
    let part = |count: i64, of: i64| i128::from(count) * i128::from(of) / i128::from(all);
    let mut svg = format!(r#"<svg class="delivery" viewBox="0 0 {WIDTH} 10" aria-hidden="true">"#);
    let mut before = 0_i64;
    for (class, count) in parts {
        let (left, right) = (part(before, WIDTH), part(before.saturating_add(count), WIDTH));
        before = before.saturating_add(count);
        let _ = write!(
            svg,
            r#"<rect class="{class}" x="{left}" y="0" width="{}" height="10"/>"#,
            right - left
        );
    }
    svg.push_str("</svg>");
    let shares = parts.map(|(_, count)| part(count, 100));
    Td {
        text: format!("{} % zone, {} % region ", shares[0], shares[1]),
        title: format!(
            "{} within the zone, {} within the region, {} beyond",
            counts.zone_local_msg_count, counts.region_local_msg_count, counts.global_msg_count
        ),
        rank: i32::try_from(shares[0]).map_or(Rank::Unknown, |share| Rank::Number(f64::from(share))),
        svg: Svg(svg),
        ..Td::default()
    }
}
