//! Where one is: the page and what was chosen on it. Every link of a page is made here, so that what nobody asked for, or
//! nobody knows, never stands in one.

use nsq_service::http::{Query, encode_component};

/// Parameters that pages know; those of a second table on a page have its name and a dot before them.
const KNOWN: &[&str] = &[
    "q", "sort", "page", "per", "state", "node", "zone", "t", "tab", "user", "action", "result", "age",
    // looking into queues
    "n", "cursor", "id", "as", "show", "via", "from", "to",
];

/// Tables beside the main one.
const TABLES: &[&str] = &["nodes", "channels", "topics", "inactive", "publishers"];

/// Longest value that is kept.
const MAX_VALUE: usize = 200;

/// A page with its parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    path: String,
    pairs: Vec<(String, String)>,
}

impl Place {
    /// `path` is that of the page, with the base path.
    pub(super) fn new(path: String, query: &Query) -> Self {
        let own = KNOWN.iter().map(|name| (*name).to_owned());
        let others = TABLES
            .iter()
            .flat_map(|table| ["sort", "page", "per"].map(|name| format!("{table}.{name}")));
        let pairs = own.chain(others).filter_map(|name| {
            let value = query
                .get(&name)
                .filter(|value| !value.is_empty() && value.len() <= MAX_VALUE)?;
            Some((name, value.to_owned()))
        });
        Self {
            path,
            pairs: pairs.collect(),
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What was chosen; empty if nothing was.
    pub(super) fn get(&self, name: &str) -> &str {
        let pair = self.pairs.iter().find(|(own, _)| own == name);
        pair.map_or("", |(_, value)| value)
    }

    /// Forgets a value that nothing can be done with.
    pub(super) fn forget(&mut self, name: &str) {
        self.pairs.retain(|(own, _)| own != name);
    }

    /// All that was chosen, but what `names` say.
    pub(super) fn but<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self
            .pairs
            .iter()
            .filter(|(name, _)| !names.contains(&name.as_str()));
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same page with other choices; an empty one is taken out.
    pub(super) fn with(&self, changes: &[(&str, &str)]) -> String {
        let names: Vec<&str> = changes.iter().map(|(name, _)| *name).collect();
        let kept = self.but(&names);
        let new = changes.iter().copied().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = kept
            .chain(new)
            .map(|(name, value)| format!("{}={}", encode_component(name), encode_component(value)))
            .collect();
        if pairs.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, pairs.join("&"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_what_is_known_and_nothing_else() {
        let query = Query::parse("q=a+b&evil=1&sort=-depth&nodes.sort=key&x.sort=y&page=").unwrap();
        let place = Place::new("/b/topics".to_owned(), &query);
        assert_eq!(place.with(&[]), "/b/topics?q=a%20b&sort=-depth&nodes.sort=key");
        assert_eq!(
            place.with(&[("q", ""), ("sort", "name"), ("nodes.sort", "")]),
            "/b/topics?sort=name"
        );
        assert_eq!(place.get("q"), "a b");
        assert_eq!(place.get("evil"), "");
    }
}
