//! `POST /evacuate`: messages of a node that is being emptied (operator spec 6.3).

use super::{State, refusal};
use crate::broker::Refused;
use crate::evacuation::records::{BadBody, parse};
use crate::lifecycle::Phase;
use nsq_protocol::{ChannelName, TopicName};
use nsq_service::http::{BodyError, Failure, Reply, Request};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Accepted {
    accepted: usize,
}

/// Takes all messages of the body, or none.
pub(super) async fn evacuate(state: Arc<State>, mut request: Request) -> Result<Reply, Failure> {
    let options = &state.broker.options;
    if state.lifecycle.phase() != Phase::Active {
        return Err(refusal(&Refused::Draining));
    }
    let query = request.query()?;
    let topic = query.get("topic").unwrap_or_default();
    if topic.is_empty() {
        return Err(Failure::bad_request("MISSING_ARG_TOPIC"));
    }
    let lasting = TopicName::parse(topic.as_bytes())
        .ok()
        .filter(|name| !name.is_ephemeral());
    let topic = lasting.ok_or_else(|| Failure::bad_request("INVALID_TOPIC"))?;
    let channel = match query.get("channel").filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => {
            let lasting = ChannelName::parse(name.as_bytes())
                .ok()
                .filter(|name| !name.is_ephemeral());
            Some(lasting.ok_or_else(|| Failure::bad_request("INVALID_ARG_CHANNEL"))?)
        }
    };
    let paused = query.get("paused") == Some("true");
    let bound = u64::try_from(options.max_body_size).unwrap_or(0);
    let body = request.body.read(bound).await.map_err(|e| match e {
        BodyError::TooLarge(_) => Failure::too_large("BODY_TOO_BIG"),
        BodyError::Stalled(_) | BodyError::Broken(_) => Failure::internal(&e),
    })?;
    let most = usize::try_from(options.max_msg_size).unwrap_or(usize::MAX);
    let bad = |why: BadBody| Failure::bad_request("BAD_BODY").detail(why.to_string());
    let parcel = parse(&body, most).map_err(bad)?;
    let taken = state
        .broker
        .receive(&topic, channel.as_ref(), paused, parcel)
        .await;
    let accepted = taken.map_err(|refused| refusal(&refused))?;
    Reply::json(&Accepted { accepted })
}
