//! The reference's JSON API (nsqadmin spec 8): lists here.
//!
//! | module | what |
//! |---|---|
//! | [`reads`] | one topic, channel or node, and the counter |
//! | [`actions`] | what changes the cluster |
//! | [`config`] | `/config` |
//! | [`graphite`] | a rate, asked from graphite |
//! | [`steps`] | what became of the questions to upstreams |
//! | [`producers`] | which nsqds have a topic |

mod actions;
mod config;
mod graphite;
mod producers;
mod reads;
mod steps;

use std::sync::Arc;

use nsq_http_api::lookupd;
use nsq_service::build_info;
use nsq_service::http::{Failure, Reply, Request};
use serde::Serialize;

pub(crate) use actions::{act_on_channel, act_on_topic, create, delete_channel, delete_topic, tombstone};
pub(crate) use config::{change as change_config, show as show_config};
pub(crate) use graphite::{Graphite, graphite, render};
pub(crate) use producers::producers;
pub(crate) use reads::{channel, counter, node, read_channel, topic};
pub(crate) use steps::{Call, Steps};

use crate::Shared;
use crate::model::{self, Node};
use crate::options::Sources;

/// `GET /info`.
pub(crate) fn info() -> Result<Reply, Failure> {
    Reply::json(&lookupd::Info {
        version: build_info::VERSION.to_owned(),
        extensions: vec!["metrics".to_owned()],
        release: Some(build_info::RELEASE.to_owned()),
    })
}

#[derive(Serialize)]
struct TopicsBody<T> {
    topics: T,
    message: String,
}

#[derive(Serialize)]
struct NodesBody {
    nodes: Vec<Node>,
    message: String,
}

/// `GET /api/topics[?inactive=true]`.
pub(crate) async fn topics(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let inactive = request.query()?.get("inactive") == Some("true");
    let upstream = &shared.upstream;
    let lookupds = &match upstream.sources() {
        Sources::Nsqds(_) if inactive => {
            return Reply::json(&TopicsBody {
                topics: Inactive(Vec::new()),
                message: String::new(),
            });
        }
        Sources::Nsqds(nsqds) => {
            let answers = upstream.nsqd_stats(&nsqds).await;
            let mut steps = Steps::default();
            steps.read("nsqd", &answers)?;
            let message = steps.message();
            let names = answers
                .into_iter()
                .filter_map(|answer| answer.result.ok()?.topics);
            let names = names.map(|topics| topics.into_iter().map(|topic| topic.topic_name).collect());
            return Reply::json(&TopicsBody {
                topics: model::union(names),
                message,
            });
        }
        Sources::Lookupds(lookupds) => lookupds,
    };
    let answers = upstream.lookupd_topics(lookupds).await;
    let mut steps = Steps::default();
    steps.read("nsqlookupd", &answers)?;
    let message = steps.message();
    let names = model::union(
        answers
            .into_iter()
            .filter_map(|answer| Some(answer.result.ok()?.topics)),
    );
    if !inactive {
        return Reply::json(&TopicsBody {
            topics: names,
            message,
        });
    }
    let found = inactive_of(&shared, lookupds, names).await;
    Reply::json(&TopicsBody {
        topics: Inactive(found),
        message,
    })
}

/// Those of `names` that no nsqd has, with their channels.
pub(crate) async fn inactive_of(
    shared: &Shared,
    lookupds: &[String],
    names: Vec<String>,
) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for topic in names {
        let answers = shared.upstream.lookup(lookupds, &topic).await;
        let known: Vec<_> = answers
            .into_iter()
            .filter_map(|answer| answer.result.ok())
            .collect();
        if known.iter().all(|lookup| lookup.producers.is_empty()) {
            let channels = model::union(known.into_iter().map(|lookup| lookup.channels));
            found.push((topic, channels));
        }
    }
    found
}

/// `GET /api/nodes`.
pub(crate) async fn nodes(shared: Arc<Shared>, _: Request) -> Result<Reply, Failure> {
    let mut steps = Steps::default();
    let nodes = node_list(&shared, &mut steps).await?;
    Reply::json(&NodesBody {
        nodes,
        message: steps.message(),
    })
}

/// Every nsqd that is known.
pub(crate) async fn node_list(shared: &Shared, steps: &mut Steps) -> Result<Vec<Node>, Failure> {
    let upstream = &shared.upstream;
    match upstream.sources() {
        Sources::Lookupds(lookupds) => {
            let answers = upstream.lookupd_nodes(&lookupds).await;
            steps.read("nsqlookupd", &answers)?;
            Ok(model::merge_nodes(&answers))
        }
        Sources::Nsqds(nsqds) => {
            let (infos, stats) = tokio::join!(upstream.nsqd_info(&nsqds), upstream.nsqd_stats(&nsqds));
            steps.read("nsqd", &infos)?;
            steps.read("nsqd", &stats)?;
            Ok(model::nodes_from_nsqds(&infos, &stats))
        }
    }
}

/// Topics without producers and their channels, written as one object; no channels are `null`.
struct Inactive(Vec<(String, Vec<String>)>);

impl Serialize for Inactive {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nullable = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        serializer.collect_map(self.0.iter().map(|(topic, channels)| (topic, nullable(channels))))
    }
}
