//! Messages that are not as old as their place in the queue says: they came back, or had to wait for their time.
//!
//! The others enter a channel in the order of their publish, so the oldest of them stands at a front. These stand anywhere, and
//! a deferred publish counts from the time when it was due: their times are kept in order here, from their return to their end
//! (extensions spec 3.6). One that overflows into the files is forgotten; read back, it counts from its publish.

use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Reference times of messages by id, in Unix ns.
#[derive(Debug, Default)]
pub struct Returned {
    times: FxHashMap<u64, i64>,
    order: BTreeSet<(i64, u64)>,
}

impl Returned {
    /// Notes one; a time that is known already stays.
    pub fn insert(&mut self, id: u64, time: i64) {
        if let std::collections::hash_map::Entry::Vacant(place) = self.times.entry(id) {
            place.insert(time);
            self.order.insert((time, id));
        }
    }

    /// Forgets one; its time.
    pub fn remove(&mut self, id: u64) -> Option<i64> {
        let time = self.times.remove(&id)?;
        self.order.remove(&(time, id));
        Some(time)
    }

    /// The smallest time.
    #[must_use]
    pub fn oldest(&self) -> Option<i64> {
        self.order.first().map(|(time, _)| *time)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_oldest_is_the_smallest_of_what_is_there(steps in prop::collection::vec((any::<bool>(), 0_u64..20, 0_i64..50), 1..80)) {
            let (mut returned, mut model) = (Returned::default(), std::collections::HashMap::new());
            for (insert, id, time) in steps {
                if insert {
                    returned.insert(id, time);
                    model.entry(id).or_insert(time);
                } else {
                    prop_assert_eq!(returned.remove(id), model.remove(&id));
                }
                prop_assert_eq!(returned.oldest(), model.values().min().copied());
            }
        }
    }
}
