//! nsqlookupd: `/info`, `/lookup`, `/nodes`, `/topics`, `/channels` (nsqlookupd spec 7.2).
//!
//! A producer here is an nsqd that announced a topic.

use serde::{Deserialize, Serialize};

use crate::nullable;

/// `GET /info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Version of the reference's behaviour.
    pub version: String,
    /// Names of what this daemon can do beyond the reference; empty for the reference.
    #[serde(deserialize_with = "nullable")]
    pub extensions: Vec<String>,
    /// Version of our own release; absent in the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// `GET /topics`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Topics {
    /// Names.
    #[serde(deserialize_with = "nullable")]
    pub topics: Vec<String>,
}

/// `GET /channels`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Channels {
    /// Names.
    #[serde(deserialize_with = "nullable")]
    pub channels: Vec<String>,
}

/// `GET /lookup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lookup {
    /// All channels of the topic.
    #[serde(deserialize_with = "nullable")]
    pub channels: Vec<String>,
    /// Where consumers should connect to.
    #[serde(deserialize_with = "nullable")]
    pub producers: Vec<Producer>,
}

/// One nsqd of [`Lookup`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Producer {
    /// `ip:port` of its registration connection.
    pub remote_address: String,
    /// Host name of its machine.
    pub hostname: String,
    /// Host name or address to connect to, without a port.
    pub broadcast_address: String,
    /// Port of the TCP protocol.
    pub tcp_port: i64,
    /// Port of the HTTP API.
    pub http_port: i64,
    /// Its version.
    pub version: String,
    /// May be empty.
    pub topology_zone: String,
    /// May be empty.
    pub topology_region: String,
}

/// `GET /nodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Nodes {
    /// One per registration connection.
    #[serde(deserialize_with = "nullable")]
    pub producers: Vec<Node>,
}

/// One nsqd of [`Nodes`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Where it is.
    #[serde(flatten)]
    pub producer: Producer,
    /// Per topic: hidden from consumers. Never shorter than `topics`: the reference's nsqadmin relies on it.
    #[serde(deserialize_with = "nullable")]
    pub tombstones: Vec<bool>,
    /// Topics it announced.
    #[serde(deserialize_with = "nullable")]
    pub topics: Vec<String>,
}
