//! The reference's JSON API (nsqadmin spec 8), reading part.

use std::sync::Arc;

use nsq_http_api::lookupd;
use nsq_service::build_info;
use nsq_service::http::{Failure, Reply, Request, StatusCode};
use serde::Serialize;

use crate::Shared;
use crate::model::{self, Node};
use crate::options::Sources;
use crate::upstream::Answer;

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
    let lookupds = match upstream.sources() {
        Sources::Nsqds(_) if inactive => {
            return Reply::json(&TopicsBody {
                topics: Inactive(Vec::new()),
                message: String::new(),
            });
        }
        Sources::Nsqds(nsqds) => {
            let answers = upstream.nsqd_stats(nsqds).await;
            let message = judge("nsqd", &[errors(&answers)], answers.len())?;
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
    let message = judge("nsqlookupd", &[errors(&answers)], answers.len())?;
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
    let mut found = Vec::new();
    for topic in names {
        let answers = upstream.lookup(lookupds, &topic).await;
        let known: Vec<_> = answers
            .into_iter()
            .filter_map(|answer| answer.result.ok())
            .collect();
        if known.iter().all(|lookup| lookup.producers.is_empty()) {
            let channels = model::union(known.into_iter().map(|lookup| lookup.channels));
            found.push((topic, channels));
        }
    }
    Reply::json(&TopicsBody {
        topics: Inactive(found),
        message,
    })
}

/// `GET /api/nodes`.
pub(crate) async fn nodes(shared: Arc<Shared>, _: Request) -> Result<Reply, Failure> {
    let upstream = &shared.upstream;
    let (nodes, message) = match upstream.sources() {
        Sources::Lookupds(lookupds) => {
            let answers = upstream.lookupd_nodes(lookupds).await;
            let message = judge("nsqlookupd", &[errors(&answers)], answers.len())?;
            (model::merge_nodes(&answers), message)
        }
        Sources::Nsqds(nsqds) => {
            let (infos, stats) = tokio::join!(upstream.nsqd_info(nsqds), upstream.nsqd_stats(nsqds));
            let message = judge("nsqd", &[errors(&infos), errors(&stats)], nsqds.len())?;
            (model::nodes_from_nsqds(&infos, &stats), message)
        }
    };
    Reply::json(&NodesBody { nodes, message })
}

/// Topics without producers and their channels, written as one object; no channels are `null`.
struct Inactive(Vec<(String, Vec<String>)>);

impl Serialize for Inactive {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nullable = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        serializer.collect_map(self.0.iter().map(|(topic, channels)| (topic, nullable(channels))))
    }
}

fn errors<T>(answers: &[Answer<T>]) -> Vec<String> {
    answers
        .iter()
        .filter_map(|answer| Some(answer.result.as_ref().err()?.to_string()))
        .collect()
}

/// The `message` of an answer: empty, or a warning that lists what failed.
///
/// # Errors
/// 502 if a step asked `asked` upstreams of `kind` and none answered.
fn judge(kind: &str, steps: &[Vec<String>], asked: usize) -> Result<String, Failure> {
    if let Some(all) = steps.iter().find(|errors| errors.len() >= asked) {
        let message = format!("UPSTREAM_ERROR: failed to query any {kind}: {}", all.join("\n"));
        return Err(Failure::new(StatusCode::BAD_GATEWAY, message));
    }
    let failed: Vec<String> = steps
        .iter()
        .filter(|errors| !errors.is_empty())
        .map(|errors| errors.join("\n"))
        .collect();
    Ok(if failed.is_empty() {
        String::new()
    } else {
        format!("WARNING: {}", failed.join("; "))
    })
}
