//! A hierarchical timer wheel: four levels of 256 slots and a tick of one millisecond.
//!
//! An insert costs a few list operations whatever the number of entries; an entry is never early, because its due
//! time is rounded up to the tick. Entries beyond the last level (49 days) wait in its farthest slot and are sorted in again
//! from there. Pure: time is an argument. Why not a crate: ADR 1 holds the numbers.

const SLOT_BITS: u32 = 8;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 4;
const NIL: u32 = u32::MAX;
/// Nanoseconds of a tick.
const TICK: u64 = 1_000_000;

#[derive(Debug)]
struct Node<T> {
    due: u64,
    value: Option<T>,
    next: u32,
}

/// Entries with a due time. Times are nanoseconds of one monotonic clock.
#[derive(Debug)]
pub struct Wheel<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    heads: Vec<u32>,
    occupied: [[u64; SLOTS / 64]; LEVELS],
    /// The tick up to which everything has expired.
    now: u64,
    len: usize,
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            free: NIL,
            heads: vec![NIL; SLOTS * LEVELS],
            occupied: [[0; SLOTS / 64]; LEVELS],
            now: 0,
            len: 0,
        }
    }
}

impl<T> Wheel<T> {
    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an entry that expires at `due` ns or up to a millisecond later.
    pub fn insert(&mut self, due: u64, value: T) {
        let node = Node {
            due: due.div_ceil(TICK),
            value: Some(value),
            next: NIL,
        };
        let index = self.free;
        let index = if let Some(free) = self.nodes.get_mut(index as usize) {
            self.free = free.next;
            *free = node;
            index
        } else {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).unwrap_or(NIL)
        };
        self.len += 1;
        self.link(index);
    }

    /// Takes out every entry that is due at `now` ns, with its due time, in no particular order within a millisecond.
    pub fn expire(&mut self, now: u64, expired: &mut impl FnMut(u64, T)) {
        let target = now / TICK;
        while self.now < target {
            let Some(next) = self.next_tick() else {
                self.now = target;
                return;
            };
            if next > target {
                // Slots of higher levels whose span begins before `target` are opened on the way.
                self.now = target;
                return;
            }
            self.now = next;
            self.open_slots(expired);
        }
    }

    /// When [`Self::expire`] has something to do next, in ns; it may find then that it only sorts entries in again.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.next_tick().map(|t| t * TICK)
    }

    /// Takes out every entry that the predicate selects. Walks all entries.
    pub fn extract(&mut self, selected: impl Fn(&T) -> bool, out: &mut impl FnMut(u64, T)) {
        for at in 0..self.heads.len() {
            let mut index = self.empty_slot(at);
            while index != NIL {
                let node = &self.nodes[index as usize];
                let (next, due) = (node.next, node.due);
                if node.value.as_ref().is_none_or(&selected) {
                    if let Some(value) = self.release(index) {
                        out(due * TICK, value);
                    }
                } else {
                    self.put(at, index);
                }
                index = next;
            }
        }
    }

    /// Shows every entry with its due time in ns, in no particular order.
    pub fn for_each(&self, each: &mut impl FnMut(u64, &T)) {
        for node in &self.nodes {
            if let Some(value) = &node.value {
                each(node.due * TICK, value);
            }
        }
    }

    /// The level and slot where an entry due at tick `due` belongs, seen from `self.now`.
    fn place(&self, due: u64) -> usize {
        // Due now or before means the next tick: the current one has been emptied.
        let due = due.max(self.now + 1);
        let differs = 63 - (due ^ self.now).leading_zeros();
        let level = ((differs / SLOT_BITS) as usize).min(LEVELS - 1);
        let shift = SLOT_BITS * u32::try_from(level).unwrap_or(0);
        // Beyond the last level: the last of its slots to come round, from where it is sorted in again.
        let slot = (due >> shift).min((self.now >> shift) + SLOTS as u64 - 1);
        level * SLOTS + (slot as usize & (SLOTS - 1))
    }

    fn link(&mut self, index: u32) {
        self.put(self.place(self.nodes[index as usize].due), index);
    }

    fn put(&mut self, at: usize, index: u32) {
        self.nodes[index as usize].next = std::mem::replace(&mut self.heads[at], index);
        self.occupied[at / SLOTS][at % SLOTS / 64] |= 1 << (at % 64);
    }

    /// Takes the list of a slot off it; its first entry.
    fn empty_slot(&mut self, at: usize) -> u32 {
        self.occupied[at / SLOTS][at % SLOTS / 64] &= !(1 << (at % 64));
        std::mem::replace(&mut self.heads[at], NIL)
    }

    fn release(&mut self, index: u32) -> Option<T> {
        let node = &mut self.nodes[index as usize];
        node.next = self.free;
        self.free = index;
        self.len -= 1;
        let value = node.value.take();
        if self.len == 0 {
            // Memory of a past burst is given back once it is over.
            self.nodes.clear();
            self.nodes.shrink_to(64);
            self.free = NIL;
        }
        value
    }

    /// The next tick at which some slot is to be opened.
    fn next_tick(&self) -> Option<u64> {
        (0..LEVELS)
            .filter_map(|level| {
                let shift = SLOT_BITS * u32::try_from(level).ok()?;
                let position = self.now >> shift;
                let distance = self.distance(level, position as usize & (SLOTS - 1))?;
                Some((position + distance) << shift)
            })
            .min()
    }

    /// How many slots after `from` the next occupied one of a level is, 1 to 256.
    fn distance(&self, level: usize, from: usize) -> Option<u64> {
        let words = &self.occupied[level];
        let start = (from + 1) % SLOTS;
        for step in 0..=words.len() {
            let word = (start / 64 + step) % words.len();
            let mut bits = words[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == words.len() {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                return Some(((slot + SLOTS - start) % SLOTS + 1) as u64);
            }
        }
        None
    }

    /// Opens the slots that begin at the current tick: higher levels are sorted in again, the lowest expires.
    fn open_slots(&mut self, expired: &mut impl FnMut(u64, T)) {
        for level in (0..LEVELS).rev() {
            let shift = SLOT_BITS * u32::try_from(level).unwrap_or(0);
            if level > 0 && self.now & ((1 << shift) - 1) != 0 {
                continue;
            }
            let at = level * SLOTS + ((self.now >> shift) as usize & (SLOTS - 1));
            let mut index = self.empty_slot(at);
            while index != NIL {
                let next = self.nodes[index as usize].next;
                let due = self.nodes[index as usize].due;
                if due <= self.now {
                    if let Some(value) = self.release(index) {
                        expired(due * TICK, value);
                    }
                } else {
                    self.link(index);
                }
                index = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Action {
        Insert(u64),
        Extract(u64),
        Advance(u64),
    }

    fn actions() -> impl Strategy<Value = Vec<Action>> {
        let span = prop_oneof![
            0u64..3,
            0u64..300,
            0u64..70_000,
            0u64..20_000_000,
            0u64..9_000_000_000
        ];
        let action = prop_oneof![
            span.clone().prop_map(Action::Insert),
            (1u64..4).prop_map(Action::Extract),
            span.prop_map(Action::Advance),
        ];
        prop::collection::vec(action, 1..120)
    }

    proptest! {
        /// Against a sorted map: nothing early, nothing late by a tick, nothing lost, extract takes exactly what it should.
        #[test]
        fn expires_exactly_what_is_due(actions in actions()) {
            let (mut wheel, mut now) = (Wheel::default(), 0u64);
            let mut model: BTreeMap<u64, u64> = BTreeMap::new();
            for (n, action) in (0u64..).zip(actions) {
                match action {
                    Action::Insert(after) => {
                        let due = now + after;
                        wheel.insert(due * TICK, n);
                        model.insert(n, due.max(now + 1));
                    }
                    Action::Extract(every) => {
                        let mut taken = Vec::new();
                        wheel.extract(|n| n % every == 0, &mut |_, n| taken.push(n));
                        taken.sort_unstable();
                        let selected: Vec<_> = model.keys().copied().filter(|n| n % every == 0).collect();
                        prop_assert_eq!(taken, selected);
                        model.retain(|n, _| n % every != 0);
                    }
                    Action::Advance(by) => {
                        now += by;
                        let mut seen = Vec::new();
                        wheel.expire(now * TICK, &mut |_, v| seen.push(v));
                        seen.sort_unstable();
                        let due: Vec<_> = model.iter().filter(|(_, d)| **d <= now).map(|(&v, _)| v).collect();
                        prop_assert_eq!(&seen, &due);
                        model.retain(|_, d| *d > now);
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                let first = model.values().copied().min();
                prop_assert!(wheel.next_due().is_some() == first.is_some());
                prop_assert!(wheel.next_due().zip(first).is_none_or(|(next, first)| next <= first * TICK && next > now * TICK));
            }
        }
    }

    #[test]
    fn extract_takes_what_is_selected() {
        let mut wheel = Wheel::default();
        for n in 0..100u64 {
            wheel.insert(n * 7 * TICK, n);
        }
        let mut odd = Vec::new();
        wheel.extract(|n| n % 2 == 1, &mut |due, n| odd.push((due, n)));
        assert_eq!((wheel.len(), odd.len()), (50, 50));
        assert!(odd.iter().all(|(due, n)| *due == n * 7 * TICK));
    }

    /// A deferred message of 100 bytes: this node, and 128 bytes of the allocator for what is packed.
    #[test]
    fn a_message_that_waits_takes_few_bytes() {
        assert_eq!(size_of::<Node<crate::timers::Timer>>(), 56);
    }
}
