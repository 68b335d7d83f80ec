//! One number over time: the last quarter of an hour in full, six hours by the minute, seven days by ten minutes. A number
//! that never changed is kept once.

use super::Axes;
use super::ring::Ring;

/// Points of each resolution.
pub(super) const CAPACITY: [usize; 3] = [180, 360, 1008];

/// How points become fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// Of speeds.
    Mean,
    /// Of levels.
    Max,
}

impl Fold {
    /// Of those that are known; not a number if none is.
    pub(crate) fn of(self, values: impl Iterator<Item = f32>) -> f32 {
        let (mut count, mut sum, mut max) = (0.0_f32, 0.0_f32, f32::NAN);
        for value in values.filter(|value| !value.is_nan()) {
            count += 1.0;
            sum += value;
            max = max.max(value);
        }
        match self {
            Self::Mean => sum / count,
            Self::Max => max,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Series {
    /// What it was from `since` on, until the first ring begins.
    value: f32,
    /// Unix seconds; none before the first point that is known.
    since: Option<i64>,
    /// Finest first; none while the value never changed. A ring that was dropped is none.
    rings: Option<Box<[Option<Ring>; 3]>>,
    fold: Fold,
}

impl Series {
    pub(super) fn new(fold: Fold) -> Self {
        Self {
            value: f32::NAN,
            since: None,
            rings: None,
            fold,
        }
    }

    /// The point of the newest place of the finest axis, which is at `now`.
    pub(super) fn push(&mut self, value: f32, now: i64, axes: &Axes) {
        if self.rings.is_none() {
            if self.since.is_none() {
                if !value.is_nan() {
                    (self.value, self.since) = (value, Some(now));
                }
                return;
            }
            if value.to_bits() == self.value.to_bits() {
                return;
            }
            let [fine, minute, ten] = &axes.0;
            self.rings = Some(Box::new([
                Some(Ring::new(fine.end().saturating_sub(1), CAPACITY[0])),
                Some(Ring::new(minute.end(), CAPACITY[1])),
                Some(Ring::new(ten.end(), CAPACITY[2])),
            ]));
        }
        if let Some(rings) = &mut self.rings
            && let [Some(fine), ..] = &mut **rings
        {
            fine.push(value);
        }
    }

    /// Adds the point of the newest place of axis `level`, made of the points `from..` of the next finer one.
    pub(super) fn fold(&mut self, level: usize, from: u64, to: u64, axes: &Axes) {
        if self.rings.is_none() {
            return;
        }
        let value = self
            .fold
            .of((from..to).map(|index| self.value(level - 1, index, axes)));
        let ring = self
            .rings
            .as_mut()
            .and_then(|rings| rings.get_mut(level)?.as_mut());
        if let Some(ring) = ring {
            ring.push(value);
        }
    }

    /// The point of a place; not a number where nothing is known.
    pub(super) fn value(&self, level: usize, index: u64, axes: &Axes) -> f32 {
        let before = || {
            let time = axes.0.get(level).and_then(|axis| axis.time(index));
            match (time, self.since) {
                (Some(time), Some(since)) if time >= since => self.value,
                _ => f32::NAN,
            }
        };
        let Some(rings) = &self.rings else { return before() };
        match rings.get(level) {
            Some(Some(ring)) if ring.has_all() && index < ring.first() => before(),
            Some(Some(ring)) => ring.value(index),
            _ => f32::NAN,
        }
    }

    /// Forgets a resolution.
    pub(super) fn drop_ring(&mut self, level: usize) {
        if let Some(place) = self.rings.as_mut().and_then(|rings| rings.get_mut(level)) {
            *place = None;
        }
    }

    /// Beyond its own size.
    pub(super) fn bytes(&self) -> usize {
        let rings = self.rings.as_ref();
        rings.map_or(0, |rings| {
            size_of::<[Option<Ring>; 3]>() + rings.iter().flatten().map(Ring::bytes).sum::<usize>()
        })
    }
}
