//! Which nsqds have a topic.

use std::collections::BTreeMap;

use nsq_http_api::client::authority;
use nsq_service::http::Failure;

use super::steps::Steps;
use crate::Shared;
use crate::model::{Producer, nodes_from_nsqds};
use crate::options::Sources;

/// The nsqds that have `topic`, sorted by key; none if it is known and nobody has it.
///
/// # Errors
/// 502 if no upstream answered, which for nsqlookupds includes that none knows the topic.
pub(crate) async fn producers(
    shared: &Shared,
    topic: &str,
    steps: &mut Steps,
) -> Result<Vec<Producer>, Failure> {
    let upstream = &shared.upstream;
    let found: Vec<Producer> = match upstream.sources() {
        Sources::Lookupds(lookupds) => {
            let answers = upstream.lookup(&lookupds, topic).await;
            steps.read("nsqlookupd", &answers)?;
            let known = answers.into_iter().filter_map(|answer| answer.result.ok());
            let known = known.flat_map(|lookup| lookup.producers);
            known
                .map(|producer| Producer {
                    key: authority(&producer.broadcast_address, producer.http_port),
                    address: authority(&producer.broadcast_address, producer.http_port),
                    hostname: producer.hostname,
                    zone: producer.topology_zone,
                    region: producer.topology_region,
                })
                .collect()
        }
        Sources::Nsqds(nsqds) => {
            let stats = upstream.topic_stats(&nsqds, topic, None).await;
            steps.read("nsqd", &stats)?;
            let mut having = Vec::new();
            for answer in stats {
                let topics = answer
                    .result
                    .as_ref()
                    .ok()
                    .and_then(|stats| stats.topics.as_ref());
                if topics.is_some_and(|topics| topics.iter().any(|own| own.topic_name == topic)) {
                    having.push(answer);
                }
            }
            let addresses: Vec<String> = having.iter().map(|answer| answer.address.clone()).collect();
            let infos = upstream.nsqd_info(&addresses).await;
            steps.warn(&infos);
            let nodes = nodes_from_nsqds(&infos, &having).into_iter();
            let answered = infos.iter().filter(|info| info.result.is_ok());
            nodes
                .zip(answered)
                .map(|(node, info)| Producer {
                    key: node.key(),
                    // the advertised address may be one that only clients of the cluster can reach
                    address: info.address.clone(),
                    hostname: node.hostname,
                    zone: node.topology_zone,
                    region: node.topology_region,
                })
                .collect()
        }
    };
    let once: BTreeMap<String, Producer> = found
        .into_iter()
        .map(|producer| (producer.key.clone(), producer))
        .collect();
    Ok(once.into_values().collect())
}
