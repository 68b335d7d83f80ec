//! nsqd: receives, queues and delivers messages.
//!
//! | module | owns | refuses to know |
//! |---|---|---|
//! | [`session`] | one client connection: bytes in, commands, bytes out | other connections |
//! | [`auth`] | what the auth servers grant | connections, who asks |
//! | [`pictures`] | what `/stats` and statsd show | their formats |
//! | [`metrics`] | the page for Prometheus | who asks for it |
//! | [`statsd`] | counts and gauges on their way to a statsd server | HTTP |
//! | [`broker`] | the topic map; create, delete, pause, publish, subscribe | sockets, HTTP, JSON of the wire |
//! | [`topic`] | fan-out to channels; what waits while it cannot flow | consumers |
//! | [`channel`] | who gets a message, what is in flight, deferred or timed out | files, frames |
//! | [`deferrals`] | which messages in files are not to be delivered yet | files |
//! | [`evacuation`] | moves what nobody here will consume | who asks for it |
//! | [`queue`] | memory first, files after | what a message is for |
//! | [`disk_workers`] | the threads that serve queue files | whose files they are |
//! | [`block`] | messages in memory | where they are queued |
//! | [`latency`] | how long messages take | who measures |
//! | [`wheel`], [`timers`], [`parked`] | when something is due | what it is |
//! | [`places`] | who may have metrics of its own | what is counted |
//! | [`series`] | under what name the others are counted, and what they leave | how it is written |
//! | [`counters`] | what a node and a topic count | who shows it |
//! | [`cores`] | how many threads the processors are worth | what they do |
//! | [`program`] | the process: flags, runtime, signals, exit code | everything else |
//! | [`effects`], [`engine`] | what is left to do outside the locks, and who does it | why |
//!
//! Lock order: topic map, topic, channel, in-flight table, timer wheel; a file lock is taken with none of them held, and
//! an owner's lock may be taken under it. No lock is held across an await or a system call other than that of a file lock.

pub mod auth;
pub mod block;
pub mod broker;
pub mod channel;
pub mod client;
pub mod cores;
pub mod counters;
pub mod deferrals;
pub mod disk_workers;
pub mod effects;
pub mod engine;
pub mod evacuation;
pub mod health;
pub mod http;
pub mod join;
pub mod latency;
pub mod lifecycle;
pub mod lookup;
pub mod message_id;
pub mod metadata;
pub mod metrics;
pub mod options;
pub mod parked;
pub mod pictures;
pub mod places;
pub mod program;
pub mod queue;
pub mod series;
pub mod server;
pub mod session;
mod start;
pub mod statsd;
pub mod timers;
pub mod topic;
pub mod wheel;

pub use start::{Env, Nsqd};
