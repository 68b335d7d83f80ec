//! `GET` and `PUT /config/:opt` (nsqadmin spec 9): what is set, and the two things that can be set while it runs.

use std::sync::Arc;

use ipnet::IpNet;
use nsq_service::flags::{Rendered, Value};
use nsq_service::http::{BodyError, Failure, Reply, Request};
use nsq_service::listen::Peer;
use nsq_service::log::{self, Level};

use crate::Shared;
use crate::access::Role;
use crate::access::forbidden;

const LOOKUPDS: &str = "nsqlookupd_http_addresses";
const LOG_LEVEL: &str = "log_level";

/// Longest value that is read.
const MAX_VALUE: u64 = 1 << 20;

/// Headers that say where a request came from are not looked at: anybody can write them.
fn check_peer(allowed: Option<IpNet>, peer: Peer) -> Result<(), Failure> {
    let Some(net) = allowed else {
        return Ok(());
    };
    match peer {
        Peer::Tcp(address) if net.contains(&address.ip()) => Ok(()),
        Peer::Tcp(_) => Err(forbidden()),
        Peer::Unix => Err(Failure::bad_request("INVALID_REMOTE_ADDR")),
    }
}

fn shown(shared: &Shared, option: &str) -> Result<Reply, Failure> {
    let rendered = shared.values.lock().render(option);
    match rendered.ok_or_else(|| Failure::bad_request("INVALID_OPTION"))? {
        Rendered::Text(text) => Ok(Reply::text(text)),
        Rendered::Json(json) => Ok(Reply::json_bytes(json)),
    }
}

/// `GET /config/:opt`
pub(crate) async fn show(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    check_peer(shared.config_from, request.peer())?;
    shown(&shared, request.param("opt"))
}

/// `PUT /config/:opt`. Who may not act may not set anything either, beyond the reference's rule.
pub(crate) async fn change(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    check_peer(shared.config_from, request.peer())?;
    let who = shared.admit(&request, Role::Admin, "set_config").await?;
    let option = request.param("opt").to_owned();
    let body = request.body.read(MAX_VALUE).await.map_err(|error| match error {
        BodyError::TooLarge(_) => Failure::too_large("INVALID_VALUE"),
        BodyError::Stalled(_) | BodyError::Broken(_) => Failure::internal(&error),
    })?;
    if body.is_empty() {
        return Err(Failure::too_large("INVALID_VALUE"));
    }
    let invalid = || Failure::bad_request("INVALID_VALUE");
    match option.as_str() {
        LOOKUPDS => {
            let list: Vec<String> = serde_json::from_slice(&body).map_err(|_| invalid())?;
            // Under one lock, so that what is shown is what was set last.
            let mut values = shared.values.lock();
            values.set(LOOKUPDS, Value::Strings(list.clone()));
            shared.upstream.set_lookupds(list);
        }
        LOG_LEVEL => {
            let text = std::str::from_utf8(&body).map_err(|_| invalid())?;
            let level = Level::parse(text).map_err(|_| invalid())?;
            // "warning" is a name in log lines, not a value
            if text.eq_ignore_ascii_case("warning") {
                return Err(invalid());
            }
            let mut values = shared.values.lock();
            values.set(LOG_LEVEL, Value::Level(level));
            log::set_level(level);
        }
        _ => return Err(Failure::bad_request("INVALID_OPTION")),
    }
    shared
        .audit
        .noted(who, "set_config", option.clone(), String::new())
        .await;
    shown(&shared, &option)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// nsqadmin spec 14, case 58; over HTTP `options_are_shown_to_a_network_only` has it.
    #[test]
    fn na_058_options_are_for_peers_in_the_network() {
        let default = Some("127.0.0.1/8".parse().unwrap());
        let from = |address: &str| Peer::Tcp(address.parse().unwrap());
        for (allowed, peer, expected) in [
            (default, from("127.0.0.1:1"), Ok(())),
            (default, from("127.9.9.9:1"), Ok(())),
            (default, from("10.0.0.1:1"), Err(forbidden())),
            (default, from("[::1]:1"), Err(forbidden())),
            (
                default,
                Peer::Unix,
                Err(Failure::bad_request("INVALID_REMOTE_ADDR")),
            ),
            (None, from("[2001:db8::1]:1"), Ok(())),
            (None, Peer::Unix, Ok(())),
        ] {
            assert_eq!(check_peer(allowed, peer), expected, "{peer}");
        }
    }
}
