//! A page for Prometheus, read.

use std::collections::BTreeMap;

/// Samples by their text before the value, as they stand on the page.
#[derive(Clone, Debug)]
pub struct Scrape {
    samples: BTreeMap<String, f64>,
    /// The page.
    pub text: String,
}

impl Scrape {
    /// Reads a page; either format.
    ///
    /// # Panics
    ///
    /// When a line is no sample, or a sample stands there twice.
    #[track_caller]
    pub fn of(text: String) -> Self {
        let mut samples = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line
                .rsplit_once(' ')
                .unwrap_or_else(|| panic!("no sample: {line}"));
            let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            let before = samples.insert(name.to_owned(), value);
            assert!(before.is_none(), "twice: {line}");
        }
        Self { samples, text }
    }

    /// The value of a sample, such as `nsqd_channel_depth{topic="t",channel="c"}`.
    pub fn get(&self, sample: &str) -> Option<f64> {
        self.samples.get(sample).copied()
    }

    /// The value of a sample that must be there.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[track_caller]
    pub fn value(&self, sample: &str) -> f64 {
        self.get(sample)
            .unwrap_or_else(|| panic!("no {sample} in\n{}", self.text))
    }

    /// The samples whose text contains this one, with their values.
    pub fn containing<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let all = self.samples.iter().filter(move |(name, _)| name.contains(text));
        all.map(|(name, value)| (name.as_str(), *value))
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}
