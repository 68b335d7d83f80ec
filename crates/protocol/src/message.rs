//! Message ids and the fixed part of a message.

use std::fmt;

/// Bytes of a message before its body: timestamp 8, attempts 2, id 16.
pub const HEADER_BYTES: usize = 26;

/// A message id as clients see it: 16 opaque bytes, which nsqd fills with lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// The id as 16 lower-case hex digits, big-endian.
    #[must_use]
    pub fn from_u64(id: u64) -> Self {
        let mut out = [0; 16];
        for (pair, byte) in out.chunks_exact_mut(2).zip(id.to_be_bytes()) {
            if let [high, low] = pair {
                *high = hex_digit(byte >> 4);
                *low = hex_digit(byte & 0x0f);
            }
        }
        Self(out)
    }

    /// The number behind the digits, or `None` when one of them is not a lower-case hex digit: then nsqd did not issue it.
    #[must_use]
    pub fn to_u64(self) -> Option<u64> {
        self.0.iter().try_fold(0u64, |sum, &b| {
            let digit = match b {
                b'0'..=b'9' => b.wrapping_sub(b'0'),
                b'a'..=b'f' => b.wrapping_sub(b'a').wrapping_add(10),
                _ => return None,
            };
            Some((sum << 4) | u64::from(digit))
        })
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0'.wrapping_add(nibble)
    } else {
        b'a'.wrapping_add(nibble).wrapping_sub(10)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One message as it travels in a message frame or stands in a disk record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// When the server accepted the publish, nanoseconds since 1970.
    pub timestamp: i64,
    /// Deliveries so far, this one included; wraps at 65536.
    pub attempts: u16,
    /// The id, the same in every copy and every delivery.
    pub id: MessageId,
    /// What the publisher sent, at least one byte.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the layout; `None` when the bytes are shorter than the fixed part.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (timestamp, rest) = bytes.split_first_chunk()?;
        let (attempts, rest) = rest.split_first_chunk()?;
        let (id, body) = rest.split_first_chunk()?;
        Some(Self {
            timestamp: i64::from_be_bytes(*timestamp),
            attempts: u16::from_be_bytes(*attempts),
            id: MessageId(*id),
            body,
        })
    }

    /// Appends the layout to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.attempts.to_be_bytes());
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(self.body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_reads_back_as_the_number_it_was_made_of(n: u64) {
            let id = MessageId::from_u64(n);
            prop_assert_eq!(id.to_u64(), Some(n));
            prop_assert_eq!(id.to_string(), format!("{n:016x}"));
        }

        #[test]
        fn a_message_reads_back_as_it_was_written(timestamp: i64, attempts: u16, id: [u8; 16], body: Vec<u8>) {
            let message = Message { timestamp, attempts, id: MessageId(id), body: &body };
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            prop_assert_eq!(Message::decode(&bytes), Some(message));
        }
    }

    #[test]
    fn upper_case_and_other_bytes_are_no_id_of_ours() {
        assert_eq!(MessageId(*b"0123456789ABCDEF").to_u64(), None);
        assert_eq!(MessageId(*b"zzzzzzzzzzzzzzzz").to_u64(), None);
    }
}
