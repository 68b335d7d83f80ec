//! What each command line means in the state of its connection: a line becomes an [`Action`] or ends the connection.
//! Pure, one function per command, checks in the order of the specification (nsqd spec 1.9).

use super::Stop;
use crate::client::ClientState;
use crate::counters::PublishError;
use crate::options::Options;
use nsq_protocol::v2::{Command, Params, parse_digits};
use nsq_protocol::{ChannelName, ErrorCode, MessageId, TopicName, quote};
use std::time::Duration;

/// Which of the publishing commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `PUB`
    Publish,
    /// `MPUB`
    PublishMany,
    /// `DPUB`
    PublishDeferred,
}

impl Verb {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "PUB",
            Self::PublishMany => "MPUB",
            Self::PublishDeferred => "DPUB",
        }
    }

    /// The code of its refusal.
    #[must_use]
    pub const fn failed(self) -> ErrorCode {
        match self {
            Self::Publish => ErrorCode::PubFailed,
            Self::PublishMany => ErrorCode::MpubFailed,
            Self::PublishDeferred => ErrorCode::DpubFailed,
        }
    }
}

/// A command whose line is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing to do.
    Nothing,
    /// A document follows.
    Identify,
    /// A secret follows.
    Authenticate,
    /// Become a consumer.
    Subscribe(TopicName, ChannelName),
    /// A message follows, to be held back for so many ns.
    Publish(Verb, TopicName, u64),
    /// A batch follows.
    PublishMany(TopicName),
    /// The new window.
    Ready(i64),
    /// The message is done.
    Finish(MessageId),
    /// The message goes back, to be held back for so long.
    Requeue(MessageId, Duration),
    /// The message takes longer.
    Touch(MessageId),
    /// No more messages.
    StartClose,
}

/// What the meaning of a line depends on.
pub struct Context<'a> {
    /// Where the connection stands.
    pub state: ClientState,
    /// Whether heartbeats are sent.
    pub heartbeats: bool,
    /// TLS is required and not there yet: only `IDENTIFY` may come.
    pub tls_first: bool,
    /// What was set.
    pub options: &'a Options,
    /// The topic of the last publish: its name need not be made again.
    pub last_topic: Option<&'a TopicName>,
}

/// The meaning of a line.
///
/// # Errors
/// The error that ends the connection.
pub fn interpret(command: Command<'_>, cx: &Context<'_>) -> Result<Action, Stop> {
    if cx.tls_first && !matches!(command, Command::Identify) {
        let name = command.name();
        return Err(Stop::raw(
            ErrorCode::Invalid,
            &[b"cannot ", name, b" in current state (TLS required)"].concat(),
        ));
    }
    match command {
        Command::Nop => Ok(Action::Nothing),
        Command::Finish(p) => cx.finish(p),
        Command::Publish(p) => cx.publish(p),
        Command::PublishMany(p) => cx.publish_many(p),
        Command::PublishDeferred(p) => cx.publish_deferred(p),
        Command::Ready(p) => cx.ready(p),
        Command::Requeue(p) => cx.requeue(p),
        Command::Touch(p) => cx.touch(p),
        Command::Subscribe(p) => cx.subscribe(p),
        Command::StartClose => cx.start_close(),
        Command::Identify => cx
            .in_state("IDENTIFY", &[ClientState::Init])
            .map(|()| Action::Identify),
        Command::Auth(p) => cx.authenticate(p),
        Command::Unknown(name) => Err(Stop::raw(
            ErrorCode::Invalid,
            &[b"invalid command ", name].concat(),
        )),
    }
}

fn invalid(text: impl Into<String>) -> Stop {
    Stop::error(ErrorCode::Invalid, text.into())
}

