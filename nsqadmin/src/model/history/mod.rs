//! What the numbers were (console spec 4.2, 4.3): in memory, bounded, gone with the process. Pure: the poller feeds it.

mod marks;
mod ring;
mod series;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use marks::Marks;
pub(crate) use marks::{Event, Mark, Place};
pub(crate) use series::Fold;
use series::{CAPACITY, Series};

use super::said::Numbers;
use super::snapshot::Snapshot;

/// Seconds of a place on the second and the third axis.
const MINUTE: i64 = 60;
const TEN_MINUTES: i64 = 600;

/// What is not seen for so many seconds is forgotten.
const REMEMBERED: i64 = 3600;

/// Most points that are handed out at once.
const MAX_POINTS: usize = 240;

/// What a series is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of<'a> {
    Cluster,
    Node(&'a str),
    Topic(&'a str),
    Channel(&'a str, &'a str),
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Depth,
    In,
    Done,
    InFlight,
    Deferred,
    Requeued,
    TimedOut,
    Clients,
    Nodes,
    Took,
    Dead,
    Dropped,
}

use Metric::{Clients, Dead, Deferred, Depth, Done, Dropped, In, InFlight, Nodes, Requeued, TimedOut, Took};

const CLUSTER: &[Metric] = &[
    Depth, In, Done, InFlight, Deferred, Clients, Nodes, Requeued, TimedOut,
];
const NODE: &[Metric] = &[Depth, In, Done, Clients, Took];
const TOPIC: &[Metric] = &[Depth, In, Done];
const CHANNEL: &[Metric] = &[
    Depth, InFlight, Deferred, In, Done, Requeued, TimedOut, Clients, Dead, Dropped,
];

impl Metric {
    pub(crate) fn fold(self) -> Fold {
        match self {
            In | Done | Requeued | TimedOut => Fold::Mean,
            _ => Fold::Max,
        }
    }
}

/// Times of the points of one resolution, in Unix seconds.
#[derive(Debug, Default)]
pub(crate) struct Axis {
    first: u64,
    times: VecDeque<i64>,
    capacity: usize,
}

impl Axis {
    fn push(&mut self, time: i64) {
        self.times.push_back(time);
        if self.times.len() > self.capacity {
            self.times.pop_front();
            self.first += 1;
        }
    }

    /// Index of the next point.
    fn end(&self) -> u64 {
        self.first + self.times.len() as u64
    }

    fn time(&self, index: u64) -> Option<i64> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.times.get(at).copied()
    }

    /// Index of the first point at or after `time`.
    fn index_of(&self, time: i64) -> u64 {
        self.first + self.times.partition_point(|own| *own < time) as u64
    }
}

/// Finest first.
#[derive(Debug)]
pub(crate) struct Axes([Axis; 3]);

#[derive(Debug)]
struct Entity {
    series: Vec<(Metric, Series)>,
    /// Unix seconds.
    seen: i64,
}

impl Entity {
    fn new(metrics: &[Metric]) -> Self {
        Self {
            series: metrics
                .iter()
                .map(|metric| (*metric, Series::new(metric.fold())))
                .collect(),
            seen: 0,
        }
    }

