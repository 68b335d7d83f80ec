//! What changes the cluster (nsqadmin spec 8.8). Who may not act is refused before the body is read.

use std::sync::Arc;

use nsq_service::http::{BodyError, Failure, Reply, Request, StatusCode, encode_component};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::producers::producers;
use super::steps::Steps;
use crate::Shared;
use crate::access::Role;
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
    pub(crate) fn asker(&self, request: &Request) -> Asker {
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
    shared.access.check(&request, Role::Operator)?;
    let asker = shared.asker(&request);
    let wanted: Creation = body(&mut request).await?;
    let topic = wanted.topic.unwrap_or_default();
    let channel = wanted.channel.unwrap_or_default();
    done(&shared.create(&topic, &channel, &asker).await?)
}

impl Shared {
    /// Creates a topic, and a channel of it unless `channel` is empty.
    pub(crate) async fn create(&self, topic: &str, channel: &str, asker: &Asker) -> Result<Steps, Failure> {
        let channel = (!channel.is_empty()).then_some(channel);
        valid(topic, "INVALID_TOPIC")?;
        if let Some(channel) = channel {
            valid(channel, "INVALID_CHANNEL")?;
        }
        let mut steps = Steps::default();
        self.post_to_lookupds(&path_of("create", topic, None), &mut steps)
            .await;
        if channel.is_some() {
            let path = path_of("create", topic, channel);
            self.post_to_lookupds(&path, &mut steps).await;
            if matches!(self.upstream.sources(), Sources::Nsqds(_)) {
                // nothing to ask, as in the reference
                steps.read::<()>("nsqlookupd", &[])?;
            }
            let nsqds = self.having(topic, &mut steps).await?;
            self.post_to_nsqds(&nsqds, &path, &mut steps).await;
        }
        let event = Event {
            action: "create_topic",
            topic,
            ..Event::default()
        };
        self.tell(&event, asker);
        if let Some(channel) = channel {
            let event = Event {
                action: "create_channel",
                channel,
                ..event
            };
            self.tell(&event, asker);
        }
        Ok(steps)
    }

    /// Pauses, unpauses or empties a topic, or a channel of it, on every nsqd that has the topic.
    pub(crate) async fn act(
        &self,
        verb: &str,
        topic: &str,
        channel: Option<&str>,
        asker: &Asker,
    ) -> Result<Steps, Failure> {
        let (verb, of_topic, of_channel) = match verb {
            "pause" => ("pause", "pause_topic", "pause_channel"),
            "unpause" => ("unpause", "unpause_topic", "unpause_channel"),
            "empty" => ("empty", "empty_topic", "empty_channel"),
            _ => return Err(Failure::bad_request("INVALID_ACTION")),
        };
        let event = Event {
            action: if channel.is_some() { of_channel } else { of_topic },
            topic,
            channel: channel.unwrap_or_default(),
            node: "",
        };
        // told even if the action fails, as the reference does
        self.tell(&event, asker);
        let mut steps = Steps::default();
        let nsqds = self.having(topic, &mut steps).await?;
        self.post_to_nsqds(&nsqds, &path_of(verb, topic, channel), &mut steps)
            .await;
        Ok(steps)
    }

    /// Deletes a topic, or a channel of it, everywhere.
    pub(crate) async fn delete(
        &self,
        topic: &str,
        channel: Option<&str>,
        asker: &Asker,
    ) -> Result<Steps, Failure> {
        let mut steps = Steps::default();
        // Asked first: afterwards the nsqlookupds no longer know.
        let nsqds = self.having(topic, &mut steps).await?;
        let path = path_of("delete", topic, channel);
        self.post_to_lookupds(&path, &mut steps).await;
        self.post_to_nsqds(&nsqds, &path, &mut steps).await;
        let event = Event {
            action: if channel.is_some() {
                "delete_channel"
            } else {
                "delete_topic"
            },
            topic,
            channel: channel.unwrap_or_default(),
            node: "",
        };
        self.tell(&event, asker);
        Ok(steps)
    }

    /// Takes a topic away from one node.
    pub(crate) async fn tombstone(&self, topic: &str, node: &str, asker: &Asker) -> Result<Steps, Failure> {
        valid(topic, "INVALID_TOPIC")?;
        let mut steps = Steps::default();
        let base = path_of("tombstone", topic, None);
        let path = format!("{base}&node={}", encode_component(node));
        self.post_to_lookupds(&path, &mut steps).await;
        let address = [node.to_owned()];
        let infos = self.upstream.nsqd_info(&address).await;
        steps.read("nsqd", &infos)?;
        // To where it was found, not to where it says it is: that may be reachable for clients of the cluster only.
        self.post_to_nsqds(&address, &path_of("delete", topic, None), &mut steps)
            .await;
        let event = Event {
            action: "tombstone_topic_producer",
            topic,
            channel: "",
            node,
        };
        self.tell(&event, asker);
        Ok(steps)
    }
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
    shared.access.check(&request, Role::Operator)?;
    let asker = shared.asker(&request);
    let wanted: Action = body(&mut request).await?;
    let channel = on_channel.then(|| request.param("channel"));
    let verb = wanted.action.unwrap_or_default();
    if verb == "empty" {
        shared.access.check(&request, Role::Admin)?;
    }
    done(&shared.act(&verb, request.param("topic"), channel, &asker).await?)
}

/// `DELETE /api/topics/:topic`
pub(crate) async fn delete_topic(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    shared.access.check(&request, Role::Admin)?;
    let asker = shared.asker(&request);
    done(&shared.delete(request.param("topic"), None, &asker).await?)
}

/// `DELETE /api/topics/:topic/:channel`
pub(crate) async fn delete_channel(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    shared.access.check(&request, Role::Admin)?;
    let asker = shared.asker(&request);
    let channel = Some(request.param("channel"));
    done(&shared.delete(request.param("topic"), channel, &asker).await?)
}

/// `DELETE /api/nodes/:node`: takes a topic away from one node.
pub(crate) async fn tombstone(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    shared.access.check(&request, Role::Admin)?;
    let asker = shared.asker(&request);
    let wanted: Result<Tombstone, Failure> = body(&mut request).await;
    let topic = wanted.map_err(|_| Failure::bad_request("INVALID_BODY"))?.topic;
    done(
        &shared
            .tombstone(&topic.unwrap_or_default(), request.param("node"), &asker)
            .await?,
    )
}
