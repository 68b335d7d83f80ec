//! What the bytes of a connection go through: clear or TLS, and on top of it nothing, snappy or deflate (nsqd spec 2.3).
//!
//! [`Transport`] is itself a stream, so the session reads and writes it the same way whatever was agreed. A connection
//! without layers pays one branch per read and write.
//!
//! | module | what |
//! |---|---|
//! | [`codec`] | compression, bytes in and bytes out, pure |
//! | [`counted`] | the socket: how many bytes went through it |
//! | [`clear`] | the bare stream under TLS: bytes read too early, and the deadline of the handshake |

mod clear;
pub mod codec;
mod counted;

use bytes::{Buf, BytesMut};
use clear::Clear;
use codec::Codec;
pub(super) use counted::Counted;
use nsq_service::tls::{Agreed, ServerTls};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// Compressed bytes read at once.
const READ_BYTES: usize = 16 * 1024;
/// Plain bytes made of them at once: what a chunk of snappy holds at most.
const READ_BYTES_PLAIN: usize = 64 * 1024;
/// Plain bytes that are compressed, and flushed, at once.
const WRITE_BYTES: usize = 64 * 1024;

/// A connection's stream with its layers.
#[derive(Debug)]
pub struct Transport<S> {
    link: Link<S>,
    compressed: Option<Box<Compressed>>,
}

#[derive(Debug)]
enum Link<S> {
    Clear(S),
    Tls(Box<TlsStream<Clear<S>>>),
    /// Only while a handshake is going on, and after one that took the stream with it.
    Gone,
}

/// The state of a compressed connection.
#[derive(Debug)]
struct Compressed {
    codec: Codec,
    /// As it came, not decompressed yet.
    incoming: BytesMut,
    /// Compressed, not sent yet.
    outgoing: BytesMut,
    at_end: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// A stream without layers.
    pub fn new(stream: S) -> Self {
        Self {
            link: Link::Clear(stream),
            compressed: None,
        }
    }

    /// Performs the handshake of a TLS server; `early` are bytes of it that were read already.
    ///
    /// # Errors
    /// Why there is no TLS. The stream is clear again then, to say so on it.
    pub async fn start_tls(&mut self, tls: &ServerTls, early: BytesMut) -> io::Result<Agreed> {
        let stream = match std::mem::replace(&mut self.link, Link::Gone) {
            Link::Clear(stream) => stream,
            other => {
                self.link = other;
                return Err(io::Error::other("TLS is on already"));
            }
        };
        match tls
            .acceptor()
            .accept(Clear::new(stream, early))
            .into_fallible()
            .await
        {
            Ok(mut stream) => {
                stream.get_mut().0.established();
                let agreed = Agreed::of(stream.get_ref().1);
                self.link = Link::Tls(Box::new(stream));
                Ok(agreed)
            }
            Err((error, clear)) => {
                self.link = Link::Clear(clear.into_inner());
                Err(error)
            }
        }
    }

    /// Compresses from here on; `early` are compressed bytes that were read already.
    pub fn start_compression(&mut self, codec: Codec, early: BytesMut) {
        self.compressed = Some(Box::new(Compressed {
            codec,
            incoming: early,
            outgoing: BytesMut::new(),
            at_end: false,
        }));
    }

    /// Whether TLS lies on the stream.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.link, Link::Tls(_))
    }

    /// Gives back what an idle connection does not need.
    pub fn release(&mut self) {
        if let Some(compressed) = &mut self.compressed
            && compressed.incoming.is_empty()
            && compressed.outgoing.is_empty()
        {
            compressed.incoming = BytesMut::new();
            compressed.outgoing = BytesMut::new();
        }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Link<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Link<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl Compressed {
    /// Decompresses into `buf` what has come, reading more as long as that gives nothing. What is decompressed at once is
    /// bounded by the room in `buf` and [`READ_BYTES_PLAIN`], however small its compressed form is.
    fn poll_read<L: AsyncRead + Unpin>(
        &mut self,
        link: &mut L,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            // What is handed out has to be set to zero before: no more than one step can fill.
            let room = buf.remaining().min(READ_BYTES_PLAIN);
            let written = self
                .codec
                .decode(&mut self.incoming, buf.initialize_unfilled_to(room))?;
            if written > 0 {
                buf.advance(written);
                return Poll::Ready(Ok(()));
            }
            if self.at_end {
                return Poll::Ready(Ok(()));
            }
            self.incoming.reserve(READ_BYTES);
            let read = std::pin::pin!(link.read_buf(&mut self.incoming));
            self.at_end = ready!(read.poll(cx))? == 0;
        }
    }

    /// Sends what was compressed.
    fn poll_send<L: AsyncWrite + Unpin>(
        &mut self,
        link: &mut L,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let sent = ready!(Pin::new(&mut *link).poll_write(cx, &self.outgoing))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Transport<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { link, compressed } = self.get_mut();
        match compressed {
            None => Pin::new(link).poll_read(cx, buf),
            Some(compressed) => compressed.poll_read(link, cx, buf),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { link, compressed } = self.get_mut();
        let Some(compressed) = compressed else {
            return Pin::new(link).poll_write(cx, buf);
        };
        ready!(compressed.poll_send(link, cx))?;
        let piece = &buf[..buf.len().min(WRITE_BYTES)];
        compressed.codec.encode(piece, &mut compressed.outgoing)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { link, compressed } = self.get_mut();
        if let Some(compressed) = compressed {
            ready!(compressed.poll_send(link, cx))?;
        }
        Pin::new(link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.get_mut().link).poll_shutdown(cx)
    }
}
