//! One request on one connection.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderName};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{Cause, Client, Target};

/// What the reference's tools send, so that old daemons answer without an envelope.
const NSQ_V1: &str = "application/vnd.nsq; version=1.0";

/// Longest error body that is looked at for its message.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// An answer of any status, to be handed on.
#[derive(Clone, Debug)]
pub struct Relayed {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if there is one.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// An answer of any status.
pub(super) struct Answer {
    status: u16,
    content_type: Option<String>,
    body: Bytes,
}

impl Answer {
    /// The body of a 200.
    pub(super) fn success(self) -> Result<Bytes, Cause> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        Err(Cause::Status {
            status: self.status,
            message: error_message(&self.body),
            body: String::from_utf8_lossy(&self.body).into_owned(),
        })
    }

    /// Where a server that refuses clear requests wants to be asked.
    pub(super) fn https_port(&self) -> Option<i64> {
        https_port(self.status, &self.body)
    }
}

/// The port of https, if an answer says that it is wanted.
pub(super) fn https_port(status: u16, body: &[u8]) -> Option<i64> {
    #[derive(serde::Deserialize)]
    struct TlsRequired {
        https_port: i64,
    }
    let is_refusal = status == 403;
    let refusal = is_refusal.then(|| serde_json::from_slice::<TlsRequired>(body).ok());
    refusal.flatten().map(|refusal| refusal.https_port)
}

impl Client {
    pub(super) async fn exchange(
        &self,
        method: Method,
        target: &Target,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Answer, Cause> {
        let mut request = Request::builder()
            .method(method)
            .uri(&target.path)
            .header(HOST, &target.authority)
            .header(ACCEPT, NSQ_V1)
            .header(CONNECTION, "close");
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| Cause::Address(error.to_string()))?;
        self.ask(target, request).await
    }

    pub(super) async fn relayed(
        &self,
        target: &Target,
        headers: &[(HeaderName, &str)],
    ) -> Result<Relayed, Cause> {
        let mut request = Request::builder().uri(&target.path).header(CONNECTION, "close");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request
            .body(Full::new(Bytes::new()))
            .map_err(|error| Cause::Address(error.to_string()))?;
        let answer = self.ask(target, request).await?;
        Ok(Relayed {
            status: answer.status,
            content_type: answer.content_type,
            body: answer.body,
        })
    }

    async fn ask(&self, target: &Target, request: Request<Full<Bytes>>) -> Result<Answer, Cause> {
        let stream = self.connect(target).await?;
        if target.https {
            let stream = self.secure(target, stream).await?;
            Box::pin(self.talk(stream, request)).await
        } else {
            self.talk(stream, request).await
        }
    }

    pub(super) async fn connect(&self, target: &Target) -> Result<TcpStream, Cause> {
        #[allow(
            clippy::disallowed_methods,
            reason = "this is the dialer, with its time limit"
        )]
        let connect = TcpStream::connect(target.address());
        let stream = timeout(self.connect_timeout, connect)
            .await
            .map_err(|_| Cause::Timeout(self.connect_timeout))?
            .map_err(Cause::Connect)?;
        // best effort: a peer may be gone already, which the first write tells
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    pub(super) async fn secure(
        &self,
        target: &Target,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Cause> {
        let tls = self
            .tls
            .as_ref()
            .ok_or_else(|| Cause::Tls("is not configured here".to_owned()))?;
        let config = tls.config().map_err(Cause::Tls)?;
        let host = target.host().trim_start_matches('[').trim_end_matches(']');
        let name =
            ServerName::try_from(host.to_owned()).map_err(|error| Cause::Address(error.to_string()))?;
        timeout(
            self.connect_timeout,
            TlsConnector::from(config).connect(name, stream),
        )
        .await
        .map_err(|_| Cause::Timeout(self.connect_timeout))?
        .map_err(|error| Cause::Tls(error.to_string()))
    }

    async fn talk<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<Answer, Cause>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
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

    pub(super) async fn read(&self, response: Response<hyper::body::Incoming>) -> Result<Answer, Cause> {
        let status = response.status();
        let cap = if status.is_success() {
            self.max_body
        } else {
            MAX_ERROR_BODY
        };
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let mut body = response.into_body();
        // an answer that says how long it is gets that room at once: growing would take twice as much
        let announced = hyper::body::Body::size_hint(&body).exact().unwrap_or(0);
        let mut bytes = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(cap).min(cap));
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if bytes.len() + data.len() > cap {
                return Err(Cause::TooLarge(cap));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Answer {
            status: status.as_u16(),
            content_type,
            body: bytes.freeze(),
        })
    }
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
