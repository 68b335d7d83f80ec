//! nsqd: `/info` and `/stats` (nsqd spec 6.4, 6.5, 11.1).

use serde::{Deserialize, Serialize};

use crate::lifecycle::Phase;
use crate::{is_false, is_zero, nullable};

/// `GET /info`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Version of the reference's behaviour.
    pub version: String,
    /// Host name or address that is announced.
    pub broadcast_address: String,
    /// Host name of the machine.
    pub hostname: String,
    /// Bound HTTP port; -1 for a Unix socket, 0 if HTTP is off.
    pub http_port: i32,
    /// Bound TCP port; -1 for a Unix socket.
    pub tcp_port: i32,
    /// Start of the process in Unix seconds.
    pub start_time: i64,
    /// Nanoseconds.
    pub max_heartbeat_interval: i64,
    /// Bytes.
    pub max_output_buffer_size: i64,
    /// Nanoseconds.
    pub max_output_buffer_timeout: i64,
    /// 1 to 9.
    pub max_deflate_level: i64,
    /// Configured zone, may be empty.
    pub topology_zone: String,
    /// Configured region, may be empty.
    pub topology_region: String,
    /// Names of what this nsqd can do beyond the reference; empty for the reference.
    #[serde(deserialize_with = "nullable")]
    pub extensions: Vec<String>,
    /// Absent in the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Version of our own release; absent in the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// `GET /stats?format=json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Version of the reference's behaviour.
    pub version: String,
    /// `OK` or `NOK - <error>`.
    pub health: String,
    /// Start of the process in Unix seconds.
    pub start_time: i64,
    /// Sorted by name; none if a filter names a missing topic.
    pub topics: Option<Vec<TopicStats>>,
    /// Absent when it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Connections that ever published; none when there are none or clients were excluded.
    pub producers: Option<Vec<ClientStats>>,
}

/// One topic of [`Stats`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicStats {
    /// Name.
    pub topic_name: String,
    /// Sorted by name.
    #[serde(deserialize_with = "nullable")]
    pub channels: Vec<ChannelStats>,
    /// Messages in the topic's own queue, memory and disk.
    pub depth: i64,
    /// Of these, on disk.
    pub backend_depth: i64,
    /// Messages published since the start.
    pub message_count: u64,
    /// Bytes published since the start.
    pub message_bytes: u64,
    /// No messages flow to channels.
    pub paused: bool,
    /// All channels together.
    pub e2e_processing_latency: Latency,
    /// Bytes of the bodies in the topic's own queue. This key and those that follow are not in the reference's answer
    /// (extensions spec 3.8).
    pub backlog_bytes: u64,
    /// Age of the oldest message in the topic's own queue.
    pub oldest_age_ms: u64,
    /// What a publish outlives: `memory` is what the reference promises.
    pub durability: String,
    /// Publishes are refused because a sync failed.
    pub read_only: bool,
}

/// One channel of [`TopicStats`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChannelStats {
    /// Name.
    pub channel_name: String,
    /// Messages waiting, memory and disk, without in-flight and deferred ones.
    pub depth: i64,
    /// Of these, on disk.
    pub backend_depth: i64,
    /// Delivered and not answered yet.
    pub in_flight_count: i64,
    /// Waiting for their time.
    pub deferred_count: i64,
    /// Messages that entered since the start.
    pub message_count: u64,
    /// Delivered within the zone.
    #[serde(skip_serializing_if = "is_zero")]
    pub zone_local_msg_count: u64,
    /// Delivered within the region.
    #[serde(skip_serializing_if = "is_zero")]
    pub region_local_msg_count: u64,
    /// Delivered beyond the region.
    #[serde(skip_serializing_if = "is_zero")]
    pub global_msg_count: u64,
    /// REQ commands since the start.
    pub requeue_count: u64,
    /// Deliveries that were not answered in time.
    pub timeout_count: u64,
    /// Consumers, also when clients are excluded.
    pub client_count: i64,
    /// Consumers; none when excluded.
    pub clients: Option<Vec<ClientStats>>,
    /// No deliveries.
    pub paused: bool,
    /// From publish to FIN.
    pub e2e_processing_latency: Latency,
    /// Bytes of the bodies of all messages that are not finished. This key and those that follow are not in the reference's
    /// answer (extensions spec 3.8).
    pub backlog_bytes: u64,
    /// Age of the oldest message that is not finished and not deferred by its publisher.
    pub oldest_age_ms: u64,
    /// FIN commands since the start.
    pub finish_count: u64,
    /// Messages that were given up and are kept for a look.
    pub dead_letter_count: u64,
    /// Messages that went without FIN: no room in an ephemeral queue, or left out by a sample rate.
    pub drop_count: u64,
}

