//! The wire formats of NSQ, both directions, without any I/O.
//!
//! Bytes in, values out (or "not enough yet"); values in, bytes out. Nothing here knows a socket, a clock, a
//! task or a daemon's state; whoever owns the buffer decides when to read more. Behaviour comes from the
//! black-box specification of nsqd (sections 1 and 2) and nsqlookupd (section 5).
//!
//! | module | what |
//! |---|---|
//! | [`name`] | topic and channel names: the only way from bytes to a name |
//! | [`message`] | message ids and the layout of a message |
//! | [`v2`] | the protocol between clients and nsqd: command lines, bodies, frames |
//! | [`identify`] | the JSON of `IDENTIFY`, request and answer |
//! | [`v1`] | the protocol between nsqd and nsqlookupd |
//! | [`error`] | the error codes of both protocols |
//!
//! ```text
//! V2, client to server:   NAME[ param[ param...]]\n [ int32 length | body ]
//! V2, server to client:   uint32 size (of what follows) | int32 frame type | data
//!   a message as data:    int64 timestamp ns | uint16 attempts | 16 bytes id | body
//! V1, nsqd to nsqlookupd: NAME[ param[ param...]]\n [ int32 length | body ]
//! V1, the answer:         int32 length | data                 (no frame type)
//! ```
//! All integers are big-endian.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

pub mod error;
mod go_json;
pub mod identify;
pub mod message;
pub mod name;
pub mod v1;
pub mod v2;

pub use error::ErrorCode;
pub use message::MessageId;
pub use name::{ChannelName, InvalidName, TopicName, quote};
