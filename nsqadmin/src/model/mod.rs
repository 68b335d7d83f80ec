//! Answers of many upstreams as one picture. Pure.

mod merge;
mod records;
mod snapshot;
mod version;

pub(crate) use merge::{Node, merge_nodes, nodes_from_nsqds, union};
pub(crate) use records::{ChannelRecord, ClientRecord, Counts, Producer, TopicRecord, clients_of};
pub(crate) use snapshot::{Channel, NodeState, Snapshot, Sum, Topic, from_lookupds, from_nsqds};
pub(crate) use version::mark_out_of_date;

#[cfg(test)]
mod tests;
