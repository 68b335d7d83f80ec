//! What is sent: names and bodies.

use nsq_protocol::{ChannelName, TopicName};

use super::http::Http;
use super::meter::Target;
use crate::outcome::Outcome;

/// Text of this size: every second byte repeats and every second does not, so that compression is neither trivial nor hopeless.
pub(crate) fn body(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut letter = |at: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if at.is_multiple_of(2) {
            b'a' + (at / 2 % 8) as u8
        } else {
            b'!' + (state % 64) as u8
        }
    };
    (0..size).map(&mut letter).collect()
}

pub(crate) fn topic(number: usize) -> Outcome<TopicName> {
    let name = format!("load_{number}");
    TopicName::parse(name.as_bytes()).map_err(|why| format!("{name}: {why}"))
}

pub(crate) fn channel(number: usize) -> Outcome<ChannelName> {
    let name = format!("c{number}");
    ChannelName::parse(name.as_bytes()).map_err(|why| format!("{name}: {why}"))
}

/// Makes topics with channels, so that every message goes to all of them.
pub(crate) fn create(target: Target, topics: usize, channels: usize) -> Outcome {
    let mut http = Http::connect(target.http)?;
    for topic in 0..topics {
        http.ask("POST", &format!("/topic/create?topic=load_{topic}"), b"")?;
        for channel in 0..channels {
            let target = format!("/channel/create?topic=load_{topic}&channel=c{channel}");
            http.ask("POST", &target, b"")?;
        }
    }
    Ok(())
}

/// The time that a body carries in front.
pub(crate) fn stamped(body: &[u8]) -> u64 {
    body.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Puts the time in front of a body.
pub(crate) fn stamp(body: &mut [u8], time: u64) {
    if let Some(front) = body.first_chunk_mut() {
        *front = time.to_le_bytes();
    }
}
