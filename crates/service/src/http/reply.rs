//! Replies: the one place that knows status lines, content types and error bodies.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use hyper::StatusCode;
use hyper::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, VARY};
use serde::Serialize;
use warp::reply::Reply as _;

use super::packing::Packing;
use crate::json;

pub(super) const JSON: &str = "application/json; charset=utf-8";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const X_NSQ_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-nsq-content-type");
const NSQ_V1: HeaderValue = HeaderValue::from_static("nsq; version=1.0");

/// How the answers of a route look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `X-NSQ-Content-Type` on every answer, errors as JSON.
    V1,
    /// Neither; errors as bare text.
    Plain,
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send + Sync>>;

/// A successful answer (or a redirect).
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    content: Content,
}

enum Content {
    Whole(Bytes),
    Chunks(Chunks),
}

impl Reply {
    fn whole(content_type: Option<&'static str>, bytes: Bytes) -> Self {
        let headers = content_type.map(|text| (CONTENT_TYPE, HeaderValue::from_static(text)));
        Self {
            status: StatusCode::OK,
            headers: headers.into_iter().collect(),
            content: Content::Whole(bytes),
        }
    }

    /// 200 without a body.
    #[must_use]
    pub fn empty() -> Self {
        Self::whole(None, Bytes::new())
    }

    /// 200 with text. Without any text there is no content type, as in the reference.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        let content_type = (!text.is_empty()).then_some(TEXT);
        Self::whole(content_type, Bytes::from(text))
    }

    /// 200 with `value` as compact JSON in Go's spelling.
    ///
    /// # Errors
    /// 500 if `value` cannot be written as JSON, see [`json::to_vec`].
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Failure> {
        match json::to_vec(value) {
            Ok(bytes) => Ok(Self::json_bytes(bytes)),
            Err(error) => Err(Failure::internal(&error)),
        }
    }

    /// 200 with JSON that is already text.
    #[must_use]
    pub fn json_bytes(bytes: impl Into<Bytes>) -> Self {
        Self::whole(Some(JSON), bytes.into())
    }

    /// 200 with `bytes` of any other content type.
    #[must_use]
    pub fn content(content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self::whole(Some(content_type), bytes.into())
    }

    /// 200 with `bytes` of a content type that is added as a header.
    #[must_use]
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::whole(None, bytes.into())
    }

    /// 200 with a body that is made while it is sent. An error in the stream breaks the connection, so that the
    /// client does not take a part for the whole.
    #[must_use]
    pub fn stream(
        content_type: &'static str,
        chunks: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + Sync + 'static,
    ) -> Self {
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        Self {
            status: StatusCode::OK,
            headers,
            content: Content::Chunks(Box::pin(chunks)),
        }
    }

    /// The same reply with another status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same reply with one more header; a value that cannot stand in a header is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The status.
    #[must_use]
    pub fn code(&self) -> StatusCode {
        self.status
    }

    /// The same reply in the form that was `wanted`; streams, what is packed already and what is empty stay as they are.
    pub(super) async fn packed(mut self, wanted: Packing) -> Self {
        let is_packed = self.headers.iter().any(|(name, _)| name == CONTENT_ENCODING);
        let packed = match &self.content {
            Content::Whole(bytes) if !bytes.is_empty() && !is_packed => wanted.pack(bytes).await,
            _ => None,
        };
        let Some(packed) = packed else { return self };
        self.content = Content::Whole(packed.into());
        self.header(CONTENT_ENCODING, wanted.name())
            .header(VARY, "Accept-Encoding")
    }

    pub(super) fn closing(self) -> Self {
        self.header(CONNECTION, "close")
    }

    pub(super) fn marked_v1(mut self) -> Self {
        self.headers.push((X_NSQ_CONTENT_TYPE, NSQ_V1));
        self
    }

    pub(super) fn into_response(self) -> warp::reply::Response {
        let mut response = match self.content {
            Content::Whole(bytes) => hyper::Response::new(bytes).into_response(),
            Content::Chunks(chunks) => warp::reply::stream(chunks).into_response(),
        };
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// An answer that is an error: `{"message":"<TEXT>"}` on V1 routes, the bare text on plain ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    status: StatusCode,
    message: Cow<'static, str>,
    detail: Option<String>,
    retry_after: Option<u32>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl Failure {
    /// An error with a status and the text that clients look for.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            detail: None,
            retry_after: None,
        }
    }

    /// 400.
    #[must_use]
    pub fn bad_request(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404.
    #[must_use]
    pub fn not_found(message: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 413.
    #[must_use]
    pub fn too_large(message: &'static str) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 500 `INTERNAL_ERROR`; the cause goes to the log, not to the client.
    #[must_use]
    pub fn internal(cause: &dyn fmt::Display) -> Self {
        tracing::error!("HTTP: internal error - {cause}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR")
    }

    /// 503.
    #[must_use]
    pub fn unavailable(message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// The same error with a sentence for people, under the second key `detail`.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into());
        self
    }

    /// The same error with a `Retry-After` header.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The status.
    #[must_use]
    pub fn code(&self) -> StatusCode {
        self.status
    }

    /// The text that clients look for.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The answer on a route of this kind.
    #[must_use]
    pub fn into_reply(self, kind: Kind) -> Reply {
        let mut reply = match kind {
            Kind::Plain => Reply::text(self.message.into_owned()),
            Kind::V1 => {
                let body = ErrorBody {
                    message: &self.message,
                    detail: self.detail.as_deref(),
                };
                // two texts into memory cannot fail
                Reply::json_bytes(json::to_vec(&body).unwrap_or_default())
            }
        };
        if let Some(seconds) = self.retry_after {
            reply = reply.header(RETRY_AFTER, &seconds.to_string());
        }
        reply.status(self.status)
    }
}