impl Context<'_> {
    fn in_state(&self, command: &str, allowed: &[ClientState]) -> Result<(), Stop> {
        if allowed.contains(&self.state) {
            return Ok(());
        }
        Err(invalid(format!("cannot {command} in current state")))
    }

    fn topic(&self, command: &str, name: &[u8]) -> Result<TopicName, Stop> {
        if let Some(last) = self.last_topic
            && last.as_str().as_bytes() == name
        {
            return Ok(last.clone());
        }
        let bad = |_| bad_topic(command, name);
        TopicName::parse(name).map_err(bad)
    }

    fn publish(&self, p: Params<'_>) -> Result<Action, Stop> {
        let name = p
            .get(0)
            .ok_or_else(|| invalid("PUB insufficient number of parameters"))?;
        Ok(Action::Publish(Verb::Publish, self.topic("PUB", name)?, 0))
    }

    fn publish_many(&self, p: Params<'_>) -> Result<Action, Stop> {
        let name = p
            .get(0)
            .ok_or_else(|| invalid("MPUB insufficient number of parameters"))?;
        // The reference really says the code twice here.
        let topic = self.topic("E_BAD_TOPIC MPUB", name)?;
        Ok(Action::PublishMany(topic))
    }

    fn publish_deferred(&self, p: Params<'_>) -> Result<Action, Stop> {
        let (Some(name), Some(raw)) = (p.get(0), p.get(1)) else {
            return Err(invalid("DPUB insufficient number of parameters"));
        };
        let topic = self.topic("DPUB", name)?;
        let ms = parse_digits(raw).ok_or_else(|| unparsed("DPUB could not parse timeout ", raw))?;
        let max = u64::try_from(self.options.max_defer_timeout.as_millis()).unwrap_or(u64::MAX);
        if ms > max {
            return Err(invalid(format!("DPUB timeout {ms} out of range 0-{max}")));
        }
        Ok(Action::Publish(
            Verb::PublishDeferred,
            topic,
            ms.saturating_mul(1_000_000),
        ))
    }

    fn ready(&self, p: Params<'_>) -> Result<Action, Stop> {
        if self.state == ClientState::Closing {
            return Ok(Action::Nothing);
        }
        self.in_state("RDY", &[ClientState::Subscribed])?;
        let raw = p.get(0).unwrap_or(b"1");
        let count = parse_digits(raw)
            .ok_or_else(|| unparsed("RDY could not parse count ", raw))?
            .cast_signed();
        let max = self.options.max_rdy_count;
        if !(0..=max).contains(&count) {
            return Err(invalid(format!("RDY count {count} out of range 0-{max}")));
        }
        Ok(Action::Ready(count))
    }

    fn message_id(&self, command: &str, p: Params<'_>, params: usize) -> Result<MessageId, Stop> {
        self.in_state(command, &[ClientState::Subscribed, ClientState::Closing])?;
        let last = params - 1;
        let Some(id) = p.get(0).filter(|_| last == 0 || p.get(last).is_some()) else {
            return Err(invalid(format!("{command} insufficient number of params")));
        };
        id.try_into()
            .map(MessageId)
            .map_err(|_| invalid("invalid message ID"))
    }

    fn finish(&self, p: Params<'_>) -> Result<Action, Stop> {
        self.message_id("FIN", p, 1).map(Action::Finish)
    }

    fn touch(&self, p: Params<'_>) -> Result<Action, Stop> {
        self.message_id("TOUCH", p, 1).map(Action::Touch)
    }

    fn requeue(&self, p: Params<'_>) -> Result<Action, Stop> {
        let id = self.message_id("REQ", p, 2)?;
        let raw = p.get(1).unwrap_or_default();
        let ms = parse_digits(raw).ok_or_else(|| unparsed("REQ could not parse timeout ", raw))?;
        // The reference multiplies in 64 signed bits: what turns negative there means at once, the rest is clamped.
        let nanos = ms.cast_signed().wrapping_mul(1_000_000);
        let delay = u64::try_from(nanos).map_or(Duration::ZERO, Duration::from_nanos);
        Ok(Action::Requeue(id, delay.min(self.options.max_req_timeout)))
    }

    fn subscribe(&self, p: Params<'_>) -> Result<Action, Stop> {
        self.in_state("SUB", &[ClientState::Init])?;
        if !self.heartbeats {
            return Err(invalid("cannot SUB with heartbeats disabled"));
        }
        let (Some(topic), Some(channel)) = (p.get(0), p.get(1)) else {
            return Err(invalid("SUB insufficient number of parameters"));
        };
        let topic = TopicName::parse(topic).map_err(|_| bad_topic("SUB", topic))?;
        let channel = ChannelName::parse(channel).map_err(|_| {
            let text = format!("SUB channel name {} is not valid", quote(channel));
            Stop::error(ErrorCode::BadChannel, text)
        })?;
        Ok(Action::Subscribe(topic, channel))
    }

    fn start_close(&self) -> Result<Action, Stop> {
        self.in_state("CLS", &[ClientState::Subscribed])
            .map(|()| Action::StartClose)
    }

    fn authenticate(&self, p: Params<'_>) -> Result<Action, Stop> {
        self.in_state("AUTH", &[ClientState::Init])?;
        if p.is_empty() {
            Ok(Action::Authenticate)
        } else {
            Err(invalid("AUTH invalid number of parameters"))
        }
    }
}

