//! How many topics and channels may have metrics of their own, and which of them have.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Places for series, of topics or of channels.
#[derive(Debug)]
pub struct Places {
    /// 0 for no bound.
    most: usize,
    taken: AtomicUsize,
}

impl Places {
    /// All of them are free; 0 is no bound.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            taken: AtomicUsize::new(0),
        })
    }

    /// A place, if one is free. It is free again when it is dropped.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        let one_more = |taken| (self.most == 0 || taken < self.most).then_some(taken + 1);
        let taken = self.taken.fetch_update(Relaxed, Relaxed, one_more);
        taken.is_ok().then(|| Place(self.clone()))
    }
}

/// A place for series of its own.
#[derive(Debug)]
pub struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Relaxed);
    }
}

/// The place of one topic or channel, while it has one.
#[derive(Debug, Default)]
pub struct OwnSeries(Mutex<Option<Place>>);

impl OwnSeries {
    /// What it was given.
    #[must_use]
    pub const fn new(place: Option<Place>) -> Self {
        Self(Mutex::new(place))
    }

    /// Whether it has one.
    pub(crate) fn is_there(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Gives it up.
    pub(crate) fn free(&self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_holder_goes() {
        let places = Places::new(2);
        let (a, b) = (places.take(), places.take());
        assert!(a.is_some() && b.is_some() && places.take().is_none());
        drop(a);
        assert!(places.take().is_some());
        let unbounded = Places::new(0);
        let many: Vec<_> = (0..1000).map_while(|_| unbounded.take()).collect();
        assert_eq!(many.len(), 1000);
    }
}
