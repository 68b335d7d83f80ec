//! Answers of many upstreams as one picture, what is wrong in it, and what it was. Pure.
//!
//! | module | what |
//! |---|---|
//! | [`said`] | the answer of one nsqd, and its speeds |
//! | [`picture`] | collects answers, makes snapshots |
//! | [`snapshot`] | the cluster at one moment |
//! | [`history`] | the numbers over time |
//! | [`rules`] | what is wrong |
//! | [`merge`], [`records`] | lists and records of the JSON API |

mod history;
mod merge;
mod picture;
mod records;
mod rules;
mod said;
mod snapshot;
mod version;

pub(crate) use history::{Event, History, Metric, Of, Place, Point};
pub(crate) use merge::{Node, merge_nodes, nodes_from_nsqds, union};
pub(crate) use picture::{Heard, Picture};
pub(crate) use records::{
    ChannelRecord, ClientRecord, Counts, LatencyRecord, Percentile, Producer, TopicRecord, clients_of,
};
pub(crate) use rules::{Finding, RULES, Rule, Severity, Subject, Watch, of_channel, of_topic};
pub(crate) use said::{ChannelOn, Numbers, Rates, Said, TopicOn};
pub(crate) use snapshot::{Channel, NodeState, Snapshot, Source, Spread, Sum, Topic, Trouble};
pub(crate) use version::mark_out_of_date;

#[cfg(test)]
mod tests;
