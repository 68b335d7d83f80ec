//! Lines about how long answers take (tools spec 6.2). Pure.

use std::time::Duration;

/// Remembers the last answers.
#[derive(Debug)]
pub(crate) struct Meter {
    name: String,
    every: usize,
    last: Vec<Duration>,
    count: usize,
}

impl Meter {
    /// Tells every so many answers; 0 never tells.
    #[must_use]
    pub(crate) fn new(name: &str, every: usize) -> Self {
        Self {
            name: name.to_owned(),
            every,
            last: Vec::new(),
            count: 0,
        }
    }

    /// What to say at the start.
    #[must_use]
    pub(crate) fn warning(&self) -> Option<String> {
        (1..100).contains(&self.every).then(|| {
            let every = self.every;
            format!(
                "Warning: use more than 100 status values for accurate percentiles (configured with {every})"
            )
        })
    }

    /// One more answer; at times with a line, about the ones before it.
    pub(crate) fn add(&mut self, took: Duration) -> Option<String> {
        if self.every == 0 {
            return None;
        }
        let line = (self.last.len() == self.every && self.count == 0).then(|| self.line());
        if self.last.len() < self.every {
            self.last.push(took);
        } else {
            self.last[self.count] = took;
        }
        self.count = (self.count + 1) % self.every;
        line
    }

    fn line(&self) -> String {
        let mut sorted = self.last.clone();
        sorted.sort_unstable();
        let ms = |took: Duration| took.as_secs_f64() * 1000.0;
        let at = |percent: usize| {
            let index = (percent * sorted.len()).div_ceil(100).min(sorted.len() - 1);
            ms(sorted[index])
        };
        let total: Duration = sorted.iter().sum();
        format!(
            "[{}]: finished {} - 99th: {:.2}ms - 95th: {:.2}ms - avg: {:.2}ms",
            self.name,
            self.every,
            at(99),
            at(95),
            ms(total) / self.every as f64
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_after_each_full_round() {
        let mut meter = Meter::new("aggregate", 3);
        let lines: Vec<(u64, String)> = (1..=8)
            .filter_map(|n| meter.add(Duration::from_millis(n)).map(|line| (n, line)))
            .collect();
        assert_eq!(
            lines,
            [
                (
                    4,
                    "[aggregate]: finished 3 - 99th: 3.00ms - 95th: 3.00ms - avg: 2.00ms".to_owned()
                ),
                (
                    7,
                    "[aggregate]: finished 3 - 99th: 6.00ms - 95th: 6.00ms - avg: 5.00ms".to_owned()
                ),
            ]
        );
        assert!(meter.warning().is_some());
        assert_eq!(Meter::new("a", 100).warning(), None);
        assert_eq!(Meter::new("a", 0).add(Duration::ZERO), None);
    }
}
