//! The join barrier: a node without topics copies the names that nsqlookupd knows and waits for their consumers before it says
//! that it is ready (operator spec 6.3). So no message is published to a node that a consumer has not discovered.

use crate::broker::Broker;
use crate::lifecycle::{Lifecycle, Phase};
use crate::lookup::Lookup;
use nsq_protocol::TopicName;
use std::sync::Arc;
use std::time::Duration;

/// How long an nsqlookupd may take to be connected.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at whether nsqlookupds or consumers have come.
const LOOK: Duration = Duration::from_millis(100);

/// Copies the names, waits for consumers at most for `limit`, and ends the phase. `begin_joining` was called.
pub async fn join(broker: Arc<Broker>, lookup: Arc<Lookup>, lifecycle: Arc<Lifecycle>, limit: Duration) {
    let waiting = async {
        copy(&broker, &lifecycle, known_topics(&lookup).await).await;
        while !lifecycle.waiting().is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let mut phases = lifecycle.phases();
    let how = tokio::select! {
        () = waiting => "every channel has a consumer",
        () = tokio::time::sleep(limit) => "no more time",
        _ = phases.wait_for(|phase| *phase != Phase::Joining) => "ended by a request",
    };
    tracing::info!("JOIN: done - {how}");
    lifecycle.end_joining(broker.engine.clock.unix_nanos() / 1_000_000);
}

/// What the nsqlookupds know, as soon as one of them answers; the others have a while to be asked with it.
async fn known_topics(lookup: &Lookup) -> Vec<TopicName> {
    let all = async {
        while !lookup.all_identified() {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(LOOKUP_LIMIT, all).await.is_err() {
        tracing::warn!("JOIN: not every nsqlookupd is connected");
    }
    loop {
        if let Some(names) = lookup.ask_for_topics().await {
            return names;
        }
        tokio::time::sleep(LOOK * 10).await;
    }
}

async fn copy(broker: &Arc<Broker>, lifecycle: &Lifecycle, names: Vec<TopicName>) {
    let mut channels = Vec::new();
    let mut topics = 0;
    for name in names {
        // Making a topic asks nsqlookupd for its channels and makes them.
        match broker.get_or_create_topic(&name).await {
            Ok(topic) => {
                topics += 1;
                channels.extend(topic.channels().iter().map(|c| (name.clone(), c.name().clone())));
            }
            Err(e) => tracing::error!("JOIN: failed to create topic({name}) - {e}"),
        }
    }
    tracing::info!("JOIN: copied {topics} topics with {} channels", channels.len());
    lifecycle.created(topics, channels);
}
