//! Creates, deletes, empties and pauses topics and channels. Each error ladder is that of nsqd spec 6.2.

use super::{State, internal, refusal};
use crate::broker::Refused;
use crate::channel::Channel;
use crate::topic::Topic;
use nsq_protocol::name::is_valid;
use nsq_protocol::{ChannelName, TopicName};
use nsq_service::http::{Failure, Query, Reply, Request};
use nsq_storage::os_text;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

type Answer = Result<Reply, Failure>;

fn existing_topic(state: &State, query: &Query) -> Result<Arc<Topic>, Failure> {
    let name = query.require("topic", "MISSING_ARG_TOPIC")?;
    state
        .broker
        .topic(name)
        .ok_or_else(|| Failure::not_found("TOPIC_NOT_FOUND"))
}

fn valid_topic(query: &Query) -> Result<TopicName, Failure> {
    let name = query.require("topic", "MISSING_ARG_TOPIC")?;
    TopicName::parse(name.as_bytes()).map_err(|_| Failure::bad_request("INVALID_TOPIC"))
}

/// Topic and channel of a channel endpoint, checked in the order that clients know.
fn topic_and_channel(state: &State, query: &Query) -> Result<(Arc<Topic>, ChannelName), Failure> {
    let topic = query.require("topic", "MISSING_ARG_TOPIC")?;
    if !is_valid(topic.as_bytes()) {
        return Err(Failure::bad_request("INVALID_ARG_TOPIC"));
    }
    let channel = query.require("channel", "MISSING_ARG_CHANNEL")?;
    let channel =
        ChannelName::parse(channel.as_bytes()).map_err(|_| Failure::bad_request("INVALID_ARG_CHANNEL"))?;
    let topic = state
        .broker
        .topic(topic)
        .ok_or_else(|| Failure::not_found("TOPIC_NOT_FOUND"))?;
    Ok((topic, channel))
}

fn existing_channel(state: &State, query: &Query) -> Result<(Arc<Topic>, Arc<Channel>), Failure> {
    let (topic, name) = topic_and_channel(state, query)?;
    let channel = topic
        .channel(name.as_str())
        .ok_or_else(|| Failure::not_found("CHANNEL_NOT_FOUND"))?;
    Ok((topic, channel))
}

/// A node that is being emptied makes nothing new.
fn refuse_while_draining(state: &State, exists: bool) -> Result<(), Failure> {
    if state.broker.draining.load(Relaxed) && !exists {
        Err(refusal(&Refused::Draining))
    } else {
        Ok(())
    }
}

/// `POST /topic/create`
pub(super) async fn create_topic(state: Arc<State>, request: Request) -> Answer {
    let name = valid_topic(&request.query()?)?;
    refuse_while_draining(&state, state.broker.topic(name.as_str()).is_some())?;
    state
        .broker
        .get_or_create_topic(&name)
        .await
        .map_err(|e| internal(&e))?;
    Ok(Reply::empty())
}

/// `POST /topic/delete`
pub(super) async fn delete_topic(state: Arc<State>, request: Request) -> Answer {
    let topic = existing_topic(&state, &request.query()?)?;
    if let Err(e) = state.broker.delete_topic(&topic).await {
        tracing::error!(
            "TOPIC({}): failed to remove its files - {}",
            topic.name(),
            os_text(&e)
        );
    }
    Ok(Reply::empty())
}

/// `POST /topic/empty`
pub(super) async fn empty_topic(state: Arc<State>, request: Request) -> Answer {
    let query = request.query()?;
    valid_topic(&query)?;
    let topic = existing_topic(&state, &query)?;
    topic
        .empty(&state.broker.engine.workers)
        .await
        .map_err(|e| internal(&e))?;
    Ok(Reply::empty())
}

/// `POST /topic/pause` and `/topic/unpause`
pub(super) async fn pause_topic(state: Arc<State>, request: Request, paused: bool) -> Answer {
    let topic = existing_topic(&state, &request.query()?)?;
    state
        .broker
        .pause_topic(&topic, paused)
        .await
        .map_err(|e| internal(&e))?;
    Ok(Reply::empty())
}

/// `POST /channel/create`
pub(super) async fn create_channel(state: Arc<State>, request: Request) -> Answer {
    let (topic, name) = topic_and_channel(&state, &request.query()?)?;
    refuse_while_draining(&state, topic.channel(name.as_str()).is_some())?;
    let made = state
        .broker
        .get_or_create_channel(&topic, &name)
        .await
        .map_err(|e| internal(&e))?;
    made.map(|_| Reply::empty())
        .ok_or_else(|| Failure::not_found("TOPIC_NOT_FOUND"))
}

/// `POST /channel/delete`
pub(super) async fn delete_channel(state: Arc<State>, request: Request) -> Answer {
    let (topic, channel) = existing_channel(&state, &request.query()?)?;
    match state.broker.delete_channel(&topic, channel.name().as_str()).await {
        Ok(true) => {}
        Ok(false) => return Err(Failure::not_found("CHANNEL_NOT_FOUND")),
        Err(e) => tracing::error!(
            "CHANNEL({}): failed to remove its files - {}",
            channel.name(),
            os_text(&e)
        ),
    }
    Ok(Reply::empty())
}

/// `POST /channel/empty`
pub(super) async fn empty_channel(state: Arc<State>, request: Request) -> Answer {
    let (_, channel) = existing_channel(&state, &request.query()?)?;
    channel
        .empty(&state.broker.engine.workers)
        .await
        .map_err(|e| internal(&e))?;
    Ok(Reply::empty())
}

/// `POST /channel/pause` and `/channel/unpause`
pub(super) async fn pause_channel(state: Arc<State>, request: Request, paused: bool) -> Answer {
    let (_, channel) = existing_channel(&state, &request.query()?)?;
    state
        .broker
        .pause_channel(&channel, paused)
        .await
        .map_err(|e| internal(&e))?;
    Ok(Reply::empty())
}
