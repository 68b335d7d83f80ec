//! Topic and channel names.
//!
//! A name is 1 to 64 bytes of `. a-z A-Z 0-9 _ -`, optionally ended by `#ephemeral`, which counts towards the 64.
//! These types are the only way from bytes to a name and so the only thing that file names are made of.

use std::{borrow::Borrow, fmt, sync::Arc};

const SUFFIX: &[u8] = b"#ephemeral";

/// Longest name in bytes, with the suffix of ephemeral names.
pub const MAX_NAME_BYTES: usize = 64;

/// The bytes are not a valid topic or channel name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidName;

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names are 1 to 64 of . a-z A-Z 0-9 _ - and may end in #ephemeral")
    }
}

impl std::error::Error for InvalidName {}

fn checked(bytes: &[u8]) -> Result<&str, InvalidName> {
    let base = bytes.strip_suffix(SUFFIX).unwrap_or(bytes);
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if base.is_empty() || bytes.len() > MAX_NAME_BYTES || !base.iter().all(plain) {
        return Err(InvalidName);
    }
    std::str::from_utf8(bytes).map_err(|_| InvalidName)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the bytes and makes a name of them.
            ///
            /// # Errors
            /// [`InvalidName`] when they break the rule of this module.
            pub fn parse(bytes: &[u8]) -> Result<Self, InvalidName> {
                checked(bytes).map(|s| Self(s.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the name ends in `#ephemeral`: its queue has no disk, and it goes with its last user.
            #[must_use]
            pub fn is_ephemeral(&self) -> bool {
                self.0.as_bytes().ends_with(SUFFIX)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;

            fn from_str(s: &str) -> Result<Self, InvalidName> {
                Self::parse(s.as_bytes())
            }
        }
    };
}

name_type! {
    /// A valid topic name.
    TopicName
}
name_type! {
    /// A valid channel name. Unique within its topic only.
    ChannelName
}

/// Whether the bytes are a valid name, without making one.
#[must_use]
pub fn is_valid(bytes: &[u8]) -> bool {
    checked(bytes).is_ok()
}

/// The bytes in double quotes with escapes, as error texts show a bad name (nsqd spec 1.4).
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| quote_char(&mut out, c));
        for b in chunk.invalid() {
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
    out.push('"');
    out
}

fn quote_char(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        ' '..='~' => out.push(c),
        '\0'..='\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        // `escape_debug` knows what is printable: it escapes exactly the characters that are not.
        _ if c.escape_debug().count() == 1 => out.push(c),
        '\u{80}'..='\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        _ => out.push_str(&format!("\\U{:08x}", u32::from(c))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nd_022_to_026_names_follow_the_rule() {
        for good in ["test", "test-with_period.", "a.b-c_D9", "test#ephemeral"] {
            assert!(TopicName::parse(good.as_bytes()).is_ok(), "{good}");
        }
        let base = "x".repeat(54);
        assert!(is_valid("x".repeat(64).as_bytes()));
        assert!(!is_valid("x".repeat(65).as_bytes()));
        assert!(is_valid(format!("{base}#ephemeral").as_bytes()));
        assert!(!is_valid(format!("{base}x#ephemeral").as_bytes()));
        for bad in ["", "#ephemeral", "a#b", "a#ephemeralx", "a:b", "a b", "a/b", "ä"] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn nd_029_a_bad_name_is_quoted_with_escapes() {
        assert_eq!(quote(b"a\"b\xff\x01"), r#""a\"b\xff\x01""#);
        assert_eq!(
            quote("ü\n\\\u{7f}\u{200b}".as_bytes()),
            "\"ü\\n\\\\\\x7f\\u200b\""
        );
    }
}
