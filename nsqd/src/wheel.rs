//! A hierarchical timer wheel: four levels of 256 slots and a tick of one millisecond.
//!
//! Insert and cancel cost a few list operations whatever the number of entries; an entry is never early, because its due
//! time is rounded up to the tick. Entries beyond the last level (49 days) wait in its farthest slot and are sorted in again
//! from there. Pure: time is an argument. Why not a crate: ADR 1 holds the numbers.

const SLOT_BITS: u32 = 8;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 4;
const NIL: u32 = u32::MAX;
/// Nanoseconds of a tick.
const TICK: u64 = 1_000_000;

/// Names an entry until it expires or is cancelled; of no use after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Node<T> {
    due: u64,
    value: Option<T>,
    next: u32,
    prev: u32,
    slot: u16,
    generation: u32,
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
    /// Given to the next entry, so that a key of a past one never names it, also after the nodes were given back.
    next_generation: u32,
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
            next_generation: 0,
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
    pub fn insert(&mut self, due: u64, value: T) -> Key {
        let due = due.div_ceil(TICK);
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let index = if self.free == NIL {
            let index = u32::try_from(self.nodes.len()).unwrap_or(NIL);
            self.nodes.push(Node {
                due,
                value: Some(value),
                next: NIL,
                prev: NIL,
                slot: 0,
                generation,
            });
            index
        } else {
            let index = self.free;
            let node = &mut self.nodes[index as usize];
            self.free = node.next;
            node.due = due;
            node.value = Some(value);
            node.generation = generation;
            index
        };
        self.len += 1;
        self.link(index);
        Key { index, generation }
    }

    /// Takes an entry out; `None` when it expired or was cancelled before.
    pub fn cancel(&mut self, key: Key) -> Option<T> {
        let node = self.nodes.get(key.index as usize)?;
        if node.generation != key.generation || node.value.is_none() {
            return None;
        }
        self.unlink(key.index);
        self.release(key.index)
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
        let mut index = 0;
        // The nodes go with the last entry, so their number is asked each time.
        while let Some(node) = self.nodes.get(index) {
            let here = index;
            index += 1;
            if node.value.as_ref().is_some_and(&selected) {
                let due = node.due * TICK;
                let here = u32::try_from(here).unwrap_or(NIL);
                self.unlink(here);
                if let Some(value) = self.release(here) {
                    out(due, value);
                }
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
        let at = self.place(self.nodes[index as usize].due);
        let head = self.heads[at];
        let node = &mut self.nodes[index as usize];
        node.slot = u16::try_from(at).unwrap_or(0);
        node.prev = NIL;
        node.next = head;
        if head != NIL {
            self.nodes[head as usize].prev = index;
        }
        self.heads[at] = index;
        self.occupied[at / SLOTS][at % SLOTS / 64] |= 1 << (at % 64);
    }

    fn unlink(&mut self, index: u32) {
        let node = &self.nodes[index as usize];
        let (prev, next, at) = (node.prev, node.next, usize::from(node.slot));
        if next != NIL {
            self.nodes[next as usize].prev = prev;
        }
        if prev != NIL {
            self.nodes[prev as usize].next = next;
            return;
        }
        self.heads[at] = next;
        if next == NIL {
            self.occupied[at / SLOTS][at % SLOTS / 64] &= !(1 << (at % 64));
        }
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
            let mut index = std::mem::replace(&mut self.heads[at], NIL);
            self.occupied[at / SLOTS][at % SLOTS / 64] &= !(1 << (at % 64));
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
        Cancel(usize),
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
            any::<usize>().prop_map(Action::Cancel),
            span.prop_map(Action::Advance),
        ];
        prop::collection::vec(action, 1..120)
    }

    proptest! {
        /// Against a sorted map: nothing early, nothing late by a tick, nothing lost, cancel takes exactly its entry.
        #[test]
        fn expires_exactly_what_is_due(actions in actions()) {
            let (mut wheel, mut now) = (Wheel::default(), 0u64);
            let mut model: BTreeMap<u64, (u64, Key)> = BTreeMap::new();
            for (n, action) in (0u64..).zip(actions) {
                match action {
                    Action::Insert(after) => {
                        let due = now + after;
                        let key = wheel.insert(due * TICK, n);
                        model.insert(n, (due.max(now + 1), key));
                    }
                    Action::Cancel(i) => {
                        if let Some((&id, &(_, key))) = model.iter().nth(i % model.len().max(1)) {
                            prop_assert_eq!(wheel.cancel(key), Some(id));
                            prop_assert_eq!(wheel.cancel(key), None);
                            model.remove(&id);
                        }
                    }
                    Action::Advance(by) => {
                        now += by;
                        let mut seen = Vec::new();
                        wheel.expire(now * TICK, &mut |_, v| seen.push(v));
                        seen.sort_unstable();
                        let due: Vec<_> = model.iter().filter(|(_, (d, _))| *d <= now).map(|(&v, _)| v).collect();
                        prop_assert_eq!(&seen, &due);
                        model.retain(|_, (d, _)| *d > now);
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                let first = model.values().map(|(d, _)| *d).min();
                prop_assert!(wheel.next_due().is_some() == first.is_some());
                prop_assert!(wheel.next_due().zip(first).is_none_or(|(next, first)| next <= first * TICK && next > now * TICK));
            }
        }
    }

    #[test]
    fn extract_may_take_the_last_entry_in_the_middle_of_the_walk() {
        let mut wheel = Wheel::default();
        let keys: Vec<Key> = (0..10u64).map(|n| wheel.insert(n * TICK, n)).collect();
        for key in &keys[5..] {
            wheel.cancel(*key);
        }
        let mut all = Vec::new();
        wheel.extract(|_| true, &mut |_, n| all.push(n));
        assert_eq!((wheel.len(), all), (0, vec![0, 1, 2, 3, 4]));
    }

    #[test]
    fn a_key_of_the_past_names_no_entry_of_today() {
        let mut wheel = Wheel::default();
        let past = wheel.insert(5 * TICK, 1);
        assert_eq!(wheel.cancel(past), Some(1));
        let today = wheel.insert(5 * TICK, 2);
        assert_eq!(wheel.cancel(past), None);
        assert_eq!(wheel.cancel(today), Some(2));
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
}
