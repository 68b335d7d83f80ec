//! Deadlines of one HTTP connection, kept where the bytes pass: a peer may be idle, slow or deaf only so long.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What is expected of the peer at the moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;

impl Phase {
    /// A request is being answered: reading is the body's business.
    pub(super) fn busy(&self) {
        self.0.store(BUSY, Ordering::Relaxed);
    }

    /// The answer is complete, the next request may come.
    pub(super) fn idle(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }
}

/// A stream whose reads fail when a request head, or the next request, takes too long, and whose writes fail when
/// the peer does not take what we send.
pub(super) struct Guarded<S> {
    inner: S,
    phase: Phase,
    limits: Deadlines,
    reading: Deadline,
    writing: Deadline,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    pub(super) idle: Duration,
    pub(super) head: Duration,
    pub(super) write: Duration,
}

/// A timer together with the phase it was set for.
struct Deadline {
    set_for: Option<u8>,
    sleep: Pin<Box<Sleep>>,
}

impl Deadline {
    fn new() -> Self {
        Self {
            set_for: None,
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// Ready when `limit` has passed since the deadline was first asked about in `phase`.
    fn poll(&mut self, phase: u8, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if self.set_for != Some(phase) {
            self.set_for = Some(phase);
            self.sleep.as_mut().reset(Instant::now() + limit);
        }
        self.sleep.as_mut().poll(cx)
    }

    fn clear(&mut self) {
        self.set_for = None;
    }
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, phase: Phase, limits: Deadlines) -> Self {
        Self {
            inner,
            phase,
            limits,
            reading: Deadline::new(),
            writing: Deadline::new(),
        }
    }

    pub(super) fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(result) = Pin::new(&mut this.inner).poll_read(cx, buf) {
            // the first bytes of a head start its clock; if they are the whole head, `busy` follows at once
            let _ = this
                .phase
                .0
                .compare_exchange(IDLE, HEAD, Ordering::Relaxed, Ordering::Relaxed);
            return Poll::Ready(result);
        }
        let phase = this.phase.0.load(Ordering::Relaxed);
        let limit = match phase {
            IDLE => this.limits.idle,
            HEAD => this.limits.head,
            _ => {
                this.reading.clear();
                return Poll::Pending;
            }
        };
        ready!(this.reading.poll(phase, limit, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    fn checked<T>(&mut self, result: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing.clear();
            return result;
        }
        ready!(self.writing.poll(BUSY, self.limits.write, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.checked(result, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.checked(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_flush(cx);
        this.checked(result, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
