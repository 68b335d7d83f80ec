//! Asks the cluster. Every question goes to many at once, so that one silent upstream costs one time-out, not one per
//! upstream; who does not answer is a value in the result.

mod follow;
mod looks;
mod reason;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use nsq_http_api::client::{Cause, Client, Error, HeaderName, Relayed, Target};
use nsq_http_api::lifecycle::Lifecycle;
use nsq_http_api::lookupd::{Lookup, Nodes, Topics};
use nsq_http_api::nsqd::{Info, Stats};
use nsq_service::clock::Clock;
use nsq_service::http::{Method, encode_component};
pub(crate) use reason::plain_reason;

use crate::metrics::Metrics;
use crate::options::Sources;

/// Questions at one time. More would only fill memory with answers.
pub(crate) const PARALLEL: usize = 16;

/// Largest answer that is read: `/stats` of a node with 1000 topics of 10 channels has some 5 MiB.
pub(crate) const MAX_ANSWER: usize = 16 << 20;

const STATS: &str = "/stats?format=json&include_clients=false&include_mem=false";

/// What one upstream said.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    /// `host:port` of the upstream.
    pub(crate) address: String,
    pub(crate) result: Result<T, Error>,
}

impl<T> Answer<T> {
    /// The same with another result.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            address: self.address,
            result: self.result.map(change),
        }
    }
}

/// What an answer cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weight {
    pub(crate) bytes: usize,
    /// Time of a processor.
    pub(crate) parsing: Duration,
}

/// The configured upstreams.
pub(crate) struct Upstream {
    /// Can be replaced at run time. While there is one, nsqds are learned from them.
    lookupds: parking_lot::Mutex<Vec<String>>,
    nsqds: Vec<String>,
    client: Client,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    follows: follow::Follows,
}

impl Upstream {
    pub(crate) fn new(
        sources: Sources,
        client: Client,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (lookupds, nsqds) = match sources {
            Sources::Lookupds(lookupds) => (lookupds, Vec::new()),
            Sources::Nsqds(nsqds) => (Vec::new(), nsqds),
        };
        Self {
            lookupds: parking_lot::Mutex::new(lookupds),
            nsqds,
            client,
            clock,
            metrics,
            follows: follow::Follows::default(),
        }
    }

    pub(crate) fn sources(&self) -> Sources {
        let lookupds = self.lookupds.lock().clone();
        if lookupds.is_empty() {
            Sources::Nsqds(self.nsqds.clone())
        } else {
            Sources::Lookupds(lookupds)
        }
    }

    /// Asks these nsqlookupds from now on.
    pub(crate) fn set_lookupds(&self, lookupds: Vec<String>) {
        *self.lookupds.lock() = lookupds;
    }

