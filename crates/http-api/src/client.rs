//! A small HTTP client for the daemons' APIs: one connection per request, every wait and every body bounded.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::header::{ACCEPT, CONNECTION, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{lookupd, nsqd};

/// What the reference's tools send, so that old daemons answer without an envelope.
const NSQ_V1: &str = "application/vnd.nsq; version=1.0";

/// Longest error body that is looked at for its message.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Time to resolve the name and connect.
    pub connect_timeout: Duration,
    /// Time for the whole request, connecting included.
    pub request_timeout: Duration,
    /// Largest answer in bytes.
    pub max_body: usize,
}

impl Default for Client {
    /// The defaults of the reference's tools (2 s and 5 s), and 64 MiB.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            max_body: 64 << 20,
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
    },
    /// The answer is longer than the limit in bytes.
    #[error("answer is longer than {0} bytes")]
    TooLarge(usize),
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
        let exchange = self.exchange(method, authority, path, body);
        let outcome = timeout(self.request_timeout, exchange).await;
        outcome
            .unwrap_or(Err(Cause::Timeout(self.request_timeout)))
            .map_err(|cause| Error { request, cause })
    }

    async fn exchange(
        &self,
        method: Method,
        authority: &str,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, Cause> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, authority)
            .header(ACCEPT, NSQ_V1)
            .header(CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| Cause::Address(error.to_string()))?;
        #[allow(
            clippy::disallowed_methods,
            reason = "this is the dialer, with its time limit"
        )]
        let connect = TcpStream::connect(authority);
        let stream = timeout(self.connect_timeout, connect)
            .await
            .map_err(|_| Cause::Timeout(self.connect_timeout))?
            .map_err(Cause::Connect)?;
        // best effort: a peer may be gone already, which the first write tells
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let answer = async {
            let response = sender.send_request(request).await?;
            self.read(response).await
        };
        // the connection is driven here, beside the exchange, so that nothing has to be spawned
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            done = &mut answer => done,
            ended = connection => match ended {
                Ok(()) => answer.await,
                Err(error) => Err(error.into()),
            },
        }
    }

    async fn read(&self, response: Response<hyper::body::Incoming>) -> Result<Bytes, Cause> {
        let status = response.status();
        let cap = if status.is_success() {
            self.max_body
        } else {
            MAX_ERROR_BODY
        };
        let mut body = response.into_body();
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if bytes.len() + data.len() > cap {
                return Err(Cause::TooLarge(cap));
            }
            bytes.extend_from_slice(&data);
        }
        if status.is_success() {
            return Ok(bytes.freeze());
        }
        Err(Cause::Status {
            status: status.as_u16(),
            message: error_message(&bytes),
        })
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

/// The `message` of an error body, else its text.
fn error_message(bytes: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct ErrorBody {
        message: String,
    }
    serde_json::from_slice::<ErrorBody>(bytes).map_or_else(
        |_| String::from_utf8_lossy(bytes).trim().to_owned(),
        |body| body.message,
    )
}

#[cfg(test)]
mod tests;
