//! `nsqd.timers.dat`: due times and delays of messages that lie in queue files, from one run to the next. Pure.
//!
//! ```text
//! u32 version (1), then records:
//! u32 length of what follows the checksum · u32 CRC-32 of it · u8 kind (0 due, 1 delay) · u64 id · i64 Unix ns or ns
//! · u8 length · topic · u8 length · channel
//! ```
//!
//! All numbers are big-endian; the channel is empty for a message of the topic. Go nsqd never opens the file.

use nsq_protocol::{ChannelName, TopicName};
use std::str::FromStr;

/// Name of the file in the data path.
pub const FILE_NAME: &str = "nsqd.timers.dat";
/// Largest file that is read: ten million records and more.
pub const MAX_BYTES: usize = 1 << 30;

const VERSION: u32 = 1;
/// Longest record behind its checksum: two names of 64 characters, each with `#ephemeral`.
const MAX_RECORD: usize = 1 + 8 + 8 + 2 * (1 + 74);

/// When a message may be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// From that time on, in Unix ns.
    Due(i64),
    /// So many ns after a channel has it.
    Delay(u64),
}

/// A message that is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its topic.
    pub topic: TopicName,
    /// Its channel; none while the topic has it.
    pub channel: Option<ChannelName>,
    /// Its id.
    pub id: u64,
    /// When it may be delivered.
    pub when: When,
}

/// What a file begins with.
#[must_use]
pub fn head() -> Vec<u8> {
    VERSION.to_be_bytes().to_vec()
}

/// Appends records.
pub fn encode<'a>(entries: impl IntoIterator<Item = &'a Entry>, out: &mut Vec<u8>) {
    let mut record = Vec::with_capacity(MAX_RECORD);
    for entry in entries {
        record.clear();
        let (kind, value) = match entry.when {
            When::Due(at) => (0, at),
            When::Delay(ns) => (1, i64::try_from(ns).unwrap_or(i64::MAX)),
        };
        record.push(kind);
        record.extend_from_slice(&entry.id.to_be_bytes());
        record.extend_from_slice(&value.to_be_bytes());
        let channel = entry.channel.as_ref().map_or("", |name| name.as_str());
        for name in [entry.topic.as_str(), channel] {
            // Names are at most 74 bytes.
            record.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            record.extend_from_slice(name.as_bytes());
        }
        out.extend_from_slice(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(&crc32fast::hash(&record).to_be_bytes());
        out.extend_from_slice(&record);
    }
}

/// Reads a file. What follows a broken record is left out; whether there was one.
#[must_use]
pub fn parse(bytes: &[u8]) -> (Vec<Entry>, bool) {
    let mut entries = Vec::new();
    let mut rest = match bytes.split_first_chunk::<4>() {
        Some((version, rest)) if u32::from_be_bytes(*version) == VERSION => rest,
        _ => return (entries, !bytes.is_empty()),
    };
    while !rest.is_empty() {
        let Some((entry, behind)) = record(rest) else {
            return (entries, true);
        };
        entries.push(entry);
        rest = behind;
    }
    (entries, false)
}

fn record(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (length, bytes) = bytes.split_first_chunk::<4>()?;
    let (crc, bytes) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (record, behind) = bytes.split_at_checked(length.min(MAX_RECORD + 1))?;
    if record.len() != length || crc32fast::hash(record) != u32::from_be_bytes(*crc) {
        return None;
    }
    let (&kind, record) = record.split_first()?;
    let (id, record) = record.split_first_chunk::<8>()?;
    let (value, record) = record.split_first_chunk::<8>()?;
    let (topic, record) = name(record)?;
    let (channel, record) = name(record)?;
    let value = i64::from_be_bytes(*value);
    let entry = Entry {
        topic: TopicName::from_str(topic).ok()?,
        channel: match channel {
            "" => None,
            name => Some(ChannelName::from_str(name).ok()?),
        },
        id: u64::from_be_bytes(*id),
        when: match kind {
            0 => When::Due(value),
            1 => When::Delay(u64::try_from(value).ok()?),
            _ => return None,
        },
    };
    record.is_empty().then_some((entry, behind))
}

fn name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, bytes) = bytes.split_first()?;
    let (name, rest) = bytes.split_at_checked(usize::from(length))?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries() -> Vec<Entry> {
        let entry = |channel: &str, id, when| Entry {
            topic: "t".parse().unwrap(),
            channel: (!channel.is_empty()).then(|| channel.parse().unwrap()),
            id,
            when,
        };
        vec![
            entry("c", 7, When::Due(1_700_000_000_000_000_000)),
            entry("", u64::MAX, When::Delay(5)),
            entry("d", 0, When::Due(-1)),
        ]
    }

    fn written() -> Vec<u8> {
        let mut bytes = head();
        encode(&entries(), &mut bytes);
        bytes
    }

    #[test]
    fn what_is_written_is_read_and_may_be_appended_to() {
        let mut bytes = written();
        assert_eq!(parse(&bytes), (entries(), false));
        encode(&entries(), &mut bytes);
        assert_eq!(parse(&bytes).0.len(), 6);
        assert_eq!(parse(b""), (Vec::new(), false));
    }

    #[test]
    fn a_broken_record_ends_the_file() {
        let bytes = written();
        assert_eq!(parse(&bytes[..bytes.len() - 1]), (entries()[..2].to_vec(), true));
        let mut damaged = bytes;
        damaged[14] ^= 1;
        assert_eq!(parse(&damaged), (Vec::new(), true));
        assert_eq!(parse(b"\0\0\0\x02"), (Vec::new(), true));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut whole = head();
            whole.extend_from_slice(&bytes);
            let _ = (parse(&bytes), parse(&whole));
        }
    }
}
