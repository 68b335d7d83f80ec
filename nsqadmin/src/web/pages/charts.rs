//! Charts of the pages, drawn from history.

use super::super::chart::{Chart, Drawing, Line, Unit};
use super::super::visit::Visit;
use crate::model::{Metric, Of};

/// The chart of these lines over `seconds`.
pub(super) fn chart(
    visit: &Visit,
    (id, title, unit): (&'static str, &'static str, Unit),
    seconds: i64,
    lines: &[(&str, Of<'_>, Metric)],
) -> Chart {
    let now = visit.view.snapshot.at;
    let from = now.saturating_sub(seconds);
    let snapshot = &visit.view.snapshot;
    // the last line of several is the one that is about all of them
    let about = lines.last().map(|(_, of, _)| *of);
    let has = |of: Of<'_>, key: &str| match of {
        Of::Topic(topic) => snapshot.on_nodes(topic).any(|(node, _)| node.key == key),
        Of::Channel(topic, channel) => snapshot
            .channel_on_nodes(topic, channel)
            .any(|(node, _)| node.key == key),
        Of::Cluster | Of::Node(_) => false,
    };
    visit.history(|history| {
        let lines = lines.iter().map(|(label, of, metric)| Line {
            label: (*label).to_owned(),
            points: history.points(*of, *metric, seconds, now, usize::MAX),
        });
        Drawing {
            id,
            title,
            unit,
            lines: lines.collect(),
            from,
            to: now,
            partial: history.partial(from).collect(),
            marks: history
                .marks(from)
                .filter(|mark| about.is_some_and(|of| mark.is_on(of, |key| has(of, key))))
                .map(|mark| (mark.at, mark.event.text(), mark.text()))
                .collect(),
        }
        .draw()
    })
}

/// In and done.
pub(super) fn speeds(visit: &Visit, seconds: i64, of: Of<'_>) -> Chart {
    let lines = [("in", of, Metric::In), ("done", of, Metric::Done)];
    chart(
        visit,
        ("speed", "Messages per second", Unit::PerSecond),
        seconds,
        &lines,
    )
}
