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
        let (high, low) = out.split_at_mut(8);
        high.copy_from_slice(&digits(id >> 32).to_be_bytes());
        low.copy_from_slice(&digits(id & 0xffff_ffff).to_be_bytes());
        Self(out)
    }

    /// The number behind the digits, or `None` when one of them is not a lower-case hex digit: then nsqd did not issue it.
    #[must_use]
    pub fn to_u64(self) -> Option<u64> {
        let (high, low) = self.0.split_at(8);
        let number = |eight: &[u8]| eight.try_into().map(|eight| number(u64::from_be_bytes(eight)));
        let (Ok(high), Ok(low)) = (number(high), number(low)) else {
            return None;
        };
        let id = (high << 32) | low;
        // What is no digit has become some number, which has other digits.
        (Self::from_u64(id) == self).then_some(id)
    }
}

/// The eight hex digits of the lower half, one in each byte. All are made at once: ids are written and read once for each
/// delivery, where a loop over digits took a sixth of all instructions.
const fn digits(half: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let n = half & 0xffff_ffff;
    let n = (n | (n << 16)) & 0x0000_ffff_0000_ffff;
    let n = (n | (n << 8)) & 0x00ff_00ff_00ff_00ff;
    let n = (n | (n << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    // 6 more than 10 to 15 has the next bit; a letter is 0x27 above a digit. No byte of a sum reaches the next one.
    let letters = (n.wrapping_add(ONES.wrapping_mul(6)) >> 4) & ONES;
    n.wrapping_add(ONES.wrapping_mul(0x30))
        .wrapping_add(letters.wrapping_mul(0x27))
}

/// The number of eight hex digits; of other bytes any number up to 2^32.
const fn number(digits: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // A letter has this bit, and its lower half is 9 below its number.
    let letters = (digits >> 6) & ONES;
    let n = (digits & 0x0f0f_0f0f_0f0f_0f0f).wrapping_add(letters.wrapping_mul(9));
    let n = (n | (n >> 4)) & 0x00ff_00ff_00ff_00ff;
    let n = (n | (n >> 8)) & 0x0000_ffff_0000_ffff;
    (n | (n >> 16)) & 0xffff_ffff
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

        /// A digit changed into any byte, and any bytes: only digits are a number.
        #[test]
        fn what_is_no_lower_case_digit_is_no_id(n: u64, at in 0..16usize, byte: u8, any: [u8; 16]) {
            let mut changed = MessageId::from_u64(n);
            changed.0[at] = byte;
            for id in [changed, MessageId(any)] {
                let is_digits = id.0.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                let text = String::from_utf8_lossy(&id.0);
                let wanted = u64::from_str_radix(&text, 16).ok().filter(|_| is_digits);
                prop_assert_eq!(id.to_u64(), wanted);
            }
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
