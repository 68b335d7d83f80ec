//! Looking into queues of an nsqd with the extension `messages` (extensions spec 6.3, 8): what is asked for and what is answered.
//! Times are nanoseconds since 1970.

use form_urlencoded::Serializer;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::nullable;

/// What an nsqd that can be looked into has in its list of extensions.
pub const EXTENSION: &str = "messages";

/// What messages of a channel are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// They wait for a consumer.
    #[default]
    Ready,
    /// A consumer has them.
    InFlight,
    /// They wait for their time.
    Deferred,
    /// They were given up.
    Dead,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Ready, Self::InFlight, Self::Deferred, Self::Dead];

    /// As arguments have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::InFlight => "in_flight",
            Self::Deferred => "deferred",
            Self::Dead => "dead",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Which messages of a queue are listed by `GET /channel/messages`, or by `GET /topic/messages` without a channel. The default of
/// each part is not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessagesRequest {
    /// Name of the topic.
    pub topic: String,
    /// Name of the channel; none for what waits in the topic itself.
    pub channel: Option<String>,
    /// Of a channel only.
    pub state: State,
    /// 1 to 1000; 0 for as many as nsqd thinks.
    pub limit: u32,
    /// [`Messages::next`] of the page before; empty for the first page.
    pub cursor: String,
    /// Bytes of each body that are shown, 0 for none; none for as many as nsqd thinks.
    pub body: Option<u64>,
    /// This message alone; not of ready ones.
    pub id: String,
    /// Due from this second of Unix time on; of deferred ones.
    pub due_from: Option<i64>,
    /// Due before this second.
    pub due_to: Option<i64>,
    /// Parts of the histogram of due times, at most 100; of deferred ones.
    pub buckets: u32,
    /// The channel of the dead-letter topic that is looked into; of dead ones.
    pub via: String,
}

impl MessagesRequest {
    /// Path and query.
    #[must_use]
    pub fn path(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("topic", &self.topic);
        let others = [
            ("limit", (self.limit > 0).then(|| self.limit.to_string())),
            ("cursor", filled(&self.cursor)),
            ("body", self.body.map(|bytes| bytes.to_string())),
            ("id", filled(&self.id)),
            ("due_from", self.due_from.map(|second| second.to_string())),
            ("due_to", self.due_to.map(|second| second.to_string())),
            ("buckets", (self.buckets > 0).then(|| self.buckets.to_string())),
            ("via", filled(&self.via)),
        ];
        if let Some(channel) = &self.channel {
            query.append_pair("channel", channel);
            query.append_pair("state", self.state.as_str());
        }
        for (name, value) in others {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        let kind = if self.channel.is_some() {
            "channel"
        } else {
            "topic"
        };
        format!("/{kind}/messages?{}", query.finish())
    }
}

fn filled(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// What is listed, one page of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Messages {
    /// In the order in which they would be delivered, are due, end their flight, or were given up.
    #[serde(deserialize_with = "nullable")]
    pub messages: Vec<Message>,
    /// Where the next page begins; empty on the last one.
    pub next: String,
    /// How many there are in all; of deferred ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// When the first is due, 0 for none; of deferred ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_due: Option<i64>,
    /// When the last is due, 0 for none; of deferred ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_due: Option<i64>,
    /// How many are due when, if that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub buckets: Vec<Bucket>,
}

/// Part of a histogram: it begins where the one before ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bucket {
    /// Its end.
    pub to: i64,
    /// Messages in it.
    pub count: u64,
}

/// A message that is looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    /// 16 characters.
    pub id: String,
    /// When it was published.
    pub timestamp: i64,
    /// Deliveries so far.
    pub attempts: u32,
    /// Bytes of the body.
    pub size: u64,
    /// The body, or its beginning, where it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The same where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Only its beginning is shown.
    pub truncated: bool,
    /// When it is due; of deferred ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<i64>,
    /// Why it waits: `publish`, `requeue` or `timeout`; of deferred ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was delivered; of those in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<i64>,
    /// When its flight ends without an answer; of those in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<i64>,
    /// Who has it; of those in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where that is; of those in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_address: Option<String>,
    /// Where it comes from; of dead ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
}

/// Where a dead letter comes from, and why it was given up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetter {
    /// Of the message that it was.
    pub topic: String,
    /// That gave it up.
    pub channel: String,
    /// Of the message that it was.
    pub id: String,
    /// When that was published.
    pub timestamp: i64,
    /// Deliveries until it was given up.
    pub attempts: u32,
    /// `attempts`, `expired` or `limit`.
    pub reason: String,
    /// When it was given up.
    pub at: i64,
    /// Absent when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_delivered: Option<i64>,
    /// Absent when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_delivered: Option<i64>,
    /// Who had it last; absent when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_client: Option<String>,
}

/// What is done with messages that wait (extensions spec 8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Deferred ones become ready, dead ones go back to their channel.
    Run,
    /// They go.
    Cancel,
}

/// With which messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// At most 100.
    Ids(Vec<String>),
    /// All of these, as a job.
    All {
        /// Due from this second of Unix time on; of deferred ones.
        due_from: Option<i64>,
        /// Due before this second.
        due_to: Option<i64>,
        /// Most messages; 0 for all.
        limit: u64,
        /// Messages per second; 0 for as fast as it goes.
        rate: u32,
    },
}

/// `POST /channel/messages/run` or `…/cancel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerbRequest {
    /// What.
    pub verb: Verb,
    /// Name of the topic.
    pub topic: String,
    /// Name of the channel.
    pub channel: String,
    /// [`State::Deferred`] or [`State::Dead`].
    pub state: State,
    /// With which.
    pub which: Which,
    /// The channel of the dead-letter topic that they are in; empty for none.
    pub via: String,
}

