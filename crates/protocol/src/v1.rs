//! The protocol between nsqd (client) and nsqlookupd (server), and every answer's frame (nsqlookupd spec 5).

use crate::go_json::{self, integer, read_object, string};
use serde::{Deserialize, Serialize};

/// First bytes of a connection.
pub const MAGIC: &[u8; 4] = b"  V1";

/// A request line. Names are raw: whether they are valid is the server's check, in the server's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Keep alive; refreshes the producer's last update.
    Ping,
    /// A body with [`PeerInfo`] follows: int32 length, then the bytes.
    Identify,
    /// Announce a topic, or a topic and one of its channels.
    Register(Params<'a>),
    /// Take back what `REGISTER` announced.
    Unregister(Params<'a>),
    /// Anything else, with its first word.
    Unknown(&'a [u8]),
}

/// Topic and channel of `REGISTER` and `UNREGISTER`, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params<'a> {
    /// `None` when the line has no parameter at all.
    pub topic: Option<&'a [u8]>,
    /// `None` when there is no second parameter.
    pub channel: Option<&'a [u8]>,
}

/// Reads one request line, without its newline. White space around it is ignored.
#[must_use]
pub fn parse_line(line: &[u8]) -> Command<'_> {
    let mut words = line.trim_ascii().split(|&b| b == b' ');
    let name = words.next().unwrap_or_default();
    let params = Params {
        topic: words.next(),
        channel: words.next(),
    };
    match name {
        b"PING" => Command::Ping,
        b"IDENTIFY" => Command::Identify,
        b"REGISTER" => Command::Register(params),
        b"UNREGISTER" => Command::Unregister(params),
        _ => Command::Unknown(name),
    }
}

/// Appends an answer: int32 length, then the bytes.
pub fn encode_response(out: &mut Vec<u8>, data: &[u8]) {
    let len = i32::try_from(data.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(data);
}

/// Appends a request line for one topic, or one channel of it.
pub fn encode_registration(out: &mut Vec<u8>, verb: &str, topic: &str, channel: Option<&str>) {
    for part in [
        verb,
        " ",
        topic,
        channel.map_or("", |_| " "),
        channel.unwrap_or(""),
        "\n",
    ] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// The body of nsqd's `IDENTIFY`. The key order is that of the reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeerInfo {
    /// Host name or address under which consumers reach the nsqd; no port, IPv6 without brackets.
    pub broadcast_address: String,
    /// Host name of the machine.
    pub hostname: String,
    /// Port of the HTTP API, announced.
    pub http_port: i64,
    /// Port of the TCP protocol, announced.
    pub tcp_port: i64,
    /// Where the nsqd runs.
    pub topology_region: String,
    /// Where in the region the nsqd runs.
    pub topology_zone: String,
    /// `1.3.0`.
    pub version: String,
}

/// Why a body of `IDENTIFY` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPeerInfo {
    /// Not a JSON object, or a known key has the wrong type.
    Malformed,
    /// A required key is absent, empty or zero.
    MissingFields,
}

impl PeerInfo {
    /// Reads the body of `IDENTIFY`.
    ///
    /// # Errors
    /// [`BadPeerInfo`] as its variants say.
    pub fn parse(json: &[u8]) -> Result<Self, BadPeerInfo> {
        let mut p = Self::default();
        read_object(json, &mut |key, value| {
            match key {
                "broadcast_address" => p.broadcast_address = string(value)?,
                "hostname" => p.hostname = string(value)?,
                "http_port" => p.http_port = integer(value)?,
                "tcp_port" => p.tcp_port = integer(value)?,
                "topology_region" => p.topology_region = string(value)?,
                "topology_zone" => p.topology_zone = string(value)?,
                "version" => p.version = string(value)?,
                // Overwritten by the server with the real address, but it must be a string.
                "remote_address" => drop(string(value)?),
                _ => {}
            }
            Ok(())
        })
        .map_err(|go_json::Malformed| BadPeerInfo::Malformed)?;
        let complete =
            !p.broadcast_address.is_empty() && p.tcp_port != 0 && p.http_port != 0 && !p.version.is_empty();
        if complete {
            Ok(p)
        } else {
            Err(BadPeerInfo::MissingFields)
        }
    }
}

/// nsqlookupd's answer to `IDENTIFY`, in the key order of the reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LookupInfo {
    /// Host under which nsqd reaches the HTTP API.
    pub broadcast_address: String,
    /// Host name of the machine.
    pub hostname: String,
    /// Bound port of the HTTP API.
    pub http_port: i64,
    /// Bound port of the TCP protocol.
    pub tcp_port: i64,
    /// `1.3.0`.
    pub version: String,
}

impl LookupInfo {
    /// Reads the answer; `None` when it is not such a document (an error answer, for example).
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        if !go_json::is_json(json) {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nl_005_018_021_lines_are_trimmed_and_split_on_single_spaces() {
        assert_eq!(parse_line(b"  PING \r"), Command::Ping);
        assert_eq!(parse_line(b"PING foo"), Command::Ping);
        assert_eq!(parse_line(b"ping"), Command::Unknown(b"ping"));
        assert_eq!(parse_line(b""), Command::Unknown(b""));
        let p = |topic, channel| Command::Register(Params { topic, channel });
        assert_eq!(parse_line(b"REGISTER"), p(None, None));
        assert_eq!(parse_line(b"REGISTER  t"), p(Some(b""), Some(b"t")));
        assert_eq!(parse_line(b"REGISTER a b c d"), p(Some(b"a"), Some(b"b")));
    }

    #[test]
    fn nl_011_013_bodies_are_checked_for_shape_then_for_fields() {
        let ok = r#"{"broadcast_address":"a.host","tcp_port":5000,"http_port":5555,"version":"1.3.0"}"#;
        assert_eq!(PeerInfo::parse(ok.as_bytes()).unwrap().tcp_port, 5000);
        for bad in [
            "{",
            "[1]",
            "",
            r#"{"tcp_port":"5000"}"#,
            r#"{"tcp_port":5000.0}"#,
            "{} x",
        ] {
            assert_eq!(
                PeerInfo::parse(bad.as_bytes()),
                Err(BadPeerInfo::Malformed),
                "{bad}"
            );
        }
        for bad in [
            "null",
            "{}",
            r#"{"broadcast_address":"a","tcp_port":0,"http_port":1,"version":"1"}"#,
        ] {
            assert_eq!(
                PeerInfo::parse(bad.as_bytes()),
                Err(BadPeerInfo::MissingFields),
                "{bad}"
            );
        }
    }

    #[test]
    fn registrations_are_written_as_lines() {
        let mut out = Vec::new();
        encode_registration(&mut out, "REGISTER", "t", None);
        encode_registration(&mut out, "UNREGISTER", "t", Some("c"));
        assert_eq!(out, b"REGISTER t\nUNREGISTER t c\n");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_and_never_a_panic(bytes: Vec<u8>) {
            let _ = parse_line(&bytes);
            let _ = PeerInfo::parse(&bytes);
            let _ = LookupInfo::parse(&bytes);
        }
    }
}
