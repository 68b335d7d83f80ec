//! Connections: each of a client has one to the server.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio_rustls::TlsConnector;

use super::{Call, Fault, Gates, Shared};

/// Largest answer that is read whole, in bytes.
const ANSWER: usize = 16 << 20;

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Sender = Mutex<Option<SendRequest<Incoming>>>;

/// Where the API server is, and as whom.
pub(super) struct Upstream {
    address: SocketAddr,
    tls: TlsConnector,
    token: HeaderValue,
}

impl Upstream {
    /// Reads a kubeconfig of the testbed: a server on this machine and a token.
    pub(super) fn of(kubeconfig: &Path, authority: &Path) -> Self {
        let text = std::fs::read_to_string(kubeconfig).unwrap();
        let config: Value = serde_yaml::from_str(&text).unwrap();
        let field = |path: &str| config.pointer(path).and_then(Value::as_str).unwrap().to_owned();
        let server = field("/clusters/0/cluster/server");
        let address = server.strip_prefix("https://").unwrap().parse().unwrap();
        let token = format!("Bearer {}", field("/users/0/user/token"));
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(authority).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            address,
            tls: TlsConnector::from(Arc::new(tls)),
            token: HeaderValue::from_str(&token).unwrap(),
        }
    }

    async fn connect<B>(&self) -> io::Result<SendRequest<B>>
    where
        B: hyper::body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + 'static,
    {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(self.address.ip());
        let stream = self.tls.connect(name, stream).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// What the server has at a path now.
    pub(super) async fn read(&self, path: &str) -> io::Result<Value> {
        let request = Request::get(path)
            .header(AUTHORIZATION, self.token.clone())
            .header(HOST, self.address.to_string())
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)?;
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let body = Limited::new(response.into_body(), ANSWER).collect().await;
        let body = body.map_err(io::Error::other)?.to_bytes();
        serde_json::from_slice(&body).map_err(io::Error::other)
    }

    /// Sends a request as it came, but in our name.
    async fn send(&self, sender: &Sender, mut request: Request<Incoming>) -> io::Result<Response<Incoming>> {
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.token.clone());
        let host = HeaderValue::from_str(&self.address.to_string()).map_err(io::Error::other)?;
        headers.insert(HOST, host);
        let target = request.uri().path_and_query().map(ToString::to_string);
        *request.uri_mut() = Uri::try_from(target.unwrap_or_default()).map_err(io::Error::other)?;
        let mut sender = sender.lock().await;
        if sender.as_ref().is_none_or(SendRequest::is_closed) {
            *sender = Some(self.connect().await?);
        }
        let open = sender.as_mut().ok_or_else(cut)?;
        open.ready().await.map_err(io::Error::other)?;
        open.send_request(request).await.map_err(io::Error::other)
    }
}

/// Serves every connection until the runtime ends.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, Arc::clone(&shared)));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let mut gates = shared.gates.subscribe();
    let sender = Sender::default();
    let service = service_fn(|request| one(&shared, &sender, request));
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = served => {}
        _ = gates.wait_for(|gates| gates.away) => {}
    }
}

async fn one(shared: &Shared, sender: &Sender, request: Request<Incoming>) -> io::Result<Response<Body>> {
    if shared.gates.borrow().frozen {
        return std::future::pending().await;
    }
    let uri = request.uri();
    let query = uri.query().unwrap_or_default();
    let call = Call::of(
        request.method().as_str(),
        uri.path(),
        query,
        shared.began.elapsed(),
    );
    let gates = shared.gates.subscribe();
    let (number, fault) = shared.decide(call.clone());
    let freeze = matches!(fault, Some(Fault::FreezeBefore | Fault::FreezeAfter));
    if freeze {
        shared.gates.send_modify(|gates| gates.frozen = true);
    }
    match fault {
        Some(Fault::Answer(code)) => {
            shared.answered(number, code, false);
            return answer(code, None);
        }
        Some(Fault::Throttle(seconds)) => {
            shared.answered(number, 429, false);
            return answer(429, Some(seconds));
        }
        Some(Fault::Gone) => {
            shared.answered(number, 410, false);
            return gone();
        }
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::CutBefore) => return Err(cut()),
        Some(Fault::FreezeBefore) => {
            shared.gates.send_modify(|gates| gates.reached = true);
            return std::future::pending().await;
        }
        Some(Fault::CutAfter | Fault::FreezeAfter) | None => {}
    }
    let response = shared.upstream.send(sender, request).await?;
    shared.answered(number, response.status().as_u16(), true);
    match fault {
        Some(Fault::CutAfter) => Err(cut()),
        Some(Fault::FreezeAfter) => {
            shared.gates.send_modify(|gates| gates.reached = true);
            std::future::pending().await
        }
        _ if call.verb == "watch" => Ok(response.map(|body| watched(body, call.resource, gates))),
        _ => Ok(response.map(|body| body.map_err(io::Error::other).boxed_unsync())),
    }
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// An answer as the API server gives it. Its filter for too many requests says so in plain text, and the time in a header alone.
fn answer(code: u16, retry_after: Option<u32>) -> io::Result<Response<Body>> {
    let status = StatusCode::from_u16(code).map_err(io::Error::other)?;
    let mut response = Response::builder().status(status);
    let text = if let Some(seconds) = retry_after {
        response = response
            .header(RETRY_AFTER, seconds)
            .header(CONTENT_TYPE, "text/plain");
        "Too many requests, please try again later.".to_owned()
    } else {
        response = response.header(CONTENT_TYPE, "application/json");
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("the proxy says {code}"),
            "reason": status.canonical_reason().unwrap_or_default().replace(' ', ""), "code": code,
        })
        .to_string()
    };
    response.body(whole(text)).map_err(io::Error::other)
}

fn gone() -> io::Result<Response<Body>> {
    let event = json!({"type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410,
    }});
    Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .body(whole(format!("{event}\n")))
        .map_err(io::Error::other)
}

fn whole(text: String) -> Body {
    Full::new(Bytes::from(text))
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// What a watch shows: later while its resource is held, and nothing after it was dropped.
fn watched(body: Incoming, resource: String, gates: watch::Receiver<Gates>) -> Body {
    let began = gates.borrow().dropped;
    let next = move |watch: Option<(Incoming, watch::Receiver<Gates>)>| {
        let resource = resource.clone();
        async move {
            let (mut body, mut gates) = watch?;
            let mut dropped = gates.clone();
            let frame = async {
                let frame = body.frame().await?;
                let free = gates.wait_for(|gates| !gates.held.contains(&resource)).await;
                Some(free.map_err(|_| cut()).and(frame.map_err(io::Error::other)))
            };
            let frame: Option<io::Result<Frame<Bytes>>> = tokio::select! {
                frame = frame => frame,
                _ = dropped.wait_for(|gates| gates.dropped != began) => Some(Err(cut())),
            };
            let rest = matches!(frame, Some(Ok(_))).then_some((body, gates));
            Some((frame?, rest))
        }
    };
    let frames = stream::unfold(Some((body, gates)), next);
    StreamBody::new(frames).boxed_unsync()
}
