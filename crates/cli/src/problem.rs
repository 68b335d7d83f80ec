//! How an error looks: what was tried and what was wrong, where, what to do. At most three lines.

use std::fmt;

use nsq_client::Error as ClientError;
use nsq_http_api::client::{Cause, Error as HttpError};

use crate::codes::{self, Code};

/// Why `nsq` ends other than well.
#[derive(Debug)]
pub struct Problem {
    /// Its code, which has the exit code.
    pub code: &'static Code,
    /// What was tried and what was wrong.
    what: String,
    place: Option<String>,
    todo: String,
}

impl Problem {
    /// What was tried and what was wrong, and what to do.
    pub fn new(code: &'static Code, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            place: None,
            todo: todo.into(),
        }
    }

    /// Adds where.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// A request to a daemon that failed.
    #[must_use]
    pub fn http(error: &HttpError) -> Self {
        let (code, todo) = match &error.cause {
            Cause::Connect(_) | Cause::Timeout(_) | Cause::Address(_) => (
                codes::UNREACHABLE,
                "start a cluster with `nsq local`, or name yours with --lookupd HOST:PORT",
            ),
            Cause::Tls(_) => (
                codes::TLS_FAILED,
                "name the authority of its certificate with --tls-ca FILE",
            ),
            Cause::Http(_) | Cause::Decode(_) | Cause::TooLarge(_) | Cause::Ended => (
                codes::NOT_NSQ,
                "give the HTTP address of the daemon (nsqlookupd 4161, nsqd 4151 by default)",
            ),
            Cause::Status { .. } if error.is_not_found() && error.to_string().contains("TOPIC_NOT_FOUND") => {
                (
                    codes::TOPIC_NOT_FOUND,
                    "see `nsq topic list` for the topics there are",
                )
            }
            Cause::Status { .. }
                if error.is_not_found() && error.to_string().contains("CHANNEL_NOT_FOUND") =>
            {
                (
                    codes::CHANNEL_NOT_FOUND,
                    "see `nsq channel list TOPIC` for the channels there are",
                )
            }
            Cause::Status { .. } if error.is_not_found() => (
                codes::NOT_NSQ,
                "give the HTTP address of the daemon (nsqlookupd 4161, nsqd 4151 by default)",
            ),
            Cause::Status { .. } | Cause::Encode(_) => {
                (codes::REFUSED, "see `nsq check` for the state of the daemons")
            }
        };
        Self::new(code, one_line(&error.to_string()), todo)
    }

    /// A connection to an nsqd that failed.
    #[must_use]
    pub fn client(error: &ClientError) -> Self {
        let (code, todo) = match error {
            ClientError::Connect { .. } | ClientError::TimedOut { .. } => (
                codes::UNREACHABLE,
                "see `nsq check`: it tells which address of which node does not lead there".to_owned(),
            ),
            ClientError::Disagreed { text, .. } if text.contains("no TLS") => (
                codes::TLS_FAILED,
                "leave --tls-ca away, or give nsqd --tls-cert and --tls-key".to_owned(),
            ),
            ClientError::Disagreed { .. } => (
                codes::REFUSED,
                "name the file of the secret: nsq context set NAME --auth-secret-file FILE".to_owned(),
            ),
            ClientError::Tls { .. } => (
                codes::TLS_FAILED,
                "name the authority of its certificate with --tls-ca FILE".to_owned(),
            ),
            ClientError::Refused { text, .. } => (
                codes::REFUSED,
                format!("see `nsq explain {}`", text.split(' ').next().unwrap_or_default()),
            ),
            _ => (
                codes::REFUSED,
                "see `nsq check` for the state of the daemons".to_owned(),
            ),
        };
        Self::new(code, one_line(&error.to_string()), todo)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error[{}]: {}", self.code.name, self.what)?;
        if let Some(place) = &self.place {
            writeln!(f, "  where: {place}")?;
        }
        write!(f, "  do: {}", self.todo)
    }
}

/// Text of others on one line.
#[must_use]
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_three_lines_at_most() {
        let problem = Problem::new(codes::UNREACHABLE, one_line("a\nb\r\n c"), "try again").at("here");
        assert_eq!(
            problem.to_string(),
            "error[UNREACHABLE]: a b c\n  where: here\n  do: try again"
        );
    }
}
