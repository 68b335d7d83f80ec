//! How a body is shown: as JSON with indents, as text whose control characters can be seen, or byte by byte. Pure, and whatever
//! comes out is text.

use std::fmt::Write as _;

use serde::de::IgnoredAny;

/// Deepest indent of JSON; what is deeper stays on its line.
const DEEPEST: usize = 40;
/// Bytes on a line of a hex dump.
const LINE: usize = 16;

/// What a body is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Text,
    Hex,
}

impl Form {
    pub(super) const ALL: [Self; 3] = [Self::Json, Self::Text, Self::Hex];

    /// As links have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Hex => "hex",
        }
    }

    /// The form of this name, if the body has it; else the best that it has.
    pub(super) fn of(name: &str, body: &[u8]) -> Self {
        let wanted = Self::ALL.into_iter().find(|form| form.name() == name);
        wanted.filter(|form| form.fits(body)).unwrap_or_else(|| {
            let best = Self::ALL.into_iter().find(|form| form.fits(body));
            best.unwrap_or(Self::Hex)
        })
    }

    /// Whether a body can be shown so.
    pub(super) fn fits(self, body: &[u8]) -> bool {
        match self {
            // a lone number or word is shown as the text that it is
            Self::Json => {
                matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
                    && serde_json::from_slice::<IgnoredAny>(body).is_ok()
            }
            Self::Text => std::str::from_utf8(body).is_ok(),
            Self::Hex => true,
        }
    }

    /// The body so. What does not fit is shown as well as it can be.
    pub(super) fn show(self, body: &[u8]) -> String {
        match self {
            Self::Json => visible(&indented(&String::from_utf8_lossy(body))),
            Self::Text => visible(&String::from_utf8_lossy(body)),
            Self::Hex => dump(body),
        }
    }
}

/// A body on one line, of at most so many characters.
pub(super) fn preview(body: &[u8], most: usize) -> String {
    let text = match std::str::from_utf8(body) {
        Ok(text) => {
            let words: Vec<&str> = text.split_whitespace().take(most).collect();
            visible(&words.join(" "))
        }
        Err(_) => {
            let bytes: Vec<String> = body.iter().take(most).map(|byte| format!("{byte:02x}")).collect();
            bytes.join(" ")
        }
    };
    let mut cut: String = text.chars().take(most).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

/// The same JSON with line ends and indents: every token stays as it was written, in its order.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let line = |out: &mut String, depth: usize| {
        if depth <= DEEPEST {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                out.push('"');
                let mut is_escaped = false;
                for letter in letters.by_ref() {
                    out.push(letter);
                    if letter == '"' && !is_escaped {
                        break;
                    }
                    is_escaped = letter == '\\' && !is_escaped;
                }
            }
            '{' | '[' => {
                out.push(letter);
                while letters.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                if let Some(end) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(',');
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            letter => out.push(letter),
        }
    }
    out
}

/// Text in which every character can be seen: those that move the cursor or turn the direction have a sign of their own.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => out.push(letter),
            // the pictures of control characters stand in their order
            '\0'..='\u{1f}' => out.extend(char::from_u32(0x2400 + u32::from(letter))),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}' => {
                let _ = write!(out, "\\u{{{:04x}}}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out
}

/// Places, bytes, and what of them is a letter.
fn dump(body: &[u8]) -> String {
    let mut out = String::with_capacity(body.len() * 5);
    for (at, bytes) in body.chunks(LINE).enumerate() {
        let _ = write!(out, "{:08x} ", at * LINE);
        for (place, byte) in bytes.iter().enumerate() {
            let gap = if place == LINE / 2 { "  " } else { " " };
            let _ = write!(out, "{gap}{byte:02x}");
        }
        let missing = LINE - bytes.len();
        out.extend(std::iter::repeat_n(
            ' ',
            missing * 3 + usize::from(bytes.len() <= LINE / 2),
        ));
        out.push_str("  ");
        out.extend(bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_keeps_its_tokens_and_gets_lines() {
        let body = br#"{"b": 1.50,"a":[ ],"c":{"x":"a,{}\"\\"},"big":12345678901234567890}"#;
        assert_eq!(Form::of("", body), Form::Json);
        assert_eq!(
            Form::Json.show(body),
            "{\n  \"b\": 1.50,\n  \"a\": [],\n  \"c\": {\n    \"x\": \"a,{}\\\"\\\\\"\n  },\n  \"big\": 12345678901234567890\n}"
        );
    }

    #[test]
    fn a_body_is_shown_as_what_it_is_or_as_what_was_asked_for_if_it_can_be() {
        for (asked, body, form) in [
            ("", &b"{}"[..], Form::Json),
            ("text", b"{}", Form::Text),
            ("hex", b"{}", Form::Hex),
            ("", b"{", Form::Text),
            ("json", b"hello", Form::Text),
            ("", b"42", Form::Text),
            ("", b"\xff\xfe", Form::Hex),
            ("text", b"\xff\xfe", Form::Hex),
            ("nonsense", b"", Form::Text),
        ] {
            assert_eq!(Form::of(asked, body), form, "{asked} {body:?}");
        }
    }

    #[test]
    fn what_cannot_be_seen_has_a_sign() {
        assert_eq!(
            Form::Text.show("a\u{1b}[31m\r\n\u{202e}x\u{7f}".as_bytes()),
            "a␛[31m␍\n\\u{202e}x␡"
        );
    }

    #[test]
    fn bytes_stand_beside_their_letters() {
        assert_eq!(
            Form::Hex.show(b"0123456789abcdef\xff!"),
            "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef\n\
             00000010  ff 21                                             .!\n"
        );
    }

    #[test]
    fn a_preview_is_one_short_line() {
        assert_eq!(preview(b" a\n b\t\x1b", 80), "a b ␛");
        assert_eq!(preview(b"\xff\x00", 80), "ff 00");
        assert_eq!(preview("é".repeat(100).as_bytes(), 3), "ééé…");
    }

    proptest! {
        #[test]
        fn any_bytes_are_shown(body in prop::collection::vec(any::<u8>(), 0..300)) {
            for form in Form::ALL {
                let text = form.show(&body);
                prop_assert!(text.chars().all(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')));
            }
            prop_assert!(preview(&body, 20).chars().count() <= 21);
        }

        #[test]
        fn json_with_lines_is_the_same_json(value in prop::collection::vec(("[a-z\"\\\\{}, ]{0,8}", any::<i64>()), 0..6)) {
            let json = serde_json::to_string(&value).unwrap();
            let again: Vec<(String, i64)> = serde_json::from_str(&indented(&json)).unwrap();
            prop_assert_eq!(again, value);
        }
    }
}
