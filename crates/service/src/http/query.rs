//! Query parameters as the reference reads them.

use super::path::decode;
use super::reply::Failure;

/// The parameters of a request. Names are case-sensitive, the first value of a name wins, `+` is a space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads a raw query string.
    ///
    /// # Errors
    /// 400 `INVALID_REQUEST` for a bad percent escape or a raw `;`.
    pub fn parse(raw: &str) -> Result<Self, Failure> {
        let invalid = || Failure::bad_request("INVALID_REQUEST");
        let mut pairs = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            if pair.contains(';') {
                return Err(invalid());
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, true).ok_or_else(invalid)?.into_owned();
            let value = decode(value, true).ok_or_else(invalid)?.into_owned();
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// The first value of `name`; an empty one counts as present.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of `name`, in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.pairs.iter().filter(move |(own, _)| own == name);
        pairs.map(|(_, value)| value.as_str())
    }

    /// Names and values, in their order.
    #[must_use]
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.pairs
    }

    /// The first value of `name`.
    ///
    /// # Errors
    /// 400 with the text `missing` (such as `MISSING_ARG_TOPIC`) if the parameter is absent.
    pub fn require(&self, name: &str, missing: &'static str) -> Result<&str, Failure> {
        self.get(name).ok_or_else(|| Failure::bad_request(missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_wins_and_empty_counts_as_present() {
        let query = Query::parse("topic=t2&topic=t1&empty=&flag&a%26b=c+d").unwrap();
        assert_eq!(query.get("topic"), Some("t2"));
        assert_eq!(query.get("empty"), Some(""));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("a&b"), Some("c d"));
        assert_eq!(query.get("Topic"), None);
        assert_eq!(
            query.require("x", "MISSING_ARG_X"),
            Err(Failure::bad_request("MISSING_ARG_X"))
        );
    }

    #[test]
    fn a_bad_escape_or_a_semicolon_is_an_invalid_request() {
        for raw in ["topic=%zz", "%=1", "a=1;b=2", ";"] {
            assert_eq!(
                Query::parse(raw),
                Err(Failure::bad_request("INVALID_REQUEST")),
                "{raw}"
            );
        }
    }
}
