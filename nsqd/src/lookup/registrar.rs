//! What one nsqlookupd has been told, and what to tell it next. Pure.

use nsq_protocol::v1::encode_registration;
use nsq_protocol::{ChannelName, TopicName};
use std::collections::{BTreeMap, BTreeSet};

/// Something that consumers may look for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Registration {
    /// A topic. Sorts before every channel, so topics are announced first.
    Topic(TopicName),
    /// A channel of a topic.
    Channel(TopicName, ChannelName),
}

/// What exists here, each with a number that changes when it is deleted and made anew.
pub type Wanted = BTreeMap<Registration, u64>;

impl Registration {
    fn line(&self, verb: &str) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Topic(topic) => encode_registration(&mut out, verb, topic.as_str(), None),
            Self::Channel(topic, channel) => {
                encode_registration(&mut out, verb, topic.as_str(), Some(channel.as_str()));
            }
        }
        out
    }
}

/// The registrations of one connection.
#[derive(Debug, Default)]
pub struct Registrar {
    announced: Wanted,
}

impl Registrar {
    /// The commands of a fresh connection: a topic by itself only when it has no channel, which implies it.
    pub fn announce_all(&mut self, wanted: Wanted) -> Vec<Vec<u8>> {
        let channel_of = |r: &Registration| match r {
            Registration::Channel(topic, _) => Some(topic.clone()),
            Registration::Topic(_) => None,
        };
        let with_channel: BTreeSet<TopicName> = wanted.keys().filter_map(channel_of).collect();
        let implied =
            |r: &&Registration| matches!(r, Registration::Topic(topic) if with_channel.contains(topic));
        let lines = wanted.keys().filter(|r| !implied(r));
        let lines = lines.map(|r| r.line("REGISTER")).collect();
        self.announced = wanted;
        lines
    }

    /// The commands that make what is announced what is wanted: what went is taken back, channels before their topics, then
    /// what came is announced. A topic that is taken back takes its channels with it.
    pub fn catch_up(&mut self, wanted: Wanted) -> Vec<Vec<u8>> {
        let same = |r: &Registration| wanted.contains_key(r) && wanted.get(r) == self.announced.get(r);
        let stays = |r: &Registration| match r {
            Registration::Topic(_) => same(r),
            Registration::Channel(topic, _) => same(r) && same(&Registration::Topic(topic.clone())),
        };
        let gone = self.announced.keys().rev().filter(|r| !stays(r));
        let mut lines: Vec<_> = gone.map(|r| r.line("UNREGISTER")).collect();
        lines.extend(wanted.keys().filter(|r| !stays(r)).map(|r| r.line("REGISTER")));
        self.announced = wanted;
        lines
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use nsq_protocol::v1::{Command, Params, parse_line};
    use proptest::prelude::*;

    fn topic(t: u8) -> TopicName {
        format!("t{t}").parse().unwrap()
    }

    fn wanted() -> impl Strategy<Value = Wanted> {
        prop::collection::btree_map((0u8..4, prop::option::of(0u8..3)), 0u64..2, 0..12).prop_map(|picked| {
            let mut all = Wanted::new();
            for ((t, c), n) in picked {
                all.entry(Registration::Topic(topic(t))).or_insert(n);
                if let Some(c) = c {
                    all.insert(
                        Registration::Channel(topic(t), format!("c{c}").parse().unwrap()),
                        n,
                    );
                }
            }
            all
        })
    }

    /// What an nsqlookupd holds after the lines.
    fn apply(held: &mut BTreeSet<String>, lines: &[Vec<u8>]) {
        let text = |b: Option<&[u8]>| b.map(|b| String::from_utf8(b.to_vec()).unwrap());
        for line in lines {
            match parse_line(line) {
                Command::Register(Params { topic, channel }) => {
                    let t = text(topic).unwrap();
                    held.extend(text(channel).map(|c| format!("{t}:{c}")));
                    held.insert(t);
                }
                Command::Unregister(Params { topic, channel }) => {
                    let t = text(topic).unwrap();
                    match text(channel) {
                        Some(c) => drop(held.remove(&format!("{t}:{c}"))),
                        None => held.retain(|h| *h != t && !h.starts_with(&format!("{t}:"))),
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn names(wanted: &Wanted) -> BTreeSet<String> {
        wanted
            .keys()
            .map(|r| match r {
                Registration::Topic(t) => t.to_string(),
                Registration::Channel(t, c) => format!("{t}:{c}"),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_announced_is_what_is_wanted(first in wanted(), later in prop::collection::vec(wanted(), 0..6)) {
            let (mut registrar, mut held) = (Registrar::default(), BTreeSet::new());
            apply(&mut held, &registrar.announce_all(first.clone()));
            prop_assert_eq!(&held, &names(&first));
            for wanted in later {
                apply(&mut held, &registrar.catch_up(wanted.clone()));
                prop_assert_eq!(&held, &names(&wanted));
                prop_assert!(registrar.catch_up(wanted).is_empty());
            }
        }
    }

    #[test]
    fn nd_257_a_topic_that_was_deleted_and_made_anew_is_taken_back_first() {
        let mut registrar = Registrar::default();
        registrar.announce_all(Wanted::from([(Registration::Topic(topic(1)), 1)]));
        let lines = registrar.catch_up(Wanted::from([(Registration::Topic(topic(1)), 2)]));
        assert_eq!(lines, [b"UNREGISTER t1\n".to_vec(), b"REGISTER t1\n".to_vec()]);
    }
}
