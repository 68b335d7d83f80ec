//! Which destination takes the next message (tools spec 6.1). Pure but for the chance of `epsilon-greedy`, which is given.

use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
const FIRST_EPSILON: f64 = 0.3;
const EPSILON_DECAY: f64 = 0.9;
const LAST_EPSILON: f64 = 0.01;
/// Answers are remembered in ten parts of five minutes.
const PART: Duration = Duration::from_secs(30);
const PARTS: usize = 10;

/// `-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One after the other.
    RoundRobin,
    /// One after the other of those that live.
    HostPool,
    /// The fast ones of those that live more often.
    EpsilonGreedy,
}

impl Mode {
    /// Reads its name.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "round-robin" => Self::RoundRobin,
            "hostpool" => Self::HostPool,
            "epsilon-greedy" => Self::EpsilonGreedy,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug, Default)]
struct Host {
    /// Dead until then, and how long the last pause was.
    dead: Option<(Duration, Duration)>,
    /// Number of the part, answers and milliseconds in it.
    parts: Vec<(u64, f64, f64)>,
}

/// The destinations by their number.
#[derive(Debug)]
pub(crate) struct Pool {
    mode: Mode,
    hosts: Vec<Host>,
    next: usize,
    epsilon: f64,
}

impl Pool {
    /// All of them live.
    #[must_use]
    pub(crate) fn new(mode: Mode, count: usize) -> Self {
        Self {
            mode,
            hosts: vec![Host::default(); count.max(1)],
            next: 0,
            epsilon: FIRST_EPSILON,
        }
    }

    /// The number of the one to use. `chance` gives numbers from 0 to 1.
    pub(crate) fn choose(&mut self, now: Duration, mut chance: impl FnMut() -> f64) -> usize {
        if self.mode == Mode::RoundRobin {
            // The second comes first.
            self.next = (self.next + 1) % self.hosts.len();
            return self.next;
        }
        if self.mode == Mode::EpsilonGreedy {
            if chance() >= self.epsilon {
                if let Some(fast) = self.fast(now, chance()) {
                    return fast;
                }
            } else {
                self.epsilon = (self.epsilon * EPSILON_DECAY).max(LAST_EPSILON);
            }
        }
        for step in 0..self.hosts.len() {
            let index = (self.next + step) % self.hosts.len();
            if self.hosts[index].try_now(now) {
                self.next = (index + 1) % self.hosts.len();
                return index;
            }
        }
        for host in &mut self.hosts {
            host.dead = None;
        }
        self.next = 1 % self.hosts.len();
        0
    }

    /// One of those that live and have answered, the more often the faster it is.
    fn fast(&self, now: Duration, chance: f64) -> Option<usize> {
        let weights: Vec<(usize, f64)> = (0..self.hosts.len())
            .filter(|&index| self.hosts[index].dead.is_none())
            .filter_map(|index| Some((index, 1.0 / self.hosts[index].average(now)?)))
            .collect();
        let mut left = chance * weights.iter().map(|(_, weight)| weight).sum::<f64>();
        for (index, weight) in &weights {
            left -= weight;
            if left <= 0.0 {
                return Some(*index);
            }
        }
        weights.last().map(|(index, _)| *index)
    }

    /// It took a message, in that time.
    pub(crate) fn succeeded(&mut self, index: usize, now: Duration, took: Duration) {
        let host = &mut self.hosts[index];
        host.dead = None;
        let part = part_of(now);
        let millis = (took.as_secs_f64() * 1000.0).max(0.001);
        match host.parts.last_mut().filter(|last| last.0 == part) {
            Some((_, count, sum)) => (*count, *sum) = (*count + 1.0, *sum + millis),
            None => host.parts.push((part, 1.0, millis)),
        }
        if host.parts.len() > PARTS {
            host.parts.remove(0);
        }
    }

    /// It did not.
    pub(crate) fn failed(&mut self, index: usize, now: Duration) {
        let host = &mut self.hosts[index];
        if host.dead.is_none() {
            host.dead = Some((now + FIRST_PAUSE, FIRST_PAUSE));
        }
    }
}

impl Host {
    /// It lives, or its pause is over: then one message tries, and the next pause is twice as long.
    fn try_now(&mut self, now: Duration) -> bool {
        match &mut self.dead {
            None => true,
            Some((until, _)) if *until > now => false,
            Some((until, pause)) => {
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                *until = now + *pause;
                true
            }
        }
    }

    /// Milliseconds of an answer in the last five minutes.
    fn average(&self, now: Duration) -> Option<f64> {
        let oldest = part_of(now).saturating_sub(PARTS as u64 - 1);
        let fresh = self.parts.iter().filter(|(part, _, _)| *part >= oldest);
        let (count, sum) = fresh.fold((0.0, 0.0), |(c, s), (_, count, sum)| (c + count, s + sum));
        (count > 0.0).then(|| sum / count)
    }
}

fn part_of(now: Duration) -> u64 {
    now.as_secs() / PART.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn round_robin_starts_with_the_second() {
        let mut pool = Pool::new(Mode::RoundRobin, 3);
        pool.failed(1, s(0));
        let chosen: Vec<usize> = (0..5).map(|_| pool.choose(s(0), || 0.0)).collect();
        assert_eq!(chosen, [1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_dead_host_is_tried_after_growing_pauses() {
        let mut pool = Pool::new(Mode::HostPool, 2);
        pool.failed(0, s(0));
        let mut at = |seconds| [pool.choose(s(seconds), || 0.0), pool.choose(s(seconds), || 0.0)];
        assert_eq!(at(29), [1, 1]);
        assert_eq!(at(30), [0, 1]);
        assert_eq!(at(89), [1, 1]);
        assert_eq!(at(90), [0, 1]);
        pool.succeeded(0, s(91), s(1));
        assert_eq!([pool.choose(s(91), || 0.0), pool.choose(s(91), || 0.0)], [0, 1]);
    }

    #[test]
    fn when_all_are_dead_all_live_and_the_first_is_used() {
        let mut pool = Pool::new(Mode::HostPool, 3);
        (0..3).for_each(|index| pool.failed(index, s(0)));
        let chosen: Vec<usize> = (0..3).map(|_| pool.choose(s(1), || 0.0)).collect();
        assert_eq!(chosen, [0, 1, 2]);
    }

    #[test]
    fn epsilon_greedy_likes_the_fast_one() {
        let mut pool = Pool::new(Mode::EpsilonGreedy, 2);
        pool.succeeded(0, s(1), s(9));
        pool.succeeded(1, s(1), s(1));
        // A tenth of the weight is the slow one's.
        for (chance, chosen) in [(0.31, 1), (0.99, 1)] {
            assert_eq!(pool.choose(s(1), || chance), chosen);
        }
        assert_eq!(pool.fast(s(1), 0.05), Some(0));
        assert_eq!(pool.fast(s(1000), 0.5), None);
        let before = pool.epsilon;
        pool.choose(s(1), || 0.0);
        assert!(pool.epsilon < before);
    }
}
