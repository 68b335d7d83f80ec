//! `/stats` with `since`, and `/events`: an nsqd with the extension `stats-since` or `events` tells only what changed (extensions spec
//! 14.3, 14.4). Pure: whoever asks puts the changes together again.

use serde::{Deserialize, Serialize};

use crate::nsqd::{Stats, TopicStats};
use crate::nullable;

/// What an nsqd that tells changes has in its list of extensions.
pub const EXTENSION: &str = "stats-since";
/// What one that tells them by itself has there.
pub const EVENTS: &str = "events";

/// What changed since a token. An answer without a token is a whole one, as that of an nsqd that knows none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Changes {
    /// Version of the reference's behaviour.
    pub version: String,
    /// `OK` or `NOK - <error>`.
    pub health: String,
    /// Start of the process in Unix seconds.
    pub start_time: i64,
    /// Topics that differ, with the channels that differ; of a whole one all.
    #[serde(deserialize_with = "nullable")]
    pub topics: Vec<TopicStats>,
    /// For the next question.
    pub token: String,
    /// Everything is in it.
    pub full: bool,
    /// What is gone.
    #[serde(deserialize_with = "nullable")]
    pub removed: Vec<Removed>,
}

/// A topic or a channel that is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Removed {
    /// Name of the topic.
    pub topic: String,
    /// Name of the channel; empty for the whole topic.
    pub channel: String,
}

/// Something that happened on an nsqd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notice {
    /// Nanoseconds since 1970.
    pub at: i64,
    /// `dead_letter`, `topic_full`, `read_only`, `disk_state`, `health`, `created`, `deleted`, `paused` and so on.
    pub kind: String,
    /// Empty if it is about the node.
    pub topic: String,
    /// Empty if it is about a topic or the node.
    pub channel: String,
    /// For people.
    pub text: String,
}

/// The numbers of one nsqd as they are now, put together of what it told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followed {
    token: String,
    stats: Stats,
}

impl Followed {
    /// For the next question; empty for everything.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Everything as it is now, without clients. Topics and channels are sorted by name.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Takes what came. Changes to what nobody told before, or of another process, are a whole one.
    pub fn take(&mut self, changes: Changes) {
        let Changes {
            version,
            health,
            start_time,
            topics,
            token,
            full,
            removed,
        } = changes;
        let is_whole =
            full || token.is_empty() || self.token.is_empty() || start_time != self.stats.start_time;
        let mut all = if is_whole {
            Vec::new()
        } else {
            self.stats.topics.take().unwrap_or_default()
        };
        for gone in &removed {
            if gone.channel.is_empty() {
                all.retain(|topic| topic.topic_name != gone.topic);
            } else if let Some(topic) = all.iter_mut().find(|topic| topic.topic_name == gone.topic) {
                topic
                    .channels
                    .retain(|channel| channel.channel_name != gone.channel);
            }
        }
        for topic in topics {
            put(&mut all, topic);
        }
        self.stats = Stats {
            version,
            health,
            start_time,
            topics: Some(all),
            ..Stats::default()
        };
        self.token = token;
    }
}

/// Puts a topic in the place of what it was; channels that are not in it stay.
fn put(all: &mut Vec<TopicStats>, mut new: TopicStats) {
    let at = match all.binary_search_by(|own| own.topic_name.cmp(&new.topic_name)) {
        Err(at) => {
            new.channels.sort_by(|a, b| a.channel_name.cmp(&b.channel_name));
            all.insert(at, new);
            return;
        }
        Ok(at) => at,
    };
    let Some(own) = all.get_mut(at) else { return };
    let changed = std::mem::replace(&mut new.channels, std::mem::take(&mut own.channels));
    for channel in changed {
        let kept = &mut new.channels;
        match kept.binary_search_by(|own| own.channel_name.cmp(&channel.channel_name)) {
            Ok(at) => kept[at] = channel,
            Err(at) => kept.insert(at, channel),
        }
    }
    *own = new;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(json: &str) -> Changes {
        serde_json::from_str(json).unwrap()
    }

    /// Names with their counts.
    /// Name, messages, and name and depth of each channel.
    type Shown = Vec<(String, u64, Vec<(String, i64)>)>;

    fn shown(followed: &Followed) -> Shown {
        let topics = followed.stats().topics.iter().flatten();
        topics
            .map(|topic| {
                let channels = topic.channels.iter();
                let channels = channels
                    .map(|own| (own.channel_name.clone(), own.depth))
                    .collect();
                (topic.topic_name.clone(), topic.message_count, channels)
            })
            .collect()
    }

    const WHOLE: &str = r#"{"health":"OK","start_time":7,"full":true,"token":"a","topics":[
        {"topic_name":"t","message_count":1,"channels":[{"channel_name":"c","depth":1},{"channel_name":"d","depth":2}]},
        {"topic_name":"u","message_count":5,"channels":[]}]}"#;

    #[test]
    fn changes_are_put_where_they_belong() {
        let mut followed = Followed::default();
        followed.take(changes(WHOLE));
        assert_eq!(followed.token(), "a");
        followed.take(changes(
            r#"{"health":"NOK - x","start_time":7,"token":"b","removed":[{"topic":"u","channel":""},{"topic":"t","channel":"c"}],
            "topics":[{"topic_name":"t","message_count":9,"channels":[{"channel_name":"a","depth":4},{"channel_name":"d","depth":3}]},
            {"topic_name":"s","message_count":1,"channels":null}]}"#,
        ));
        let pair = |name: &str, depth| (name.to_owned(), depth);
        assert_eq!(
            shown(&followed),
            [
                ("s".to_owned(), 1, vec![]),
                ("t".to_owned(), 9, vec![pair("a", 4), pair("d", 3)])
            ]
        );
        assert_eq!(
            (followed.token(), followed.stats().health.as_str()),
            ("b", "NOK - x")
        );
        // nothing changed
        followed.take(changes(
            r#"{"health":"OK","start_time":7,"token":"c","topics":[]}"#,
        ));
        assert_eq!(shown(&followed).len(), 2);
    }

    #[test]
    fn a_whole_one_another_process_and_one_without_a_token_replace_all() {
        for json in [
            r#"{"start_time":7,"full":true,"token":"b","topics":[]}"#,
            r#"{"start_time":8,"token":"b","topics":[]}"#,
            r#"{"start_time":7,"topics":null}"#,
        ] {
            let mut followed = Followed::default();
            followed.take(changes(WHOLE));
            followed.take(changes(json));
            assert!(shown(&followed).is_empty(), "{json}");
        }
    }
}