impl VerbRequest {
    /// Path and query.
    #[must_use]
    pub fn path(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("topic", &self.topic);
        query.append_pair("channel", &self.channel);
        query.append_pair("state", self.state.as_str());
        match &self.which {
            Which::Ids(ids) => {
                query.append_pair("ids", &ids.join(","));
            }
            Which::All {
                due_from,
                due_to,
                limit,
                rate,
            } => {
                query.append_pair("all", "true");
                for (name, second) in [("due_from", due_from), ("due_to", due_to)] {
                    if let Some(second) = second {
                        query.append_pair(name, &second.to_string());
                    }
                }
                query.append_pair("limit", &limit.to_string());
                query.append_pair("rate", &rate.to_string());
            }
        }
        if !self.via.is_empty() {
            query.append_pair("via", &self.via);
        }
        let verb = match self.verb {
            Verb::Run => "run",
            Verb::Cancel => "cancel",
        };
        format!("/channel/messages/{verb}?{}", query.finish())
    }
}

/// What became of a verb.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VerbAnswer {
    /// Messages that it was done with.
    pub done: u64,
    /// Ids that were not there.
    pub missing: u64,
    /// What was started, if it was for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
}

/// `GET /channel/job`: what is being done with many messages of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobAnswer {
    /// None if there was none since the start of nsqd.
    pub job: Option<Job>,
}

/// A job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Job {
    /// Its name.
    pub id: String,
    /// `run` or `cancel`.
    pub verb: String,
    /// `deferred` or `dead`.
    pub state: String,
    /// It is not over.
    pub running: bool,
    /// Messages that it is done with.
    pub done: u64,
    /// Messages that it could not do.
    pub failed: u64,
    /// Messages that are left.
    pub remaining: u64,
    /// When it began.
    pub started: i64,
    /// Why it ended early; empty if it did not.
    pub error: String,
}

/// Path and query of the job of a channel; `stop` ends it by `POST`.
#[must_use]
pub fn job_path(topic: &str, channel: &str, stop: bool) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("topic", topic).append_pair("channel", channel);
    let stop = if stop { "/stop" } else { "" };
    format!("/channel/job{stop}?{}", query.finish())
}

/// Characters of a name.
const LONGEST: usize = 64;

/// The topic that has the dead letters of a channel, unless its policy names another (extensions spec 6.3).
#[must_use]
pub fn dead_letter_topic(topic: &str, channel: &str) -> String {
    let full = format!("{topic}.{channel}.dlq");
    if full.len() <= LONGEST {
        return full;
    }
    let mut hash = Sha256::new();
    hash.update(topic);
    hash.update([0]);
    hash.update(channel);
    let digits: String = hash
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let begin: String = full.chars().take(47).collect();
    format!("{begin}.{digits}.dlq")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stands_in_the_query_and_nothing_else() {
        let request = MessagesRequest {
            topic: "orders#ephemeral".to_owned(),
            limit: 5,
            ..MessagesRequest::default()
        };
        assert_eq!(request.path(), "/topic/messages?topic=orders%23ephemeral&limit=5");
        let request = MessagesRequest {
            channel: Some("c".to_owned()),
            state: State::Deferred,
            cursor: "a&b=c".to_owned(),
            body: Some(0),
            due_from: Some(10),
            buckets: 24,
            ..request
        };
        assert_eq!(
            request.path(),
            "/channel/messages?topic=orders%23ephemeral&channel=c&state=deferred&limit=5&cursor=a%26b%3Dc&body=0\
             &due_from=10&buckets=24"
        );
    }

    #[test]
    fn a_verb_names_messages_or_takes_all() {
        let request = VerbRequest {
            verb: Verb::Run,
            topic: "t".to_owned(),
            channel: "c".to_owned(),
            state: State::Dead,
            which: Which::Ids(vec!["a".to_owned(), "b".to_owned()]),
            via: "archive".to_owned(),
        };
        assert_eq!(
            request.path(),
            "/channel/messages/run?topic=t&channel=c&state=dead&ids=a%2Cb&via=archive"
        );
        let request = VerbRequest {
            verb: Verb::Cancel,
            state: State::Deferred,
            which: Which::All {
                due_from: None,
                due_to: Some(9),
                limit: 0,
                rate: 100,
            },
            via: String::new(),
            ..request
        };
        assert_eq!(
            request.path(),
            "/channel/messages/cancel?topic=t&channel=c&state=deferred&all=true&due_to=9&limit=0&rate=100"
        );
        assert_eq!(job_path("t", "c", true), "/channel/job/stop?topic=t&channel=c");
    }

    #[test]
    fn every_state_has_its_name() {
        for state in State::ALL {
            assert_eq!(State::of(state.as_str()), Some(state));
        }
        assert_eq!(State::of("done"), None);
    }

    #[test]
    fn dead_letters_have_a_topic_whose_name_is_never_too_long() {
        assert_eq!(dead_letter_topic("orders", "billing"), "orders.billing.dlq");
        let long = dead_letter_topic(&"t".repeat(40), &"c".repeat(40));
        assert_eq!(long.len(), LONGEST);
        assert!(
            long.starts_with(&format!("{}.cccccc.", "t".repeat(40))) && long.ends_with(".dlq"),
            "{long}"
        );
        assert_ne!(long, dead_letter_topic(&"t".repeat(40), &"c".repeat(41)));
    }
}
