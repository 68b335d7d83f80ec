//! A small HTTP client for the daemons' APIs: one connection per request, every wait and every body bounded.
//!
//! | module | what |
//! |---|---|
//! | [`events`] | a stream of events |
//! | [`exchange`] | one request on one connection, clear or over TLS |
//! | [`target`] | where a request goes |
//! | [`tls`] | how servers are verified |

mod events;
mod exchange;
mod target;
mod tls;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
pub use events::Event;
use exchange::Answer;
pub use exchange::Relayed;
use hyper::Method;
pub use hyper::header::{self, HeaderName};
use serde::Serialize;
use serde::de::DeserializeOwned;
pub use target::Target;
pub use tls::Tls;
use tokio::time::timeout;

use crate::{lookupd, messages, nsqd};

/// Limits of one request, and how servers are verified.
#[derive(Clone, Debug)]
pub struct Client {
    /// Time to resolve the name and connect.
    pub connect_timeout: Duration,
    /// Time for the whole request, connecting included.
    pub request_timeout: Duration,
    /// Largest answer in bytes.
    pub max_body: usize,
    /// For https. Without it nothing is asked over https, and a server that wants it (403 with `https_port`) is an error.
    pub tls: Option<Tls>,
}

impl Default for Client {
    /// The defaults of the reference's tools (2 s and 5 s), 64 MiB, no TLS.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            max_body: 64 << 20,
            tls: None,
        }
    }
}

/// A request that failed: what was tried, and why not.
#[derive(Debug)]
pub struct Error {
    /// Method and URL.
    pub request: String,
    /// What happened.
    pub cause: Cause,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// Nobody answers there.
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    /// No TLS: the server's certificate, ours, or its version is not accepted, or https is not configured here.
    #[error("TLS: {0}")]
    Tls(String),
    /// A limit of [`Client`] passed.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection broke, or the peer does not speak HTTP.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// The URL cannot be written.
    #[error("not a valid address or path: {0}")]
    Address(String),
    /// An answer other than 200, with its `message` or its text.
    #[error("status {status}: {message}")]
    Status {
        /// HTTP status.
        status: u16,
        /// `TOPIC_NOT_FOUND` and the like.
        message: String,
        /// The answer's whole text.
        body: String,
    },
    /// The answer is longer than the limit in bytes.
    #[error("answer is longer than {0} bytes")]
    TooLarge(usize),
    /// A stream of events ended, as it may.
    #[error("the stream ended")]
    Ended,
    /// The answer is not the JSON document that was expected.
    #[error("answer is not understood: {0}")]
    Decode(serde_json::Error),
    /// The body cannot be written as JSON.
    #[error("request cannot be written: {0}")]
    Encode(serde_json::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request, self.cause)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

impl Error {
    /// The HTTP status, if there was an answer other than 200.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.cause {
            Cause::Status { status, .. } => Some(status),
            _ => None,
        }
    }

    /// True if the peer said that what was asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }
}

/// `host:port` as it stands in a URL: an IPv6 address gets brackets.
#[must_use]
pub fn authority(host: &str, port: i64) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

