//! The accept loop and the life of one connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::server::TlsStream;
use warp::Filter as _;

use super::body::Body;
use super::guard::{Deadlines, Guarded, Phase};
use super::request::Request;
use super::router::Router;
use crate::listen::{Listener, Peer, Stream, is_temporary};
use crate::tasks::Tasks;
use crate::tls::{ServerTls, is_plain_http};

/// What one listener grants its peers. The defaults are those of all daemons (extensions spec 11.5).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request head; beyond it the answer is 431.
    pub head_bytes: usize,
    /// Time for a request head, from its first byte.
    pub head: Duration,
    /// Time between two pieces of a request body.
    pub body: Duration,
    /// Time between requests on one connection.
    pub idle: Duration,
    /// Time that a peer may leave a piece of a response untaken.
    pub write: Duration,
    /// Connections at one time; a further one gets 503 (over TLS nothing) and is closed.
    pub connections: usize,
    /// Time that requests in progress get at shutdown.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            write: Duration::from_secs(60),
            connections: 4096,
            grace: Duration::from_secs(5),
        }
    }
}

/// Pause after a failed accept that may work later, so that a full file table does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long, and for how many bytes, a closed connection is still read: closing with unread input would reset it and
/// could take our last answer with it.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 256 * 1024;

const OVERLOADED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Serves `router` on `listener` until `tasks` is told to stop; connections run as tasks of `tasks`.
///
/// # Errors
/// The listener failed for good.
pub async fn serve<S: Send + Sync + 'static>(
    listener: Listener,
    router: Arc<Router<S>>,
    tasks: Tasks,
    limits: Limits,
) -> io::Result<()> {
    accept("HTTP", listener, None, router, tasks, limits).await
}

/// The same for probes and scrapers: the listener that never asks for TLS or a token (extensions spec 14.1).
///
/// # Errors
/// The listener failed for good.
pub async fn serve_ops<S: Send + Sync + 'static>(
    listener: Listener,
    router: Arc<Router<S>>,
    tasks: Tasks,
    limits: Limits,
) -> io::Result<()> {
    accept("OPS", listener, None, router, tasks, limits).await
}

/// The same over TLS.
///
/// # Errors
/// The listener failed for good.
pub async fn serve_tls<S: Send + Sync + 'static>(
    listener: Listener,
    tls: Arc<ServerTls>,
    router: Arc<Router<S>>,
    tasks: Tasks,
    limits: Limits,
) -> io::Result<()> {
    accept("HTTPS", listener, Some(tls), router, tasks, limits).await
}

