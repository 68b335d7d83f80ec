//! nsqd.
pub mod block;
pub mod channel;
pub mod message_id;
pub mod wheel;