/// One connection: a consumer of a channel, or a producer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientStats {
    /// From IDENTIFY, else the peer's IP.
    pub client_id: String,
    /// From IDENTIFY, else the peer's IP.
    pub hostname: String,
    /// Always `V2`.
    pub version: String,
    /// `ip:port`; `@` for a Unix socket.
    pub remote_address: String,
    /// State number of nsqd spec 3.2.
    pub state: i32,
    /// RDY in force.
    pub ready_count: i64,
    /// Delivered to it and not answered.
    pub in_flight_count: i64,
    /// Delivered to it.
    pub message_count: u64,
    /// Delivered within the zone.
    #[serde(skip_serializing_if = "is_zero")]
    pub zone_local_msg_count: u64,
    /// Delivered within the region.
    #[serde(skip_serializing_if = "is_zero")]
    pub region_local_msg_count: u64,
    /// Delivered beyond the region.
    #[serde(skip_serializing_if = "is_zero")]
    pub global_msg_count: u64,
    /// FIN commands.
    pub finish_count: u64,
    /// REQ commands.
    pub requeue_count: u64,
    /// Start of the connection in Unix seconds.
    pub connect_ts: i64,
    /// Percent of messages it wants; 0 for all.
    pub sample_rate: i32,
    /// Compresses with deflate.
    pub deflate: bool,
    /// Compresses with snappy.
    pub snappy: bool,
    /// As it called itself.
    pub user_agent: String,
    /// Gave a valid secret.
    #[serde(skip_serializing_if = "is_false")]
    pub authed: bool,
    /// Who the auth server says it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_identity: String,
    /// Link to that identity.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_identity_url: String,
    /// As sent by the client.
    pub topology_zone: String,
    /// As sent by the client.
    pub topology_region: String,
    /// What it published; absent when nothing.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub pub_counts: Vec<PubCount>,
    /// Uses TLS.
    pub tls: bool,
    /// Cipher suite, empty without TLS.
    pub tls_cipher_suite: String,
    /// `TLS1.2` and so on, empty without TLS.
    pub tls_version: String,
    /// Always empty.
    pub tls_negotiated_protocol: String,
    /// True with TLS.
    pub tls_negotiated_protocol_is_mutual: bool,
}

/// Messages that a client published to one topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PubCount {
    /// Topic name.
    pub topic: String,
    /// Messages.
    pub count: u64,
}

/// Quantiles of the time from publish to FIN.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Samples in the window.
    pub count: i64,
    /// In configured order; none when switched off.
    pub percentiles: Option<Vec<Quantile>>,
}

/// One quantile of [`Latency`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quantile {
    /// In (0, 1].
    pub quantile: f64,
    /// Nanoseconds.
    pub value: f64,
}

/// Numbers of the reference's heap; ours are the nearest equivalents or 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Live objects.
    pub heap_objects: u64,
    /// Bytes held but unused.
    pub heap_idle_bytes: u64,
    /// Bytes in use.
    pub heap_in_use_bytes: u64,
    /// Bytes given back.
    pub heap_released_bytes: u64,
    /// Microseconds.
    pub gc_pause_usec_100: u64,
    /// Microseconds.
    pub gc_pause_usec_99: u64,
    /// Microseconds.
    pub gc_pause_usec_95: u64,
    /// Bytes.
    pub next_gc_bytes: u64,
    /// Runs.
    pub gc_total_runs: u32,
}
