//! A failed request in words for people.

use std::io::ErrorKind;

use nsq_http_api::client::{Cause, Error};

/// What happened, in a few words; the full text is [`Error`]'s own.
pub(crate) fn plain_reason(error: &Error) -> String {
    match &error.cause {
        Cause::Connect(error) => match error.kind() {
            ErrorKind::ConnectionRefused => "connection refused: nothing listens there".to_owned(),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "host unreachable".to_owned(),
            _ if error.raw_os_error().is_none() => "name not found".to_owned(),
            _ => "cannot connect".to_owned(),
        },
        Cause::Tls(why) => format!("no TLS: {why}"),
        Cause::Timeout(limit) => format!("no answer within {limit:?}"),
        Cause::Status { status: 403, .. } => "refused with 403: it may want TLS or a login".to_owned(),
        Cause::Status { status, .. } => format!("answered with status {status}"),
        Cause::TooLarge(_) => "its answer is too large".to_owned(),
        Cause::Decode(_) => "its answer is not understood: it may be something else".to_owned(),
        Cause::Http(_) => "the connection broke".to_owned(),
        Cause::Ended => "the stream of its events ended".to_owned(),
        Cause::Address(_) => "its address is not valid".to_owned(),
        Cause::Encode(_) => "the request cannot be written".to_owned(),
    }
}
