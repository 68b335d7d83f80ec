//! The body of `POST /evacuate` (operator spec 6.3). Pure.
//!
//! Records of: i32 length of what follows · i64 timestamp · u16 attempts · 16 bytes id · i64 due · u16 length of optional fields
//! · optional fields · body. All numbers are big-endian. `due` is Unix ns with a channel, a delay in ns without one; 0 is now.

use crate::block::{BatchBuilder, Block, Head, QueuedMessage, Run};
use nsq_protocol::MessageId;
use std::fmt;
use std::sync::Arc;

/// Bytes of a record before its body, without its length and without optional fields.
const HEAD: usize = 8 + 2 + 16 + 8 + 2;

/// Messages of one request, and what is special about some of them.
#[derive(Debug)]
pub struct Parcel {
    /// The messages in their order.
    pub run: Run,
    /// Id and due time, or delay, of those that have one.
    pub due: Vec<(u64, i64)>,
}

/// Why a body is not taken. Nothing of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadBody {
    /// It ends in the middle of a record, or holds none.
    Truncated,
    /// A record whose body is empty or longer than a message may be.
    Size(usize),
    /// An id that no nsqd gives.
    Id,
    /// Optional fields, which this nsqd has no place for: the sender keeps the message.
    OptionalFields,
}

impl fmt::Display for BadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the last record is not complete"),
            Self::Size(size) => write!(f, "a message of {size} bytes"),
            Self::Id => f.write_str("an id that is not 16 hexadecimal digits"),
            Self::OptionalFields => f.write_str("optional fields are not supported"),
        }
    }
}

/// Appends a record.
pub fn encode(message: &QueuedMessage<'_>, due: i64, out: &mut Vec<u8>) {
    let length = HEAD + message.body.len();
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&message.head.timestamp.to_be_bytes());
    out.extend_from_slice(&message.head.attempts.to_be_bytes());
    out.extend_from_slice(&MessageId::from_u64(message.head.id).0);
    out.extend_from_slice(&due.to_be_bytes());
    out.extend_from_slice(&0_u16.to_be_bytes());
    out.extend_from_slice(message.body);
}

/// Reads a body whose messages may have up to `max_size` bytes each.
///
/// # Errors
/// [`BadBody`].
pub fn parse(bytes: &[u8], max_size: usize) -> Result<Parcel, BadBody> {
    let (mut bodies, mut heads, mut due) = (BatchBuilder::default(), Vec::new(), Vec::new());
    bodies.reserve(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or(BadBody::Truncated)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| BadBody::Truncated)?;
        let (record, behind) = behind.split_at_checked(length).ok_or(BadBody::Truncated)?;
        rest = behind;
        let (head, at, body) = fields(record)?;
        if body.is_empty() || body.len() > max_size {
            return Err(BadBody::Size(body.len()));
        }
        if at > 0 {
            due.push((head.id, at));
        }
        heads.push(head);
        bodies.push(body);
    }
    if heads.is_empty() {
        return Err(BadBody::Truncated);
    }
    let block = Block::with_heads(&mut bodies, heads);
    Ok(Parcel {
        run: Run::whole(Arc::new(block)),
        due,
    })
}

fn fields(record: &[u8]) -> Result<(Head, i64, &[u8]), BadBody> {
    fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], BadBody> {
        let (field, rest) = bytes.split_first_chunk::<N>().ok_or(BadBody::Truncated)?;
        *bytes = rest;
        Ok(field)
    }
    let mut rest = record;
    let timestamp = i64::from_be_bytes(*take(&mut rest)?);
    let attempts = u16::from_be_bytes(*take(&mut rest)?);
    let id = MessageId(*take::<16>(&mut rest)?).to_u64().ok_or(BadBody::Id)?;
    let due = i64::from_be_bytes(*take(&mut rest)?);
    if u16::from_be_bytes(*take(&mut rest)?) > 0 {
        return Err(BadBody::OptionalFields);
    }
    let head = Head {
        id,
        timestamp,
        attempts,
    };
    Ok((head, due, rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(run: &Run, due: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        run.messages()
            .for_each(|message| encode(&message, due, &mut bytes));
        bytes
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_arrives(
            messages in prop::collection::vec(
                (any::<u64>(), any::<i64>(), any::<u16>(), prop::collection::vec(any::<u8>(), 1..40)), 1..20),
            due in any::<i64>(),
        ) {
            let mut bodies = BatchBuilder::default();
            let heads: Vec<Head> = messages.iter().map(|(id, timestamp, attempts, body)| {
                bodies.push(body);
                Head { id: *id, timestamp: *timestamp, attempts: *attempts }
            }).collect();
            let run = Run::whole(Arc::new(Block::with_heads(&mut bodies, heads)));
            let parcel = parse(&encoded(&run, due), 40).unwrap();
            let read = |run: &Run| -> Vec<(Head, Vec<u8>)> {
                run.messages().map(|m| (m.head, m.body.to_vec())).collect()
            };
            prop_assert_eq!(read(&parcel.run), read(&run));
            prop_assert_eq!(parcel.due.len(), if due > 0 { messages.len() } else { 0 });
        }

        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, 100);
        }
    }

    #[test]
    fn each_kind_of_bad_body_is_refused() {
        let mut bodies = BatchBuilder::default();
        bodies.push(b"body");
        let head = Head {
            id: 1,
            timestamp: 2,
            attempts: 3,
        };
        let bytes = encoded(
            &Run::whole(Arc::new(Block::with_heads(&mut bodies, vec![head]))),
            0,
        );
        let bad = |bytes: &[u8], max| parse(bytes, max).unwrap_err();
        for cut in [0, 3, 10, bytes.len() - 1] {
            assert_eq!(bad(&bytes[..cut], 100), BadBody::Truncated, "{cut}");
        }
        assert_eq!(bad(&bytes, 3), BadBody::Size(4));
        let mut strange = bytes.clone();
        strange[14] = b'x';
        assert_eq!(bad(&strange, 100), BadBody::Id);
        let mut fields = bytes;
        fields[39] = 1;
        assert_eq!(bad(&fields, 100), BadBody::OptionalFields);
    }
}
