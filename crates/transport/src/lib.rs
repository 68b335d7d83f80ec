//! Compression of a connection, the same for both of its ends (nsqd spec 2.3 and 2.4).
//!
//! | module | what |
//! |---|---|
//! | [`codec`] | snappy's framing and raw deflate, bytes in and bytes out; pure |
//! | [`layered`] | a stream on which compression may lie |
//!
//! It knows streams and bytes, and neither frames nor commands nor what was agreed about them.

pub mod codec;
pub mod layered;

pub use codec::Codec;
pub use layered::Layered;
