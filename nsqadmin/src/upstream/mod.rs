//! Asks the cluster. Every question goes to many at once, so that one silent upstream costs one time-out, not one per
//! upstream; who does not answer is a value in the result.

mod reason;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use nsq_http_api::client::{Client, Error, Target};
use nsq_http_api::lookupd::{Lookup, Nodes, Topics};
use nsq_http_api::nsqd::{Info, Stats};
use nsq_service::clock::Clock;
use nsq_service::http::{Method, encode_component};
pub(crate) use reason::plain_reason;
use tokio::sync::Mutex;

use crate::metrics::Metrics;
use crate::model::{self, Snapshot};
use crate::options::Sources;

/// Questions at one time. More would only fill memory with answers.
const PARALLEL: usize = 16;

/// Largest answer that is read: `/stats` of a node with 1000 topics of 10 channels has some 5 MiB.
pub(crate) const MAX_ANSWER: usize = 16 << 20;

/// A picture of the cluster is used again for this long, so that many readers cost the cluster one question.
const FRESH: Duration = Duration::from_secs(1);

/// What one upstream said.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    /// `host:port` of the upstream.
    pub(crate) address: String,
    pub(crate) result: Result<T, Error>,
}

/// The configured upstreams.
pub(crate) struct Upstream {
    /// Can be replaced at run time. While there is one, nsqds are learned from them.
    lookupds: parking_lot::Mutex<Vec<String>>,
    nsqds: Vec<String>,
    client: Client,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    latest: Mutex<Option<(Duration, Arc<Snapshot>)>>,
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
            latest: Mutex::new(None),
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

    /// `/topics` of every nsqlookupd.
    pub(crate) async fn lookupd_topics(&self, lookupds: &[String]) -> Vec<Answer<Topics>> {
        ask(lookupds, |address| {
            self.get("nsqlookupd", address, "/topics".to_owned())
        })
        .await
    }

    /// `/nodes` of every nsqlookupd.
    pub(crate) async fn lookupd_nodes(&self, lookupds: &[String]) -> Vec<Answer<Nodes>> {
        ask(lookupds, |address| {
            self.get("nsqlookupd", address, "/nodes".to_owned())
        })
        .await
    }

    /// `/lookup` of every nsqlookupd for one topic.
    pub(crate) async fn lookup(&self, lookupds: &[String], topic: &str) -> Vec<Answer<Lookup>> {
        let path = format!("/lookup?topic={}", encode_component(topic));
        ask(lookupds, |address| self.get("nsqlookupd", address, path.clone())).await
    }

    /// `/info` of nsqds.
    pub(crate) async fn nsqd_info(&self, nsqds: &[String]) -> Vec<Answer<Info>> {
        ask(nsqds, |address| self.get("nsqd", address, "/info".to_owned())).await
    }

    /// `/stats` of nsqds, without clients.
    pub(crate) async fn nsqd_stats(&self, nsqds: &[String]) -> Vec<Answer<Stats>> {
        let path = "/stats?format=json&include_clients=false&include_mem=false";
        ask(nsqds, |address| self.get("nsqd", address, path.to_owned())).await
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
    pub(crate) async fn post(&self, kind: &'static str, addresses: &[String], path: &str) -> Vec<Answer<()>> {
        ask(addresses, |address| async {
            let began = self.clock.monotonic();
            tracing::info!("CI: querying {kind} http://{address}{path}");
            let result = self.client.post(&address, path, Bytes::new()).await;
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

    /// The cluster as it is now, or was at most a second ago.
    pub(crate) async fn snapshot(&self) -> Arc<Snapshot> {
        // held while asking: whoever comes meanwhile gets the same picture
        let mut latest = self.latest.lock().await;
        if let Some((at, snapshot)) = &*latest
            && self.clock.monotonic().saturating_sub(*at) < FRESH
        {
            return Arc::clone(snapshot);
        }
        let snapshot = Arc::new(self.read().await);
        *latest = Some((self.clock.monotonic(), Arc::clone(&snapshot)));
        snapshot
    }

    /// Asks anew at the next [`Self::snapshot`]: something was changed.
    pub(crate) async fn forget(&self) {
        *self.latest.lock().await = None;
    }

    async fn read(&self) -> Snapshot {
        match &self.sources() {
            Sources::Lookupds(lookupds) => {
                let (topics, nodes) =
                    tokio::join!(self.lookupd_topics(lookupds), self.lookupd_nodes(lookupds));
                let merged = model::merge_nodes(&nodes);
                let keys: Vec<String> = merged.iter().map(model::Node::key).collect();
                let stats = self.nsqd_stats(&keys).await;
                model::from_lookupds(&topics, &nodes, merged, stats)
            }
            Sources::Nsqds(nsqds) => {
                let (infos, stats) = tokio::join!(self.nsqd_info(nsqds), self.nsqd_stats(nsqds));
                model::from_nsqds(&infos, stats)
            }
        }
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
