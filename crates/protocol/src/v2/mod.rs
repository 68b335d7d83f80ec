//! The protocol between clients and nsqd (nsqd spec 1).

pub mod batch;
pub mod command;
pub mod encode;
pub mod frame;

pub use batch::{BatchDecoder, BatchError, BatchLimits, BatchSink, BatchStep};
pub use command::{Command, Line, MAX_LINE_BYTES, Params, body_size, finish_line, parse_digits, parse_line};
pub use frame::{Frame, FrameError, FrameType, decode_frame, encode_frame, encode_message_header};

/// First bytes of a connection.
pub const MAGIC: &[u8; 4] = b"  V2";

/// The answer to a successful command.
pub const OK: &[u8] = b"OK";
/// The answer to `CLS`.
pub const CLOSE_WAIT: &[u8] = b"CLOSE_WAIT";
/// Sent every heartbeat interval, to be answered with any command.
pub const HEARTBEAT: &[u8] = b"_heartbeat_";
