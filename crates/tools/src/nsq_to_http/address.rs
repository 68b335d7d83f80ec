//! Where a message is sent: `-get` and `-post` (tools spec 6). Pure.

use std::fmt::Write as _;

use hyper::Uri;

/// One `-get` or `-post`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// The message is the body of the request.
    Post(Uri),
    /// The message is part of the address, between these.
    Get(String, String),
}

impl Address {
    /// Reads a `-post`.
    ///
    /// # Errors
    /// It is no URL that a request can be sent to.
    pub(super) fn post(text: &str) -> Result<Self, String> {
        url(text).map(Self::Post)
    }

    /// Reads a `-get`: a template of printf with one `%s`, and `%%` for a percent sign.
    ///
    /// # Errors
    /// It is another template, or no URL.
    pub(super) fn get(text: &str) -> Result<Self, String> {
        let mut parts = vec![String::new()];
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            let part = match (c, parts.last_mut()) {
                (_, None) => continue,
                ('%', Some(part)) => match rest.next() {
                    Some('%') => {
                        part.push('%');
                        continue;
                    }
                    Some('s') => String::new(),
                    _ => {
                        return Err(
                            "invalid GET address - must be a printf string: write %% for %".to_owned()
                        );
                    }
                },
                (c, Some(part)) => {
                    part.push(c);
                    continue;
                }
            };
            parts.push(part);
        }
        let Ok([before, behind]) = <[String; 2]>::try_from(parts) else {
            return Err("invalid GET address - must be a printf string".to_owned());
        };
        url(&format!("{before}x{behind}"))?;
        Ok(Self::Get(before, behind))
    }

    /// The URL for this message.
    ///
    /// # Errors
    /// The message makes it too long.
    pub(super) fn url(&self, body: &[u8]) -> Result<Uri, String> {
        match self {
            Self::Post(url) => Ok(url.clone()),
            Self::Get(before, behind) => url(&format!("{before}{}{behind}", escaped(body))),
        }
    }
}

fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text
        .parse()
        .map_err(|error| format!("{text:?} is no URL to send requests to - {error}"))?;
    let is_known = matches!(url.scheme_str(), Some("http" | "https"));
    match url.authority() {
        Some(authority) if is_known && !authority.as_str().contains('@') => Ok(url),
        Some(_) if is_known => {
            Err("names and passwords in a URL are not sent: use --header 'Authorization: Basic …'".to_owned())
        }
        _ => Err(format!(
            "{text:?} is no URL to send requests to: it begins with http:// or https://"
        )),
    }
}

/// As Go's `url.QueryEscape`.
fn escaped(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    for &byte in body {
        match byte {
            b' ' => text.push('+'),
            b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_part_of_an_address() {
        let address = Address::get("http://h:1/a%%20b?c=%s&d=100%%").unwrap();
        let url = address.url("m 1&é*~".as_bytes()).unwrap();
        assert_eq!(url.to_string(), "http://h:1/a%20b?c=m+1%26%C3%A9%2A~&d=100%");
    }

    #[test]
    fn a_template_has_one_place() {
        for text in [
            "http://h/",
            "http://h/%s%s",
            "http://h/%%s",
            "http://h/%d%s",
            "http://h/%s%",
        ] {
            let error = Address::get(text).unwrap_err();
            assert!(
                error.starts_with("invalid GET address - must be a printf string"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn an_address_is_a_url_of_http() {
        for text in ["h:1", "/path", "ftp://h/", "http://user:secret@h/", "http://a b/"] {
            let error = Address::post(text).unwrap_err();
            assert!(
                text.contains("ftp") || !error.contains("secret") || !text.contains('@'),
                "{error}"
            );
        }
        assert!(Address::post("https://[::1]:8443/a?b=c").is_ok());
    }

    #[test]
    fn an_address_may_become_too_long() {
        let address = Address::get("http://h/%s").unwrap();
        assert!(address.url(&vec![b'x'; 1 << 20]).is_err());
    }
}
