//! `POST /pub` and `POST /mpub`: the same publish as over TCP, with the checks in the order of nsqd spec 6.3.

use super::{State, refusal};
use crate::block::BatchBuilder;
use crate::broker::Refused;
use crate::effects::Effects;
use crate::topic::Topic;
use nsq_protocol::TopicName;
use nsq_protocol::v2::{BatchDecoder, BatchError, BatchLimits, BatchStep};
use nsq_service::http::{BodyError, Failure, Query, Reply, Request};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

fn bound(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(0)
}

fn unreadable(error: &BodyError, too_large: &'static str) -> Failure {
    match error {
        BodyError::TooLarge(_) => Failure::too_large(too_large),
        BodyError::Stalled(_) | BodyError::Broken(_) => Failure::internal(error),
    }
}

/// The topic that the query names; made if there is none.
async fn topic(state: &State, query: &Query) -> Result<Arc<Topic>, Failure> {
    let name = query.require("topic", "MISSING_ARG_TOPIC")?;
    let name = TopicName::parse(name.as_bytes()).map_err(|_| Failure::bad_request("INVALID_TOPIC"))?;
    if state.broker.draining.load(Relaxed) && state.broker.topic(name.as_str()).is_none() {
        return Err(refusal(&Refused::Draining));
    }
    state
        .broker
        .get_or_create_topic(&name)
        .await
        .map_err(|e| refusal(&Refused::from(e)))
}

async fn accept(
    state: &State,
    topic: &Topic,
    batch: &mut BatchBuilder,
    delay: u64,
) -> Result<Reply, Failure> {
    if !batch.is_empty() {
        let mut effects = Effects::default();
        state
            .broker
            .publish(topic, batch, delay, &mut effects)
            .await
            .map_err(|e| refusal(&e))?;
    }
    Ok(Reply::text("OK"))
}

/// One message: the body.
pub(super) async fn publish(state: Arc<State>, mut request: Request) -> Result<Reply, Failure> {
    let limit = bound(state.broker.options.max_msg_size);
    let body = request
        .body
        .read(limit)
        .await
        .map_err(|e| unreadable(&e, "MSG_TOO_BIG"))?;
    if body.is_empty() {
        return Err(Failure::bad_request("MSG_EMPTY"));
    }
    let query = request.query()?;
    let topic = topic(&state, &query).await?;
    let max_ms = state.broker.options.max_req_timeout.as_millis();
    let delay_ms = match query.get("defer") {
        None => 0,
        Some(text) => text
            .parse::<i64>()
            .ok()
            .and_then(|ms| u64::try_from(ms).ok())
            .filter(|&ms| u128::from(ms) <= max_ms)
            .ok_or_else(|| Failure::bad_request("INVALID_DEFER"))?,
    };
    let mut batch = BatchBuilder::default();
    batch.push(&body);
    accept(&state, &topic, &mut batch, delay_ms.saturating_mul(1_000_000)).await
}

/// Several messages: lines, or the body of an `MPUB`.
pub(super) async fn publish_many(state: Arc<State>, mut request: Request) -> Result<Reply, Failure> {
    let options = &state.broker.options;
    let limit = bound(options.max_body_size);
    if request.body.content_length().is_some_and(|n| n > limit) {
        return Err(Failure::too_large("BODY_TOO_BIG"));
    }
    let query = request.query()?;
    let topic = topic(&state, &query).await?;
    let lines = matches!(query.get("binary"), None | Some("false" | "0"));
    if query
        .get("binary")
        .is_some_and(|v| !matches!(v, "true" | "1" | "false" | "0"))
    {
        tracing::warn!(
            "deprecated value used for /mpub binary param: {}",
            query.get("binary").unwrap_or("")
        );
    }
    let body = request
        .body
        .read(limit)
        .await
        .map_err(|e| unreadable(&e, "BODY_TOO_BIG"))?;
    let mut batch = if lines {
        split_lines(&body, options.max_msg_size)?
    } else {
        let limits = BatchLimits {
            max_count: (options.max_body_size - 4) / 5,
            max_size: options.max_msg_size,
        };
        decode(&body, limits)?
    };
    accept(&state, &topic, &mut batch, 0).await
}

fn split_lines(body: &[u8], max_msg_size: i64) -> Result<BatchBuilder, Failure> {
    let mut batch = BatchBuilder::default();
    batch.reserve(body.len());
    for line in body.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
        if line.len() as u64 > bound(max_msg_size) {
            return Err(Failure::too_large("MSG_TOO_BIG"));
        }
        batch.push(line);
    }
    Ok(batch)
}

fn decode(body: &[u8], limits: BatchLimits) -> Result<BatchBuilder, Failure> {
    let mut batch = BatchBuilder::default();
    let mut decoder = BatchDecoder::new(limits);
    let (_, step) = decoder.step(body, &mut batch);
    match step {
        BatchStep::Done => Ok(batch),
        BatchStep::Refused(BatchError::Count(_)) => Err(Failure::too_large("BAD_BODY")),
        BatchStep::More if decoder.at_count() => Err(Failure::too_large("BAD_BODY")),
        BatchStep::More | BatchStep::Refused(_) => Err(Failure::too_large("BAD_MESSAGE")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn nd_217_218_lines_are_messages_and_empty_ones_are_none() {
        let bodies = |text: &[u8]| split_lines(text, 3).map(|batch| batch.len());
        assert_eq!(bodies(b"a\nb\n\nc"), Ok(3));
        assert_eq!(bodies(b"a\n"), Ok(1));
        assert_eq!(bodies(b""), Ok(0));
        assert_eq!(bodies(b"a\nlong"), Err(Failure::too_large("MSG_TOO_BIG")));
    }

    #[test]
    fn nd_221_a_binary_body_is_checked_and_what_follows_it_ignored() {
        let limits = BatchLimits {
            max_count: 10,
            max_size: 3,
        };
        let message = |text: &'static str| Failure::too_large(text);
        let decode = |body: &[u8]| decode(body, limits).map(|batch| batch.len());
        assert_eq!(decode(&[0, 0, 0, 1, 0, 0, 0, 1, b'x', b'y']), Ok(1));
        for bad in [&[][..], &[0, 0, 0, 0], &[0xff; 4]] {
            assert_eq!(decode(bad), Err(message("BAD_BODY")), "{bad:?}");
        }
        for bad in [
            &[0, 0, 0, 1][..],
            &[0, 0, 0, 1, 0, 0, 0, 0],
            &[0, 0, 0, 1, 0, 0, 0, 9],
            &[0, 0, 0, 1, 0, 0, 0, 2, 1],
        ] {
            assert_eq!(decode(bad), Err(message("BAD_MESSAGE")), "{bad:?}");
        }
    }
}
