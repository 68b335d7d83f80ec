//! What an auth server grants (nsqd spec 9.3, 9.4). Pure.

use nsq_protocol::{ChannelName, TopicName};
use regex::Regex;
use serde_json::{Map, Value};
use std::time::Duration;

/// What the holder of a secret may do.
#[derive(Clone, Debug)]
pub struct Grants {
    /// Name for people.
    pub identity: String,
    /// Where that name is explained.
    pub identity_url: String,
    /// How long this holds; at least a second.
    pub ttl: Duration,
    authorizations: Vec<Authorization>,
}

#[derive(Clone, Debug)]
struct Authorization {
    topic: Regex,
    channels: Vec<Regex>,
    subscribe: bool,
    publish: bool,
}

/// What is asked for: consuming a channel, or publishing.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// `SUB`.
    Subscribe(&'a TopicName, &'a ChannelName),
    /// `PUB`, `MPUB`, `DPUB`.
    Publish(&'a TopicName),
}

impl Grants {
    /// Reads the body of an answer.
    ///
    /// # Errors
    /// Which rule it breaks.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let answer: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let answer = answer.as_object().ok_or("the answer is no object")?;
        let ttl = match field(answer, "ttl") {
            Value::Null => 0,
            ttl => ttl.as_i64().ok_or("ttl is no integer")?,
        };
        let ttl = u64::try_from(ttl).ok().filter(|ttl| *ttl > 0);
        let authorizations = list(field(answer, "authorizations"), "authorizations")?;
        Ok(Self {
            identity: text(field(answer, "identity"), "identity")?,
            identity_url: text(field(answer, "identity_url"), "identity_url")?,
            ttl: Duration::from_secs(ttl.ok_or("ttl is not above 0")?),
            authorizations: authorizations
                .iter()
                .map(authorization)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Number of authorizations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.authorizations.len()
    }

    /// Nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.authorizations.is_empty()
    }

    /// Whether some authorization grants this. Who publishes is compared with the channel `""`, as in the reference.
    #[must_use]
    pub fn allow(&self, request: Request<'_>) -> bool {
        let (topic, channel) = match request {
            Request::Subscribe(topic, channel) => (topic, channel.as_str()),
            Request::Publish(topic) => (topic, ""),
        };
        self.authorizations.iter().any(|granted| {
            let permitted = match request {
                Request::Subscribe(..) => granted.subscribe,
                Request::Publish(_) => granted.publish,
            };
            permitted
                && granted.topic.is_match(topic.as_str())
                && granted.channels.iter().any(|regex| regex.is_match(channel))
        })
    }
}

/// A key of Go's JSON: the exact one, else one that differs in case; absent is null.
fn field<'a>(object: &'a Map<String, Value>, name: &str) -> &'a Value {
    let alike = || {
        object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    object.get(name).or_else(alike).unwrap_or(&Value::Null)
}

fn text(value: &Value, name: &str) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        _ => Err(format!("{name} is no text")),
    }
}

fn list<'a>(value: &'a Value, name: &str) -> Result<&'a [Value], String> {
    match value {
        Value::Null => Ok(&[]),
        Value::Array(items) => Ok(items),
        _ => Err(format!("{name} is no list")),
    }
}

fn authorization(value: &Value) -> Result<Authorization, String> {
    let object = value.as_object().ok_or("an authorization is no object")?;
    let mut granted = Authorization {
        topic: regex(&text(field(object, "topic"), "topic")?)?,
        channels: Vec::new(),
        subscribe: false,
        publish: false,
    };
    for permission in list(field(object, "permissions"), "permissions")? {
        match text(permission, "permission")?.as_str() {
            "subscribe" => granted.subscribe = true,
            "publish" => granted.publish = true,
            other => return Err(format!("unknown permission {other:?}")),
        }
    }
    for channel in list(field(object, "channels"), "channels")? {
        granted.channels.push(regex(&text(channel, "channel")?)?);
    }
    Ok(granted)
}

/// The syntax is RE2's, which the crate shares with the reference's library: no look-around, linear time.
fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|e| e.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn grants(authorizations: &Value) -> Grants {
        Grants::parse(
            json!({"ttl": 10, "authorizations": authorizations})
                .to_string()
                .as_bytes(),
        )
        .unwrap()
    }

    fn publishes(grants: &Grants, topic: &str) -> bool {
        grants.allow(Request::Publish(&TopicName::parse(topic.as_bytes()).unwrap()))
    }

    fn subscribes(grants: &Grants, topic: &str, channel: &str) -> bool {
        let topic = TopicName::parse(topic.as_bytes()).unwrap();
        grants.allow(Request::Subscribe(
            &topic,
            &ChannelName::parse(channel.as_bytes()).unwrap(),
        ))
    }

    #[test]
    fn nd_273_answers_that_break_a_rule_are_errors() {
        for body in [
            "",
            "[]",
            "no json",
            r#"{"ttl":0}"#,
            r#"{"ttl":-1}"#,
            r#"{"ttl":1.5}"#,
            r#"{"ttl":"1"}"#,
            r#"{}"#,
            r#"{"ttl":1,"authorizations":{}}"#,
            r#"{"ttl":1,"authorizations":[1]}"#,
            r#"{"ttl":1,"authorizations":[{"topic":"("}]}"#,
            r#"{"ttl":1,"authorizations":[{"topic":".*","channels":["["]}]}"#,
            r#"{"ttl":1,"authorizations":[{"topic":".*","permissions":["admin"]}]}"#,
        ] {
            assert!(Grants::parse(body.as_bytes()).is_err(), "{body}");
        }
        let taken = r#"{"TTL":1,"identity":null,"authorizations":null,"more":[{}]}"#;
        assert!(Grants::parse(taken.as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn nd_275_276_277_patterns_are_searched_and_publishers_have_the_channel_of_no_name() {
        let of = |topic: &str, channels: &[&str], permissions: &[&str]| {
            grants(&json!([{"topic": topic, "channels": channels, "permissions": permissions}]))
        };
        assert!(!publishes(&of("t", &["ch"], &["publish"]), "t"));
        assert!(!publishes(&of("t", &[], &["publish"]), "t"));
        assert!(publishes(&of("t", &[".*"], &["publish"]), "xtx"));
        assert!(!publishes(&of("^t$", &[".*"], &["publish"]), "xtx"));
        assert!(!publishes(&of("t", &[".*"], &["subscribe"]), "t"));
        assert!(subscribes(&of("t", &["ch"], &["subscribe"]), "t", "xchx"));
        assert!(!subscribes(&of("t", &["ch"], &["publish"]), "t", "ch"));
    }
}
