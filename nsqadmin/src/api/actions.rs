//! What changes the cluster (nsqadmin spec 8.8). Who may not act is refused before the body is read.

use std::sync::Arc;

use nsq_service::http::{BodyError, Failure, Reply, Request, StatusCode, encode_component};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::producers::producers;
use super::steps::Steps;
use crate::Shared;
use crate::notify::{Asker, Event};
use crate::options::Sources;

/// Longest body that is read.
const MAX_BODY: u64 = 1 << 20;

#[derive(Deserialize)]
struct Creation {
    topic: Option<String>,
    channel: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    action: Option<String>,
}

#[derive(Deserialize)]
struct Tombstone {
    topic: Option<String>,
}

#[derive(serde::Serialize)]
struct Outcome {
    message: String,
}

fn done(steps: &Steps) -> Result<Reply, Failure> {
    Reply::json(&Outcome {
        message: steps.message(),
    })
}

/// The first JSON value of the body.
async fn body<T: DeserializeOwned>(request: &mut Request) -> Result<T, Failure> {
    let bytes = request.body.read(MAX_BODY).await.map_err(|error| match error {
        BodyError::TooLarge(_) => Failure::too_large("INVALID_BODY"),
        BodyError::Stalled(_) | BodyError::Broken(_) => Failure::bad_request("INVALID_BODY"),
    })?;
    let mut values = serde_json::Deserializer::from_slice(&bytes).into_iter();
    match values.next() {
        None => Err(Failure::bad_request("EOF")),
        Some(value) => value.map_err(|error| Failure::new(StatusCode::BAD_REQUEST, error.to_string())),
    }
}

fn valid(name: &str, refusal: &'static str) -> Result<(), Failure> {
    if nsq_protocol::name::is_valid(name.as_bytes()) {
        Ok(())
    } else {
        Err(Failure::bad_request(refusal))
    }
}

impl Shared {
    fn asker(&self, request: &Request) -> Asker {
        Asker::of(request, self.access.user(request))
    }

    fn tell(&self, event: &Event<'_>, asker: &Asker) {
        if let Some(notifier) = &self.notifier {
            notifier.send(event, asker);
        }
    }

    async fn post_to_lookupds(&self, path: &str, steps: &mut Steps) {
        if let Sources::Lookupds(lookupds) = self.upstream.sources() {
            steps.write(&self.upstream.post("nsqlookupd", &lookupds, path).await);
        }
    }

    async fn post_to_nsqds(&self, addresses: &[String], path: &str, steps: &mut Steps) {
        steps.write(&self.upstream.post("nsqd", addresses, path).await);
    }

    /// Addresses of the nsqds that have a topic.
    async fn having(&self, topic: &str, steps: &mut Steps) -> Result<Vec<String>, Failure> {
        let found = producers(self, topic, steps).await?;
        Ok(found.into_iter().map(|producer| producer.address).collect())
    }
}

/// `/topic/<verb>?topic=<topic>`, or the same of a channel.
fn path_of(verb: &str, topic: &str, channel: Option<&str>) -> String {
    let topic = encode_component(topic);
    match channel.map(encode_component) {
        None => format!("/topic/{verb}?topic={topic}"),
        Some(channel) => format!("/channel/{verb}?topic={topic}&channel={channel}"),
    }
}

/// `POST /api/topics`
pub(crate) async fn create(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    shared.access.check(&request)?;
    let asker = shared.asker(&request);
    let wanted: Creation = body(&mut request).await?;
    let topic = wanted.topic.unwrap_or_default();
    let channel = wanted.channel.filter(|channel| !channel.is_empty());
    valid(&topic, "INVALID_TOPIC")?;
    if let Some(channel) = &channel {
        valid(channel, "INVALID_CHANNEL")?;
    }
    let mut steps = Steps::default();
    shared
        .post_to_lookupds(&path_of("create", &topic, None), &mut steps)
        .await;
    if let Some(channel) = &channel {
        let path = path_of("create", &topic, Some(channel));
        shared.post_to_lookupds(&path, &mut steps).await;
        if matches!(shared.upstream.sources(), Sources::Nsqds(_)) {
            // nothing to ask, as in the reference
            steps.read::<()>("nsqlookupd", &[])?;
        }
        let nsqds = shared.having(&topic, &mut steps).await?;
        shared.post_to_nsqds(&nsqds, &path, &mut steps).await;
    }
    let event = Event {
        action: "create_topic",
        topic: &topic,
        ..Event::default()
    };
    shared.tell(&event, &asker);
    if let Some(channel) = &channel {
        let event = Event {
            action: "create_channel",
            channel,
            ..event
        };
        shared.tell(&event, &asker);
    }
    done(&steps)
}