    fn push(&mut self, value: impl Fn(Metric) -> f32, now: i64, axes: &Axes) {
        self.seen = now;
        for (metric, series) in &mut self.series {
            series.push(value(*metric), now, axes);
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self
                .series
                .iter()
                .map(|(_, series)| size_of::<(Metric, Series)>() + series.bytes())
                .sum::<usize>()
    }
}

#[derive(Debug)]
struct TopicEntity {
    own: Entity,
    channels: HashMap<Arc<str>, Entity>,
}

/// A point that is handed out: Unix seconds, and the value, which is not a number in a gap.
pub(crate) type Point = (i64, f32);

/// All series.
#[derive(Debug)]
pub(crate) struct History {
    axes: Axes,
    cluster: Entity,
    nodes: HashMap<String, Entity>,
    topics: HashMap<Arc<str>, TopicEntity>,
    /// Points at which some node did not answer: Unix seconds, answered, listed.
    partial: VecDeque<(i64, usize, usize)>,
    marks: Marks,
    max_bytes: usize,
    bytes: usize,
    evictions: u64,
}

impl History {
    pub(crate) fn new(max_bytes: usize) -> Self {
        let axis = |capacity| Axis {
            capacity,
            ..Axis::default()
        };
        Self {
            axes: Axes(CAPACITY.map(axis)),
            cluster: Entity::new(CLUSTER),
            nodes: HashMap::new(),
            topics: HashMap::new(),
            partial: VecDeque::new(),
            marks: Marks::default(),
            max_bytes,
            bytes: 0,
            evictions: 0,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Adds a point to every series. Pictures that come within one second are one point.
    pub(crate) fn record(&mut self, snapshot: &Snapshot) {
        let now = snapshot.at;
        if self.axes.0[0].times.back().is_some_and(|last| *last >= now) {
            return;
        }
        self.marks.see(snapshot);
        self.fold(now);
        self.axes.0[0].push(now);
        let axes = &self.axes;
        self.cluster
            .push(|metric| cluster_value(snapshot, metric), now, axes);
        for node in &snapshot.nodes {
            let entity = self
                .nodes
                .entry(node.key.clone())
                .or_insert_with(|| Entity::new(NODE));
            let said = node.now();
            let (own, channels) = (said.map(|said| said.own), said.map(|said| said.channels));
            let value = |metric| match metric {
                Depth => said.map_or(f32::NAN, |said| level(said.depth())),
                In => own.map_or(f32::NAN, |own| own.rates.entered),
                Done => channels.map_or(f32::NAN, |channels| channels.rates.done),
                Clients => channels.map_or(f32::NAN, |channels| small(channels.clients)),
                _ => said.map_or(f32::NAN, |_| node.took.as_secs_f32()),
            };
            entity.push(value, now, axes);
        }
        for topic in &snapshot.topics {
            let entity = self
                .topics
                .entry(Arc::clone(&topic.name))
                .or_insert_with(|| TopicEntity {
                    own: Entity::new(TOPIC),
                    channels: HashMap::new(),
                });
            let is_known = topic.spread.answered > 0;
            let value = |metric| match metric {
                _ if !is_known => f32::NAN,
                Depth => level(topic.waiting()),
                In => topic.own.rates.entered,
                _ => topic.sum.rates.done,
            };
            entity.own.push(value, now, axes);
            for channel in &topic.channels {
                let known = entity
                    .channels
                    .entry(Arc::clone(&channel.name))
                    .or_insert_with(|| Entity::new(CHANNEL));
                let is_known = channel.spread.answered > 0;
                let value = |metric| {
                    if is_known {
                        channel_value(&channel.numbers, metric)
                    } else {
                        f32::NAN
                    }
                };
                known.push(value, now, axes);
            }
        }
        let spread = snapshot.spread();
        if spread.answered < spread.nodes {
            self.partial.push_back((now, spread.answered, spread.nodes));
            if self.partial.len() > CAPACITY[2] {
                self.partial.pop_front();
            }
        }
    }

    /// Ends the minute, and the ten minutes, that are over at `now`.
    fn fold(&mut self, now: i64) {
        for (level, length) in [(1, MINUTE), (2, TEN_MINUTES)] {
            let finer = &self.axes.0[level - 1];
            let Some(last) = finer.times.back().copied() else {
                return;
            };
            let began = last - last.rem_euclid(length);
            if now - now.rem_euclid(length) == began {
                return;
            }
            let (from, to) = (finer.index_of(began), finer.end());
            self.axes.0[level].push(began);
            let axes = &self.axes;
            let topics = self.topics.values_mut();
            let topics =
                topics.flat_map(|topic| std::iter::once(&mut topic.own).chain(topic.channels.values_mut()));
            let nodes = self.nodes.values_mut();
            for entity in std::iter::once(&mut self.cluster).chain(nodes).chain(topics) {
                for (_, series) in &mut entity.series {
                    series.fold(level, from, to, axes);
                }
            }
            if level == 1 {
                self.forget(now);
                self.shrink();
            }
        }
    }

    fn forget(&mut self, now: i64) {
        let is_fresh = |entity: &Entity| now.saturating_sub(entity.seen) < REMEMBERED;
        self.nodes.retain(|_, node| is_fresh(node));
        self.topics.retain(|_, topic| {
            topic.channels.retain(|_, channel| is_fresh(channel));
            is_fresh(&topic.own)
        });
    }

    /// Drops the coarsest resolutions of the least active channels while there is too much.
    fn shrink(&mut self) {
        let topics = self.topics.values();
        let topics: usize = topics
            .map(|topic| topic.own.bytes() + topic.channels.values().map(Entity::bytes).sum::<usize>())
            .sum();
        self.bytes = topics + self.cluster.bytes() + self.nodes.values().map(Entity::bytes).sum::<usize>();
        let enough = self.max_bytes / 10 * 9;
        if self.bytes <= enough {
            return;
        }
        let axes = &self.axes;
        let end = axes.0[0].end().saturating_sub(1);
        let mut channels: Vec<(f32, &mut Entity)> = self
            .topics
            .values_mut()
            .flat_map(|topic| topic.channels.values_mut())
            .map(|channel| {
                let speed = channel
                    .series
                    .iter()
                    .filter(|(metric, _)| matches!(metric, In | Done));
                let speed = speed
                    .map(|(_, series)| series.value(0, end, axes))
                    .filter(|speed| !speed.is_nan());
                (speed.sum(), channel)
            })
            .collect();
        channels.sort_by(|a, b| a.0.total_cmp(&b.0));
        for level in [2, 1, 0] {
            for (_, channel) in &mut channels {
                if self.bytes <= enough {
                    return;
                }
                let before = channel.bytes();
                for (_, series) in &mut channel.series {
                    series.drop_ring(level);
                }
                let freed = before.saturating_sub(channel.bytes());
                self.evictions += u64::from(freed > 0);
                self.bytes = self.bytes.saturating_sub(freed);
            }
        }
    }

    fn entity(&self, of: Of<'_>) -> Option<&Entity> {
        match of {
            Of::Cluster => Some(&self.cluster),
            Of::Node(key) => self.nodes.get(key),
            Of::Topic(name) => self.topics.get(name).map(|topic| &topic.own),
            Of::Channel(topic, name) => self.topics.get(topic)?.channels.get(name),
        }
    }

    /// Unix seconds at which it was there last; none if it was not within an hour.
    pub(crate) fn seen(&self, of: Of<'_>) -> Option<i64> {
        self.entity(of).map(|entity| entity.seen)
    }

    /// When some node did not answer since `from`: Unix seconds, answered, listed.
    pub(crate) fn partial(&self, from: i64) -> impl Iterator<Item = (i64, usize, usize)> {
        self.partial
            .iter()
            .copied()
            .filter(move |(time, ..)| *time >= from)
    }

    /// Something was done, at `now` in Unix seconds.
    pub(crate) fn mark(&mut self, now: i64, event: Event, place: Place) {
        self.marks.add(now, event, place);
    }

    /// What happened since `from`, oldest first.
    pub(crate) fn marks(&self, from: i64) -> impl Iterator<Item = &Mark> {
        self.marks.since(from)
    }

    /// The points of the last `seconds` before `now`, at most `max`.
    pub(crate) fn points(
        &self,
        of: Of<'_>,
        metric: Metric,
        seconds: i64,
        now: i64,
        max: usize,
    ) -> Vec<Point> {
        let series = self
            .entity(of)
            .and_then(|entity| entity.series.iter().find(|(own, _)| *own == metric));
        let Some((_, series)) = series else {
            return Vec::new();
        };
        let from = now.saturating_sub(seconds);
        // nearly the whole range is enough
        let enough = from.saturating_add(seconds / 20);
        let reaches = |axis: &Axis| axis.times.front().is_some_and(|first| *first <= enough);
        let level = (0..2)
            .find(|level| reaches(&self.axes.0[*level]))
            .unwrap_or_else(|| {
                // too short still for the whole range: the finest that has lost nothing yet
                (0..2).find(|level| self.axes.0[*level].first == 0).unwrap_or(2)
            });
        let mut points = Vec::new();
        // what is not folded yet comes from the finer ones
        let mut from = from;
        for level in (0..=level).rev() {
            let axis = &self.axes.0[level];
            let length = [0, MINUTE, TEN_MINUTES][level];
            for index in axis.index_of(from)..axis.end() {
                let Some(time) = axis.time(index) else { continue };
                points.push((time, series.value(level, index, &self.axes)));
                from = time.saturating_add(length.max(1));
            }
        }
        thin(&points, metric.fold(), max.min(MAX_POINTS))
    }

    /// The fine points of the last `seconds`; nothing if there is no history of that length.
    pub(crate) fn recent(&self, of: Of<'_>, metric: Metric, seconds: i64, now: i64) -> Vec<Point> {
        let axis = &self.axes.0[0];
        let from = now.saturating_sub(seconds);
        if axis.times.front().is_none_or(|first| *first > from) {
            return Vec::new();
        }
        let series = self
            .entity(of)
            .and_then(|entity| entity.series.iter().find(|(own, _)| *own == metric));
        let Some((_, series)) = series else {
            return Vec::new();
        };
        let range = axis.index_of(from)..axis.end();
        range
            .filter_map(|index| Some((axis.time(index)?, series.value(0, index, &self.axes))))
            .collect()
    }
}

/// So few points, each made of neighbours.
fn thin(points: &[Point], fold: Fold, max: usize) -> Vec<Point> {
    let size = points.len().div_ceil(max.max(1)).max(1);
    let parts = points.chunks(size);
    parts
        .filter_map(|part| Some((part.last()?.0, fold.of(part.iter().map(|(_, value)| *value)))))
        .collect()
}

#[allow(clippy::cast_precision_loss, reason = "seven digits are enough for a chart")]
fn level(value: i64) -> f32 {
    value as f32
}

#[allow(clippy::cast_precision_loss, reason = "seven digits are enough for a chart")]
fn small(value: u32) -> f32 {
    value as f32
}

fn channel_value(numbers: &Numbers, metric: Metric) -> f32 {
    match metric {
        Depth => level(numbers.depth),
        In => numbers.rates.entered,
        Done => numbers.rates.done,
        InFlight => small(numbers.in_flight),
        Deferred => small(numbers.deferred),
        Requeued => numbers.rates.requeued,
        TimedOut => numbers.rates.timed_out,
        Clients => small(numbers.clients),
        Dead => small(numbers.dead),
        Dropped => small(numbers.dropped),
        Nodes | Took => f32::NAN,
    }
}

fn cluster_value(snapshot: &Snapshot, metric: Metric) -> f32 {
    let spread = snapshot.spread();
    if metric == Nodes {
        return level(i64::try_from(spread.answered).unwrap_or(i64::MAX));
    }
    if spread.answered == 0 {
        return f32::NAN;
    }
    let (own, channels) = snapshot.totals();
    match metric {
        Depth => level(snapshot.work()),
        In => own.rates.entered,
        _ => channel_value(&channels, metric),
    }
}

#[cfg(test)]
mod tests;
