//! Messages from one nsqd to another while a node is emptied (operator spec 6.3).
//!
//! | module | what |
//! |---|---|
//! | [`records`] | the body of a request, pure |
//! | [`stuck`] | which queues nobody here will empty, and since when, pure |
//! | [`sender`] | moves what may go, from a draining node to its peers |
//!
//! The receiving side is [`Broker::receive`](crate::broker::Broker::receive).

pub mod records;
pub mod sender;
pub mod stuck;
