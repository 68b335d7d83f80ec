//! Bytes in, answers out: the commands of protocol V1 on the registry. No I/O.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use nsq_protocol::name::{ChannelName, TopicName};
use nsq_protocol::v1::{self, BadPeerInfo, Command, Params, PeerInfo};
use nsq_service::listen::Peer;
use nsq_service::{duration, json};

use crate::Shared;
use crate::registry::{Category, ProducerId};

/// Longest command line in bytes. The longest sensible one has some 150.
const MAX_LINE: usize = 1 << 20;

/// Longest body of IDENTIFY in bytes.
const MAX_BODY: usize = 1 << 20;

/// What became of the input.
pub(super) enum Step {
    /// There is no complete command in it (or, at its end, never will be).
    More,
    /// The answer to one command.
    Answer(Vec<u8>),
    /// The answer after which the connection ends.
    Fatal(Vec<u8>),
}

/// The protocol state of one connection. Dropping it removes the producer from the registry.
pub(super) struct Connection<'a> {
    shared: &'a Shared,
    peer: Peer,
    id: ProducerId,
    expects: Expects,
    /// The command that is being read, as the metrics name it.
    command: Option<&'static str>,
    identified: bool,
    /// Bytes of the input that are known to hold no newline.
    scanned: usize,
}

#[derive(Clone, Copy)]
enum Expects {
    Magic,
    Line,
    BodyLength,
    Body(usize),
}

impl<'a> Connection<'a> {
    pub(super) fn new(shared: &'a Shared, peer: Peer) -> Self {
        let id = shared.next_id();
        Self {
            shared,
            peer,
            id,
            expects: Expects::Magic,
            command: None,
            identified: false,
            scanned: 0,
        }
    }

    /// Takes at most one command from the front of `input`. `ended` says that nothing will follow it.
    pub(super) fn step(&mut self, input: &mut BytesMut, ended: bool) -> Step {
        let step = self.take(input, ended);
        let is_ok = match &step {
            Step::More => return step,
            Step::Answer(_) => true,
            Step::Fatal(_) => false,
        };
        if let Some(command) = self.command.take() {
            self.shared.metrics.command(command, is_ok);
        }
        step
    }

    fn take(&mut self, input: &mut BytesMut, ended: bool) -> Step {
        match self.expects {
            Expects::Magic => self.magic(input, ended),
            Expects::Line => self.line(input, ended),
            Expects::BodyLength => self.body_length(input, ended),
            Expects::Body(length) => self.body(input, length, ended),
        }
    }

    fn magic(&mut self, input: &mut BytesMut, ended: bool) -> Step {
        if input.len() < v1::MAGIC.len() {
            return Step::More;
        }
        let magic = input.split_to(v1::MAGIC.len());
        tracing::info!(
            "CLIENT({}): desired protocol magic '{}'",
            self.peer,
            String::from_utf8_lossy(&magic)
        );
        if &magic[..] != v1::MAGIC {
            return self.fatal(b"E_BAD_PROTOCOL".to_vec(), "bad protocol magic");
        }
        self.expects = Expects::Line;
        self.line(input, ended)
    }

    fn line(&mut self, input: &mut BytesMut, ended: bool) -> Step {
        let Some(end) = input[self.scanned..].iter().position(|&byte| byte == b'\n') else {
            self.scanned = input.len();
            if self.scanned > MAX_LINE {
                return self.fatal(
                    format!("E_INVALID line exceeds {MAX_LINE} bytes").into_bytes(),
                    "",
                );
            }
            return Step::More;
        };
        let line = input.split_to(self.scanned + end);
        input.advance(1);
        self.scanned = 0;
        if line.len() > MAX_LINE {
            return self.fatal(
                format!("E_INVALID line exceeds {MAX_LINE} bytes").into_bytes(),
                "",
            );
        }
        let command = v1::parse_line(&line);
        self.command = Some(match command {
            Command::Ping => "ping",
            Command::Identify => "identify",
            Command::Register(_) => "register",
            Command::Unregister(_) => "unregister",
            Command::Unknown(_) => "other",
        });
        match command {
            Command::Ping => self.ping(),
            Command::Identify if self.identified => {
                self.fatal(b"E_INVALID cannot IDENTIFY again".to_vec(), "")
            }
            Command::Identify => {
                self.expects = Expects::BodyLength;
                self.body_length(input, ended)
            }
            Command::Register(params) => self.register(params),
            Command::Unregister(params) => self.unregister(params),
            Command::Unknown(word) => self.fatal([b"E_INVALID invalid command ", word].concat(), ""),
        }
    }

    fn body_length(&mut self, input: &mut BytesMut, ended: bool) -> Step {
        const FAILED: &[u8] = b"E_BAD_BODY IDENTIFY failed to read body size";
        if input.len() < 4 {
            return if ended {
                self.fatal(FAILED.to_vec(), "EOF")
            } else {
                Step::More
            };
        }
        let length = input.get_i32();
        match usize::try_from(length) {
            Err(_) => self.fatal(FAILED.to_vec(), &format!("length {length}")),
            Ok(length) if length > MAX_BODY => {
                let body = b"E_BAD_BODY IDENTIFY failed to read body".to_vec();
                self.fatal(body, &format!("length {length} exceeds {MAX_BODY}"))
            }
            Ok(length) => {
                self.expects = Expects::Body(length);
                self.body(input, length, ended)
            }
        }
    }

