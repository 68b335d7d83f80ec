//! The door before every page and every part of the API: who asks, and whether they may look at all.

use std::sync::Arc;

use nsq_service::http::header::WWW_AUTHENTICATE;
use nsq_service::http::{Reply, Request, StatusCode};

use super::basic::Wrong;
use super::{Identity, Role};
use crate::Shared;

const CHALLENGE: &str = r#"Basic realm="nsqadmin", charset="UTF-8""#;

fn refusal(status: StatusCode, text: &str) -> Reply {
    Reply::text(text).status(status)
}

/// Attaches the [`Identity`] of who asks.
///
/// # Errors
/// 421 for a name of ours that is not allowed, 401 for wrong credentials, 429 for too many of them, 403 for nobody's role.
pub(crate) async fn gate(shared: Arc<Shared>, mut request: Request) -> Result<Request, Reply> {
    let access = &shared.access;
    if !access.is_host(request.header("host").unwrap_or_default()) {
        let text = "This console is not known by that name: --allowed-host lists those that it is.";
        return Err(refusal(StatusCode::MISDIRECTED_REQUEST, text));
    }
    let header = request
        .header("authorization")
        .filter(|text| text.starts_with("Basic "));
    let identity = match (&shared.basic, header) {
        (Some(basic), Some(header)) => {
            let identity = basic.identify(header, request.peer()).await;
            identity.map_err(|wrong| match wrong {
                Wrong::Credentials => refusal(StatusCode::UNAUTHORIZED, "Wrong user or password.")
                    .header(WWW_AUTHENTICATE, CHALLENGE),
                Wrong::TooOften => refusal(
                    StatusCode::TOO_MANY_REQUESTS,
                    "Too many wrong passwords came from there. Try again in a minute.",
                ),
            })?
        }
        _ => access.of_headers(&request),
    };
    let identity = Identity {
        role: if access.is_read_only {
            identity.role.min(Role::Viewer)
        } else {
            identity.role
        },
        ..identity
    };
    if identity.role == Role::None {
        return Err(if shared.basic.is_some() {
            refusal(StatusCode::UNAUTHORIZED, "Log in to look at this console.")
                .header(WWW_AUTHENTICATE, CHALLENGE)
        } else {
            refusal(
                StatusCode::FORBIDDEN,
                "You have no role here, so you may not look: --default-role is none.",
            )
        });
    }
    request.attach(identity);
    Ok(request)
}
