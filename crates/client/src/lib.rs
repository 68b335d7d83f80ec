//! Clients of nsqd: publish, and consume through discovery.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use nsq_client::{Config, Consumer, ConsumerOptions, Producer};
//!
//! let topic: nsq_client::TopicName = "orders".parse()?;
//! let producer = Producer::connect("127.0.0.1:4150", Config::default()).await?;
//! producer.publish(&topic, b"hello").await?;
//!
//! let mut options = ConsumerOptions::new(topic, "billing".parse()?);
//! options.lookupd_http_addresses = vec!["127.0.0.1:4161".to_owned()];
//! options.max_in_flight = 10;
//! let mut consumer = Consumer::start(options);
//! if let Some(delivery) = consumer.next().await {
//!     println!("{}", String::from_utf8_lossy(delivery.body()));
//!     delivery.finish().await;
//! }
//! consumer.close().await;
//! # Ok(()) }
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`connection`] | one TCP connection: frames in, commands out; no task |
//! | `stream` | what lies on the socket: TLS, snappy, deflate |
//! | `producer` | one task that writes publishes one behind the other and hands out the answers |
//! | `consumer` | one task that owns the set of connections, one task per connection |
//! | `discovery` | one round of look-ups |
//!
//! Everything is bounded: publishes under way ([`Producer`]), unanswered messages and their buffer
//! ([`ConsumerOptions::max_in_flight`]), frames ([`Config::max_frame_bytes`]), every wait. Nothing here knows how a daemon works
//! inside, and everything here works against Go NSQ as well.

mod config;
pub mod connection;
mod consumer;
mod discovery;
mod error;
mod producer;
mod stream;

pub use config::{Compression, Config, Secret};
pub use consumer::{Consumer, ConsumerOptions, ConsumerStatus, Delivery, NsqdStatus, Retry};
pub use error::Error;
pub use nsq_http_api::client::Tls;
pub use nsq_protocol::{ChannelName, InvalidName, TopicName};
pub use producer::Producer;
