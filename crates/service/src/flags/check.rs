//! Every mistake of a config file, with its place. A start ends with the first; who writes the file wants them all. Pure.

use toml::Value;
use toml::de::DeTable;

use super::config;
use super::table::{Flag, Kind};

/// A mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where in the text, in bytes from its start.
    pub offset: usize,
    /// The key; empty where the text is no TOML.
    pub key: String,
    /// What is wrong with its value; none if no option has this key.
    pub reason: Option<String>,
}

/// What is wrong with this text as a config file for these options, in the order of the text. A start passes unknown keys over.
#[must_use]
pub fn check(flags: &[Flag], text: &str) -> Vec<Mistake> {
    let (table, broken) = DeTable::parse_recoverable(text);
    let mut found: Vec<Mistake> = broken
        .into_iter()
        .map(|error| Mistake {
            offset: error.span().map_or(0, |span| span.start),
            key: String::new(),
            reason: Some(error.message().to_owned()),
        })
        .collect();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().as_ref();
        let flag = flags
            .iter()
            .find(|flag| flag.config_key().as_deref() == Some(name));
        let reason = match flag {
            None => None,
            Some(flag) => {
                let line = text.get(value.span()).unwrap_or_default();
                match format!("value = {line}")
                    .parse::<toml::Table>()
                    .ok()
                    .and_then(|mut t| t.remove("value"))
                {
                    // What is no value was told already.
                    None => continue,
                    Some(value) => match wrong(flag.kind, &value) {
                        None => continue,
                        Some(reason) => Some(reason),
                    },
                }
            }
        };
        found.push(Mistake {
            offset: key.span().start,
            key: name.to_owned(),
            reason,
        });
    }
    found.sort_by_key(|mistake| mistake.offset);
    found
}

fn wrong(kind: Kind, value: &Value) -> Option<String> {
    config::coerce(kind, value).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag::int("mem-queue-size", "10000", ""),
        Flag::duration("msg-timeout", "1m", ""),
    ];

    #[test]
    fn every_mistake_is_found_at_its_place() {
        let text = "mem_queue_sizes = 1\nmsg_timeout = \"soon\"\nmem_queue_size = [1]\n= 3\n";
        let found = check(FLAGS, text);
        let places: Vec<(usize, &str, bool)> = found
            .iter()
            .map(|mistake| (mistake.offset, mistake.key.as_str(), mistake.reason.is_some()))
            .collect();
        assert_eq!(
            places[..3],
            [
                (0, "mem_queue_sizes", false),
                (20, "msg_timeout", true),
                (41, "mem_queue_size", true)
            ]
        );
        assert!(found[3..].iter().all(|mistake| mistake.key.is_empty()) && found.len() > 3);
        assert_eq!(check(FLAGS, "mem_queue_size = 5\nmsg_timeout = 1000\n"), []);
    }
}
