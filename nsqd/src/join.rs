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
/// Between two looks at whether consumers have come.
const LOOK: Duration = Duration::from_millis(100);

/// Copies the names, waits for consumers or until `deadline_ms`, and ends the phase. `begin_joining` was called.
pub async fn join(broker: Arc<Broker>, lookup: Arc<Lookup>, lifecycle: Arc<Lifecycle>, deadline_ms: i64) {
    let now_ms = || broker.engine.clock.unix_nanos() / 1_000_000;
    let connected_by = now_ms() + i64::try_from(LOOKUP_LIMIT.as_millis()).unwrap_or(0);
    while !lookup.all_identified() && now_ms() < connected_by.min(deadline_ms) {
        tokio::time::sleep(LOOK).await;
    }
    let known = lookup.ask_for_topics().await;
    let answered = known.is_some();
    copy(&broker, &lifecycle, known.unwrap_or_default()).await;
    let (stage, _) = lifecycle.stage();
    tracing::info!("JOIN: copied {stage:?}");
    while lifecycle.phase() == Phase::Joining && now_ms() < deadline_ms {
        if answered && lifecycle.waiting().is_empty() {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    if lifecycle.end_joining(now_ms()) {
        tracing::info!("JOIN: done");
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
    lifecycle.created(topics, channels);
}
