//! Points in the order of their index, the oldest forgotten; equal neighbours cost next to nothing.

use std::collections::VecDeque;

/// Points that are kept and dropped together.
const CHUNK: usize = 60;

#[derive(Clone, Debug)]
enum Chunk {
    /// So many equal points.
    Flat(f32, usize),
    Full(Box<[f32; CHUNK]>, usize),
}

impl Chunk {
    fn len(&self) -> usize {
        match self {
            Self::Flat(_, len) | Self::Full(_, len) => *len,
        }
    }

    fn value(&self, at: usize) -> f32 {
        match self {
            Self::Flat(value, len) if at < *len => *value,
            Self::Full(values, len) if at < *len => values.get(at).copied().unwrap_or(f32::NAN),
            _ => f32::NAN,
        }
    }

    fn push(&mut self, value: f32) {
        match self {
            Self::Flat(own, len) if own.to_bits() == value.to_bits() => *len += 1,
            Self::Flat(own, len) => {
                let mut values = Box::new([*own; CHUNK]);
                if let Some(place) = values.get_mut(*len) {
                    *place = value;
                }
                *self = Self::Full(values, *len + 1);
            }
            Self::Full(values, len) => {
                if let Some(place) = values.get_mut(*len) {
                    *place = value;
                }
                *len += 1;
            }
        }
    }
}

/// The newest points of a series.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// Index of the first point.
    first: u64,
    chunks: VecDeque<Chunk>,
    capacity: usize,
    has_forgotten: bool,
}

impl Ring {
    /// An empty one, whose first point will have the index `first`.
    pub(super) fn new(first: u64, capacity: usize) -> Self {
        Self {
            first,
            chunks: VecDeque::new(),
            capacity,
            has_forgotten: false,
        }
    }

    pub(super) fn push(&mut self, value: f32) {
        match self.chunks.back_mut() {
            Some(last) if last.len() < CHUNK => last.push(value),
            _ => {
                self.chunks.push_back(Chunk::Flat(value, 1));
                if self.chunks.len() > self.capacity.div_ceil(CHUNK) + 1 {
                    self.chunks.pop_front();
                    self.first += CHUNK as u64;
                    self.has_forgotten = true;
                }
            }
        }
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Nothing was forgotten yet.
    pub(super) fn has_all(&self) -> bool {
        !self.has_forgotten
    }

    /// Not a number if there is none.
    pub(super) fn value(&self, index: u64) -> f32 {
        let Some(at) = index
            .checked_sub(self.first)
            .and_then(|at| usize::try_from(at).ok())
        else {
            return f32::NAN;
        };
        self.chunks
            .get(at / CHUNK)
            .map_or(f32::NAN, |chunk| chunk.value(at % CHUNK))
    }

    pub(super) fn bytes(&self) -> usize {
        let full = self
            .chunks
            .iter()
            .filter(|chunk| matches!(chunk, Chunk::Full(..)))
            .count();
        self.chunks.capacity() * size_of::<Chunk>() + full * CHUNK * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_points_are_kept_and_equal_ones_cost_nothing() {
        let mut ring = Ring::new(10, 180);
        let mut flat = Ring::new(0, 180);
        for index in 10..1_000_u16 {
            ring.push(f32::from(index));
            flat.push(7.0);
        }
        assert_eq!((ring.value(999), ring.value(820)), (999.0, 820.0));
        assert!(ring.value(700).is_nan() && ring.value(1_000).is_nan());
        assert!(
            flat.bytes() * 4 < ring.bytes(),
            "{} {}",
            flat.bytes(),
            ring.bytes()
        );
    }

    #[test]
    fn a_gap_is_a_point_of_its_own() {
        let mut ring = Ring::new(0, 180);
        for value in [1.0, f32::NAN, f32::NAN, 2.0] {
            ring.push(value);
        }
        assert!(ring.value(1).is_nan() && ring.value(2).is_nan());
        assert_eq!((ring.value(0), ring.value(3)), (1.0, 2.0));
    }
}
