//! What is asked of the daemons over HTTP, as a trait, and its real form. Source: operator spec 6.
//!
//! It knows addresses and documents; what an answer means is the plan's business. No request is repeated here: the next pass
//! asks again.

use std::time::Duration;

use nsq_http_api::client::{Cause, Client, Error, authority};
use nsq_http_api::lifecycle::{Lifecycle, LifecycleRequest};
use nsq_http_api::lookupd::Nodes;
use nsq_http_api::nsqd::{Info, Stats};
use nsq_service::http::{Method, encode_component};

use crate::api::LogLevel;
use crate::plan::{Address, Facts, NO_READY, NodeRequest, RegistryRequest};

/// Why a daemon did not do what was asked: text for people.
pub type Failure = String;

/// Time to connect. Source: operator spec 6.1.
const CONNECT: Duration = Duration::from_secs(1);
/// Time for one request.
const REQUEST: Duration = Duration::from_secs(2);
/// Largest answer.
const MAX_BODY: usize = 32 << 20;

/// The daemons, as a world asks them. `at` is `host:port` of an HTTP API.
pub trait Daemons: Send + Sync {
    /// Whether the daemon is ready, by `/ready` or `/ping` as `path` says. The error is what it said.
    fn ready(&self, at: &str, path: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Everything a plan wants to know about an nsqd.
    fn facts(&self, at: &str) -> impl Future<Output = Result<Facts, Failure>> + Send;

    /// Messages on an nsqd, read at once before it goes.
    fn stats(&self, at: &str) -> impl Future<Output = Result<Stats, Failure>> + Send;

    /// Nodes an nsqlookupd knows.
    fn registered(&self, at: &str) -> impl Future<Output = Result<Vec<Address>, Failure>> + Send;

    /// Does what a plan asks of an nsqlookupd. What is gone already is success.
    fn ask_registry(
        &self,
        at: &str,
        request: &RegistryRequest,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Does what a plan asks of an nsqd. A fence has no HTTP form and succeeds at once.
    fn ask(&self, at: &str, request: &NodeRequest) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The real daemons.
#[derive(Clone, Debug)]
pub struct HttpDaemons {
    client: Client,
}

impl Default for HttpDaemons {
    fn default() -> Self {
        Self::with_timeout(REQUEST)
    }
}

impl HttpDaemons {
    /// Daemons that get `timeout` for each request.
    #[must_use]
    pub fn with_timeout(timeout: Duration) -> Self {
        Self {
            client: Client {
                connect_timeout: CONNECT.min(timeout),
                request_timeout: timeout,
                max_body: MAX_BODY,
                tls: None,
            },
        }
    }

    async fn info(&self, at: &str) -> Result<Info, Error> {
        self.client.nsqd_info(at).await
    }

    async fn lifecycle(&self, at: &str) -> Result<Lifecycle, Error> {
        self.client.get(at, "/lifecycle").await
    }

    async fn put_lifecycle(&self, at: &str, request: &LifecycleRequest) -> Result<(), Error> {
        let answer: Result<Lifecycle, Error> = self.client.put(at, "/lifecycle", request).await;
        answer.map(drop)
    }

    async fn post(&self, at: &str, path: &str, topic: &str, channel: Option<&str>) -> Result<(), Error> {
        let mut path = format!("{path}?topic={}", encode_component(topic));
        if let Some(channel) = channel {
            path.push_str("&channel=");
            path.push_str(&encode_component(channel));
        }
        self.client.post(at, &path, Vec::new().into()).await
    }

    async fn put_config(&self, at: &str, key: &str, value: String) -> Result<(), Error> {
        let path = format!("/config/{key}");
        self.client
            .send(Method::PUT, at, &path, value.into())
            .await
            .map(drop)
    }
}

impl Daemons for HttpDaemons {
    async fn ready(&self, at: &str, path: &str) -> Result<(), Failure> {
        let answer = self.client.send(Method::GET, at, path, Vec::new().into()).await;
        answer.map(drop).map_err(|error| match error.cause {
            Cause::Status { status: 404, .. } if path == "/ready" => NO_READY.to_owned(),
            Cause::Status { message, .. } => message,
            Cause::Connect(_) => "starting".to_owned(),
            cause => cause.to_string(),
        })
    }

    async fn facts(&self, at: &str) -> Result<Facts, Failure> {
        let text = |error: Error| error.to_string();
        let info = self.info(at).await.map_err(text)?;
        let lifecycle = if info.extensions.iter().any(|name| name == "lifecycle") {
            Some(self.lifecycle(at).await.map_err(text)?)
        } else {
            None
        };
        let lookupds: Option<Vec<String>> = self
            .client
            .get(at, "/config/nsqlookupd_tcp_addresses")
            .await
            .map_err(text)?;
        Ok(Facts {
            info,
            lifecycle,
            lookupds: lookupds.unwrap_or_default(),
            log_level: self.client.get(at, "/config/log_level").await.map_err(text)?,
            stats: self.stats(at).await?,
        })
    }

    async fn stats(&self, at: &str) -> Result<Stats, Failure> {
        self.client
            .nsqd_stats(at, false)
            .await
            .map_err(|error| error.to_string())
    }

    async fn registered(&self, at: &str) -> Result<Vec<Address>, Failure> {
        let nodes: Nodes = self
            .client
            .lookupd_nodes(at)
            .await
            .map_err(|error| error.to_string())?;
        let address = |node: nsq_http_api::lookupd::Node| Address {
            host: node.producer.broadcast_address,
            http_port: node.producer.http_port,
        };
        Ok(nodes.producers.into_iter().map(address).collect())
    }

    async fn ask_registry(&self, at: &str, request: &RegistryRequest) -> Result<(), Failure> {
        let done = match request {
            RegistryRequest::Tombstone { topic, node } => {
                let node = authority(&node.host, node.http_port);
                let (topic, node) = (encode_component(topic), encode_component(&node));
                let path = format!("/topic/tombstone?topic={topic}&node={node}");
                self.client.post(at, &path, Vec::new().into()).await
            }
            RegistryRequest::DeleteTopic(topic) => self.post(at, "/topic/delete", topic, None).await,
            RegistryRequest::DeleteChannel(topic, channel) => {
                self.post(at, "/channel/delete", topic, Some(channel)).await
            }
        };
        gone(done).map_err(|error| error.to_string())
    }

    async fn ask(&self, at: &str, request: &NodeRequest) -> Result<(), Failure> {
        let done = match request {
            // what a world does without the daemon
            NodeRequest::Fence(_) | NodeRequest::Restart => Ok(()),
            NodeRequest::Lifecycle(wanted) => self.put_lifecycle(at, wanted).await,
            NodeRequest::Lookupds(addresses) => {
                let list = serde_json::Value::from(addresses.clone()).to_string();
                self.put_config(at, "nsqlookupd_tcp_addresses", list).await
            }
            NodeRequest::LogLevel(level) => self.put_config(at, "log_level", level_text(*level)).await,
            NodeRequest::CreateTopic(topic) => self.post(at, "/topic/create", topic, None).await,
            NodeRequest::CreateChannel(topic, channel) => {
                self.post(at, "/channel/create", topic, Some(channel)).await
            }
            NodeRequest::PauseTopic(topic, paused) => {
                let path = if *paused { "/topic/pause" } else { "/topic/unpause" };
                self.post(at, path, topic, None).await
            }
            NodeRequest::PauseChannel(topic, channel, paused) => {
                let path = if *paused {
                    "/channel/pause"
                } else {
                    "/channel/unpause"
                };
                self.post(at, path, topic, Some(channel)).await
            }
            NodeRequest::DeleteTopic(topic) => gone(self.post(at, "/topic/delete", topic, None).await),
            NodeRequest::DeleteChannel(topic, channel) => {
                gone(self.post(at, "/channel/delete", topic, Some(channel)).await)
            }
        };
        done.map_err(|error| error.to_string())
    }
}

fn level_text(level: LogLevel) -> String {
    level.as_str().to_owned()
}

/// Nothing is left to delete where there is nothing.
fn gone(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(error) if matches!(error.cause, Cause::Status { status: 404, .. }) => Ok(()),
        done => done,
    }
}
