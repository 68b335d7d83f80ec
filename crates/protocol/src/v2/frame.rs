//! Frames from nsqd to a client: uint32 size, int32 type, data.

use crate::message::{HEADER_BYTES, MessageId};
use std::fmt;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// `OK`, `CLOSE_WAIT`, `_heartbeat_` or a JSON document.
    Response,
    /// `CODE description`.
    Error,
    /// A message, see [`crate::message::Message`].
    Message,
}

impl FrameType {
    const fn code(self) -> i32 {
        match self {
            Self::Response => 0,
            Self::Error => 1,
            Self::Message => 2,
        }
    }
}

/// One frame, borrowed from the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it carries.
    pub kind: FrameType,
    /// The data after the type.
    pub data: &'a [u8],
}

/// The bytes are not a frame that a client should take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The size is below 4 or above the reader's bound.
    Size(u32),
    /// The type is none of the three.
    Type(i32),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(n) => write!(f, "frame size {n} is out of bounds"),
            Self::Type(n) => write!(f, "frame type {n} is unknown"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Reads the frame at the front of `buf`, with the number of bytes it takes; `None` while it is incomplete.
///
/// # Errors
/// [`FrameError`]: the stream cannot be followed any further.
pub fn decode_frame(buf: &[u8], max_size: u32) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some((size, rest)) = buf.split_first_chunk() else {
        return Ok(None);
    };
    let size = u32::from_be_bytes(*size);
    if size < 4 || size > max_size {
        return Err(FrameError::Size(size));
    }
    let Ok(len) = usize::try_from(size) else {
        return Err(FrameError::Size(size));
    };
    let Some(frame) = rest.get(..len) else {
        return Ok(None);
    };
    let Some((code, data)) = frame.split_first_chunk() else {
        return Ok(None);
    };
    let kind = match i32::from_be_bytes(*code) {
        0 => FrameType::Response,
        1 => FrameType::Error,
        2 => FrameType::Message,
        other => return Err(FrameError::Type(other)),
    };
    Ok(Some((Frame { kind, data }, len.saturating_add(4))))
}

/// Appends a frame.
pub fn encode_frame(out: &mut Vec<u8>, kind: FrameType, data: &[u8]) {
    let size = u32::try_from(data.len().saturating_add(4)).unwrap_or(u32::MAX);
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&kind.code().to_be_bytes());
    out.extend_from_slice(data);
}

/// Bytes of a message frame before the body.
pub const MESSAGE_FRAME_HEADER_BYTES: usize = 8 + HEADER_BYTES;

/// Everything of a message frame but its body of `body_len` bytes, so that large bodies need not be copied behind it.
#[must_use]
pub fn encode_message_header(
    timestamp: i64,
    attempts: u16,
    id: MessageId,
    body_len: usize,
) -> [u8; MESSAGE_FRAME_HEADER_BYTES] {
    let size = u32::try_from(body_len.saturating_add(4 + HEADER_BYTES)).unwrap_or(u32::MAX);
    let mut out = [0; MESSAGE_FRAME_HEADER_BYTES];
    let parts: [&[u8]; 5] = [
        &size.to_be_bytes(),
        &FrameType::Message.code().to_be_bytes(),
        &timestamp.to_be_bytes(),
        &attempts.to_be_bytes(),
        &id.0,
    ];
    let mut rest: &mut [u8] = &mut out;
    for part in parts {
        if let Some((front, back)) = std::mem::take(&mut rest).split_at_mut_checked(part.len()) {
            front.copy_from_slice(part);
            rest = back;
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::message::Message;
    use proptest::prelude::*;

    #[test]
    fn nd_017_the_bytes_of_ok_and_of_a_heartbeat() {
        let mut out = Vec::new();
        encode_frame(&mut out, FrameType::Response, super::super::OK);
        assert_eq!(out, [0, 0, 0, 6, 0, 0, 0, 0, b'O', b'K']);
        out.clear();
        encode_frame(&mut out, FrameType::Response, super::super::HEARTBEAT);
        assert_eq!(&out[..8], [0, 0, 0, 15, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn a_message_frame_reads_back(timestamp: i64, attempts: u16, id: u64, body in prop::collection::vec(any::<u8>(), 1..200)) {
            let id = MessageId::from_u64(id);
            let mut out = encode_message_header(timestamp, attempts, id, body.len()).to_vec();
            out.extend_from_slice(&body);
            let (frame, taken) = decode_frame(&out, 1 << 20).unwrap().unwrap();
            prop_assert_eq!((frame.kind, taken), (FrameType::Message, out.len()));
            prop_assert_eq!(Message::decode(frame.data), Some(Message { timestamp, attempts, id, body: &body }));
        }

        #[test]
        fn any_bytes_are_an_answer_and_never_a_panic(bytes: Vec<u8>) {
            let _ = decode_frame(&bytes, 1 << 20);
        }
    }
}
