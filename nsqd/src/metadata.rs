//! `nsqd.dat`: which topics and channels exist and which are paused (nsqd spec 5.4). To and from JSON; pure.

use nsq_protocol::{ChannelName, TopicName};
use serde::{Deserialize, Serialize};

/// Name of the file in the data path.
pub const FILE_NAME: &str = "nsqd.dat";
/// Largest file that is read, in bytes: a million channels fit.
pub const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Everything that is not ephemeral.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Topics with their channels.
    pub topics: Vec<TopicEntry>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicEntry {
    /// Its name.
    pub name: TopicName,
    /// Whether it is paused.
    pub paused: bool,
    /// Its channels, each with whether it is paused.
    pub channels: Vec<(ChannelName, bool)>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Document {
    topics: Option<Vec<Entry>>,
    version: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Entry {
    name: String,
    paused: bool,
    #[serde(skip_serializing)]
    channels: Option<Vec<Self>>,
}

#[derive(Serialize)]
struct TopicOut<'a> {
    name: &'a str,
    paused: bool,
    channels: Option<Vec<Entry>>,
}

#[derive(Serialize)]
struct Out<'a> {
    topics: Option<Vec<TopicOut<'a>>>,
    version: &'static str,
}

/// An entry that was left out while reading, in the words of the log.
pub type Skipped = String;

impl Metadata {
    /// Reads the file. Entries with invalid names are skipped and returned for the log.
    ///
    /// # Errors
    /// When it is not JSON of the expected shape.
    pub fn parse(json: &[u8]) -> Result<(Self, Vec<Skipped>), serde_json::Error> {
        // A struct of ours would also be read from an array; the file is an object.
        let object = serde_json::from_slice::<Option<serde_json::Map<String, serde_json::Value>>>(json)?;
        let document = Document::deserialize(serde_json::Value::Object(object.unwrap_or_default()))?;
        let (mut topics, mut skipped) = (Vec::new(), Vec::new());
        for entry in document.topics.unwrap_or_default() {
            let Ok(name) = TopicName::parse(entry.name.as_bytes()) else {
                skipped.push(format!("skipping creation of invalid topic {}", entry.name));
                continue;
            };
            let mut channels = Vec::new();
            for channel in entry.channels.unwrap_or_default() {
                match ChannelName::parse(channel.name.as_bytes()) {
                    Ok(name) => channels.push((name, channel.paused)),
                    Err(_) => skipped.push(format!("skipping creation of invalid channel {}", channel.name)),
                }
            }
            topics.push(TopicEntry {
                name,
                paused: entry.paused,
                channels,
            });
        }
        Ok((Self { topics }, skipped))
    }

    /// The content of the file, byte for byte as the reference writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let channel = |(name, paused): &(ChannelName, bool)| Entry {
            name: name.to_string(),
            paused: *paused,
            channels: None,
        };
        let topics = self.topics.iter().map(|t| TopicOut {
            name: t.name.as_str(),
            paused: t.paused,
            channels: some_unless_empty(t.channels.iter().map(channel).collect()),
        });
        let topics = some_unless_empty(topics.collect());
        // Names and flags always have a JSON form.
        serde_json::to_vec(&Out {
            topics,
            version: nsq_service::build_info::VERSION,
        })
        .unwrap_or_default()
    }
}

fn some_unless_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    if list.is_empty() { None } else { Some(list) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn nd_199_the_file_has_the_bytes_of_the_reference() {
        let topic = |name: &str, channels| TopicEntry {
            name: name.parse().unwrap(),
            paused: false,
            channels,
        };
        let all = Metadata {
            topics: vec![
                topic("t1", vec![("c1".parse().unwrap(), false)]),
                topic("t2", vec![]),
            ],
        };
        let text = r#"{"topics":[{"name":"t1","paused":false,"channels":[{"name":"c1","paused":false}]},{"name":"t2","paused":false,"channels":null}],"version":"1.3.0"}"#;
        assert_eq!(String::from_utf8(all.encode()).unwrap(), text);
        assert_eq!(Metadata::parse(text.as_bytes()).unwrap(), (all, vec![]));
        assert_eq!(
            Metadata::default().encode(),
            br#"{"topics":null,"version":"1.3.0"}"#
        );
    }

    #[test]
    fn nd_200_201_203_what_may_be_missing_and_what_may_not() {
        for good in [
            "{}",
            "null",
            r#"{"topics":null}"#,
            r#"{"topics":[]}"#,
            r#"{"x":1}"#,
        ] {
            assert_eq!(
                Metadata::parse(good.as_bytes()).unwrap().0,
                Metadata::default(),
                "{good}"
            );
        }
        for bad in ["", "{", "[]", r#"{"topics":1}"#] {
            assert!(Metadata::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        for channels in ["", r#","channels":[]"#, r#","channels":null"#] {
            let json = format!(r#"{{"topics":[{{"name":"t","paused":true{channels}}}]}}"#);
            let (all, _) = Metadata::parse(json.as_bytes()).unwrap();
            assert!(all.topics[0].paused && all.topics[0].channels.is_empty());
        }
    }

    #[test]
    fn nd_202_invalid_names_are_skipped() {
        let json = br#"{"topics":[{"name":"a$"},{"name":"ok","channels":[{"name":"c:"},{"name":"c","paused":true}]}]}"#;
        let (all, skipped) = Metadata::parse(json).unwrap();
        assert_eq!(all.topics.len(), 1);
        assert_eq!(all.topics[0].channels, [("c".parse().unwrap(), true)]);
        assert_eq!(
            skipped,
            [
                "skipping creation of invalid topic a$",
                "skipping creation of invalid channel c:"
            ]
        );
    }
}
