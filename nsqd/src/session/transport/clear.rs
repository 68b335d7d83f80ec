//! The bare stream under TLS.

use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a handshake may take (nsqd spec 2.3).
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A stream that first gives bytes that were read already, and whose reads fail when a handshake takes too long.
#[derive(Debug)]
pub(super) struct Clear<S> {
    stream: S,
    early: BytesMut,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Clear<S> {
    /// A handshake begins now.
    pub(super) fn new(stream: S, early: BytesMut) -> Self {
        Self {
            stream,
            early,
            deadline: Some(Box::pin(sleep(HANDSHAKE))),
        }
    }

    /// The handshake is over: no deadline any more.
    pub(super) fn established(&mut self) {
        self.deadline = None;
    }

    /// The stream, without what was not read of the early bytes.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let rings = |deadline: &mut Pin<Box<Sleep>>| deadline.as_mut().poll(cx).is_ready();
        if self.deadline.as_mut().is_some_and(rings) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "i/o timeout"));
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Clear<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.early.is_empty() {
            let given = this.early.len().min(buf.remaining());
            buf.put_slice(&this.early[..given]);
            this.early.advance(given);
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if read.is_pending() {
            this.poll_deadline(cx)?;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Clear<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        if written.is_pending() {
            this.poll_deadline(cx)?;
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
