//! What can be set. The flag table that fills it is in [`crate::flags`].

use std::time::Duration;

/// All options of one nsqd, checked.
#[derive(Clone, Debug)]
pub struct Options {
    /// Part of every message id, 0 to 1023.
    pub node_id: u16,
    /// Where `nsqd.dat` and the queue files are.
    pub data_path: std::path::PathBuf,
    /// Messages in memory, per topic and per channel.
    pub mem_queue_size: usize,
    /// Bytes of one queue file.
    pub max_bytes_per_file: u64,
    /// Reads and writes of a queue's files per sync.
    pub sync_every: u64,
    /// Longest time between a read or write of a queue's files and its sync.
    pub sync_timeout: Duration,
    /// How long a consumer may take for a message, unless it asks for something else.
    pub msg_timeout: Duration,
    /// How long a consumer may take with `TOUCH`, and the most it may ask for.
    pub max_msg_timeout: Duration,
    /// Largest message in bytes.
    pub max_msg_size: i64,
    /// Longest delay of `REQ` and `DPUB`.
    pub max_req_timeout: Duration,
    /// Largest body of `IDENTIFY`, `AUTH`, `MPUB` and `/mpub` in bytes.
    pub max_body_size: i64,
    /// Longest heartbeat interval a client may ask for.
    pub max_heartbeat_interval: Duration,
    /// Largest RDY count.
    pub max_rdy_count: i64,
    /// Largest output buffer a client may ask for, in bytes.
    pub max_output_buffer_size: i64,
    /// Longest output buffer time a client may ask for.
    pub max_output_buffer_timeout: Duration,
    /// Shortest output buffer time a client may ask for.
    pub min_output_buffer_timeout: Duration,
    /// Output buffer time of a client that does not ask.
    pub output_buffer_timeout: Duration,
    /// Consumers of one channel; 0 no limit.
    pub max_channel_consumers: usize,
    /// Reported to clients.
    pub max_deflate_level: i64,
    /// Reported to clients.
    pub topology_region: String,
    /// Reported to clients.
    pub topology_zone: String,
    /// How long a connection may take for its first 4 bytes; zero: for ever.
    pub magic_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node_id: 0,
            data_path: ".".into(),
            mem_queue_size: 10_000,
            max_bytes_per_file: 100 * 1024 * 1024,
            sync_every: 2500,
            sync_timeout: Duration::from_secs(2),
            msg_timeout: Duration::from_secs(60),
            max_msg_timeout: Duration::from_secs(15 * 60),
            max_msg_size: 1024 * 1024,
            max_req_timeout: Duration::from_secs(3600),
            max_body_size: 5 * 1024 * 1024,
            max_heartbeat_interval: Duration::from_secs(60),
            max_rdy_count: 2500,
            max_output_buffer_size: 64 * 1024,
            max_output_buffer_timeout: Duration::from_secs(30),
            min_output_buffer_timeout: Duration::from_millis(25),
            output_buffer_timeout: Duration::from_millis(250),
            max_channel_consumers: 0,
            max_deflate_level: 6,
            topology_region: String::new(),
            topology_zone: String::new(),
            magic_timeout: Duration::from_secs(300),
        }
    }
}