    fn body(&mut self, input: &mut BytesMut, length: usize, ended: bool) -> Step {
        if input.len() < length {
            let failed = b"E_BAD_BODY IDENTIFY failed to read body";
            return if ended {
                self.fatal(failed.to_vec(), "EOF")
            } else {
                Step::More
            };
        }
        let body = input.split_to(length);
        self.expects = Expects::Line;
        match PeerInfo::parse(&body) {
            Ok(info) => self.identify(info),
            Err(BadPeerInfo::Malformed) => {
                self.fatal(b"E_BAD_BODY IDENTIFY failed to decode JSON body".to_vec(), "")
            }
            Err(BadPeerInfo::MissingFields) => self.fatal(b"E_BAD_BODY IDENTIFY missing fields".to_vec(), ""),
        }
    }

    fn identify(&mut self, info: PeerInfo) -> Step {
        tracing::info!(
            "CLIENT({}): IDENTIFY Address:{} TCP:{} HTTP:{} Version:{}",
            self.peer,
            info.broadcast_address,
            info.tcp_port,
            info.http_port,
            info.version
        );
        let now = self.shared.now();
        self.shared
            .registry
            .lock()
            .identify(self.id, self.peer.to_string(), info, now);
        self.identified = true;
        self.log_change("REGISTER", Category::Client, "", "");
        // five plain fields into memory cannot fail
        Step::Answer(json::to_vec(&self.shared.info).unwrap_or_default())
    }

    fn ping(&mut self) -> Step {
        let now = self.shared.now();
        let silent = self.shared.registry.lock().ping(self.id, now);
        if let Some(silent) = silent {
            tracing::info!("CLIENT({}): pinged (last ping {})", self.peer, print(silent));
        }
        ok()
    }

    fn register(&mut self, params: Params<'_>) -> Step {
        let (topic, channel) = match self.names("REGISTER", params) {
            Ok(names) => names,
            Err(fatal) => return fatal,
        };
        let added = self
            .shared
            .registry
            .lock()
            .register(self.id, &topic, channel.as_ref());
        match added {
            Ok(added) => {
                for category in added {
                    self.log_change(
                        "REGISTER",
                        category,
                        topic.as_str(),
                        subkey(category, channel.as_ref()),
                    );
                }
                ok()
            }
            Err(full) => self.fatal(format!("E_INVALID REGISTER failed, {full}").into_bytes(), ""),
        }
    }

    fn unregister(&mut self, params: Params<'_>) -> Step {
        let (topic, channel) = match self.names("UNREGISTER", params) {
            Ok(names) => names,
            Err(fatal) => return fatal,
        };
        match channel {
            Some(channel) => {
                if self
                    .shared
                    .registry
                    .lock()
                    .unregister_channel(self.id, &topic, &channel)
                {
                    self.log_change("UNREGISTER", Category::Channel, topic.as_str(), channel.as_str());
                }
            }
            None => {
                let left = self.shared.registry.lock().unregister_topic(self.id, &topic);
                for channel in left.channels {
                    tracing::warn!(
                        "client({}) unexpected UNREGISTER category:channel key:{topic} subkey:{channel}",
                        self.peer
                    );
                }
                if left.topic {
                    self.log_change("UNREGISTER", Category::Topic, topic.as_str(), "");
                }
            }
        }
        ok()
    }

    /// The names of a command that only an identified producer may send.
    fn names(&self, verb: &str, params: Params<'_>) -> Result<(TopicName, Option<ChannelName>), Step> {
        if !self.identified {
            return Err(self.fatal(b"E_INVALID client must IDENTIFY".to_vec(), ""));
        }
        let Some(topic) = params.topic else {
            let body = format!("E_INVALID {verb} insufficient number of params");
            return Err(self.fatal(body.into_bytes(), ""));
        };
        let invalid = |code: &str, what: &str, name: &[u8]| {
            let body = [
                format!("{code} {verb} {what} name '").as_bytes(),
                name,
                b"' is not valid",
            ]
            .concat();
            self.fatal(body, "")
        };
        let topic = TopicName::parse(topic).map_err(|_| invalid("E_BAD_TOPIC", "topic", topic))?;
        let channel = match params.channel {
            None | Some(b"") => None,
            Some(name) => {
                Some(ChannelName::parse(name).map_err(|_| invalid("E_BAD_CHANNEL", "channel", name))?)
            }
        };
        Ok((topic, channel))
    }

    fn fatal(&self, body: Vec<u8>, cause: &str) -> Step {
        let dash = if cause.is_empty() { "" } else { " - " };
        tracing::error!(
            "[{}] - {}{dash}{cause}",
            self.peer,
            String::from_utf8_lossy(&body)
        );
        Step::Fatal(body)
    }

    fn log_change(&self, verb: &str, category: Category, key: &str, subkey: &str) {
        tracing::info!(
            "DB: client({}) {verb} category:{category} key:{key} subkey:{subkey}",
            self.peer
        );
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let removed = self.shared.registry.lock().disconnect(self.id);
        for (category, key, subkey) in removed {
            self.log_change("UNREGISTER", category, &key, &subkey);
        }
    }
}

fn ok() -> Step {
    Step::Answer(b"OK".to_vec())
}

fn subkey(category: Category, channel: Option<&ChannelName>) -> &str {
    match (category, channel) {
        (Category::Channel, Some(channel)) => channel.as_str(),
        _ => "",
    }
}

fn print(time: Duration) -> String {
    duration::print(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
}
