//! The JSON of `IDENTIFY` between a client and nsqd (nsqd spec 2.1 and 2.2).

use crate::go_json::{self, boolean, integer, read_object, string};
use serde::Serialize;
use std::fmt;

/// What a client says of itself and asks for. Every field is as sent; 0, `false` and `""` are the values of absent keys.
/// Ranges are the server's business, not checked here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IdentifyRequest {
    /// Name of the client, shown in stats.
    pub client_id: String,
    /// Host of the client, shown in stats.
    pub hostname: String,
    /// Library and version, shown in stats.
    pub user_agent: String,
    /// Whether the answer is JSON and upgrades are possible.
    pub feature_negotiation: bool,
    /// Milliseconds between heartbeats; -1 none, 0 the server's default.
    pub heartbeat_interval: i64,
    /// Bytes; -1 unbuffered, 0 the server's default.
    pub output_buffer_size: i64,
    /// Milliseconds; -1 none, 0 the server's default.
    pub output_buffer_timeout: i64,
    /// Ask for TLS.
    pub tls_v1: bool,
    /// Ask for snappy.
    pub snappy: bool,
    /// Ask for deflate.
    pub deflate: bool,
    /// 1 (fast) to 9 (small); 0 the server's default.
    pub deflate_level: i64,
    /// Percent of the messages to deliver; 0 all.
    pub sample_rate: i32,
    /// Milliseconds until an unanswered message is queued again; 0 the server's default.
    pub msg_timeout: i64,
    /// Where the client runs.
    pub topology_region: String,
    /// Where in the region the client runs.
    pub topology_zone: String,
}

/// The body of `IDENTIFY` is not the JSON object it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadIdentify;

impl fmt::Display for BadIdentify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the IDENTIFY body is not a JSON object with values of the expected types")
    }
}

impl std::error::Error for BadIdentify {}

impl IdentifyRequest {
    /// Reads the body of `IDENTIFY`. Unknown keys are ignored, keys match in any letter case.
    ///
    /// # Errors
    /// [`BadIdentify`] when it is not one JSON object (or `null`) or a known key has the wrong type.
    pub fn parse(json: &[u8]) -> Result<Self, BadIdentify> {
        let mut r = Self::default();
        read_object(json, &mut |key, value| {
            match key {
                "client_id" => r.client_id = string(value)?,
                "hostname" => r.hostname = string(value)?,
                "user_agent" => r.user_agent = string(value)?,
                "feature_negotiation" => r.feature_negotiation = boolean(value)?,
                "heartbeat_interval" => r.heartbeat_interval = integer(value)?,
                "output_buffer_size" => r.output_buffer_size = integer(value)?,
                "output_buffer_timeout" => r.output_buffer_timeout = integer(value)?,
                "tls_v1" => r.tls_v1 = boolean(value)?,
                "snappy" => r.snappy = boolean(value)?,
                "deflate" => r.deflate = boolean(value)?,
                "deflate_level" => r.deflate_level = integer(value)?,
                "sample_rate" => {
                    r.sample_rate = integer(value)?.try_into().map_err(|_| go_json::Malformed)?;
                }
                "msg_timeout" => r.msg_timeout = integer(value)?,
                "topology_region" => r.topology_region = string(value)?,
                "topology_zone" => r.topology_zone = string(value)?,
                _ => {}
            }
            Ok(())
        })
        .map_err(|_| BadIdentify)?;
        Ok(r)
    }
}

/// What was agreed, in the key order of the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdentifyResponse {
    /// Largest RDY count the server takes.
    pub max_rdy_count: i64,
    /// Protocol level of the server, `1.3.0`.
    pub version: &'static str,
    /// Milliseconds a message can be kept in flight by TOUCH.
    pub max_msg_timeout: i64,
    /// Milliseconds until an unanswered message is queued again for this client.
    pub msg_timeout: i64,
    /// TLS follows.
    pub tls_v1: bool,
    /// Deflate follows.
    pub deflate: bool,
    /// Effective level, also when deflate does not follow.
    pub deflate_level: i64,
    /// Largest level the server takes.
    pub max_deflate_level: i64,
    /// Snappy follows.
    pub snappy: bool,
    /// Effective sample rate in percent, 0 all.
    pub sample_rate: i32,
    /// Whether `AUTH` must come before publishing and subscribing.
    pub auth_required: bool,
    /// Effective bytes, 1 when unbuffered.
    pub output_buffer_size: i64,
    /// Effective milliseconds, 0 when there is no timed flush.
    pub output_buffer_timeout: i64,
    /// The server's region.
    pub topology_region: String,
    /// The server's zone.
    pub topology_zone: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(json: &str) -> Result<IdentifyRequest, BadIdentify> {
        IdentifyRequest::parse(json.as_bytes())
    }

    #[test]
    fn nd_125_null_and_space_are_fine_other_documents_are_not() {
        for good in [
            "{}",
            "null",
            " {} \n",
            r#"{"client_id":null,"short_id":1,"long_id":[1]}"#,
        ] {
            assert_eq!(parse(good), Ok(IdentifyRequest::default()), "{good}");
        }
        for bad in ["", "[]", "{", "{} x", "\"a\"", "1", r#"{"client_id":1}"#] {
            assert_eq!(parse(bad), Err(BadIdentify), "{bad}");
        }
    }

    #[test]
    fn nd_126_integers_are_plain_and_fit() {
        for bad in ["\"1\"", "30000.0", "3e4", "9223372036854775808"] {
            assert_eq!(
                parse(&format!(r#"{{"heartbeat_interval":{bad}}}"#)),
                Err(BadIdentify),
                "{bad}"
            );
        }
        assert_eq!(parse(r#"{"sample_rate":2147483648}"#), Err(BadIdentify));
        assert_eq!(
            parse(r#"{"heartbeat_interval":-1}"#).unwrap().heartbeat_interval,
            -1
        );
    }

    #[test]
    fn nd_127_keys_match_in_any_case_and_the_last_wins() {
        let r = parse(r#"{"Feature_Negotiation":true,"client_id":"a","CLIENT_ID":"b"}"#).unwrap();
        assert!(r.feature_negotiation);
        assert_eq!(r.client_id, "b");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_and_never_a_panic(bytes: Vec<u8>) {
            let _ = IdentifyRequest::parse(&bytes);
        }
    }
}
