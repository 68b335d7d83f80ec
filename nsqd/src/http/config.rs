//! `GET` and `PUT /config/:opt`: what is set, and the two things that can be set while it runs (nsqd spec 6.6).

use super::State;
use nsq_service::flags::{Rendered, Value};
use nsq_service::http::{BodyError, Failure, Reply, Request};
use nsq_service::log::{self, Level};
use std::sync::Arc;

const LOOKUPD: &str = "nsqlookupd_tcp_addresses";
const LOG_LEVEL: &str = "log_level";

fn shown(state: &State, option: &str) -> Result<Reply, Failure> {
    let rendered = state.values.lock().render(option);
    match rendered.ok_or_else(|| Failure::bad_request("INVALID_OPTION"))? {
        Rendered::Text(text) if text.is_empty() => Ok(Reply::empty()),
        Rendered::Text(text) => Ok(Reply::text(text)),
        Rendered::Json(json) => Ok(Reply::json_bytes(json)),
    }
}

/// `GET /config/:opt`
pub(super) async fn show(state: Arc<State>, request: Request) -> Result<Reply, Failure> {
    shown(&state, request.param("opt"))
}

/// `PUT /config/:opt`
pub(super) async fn change(state: Arc<State>, mut request: Request) -> Result<Reply, Failure> {
    let option = request.param("opt").to_owned();
    let limit = u64::try_from(state.broker.options.max_msg_size).unwrap_or(0);
    let body = request.body.read(limit).await.map_err(|e| match e {
        BodyError::TooLarge(_) => Failure::too_large("INVALID_VALUE"),
        BodyError::Stalled(_) | BodyError::Broken(_) => Failure::internal(&e),
    })?;
    if body.is_empty() {
        return Err(Failure::too_large("INVALID_VALUE"));
    }
    let invalid = || Failure::bad_request("INVALID_VALUE");
    match option.as_str() {
        LOOKUPD => {
            let list: Option<Vec<String>> = serde_json::from_slice(&body).map_err(|_| invalid())?;
            let list = list.unwrap_or_default();
            // Under one lock, so that what is shown is what was set last.
            let mut values = state.values.lock();
            values.set(LOOKUPD, Value::Strings(list.clone()));
            state.lookup.set_addresses(list);
        }
        LOG_LEVEL => {
            let text = std::str::from_utf8(&body).map_err(|_| invalid())?;
            let level = Level::parse(text).map_err(|_| invalid())?;
            let mut values = state.values.lock();
            values.set(LOG_LEVEL, Value::Level(level));
            log::set_level(level);
        }
        _ => return Err(Failure::bad_request("INVALID_OPTION")),
    }
    shown(&state, &option)
}