impl Client {
    /// Sends one request to `authority` (`host:port`) and yields the body of a 200 answer. `path` may have a query;
    /// what it contains must be percent-encoded. Cancel safe: dropping the future closes the connection.
    ///
    /// A server that answers 403 and names its `https_port` is asked once more there (nsqd spec 8.5 and 9.2).
    ///
    /// # Errors
    /// Any [`Cause`].
    pub async fn send(
        &self,
        method: Method,
        authority: &str,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, Error> {
        let request = format!("{method} http://{authority}{path}");
        let target = Target::http(authority, path);
        let answer = self.follow(&method, &target, None, body).await;
        answer.map_err(|cause| Error { request, cause })
    }

    /// The same for any target, and with this `Content-Type` if there is one. Errors name the target without its query, which
    /// may hold a secret.
    ///
    /// # Errors
    /// Any [`Cause`].
    pub async fn fetch(
        &self,
        method: Method,
        target: &Target,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Bytes, Error> {
        let request = format!("{method} {target}");
        let answer = self.follow(&method, target, content_type, body).await;
        answer.map_err(|cause| Error { request, cause })
    }

    /// `GET` with these headers in place of our own; an answer of any status is one.
    ///
    /// # Errors
    /// Any [`Cause`] but [`Cause::Status`].
    pub async fn relay(&self, target: &Target, headers: &[(HeaderName, &str)]) -> Result<Relayed, Error> {
        let asking = timeout(self.request_timeout, self.relayed(target, headers)).await;
        let answer = asking.unwrap_or(Err(Cause::Timeout(self.request_timeout)));
        answer.map_err(|cause| Error {
            request: format!("GET {target}"),
            cause,
        })
    }

    /// Asks, and once more over https if the server wants that.
    async fn follow(
        &self,
        method: &Method,
        target: &Target,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Bytes, Cause> {
        let asking = async {
            let answer = self
                .exchange(method.clone(), target, content_type, body.clone())
                .await?;
            let wanted = answer.https_port().filter(|_| self.tls.is_some());
            match wanted.and_then(|port| target.over_https(port)) {
                None => Ok(answer),
                Some(secured) => self.exchange(method.clone(), &secured, content_type, body).await,
            }
        };
        let answer = timeout(self.request_timeout, asking).await;
        answer
            .unwrap_or(Err(Cause::Timeout(self.request_timeout)))
            .and_then(Answer::success)
    }

    /// `GET`, the answer read as JSON.
    ///
    /// # Errors
    /// Any [`Cause`].
    pub async fn get<T: DeserializeOwned>(&self, authority: &str, path: &str) -> Result<T, Error> {
        let bytes = self.send(Method::GET, authority, path, Bytes::new()).await?;
        decode(&Method::GET, authority, path, &bytes)
    }

    /// `POST` without expecting more than success.
    ///
    /// # Errors
    /// Any [`Cause`].
    pub async fn post(&self, authority: &str, path: &str, body: Bytes) -> Result<(), Error> {
        self.send(Method::POST, authority, path, body).await.map(drop)
    }

    /// `POST`, the answer read as JSON.
    ///
    /// # Errors
    /// Any [`Cause`].
    pub async fn post_for<T: DeserializeOwned>(
        &self,
        authority: &str,
        path: &str,
        body: Bytes,
    ) -> Result<T, Error> {
        let bytes = self.send(Method::POST, authority, path, body).await?;
        decode(&Method::POST, authority, path, &bytes)
    }

    /// `PUT` of a JSON document, the answer read as JSON.
    ///
    /// # Errors
    /// Any [`Cause`].
    pub async fn put<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        authority: &str,
        path: &str,
        body: &B,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|error| Error {
            request: format!("PUT http://{authority}{path}"),
            cause: Cause::Encode(error),
        })?;
        let bytes = self.send(Method::PUT, authority, path, body.into()).await?;
        decode(&Method::PUT, authority, path, &bytes)
    }

    /// `/info` of an nsqd.
    ///
    /// # Errors
    /// Any [`Cause`].
    pub async fn nsqd_info(&self, authority: &str) -> Result<nsqd::Info, Error> {
        self.get(authority, "/info").await
    }

    /// `/stats` of an nsqd, without the memory block; clients only on demand because they can be many.
    ///
    /// # Errors
    /// Any [`Cause`].
    pub async fn nsqd_stats(&self, authority: &str, include_clients: bool) -> Result<nsqd::Stats, Error> {
        let path = format!("/stats?format=json&include_mem=false&include_clients={include_clients}");
        self.get(authority, &path).await
    }

    /// Messages that wait in an nsqd that has the extension `messages`.
    ///
    /// # Errors
    /// Any [`Cause`].
    pub async fn nsqd_messages(
        &self,
        authority: &str,
        request: &messages::MessagesRequest,
    ) -> Result<messages::Messages, Error> {
        self.get(authority, &request.path()).await
    }

    /// `/nodes` of an nsqlookupd.
    ///
    /// # Errors
    /// Any [`Cause`].
    pub async fn lookupd_nodes(&self, authority: &str) -> Result<lookupd::Nodes, Error> {
        self.get(authority, "/nodes").await
    }

    /// `/topics` of an nsqlookupd.
    ///
    /// # Errors
    /// Any [`Cause`].
    pub async fn lookupd_topics(&self, authority: &str) -> Result<lookupd::Topics, Error> {
        self.get(authority, "/topics").await
    }
}

fn decode<T: DeserializeOwned>(
    method: &Method,
    authority: &str,
    path: &str,
    bytes: &[u8],
) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error {
        request: format!("{method} http://{authority}{path}"),
        cause: Cause::Decode(error),
    })
}

#[cfg(test)]
mod tests;
