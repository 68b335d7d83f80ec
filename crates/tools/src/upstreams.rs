//! Where messages go on to: which of several takes the next one, and lines about how long they take (tools spec 6.1 and 6.2).

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::log;
use crate::meter::Meter;
use crate::pool::{Mode, Pool};

/// Values of `-status-every` above this one mean this one: so many times are remembered.
const LONGEST_ROUND: i64 = 1 << 20;

/// Upstreams by their number.
#[derive(Debug)]
pub(crate) struct Upstreams {
    start: Instant,
    pool: Pool,
    chance: Chance,
    all: Meter,
    /// None if there is one upstream: it is the aggregate.
    each: Vec<Meter>,
}

impl Upstreams {
    /// All of them live. `every` is `-status-every`, about whose value a line may be written.
    pub(crate) fn new(mode: Mode, names: &[String], every: i64) -> Self {
        let every = usize::try_from(every.min(LONGEST_ROUND)).unwrap_or(0);
        let named = |name: &String| Meter::new(name, every);
        let each: Vec<Meter> = match names.len() {
            1 => Vec::new(),
            _ => names.iter().map(named).collect(),
        };
        let all = Meter::new("aggregate", every);
        for warning in each.iter().chain([&all]).filter_map(Meter::warning) {
            log::line(&warning);
        }
        Self {
            start: Instant::now(),
            pool: Pool::new(mode, names.len()),
            chance: Chance::default(),
            all,
            each,
        }
    }

    /// The one that takes the next message.
    pub(crate) fn choose(&mut self) -> usize {
        let chance = &mut self.chance;
        self.pool.choose(self.start.elapsed(), || chance.next())
    }

    /// It took a message.
    pub(crate) fn succeeded(&mut self, index: usize, took: Duration) {
        self.pool.succeeded(index, self.start.elapsed(), took);
    }

    /// It did not.
    pub(crate) fn failed(&mut self, index: usize) {
        self.pool.failed(index, self.start.elapsed());
    }

    /// Counts an answer of one of them, at times with a line.
    pub(crate) fn count(&mut self, index: usize, took: Duration) {
        let line = self.each.get_mut(index).and_then(|meter| meter.add(took));
        line.iter().for_each(|line| log::line(line));
    }

    /// Counts a message, at times with a line.
    pub(crate) fn count_message(&mut self, took: Duration) {
        self.all.add(took).iter().for_each(|line| log::line(line));
    }
}

/// Random numbers without a generator: hashes of a counter with random keys.
#[derive(Debug, Default)]
pub(crate) struct Chance {
    random: RandomState,
    draws: u64,
}

impl Chance {
    /// From 0 to 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.draws = self.draws.wrapping_add(1);
        f64::from((self.random.hash_one(self.draws) >> 32) as u32) / f64::from(u32::MAX)
    }
}
