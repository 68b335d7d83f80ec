//! The policy block of NsqTopic and NsqChannel: keys of the daemons' policy object in camelCase.
//! Source: extensions spec 2.1.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::case::snake_case;
use super::duration::Span;

/// A number of bytes as the daemons read it: an integer, or a number with a unit such as `10Mi`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Size(pub String);

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 32,
            "pattern": r"^[0-9]+(\.[0-9]+)?([kMGT]|[KMGT]i)?B?$",
        })
    }
}

/// Policy of a topic, and default policy of its channels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicPolicy {
    /// When a publish is acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// Messages the topic keeps; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub topic_max_messages: Option<i64>,
    /// Bytes the topic keeps; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_max_bytes: Option<Size>,
    /// What happens at that limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_full: Option<TopicFull>,
    /// Keys that its channels inherit.
    #[serde(flatten)]
    pub channels: ChannelPolicy,
}

/// Policy of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelPolicy {
    /// Messages a channel keeps; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub channel_max_messages: Option<i64>,
    /// Bytes a channel keeps; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_max_bytes: Option<Size>,
    /// What happens at that limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_full: Option<ChannelFull>,
    /// Age after which a message expires; 0s is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
    /// What happens to an expired message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_expired: Option<OnExpired>,
    /// Deliveries after which a message is put aside; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub max_attempts: Option<i64>,
    /// Topic for messages put aside; empty is a derived name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[.a-zA-Z0-9_-]{0,64}$"))]
    pub dead_letter_topic: Option<String>,
    /// Wait before a message that timed out is delivered again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_backoff: Option<Span>,
    /// Cap of that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_backoff_max: Option<Span>,
}

/// When a publish is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// When it is in memory.
    Memory,
    /// When it is written.
    Disk,
    /// When it is written and synced.
    Fsync,
}

/// What happens when a topic is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopicFull {
    /// Publishes are refused.
    Reject,
    /// The oldest messages go.
    DropOldest,
}

/// What happens when a channel is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelFull {
    /// The oldest messages go.
    DropOldest,
    /// The oldest messages go to the dead-letter topic.
    DeadLetter,
}

/// What happens to an expired message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExpired {
    /// It goes.
    Drop,
    /// It goes to the dead-letter topic.
    DeadLetter,
}

/// A policy block as the daemons' policy object: the keys that are set, in snake case.
#[must_use]
pub fn policy_json<P: Serialize>(policy: &P) -> Map<String, Value> {
    match serde_json::to_value(policy) {
        Ok(Value::Object(keys)) => keys
            .into_iter()
            .map(|(key, value)| (snake_case(&key), value))
            .collect(),
        // A policy block is a struct of plain values, so this is an empty policy at worst.
        Ok(_) | Err(_) => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_sent_in_the_daemons_spelling() {
        let policy = TopicPolicy {
            durability: Some(Durability::Fsync),
            topic_full: Some(TopicFull::DropOldest),
            channels: ChannelPolicy {
                max_attempts: Some(5),
                ..ChannelPolicy::default()
            },
            ..TopicPolicy::default()
        };
        let sent = serde_json::Value::Object(policy_json(&policy)).to_string();
        assert_eq!(
            sent,
            r#"{"durability":"fsync","max_attempts":5,"topic_full":"drop_oldest"}"#
        );
    }
}