fn bad_topic(command: &str, name: &[u8]) -> Stop {
    let text = format!("{command} topic name {} is not valid", quote(name));
    let stop = Stop::error(ErrorCode::BadTopic, text);
    match command {
        "SUB" => stop,
        _ => stop.refusing(PublishError::BadTopic),
    }
}

fn unparsed(text: &str, raw: &[u8]) -> Stop {
    Stop::raw(ErrorCode::Invalid, &[text.as_bytes(), raw].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsq_protocol::v2::{Line, parse_line};
    use proptest::prelude::*;

    fn meaning(state: ClientState, line: &str) -> Result<Action, String> {
        let options = Options::default();
        let cx = Context {
            state,
            heartbeats: true,
            tls_first: false,
            options: &options,
            last_topic: None,
        };
        match parse_line(format!("{line}\n").as_bytes()) {
            Line::Complete { command, .. } => interpret(command, &cx).map_err(|stop| stop.to_string()),
            other => Err(format!("{other:?}")),
        }
    }

    /// nd_034, nd_047, nd_048, nd_064 to nd_067, nd_074 to nd_076, nd_081 to nd_085, nd_089, nd_090, nd_094, nd_099 to
    /// nd_102, nd_104, nd_109, nd_112
    #[test]
    fn every_line_that_ends_a_connection_says_why() {
        use ClientState::{Closing, Init, Subscribed};
        let cases = [
            (Init, "PUB", "E_INVALID PUB insufficient number of parameters"),
            (Init, "MPUB", "E_INVALID MPUB insufficient number of parameters"),
            (
                Init,
                "MPUB a:b",
                r#"E_BAD_TOPIC E_BAD_TOPIC MPUB topic name "a:b" is not valid"#,
            ),
            (Init, "DPUB t", "E_INVALID DPUB insufficient number of parameters"),
            (Init, "DPUB t -1", "E_INVALID DPUB could not parse timeout -1"),
            (
                Init,
                "DPUB t 3600001",
                "E_INVALID DPUB timeout 3600001 out of range 0-3600000",
            ),
            (
                Init,
                "DPUB t 18446744073709551615",
                "E_INVALID DPUB timeout 18446744073709551615 out of range 0-3600000",
            ),
            (
                Init,
                "DPUB a:b zz",
                r#"E_BAD_TOPIC DPUB topic name "a:b" is not valid"#,
            ),
            (Init, "SUB t", "E_INVALID SUB insufficient number of parameters"),
            (
                Init,
                "SUB t c:h",
                r#"E_BAD_CHANNEL SUB channel name "c:h" is not valid"#,
            ),
            (Subscribed, "SUB t c", "E_INVALID cannot SUB in current state"),
            (
                Subscribed,
                "IDENTIFY",
                "E_INVALID cannot IDENTIFY in current state",
            ),
            (Subscribed, "AUTH", "E_INVALID cannot AUTH in current state"),
            (Init, "AUTH ", "E_INVALID AUTH invalid number of parameters"),
            (Init, "RDY 1", "E_INVALID cannot RDY in current state"),
            (Subscribed, "RDY -1", "E_INVALID RDY could not parse count -1"),
            (
                Subscribed,
                "RDY 2501",
                "E_INVALID RDY count 2501 out of range 0-2500",
            ),
            (
                Subscribed,
                "RDY 9223372036854775808",
                "E_INVALID RDY count -9223372036854775808 out of range 0-2500",
            ),
            (
                Init,
                "FIN 0123456789abcdef",
                "E_INVALID cannot FIN in current state",
            ),
            (
                Init,
                "REQ 0123456789abcdef 0",
                "E_INVALID cannot REQ in current state",
            ),
            (
                Init,
                "TOUCH 0123456789abcdef",
                "E_INVALID cannot TOUCH in current state",
            ),
            (Subscribed, "FIN", "E_INVALID FIN insufficient number of params"),
            (Subscribed, "FIN abc", "E_INVALID invalid message ID"),
            (Subscribed, "FIN ", "E_INVALID invalid message ID"),
            (
                Subscribed,
                "TOUCH",
                "E_INVALID TOUCH insufficient number of params",
            ),
            (
                Subscribed,
                "REQ 0123456789abcdef",
                "E_INVALID REQ insufficient number of params",
            ),
            (Subscribed, "REQ abc x", "E_INVALID invalid message ID"),
            (
                Subscribed,
                "REQ 0123456789abcdef -1",
                "E_INVALID REQ could not parse timeout -1",
            ),
            (Init, "CLS", "E_INVALID cannot CLS in current state"),
            (Closing, "CLS", "E_INVALID cannot CLS in current state"),
            (Closing, "SUB t c", "E_INVALID cannot SUB in current state"),
            (Init, "BOGUS", "E_INVALID invalid command BOGUS"),
            (Init, "", "E_INVALID invalid command "),
        ];
        for (state, line, text) in cases {
            assert_eq!(meaning(state, line), Err(text.to_string()), "{line}");
        }
    }

    #[test]
    fn nd_063_082_089_098_099_numbers_that_are_accepted() {
        use ClientState::{Closing, Subscribed};
        let id = MessageId(*b"0123456789abcdef");
        assert_eq!(meaning(Subscribed, "RDY"), Ok(Action::Ready(1)));
        assert_eq!(meaning(Subscribed, "RDY "), Ok(Action::Ready(0)));
        assert_eq!(meaning(Closing, "RDY 99999"), Ok(Action::Nothing));
        let requeue = |ms: &str| meaning(Subscribed, &format!("REQ {id} {ms}"));
        assert_eq!(requeue(""), Ok(Action::Requeue(id, Duration::ZERO)));
        assert_eq!(
            requeue("1500"),
            Ok(Action::Requeue(id, Duration::from_millis(1500)))
        );
        assert_eq!(
            requeue("3600001"),
            Ok(Action::Requeue(id, Duration::from_secs(3600)))
        );
        assert_eq!(requeue("9223372036855"), Ok(Action::Requeue(id, Duration::ZERO)));
        for zero in ["DPUB t 0", "DPUB t "] {
            assert!(
                matches!(meaning(Subscribed, zero), Ok(Action::Publish(_, _, 0))),
                "{zero}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_line_in_any_state_has_a_meaning_or_an_error(line in "[A-Z]{2,8}( [ -~]{0,20}){0,3}", state in 0u8..3) {
            let state = [ClientState::Init, ClientState::Subscribed, ClientState::Closing][usize::from(state)];
            let _ = meaning(state, &line);
        }
    }
}
