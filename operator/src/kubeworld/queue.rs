//! When a cluster gets its next pass. Pure: time comes in as a value.
//!
//! kube's own scheduler moves a pass on with every further trigger, so a cluster that never rests would never get one, and it
//! does not say how much is waiting; both matter here. Source: operator spec 5.4.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

/// A moment, as time since some start.
pub(super) type Moment = Duration;

/// Keys that wait for a pass, at most one pass per key at a time.
#[derive(Debug)]
pub(super) struct Queue<K> {
    debounce: Duration,
    entries: HashMap<K, Entry>,
    due: BTreeSet<(Moment, K)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// When the next pass is due; none while none is planned.
    at: Option<Moment>,
    running: bool,
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// A queue in which a trigger waits `debounce` for others to join it.
    #[must_use]
    pub(super) fn new(debounce: Duration) -> Self {
        Self {
            debounce,
            entries: HashMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Something about `key` changed.
    pub(super) fn trigger(&mut self, key: &K, now: Moment) {
        self.plan(key, now + self.debounce);
    }

    /// A pass of `key` should happen at the latest at `at`.
    fn plan(&mut self, key: &K, at: Moment) {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.at.is_some_and(|planned| planned <= at) {
            return;
        }
        if let Some(later) = entry.at.replace(at) {
            self.due.remove(&(later, key.clone()));
        }
        if !entry.running {
            self.due.insert((at, key.clone()));
        }
    }

    /// The key whose pass is longest due; it runs until [`done`](Self::done).
    pub(super) fn take(&mut self, now: Moment) -> Option<K> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        let entry = self.entries.entry(key.clone()).or_default();
        *entry = Entry {
            at: None,
            running: true,
        };
        Some(key)
    }

    /// The pass of `key` ended; the next follows after `wait`, or earlier if something was triggered meanwhile.
    pub(super) fn done(&mut self, key: &K, now: Moment, wait: Duration) {
        let entry = self.entries.entry(key.clone()).or_default();
        entry.running = false;
        if let Some(at) = entry.at {
            self.due.insert((at, key.clone()));
        }
        self.plan(key, now + wait);
    }

    /// The pass of `key` ended and there is nothing left to do for it until it is triggered.
    pub(super) fn forget(&mut self, key: &K) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.running = false;
        match entry.at {
            Some(at) => {
                self.due.insert((at, key.clone()));
            }
            None => {
                self.entries.remove(key);
            }
        }
    }

    /// When the next pass is due.
    #[must_use]
    pub(super) fn next_at(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Keys whose pass is due by `now` and does not run.
    #[must_use]
    pub(super) fn depth(&self, now: Moment) -> usize {
        self.due.iter().take_while(|(at, _)| *at <= now).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBOUNCE: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Moment {
        Duration::from_millis(ms)
    }

    #[test]
    fn twenty_changes_in_a_second_are_at_most_three_passes() {
        let mut queue = Queue::new(DEBOUNCE);
        let mut passes = 0;
        for at in 0..40 {
            let now = ms(at * 50);
            if at < 20 {
                queue.trigger(&"c", now);
            }
            if queue.take(now).is_some() {
                passes += 1;
                queue.done(&"c", now, ms(300_000));
            }
        }
        assert!((1..=3).contains(&passes), "{passes}");
    }

    #[test]
    fn a_cluster_that_never_rests_gets_its_passes() {
        let mut queue = Queue::new(DEBOUNCE);
        let mut passes = 0;
        for at in 0..100 {
            queue.trigger(&"c", ms(at * 100));
            if queue.take(ms(at * 100)).is_some() {
                passes += 1;
                queue.done(&"c", ms(at * 100), ms(300_000));
            }
        }
        assert!(passes >= 8, "{passes}");
    }

    #[test]
    fn a_key_runs_once_at_a_time_and_what_came_meanwhile_is_not_lost() {
        let mut queue = Queue::new(DEBOUNCE);
        queue.trigger(&"c", ms(0));
        assert_eq!(queue.take(ms(999)), None);
        assert_eq!(queue.take(ms(1000)), Some("c"));
        queue.trigger(&"c", ms(1100));
        assert_eq!(queue.take(ms(5000)), None);
        queue.done(&"c", ms(5000), ms(300_000));
        assert_eq!(queue.depth(ms(5000)), 1);
        assert_eq!(queue.take(ms(5000)), Some("c"));
        queue.done(&"c", ms(5100), ms(2000));
        assert_eq!(queue.next_at(), Some(ms(7100)));
    }

    #[test]
    fn a_forgotten_key_comes_back_when_triggered() {
        let mut queue = Queue::new(DEBOUNCE);
        queue.trigger(&"c", ms(0));
        assert_eq!(queue.take(ms(1000)), Some("c"));
        queue.forget(&"c");
        assert_eq!(queue.next_at(), None);
        queue.trigger(&"c", ms(2000));
        assert_eq!(queue.take(ms(3000)), Some("c"));
    }
}
