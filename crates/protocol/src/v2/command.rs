//! Command lines from clients: a synchronous, allocation-free parser over the read buffer.

use crate::message::MessageId;

/// Longest command line with its newline; a longer one closes the connection without an error frame.
pub const MAX_LINE_BYTES: usize = 16384;

/// What the front of the read buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// No newline yet: read more.
    Incomplete,
    /// No newline within [`MAX_LINE_BYTES`].
    TooLong,
    /// A command line of `consumed` bytes, its newline included. A body, if the command has one, follows.
    Complete {
        /// The command with its raw parameters.
        command: Command<'a>,
        /// Bytes of the line.
        consumed: usize,
    },
}

/// A command and its parameters, as raw bytes: names, ids and numbers are checked by the session, in the order that the
/// specification gives for each command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Nothing but a sign of life.
    Nop,
    /// A JSON body follows.
    Identify,
    /// A secret follows as body; there must be no parameter.
    Auth(Params<'a>),
    /// topic, channel.
    Subscribe(Params<'a>),
    /// topic; a message follows as body.
    Publish(Params<'a>),
    /// topic; a batch follows as body.
    PublishMany(Params<'a>),
    /// topic, delay in ms; a message follows as body.
    PublishDeferred(Params<'a>),
    /// count.
    Ready(Params<'a>),
    /// id.
    Finish(Params<'a>),
    /// id, delay in ms.
    Requeue(Params<'a>),
    /// id.
    Touch(Params<'a>),
    /// No more messages, please.
    StartClose,
    /// Any other first word.
    Unknown(&'a [u8]),
}

impl<'a> Command<'a> {
    /// The first word of the line.
    #[must_use]
    pub const fn name(&self) -> &'a [u8] {
        match self {
            Self::Nop => b"NOP",
            Self::Identify => b"IDENTIFY",
            Self::Auth(_) => b"AUTH",
            Self::Subscribe(_) => b"SUB",
            Self::Publish(_) => b"PUB",
            Self::PublishMany(_) => b"MPUB",
            Self::PublishDeferred(_) => b"DPUB",
            Self::Ready(_) => b"RDY",
            Self::Finish(_) => b"FIN",
            Self::Requeue(_) => b"REQ",
            Self::Touch(_) => b"TOUCH",
            Self::StartClose => b"CLS",
            Self::Unknown(name) => name,
        }
    }
}

/// What follows the first word of a line, split on every single space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Params<'a> {
    /// The parameter at `index`, counted from 0. Two spaces in a row make an empty one.
    #[must_use]
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.rest?.split(|&b| b == b' ').nth(index)
    }

    /// Whether the line ended with its first word.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.rest.is_none()
    }
}

/// The message of the `FIN` at the front of `buf`, and what follows: only of one in the shape that every client sends, so that a
/// row of them is read without a search. Any other is left to [`parse_line`].
#[must_use]
pub fn finish_line(buf: &[u8]) -> Option<(MessageId, &[u8])> {
    let (line, rest) = buf.split_first_chunk::<21>()?;
    let (verb, line) = line.split_first_chunk::<4>()?;
    let (id, end) = line.split_first_chunk::<16>()?;
    let is_plain = verb == b"FIN " && end == b"\n" && !id.iter().any(|&b| matches!(b, b' ' | b'\n' | b'\r'));
    is_plain.then_some((MessageId(*id), rest))
}

/// Reads the command line at the front of `buf`.
#[must_use]
pub fn parse_line(buf: &[u8]) -> Line<'_> {
    let window = buf.get(..MAX_LINE_BYTES).unwrap_or(buf);
    let Some(end) = window.iter().position(|&b| b == b'\n') else {
        return if window.len() == MAX_LINE_BYTES {
            Line::TooLong
        } else {
            Line::Incomplete
        };
    };
    let line = window.get(..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Line::Complete {
        command: parse_command(line),
        consumed: end.saturating_add(1),
    }
}

fn parse_command(line: &[u8]) -> Command<'_> {
    let (name, rest) = match line.iter().position(|&b| b == b' ') {
        Some(space) => {
            let (name, rest) = line.split_at(space);
            (name, rest.get(1..))
        }
        None => (line, None),
    };
    let params = Params { rest };
    match name {
        b"PUB" => Command::Publish(params),
        b"MPUB" => Command::PublishMany(params),
        b"DPUB" => Command::PublishDeferred(params),
        b"FIN" => Command::Finish(params),
        b"RDY" => Command::Ready(params),
        b"REQ" => Command::Requeue(params),
        b"TOUCH" => Command::Touch(params),
        b"NOP" => Command::Nop,
        b"SUB" => Command::Subscribe(params),
        b"CLS" => Command::StartClose,
        b"IDENTIFY" => Command::Identify,
        b"AUTH" => Command::Auth(params),
        _ => Command::Unknown(name),
    }
}

/// A decimal number of ASCII digits only; the empty text is 0 and the sum wraps at 2^64, as in the reference.
#[must_use]
pub fn parse_digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |n, &b| {
        b.is_ascii_digit()
            .then(|| n.wrapping_mul(10).wrapping_add(u64::from(b.wrapping_sub(b'0'))))
    })
}

/// The signed 32-bit length at the front of `buf`, or `None` while it is shorter.
#[must_use]
pub fn body_size(buf: &[u8]) -> Option<i32> {
    buf.first_chunk().map(|b| i32::from_be_bytes(*b))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn command(line: &[u8]) -> Command<'_> {
        match parse_line(line) {
            Line::Complete { command, consumed } => {
                assert_eq!(consumed, line.len());
                command
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nd_006_to_009_names_are_exact_and_carriage_returns_are_stripped() {
        assert_eq!(command(b"ASDF\n"), Command::Unknown(b"ASDF"));
        assert_eq!(command(b"\n"), Command::Unknown(b""));
        assert_eq!(command(b"nop\n"), Command::Unknown(b"nop"));
        for nop in [&b"NOP\n"[..], b"NOP\r\n", b"NOP a b\n"] {
            assert_eq!(command(nop), Command::Nop);
        }
    }

    #[test]
    fn nd_010_011_a_line_is_bounded() {
        let mut line = vec![b'x'; MAX_LINE_BYTES - 1];
        assert_eq!(parse_line(&line), Line::Incomplete);
        line.push(b'\n');
        assert!(matches!(
            parse_line(&line),
            Line::Complete {
                consumed: MAX_LINE_BYTES,
                ..
            }
        ));
        line.insert(0, b'x');
        assert_eq!(parse_line(&line), Line::TooLong);
    }

    #[test]
    fn nd_027_028_every_single_space_splits() {
        let Command::Publish(p) = command(b"PUB  t\n") else {
            panic!()
        };
        assert_eq!(
            (p.get(0), p.get(1), p.get(2)),
            (Some(&b""[..]), Some(&b"t"[..]), None)
        );
        let Command::Publish(p) = command(b"PUB \n") else {
            panic!()
        };
        assert_eq!(p.get(0), Some(&b""[..]));
        let Command::Publish(p) = command(b"PUB\n") else {
            panic!()
        };
        assert!(p.is_empty() && p.get(0).is_none());
    }

    #[test]
    fn nd_085_digits_wrap_and_the_empty_text_is_zero() {
        assert_eq!(parse_digits(b""), Some(0));
        assert_eq!(parse_digits(b"9223372036854775808"), Some(1 << 63));
        assert_eq!(parse_digits(b"18446744073709551616"), Some(0));
        for bad in [&b"-1"[..], b"+1", b"1.0", b" 1", b"abc"] {
            assert_eq!(parse_digits(bad), None);
        }
    }

    proptest! {
        /// The fixed shape of FIN is a shortcut, not another grammar.
        #[test]
        fn a_plain_fin_is_what_the_general_parser_reads(id in "[ -~]{16}", rest: Vec<u8>) {
            let line = format!("FIN {id}\n");
            let bytes = [line.as_bytes(), &rest].concat();
            if let Some((found, left)) = finish_line(&bytes) {
                let Command::Finish(params) = command(line.as_bytes()) else { panic!() };
                prop_assert_eq!(params.get(0), Some(&found.0[..]));
                prop_assert!(params.get(1).is_none());
                prop_assert_eq!(left, rest);
            } else {
                prop_assert!(id.contains(' '));
            }
        }

        #[test]
        fn any_bytes_are_an_answer_and_what_is_consumed_ends_in_a_newline(bytes: Vec<u8>) {
            if let Line::Complete { consumed, .. } = parse_line(&bytes) {
                prop_assert_eq!(bytes[consumed - 1], b'\n');
            }
        }
    }
}
