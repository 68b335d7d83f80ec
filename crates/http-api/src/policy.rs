//! Policies of an nsqd with the extension `policy` (extensions spec 2.2).

use form_urlencoded::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an nsqd that has policies has in its list of extensions.
pub const EXTENSION: &str = "policy";

/// `GET /topic/policy` or `GET /channel/policy`. Values are as nsqd shows them: integers, and durations as text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Name of the topic.
    pub topic: String,
    /// Name of the channel; empty for the topic.
    pub channel: String,
    /// Grows with each change.
    pub generation: u64,
    /// What somebody set here.
    pub set: Map<String, Value>,
    /// What applies here: set here, or inherited.
    pub effective: Map<String, Value>,
}

/// Path and query of the policy of a topic, or of a channel.
#[must_use]
pub fn path(topic: &str, channel: Option<&str>) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("topic", topic);
    match channel {
        Some(channel) => {
            query.append_pair("channel", channel);
            format!("/channel/policy?{}", query.finish())
        }
        None => format!("/topic/policy?{}", query.finish()),
    }
}