    /// Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.unix_nanos() / 1_000_000_000
    }

    /// `/topics` of one nsqlookupd.
    pub(crate) async fn topics_of(&self, lookupd: String) -> Answer<Topics> {
        self.get("nsqlookupd", lookupd, "/topics".to_owned()).await
    }

    /// `/nodes` of one nsqlookupd.
    pub(crate) async fn nodes_of(&self, lookupd: String) -> Answer<Nodes> {
        self.get("nsqlookupd", lookupd, "/nodes".to_owned()).await
    }

    /// `/info` of one nsqd.
    pub(crate) async fn info_of(&self, nsqd: String) -> Answer<Info> {
        self.get("nsqd", nsqd, "/info".to_owned()).await
    }

    /// `/lifecycle` of one nsqd.
    pub(crate) async fn lifecycle_of(&self, nsqd: String) -> Answer<Lifecycle> {
        self.get("nsqd", nsqd, "/lifecycle".to_owned()).await
    }

    /// `/stats` of one nsqd, without clients.
    pub(crate) async fn stats_of(&self, nsqd: String) -> Answer<Stats> {
        self.weighed_stats_of(nsqd).await.0
    }

    /// The same, with what it cost.
    pub(crate) async fn weighed_stats_of(&self, nsqd: String) -> (Answer<Stats>, Weight) {
        self.weighed(nsqd, STATS.to_owned()).await
    }

    /// The JSON at `path` of one nsqd, with what it cost.
    async fn weighed<T: serde::de::DeserializeOwned>(
        &self,
        nsqd: String,
        path: String,
    ) -> (Answer<T>, Weight) {
        tracing::info!("CI: querying nsqd http://{nsqd}{path}");
        let began = self.clock.monotonic();
        let read = self.client.send(Method::GET, &nsqd, &path, Bytes::new()).await;
        let mut weight = Weight::default();
        let result = read.and_then(|bytes| {
            weight.bytes = bytes.len();
            let began = self.clock.monotonic();
            let parsed = serde_json::from_slice(&bytes);
            weight.parsing = self.clock.monotonic().saturating_sub(began);
            parsed.map_err(|error| Error {
                request: format!("GET http://{nsqd}{path}"),
                cause: Cause::Decode(error),
            })
        });
        self.record("nsqd", &nsqd, began, result.as_ref().err());
        let answer = Answer {
            address: nsqd,
            result,
        };
        (answer, weight)
    }

    /// `/topics` of every nsqlookupd.
    pub(crate) async fn lookupd_topics(&self, lookupds: &[String]) -> Vec<Answer<Topics>> {
        ask(lookupds, |address| self.topics_of(address)).await
    }

    /// `/nodes` of every nsqlookupd.
    pub(crate) async fn lookupd_nodes(&self, lookupds: &[String]) -> Vec<Answer<Nodes>> {
        ask(lookupds, |address| self.nodes_of(address)).await
    }

    /// `/lookup` of every nsqlookupd for one topic.
    pub(crate) async fn lookup(&self, lookupds: &[String], topic: &str) -> Vec<Answer<Lookup>> {
        let path = format!("/lookup?topic={}", encode_component(topic));
        ask(lookupds, |address| self.get("nsqlookupd", address, path.clone())).await
    }

    /// `/info` of nsqds.
    pub(crate) async fn nsqd_info(&self, nsqds: &[String]) -> Vec<Answer<Info>> {
        ask(nsqds, |address| self.info_of(address)).await
    }

    /// `/stats` of nsqds, without clients.
    pub(crate) async fn nsqd_stats(&self, nsqds: &[String]) -> Vec<Answer<Stats>> {
        ask(nsqds, |address| self.stats_of(address)).await
    }

    /// `/stats` of nsqds for one topic, or one channel of it with its clients.
    pub(crate) async fn topic_stats(
        &self,
        nsqds: &[String],
        topic: &str,
        channel: Option<&str>,
    ) -> Vec<Answer<Stats>> {
        let mut path = format!(
            "/stats?format=json&include_mem=false&topic={}",
            encode_component(topic)
        );
        match channel {
            Some(channel) => path.push_str(&format!("&channel={}", encode_component(channel))),
            None => path.push_str("&include_clients=false"),
        }
        ask(nsqds, |address| self.get("nsqd", address, path.clone())).await
    }

    /// `/stats` of one nsqd, with clients.
    pub(crate) async fn node_stats(&self, nsqd: String) -> Answer<Stats> {
        let path = "/stats?format=json&include_mem=false";
        self.get("nsqd", nsqd, path.to_owned()).await
    }

    /// POSTs `path` to upstreams of one kind; answers come in the order of the addresses.
    pub(crate) async fn post(
        &self,
        kind: &'static str,
        addresses: &[String],
        path: &str,
        body: Bytes,
    ) -> Vec<Answer<()>> {
        ask(addresses, |address| async {
            let began = self.clock.monotonic();
            tracing::info!("CI: querying {kind} http://{address}{path}");
            let result = self.client.post(&address, path, body.clone()).await;
            self.record(kind, &address, began, result.as_ref().err());
            Answer { address, result }
        })
        .await
    }

    /// The text at a URL that is no nsqd's and no nsqlookupd's.
    pub(crate) async fn fetch(&self, target: &Target) -> Result<Bytes, Error> {
        let answer = self.client.fetch(Method::GET, target, None, Bytes::new());
        answer.await
    }

    /// The answer of any status at a URL that is no nsqd's and no nsqlookupd's.
    pub(crate) async fn relay(
        &self,
        target: &Target,
        headers: &[(HeaderName, &str)],
    ) -> Result<Relayed, Error> {
        self.client.relay(target, headers).await
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn record(&self, kind: &'static str, address: &str, began: Duration, error: Option<&Error>) {
        let took = self.clock.monotonic().saturating_sub(began);
        self.metrics.asked(kind, address, error, took);
        if let Some(error) = error {
            tracing::warn!("CI: {error}");
        }
    }

    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        kind: &'static str,
        address: String,
        path: String,
    ) -> Answer<T> {
        tracing::info!("CI: querying {kind} http://{address}{path}");
        let began = self.clock.monotonic();
        let result = self.client.get(&address, &path).await;
        self.record(kind, &address, began, result.as_ref().err());
        Answer { address, result }
    }
}

/// Asks all addresses, at most [`PARALLEL`] at one time; answers come in the order of the addresses.
async fn ask<T, F>(addresses: &[String], question: impl Fn(String) -> F) -> Vec<Answer<T>>
where
    F: Future<Output = Answer<T>>,
{
    stream::iter(addresses.iter().cloned().map(question))
        .buffered(PARALLEL)
        .collect()
        .await
}