/// `POST /api/topics/:topic`
pub(crate) async fn act_on_topic(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    act(shared, request, false).await
}

/// `POST /api/topics/:topic/:channel`
pub(crate) async fn act_on_channel(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    act(shared, request, true).await
}

async fn act(shared: Arc<Shared>, mut request: Request, on_channel: bool) -> Result<Reply, Failure> {
    shared.access.check(&request)?;
    let asker = shared.asker(&request);
    let topic = request.param("topic").to_owned();
    let channel = request.param("channel").to_owned();
    let wanted: Action = body(&mut request).await?;
    let (verb, of_topic, of_channel) = match wanted.action.as_deref() {
        Some("pause") => ("pause", "pause_topic", "pause_channel"),
        Some("unpause") => ("unpause", "unpause_topic", "unpause_channel"),
        Some("empty") => ("empty", "empty_topic", "empty_channel"),
        _ => return Err(Failure::bad_request("INVALID_ACTION")),
    };
    let event = Event {
        action: if on_channel { of_channel } else { of_topic },
        topic: &topic,
        channel: &channel,
        node: "",
    };
    // told even if the action fails, as the reference does
    shared.tell(&event, &asker);
    let mut steps = Steps::default();
    let nsqds = shared.having(&topic, &mut steps).await?;
    let path = path_of(verb, &topic, on_channel.then_some(channel.as_str()));
    shared.post_to_nsqds(&nsqds, &path, &mut steps).await;
    done(&steps)
}

/// `DELETE /api/topics/:topic`
pub(crate) async fn delete_topic(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    delete(shared, request, "delete_topic", false).await
}

/// `DELETE /api/topics/:topic/:channel`
pub(crate) async fn delete_channel(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    delete(shared, request, "delete_channel", true).await
}

async fn delete(
    shared: Arc<Shared>,
    request: Request,
    action: &'static str,
    is_channel: bool,
) -> Result<Reply, Failure> {
    shared.access.check(&request)?;
    let (topic, channel) = (request.param("topic"), request.param("channel"));
    let mut steps = Steps::default();
    // Asked first: afterwards the nsqlookupds no longer know.
    let nsqds = shared.having(topic, &mut steps).await?;
    let path = path_of("delete", topic, is_channel.then_some(channel));
    shared.post_to_lookupds(&path, &mut steps).await;
    shared.post_to_nsqds(&nsqds, &path, &mut steps).await;
    let event = Event {
        action,
        topic,
        channel,
        node: "",
    };
    shared.tell(&event, &shared.asker(&request));
    done(&steps)
}

/// `DELETE /api/nodes/:node`: takes a topic away from one node.
pub(crate) async fn tombstone(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    shared.access.check(&request)?;
    let asker = shared.asker(&request);
    let node = request.param("node").to_owned();
    let wanted: Result<Tombstone, Failure> = body(&mut request).await;
    let topic = wanted.map_err(|_| Failure::bad_request("INVALID_BODY"))?.topic;
    let topic = topic.unwrap_or_default();
    valid(&topic, "INVALID_TOPIC")?;
    let mut steps = Steps::default();
    let base = path_of("tombstone", &topic, None);
    let path = format!("{base}&node={}", encode_component(&node));
    shared.post_to_lookupds(&path, &mut steps).await;
    let address = [node.clone()];
    let infos = shared.upstream.nsqd_info(&address).await;
    steps.read("nsqd", &infos)?;
    // To where it was found, not to where it says it is: that may be reachable for clients of the cluster only.
    shared
        .post_to_nsqds(&address, &path_of("delete", &topic, None), &mut steps)
        .await;
    let event = Event {
        action: "tombstone_topic_producer",
        topic: &topic,
        channel: "",
        node: &node,
    };
    shared.tell(&event, &asker);
    done(&steps)
}