async fn accept<S: Send + Sync + 'static>(
    name: &'static str,
    listener: Listener,
    tls: Option<Arc<ServerTls>>,
    router: Arc<Router<S>>,
    tasks: Tasks,
    limits: Limits,
) -> io::Result<()> {
    tracing::info!("{name}: listening on {listener}");
    let open = Arc::new(AtomicUsize::new(0));
    let mut stopping = pin!(tasks.stopping());
    let result = loop {
        let accepted = tokio::select! {
            () = &mut stopping => break Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((mut stream, _)) if open.load(Ordering::Relaxed) >= limits.connections => {
                // An empty send buffer takes this without waiting; if not, the peer just sees the end. In TLS there is nothing
                // to say before the handshake, which is the work that is refused here.
                if tls.is_none() {
                    let _ = stream.write_all(OVERLOADED).now_or_never();
                }
            }
            Ok((stream, peer)) => {
                let slot = Slot::take(&open);
                let (tls, router, inner) = (tls.clone(), Arc::clone(&router), tasks.clone());
                tasks.spawn(async move {
                    match tls {
                        None => connection(stream, (peer, Secured(false)), router, inner, limits).await,
                        Some(tls) => {
                            if let Some(stream) = secured(stream, &tls, limits.head).await {
                                connection(stream, (peer, Secured(true)), router, inner, limits).await;
                            }
                        }
                    }
                    drop(slot);
                });
            }
            Err(error) if is_temporary(&error) => {
                tracing::warn!("{name}: temporary accept failure - {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Err(error) => break Err(error),
        }
    };
    tracing::info!("{name}: closing {listener}");
    result
}

const PLAIN_TO_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The connection after its handshake, which may take `limit`; none if there was none. Plain HTTP is told so.
async fn secured(mut stream: Stream, tls: &ServerTls, limit: Duration) -> Option<TlsStream<Stream>> {
    let handshake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && is_plain_http(first[0]) {
            stream.write_all(PLAIN_TO_TLS).await?;
            linger(stream).await;
            return Ok(None);
        }
        tls.acceptor().accept(stream).await.map(Some)
    };
    match tokio::time::timeout(limit, handshake).await {
        Ok(Ok(secured)) => secured,
        Ok(Err(error)) => {
            tracing::debug!("HTTPS: no handshake - {error}");
            None
        }
        Err(_) => None,
    }
}

/// Whether a connection is TLS.
#[derive(Clone, Copy)]
struct Secured(bool);

/// One of the allowed connections.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection<S: Send + Sync + 'static>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    (peer, secured): (Peer, Secured),
    router: Arc<Router<S>>,
    tasks: Tasks,
    limits: Limits,
) {
    let phase = Phase::default();
    let deadlines = Deadlines {
        idle: limits.idle,
        head: limits.head,
        write: limits.write,
    };
    let io = TokioIo::new(Guarded::new(stream, phase.clone(), deadlines));
    let warp = TowerToHyperService::new(warp::service(catch_all(router, limits.body)));
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let idle_when_dropped = Busy::start(&phase);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(secured);
        let answer = hyper::service::Service::call(&warp, request);
        Box::pin(async move {
            let response = answer.await?;
            Ok::<_, Infallible>(response.map(|inner| Tracked {
                inner,
                _busy: idle_when_dropped,
            }))
        })
    });
    let mut connection = http1::Builder::new()
        .max_header_size(limits.head_bytes)
        // longer than the guard's own deadlines; it is set because hyper asks the stream again after an answer only
        // when it has this deadline, and the guard's idle deadline starts with that question
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle + limits.head)
        .title_case_headers(true)
        .serve_connection(io, service);

    let stopped = {
        let mut stopping = pin!(tasks.stopping());
        tokio::select! {
            _ = poll_fn(|cx| connection.poll_without_shutdown(cx)) => false,
            () = &mut stopping => true,
        }
    };
    if stopped {
        Pin::new(&mut connection).graceful_shutdown();
        let rest = poll_fn(|cx| connection.poll_without_shutdown(cx));
        let _ = tokio::time::timeout(limits.grace, rest).await;
        return;
    }
    linger(connection.into_parts().io.into_inner().into_inner()).await;
}

/// Ends our side, then reads what the peer still sends.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let read_rest = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut scrap = [0; 1024];
        let mut seen = 0;
        while seen < LINGER_BYTES {
            match stream.read(&mut scrap).await {
                Ok(0) | Err(_) => return,
                Ok(count) => seen += count,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, read_rest).await;
}

/// The one warp filter: it hands everything to our routing table and never rejects.
fn catch_all<S: Send + Sync + 'static>(
    router: Arc<Router<S>>,
    progress: Duration,
) -> impl warp::Filter<Extract = (warp::reply::Response,), Error = warp::Rejection> + Clone {
    warp::any()
        .map(move || Arc::clone(&router))
        .and(warp::ext::get::<Peer>())
        .and(warp::ext::get::<Secured>())
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(
            move |router: Arc<Router<S>>,
                  peer: Peer,
                  Secured(is_secured),
                  method: Method,
                  path: warp::path::FullPath,
                  raw_query: String,
                  headers: HeaderMap,
                  chunks| async move {
                let chunks = futures_util::StreamExt::map(chunks, into_chunk);
                let length = headers
                    .get(CONTENT_LENGTH)
                    .and_then(|value| value.to_str().ok()?.parse().ok());
                let is_empty = length.unwrap_or(0) == 0 && !headers.contains_key(TRANSFER_ENCODING);
                let body = Body::new(chunks.boxed(), length, is_empty, progress);
                let path = path.as_str().to_owned();
                let request = Request {
                    method,
                    path,
                    raw_query,
                    headers,
                    peer,
                    params: Vec::new(),
                    is_secured,
                    attached: hyper::http::Extensions::new(),
                    body,
                };
                router.call(request).await.into_response()
            },
        )
}

fn into_chunk(item: Result<impl bytes::Buf, warp::Error>) -> Result<Bytes, String> {
    item.map(|mut bytes| bytes.copy_to_bytes(bytes.remaining()))
        .map_err(|error| error.to_string())
}

/// Marks the connection busy until it is dropped, which happens when the response body was sent or given up.
struct Busy(Phase);

impl Busy {
    fn start(phase: &Phase) -> Self {
        phase.busy();
        Self(phase.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idle();
    }
}

/// A response body that knows when it ended.
struct Tracked<B> {
    inner: B,
    _busy: Busy,
}

impl<B: HttpBody + Unpin> HttpBody for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.get_mut().inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
