//! A form must carry what the cookie carries (console spec 6.4, rule 2). Nothing is kept here, so that any replica can take
//! the form that another one showed.

use nsq_service::http::header::SET_COOKIE;
use nsq_service::http::{Failure, Reply, Request};

const COOKIE: &str = "nsqadmin_csrf";

/// Hexadecimal digits of a token of 128 bits.
const DIGITS: usize = 32;

/// The token of a form.
pub(super) struct Token {
    pub(super) text: String,
    is_new: bool,
    is_https: bool,
}

impl Token {
    /// The one that the browser has, or a new one.
    ///
    /// # Errors
    /// 500 if the system has no random numbers.
    pub(super) fn of(request: &Request) -> Result<Self, Failure> {
        let is_https = request.is_secured() || request.header("x-scheme") == Some("https");
        if let Some(text) = request.header("cookie").and_then(from_cookies) {
            return Ok(Self {
                text: text.to_owned(),
                is_new: false,
                is_https,
            });
        }
        Ok(Self {
            text: random()?,
            is_new: true,
            is_https,
        })
    }

    /// Whether the form that was posted has the token.
    pub(super) fn is_in(&self, form: &str) -> bool {
        !self.is_new && form == self.text
    }

    /// Gives it to the browser, unless that has it.
    pub(super) fn keep(&self, reply: Reply, base_path: &str) -> Reply {
        if !self.is_new {
            return reply;
        }
        let path = super::urls::home(base_path);
        let secure = if self.is_https { "; Secure" } else { "" };
        let cookie = format!(
            "{COOKIE}={}; Path={path}; HttpOnly; SameSite=Strict{secure}",
            self.text
        );
        reply.header(SET_COOKIE, &cookie)
    }
}

/// 128 random bits: a token, or what tells a form that is sent twice from two forms.
///
/// # Errors
/// 500 if the system has no random numbers.
pub(super) fn random() -> Result<String, Failure> {
    let mut bytes = [0; DIGITS / 2];
    getrandom::fill(&mut bytes).map_err(|error| Failure::internal(&error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn from_cookies(header: &str) -> Option<&str> {
    let mut pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    let token = pairs.find(|(name, _)| *name == COOKIE)?.1;
    let is_token = token.len() == DIGITS && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_token.then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_is_taken_from_cookies() {
        let token = "0123456789abcdef0123456789abcdef";
        for (header, expected) in [
            (format!("nsqadmin_csrf={token}"), Some(token)),
            (format!("a=b; nsqadmin_csrf={token}; c"), Some(token)),
            (format!("x{COOKIE}={token}"), None),
            (format!("{COOKIE}={}", &token[1..]), None),
            (format!("{COOKIE}={}\"", &token[1..]), None),
            (String::new(), None),
        ] {
            assert_eq!(from_cookies(&header), expected, "{header}");
        }
    }
}
